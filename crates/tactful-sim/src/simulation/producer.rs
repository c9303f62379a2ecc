//! A producer that knows what it sent and what was acknowledged, and a recount of what the log holds that shares
//! no code with the engine's fold.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_types::Timestamp;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use tactful_engine::LinkCommand;
use tactful_log::Partition;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{EventBody, Property, Record};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use super::log::State;

/// Customers, and visitors that may turn out to be one of them.
pub(super) const SUBJECTS: [&str; 8] = [
    "customer:0",
    "customer:1",
    "customer:2",
    "customer:3",
    "customer:4",
    "customer:5",
    "anon:visitor-0",
    "anon:visitor-1",
];
const CUSTOMERS: usize = 6;
/// The event that counts, and the property that numbers it.
const ORDER: &str = "Order Placed";
const NUMBER: &str = "number";
/// Event time of number 0, in seconds since 1970: the past, so that an erasure bars all.
const START_S: i64 = 1_700_000_000;

/// What is sent, again and again until it is acknowledged.
#[derive(Clone)]
pub(super) enum Sent {
    Item(Box<v1::IngestItem>),
    Link(Box<LinkCommand>),
}

/// What was sent.
#[derive(Default)]
pub(super) struct Producer {
    made: u64,
    /// Everything, by number.
    pub(super) messages: BTreeMap<u64, Sent>,
    /// Sent, or about to be, and not acknowledged.
    pub(super) pending: BTreeSet<u64>,
    pub(super) acknowledged: BTreeSet<u64>,
    /// Orders that were acknowledged and that the log lost since.
    pub(super) lost: BTreeSet<u64>,
    /// Who was to be erased, and who is.
    pub(super) to_erase: BTreeSet<&'static str>,
}

/// Number and sum of a subject id's orders, in hundredths.
pub(super) type Counts = BTreeMap<String, (u64, i64)>;

impl Producer {
    /// Makes some new messages; answers their numbers.
    pub(super) fn make(&mut self, rng: &mut Pcg64Mcg, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| {
                let number = self.made;
                self.made += 1;
                let message = message(rng, number);
                self.messages.insert(number, message);
                self.pending.insert(number);
                number
            })
            .collect()
    }

    /// Orders that somebody else writes to the log, past this node.
    pub(super) fn foreign(
        &mut self,
        rng: &mut Pcg64Mcg,
        partitions: u16,
        count: usize,
    ) -> Vec<(Partition, bytes::Bytes)> {
        (0..count)
            .map(|_| {
                let number = self.made;
                self.made += 1;
                let subject_id = SUBJECTS[rng.gen_range(0..SUBJECTS.len())];
                let event = EventBody {
                    r#type: v1::EventType::Track.into(),
                    name: ORDER.into(),
                    event_ms: (START_S + number as i64) * 1_000,
                    properties: vec![
                        Property { key: NUMBER.into(), value: Some(value(number as f64)) },
                        Property { key: "total".into(), value: Some(value(total(number))) },
                    ],
                    ..EventBody::default()
                };
                let record = Record {
                    message_hash: tactful_core::hash::content(&number.to_be_bytes()).max(1),
                    subject_id: subject_id.into(),
                    received_ms: event.event_ms,
                    body: Some(Body::Event(event)),
                };
                let partition = tactful_core::hash::partition(subject_id, partitions);
                (Partition::Data(partition), record.encode_to_vec().into())
            })
            .collect()
    }

    pub(super) fn acknowledge(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.pending.remove(number);
            self.acknowledged.insert(*number);
        }
    }

    /// Orders that were acknowledged, by number, but for those of who was to be erased: they may have come late, and
    /// are then not even written.
    pub(super) fn acknowledged_orders(&self) -> impl Iterator<Item = u64> + '_ {
        let is_kept = |subject_id: &str| !self.to_erase.contains(subject_id);
        let is_kept_order = move |number: &u64| self.messages.get(number).and_then(order_of).is_some_and(is_kept);
        self.acknowledged.iter().copied().filter(is_kept_order)
    }
}

/// Whose order a message is; none if it is none.
fn order_of(message: &Sent) -> Option<&str> {
    let Sent::Item(item) = message else { return None };
    match &item.item {
        Some(v1::ingest_item::Item::Event(event)) if event.name == ORDER => Some(&event.subject_id),
        _ => None,
    }
}

/// Numbers of the orders that the log holds.
pub(super) fn orders_of(state: &State) -> BTreeSet<u64> {
    orders(state).map(|(number, ..)| number).collect()
}

/// What the log says of every subject id, recounted entry by entry.
pub(super) fn recount(state: &State, erased: &BTreeSet<&'static str>) -> Counts {
    let mut counts = Counts::new();
    let mut counted = BTreeSet::new();
    for (number, subject_id, cents) in orders(state) {
        if counted.insert(number) && !erased.contains(subject_id.as_str()) {
            let (count, sum) = counts.entry(subject_id).or_default();
            *count += 1;
            *sum += cents;
        }
    }
    counts
}

/// Number, subject id and total of each entry that is an order.
fn orders(state: &State) -> impl Iterator<Item = (u64, String, i64)> + '_ {
    state.history().filter_map(|payload| {
        let record = Record::decode(payload.as_ref()).ok()?;
        let Some(Body::Event(event)) = record.body else { return None };
        let find = |key: &str| {
            let property = event.properties.iter().find(|property| property.key == key)?;
            match property.value.as_ref()?.kind.as_ref()? {
                Kind::Number(number) => Some(*number),
                _ => None,
            }
        };
        (event.name == ORDER).then_some(())?;
        Some((find(NUMBER)? as u64, record.subject_id, (find("total")? * 100.0).round() as i64))
    })
}

fn total(number: u64) -> f64 {
    1.0 + (number % 97) as f64 / 4.0
}

fn value(number: f64) -> v1::Value {
    v1::Value { kind: Some(Kind::Number(number)) }
}

fn message(rng: &mut Pcg64Mcg, number: u64) -> Sent {
    let subject_id = SUBJECTS[rng.gen_range(0..SUBJECTS.len())].to_owned();
    let customer = SUBJECTS[rng.gen_range(0..CUSTOMERS)].to_owned();
    let message_id = format!("m{number}");
    let event_time = Some(Timestamp { seconds: START_S + number as i64, nanos: 0 });
    let item = match rng.gen_range(0..100) {
        0..=7 => {
            let other_id = SUBJECTS[rng.gen_range(0..SUBJECTS.len())].to_owned();
            if other_id != customer {
                let linked = rng.gen_bool(0.7);
                let source = String::new();
                let link = LinkCommand { message_id, subject_id: customer, other_id, event_time, source, linked };
                return Sent::Link(Box::new(link));
            }
            identify(message_id, customer, String::new(), event_time, number)
        }
        8..=15 => identify(message_id, customer, SUBJECTS[CUSTOMERS][5..].to_owned(), event_time, number),
        16..=22 => v1::ingest_item::Item::Consent(v1::Consent {
            subject_id,
            message_id,
            purpose: "ads".into(),
            allowed: rng.gen_bool(0.5),
            event_time,
            ..v1::Consent::default()
        }),
        23..=29 => v1::ingest_item::Item::Fact(v1::Fact {
            subject_id,
            message_id,
            key: "contact_time".into(),
            value: rng.gen_bool(0.8).then(|| value(number as f64)),
            event_time,
            ..v1::Fact::default()
        }),
        _ => v1::ingest_item::Item::Event(v1::Event {
            message_id,
            subject_id,
            r#type: v1::EventType::Track.into(),
            name: ORDER.into(),
            event_time,
            properties: [("total".into(), value(total(number))), (NUMBER.into(), value(number as f64))].into(),
            ..v1::Event::default()
        }),
    };
    Sent::Item(Box::new(v1::IngestItem { item: Some(item) }))
}

fn identify(
    message_id: String,
    subject_id: String,
    anonymous_id: String,
    event_time: Option<Timestamp>,
    number: u64,
) -> v1::ingest_item::Item {
    v1::ingest_item::Item::Event(v1::Event {
        message_id,
        subject_id,
        r#type: v1::EventType::Identify.into(),
        anonymous_id,
        event_time,
        properties: [("age".into(), value((number % 80) as f64))].into(),
        ..v1::Event::default()
    })
}
