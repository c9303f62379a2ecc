//! What the fold takes in: events, decisions, outcomes, consents and facts, borrowed from whoever decoded them.
//!
//! Entries are already checked: times within limits, ids and texts bounded, duplicates dropped.
//! This file refuses to know any wire format.

use super::links::LinkKind;
use crate::catalog::OutcomeName;

/// Value of a property or trait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number; one that is not finite is ignored.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// A truth value; reads as 0 or 1 where a number is wanted.
    Flag(bool),
}

/// Kinds of events, as in the Segment specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Traits of the customer.
    Identify,
    /// Something that happened.
    Track,
    /// A page was seen.
    Page,
    /// A screen of an app was seen.
    Screen,
    /// Traits of a group that the customer belongs to.
    Group,
    /// Another id of the customer; no feature reads it.
    Alias,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Kind.
    pub kind: EventKind,
    /// Name of a track, page or screen; empty otherwise.
    pub name: &'a str,
    /// When it happened, in Unix milliseconds.
    pub time_ms: i64,
    /// Channel; may be empty.
    pub channel: &'a str,
    /// Matter that it names; may be empty.
    pub matter_id: &'a str,
    /// Properties, or the traits of an identify or group; sorted by key, each key once, nested
    /// names flattened with dots.
    pub properties: &'a [(&'a str, Value<'a>)],
}

/// One action that a decision chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// Action; `none` leaves no trace.
    pub action: &'a str,
    /// Channel in which it was to be shown.
    pub channel: &'a str,
}

/// A decision made for the customer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionMade<'a> {
    /// When, in Unix milliseconds.
    pub time_ms: i64,
    /// Matter that it belongs to; may be empty.
    pub matter_id: &'a str,
    /// What it chose, over all placements.
    pub chosen: &'a [Chosen<'a>],
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomeSeen<'a> {
    /// Which outcome.
    pub kind: OutcomeName,
    /// Of which action.
    pub action: &'a str,
    /// Its value, for example revenue; 0 if none.
    pub value: f64,
    /// When, in Unix milliseconds.
    pub time_ms: i64,
    /// Channel; may be empty.
    pub channel: &'a str,
}

/// A statement about the subject and another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStated<'a> {
    /// The other id.
    pub other_id: &'a str,
    /// Event time, in Unix milliseconds.
    pub time_ms: i64,
    /// What it says.
    pub kind: LinkKind,
}

/// A purpose allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentGiven<'a> {
    /// Which purpose.
    pub purpose: &'a str,
    /// True if it is allowed, false if it is denied.
    pub allowed: bool,
    /// Where it was said; may be empty.
    pub source: &'a str,
    /// Version of the text that the customer saw; may be empty.
    pub text_version: &'a str,
    /// When it was said, in Unix milliseconds.
    pub time_ms: i64,
}

/// Something that the customer told, or took back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactTold<'a> {
    /// What it is about.
    pub key: &'a str,
    /// What was told; none takes back what was told before.
    pub value: Option<Value<'a>>,
    /// Purpose that it was told for; empty for `service`.
    pub purpose: &'a str,
    /// From when on it does not hold, in Unix milliseconds; none for the time that the catalogue says.
    pub expires_ms: Option<i64>,
    /// When it was told, in Unix milliseconds.
    pub time_ms: i64,
    /// Channel; may be empty.
    pub channel: &'a str,
    /// Where it comes from; may be empty.
    pub source: &'a str,
}

/// One entry of a customer's log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry<'a> {
    /// An event.
    Event(Event<'a>),
    /// A decision.
    Decision(DecisionMade<'a>),
    /// An outcome.
    Outcome(OutcomeSeen<'a>),
    /// Half of a link, or of its end.
    Link(LinkStated<'a>),
    /// A consent or its withdrawal.
    Consent(ConsentGiven<'a>),
    /// A fact, or its retraction.
    Fact(FactTold<'a>),
}

impl Entry<'_> {
    /// When it happened, in Unix milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        match self {
            Self::Event(event) => event.time_ms,
            Self::Decision(decision) => decision.time_ms,
            Self::Outcome(outcome) => outcome.time_ms,
            Self::Link(link) => link.time_ms,
            Self::Consent(consent) => consent.time_ms,
            Self::Fact(fact) => fact.time_ms,
        }
    }
}

/// Outcomes in the order of their numbers in rows.
pub(crate) const OUTCOMES: [OutcomeName; 8] = [
    OutcomeName::Exposed,
    OutcomeName::Accepted,
    OutcomeName::Rejected,
    OutcomeName::Deferred,
    OutcomeName::Clicked,
    OutcomeName::Converted,
    OutcomeName::Resolved,
    OutcomeName::NotPresented,
];

/// Name of an outcome in catalogues and timelines.
pub(crate) fn outcome_text(outcome: OutcomeName) -> &'static str {
    match outcome {
        OutcomeName::Exposed => "exposed",
        OutcomeName::Accepted => "accepted",
        OutcomeName::Rejected => "rejected",
        OutcomeName::Deferred => "deferred",
        OutcomeName::Clicked => "clicked",
        OutcomeName::Converted => "converted",
        OutcomeName::Resolved => "resolved",
        OutcomeName::NotPresented => "not_presented",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_listed_at_their_own_numbers_under_their_catalogue_names() {
        for (number, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome as usize, number);
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome_text(outcome));
        }
    }
}
