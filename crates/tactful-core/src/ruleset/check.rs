//! Collects what is wrong with a catalogue, and the checks that several lists share.

use std::collections::BTreeMap;

use crate::catalog::{PathStep, Problem};
use crate::layout::nearest;

/// Problems found so far, and the place that is being looked at.
#[derive(Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    path: Vec<PathStep>,
}

impl Report {
    /// Looks at one element of a list.
    pub(super) fn at(&mut self, list: &'static str, index: usize) -> &mut Self {
        self.path = vec![PathStep::Key(list), PathStep::Index(index)];
        self
    }

    /// Looks at one element of a list within the element.
    pub(super) fn within(&mut self, list: &'static str, index: usize) -> &mut Self {
        self.path.truncate(2);
        self.path.extend([PathStep::Key(list), PathStep::Index(index)]);
        self
    }

    /// Notes a problem with a key of the place; an empty key means the place itself.
    pub(super) fn add(&mut self, key: &'static str, message: String, hint: String) {
        self.add_offset(key, None, message, hint);
    }

    /// Notes a problem at an offset within the text at a key.
    pub(super) fn add_offset(&mut self, key: &'static str, offset: Option<usize>, message: String, hint: String) {
        let mut path = self.path.clone();
        if !key.is_empty() {
            path.push(PathStep::Key(key));
        }
        self.problems.push(Problem { path, offset, message, hint });
    }

    /// Notes a problem unless a condition holds.
    pub(super) fn require(&mut self, holds: bool, key: &'static str, message: impl FnOnce() -> (String, &'static str)) {
        if !holds {
            let (message, hint) = message();
            self.add(key, message, hint.into());
        }
    }

    /// Notes a problem if a name is not among the known ones.
    pub(super) fn known<'a>(
        &mut self,
        key: &'static str,
        what: &str,
        name: &str,
        mut names: impl Iterator<Item = &'a str> + Clone,
    ) {
        if !names.clone().any(|known| known == name) {
            let hint = nearest(name, names.by_ref()).map_or_else(
                || format!("declare it, or use a {what} that the catalogue declares"),
                |near| format!("did you mean {near:?}?"),
            );
            self.add(key, format!("unknown {what} {name:?}"), hint);
        }
    }
}

/// Notes ids that are empty, too long or given twice; returns the index of each id.
pub(super) fn unique_ids<'a>(
    report: &mut Report,
    list: &'static str,
    key: &'static str,
    ids: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, usize> {
    let mut index = BTreeMap::new();
    for (position, id) in ids.enumerate() {
        report.at(list, position);
        let sound = (1..=crate::limits::ID_BYTES_MAX).contains(&id.len());
        report.require(sound, key, || (format!("{id:?} is empty or longer than 128 bytes"), "give a short id"));
        if let Some(first) = index.get(id) {
            report.add(
                key,
                format!("{id:?} is already the {key} of {list} number {}", first + 1),
                "ids are unique".into(),
            );
        } else {
            index.insert(id.to_owned(), position);
        }
    }
    index
}
