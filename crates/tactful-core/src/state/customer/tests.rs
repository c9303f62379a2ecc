//! Customers from links: any order, any repetition, either half; shared devices; unlinking; bounds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::LinkKind::{Explicit, Implied, Unlinked};
use super::*;
use crate::hash;
use crate::limits::LINKS_MAX;

/// What was said of two ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    ids: [String; 2],
    time_ms: i64,
    kind: LinkKind,
}

fn said(one: &str, other: &str, time_ms: i64, kind: LinkKind) -> Said {
    Said { ids: [one.into(), other.into()], time_ms, kind }
}

/// The links of all ids, fed by halves as the partitions of the log bring them.
#[derive(Default)]
struct Graph(BTreeMap<String, Links>);

impl Graph {
    fn of<'a>(all: impl IntoIterator<Item = &'a Said>) -> Self {
        let mut graph = Self::default();
        all.into_iter().for_each(|said| graph.half(said));
        graph
    }

    /// Either half says it of both ids.
    fn half(&mut self, said: &Said) {
        let [one, other] = &said.ids;
        for (id, other) in [(one, other), (other, one)] {
            self.0.entry(id.clone()).or_default().insert(other, said.time_ms, said.kind);
        }
    }

    fn customer(&self, id: &str) -> Linked {
        customer_ids(id, |id| self.0.get(id))
    }

    fn ids(&self, id: &str) -> Vec<String> {
        self.customer(id).ids.iter().map(|id| id.to_string()).collect()
    }
}

/// The definition, slow and obvious: the latest statement of each pair, owners, and joining until
/// nothing more joins.
fn expected(all: &[Said], id: &str) -> Vec<String> {
    let mut latest: BTreeMap<BTreeSet<&str>, (i64, LinkKind)> = BTreeMap::new();
    for said in all {
        let pair = said.ids.iter().map(String::as_str).collect();
        let held = latest.entry(pair).or_insert((said.time_ms, said.kind));
        *held = (*held).max((said.time_ms, said.kind));
    }
    let live = || latest.iter().filter(|(_, (_, kind))| *kind != Unlinked);
    let others = |id: &str| -> Vec<(i64, &str, LinkKind)> {
        let of = live().filter(|(pair, _)| pair.contains(id));
        of.map(|(pair, (time, kind))| (*time, *pair.iter().find(|other| **other != id).unwrap(), *kind)).collect()
    };
    let owner = |transient: &str| others(transient).into_iter().max().map(|(_, owner, _)| owner.to_owned());
    let root = if is_transient(id) { owner(id) } else { Some(id.to_owned()) };
    let Some(root) = root else { return vec![id.to_owned()] };
    let mut customer = BTreeSet::from([root]);
    loop {
        let before = customer.len();
        for member in customer.clone() {
            for (_, other, kind) in others(&member) {
                let joins = if is_transient(other) { owner(other).as_ref() == Some(&member) } else { kind == Explicit };
                if joins && !is_transient(&member) {
                    customer.insert(other.to_owned());
                }
            }
        }
        if customer.len() == before {
            return customer.into_iter().collect();
        }
    }
}

const IDS: [&str; 9] =
    ["anon:a", "anon:b", "device:x", "device:y", "customer:1", "customer:2", "customer:3", "customer:4", "zoe"];

/// Few ids and times, so that pairs are linked and unlinked again and again, and ties are met.
fn statements() -> impl Strategy<Value = Vec<Said>> {
    let kind = prop::sample::select(vec![Implied, Explicit, Explicit, Unlinked]);
    let one = (prop::sample::subsequence(IDS.to_vec(), 2), any::<bool>(), 0i64..12, kind);
    let said = one.prop_map(|(ids, turned, time_ms, kind)| {
        let (one, other) = if turned { (ids[1], ids[0]) } else { (ids[0], ids[1]) };
        // What implies a link names a transient id and a customer's.
        let implied = kind == Implied && is_transient(one) == is_transient(other);
        said(one, other, time_ms, if implied { Explicit } else { kind })
    });
    let of_customers =
        said.prop_filter("two transient ids are never linked", |said| !said.ids.iter().all(|id| is_transient(id)));
    prop::collection::vec(of_customers, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_ids_of_a_customer_are_those_of_the_definition(all in statements()) {
        let graph = Graph::of(&all);
        for id in IDS {
            prop_assert_eq!(graph.ids(id), expected(&all, id), "{}", id);
        }
    }

    #[test]
    fn any_order_any_repetition_and_either_half_missing_give_the_same_customer(
        all in statements(), seed in any::<u64>(),
    ) {
        let (whole, mut disturbed) = (Graph::of(&all), Graph::default());
        let mut halves: Vec<(u64, &Said)> = Vec::new();
        for (index, said) in all.iter().enumerate() {
            // One half, the other, both, or one of them twice; nothing comes in its order.
            for copy in 0..1 + hash::keyed(seed, &[index as u8, 9]) % 2 {
                halves.push((hash::keyed(seed, &[index as u8, copy as u8]), said));
            }
        }
        halves.sort();
        halves.iter().for_each(|(_, said)| disturbed.half(said));
        for id in IDS {
            prop_assert_eq!(whole.customer(id), disturbed.customer(id), "{}", id);
        }
    }

    // As a start from snapshots does: each row holds what was said of its own id.
    #[test]
    fn the_links_of_all_rows_give_the_same_customers(all in statements()) {
        let (whole, mut rows, mut again) = (Graph::of(&all), BTreeMap::<&str, Links>::new(), Graph::default());
        for said in &all {
            let [one, other] = &said.ids;
            rows.entry(one).or_default().insert(other, said.time_ms, said.kind);
        }
        for (id, links) in &rows {
            links.statements().for_each(|(other, time_ms, kind)| again.half(&said(id, other, time_ms, kind)));
        }
        for id in IDS {
            prop_assert_eq!(whole.customer(id), again.customer(id), "{}", id);
        }
    }

    #[test]
    fn every_id_belongs_to_one_customer_whoever_is_asked(all in statements()) {
        let graph = Graph::of(&all);
        for id in IDS {
            let ids = graph.ids(id);
            prop_assert!(ids.is_sorted() && ids.iter().any(|own| own == id), "{}: {:?}", id, ids);
            for other in &ids {
                prop_assert_eq!(&graph.ids(other), &ids, "{} as seen from {}", id, other);
            }
        }
    }

    #[test]
    fn what_is_unlinked_and_linked_again_is_linked(all in statements()) {
        let again = [said("customer:1", "customer:2", 90, Unlinked), said("customer:1", "customer:2", 91, Explicit)];
        let linked: Vec<Said> = all.iter().chain(&again).cloned().collect();
        let graph = Graph::of(linked.iter().rev());
        prop_assert!(graph.ids("customer:1").contains(&"customer:2".to_owned()));
    }

    #[test]
    fn unlinking_one_id_leaves_all_others_as_they_were(all in statements()) {
        // Everything that was ever said of one device is undone.
        let undone = IDS.map(|id| said("device:x", id, 99, Unlinked));
        let after: Vec<Said> = all.iter().chain(undone.iter().filter(|said| said.ids[1] != "device:x")).cloned().collect();
        let (before, after) = (Graph::of(&all), Graph::of(&after));
        for id in IDS.into_iter().filter(|id| *id != "device:x") {
            let mut ids = before.ids(id);
            ids.retain(|id| id != "device:x");
            prop_assert_eq!(after.ids(id), ids);
        }
        prop_assert_eq!(after.ids("device:x"), ["device:x"]);
    }
}

#[test]
fn a_shared_device_glues_nobody_together() {
    let at_noon = said("customer:anna", "device:kitchen", 12, Implied);
    let at_one = said("device:kitchen", "customer:bert", 13, Explicit);
    let graph = Graph::of([&at_noon, &at_one]);
    assert_eq!(graph.ids("customer:anna"), ["customer:anna"]);
    assert_eq!(graph.ids("customer:bert"), ["customer:bert", "device:kitchen"]);
    assert_eq!(graph.ids("device:kitchen"), ["customer:bert", "device:kitchen"]);
    // It goes back to whom it was linked with before, if that was never undone.
    let gone = said("device:kitchen", "customer:bert", 14, Unlinked);
    let graph = Graph::of([&gone, &at_noon, &at_one]);
    assert_eq!(graph.ids("device:kitchen"), ["customer:anna", "device:kitchen"]);
    assert_eq!(graph.ids("customer:bert"), ["customer:bert"]);
}

#[test]
fn only_an_explicit_link_joins_two_customers() {
    let implied = said("customer:1", "customer:2", 1, Implied);
    assert_eq!(Graph::of([&implied]).ids("customer:1"), ["customer:1"]);
    let chain = [said("customer:1", "customer:2", 1, Explicit), said("customer:3", "customer:2", 1, Explicit)];
    assert_eq!(Graph::of(&chain).ids("customer:3"), ["customer:1", "customer:2", "customer:3"]);
}

#[test]
fn of_forty_ids_the_same_32_are_read_whichever_is_asked() {
    let ids: Vec<String> = (10..50).map(|n| format!("customer:{n}")).collect();
    let chain: Vec<Said> = ids.windows(2).map(|pair| said(&pair[0], &pair[1], 1, Explicit)).collect();
    let graph = Graph::of(chain.iter().rev());
    for id in &ids {
        let linked = graph.customer(id);
        assert!(linked.truncated);
        assert_eq!(linked.ids.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ids[..LINKED_IDS_MAX]);
    }
    let whole = Graph::of(&chain[..LINKED_IDS_MAX - 1]).customer(&ids[0]);
    assert_eq!((whole.ids.len(), whole.truncated), (LINKED_IDS_MAX, false));
}

#[test]
fn many_visitor_ids_never_push_out_the_customers_own() {
    let visits: Vec<Said> =
        (100..140).map(|n| said("customer:1", &format!("anon:{n}"), i64::from(n), Implied)).collect();
    let graph = Graph::of(&visits);
    let linked = graph.customer("anon:139");
    assert!(linked.truncated && linked.ids.contains(&"customer:1".into()));
    assert_eq!(&*linked.ids[LINKED_IDS_MAX - 2], "anon:130", "the others are the smallest");
    assert_eq!(graph.customer("customer:1"), linked);
}

#[test]
fn a_link_that_one_end_has_forgotten_counts_for_neither() {
    let mut all = vec![said("customer:old", "customer:busy", 1, Explicit), said("anon:a", "customer:busy", 2, Implied)];
    all.extend((0..LINKS_MAX as i64).map(|n| said("customer:busy", &format!("anon:{n}"), 10 + n, Unlinked)));
    let graph = Graph::of(&all);
    for id in ["customer:old", "customer:busy", "anon:a"] {
        assert_eq!(graph.ids(id), [id]);
    }
}

#[test]
fn a_search_without_end_gives_up_and_says_so() {
    let ids: Vec<String> = (10_000..10_000 + 2 * LINK_STEPS_MAX).map(|n| format!("c{n}")).collect();
    let chain: Vec<Said> = ids.windows(2).map(|pair| said(&pair[0], &pair[1], 1, Explicit)).collect();
    let linked = Graph::of(&chain).customer(&ids[0]);
    assert_eq!((linked.ids.len(), linked.truncated), (LINKED_IDS_MAX, true));
}
