//! What differs between two catalogues, definition by definition.

use std::collections::BTreeMap;

use tactful_core::catalog::Catalog;
use tactful_core::ruleset::Ruleset;
use tactful_core::state::Definition;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogChange {
    /// Kind of the definition, by its key in the files; `order` if only places changed.
    pub kind: &'static str,
    /// Id or name; empty where there is only one.
    pub id: String,
    /// What became of it.
    pub change: Change,
    /// Whether it is a feature that has to start anew.
    pub starts_empty: bool,
}

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is defined otherwise.
    Changed,
}

/// The differences from one catalogue to another: by kind in the order of a catalogue, then by id.
#[must_use]
pub fn changes(from: &Ruleset, to: &Ruleset) -> Vec<CatalogChange> {
    let (old, new) = (&from.catalog, &to.catalog);
    let mut all = Differences::default();
    all.only("company", &old.company, &new.company);
    all.only("holdout", &old.holdout, &new.holdout);
    all.only("exploration", &old.exploration, &new.exploration);
    all.list("purpose", &old.purpose, &new.purpose, |def| &def.name);
    all.features(old, new);
    all.list("fact", &old.fact, &new.fact, |def| &def.key);
    all.list("context", &old.context, &new.context, |def| &def.name);
    all.list("channel", &old.channel, &new.channel, |def| &def.id);
    all.list("placement", &old.placement, &new.placement, |def| &def.id);
    all.list("matter", &old.matter, &new.matter, |def| &def.kind);
    all.list("rule", &old.rule, &new.rule, |def| &def.id);
    all.list("weight", &old.weight, &new.weight, |def| &def.id);
    all.list("action", &old.action, &new.action, |def| &def.id);
    if all.0.is_empty() && from.catalog_hash() != to.catalog_hash() {
        all.add("order", "", Change::Changed);
    }
    all.0
}

#[derive(Default)]
struct Differences(Vec<CatalogChange>);

impl Differences {
    fn add(&mut self, kind: &'static str, id: &str, change: Change) {
        self.0.push(CatalogChange { kind, id: id.into(), change, starts_empty: false });
    }

    fn only<T: PartialEq>(&mut self, kind: &'static str, old: &T, new: &T) {
        if old != new {
            self.add(kind, "", Change::Changed);
        }
    }

    fn list<T: PartialEq>(&mut self, kind: &'static str, old: &[T], new: &[T], id: impl Fn(&T) -> &String) {
        let mut both: BTreeMap<&str, (Option<&T>, Option<&T>)> = BTreeMap::new();
        old.iter().for_each(|def| both.entry(id(def)).or_default().0 = Some(def));
        new.iter().for_each(|def| both.entry(id(def)).or_default().1 = Some(def));
        for (id, (old, new)) in both {
            match (old, new) {
                (None, _) => self.add(kind, id, Change::Added),
                (_, None) => self.add(kind, id, Change::Removed),
                (old, new) if old != new => self.add(kind, id, Change::Changed),
                _ => {}
            }
        }
    }

    /// Features, and those of them that are made of something else now.
    fn features(&mut self, old: &Catalog, new: &Catalog) {
        self.list("feature", &old.feature, &new.feature, |def| &def.name);
        let made_of = [Definition::of(old), Definition::of(new)];
        let [before, after] = made_of.each_ref().map(|definition| {
            definition.feature.iter().map(|def| (def.name.as_str(), def)).collect::<BTreeMap<_, _>>()
        });
        for change in self.0.iter_mut().filter(|it| it.kind == "feature" && it.change == Change::Changed) {
            change.starts_empty = before.get(change.id.as_str()) != after.get(change.id.as_str());
        }
    }
}
