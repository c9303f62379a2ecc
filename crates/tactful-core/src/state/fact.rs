//! What customers told of themselves, key by key: the latest telling counts, a retraction is one too, and what has
//! expired as of now reads as missing.
//!
//! A row keeps every key that was ever told, whether a catalogue declares it or not: the fold reads nothing of the
//! catalogue. A declared one becomes the field `fact.<key>`. It refuses to guess: a value of another kind than the
//! declared one reads as missing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bytes::{Malformed, Reader, put_text};
use super::latest::{Latest, Statement};
use super::names::{Names, Table};
use super::schema::Schema;
use super::{Row, Value, view};
use crate::layout::FieldKind;
use crate::limits::FACTS_MAX;

/// Least bytes of a fact: empty text, time, ids, lengths, kind.
pub(crate) const FACT_LEAST: usize = 18;

/// The facts of a row.
pub(crate) type Facts = Latest<Fact, FACTS_MAX>;

/// A fact that the catalogue declares.
#[derive(Clone, Debug)]
pub struct FactField {
    /// Key; rules and models read `fact.<key>`.
    pub key: String,
    /// What values it takes.
    pub kind: FieldKind,
    /// Index of its purpose.
    pub purpose: usize,
    /// How long it holds after it was told, in seconds; for good if none.
    pub expires_after_s: Option<u32>,
}

/// What kind of value was told. In the order of which wins at one time: a retraction beats all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Flag,
    Number,
    Text,
    Nothing,
}

/// One fact in 32 bytes and one text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    /// Key, purpose, expiry in Unix seconds and value, one after the other: five facts must not take a customer
    /// beyond what side data may weigh.
    text: Box<str>,
    time_ms: i64,
    /// Ids among the partition's names.
    channel: u16,
    source: u16,
    /// Bytes of key, purpose and expiry.
    lengths: [u8; 3],
    told: Told,
}

const _: () = assert!(size_of::<Fact>() == 32);
const _: () = assert!(crate::limits::ID_BYTES_MAX <= u8::MAX as usize, "a key's length is a byte");

/// Whether a fact can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactState {
    /// It holds.
    Present,
    /// It held until its expiry.
    Expired,
    /// The customer does not allow its purpose.
    Denied,
}

/// A fact as of now.
#[derive(Clone, Debug, PartialEq)]
pub struct FactReading {
    /// Key.
    pub key: String,
    /// The value; none unless present.
    pub value: Option<FactValue>,
    /// Whether it can be used.
    pub state: FactState,
    /// Whether the catalogue declares it, so that rules may read it.
    pub declared: bool,
    /// Channel in which it was told; may be empty.
    pub channel: String,
    /// Where it comes from; may be empty.
    pub source: String,
    /// Purpose of the data.
    pub purpose: String,
    /// When it was told, in Unix milliseconds.
    pub time_ms: i64,
    /// From when on it does not hold, in Unix seconds; for good if none.
    pub expires_s: Option<i64>,
}

/// Value of a fact.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FactValue {
    Number(f64),
    Text(String),
    Flag(bool),
}

/// What a fact says, on its way into a row.
pub(crate) struct Saying<'a> {
    pub(crate) key: &'a str,
    pub(crate) purpose: &'a str,
    /// None for a retraction.
    pub(crate) value: Option<Value<'a>>,
    pub(crate) expires_s: Option<u32>,
    pub(crate) time_ms: i64,
    pub(crate) channel: u16,
    pub(crate) source: u16,
}

impl Fact {
    /// The fact that somebody tells; none if key or purpose are too long, or the number is not finite.
    pub(crate) fn new(saying: &Saying<'_>) -> Option<Self> {
        let expiry = saying.expires_s.map_or_else(String::new, |seconds| seconds.to_string());
        let (told, value) = match saying.value {
            None => (Told::Nothing, String::new()),
            Some(Value::Flag(flag)) => (Told::Flag, flag.to_string()),
            // Adding zero turns -0 into 0: equal values have equal texts, short ones in this form.
            Some(Value::Number(number)) => (Told::Number, format!("{:e}", number.is_finite().then_some(number)? + 0.0)),
            Some(Value::Text(text)) => (Told::Text, text.to_owned()),
        };
        let length = |text: &str| u8::try_from(text.len()).ok();
        Some(Self {
            lengths: [length(saying.key)?, length(saying.purpose)?, length(&expiry)?],
            text: [saying.key, saying.purpose, &expiry, &value].concat().into(),
            time_ms: saying.time_ms,
            channel: saying.channel,
            source: saying.source,
            told,
        })
    }

    /// Key, purpose, expiry and value.
    fn parts(&self) -> [&str; 4] {
        let [key, purpose, expiry] = self.lengths.map(usize::from);
        let (key, rest) = self.text.split_at(key);
        let (purpose, rest) = rest.split_at(purpose);
        let (expiry, value) = rest.split_at(expiry);
        [key, purpose, expiry, value]
    }

    /// What is told, for whoever may read it; none for a retraction.
    fn value(&self) -> Option<Value<'_>> {
        let [_, _, _, value] = self.parts();
        match self.told {
            Told::Nothing => None,
            Told::Flag => Some(Value::Flag(value == "true")),
            Told::Number => value.parse().ok().map(Value::Number),
            Told::Text => Some(Value::Text(value)),
        }
    }

    /// From when on it does not hold: the earlier of what was told and what the catalogue says.
    fn expires_s(&self, field: Option<&FactField>) -> Option<i64> {
        let [_, _, expiry, _] = self.parts();
        let declared = field.and_then(|field| field.expires_after_s);
        let declared = declared.map(|seconds| self.time_ms.div_euclid(1_000) + i64::from(seconds));
        let told = expiry.parse().ok();
        told.into_iter().chain(declared).min()
    }

    /// Whether the customer allows it: both the purpose that it was told for and the declared one.
    fn is_allowed(&self, schema: &Schema, field: Option<&FactField>, purposes: u64) -> bool {
        let allowed = |purpose: usize| purposes >> purpose & 1 == 1;
        let [_, purpose, ..] = self.parts();
        let told_for = purpose.is_empty() || schema.purpose(purpose).is_some_and(allowed);
        told_for && field.is_none_or(|field| allowed(field.purpose))
    }

    /// Which of two of one key is later, whatever the names of their partitions.
    fn order(&self, other: &Self) -> Ordering {
        let rank = |fact: &Self| (fact.time_ms, fact.told, fact.lengths);
        rank(self).cmp(&rank(other)).then_with(|| self.text.cmp(&other.text))
    }

    /// Whether it replaces another of the same row.
    pub(crate) fn is_later(&self, other: &Self, names: &Names) -> bool {
        let words = |fact: &Self| [names.channels.text(fact.channel), names.sources.text(fact.source)];
        self.order(other).then_with(|| words(self).cmp(&words(other))).is_gt()
    }

    /// As a digest takes it: text, then numbers.
    pub(crate) fn digested(&self) -> (&str, [u64; 2]) {
        let [key, purpose, expiry] = self.lengths.map(u64::from);
        (&self.text, [self.time_ms as u64, key << 24 | purpose << 16 | expiry << 8 | self.told as u64])
    }

    /// Ids of channel and source.
    pub(crate) fn names(&self) -> (u16, u16) {
        (self.channel, self.source)
    }

    /// Appends it as bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.text);
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.channel.to_le_bytes());
        out.extend_from_slice(&self.source.to_le_bytes());
        out.extend_from_slice(&self.lengths);
        out.push(self.told as u8);
    }

    /// Reads it back.
    pub(crate) fn decode(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let text: Box<str> = bytes.text()?.into();
        let (time_ms, channel, source) = (bytes.i64()?, bytes.u16()?, bytes.u16()?);
        let lengths = [bytes.u8()?, bytes.u8()?, bytes.u8()?];
        let told = match bytes.u8()? {
            0 => Told::Flag,
            1 => Told::Number,
            2 => Told::Text,
            3 => Told::Nothing,
            _ => return Err(Malformed("holds a fact of an unknown kind")),
        };
        let mut end = 0;
        for length in lengths {
            end += usize::from(length);
            if !text.is_char_boundary(end) {
                return Err(Malformed("holds a fact whose parts do not fit"));
            }
        }
        Ok(Self { text, time_ms, channel, source, lengths, told })
    }
}

impl Statement for Fact {
    fn key(&self) -> &str {
        self.parts()[0]
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }
}

/// Appends the declared facts as of now, NaN for what is untold, taken back, expired or denied. No allocation.
pub(crate) fn derive(schema: &Schema, rows: &[&Row], purposes: u64, now_s: i64, derived: &mut Vec<f32>) {
    for field in schema.facts() {
        let told = rows.iter().filter_map(|row| row.facts()?.get(&field.key));
        let told = told.filter(|fact| is_seen(fact, now_s)).max_by(|a, b| a.order(b));
        derived.push(told.map_or(f32::NAN, |fact| read(schema, field, fact, purposes, now_s)));
    }
}

fn read(schema: &Schema, field: &FactField, fact: &Fact, purposes: u64, now_s: i64) -> f32 {
    let expired = fact.expires_s(Some(field)).is_some_and(|expiry_s| expiry_s <= now_s);
    if expired || !fact.is_allowed(schema, Some(field), purposes) {
        return f32::NAN;
    }
    fact.value().and_then(|value| field.value(value)).unwrap_or(f32::NAN)
}

/// A question about the past does not see what was told after.
fn is_seen(fact: &Fact, now_s: i64) -> bool {
    fact.time_ms.div_euclid(1_000).try_into().is_ok_and(|time_s| view::visible(time_s, now_s))
}

impl FactField {
    /// A value as its field holds it; none if it is none that the fact takes.
    #[must_use]
    pub fn value(&self, value: Value<'_>) -> Option<f32> {
        match (&self.kind, value) {
            (FieldKind::Number, Value::Number(number)) => Some(number as f32).filter(|number| number.is_finite()),
            (FieldKind::Bool, Value::Flag(flag)) => Some(f32::from(u8::from(flag))),
            (FieldKind::Category(words), Value::Text(text)) => {
                words.iter().position(|word| word == text).map(|index| index as f32)
            }
            _ => None,
        }
    }
}

/// The facts of the rows of one customer, each with the names of its partition.
#[derive(Clone, Debug, Default)]
pub struct JoinedFacts(Vec<(Fact, String, String)>);

impl JoinedFacts {
    /// Adds those of a row; `names` are those that it was folded with.
    pub fn add(&mut self, row: &Row, names: &Names) {
        let facts = row.facts().into_iter().flat_map(Latest::list);
        let text = |table: &Table, id| table.text(id).to_owned();
        self.0.extend(
            facts.map(|fact| (fact.clone(), text(&names.channels, fact.channel), text(&names.sources, fact.source))),
        );
    }

    /// What the customer told, by key, given the purposes that are allowed. What was taken back is left out; what is
    /// denied or expired has no value.
    #[must_use]
    pub fn readings(&self, schema: &Schema, purposes: u64, now_ms: i64) -> Vec<FactReading> {
        let now_s = now_ms.div_euclid(1_000);
        let mut latest: BTreeMap<&str, &(Fact, String, String)> = BTreeMap::new();
        for told in self.0.iter().filter(|(fact, ..)| is_seen(fact, now_s)) {
            let held = latest.entry(told.0.key()).or_insert(told);
            if told.0.order(&held.0).then_with(|| (&told.1, &told.2).cmp(&(&held.1, &held.2))).is_gt() {
                *held = told;
            }
        }
        let told = latest.into_values().filter(|(fact, ..)| fact.told != Told::Nothing);
        told.map(|told| reading(schema, told, purposes, now_s)).collect()
    }
}

fn reading(
    schema: &Schema,
    (fact, channel, source): &(Fact, String, String),
    purposes: u64,
    now_s: i64,
) -> FactReading {
    let [key, purpose, ..] = fact.parts();
    let field = schema.facts().iter().find(|field| field.key == key);
    let declared = field.map(|field| schema.purposes()[field.purpose].as_str());
    let expires_s = fact.expires_s(field);
    let state = if !fact.is_allowed(schema, field, purposes) {
        FactState::Denied
    } else if expires_s.is_some_and(|expiry_s| expiry_s <= now_s) {
        FactState::Expired
    } else {
        FactState::Present
    };
    let value = fact.value().filter(|_| state == FactState::Present).map(|value| match value {
        Value::Number(number) => FactValue::Number(number),
        Value::Text(text) => FactValue::Text(text.into()),
        Value::Flag(flag) => FactValue::Flag(flag),
    });
    FactReading {
        key: key.into(),
        value,
        state,
        declared: field.is_some(),
        channel: channel.clone(),
        source: source.clone(),
        purpose: if purpose.is_empty() { declared.unwrap_or(&schema.purposes()[0]) } else { purpose }.into(),
        time_ms: fact.time_ms,
        expires_s,
    }
}

#[cfg(test)]
mod tests;
