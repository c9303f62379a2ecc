//! What a customer allows and denies, purpose by purpose, as the customer said it: the latest word counts, and
//! of two at one time the denial. Where nothing was said the catalogue's default decides.
//!
//! A row keeps the words of purposes, not their numbers: the fold reads nothing of the catalogue. It refuses
//! to weigh purposes against each other: each stands for itself.

use std::cmp::Reverse;

use super::bytes::{Malformed, Reader, put_text};
use super::latest::{Latest, Statement};
use super::{Row, Schema};
use crate::limits::CONSENTS_MAX;

/// What was said of one purpose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consent {
    pub(crate) purpose: Box<str>,
    pub(crate) time_ms: i64,
    pub(crate) allowed: bool,
    pub(crate) source: Box<str>,
    pub(crate) text_version: Box<str>,
}

/// Least bytes of a consent: three empty texts, a time, a yes or no.
pub(crate) const CONSENT_LEAST: usize = 15;

/// The consents of a row.
pub(crate) type Consents = Latest<Consent, CONSENTS_MAX>;

/// Who decides on a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsentState {
    /// The catalogue's default: nothing was said.
    Default,
    /// The customer's latest word.
    Recorded,
    /// Nobody any more: so many purposes were spoken of that what was said of this one may be forgotten. It is
    /// denied.
    Forgotten,
}

/// A purpose and whether a customer allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentReading<'a> {
    /// The purpose.
    pub purpose: &'a str,
    /// Whether data and actions of this purpose may be used.
    pub allowed: bool,
    /// Who decides.
    pub state: ConsentState,
    /// Where it was said; empty unless recorded.
    pub source: &'a str,
    /// The version of the text that the customer saw; empty unless recorded.
    pub text_version: &'a str,
    /// When it was said, in Unix milliseconds, if it was.
    pub time_ms: Option<i64>,
}

/// Every purpose of the catalogue, in its order, as the rows of one customer have it.
#[must_use]
pub fn consents<'a>(schema: &'a Schema, rows: &[&'a Row]) -> Vec<ConsentReading<'a>> {
    let read = |(index, purpose): (usize, &'a String)| {
        let by_default = schema.default_purposes() >> index & 1 == 1;
        let silent =
            |allowed, state| ConsentReading { purpose, allowed, state, source: "", text_version: "", time_ms: None };
        match verdict(rows, index, purpose) {
            Verdict::Default => silent(by_default, ConsentState::Default),
            Verdict::Forgotten => silent(false, ConsentState::Forgotten),
            Verdict::Recorded(consent) => ConsentReading {
                purpose,
                allowed: consent.allowed,
                state: ConsentState::Recorded,
                source: &consent.source,
                text_version: &consent.text_version,
                time_ms: Some(consent.time_ms),
            },
        }
    };
    schema.purposes().iter().enumerate().map(read).collect()
}

/// Bit sets of the purposes that the rows of one customer allow, and of those on which a word of the customer's
/// decides. No allocation; one look at each row if nothing was ever said.
pub(crate) fn allowed(schema: &Schema, rows: &[&Row]) -> (u64, u64) {
    let (mut allowed, mut recorded) = (schema.default_purposes(), 0);
    if rows.iter().all(|row| row.consents().is_none()) {
        return (allowed, recorded);
    }
    for (index, purpose) in schema.purposes().iter().enumerate() {
        let bit = 1 << index;
        match verdict(rows, index, purpose) {
            Verdict::Default => {}
            Verdict::Forgotten => allowed &= !bit,
            Verdict::Recorded(consent) => {
                allowed = if consent.allowed { allowed | bit } else { allowed & !bit };
                recorded |= bit;
            }
        }
    }
    (allowed, recorded)
}

/// Who decides on one purpose.
enum Verdict<'a> {
    Default,
    Forgotten,
    Recorded(&'a Consent),
}

/// The latest word on a purpose over all rows. Index 0 is `service`, on which no word counts.
fn verdict<'a>(rows: &[&'a Row], index: usize, purpose: &str) -> Verdict<'a> {
    if index == 0 {
        return Verdict::Default;
    }
    let mut consents = rows.iter().filter_map(|row| row.consents());
    let said = consents.clone().filter_map(|consents| consents.get(purpose));
    match said.max_by_key(|consent| consent.rank()) {
        Some(consent) => Verdict::Recorded(consent),
        None if consents.any(Latest::has_forgotten) => Verdict::Forgotten,
        None => Verdict::Default,
    }
}

impl Statement for Consent {
    fn key(&self) -> &str {
        &self.purpose
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }
}

impl Consent {
    /// Whether it replaces another of the same purpose.
    pub(crate) fn is_later(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    /// Appends it as bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.purpose);
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.push(u8::from(self.allowed));
        put_text(out, &self.source);
        put_text(out, &self.text_version);
    }

    /// Reads it back.
    pub(crate) fn decode(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            purpose: bytes.text()?.into(),
            time_ms: bytes.i64()?,
            allowed: match bytes.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed("holds a consent that is neither yes nor no")),
            },
            source: bytes.text()?.into(),
            text_version: bytes.text()?.into(),
        })
    }

    fn rank(&self) -> (i64, Reverse<bool>, &str, &str) {
        (self.time_ms, Reverse(self.allowed), &self.source, &self.text_version)
    }
}

#[cfg(test)]
mod tests;
