//! Rows and names as bytes, exact to the bit: what a snapshot is made of.
//!
//! A row is its subject id, its slots as they are, and its side part by part in a fixed order. Whoever adds a
//! part to the side adds it at the end, here and in [`STATE_FORMAT`]. It refuses to trust what it reads: counts
//! are bounded, and what points nowhere is malformed.

use super::bytes::{Malformed, Reader, put_count, put_text};
use super::consent::{CONSENT_LEAST, Consent, Consents};
use super::entry::OUTCOMES;
use super::fact::{FACT_LEAST, Fact, Facts};
use super::links::{Link, LinkKind, Links};
use super::matters::{Matter, Matters, Transition, TransitionKind};
use super::names::Table;
use super::row::{Contact, Packed, PackedKind, Side};
use super::{EventKind, Names, Row, Schema, Slot};
use crate::limits::{CONTACTS_MAX, INTERACTIONS_MAX, LINKS_MAX, MATTERS_MAX, TRANSITIONS_MAX};

/// Changes whenever the same state gives other bytes.
pub const STATE_FORMAT: u32 = 4;

/// Bytes of an interaction, a contact and a transition.
const INTERACTION: usize = 14;
const CONTACT: usize = 10;
const TRANSITION: usize = 7;
/// Least bytes of a matter: type, empty id, no transitions.
const MATTER_LEAST: usize = 8;
/// Least bytes of a link: empty id, time, kind.
const LINK_LEAST: usize = 11;

const EVENT_KINDS: [EventKind; 6] =
    [EventKind::Identify, EventKind::Track, EventKind::Page, EventKind::Screen, EventKind::Group, EventKind::Alias];
const TRANSITION_KINDS: [TransitionKind; 6] = [
    TransitionKind::Open,
    TransitionKind::WaitForCompany,
    TransitionKind::WaitForCustomer,
    TransitionKind::HandOff,
    TransitionKind::Contact,
    TransitionKind::Resolve,
];
const LINK_KINDS: [LinkKind; 3] = [LinkKind::Implied, LinkKind::Explicit, LinkKind::Unlinked];

/// Appends the row of a subject id.
pub fn encode_row(subject_id: &str, row: &Row, out: &mut Vec<u8>) {
    put_text(out, subject_id);
    let start = out.len();
    out.resize(start + size_of_val(&*row.slots), 0);
    let places = out[start..].as_chunks_mut::<{ size_of::<Slot>() }>().0;
    places.iter_mut().zip(&row.slots).for_each(|(place, slot)| *place = slot.to_le_bytes());
    out.push(u8::from(row.side.is_some()));
    if let Some(side) = row.side.as_deref() {
        encode_side(side, out);
    }
}

/// Reads the next row, of a schema with as many slots as the one that it was written with.
///
/// # Errors
/// If that is not what the bytes hold.
pub fn decode_row<'a>(schema: &Schema, bytes: &mut Reader<'a>) -> Result<(&'a str, Row), Malformed> {
    let subject_id = bytes.text()?;
    let slots = bytes.take(schema.slot_count() * size_of::<Slot>())?;
    let slots = slots.as_chunks().0.iter().map(|slot| Slot::from_le_bytes(*slot)).collect();
    let side = match bytes.u8()? {
        0 => None,
        1 => Some(Box::new(decode_side(schema, bytes)?)),
        _ => return Err(Malformed("holds a row with an unknown part")),
    };
    Ok((subject_id, Row { slots, side }))
}

fn encode_side(side: &Side, out: &mut Vec<u8>) {
    put_count(out, side.interactions.len());
    for interaction in &side.interactions {
        out.extend_from_slice(&interaction.time_s.to_le_bytes());
        out.extend_from_slice(&interaction.matter.to_le_bytes());
        out.extend_from_slice(&interaction.what.to_le_bytes());
        out.extend_from_slice(&interaction.channel.to_le_bytes());
        out.extend_from_slice(&interaction.kind.number().to_le_bytes());
    }
    put_count(out, side.contacts.len());
    for contact in &side.contacts {
        out.extend_from_slice(&contact.time_s.to_le_bytes());
        out.extend_from_slice(&contact.action.to_le_bytes());
        out.extend_from_slice(&contact.channel.to_le_bytes());
        out.extend_from_slice(&contact.kind.number().to_le_bytes());
    }
    encode_matters(&side.matters, out);
    out.push(u8::from(side.links.is_some()));
    if let Some(links) = &side.links {
        encode_links(links, out);
    }
    out.push(u8::from(side.consents.is_some()));
    if let Some(consents) = &side.consents {
        consents.encode(out, Consent::encode);
    }
    side.facts.encode(out, Fact::encode);
}

fn decode_side(schema: &Schema, bytes: &mut Reader<'_>) -> Result<Side, Malformed> {
    let mut side = Side::default();
    for _ in 0..reserved(&mut side.interactions, bytes.count(INTERACTION, INTERACTIONS_MAX)?) {
        side.interactions.push(Packed {
            time_s: bytes.u32()?,
            matter: bytes.u32()?,
            what: bytes.u16()?,
            channel: bytes.u16()?,
            kind: PackedKind::numbered(bytes.u16()?)?,
        });
    }
    for _ in 0..reserved(&mut side.contacts, bytes.count(CONTACT, CONTACTS_MAX)?) {
        side.contacts.push(Contact {
            time_s: bytes.u32()?,
            action: bytes.u16()?,
            channel: bytes.u16()?,
            kind: PackedKind::numbered(bytes.u16()?)?,
        });
    }
    side.matters = decode_matters(schema, bytes)?;
    side.links = match bytes.u8()? {
        0 => None,
        1 => Some(Box::new(decode_links(bytes)?)),
        _ => return Err(Malformed("holds a row with an unknown part")),
    };
    side.consents = match bytes.u8()? {
        0 => None,
        1 => Some(Box::new(Consents::decode(bytes, CONSENT_LEAST, Consent::decode)?)),
        _ => return Err(Malformed("holds a row with an unknown part")),
    };
    side.facts = Facts::decode(bytes, FACT_LEAST, Fact::decode)?;
    Ok(side)
}

fn encode_matters(matters: &Matters, out: &mut Vec<u8>) {
    let (time_s, hash) = matters.floor();
    out.extend_from_slice(&time_s.to_le_bytes());
    out.extend_from_slice(&hash.to_le_bytes());
    put_count(out, matters.list().len());
    for matter in matters.list() {
        out.extend_from_slice(&matter.kind.to_le_bytes());
        put_text(out, &matter.id);
        put_count(out, matter.transitions.len());
        for step in &matter.transitions {
            out.extend_from_slice(&step.time_s.to_le_bytes());
            out.push(step.kind as u8);
            out.extend_from_slice(&step.channel.to_le_bytes());
        }
    }
}

fn decode_matters(schema: &Schema, bytes: &mut Reader<'_>) -> Result<Matters, Malformed> {
    let floor = (bytes.u32()?, bytes.u32()?);
    let mut list = Vec::new();
    for _ in 0..reserved(&mut list, bytes.count(MATTER_LEAST, MATTERS_MAX)?) {
        let kind = bytes.u16()?;
        if usize::from(kind) >= schema.matter_types().len() {
            return Err(Malformed("holds a matter of a type that the schema does not have"));
        }
        let id = bytes.text()?.into();
        let mut transitions = Vec::new();
        for _ in 0..reserved(&mut transitions, bytes.count(TRANSITION, TRANSITIONS_MAX)?) {
            transitions.push(Transition {
                time_s: bytes.u32()?,
                kind: known(&TRANSITION_KINDS, bytes.u8()?.into())?,
                channel: bytes.u16()?,
            });
        }
        list.push(Matter { kind, id, transitions });
    }
    Ok(Matters::restored(list, floor))
}

fn encode_links(links: &Links, out: &mut Vec<u8>) {
    put_count(out, links.list().len());
    for link in links.list() {
        put_text(out, &link.other);
        out.extend_from_slice(&link.time_ms.to_le_bytes());
        out.push(link.kind as u8);
    }
    out.push(u8::from(links.floor().is_some()));
    if let Some((time_ms, other)) = links.floor() {
        out.extend_from_slice(&time_ms.to_le_bytes());
        put_text(out, other);
    }
}

fn decode_links(bytes: &mut Reader<'_>) -> Result<Links, Malformed> {
    let mut list: Vec<Link> = Vec::new();
    for _ in 0..reserved(&mut list, bytes.count(LINK_LEAST, LINKS_MAX)?) {
        let (other, time_ms) = (bytes.text()?.into(), bytes.i64()?);
        list.push(Link { other, time_ms, kind: known(&LINK_KINDS, bytes.u8()?.into())? });
    }
    if !list.is_sorted_by(|one, next| one.other < next.other) {
        return Err(Malformed("holds links out of order"));
    }
    let floor = match bytes.u8()? {
        0 => None,
        1 => Some((bytes.i64()?, bytes.text()?.into())),
        _ => return Err(Malformed("holds links with an unknown part")),
    };
    Ok(Links::restored(list, floor))
}

/// Makes room for just so many; answers the number.
fn reserved<T>(list: &mut Vec<T>, count: usize) -> usize {
    list.reserve_exact(count);
    count
}

fn known<T: Copy>(all: &[T], number: usize) -> Result<T, Malformed> {
    all.get(number).copied().ok_or(Malformed("holds a kind that is unknown"))
}

/// Numbers of kinds: events from 0, a decision 0x100, outcomes from 0x200.
impl PackedKind {
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Event(event) => event as u16,
            Self::Decision => 0x100,
            Self::Outcome(outcome) => 0x200 + u16::from(outcome),
        }
    }

    fn numbered(number: u16) -> Result<Self, Malformed> {
        let within = usize::from(number & 0xFF);
        match number >> 8 {
            0 => known(&EVENT_KINDS, within).map(Self::Event),
            1 if within == 0 => Ok(Self::Decision),
            2 => known(&OUTCOMES, within).map(|outcome| Self::Outcome(outcome as u8)),
            _ => Err(Malformed("holds a kind that is unknown")),
        }
    }
}

/// Where the encoding of names has come to: a table, and a place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamesPlace(usize, usize);

/// Follows the last name.
const NAMES_END: u8 = u8::MAX;

impl Names {
    /// Appends at most `limit` names from a place on; answers the next place, none once all are there. Names are
    /// only ever added, in the order of the log, so those added between two calls do no harm.
    pub fn encode(&self, from: NamesPlace, limit: usize, out: &mut Vec<u8>) -> Option<NamesPlace> {
        let NamesPlace(table, start) = from;
        let Some(texts) = self.tables().get(table).map(|table| table.texts()) else {
            out.push(NAMES_END);
            return None;
        };
        let end = texts.len().min(start + limit);
        for text in texts.take(end).skip(start) {
            out.push(table as u8);
            put_text(out, text);
        }
        Some(if end - start < limit { NamesPlace(table + 1, 0) } else { NamesPlace(table, end) })
    }

    /// Reads names back, each with its id, from the parts in which they were written.
    ///
    /// # Errors
    /// If that is not what the bytes hold.
    pub fn decode(parts: &mut [Reader<'_>]) -> Result<Self, Malformed> {
        let (mut names, mut parts) = (Self::new(), parts.iter_mut());
        let mut bytes = parts.next().ok_or(Malformed("ends too early"))?;
        loop {
            while bytes.is_empty() {
                bytes = parts.next().ok_or(Malformed("ends too early"))?;
            }
            let table = match bytes.u8()? {
                0 => &mut names.events,
                1 => &mut names.channels,
                2 => &mut names.actions,
                3 => &mut names.sources,
                NAMES_END => return Ok(names),
                _ => return Err(Malformed("holds a name of an unknown kind")),
            };
            let (next, text) = (table.texts().len() + 1, bytes.text()?);
            if text.is_empty() && next < usize::from(u16::MAX) {
                table.skip();
            } else if usize::from(table.intern(text)) != next {
                return Err(Malformed("holds a name twice, or too many"));
            }
        }
    }

    fn tables(&self) -> [&Table; 4] {
        [&self.events, &self.channels, &self.actions, &self.sources]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_at_their_own_numbers() {
        for (number, kind) in EVENT_KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        for (number, kind) in TRANSITION_KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        for (number, kind) in LINK_KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        for number in 0..=u16::MAX {
            assert!(PackedKind::numbered(number).is_err() || PackedKind::numbered(number).unwrap().number() == number);
        }
    }

    #[test]
    fn names_keep_their_ids_whatever_the_steps_and_whatever_comes_between() {
        let mut names = Names::new();
        for number in 0..10 {
            names.events.intern(&format!("event {number}"));
        }
        names.actions.intern("help");
        let (mut bytes, mut place) = (Vec::new(), Some(NamesPlace::default()));
        while let Some(from) = place {
            place = names.encode(from, 3, &mut bytes);
            names.events.intern("later");
            names.channels.intern("web");
        }
        let read = Names::decode(&mut [Reader::new(&bytes)]).unwrap();
        assert_eq!((read.events.text(10), read.events.text(11), read.channels.text(1)), ("event 9", "later", "web"));
        assert_eq!((read.actions.text(1), read.len()), ("help", 13));
    }

    #[test]
    fn a_name_given_twice_or_a_torn_table_is_malformed() {
        let twice = [0, 1, 0, b'a', 0, 1, 0, b'a', NAMES_END];
        assert!(Names::decode(&mut [Reader::new(&twice)]).is_err());
        let whole = [0, 1, 0, b'a', 1, 1, 0, b'a', NAMES_END];
        assert_eq!(Names::decode(&mut [Reader::new(&whole)]).unwrap().len(), 2);
        let [empty, start, end] = [&[][..], &whole[..4], &whole[4..]].map(Reader::new);
        assert_eq!(Names::decode(&mut [empty, empty, start, empty, empty, end]).unwrap().len(), 2, "in parts");
        for end in 0..whole.len() {
            assert!(Names::decode(&mut [Reader::new(&whole[..end])]).is_err(), "cut at {end}");
        }
    }
}
