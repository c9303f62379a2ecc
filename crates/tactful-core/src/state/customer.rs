//! Who a subject id belongs to: all ids that are read as one customer with it.
//!
//! Explicit links join customer ids, through one another. An id of a visitor or a device belongs to
//! the customer id of its latest link and is never passed through, so a shared device glues nobody
//! together. A link counts if both ends still hold it, so that whichever id is asked, the answer is
//! the same. It refuses to keep anything: links are the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::links::{LinkKind, Links};
use super::subject::is_transient;
use crate::limits::{LINK_STEPS_MAX, LINKED_IDS_MAX};

/// The ids of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// By bytes, the asked one among them unless ids were left out; never empty.
    pub ids: Vec<Box<str>>,
    /// Whether there are more ids than are read.
    pub truncated: bool,
}

/// The ids that are one customer with this one; `links_of` finds the links of an id, as both ends of
/// every statement gave them. Of too many, those of customers stay before those of visitors and
/// devices, and among equals the smallest by bytes: the same ones whichever id is asked, as long as no
/// more than [`LINK_STEPS_MAX`] ids have to be looked at.
#[must_use]
pub fn customer_ids<L: Deref<Target = Links>>(subject_id: &str, links_of: impl Fn(&str) -> Option<L>) -> Linked {
    let mut search = Search { links_of, steps_left: LINK_STEPS_MAX, gave_up: false };
    let root = if is_transient(subject_id) { search.owner(subject_id) } else { Some(subject_id.into()) };
    let Some(root) = root else { return Linked { ids: vec![subject_id.into()], truncated: false } };
    let customers = search.joined(root);
    let transients = search.owned(&customers);
    let truncated = search.gave_up || customers.len() + transients.len() > LINKED_IDS_MAX;
    let mut ids: Vec<_> = customers.into_keys().chain(transients).take(LINKED_IDS_MAX).collect();
    ids.sort_unstable();
    Linked { ids, truncated }
}

/// A search of bounded length.
struct Search<F> {
    links_of: F,
    steps_left: usize,
    gave_up: bool,
}

impl<F: Fn(&str) -> Option<L>, L: Deref<Target = Links>> Search<F> {
    fn look(&mut self, id: &str) -> Option<L> {
        if self.steps_left == 0 {
            self.gave_up = true;
            return None;
        }
        self.steps_left -= 1;
        (self.links_of)(id)
    }

    /// The customer id that a transient id belongs to.
    fn owner(&mut self, transient: &str) -> Option<Box<str>> {
        let owner = latest_customer(&*self.look(transient)?)?;
        self.look(&owner)?.linked(transient).map(|_| owner)
    }

    /// The customer ids that explicit links join with one, each with its links.
    fn joined(&mut self, root: Box<str>) -> BTreeMap<Box<str>, Option<L>> {
        let mut joined = BTreeMap::new();
        let mut found = BTreeSet::from([root.clone()]);
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            let links = self.look(&id);
            let others: Vec<&str> = links.as_deref().into_iter().flat_map(explicit).collect();
            if !joined.is_empty() && !others.iter().any(|other| holds(&joined, other, &id)) {
                // Another one may hold a link that this one holds as well.
                found.remove(&id);
                continue;
            }
            for other in others {
                if found.len() >= LINK_STEPS_MAX {
                    self.gave_up = true;
                    break;
                }
                if found.insert(other.into()) {
                    waiting.push(other.into());
                }
            }
            joined.insert(id, links);
        }
        joined
    }

    /// The transient ids that belong to one of these customer ids.
    fn owned(&mut self, customers: &BTreeMap<Box<str>, Option<L>>) -> BTreeSet<Box<str>> {
        let mut owned = BTreeSet::new();
        for (customer, links) in customers {
            let linked = links.as_deref().into_iter().flat_map(Links::live);
            for transient in linked.filter(|link| is_transient(&link.other)).map(|link| &link.other) {
                let owner = self.look(transient).and_then(|links| latest_customer(&links));
                if owner.as_ref() == Some(customer) {
                    owned.insert(transient.clone());
                }
            }
        }
        owned
    }
}

/// The customer id of the latest link, the greater id at equal times.
fn latest_customer(links: &Links) -> Option<Box<str>> {
    let customers = links.live().filter(|link| !is_transient(&link.other));
    customers.max_by_key(|link| (link.time_ms, &*link.other)).map(|link| link.other.clone())
}

/// The customer ids that somebody declared to be this one.
fn explicit(links: &Links) -> impl Iterator<Item = &str> {
    let explicit = links.live().filter(|link| link.kind == LinkKind::Explicit);
    explicit.map(|link| &*link.other).filter(|other| !is_transient(other))
}

/// Whether one of the joined ids holds an explicit link to an id.
fn holds<L: Deref<Target = Links>>(joined: &BTreeMap<Box<str>, Option<L>>, holder: &str, id: &str) -> bool {
    let links = joined.get(holder).and_then(|links| links.as_deref());
    links.is_some_and(|links| links.linked(id) == Some(LinkKind::Explicit))
}

#[cfg(test)]
mod tests;
