//! Scores rows as a server would: by the head of their action, else of its group, else the shared
//! one.

use std::collections::BTreeMap;

use tactful_core::score::{Model, Scope};

use crate::table::Table;

/// The heads of a model by what they score.
pub(crate) struct Heads<'a> {
    model: &'a Model,
    by_scope: BTreeMap<(Scope, &'a str), usize>,
}

/// A row of the table with its score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    /// Row of the table.
    pub(crate) row: usize,
    /// Head that scored it.
    pub(crate) head: usize,
    pub(crate) probability: f64,
    pub(crate) positive: bool,
}

impl<'a> Heads<'a> {
    pub(crate) fn of(model: &'a Model) -> Self {
        let by_scope = model.heads.iter().enumerate().map(|(at, head)| ((head.scope, head.id.as_str()), at)).collect();
        Self { model, by_scope }
    }

    /// The head that scores an action of a group; none if it has only its start value.
    pub(crate) fn find(&self, action: &str, group: &str) -> Option<usize> {
        let tried = [(Scope::Action, action), (Scope::Group, group), (Scope::Global, "")];
        tried.iter().find_map(|key| self.by_scope.get(key)).copied()
    }

    pub(crate) fn scope(&self, head: usize) -> Scope {
        self.model.heads[head].scope
    }

    pub(crate) fn probability(&self, head: usize, inputs: &[f32]) -> f64 {
        f64::from(self.model.probability(head, inputs))
    }

    /// The test part scored; rows without any head are left out.
    pub(crate) fn test_part(&self, table: &Table) -> Vec<Scored> {
        let mut inputs = Vec::new();
        let mut scored = Vec::with_capacity(table.rows.len() - table.train);
        for (at, row) in table.rows.iter().enumerate().skip(table.train) {
            if let Some(head) = self.find(&table.actions[row.action as usize], &table.groups[row.group as usize]) {
                table.read(at, &mut inputs);
                let probability = self.probability(head, &inputs);
                scored.push(Scored { row: at, head, probability, positive: row.positive });
            }
        }
        scored
    }
}

/// What quality is measured on.
pub(crate) fn pairs<'a>(scored: impl IntoIterator<Item = &'a Scored>) -> Vec<(f64, bool)> {
    scored.into_iter().map(|scored| (scored.probability, scored.positive)).collect()
}
