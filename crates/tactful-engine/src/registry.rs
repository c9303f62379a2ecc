//! The registry of models, folded from the control partition: the versions of each name, which of them
//! are in use, and how that came about. It holds no model and judges none.

use std::collections::BTreeMap;

use tactful_core::ruleset::Alias;
use tactful_log::Offset;
use tactful_models::artifact::hex;
use tactful_proto::storage::{AliasMoved, ModelAlias, ModelLoaded, ModelPushed, MoveCause};

use crate::control::Change;

/// Moves of aliases that are remembered, and champions that a rollback can go back to.
const MOVES_MAX: usize = 100;

/// Versions of models, and which of them are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    /// By name, in the order of their numbers.
    versions: BTreeMap<String, Vec<Version>>,
    in_use: BTreeMap<Alias, ModelInUse>,
    /// Champions of before, the latest last.
    past_champions: Vec<Reference>,
    /// The latest moves, the latest last.
    moves: Vec<Move>,
    moved: Offset,
}

/// A registered version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// What replies and records call it.
    pub id: String,
    /// sha256 of the artifact.
    pub sha256: [u8; 32],
    /// Size of the artifact.
    pub bytes: u64,
    /// When it was pushed, milliseconds since 1970.
    pub pushed_ms: i64,
    /// Why; may be empty.
    pub note: String,
}

/// Names a version of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Name of the model.
    pub name: String,
    /// Number of the version.
    pub version: u32,
}

/// A version in use.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInUse {
    /// Which.
    pub reference: Reference,
    /// sha256 of its artifact.
    pub sha256: [u8; 32],
    /// Share of the customers for whom a challenger decides; 1 for others.
    pub share: f64,
}

/// A move of an alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// When, milliseconds since 1970.
    pub moved_ms: i64,
    /// Which alias.
    pub alias: Alias,
    /// To which version; none if it stands for none since.
    pub to: Option<Reference>,
    /// Share of the customers, of a challenger.
    pub share: f64,
    /// Who moved it.
    pub cause: MoveCause,
    /// Whether the champion went back to the one before.
    pub rollback: bool,
    /// Why; may be empty.
    pub note: String,
}

impl Registry {
    /// Entry that moved an alias last; 0 for none.
    pub(crate) fn moved(&self) -> Offset {
        self.moved
    }

    /// The version behind an alias.
    pub(crate) fn in_use(&self, alias: Alias) -> Option<&ModelInUse> {
        self.in_use.get(&alias)
    }

    /// All that is in use.
    pub(crate) fn all_in_use(&self) -> &BTreeMap<Alias, ModelInUse> {
        &self.in_use
    }

    /// Names with their versions.
    pub(crate) fn versions(&self) -> &BTreeMap<String, Vec<Version>> {
        &self.versions
    }

    /// The latest moves, the latest last.
    pub(crate) fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The champion that a rollback would bring back.
    pub(crate) fn champion_before(&self) -> Option<&Reference> {
        self.past_champions.last()
    }

    /// A version by its reference.
    pub(crate) fn version(&self, reference: &Reference) -> Option<&Version> {
        let at = usize::try_from(reference.version.checked_sub(1)?).ok()?;
        self.versions.get(&reference.name)?.get(at)
    }

    /// The version of a name that has these bytes.
    pub(crate) fn with_sha256(&self, name: &str, sha256: &[u8; 32]) -> Option<&Version> {
        self.versions.get(name)?.iter().find(|version| version.sha256 == *sha256)
    }

    /// Registers a version. Known bytes change nothing.
    pub(crate) fn push(&mut self, pushed: ModelPushed, received_ms: i64) -> Change {
        let Ok(sha256) = pushed.sha256.try_into() else { return Change::Nothing };
        if self.with_sha256(&pushed.name, &sha256).is_none() {
            let versions = self.versions.entry(pushed.name).or_default();
            let (number, pushed_ms) = (versions.len() as u32 + 1, received_ms);
            let (id, note, bytes) = (pushed.id, pushed.note, pushed.bytes);
            versions.push(Version { number, id, sha256, bytes, pushed_ms, note });
        }
        Change::Nothing
    }

    /// An entry of earlier versions: registered, and champion at once.
    pub(crate) fn load(&mut self, offset: Offset, loaded: ModelLoaded, received_ms: i64) -> Change {
        let Ok(sha256) = <[u8; 32]>::try_from(&loaded.sha256[..]) else { return Change::Nothing };
        let id = hex(&sha256[..8]);
        self.push(
            ModelPushed { name: loaded.name.clone(), sha256: loaded.sha256, id, ..ModelPushed::default() },
            received_ms,
        );
        let Some(version) = self.with_sha256(&loaded.name, &sha256) else { return Change::Nothing };
        let moved = AliasMoved {
            alias: ModelAlias::Champion.into(),
            version: version.number,
            name: loaded.name,
            cause: MoveCause::Caller.into(),
            ..AliasMoved::default()
        };
        self.take(offset, moved, received_ms)
    }

    /// Moves an alias. A move to what was never registered is passed over by every node.
    pub(crate) fn take(&mut self, offset: Offset, moved: AliasMoved, received_ms: i64) -> Change {
        let Some(alias) = alias_of(moved.alias()) else { return Change::Nothing };
        let to = (!moved.name.is_empty()).then(|| Reference { name: moved.name.clone(), version: moved.version });
        let in_use = match &to {
            None => None,
            Some(reference) => {
                let Some(version) = self.version(reference) else { return Change::Nothing };
                let share = if alias == Alias::Challenger { moved.share } else { 1.0 };
                Some(ModelInUse { reference: reference.clone(), sha256: version.sha256, share })
            }
        };
        self.moved = offset;
        self.remember(alias, moved, to, received_ms);
        self.put(alias, in_use);
        Change::Models
    }

    /// What becomes champion is nobody's challenger or shadow any more.
    fn put(&mut self, alias: Alias, in_use: Option<ModelInUse>) {
        if alias == Alias::Champion
            && let Some(champion) = &in_use
        {
            self.in_use.retain(|_, other| other.sha256 != champion.sha256);
        }
        match in_use {
            Some(in_use) => self.in_use.insert(alias, in_use),
            None => self.in_use.remove(&alias),
        };
    }

    fn remember(&mut self, alias: Alias, moved: AliasMoved, to: Option<Reference>, moved_ms: i64) {
        if alias == Alias::Champion {
            let before = self.in_use.get(&Alias::Champion).map(|champion| champion.reference.clone());
            if moved.rollback {
                self.past_champions.pop();
            } else if let Some(before) = before.filter(|before| Some(before) != to.as_ref()) {
                keep(&mut self.past_champions, before);
            }
        }
        let cause = moved.cause();
        let AliasMoved { share, rollback, note, .. } = moved;
        keep(&mut self.moves, Move { moved_ms, alias, to, share, cause, rollback, note });
    }
}

/// Appends to what has a bound; the oldest goes.
fn keep<T>(all: &mut Vec<T>, one: T) {
    if all.len() == MOVES_MAX {
        all.remove(0);
    }
    all.push(one);
}

fn alias_of(alias: ModelAlias) -> Option<Alias> {
    match alias {
        ModelAlias::Champion => Some(Alias::Champion),
        ModelAlias::Challenger => Some(Alias::Challenger),
        ModelAlias::Shadow => Some(Alias::Shadow),
        ModelAlias::Unspecified => None,
    }
}

/// An alias as entries name it.
pub(crate) fn entry_alias(alias: Alias) -> ModelAlias {
    match alias {
        Alias::Champion => ModelAlias::Champion,
        Alias::Challenger => ModelAlias::Challenger,
        Alias::Shadow => ModelAlias::Shadow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(registry: &mut Registry, name: &str, byte: u8) {
        let pushed = ModelPushed { name: name.into(), sha256: vec![byte; 32], ..ModelPushed::default() };
        registry.push(pushed, 1);
    }

    fn moved(registry: &mut Registry, alias: ModelAlias, name: &str, version: u32) -> Change {
        let offset = registry.moved() + 1;
        registry.take(
            offset,
            AliasMoved { alias: alias.into(), name: name.into(), version, ..AliasMoved::default() },
            2,
        )
    }

    fn versions(registry: &Registry) -> Vec<(&'static str, u32)> {
        registry.all_in_use().iter().map(|(alias, in_use)| (alias.name(), in_use.reference.version)).collect()
    }

    #[test]
    fn numbers_are_by_name_and_known_bytes_get_no_second_one() {
        let mut registry = Registry::default();
        for (name, byte) in [("a", 1), ("b", 1), ("a", 2), ("a", 1)] {
            pushed(&mut registry, name, byte);
        }
        let numbers = |name: &str| registry.versions()[name].iter().map(|version| version.number).collect::<Vec<_>>();
        assert_eq!((numbers("a"), numbers("b")), (vec![1, 2], vec![1]));
    }

    #[test]
    fn the_champion_is_no_other_alias_and_goes_back_step_by_step() {
        let mut registry = Registry::default();
        (1..=3).for_each(|byte| pushed(&mut registry, "a", byte));
        for version in [1, 2] {
            moved(&mut registry, ModelAlias::Champion, "a", version);
        }
        moved(&mut registry, ModelAlias::Challenger, "a", 3);
        moved(&mut registry, ModelAlias::Shadow, "a", 1);
        assert_eq!(versions(&registry), [("champion", 2), ("challenger", 3), ("shadow", 1)]);
        moved(&mut registry, ModelAlias::Champion, "a", 3);
        assert_eq!(versions(&registry), [("champion", 3), ("shadow", 1)]);
        for before in [2, 1] {
            let reference = registry.champion_before().cloned().unwrap();
            assert_eq!(reference.version, before);
            let back = AliasMoved {
                alias: ModelAlias::Champion.into(),
                name: reference.name,
                version: reference.version,
                rollback: true,
                ..AliasMoved::default()
            };
            registry.take(registry.moved() + 1, back, 3);
        }
        assert_eq!(registry.champion_before(), None);
        assert_eq!(versions(&registry), [("champion", 1)]);
        assert!(registry.moves().last().unwrap().rollback);
    }

    #[test]
    fn what_was_never_registered_moves_nothing() {
        let mut registry = Registry::default();
        pushed(&mut registry, "a", 1);
        for (alias, name, version) in [
            (ModelAlias::Champion, "a", 2),
            (ModelAlias::Champion, "a", 0),
            (ModelAlias::Shadow, "b", 1),
            (ModelAlias::Unspecified, "a", 1),
        ] {
            assert_eq!(moved(&mut registry, alias, name, version), Change::Nothing);
        }
        assert_eq!((registry.moved(), registry.moves().len()), (0, 0));
        assert_eq!(moved(&mut registry, ModelAlias::Shadow, "a", 1), Change::Models);
        assert_eq!(moved(&mut registry, ModelAlias::Shadow, "", 0), Change::Models);
        assert!(registry.all_in_use().is_empty());
    }
}
