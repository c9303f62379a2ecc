//! What the fold takes in: events, decisions and outcomes, borrowed from whoever decoded them.
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
