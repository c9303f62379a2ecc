//! Which subject ids are linked: one graph for all partitions, derived from the halves that their rows
//! keep. A half says it of both ids, so that it counts whichever half is there, and whichever came first.
//!
//! It holds nothing of its own: the appliers feed it as they fold, and from the rows of a snapshot. Most subject ids are not in it, and
//! while nobody is linked a decision does not even look.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tactful_core::state::{LinkStated, Linked, Links, Row, customer_ids};

/// The links of all subject ids.
pub(crate) struct LinkGraph {
    /// Shared with those who search, so that no lock is held while another one is taken.
    ids: DashMap<Box<str>, Arc<Links>, RandomState>,
    /// Ids in the map.
    count: AtomicUsize,
}

impl LinkGraph {
    pub(crate) fn new() -> Self {
        Self { ids: DashMap::default(), count: AtomicUsize::new(0) }
    }

    /// Takes in what one half says.
    pub(crate) fn learn(&self, subject_id: &str, link: &LinkStated<'_>) {
        self.change(subject_id, |own| own.insert(link.other_id, link.time_ms, link.kind));
        self.change(link.other_id, |own| own.insert(subject_id, link.time_ms, link.kind));
    }

    /// Takes in what a row holds, after it was read from a snapshot.
    pub(crate) fn learn_row(&self, subject_id: &str, row: &Row) {
        let Some(links) = row.links() else { return };
        self.change(subject_id, |own| own.merge(links));
        for (other_id, time_ms, kind) in links.statements() {
            self.change(other_id, |own| own.insert(subject_id, time_ms, kind));
        }
    }

    /// Whether anything is said of a subject id.
    pub(crate) fn knows(&self, subject_id: &str) -> bool {
        self.ids.contains_key(subject_id)
    }

    /// Forgets what was said up to a time about a subject id that was erased.
    pub(crate) fn forget(&self, subject_id: &str, until_ms: i64) {
        let links = self.ids.get(subject_id).map(|links| Arc::clone(&links));
        let others = links.iter().flat_map(|links| links.statements().map(|(other, ..)| other));
        for other in others {
            if let Some(mut links) = self.ids.get_mut(other) {
                Arc::make_mut(&mut links).forget(subject_id, until_ms);
            }
        }
        self.ids.remove_if_mut(subject_id, |_, links| {
            let links = Arc::make_mut(links);
            let said: Vec<_> = links.statements().map(|(other, ..)| other.to_owned()).collect();
            said.iter().for_each(|other| links.forget(other, until_ms));
            links.is_empty()
        });
    }

    /// The ids of the customer that a subject id belongs to; none if it is alone. One atomic load while nobody
    /// is linked, one look-up for an id without links.
    pub(crate) fn customer(&self, subject_id: &str) -> Option<Linked> {
        if self.count.load(Ordering::Acquire) == 0 || !self.ids.contains_key(subject_id) {
            return None;
        }
        let linked = customer_ids(subject_id, |id| self.ids.get(id).map(|links| Arc::clone(&links)));
        (linked.ids.len() > 1 || linked.truncated).then_some(linked)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Links)) {
        if let Some(mut links) = self.ids.get_mut(id) {
            return change(Arc::make_mut(&mut links));
        }
        let mut links = self.ids.entry(id.into()).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Release);
            Arc::default()
        });
        change(Arc::make_mut(&mut links));
    }
}

#[cfg(test)]
mod tests {
    use tactful_core::state::LinkKind;

    use super::*;

    fn stated(other_id: &str, time_ms: i64, kind: LinkKind) -> LinkStated<'_> {
        LinkStated { other_id, time_ms, kind }
    }

    #[test]
    fn a_half_says_it_of_both_ids_and_an_id_that_was_unlinked_is_alone_again() {
        let graph = LinkGraph::new();
        assert_eq!(graph.customer("customer:1"), None);
        graph.learn("anon:a", &stated("customer:1", 5, LinkKind::Implied));
        let both = graph.customer("customer:1").unwrap();
        assert_eq!(both.ids.iter().map(|id| &**id).collect::<Vec<_>>(), ["anon:a", "customer:1"]);
        assert_eq!(graph.customer("anon:a"), Some(both));
        assert_eq!(graph.customer("customer:2"), None);
        // The other half, and the same one again.
        graph.learn("customer:1", &stated("anon:a", 6, LinkKind::Unlinked));
        graph.learn("anon:a", &stated("customer:1", 5, LinkKind::Implied));
        assert_eq!((graph.customer("anon:a"), graph.customer("customer:1")), (None, None));
    }
}
