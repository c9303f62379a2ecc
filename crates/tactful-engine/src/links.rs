//! Which subject ids are linked: one graph for all partitions, derived from the halves that their rows
//! keep. A half says it of both ids, so that it counts whichever half is there, and whichever came first.
//!
//! It holds nothing of its own: the appliers feed it as they fold. Most subject ids are not in it, and
//! while nobody is linked a decision does not even look.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tactful_core::state::{LinkStated, Linked, Links, customer_ids};

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
        self.insert(subject_id, link.other_id, link);
        self.insert(link.other_id, subject_id, link);
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

    fn insert(&self, id: &str, other: &str, link: &LinkStated<'_>) {
        if let Some(mut links) = self.ids.get_mut(id) {
            Arc::make_mut(&mut links).insert(other, link.time_ms, link.kind);
            return;
        }
        let mut links = self.ids.entry(id.into()).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Release);
            Arc::default()
        });
        Arc::make_mut(&mut links).insert(other, link.time_ms, link.kind);
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
