//! The matters of a row as a bounded merge: for each matter a sorted, duplicate-free set of transitions.
//!
//! Two bounds hold, both independent of the order of arrival. A matter keeps its latest
//! `TRANSITIONS_MAX` transitions. A row keeps the `MATTERS_MAX` most recently updated matters: the last
//! update of the next one is the *floor*, everything up to it is forgotten for good, and the floor
//! only rises. It refuses to say what a transition means: [`super::matter`] does.

use crate::hash;
use crate::limits::{MATTERS_MAX, TRANSITIONS_MAX};

/// What an event does to a matter. In the order in which they take effect within one second: a
/// contact in the second of the resolution belongs to the conversation that resolved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TransitionKind {
    Open,
    WaitForCompany,
    WaitForCustomer,
    HandOff,
    Contact,
    Resolve,
}

/// One step in a matter's life. Its place is (time, kind); of several channels at one place the
/// last by name stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) time_s: u32,
    pub(crate) kind: TransitionKind,
    /// Id among the partition's channel names.
    pub(crate) channel: u16,
}

/// One matter, named by its type's index and its id; the id is empty if it is the type's name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matter {
    pub(crate) kind: u16,
    pub(crate) id: Box<str>,
    /// By (time, kind), never empty.
    pub(crate) transitions: Vec<Transition>,
}

/// The matters of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matters {
    /// By (kind, id).
    list: Vec<Matter>,
    /// (time, hash of the matter) up to which everything is forgotten.
    floor: (u32, u32),
}

impl Matters {
    /// Matters as they were: a list by (kind, id), and the floor.
    pub(crate) fn restored(list: Vec<Matter>, floor: (u32, u32)) -> Self {
        Self { list, floor }
    }

    pub(crate) fn list(&self) -> &[Matter] {
        &self.list
    }

    pub(crate) fn floor(&self) -> (u32, u32) {
        self.floor
    }

    /// Merges one transition; `later_name(a, b)` says whether channel a comes after b by name.
    pub(crate) fn insert(&mut self, kind: u16, id: &str, step: Transition, later_name: impl Fn(u16, u16) -> bool) {
        if (step.time_s, matter_hash(id)) <= self.floor {
            return;
        }
        let place = self.list.binary_search_by(|matter| (matter.kind, &*matter.id).cmp(&(kind, id)));
        let index = place.unwrap_or_else(|index| {
            self.list.insert(index, Matter { kind, id: id.into(), transitions: Vec::new() });
            index
        });
        self.list[index].insert(step, later_name);
        self.cut();
    }

    /// Merges the matters of another row of the same customer. Channels are not comparable between
    /// partitions, so they are left out.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.merge_with(other, |_| 0, |_, _| false);
    }

    /// Merges the matters of another row; `channel` gives a channel's id here, and `later_name` is as for
    /// [`Matters::insert`].
    pub(crate) fn merge_with(
        &mut self,
        other: &Self,
        mut channel: impl FnMut(u16) -> u16,
        later_name: impl Fn(u16, u16) -> bool,
    ) {
        self.floor = self.floor.max(other.floor);
        self.forget();
        for matter in &other.list {
            for step in &matter.transitions {
                let step = Transition { channel: channel(step.channel), ..*step };
                self.insert(matter.kind, &matter.id, step, &later_name);
            }
        }
    }

    /// The matters under types of other numbers; those whose type has none are dropped.
    pub(crate) fn renumbered(&self, kinds: &[Option<u16>]) -> Self {
        let renumber = |matter: &Matter| Some(Matter { kind: kinds[usize::from(matter.kind)]?, ..matter.clone() });
        let mut list: Vec<_> = self.list.iter().filter_map(renumber).collect();
        list.sort_by(|a, b| (a.kind, &*a.id).cmp(&(b.kind, &*b.id)));
        Self { list, floor: self.floor }
    }

    /// Raises the floor until the bound on matters holds.
    fn cut(&mut self) {
        while self.list.len() > MATTERS_MAX {
            let oldest = self.list.iter().map(Matter::updated).min();
            self.floor = oldest.expect("there are more matters than the bound").max(self.floor);
            self.forget();
        }
    }

    fn forget(&mut self) {
        for matter in &mut self.list {
            let hash = matter.hash();
            matter.transitions.retain(|step| (step.time_s, hash) > self.floor);
        }
        self.list.retain(|matter| !matter.transitions.is_empty());
    }
}

impl Matter {
    fn hash(&self) -> u32 {
        matter_hash(&self.id)
    }

    fn updated(&self) -> (u32, u32) {
        (self.transitions.last().map_or(0, |step| step.time_s), self.hash())
    }

    fn insert(&mut self, step: Transition, later_name: impl Fn(u16, u16) -> bool) {
        match self.transitions.binary_search_by_key(&(step.time_s, step.kind), |held| (held.time_s, held.kind)) {
            Ok(place) => {
                let held = &mut self.transitions[place];
                if later_name(step.channel, held.channel) {
                    held.channel = step.channel;
                }
            }
            Err(0) if self.transitions.len() == TRANSITIONS_MAX => {}
            Err(place) if self.transitions.len() == TRANSITIONS_MAX => {
                // The oldest leaves; the others close up around the new one's place.
                self.transitions[..place].rotate_left(1);
                self.transitions[place - 1] = step;
            }
            Err(place) => self.transitions.insert(place, step),
        }
    }
}

/// Breaks ties of the floor. The type is not in it: its number is another one under another schema. Matters that
/// tie are forgotten together.
fn matter_hash(id: &str) -> u32 {
    hash::keyed(0, id.as_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(time_s: u32, channel: u16) -> Transition {
        Transition { time_s, kind: TransitionKind::Open, channel }
    }

    fn fed(steps: &[(u16, u32, u16)]) -> Matters {
        let mut matters = Matters::default();
        for (id, time_s, channel) in steps {
            matters.insert(0, &id.to_string(), step(*time_s, *channel), |a, b| a > b);
        }
        matters
    }

    #[test]
    fn the_most_recently_updated_matters_stay() {
        let steps: Vec<_> = (0..40).map(|id| (id, 1_000 + u32::from(id), 0)).collect();
        let matters = fed(&steps);
        assert_eq!(matters.list().len(), MATTERS_MAX);
        assert!(matters.list().iter().all(|matter| matter.id.parse::<u16>().unwrap() >= 8));
        assert_eq!(matters.floor().0, 1_007);
    }

    #[test]
    fn a_matter_keeps_its_latest_transitions() {
        let steps: Vec<_> = (0..TRANSITIONS_MAX as u32 + 9).map(|time| (1, 1_000 + time, 0)).collect();
        let matters = fed(&steps);
        let kept = &matters.list()[0].transitions;
        assert_eq!((kept.len(), kept[0].time_s), (TRANSITIONS_MAX, 1_009));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        // Many matters and few distinct times, so that both bounds and every tie are met.
        #[test]
        fn any_order_and_any_repetition_gives_the_same_matters(
            steps in prop::collection::vec((0u16..48, 1_000u32..1_040, 0u16..3), 0..400),
            seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = steps.iter().chain(steps.iter().step_by(3)).copied().collect();
            shuffled.sort_by_key(|(id, time, channel)| {
                hash::keyed(seed, format!("{id} {time} {channel}").as_bytes())
            });
            prop_assert_eq!(fed(&shuffled), fed(&steps));
        }

        // Types of equal ids tie at the floor.
        #[test]
        fn matters_of_several_types_are_the_same_in_any_order(
            steps in prop::collection::vec((0u16..3, 0u16..24, 1_000u32..1_020), 0..300),
            seed in any::<u64>(),
        ) {
            let fed = |steps: &[(u16, u16, u32)]| {
                let mut matters = Matters::default();
                for (kind, id, time_s) in steps {
                    matters.insert(*kind, &id.to_string(), step(*time_s, 0), |_, _| false);
                }
                matters
            };
            let mut shuffled = steps.clone();
            shuffled.sort_by_key(|step| hash::keyed(seed, format!("{step:?}").as_bytes()));
            prop_assert_eq!(fed(&shuffled), fed(&steps));
        }

        #[test]
        fn a_full_matter_forgets_in_any_order(times in prop::collection::vec(1_000u32..2_000, 300..700), seed in any::<u64>()) {
            let steps: Vec<_> = times.iter().map(|time| (1, *time, 0)).collect();
            let mut shuffled = steps.clone();
            shuffled.sort_by_key(|(_, time, _)| hash::keyed(seed, &time.to_le_bytes()));
            prop_assert_eq!(fed(&shuffled), fed(&steps));
        }

        #[test]
        fn merged_rows_equal_one_row_fed_with_both(
            left in prop::collection::vec((0u16..48, 1_000u32..1_040), 0..200),
            right in prop::collection::vec((0u16..48, 1_000u32..1_040), 0..200),
        ) {
            let without_channel = |steps: &[(u16, u32)]| -> Vec<_> { steps.iter().map(|(id, time)| (*id, *time, 0)).collect() };
            let (left, right) = (without_channel(&left), without_channel(&right));
            let mut merged = fed(&left);
            merged.merge(&fed(&right));
            prop_assert_eq!(merged, fed(&[left, right].concat()));
        }
    }
}
