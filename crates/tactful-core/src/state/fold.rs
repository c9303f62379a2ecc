//! The fold: one entry of the log into one row.
//!
//! Deterministic: the same entries in the same order give the same bytes. It refuses nothing as a
//! whole: entries come checked, a feature that cannot use an entry stays as it was, and what was
//! left out is counted.

use super::consent::Consent;
use super::entry::{ConsentGiven, DecisionMade, Entry, Event, EventKind, FactTold, OutcomeSeen, Value};
use super::fact::{Fact, Saying};
use super::feature::{Condition, Feature, From, Source};
use super::matters::{Transition, TransitionKind};
use super::row::{Contact, Packed, PackedKind};
use super::timeline::id_hash;
use super::{Names, Row, Schema};
use crate::limits::EVENT_TIME_MIN_S;

/// Id of "no action", which leaves no trace.
const NO_ACTION: &str = "none";

/// What became of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Features that refused it as too late.
    pub late: u32,
    /// Features that found no value in it, or none that they take.
    pub unusable: u32,
    /// Its time is before 1980 or beyond 32 bits of seconds: nothing was applied.
    pub out_of_range: bool,
}

/// Folds one entry into the row of its subject. `received_ms` is when it reached the log, in Unix
/// milliseconds: features with a bound on lateness compare.
pub fn apply(schema: &Schema, names: &mut Names, row: &mut Row, entry: &Entry<'_>, received_ms: i64) -> Applied {
    debug_assert_eq!(row.slots.len(), schema.slot_count(), "a row belongs to one schema");
    let time_ms = entry.time_ms();
    let Some(time_s) = seconds(time_ms) else { return Applied { out_of_range: true, ..Applied::default() } };
    let mut fold =
        Fold { schema, row, time_s, delay_ms: received_ms.saturating_sub(time_ms), applied: Applied::default() };
    match entry {
        Entry::Event(event) => fold.event(names, event),
        Entry::Decision(decision) => fold.decision(names, decision),
        Entry::Outcome(outcome) => fold.outcome(names, outcome),
        Entry::Link(link) => fold.row.side_mut().links_mut().insert(link.other_id, link.time_ms, link.kind),
        Entry::Consent(consent) => fold.consent(consent),
        Entry::Fact(fact) => fold.fact(names, fact),
    }
    fold.applied
}

/// Whole seconds of a time that a slot can hold.
fn seconds(time_ms: i64) -> Option<u32> {
    let seconds = time_ms.div_euclid(1_000);
    u32::try_from(seconds).ok().filter(|_| seconds >= EVENT_TIME_MIN_S)
}

struct Fold<'a> {
    schema: &'a Schema,
    row: &'a mut Row,
    time_s: u32,
    delay_ms: i64,
    applied: Applied,
}

impl Fold<'_> {
    fn event(&mut self, names: &mut Names, event: &Event<'_>) {
        let schema = self.schema;
        let channel = names.channels.intern(event.channel);
        let mut matter = id_hash(event.matter_id);
        for driven in schema.driven(event.kind, event.name).into_iter().flatten() {
            for index in &driven.features {
                self.feature(&schema.features()[usize::from(*index)], event.properties, None);
            }
            for (kind, step) in &driven.matters {
                self.matter(names, *kind, event.matter_id, *step, channel);
            }
            if let (0, Some((kind, _))) = (matter, driven.matters.first()) {
                matter = id_hash(&schema.matter_types()[usize::from(*kind)].name);
            }
        }
        if matches!(event.kind, EventKind::Identify | EventKind::Group) {
            self.traits(event.properties);
        }
        let name = names.events.intern(event.name.trim());
        let kind = PackedKind::Event(event.kind);
        let interaction = Packed { time_s: self.time_s, matter, what: name, channel, kind };
        self.row.side_mut().note_interaction(interaction);
    }

    fn traits(&mut self, traits: &[(&str, Value<'_>)]) {
        let schema = self.schema;
        for (key, index) in schema.traits() {
            if let Some(value) = property(traits, key) {
                self.feature(&schema.features()[usize::from(*index)], traits, Some(value));
            }
        }
    }

    fn decision(&mut self, names: &mut Names, decision: &DecisionMade<'_>) {
        let matter = id_hash(decision.matter_id);
        for chosen in decision.chosen.iter().filter(|chosen| chosen.action != NO_ACTION) {
            let channel = names.channels.intern(chosen.channel);
            let action = names.actions.intern(chosen.action);
            self.contact(matter, action, channel, PackedKind::Decision);
        }
    }

    fn outcome(&mut self, names: &mut Names, outcome: &OutcomeSeen<'_>) {
        let schema = self.schema;
        for index in schema.outcome_features(outcome.kind) {
            let feature = &schema.features()[usize::from(*index)];
            let Source::Outcome(_, action) = &feature.source else { continue };
            if action.as_deref().is_none_or(|action| action == outcome.action) {
                self.feature(feature, &[], Some(Value::Number(outcome.value)));
            }
        }
        if outcome.action != NO_ACTION {
            let channel = names.channels.intern(outcome.channel);
            let action = names.actions.intern(outcome.action);
            self.contact(0, action, channel, PackedKind::Outcome(outcome.kind as u8));
        }
    }

    fn consent(&mut self, given: &ConsentGiven<'_>) {
        let said = Consent {
            purpose: given.purpose.into(),
            time_ms: given.time_ms,
            allowed: given.allowed,
            source: given.source.into(),
            text_version: given.text_version.into(),
        };
        self.row.side_mut().consents.get_or_insert_default().insert(said, Consent::is_later);
    }

    fn fact(&mut self, names: &mut Names, told: &FactTold<'_>) {
        let saying = Saying {
            key: told.key,
            purpose: told.purpose,
            value: told.value,
            // Beyond 32 bits it holds for good; before 1970 it never did.
            expires_s: told.expires_ms.and_then(|ms| u32::try_from(ms.div_euclid(1_000).max(0)).ok()),
            time_ms: told.time_ms,
            channel: names.channels.intern(told.channel),
            source: names.sources.intern(told.source),
        };
        match Fact::new(&saying) {
            Some(fact) => self.row.side_mut().facts.insert(fact, |a, b| a.is_later(b, names)),
            None => self.applied.unusable += 1,
        }
    }

    fn contact(&mut self, matter: u32, action: u16, channel: u16, kind: PackedKind) {
        let time_s = self.time_s;
        let side = self.row.side_mut();
        side.note_contact(Contact { time_s, action, channel, kind });
        side.note_interaction(Packed { time_s, matter, what: action, channel, kind });
    }

    /// Folds into one feature, unless its conditions fail, the entry is too late, or lacks a value.
    fn feature(&mut self, feature: &Feature, properties: &[(&str, Value<'_>)], own: Option<Value<'_>>) {
        let holds = |condition: &Condition| property(properties, &condition.key).is_some_and(|it| condition.holds(it));
        if !feature.filter.iter().all(holds) {
            return;
        }
        if feature.lateness_ms.is_some_and(|lateness_ms| self.delay_ms > lateness_ms) {
            self.applied.late += 1;
            return;
        }
        let value = match &feature.input.from {
            From::Nothing => Some(1.0),
            From::Own => own.and_then(|value| feature.input.number(value)),
            From::Property(key) => property(properties, key).and_then(|value| feature.input.number(value)),
        };
        let slots = feature.slots_mut(&mut self.row.slots);
        if !value.is_some_and(|value| feature.rule.absorb(slots, self.time_s, value)) {
            self.applied.unusable += 1;
        }
    }

    /// Drives the matter of this type that the event names, or the one whose id is the type.
    fn matter(&mut self, names: &Names, kind: u16, id: &str, step: TransitionKind, channel: u16) {
        let id = if id == self.schema.matter_types()[usize::from(kind)].name { "" } else { id };
        let step = Transition { time_s: self.time_s, kind: step, channel };
        let later_name = |a, b| names.channels.text(a) > names.channels.text(b);
        self.row.side_mut().matters.insert(kind, id, step, later_name);
    }
}

fn property<'a>(properties: &[(&str, Value<'a>)], key: &str) -> Option<Value<'a>> {
    let place = properties.binary_search_by(|(held, _)| (*held).cmp(key)).ok()?;
    Some(properties[place].1)
}
