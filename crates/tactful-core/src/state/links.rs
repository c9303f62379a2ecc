//! The links of one subject id as a bounded merge: for each other id the latest statement, which says
//! that the two are one customer, or no longer.
//!
//! Of one pair the latest by event time wins; at equal times the greater by [`LinkKind`]'s order. An
//! id keeps the statements of the `LINKS_MAX` pairs that were spoken of last: the next one is the
//! *floor*, everything up to it is forgotten for good, and the floor only rises. So any order and any
//! repetition gives the same. It refuses to say who the customer is: [`super::customer_ids`] does.

use crate::limits::LINKS_MAX;

/// What a statement says of two ids, in the order in which it wins at equal times: to keep two apart
/// harms nobody, to take them for one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// One customer, as an identify or alias implies.
    Implied,
    /// One customer, as somebody declared.
    Explicit,
    /// Not one customer.
    Unlinked,
}

/// The latest statement about this id and another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) other: Box<str>,
    pub(crate) time_ms: i64,
    pub(crate) kind: LinkKind,
}

/// The statements about one subject id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// By the other id.
    list: Vec<Link>,
    /// (time, other id) up to which everything is forgotten.
    floor: Option<(i64, Box<str>)>,
}

impl Links {
    /// As they were when they were written; both parts obey the rules of this type.
    pub(crate) fn restored(list: Vec<Link>, floor: Option<(i64, Box<str>)>) -> Self {
        Self { list, floor }
    }

    pub(crate) fn list(&self) -> &[Link] {
        &self.list
    }

    pub(crate) fn floor(&self) -> Option<(i64, &str)> {
        self.floor.as_ref().map(|(time_ms, other)| (*time_ms, &**other))
    }

    /// Every statement that is held: the other id, its time in Unix milliseconds, and what it says.
    pub fn statements(&self) -> impl Iterator<Item = (&str, i64, LinkKind)> {
        self.list.iter().map(|link| (&*link.other, link.time_ms, link.kind))
    }

    /// The ids that are linked to this one, with time and kind of the statement.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Link> {
        self.list.iter().filter(|link| link.kind != LinkKind::Unlinked)
    }

    /// How this id is linked to another, if it is.
    pub(crate) fn linked(&self, other: &str) -> Option<LinkKind> {
        let place = self.list.binary_search_by(|link| (*link.other).cmp(other)).ok()?;
        Some(self.list[place].kind).filter(|kind| *kind != LinkKind::Unlinked)
    }

    /// Merges one statement. At most two allocations.
    pub fn insert(&mut self, other: &str, time_ms: i64, kind: LinkKind) {
        if self.floor().is_some_and(|floor| (time_ms, other) <= floor) {
            return;
        }
        match self.list.binary_search_by(|link| (*link.other).cmp(other)) {
            Ok(place) => {
                let held = &mut self.list[place];
                if (time_ms, kind) > (held.time_ms, held.kind) {
                    (held.time_ms, held.kind) = (time_ms, kind);
                }
            }
            Err(place) => {
                // Most ids have one or two links: no room for more than half as many again.
                if self.list.len() == self.list.capacity() {
                    self.list.reserve_exact((self.list.len() / 2).max(1));
                }
                self.list.insert(place, Link { other: other.into(), time_ms, kind });
                self.cut();
            }
        }
    }

    /// Merges the statements about the same id that somebody else holds.
    pub fn merge(&mut self, other: &Self) {
        if other.floor > self.floor {
            self.floor.clone_from(&other.floor);
            let floor = other.floor();
            self.list.retain(|link| Some((link.time_ms, &*link.other)) > floor);
        }
        for link in &other.list {
            self.insert(&link.other, link.time_ms, link.kind);
        }
    }

    /// Whether this id is spoken of.
    #[must_use]
    pub fn names(&self, other: &str) -> bool {
        self.list.binary_search_by(|link| (*link.other).cmp(other)).is_ok()
            || self.floor.as_ref().is_some_and(|(_, id)| &**id == other)
    }

    /// Forgets what was said about an id up to a time, and its name with it.
    pub fn forget(&mut self, other: &str, until_ms: i64) {
        self.list.retain(|link| &*link.other != other || link.time_ms > until_ms);
        if let Some((_, id)) = self.floor.as_mut().filter(|(_, id)| &**id == other) {
            *id = Box::default();
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Raises the floor if there is one pair too many.
    fn cut(&mut self) {
        if self.list.len() > LINKS_MAX {
            let pairs = self.list.iter().enumerate();
            let oldest = pairs.min_by_key(|(_, link)| (link.time_ms, &*link.other)).map(|(place, _)| place);
            let oldest = self.list.remove(oldest.expect("there are more links than the bound"));
            // Greater than the floor so far, or it would not have been taken in.
            self.floor = Some((oldest.time_ms, oldest.other));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LinkKind::{Explicit, Implied, Unlinked};
    use super::*;
    use crate::hash;

    type Said = (u16, i64, LinkKind);

    fn fed(said: &[Said]) -> Links {
        let mut links = Links::default();
        said.iter().for_each(|(other, time_ms, kind)| links.insert(&format!("c{other}"), *time_ms, *kind));
        links
    }

    fn said(others: u16) -> impl Strategy<Value = Vec<Said>> {
        let kind = prop::sample::select(vec![Implied, Explicit, Unlinked]);
        prop::collection::vec((0..others, 1_000i64..1_200, kind), 0..900)
    }

    #[test]
    fn the_latest_statement_of_a_pair_wins_and_at_equal_times_the_careful_one() {
        assert_eq!(fed(&[(1, 5, Unlinked), (1, 6, Implied)]).linked("c1"), Some(Implied));
        assert_eq!(fed(&[(1, 6, Implied), (1, 5, Unlinked)]).linked("c1"), Some(Implied));
        assert_eq!(fed(&[(1, 5, Unlinked), (1, 5, Explicit)]).linked("c1"), None);
        assert_eq!(fed(&[(1, 5, Explicit), (1, 5, Implied)]).linked("c1"), Some(Explicit));
        assert_eq!(fed(&[(1, 5, Explicit)]).linked("c2"), None);
    }

    #[test]
    fn the_pairs_spoken_of_last_stay() {
        let said: Vec<Said> =
            (0..LINKS_MAX as u16 + 9).map(|other| (other, 1_000 + i64::from(other), Implied)).collect();
        let links = fed(&said);
        assert_eq!((links.list().len(), links.floor()), (LINKS_MAX, Some((1_008, "c8"))));
        assert_eq!((links.linked("c8"), links.linked("c9")), (None, Some(Implied)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        // More pairs than the bound and few distinct times, so that floors and every tie are met.
        #[test]
        fn any_order_and_any_repetition_gives_the_same_links(said in said(400), seed in any::<u64>()) {
            let mut shuffled: Vec<_> = said.iter().chain(said.iter().step_by(3)).copied().collect();
            shuffled.sort_by_key(|said| hash::keyed(seed, format!("{said:?}").as_bytes()));
            prop_assert_eq!(fed(&shuffled), fed(&said));
        }

        #[test]
        fn merged_links_equal_those_fed_with_both(left in said(400), right in said(400)) {
            let mut merged = fed(&left);
            merged.merge(&fed(&right));
            prop_assert_eq!(merged, fed(&[left, right].concat()));
        }
    }
}
