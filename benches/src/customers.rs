//! Customers in memory, in the rows of the engine. They are copied from some folded templates, since folding a
//! million would take longer than measuring.

use std::sync::{PoisonError, RwLock};

use tactful_core::hash;
use tactful_core::state::{Applied, CustomerView, Entry, Event, EventKind, Names, Row, Schema, Value, apply};
use tactful_engine::Rows;

use crate::catalog::{EVENTS, FLAG_TRAITS, NUMBER_TRAITS, TRAIT_MAX, feature_name};
use crate::rng::Rng;

/// Partitions of a server with default settings.
pub(crate) const PARTITIONS: u16 = 16;
/// Different rows; the others are copies.
const TEMPLATES: usize = 4_096;
/// Tracked events behind each template.
const EVENTS_EACH: usize = 12;

/// All rows.
pub struct Customers {
    partitions: Vec<Partition>,
    count: usize,
}

struct Partition {
    rows: Rows,
    names: RwLock<Names>,
}

impl Customers {
    /// This many customers with ids of [`id`], known since the days before `now_ms`.
    #[must_use]
    pub fn new(schema: &Schema, count: usize, now_ms: i64) -> Self {
        let mut names = Names::new();
        let mut rng = Rng::new(3);
        let templates: Vec<Row> =
            (0..TEMPLATES.min(count)).map(|_| template(schema, &mut names, &mut rng, now_ms)).collect();
        Self::filled(count, &names, &templates)
    }

    /// This many customers of whom nothing is known.
    #[must_use]
    pub fn unknown(schema: &Schema, count: usize) -> Self {
        Self::filled(count, &Names::new(), &[Row::new(schema)])
    }

    fn filled(count: usize, names: &Names, templates: &[Row]) -> Self {
        let partition = |_| Partition { rows: Rows::new(PARTITIONS), names: RwLock::new(names.clone()) };
        let customers = Self { partitions: (0..PARTITIONS).map(partition).collect(), count };
        for number in 0..count {
            let id = id(number);
            // A copy is written out in full, so that its memory counts as used.
            let row = templates[number % templates.len()].clone();
            customers.of(&id).rows.insert(&id, row);
        }
        customers
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The view of a customer: one look-up, the row copied out under its shard's lock.
    #[must_use]
    pub fn view(&self, schema: &Schema, id: &str, now_ms: i64) -> CustomerView {
        match self.of(id).rows.get(id) {
            Some(row) => CustomerView::read(schema, &[row.value()], now_ms),
            None => CustomerView::unknown(schema),
        }
    }

    /// Folds an entry into the row of a known customer.
    ///
    /// # Panics
    /// If it is not known.
    pub fn apply(&self, schema: &Schema, id: &str, entry: &Entry<'_>, received_ms: i64) -> Applied {
        let partition = self.of(id);
        let mut names = partition.names.write().unwrap_or_else(PoisonError::into_inner);
        let mut row = partition.rows.get_mut(id).expect("customers are made before events come");
        apply(schema, &mut names, row.value_mut(), entry, received_ms)
    }

    fn of(&self, id: &str) -> &Partition {
        &self.partitions[usize::from(hash::partition(id, PARTITIONS))]
    }
}

/// Id of a customer.
#[must_use]
pub fn id(number: usize) -> String {
    format!("customer-{number}")
}

/// All traits of one customer, sorted by name.
#[must_use]
pub fn traits(rng: &mut Rng) -> Vec<(String, f64)> {
    let value = |number, rng: &mut Rng| match number {
        0..NUMBER_TRAITS => rng.unit() * TRAIT_MAX,
        _ => rng.below(2) as f64,
    };
    (0..NUMBER_TRAITS + FLAG_TRAITS).map(|number| (feature_name(number), value(number, rng))).collect()
}

fn template(schema: &Schema, names: &mut Names, rng: &mut Rng, now_ms: i64) -> Row {
    let mut row = Row::new(schema);
    let traits = traits(rng);
    let properties: Vec<(&str, Value<'_>)> =
        traits.iter().map(|(name, value)| (name.as_str(), Value::Number(*value))).collect();
    let identified = Event {
        kind: EventKind::Identify,
        name: "",
        time_ms: now_ms - 20 * 86_400_000,
        channel: "",
        matter_id: "",
        properties: &properties,
    };
    apply(schema, names, &mut row, &Entry::Event(identified), now_ms);
    for _ in 0..EVENTS_EACH {
        let time_ms = now_ms - rng.below(20 * 86_400_000) as i64;
        let properties = [("amount", Value::Number((rng.unit() * 1e4).round() / 1e2))];
        apply(schema, names, &mut row, &Entry::Event(tracked(rng, time_ms, &properties)), now_ms);
    }
    row
}

/// A tracked event of any name.
#[must_use]
pub fn tracked<'a>(rng: &mut Rng, time_ms: i64, properties: &'a [(&'a str, Value<'a>)]) -> Event<'a> {
    Event {
        kind: EventKind::Track,
        name: EVENTS[rng.below(EVENTS.len())],
        time_ms,
        channel: "web",
        matter_id: "",
        properties,
    }
}

#[cfg(test)]
mod tests {
    use tactful_core::ruleset::Ruleset;

    use super::*;

    #[test]
    fn customers_are_known_and_events_reach_them() {
        let ruleset = Ruleset::compile(&crate::catalog::catalog(10)).unwrap();
        let (schema, now_ms) = (&ruleset.schema, 1_700_000_000_000);
        let customers = Customers::new(schema, 50, now_ms);
        let before = customers.view(schema, &id(7), now_ms);
        assert!(before.known && !customers.view(schema, &id(50), now_ms).known);
        let missing = before.readings(schema, now_ms).iter().filter(|reading| reading.value.is_nan()).count();
        assert!(missing < 16, "{missing} of 64 features are missing");
        let properties = [("amount", Value::Number(3.5))];
        let event = Entry::Event(tracked(&mut Rng::new(1), now_ms, &properties));
        let applied = customers.apply(schema, &id(7), &event, now_ms);
        assert_eq!((applied.late, applied.out_of_range), (0, false));
        assert_ne!(customers.view(schema, &id(7), now_ms), before);
    }
}
