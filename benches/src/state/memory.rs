//! Bytes of rows by what the process has resident, and of the deduplication set.

use anyhow::{Context, Result};
use tactful_core::hash;
use tactful_core::state::{Chosen, DecisionMade, Dedup, Entry, FactTold, Schema, Slot, Value};

use crate::customers::{Customers, PARTITIONS, id, tracked};
use crate::decide::now_ms;
use crate::rng::Rng;

/// Customers that get side data at most: enough for the figure.
const WITH_SIDE: usize = 100_000;
/// A decision is an interaction and a contact, so both make 50 interactions.
const CONTACTS: usize = 20;
const EVENTS: usize = 30;
const FACTS: [&str; 5] = ["language", "contact_time", "household", "moves_in_may", "has_a_dog"];

/// What was measured.
pub(super) struct Memory {
    pub(super) each: f64,
    pub(super) slots: usize,
    pub(super) side_each: f64,
    pub(super) dedup: usize,
}

pub(super) fn measure(schema: &Schema, count: usize) -> Result<Memory> {
    let before = resident()?;
    let customers = Customers::unknown(schema, count);
    let with_rows = resident()?;
    let with_side = count.min(WITH_SIDE);
    add_sides(&customers, schema, with_side);
    let with_sides = resident()?;
    let dedup = dedup(count);
    let per = |bytes: usize, count: usize| bytes as f64 / count as f64;
    Ok(Memory {
        each: per(with_rows.saturating_sub(before), count),
        slots: schema.slot_count() * size_of::<Slot>(),
        side_each: per(with_sides.saturating_sub(with_rows), with_side),
        dedup,
    })
}

/// Folds side data into the first customers, entry by entry as the applier does.
fn add_sides(customers: &Customers, schema: &Schema, count: usize) {
    let (mut rng, now_ms) = (Rng::new(8), now_ms());
    let chosen = [Chosen { action: "action_00001", channel: "web" }];
    for number in 0..count {
        let id = id(number);
        let apply = |entry: Entry<'_>| {
            customers.apply(schema, &id, &entry, now_ms);
        };
        for made in 0..CONTACTS {
            let time_ms = now_ms - made as i64 * 60_000;
            apply(Entry::Decision(DecisionMade { time_ms, matter_id: "", chosen: &chosen }));
        }
        for _ in 0..EVENTS {
            let time_ms = now_ms - rng.below(20 * 86_400_000) as i64;
            apply(Entry::Event(tracked(&mut rng, time_ms, &[])));
        }
        for key in FACTS {
            let value = Some(Value::Text("evening"));
            let (expires_ms, time_ms) = (None, now_ms);
            let told = FactTold { key, value, purpose: "", expires_ms, time_ms, channel: "web", source: "form" };
            apply(Entry::Fact(told));
        }
    }
}

/// Bytes of the sets of all partitions after one message of each customer.
fn dedup(customers: usize) -> usize {
    let options = tactful_engine::Options::default();
    let set = |_| Dedup::new(options.dedup_horizon_ms, options.dedup_ids_min);
    let mut sets: Vec<Dedup> = (0..PARTITIONS).map(set).collect();
    let now_ms = now_ms();
    for number in 0..customers {
        let id = id(number);
        sets[usize::from(hash::partition(&id, PARTITIONS))].insert(hash::content(id.as_bytes()), now_ms);
    }
    sets.iter().map(Dedup::bytes).sum()
}

/// Bytes of this process in memory.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is read from /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    let kib: usize = line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS is no number")?;
    Ok(kib << 10)
}
