//! The timeline of a customer for people: the latest interactions with their names resolved.
//!
//! It refuses to interpret: what an interaction meant for features and matters is theirs to say.

use super::entry::{OUTCOMES, outcome_text};
use super::matter::id_of;
use super::row::{Packed, PackedKind};
use super::{EventKind, Names, Row, Schema};
use crate::hash;

/// What kind of interaction it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InteractionKind {
    /// An event.
    Event,
    /// An action chosen by a decision.
    Decision,
    /// What came of an action.
    Outcome,
}

/// One line of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interaction<'a> {
    /// When, in Unix seconds.
    pub time_s: u32,
    /// What kind.
    pub kind: InteractionKind,
    /// Name of the event, as it came; the kind of an event without a name; `decision`; or the outcome.
    pub name: &'a str,
    /// Channel; may be empty.
    pub channel: &'a str,
    /// Matter that it belonged to; empty if none, or if the customer has no such matter (any more).
    pub matter_id: &'a str,
    /// Action of a decision or outcome; empty for events.
    pub action: &'a str,
}

/// The latest interactions of a row, newest first; `names` are those that it was folded with.
#[must_use]
pub fn interactions<'a>(schema: &'a Schema, row: &'a Row, names: &'a Names) -> Vec<Interaction<'a>> {
    let Some(side) = row.side.as_deref() else { return Vec::new() };
    side.interactions.iter().rev().map(|packed| resolve(schema, row, names, packed)).collect()
}

fn resolve<'a>(schema: &'a Schema, row: &'a Row, names: &'a Names, packed: &Packed) -> Interaction<'a> {
    let given = packed.what(names);
    let (kind, name) = match packed.kind {
        PackedKind::Event(kind) if given.is_empty() => (InteractionKind::Event, event_text(kind)),
        PackedKind::Event(_) => (InteractionKind::Event, given),
        PackedKind::Decision => (InteractionKind::Decision, "decision"),
        PackedKind::Outcome(outcome) => (InteractionKind::Outcome, outcome_text(OUTCOMES[usize::from(outcome)])),
    };
    Interaction {
        time_s: packed.time_s,
        kind,
        name,
        channel: names.channels.text(packed.channel),
        matter_id: matter_id(schema, row, packed.matter),
        action: if kind == InteractionKind::Event { "" } else { given },
    }
}

/// Looks a matter up by the hash of its id, since ids would not fit: 32 matters hardly ever collide.
fn matter_id<'a>(schema: &'a Schema, row: &'a Row, hash: u32) -> &'a str {
    let matters = row.matters().map_or(&[][..], |matters| matters.list());
    let mut ids = matters.iter().map(|matter| id_of(schema, matter));
    ids.find(|id| id_hash(id) == hash).unwrap_or("")
}

/// Hash of a matter's id within a row; 0 for none.
pub(crate) fn id_hash(id: &str) -> u32 {
    if id.is_empty() { 0 } else { (hash::content(id.as_bytes()) as u32).max(1) }
}

fn event_text(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Identify => "identify",
        EventKind::Track => "track",
        EventKind::Page => "page",
        EventKind::Screen => "screen",
        EventKind::Group => "group",
        EventKind::Alias => "alias",
    }
}
