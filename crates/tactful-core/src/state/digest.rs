//! Digests of rows: sums of keyed hashes, so that a partition's digest needs no order of its rows.
//!
//! `content` covers what is the same under permutation: exact slots, matters and their transitions
//! with channels by name, links, consents and facts. `state` covers everything. It refuses to hash ids of names: those depend on
//! the order of the log. (Channels beyond the table of names read "(other)"; which ones do depends on
//! the order.)

use std::ops::{Add, AddAssign};

use super::matter::id_of;
use super::{Names, Row, Schema};
use crate::hash;

const CONTENT: u64 = 1;
const STATE: u64 = 2;

/// Digest of one row or, added up, of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Everything: equal for the same entries in the same order.
    pub state: u64,
    /// Exact slots, matters, links, consents and facts: equal for the same entries in any order.
    pub content: u64,
}

impl Add for Digest {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { state: self.state.wrapping_add(other.state), content: self.content.wrapping_add(other.content) }
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), Add::add)
    }
}

/// Digest of the row of one subject id; `names` are those that it was folded with.
#[must_use]
pub fn digest(schema: &Schema, names: &Names, subject_id: &str, row: &Row) -> Digest {
    let mut bytes = Canonical::default();
    bytes.text(subject_id);
    write_exact(schema, row, &mut bytes);
    write_matters(schema, names, row, &mut bytes);
    write_links(row, &mut bytes);
    write_consents(row, &mut bytes);
    write_facts(names, row, &mut bytes);
    let content = hash::keyed(CONTENT, bytes.as_bytes());
    write_rest(names, row, &mut bytes);
    Digest { state: hash::keyed(STATE, bytes.as_bytes()), content }
}

fn write_exact(schema: &Schema, row: &Row, bytes: &mut Canonical) {
    for feature in schema.features().iter().filter(|feature| feature.rule.exact()) {
        feature.slots(&row.slots).iter().for_each(|slot| bytes.number(*slot));
    }
}

fn write_matters(schema: &Schema, names: &Names, row: &Row, bytes: &mut Canonical) {
    let Some(matters) = row.matters() else { return bytes.number(0) };
    bytes.number(matters.list().len() as u64);
    // The list is sorted by type and id, whatever the order of arrival.
    for matter in matters.list() {
        bytes.text(&schema.matter_types()[usize::from(matter.kind)].name);
        bytes.text(id_of(schema, matter));
        bytes.number(matter.transitions.len() as u64);
        for step in &matter.transitions {
            bytes.number(u64::from(step.time_s));
            bytes.number(step.kind as u64);
            bytes.text(names.channels.text(step.channel));
        }
    }
}

fn write_links(row: &Row, bytes: &mut Canonical) {
    let Some(links) = row.links() else { return bytes.number(0) };
    bytes.number(links.list().len() as u64);
    // The list is sorted by the other id, whatever the order of arrival.
    for link in links.list() {
        bytes.text(&link.other);
        bytes.number(link.time_ms as u64);
        bytes.number(link.kind as u64);
    }
    let (time_ms, other) = links.floor().unwrap_or_default();
    bytes.number(time_ms as u64);
    bytes.text(other);
}

fn write_consents(row: &Row, bytes: &mut Canonical) {
    let Some(consents) = row.consents() else { return bytes.number(0) };
    bytes.number(consents.list().len() as u64);
    for consent in consents.list() {
        bytes.text(&consent.purpose);
        bytes.number(consent.time_ms as u64);
        bytes.number(u64::from(consent.allowed));
        bytes.text(&consent.source);
        bytes.text(&consent.text_version);
    }
    let (time_ms, key) = consents.floor();
    bytes.number(time_ms as u64);
    bytes.number(u64::from(key));
}

fn write_facts(names: &Names, row: &Row, bytes: &mut Canonical) {
    let Some(facts) = row.facts() else { return bytes.number(0) };
    bytes.number(facts.list().len() as u64);
    for fact in facts.list() {
        let (text, numbers) = fact.digested();
        bytes.text(text);
        numbers.into_iter().for_each(|number| bytes.number(number));
        let (channel, source) = fact.names();
        bytes.text(names.channels.text(channel));
        bytes.text(names.sources.text(source));
    }
    let (time_ms, key) = facts.floor();
    bytes.number(time_ms as u64);
    bytes.number(u64::from(key));
}

fn write_rest(names: &Names, row: &Row, bytes: &mut Canonical) {
    row.slots.iter().for_each(|slot| bytes.number(*slot));
    let Some(side) = row.side.as_deref() else { return };
    for interaction in &side.interactions {
        bytes.number(u64::from(interaction.time_s) << 32 | u64::from(interaction.matter));
        bytes.number(interaction.kind.number().into());
        bytes.text(interaction.what(names));
        bytes.text(names.channels.text(interaction.channel));
    }
    for contact in &side.contacts {
        bytes.number(u64::from(contact.time_s));
        bytes.number(contact.kind.number().into());
        bytes.text(names.channels.text(contact.channel));
        bytes.text(names.actions.text(contact.action));
    }
    let (time_s, matter) = side.matters.floor();
    bytes.number(u64::from(time_s) << 32 | u64::from(matter));
}

/// Bytes in one unambiguous form.
#[derive(Default)]
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
