//! Records of the log as the core reads them, and the hashes that name messages.

use tactful_core::catalog::OutcomeName;
use tactful_core::hash;
use tactful_core::state::{Chosen, ConsentGiven, EventKind, FactTold, LinkKind, LinkStated, Value};
use tactful_proto::storage::fold_record::Body;
use tactful_proto::storage::record;
use tactful_proto::storage::{ConsentBody, EventBody, FactBody, FoldChosen, LinkBody, Property};
use tactful_proto::v1;

/// Domains of message hashes: equal ids of two kinds are two messages.
#[derive(Clone, Copy)]
pub(crate) enum Domain {
    Event = 1,
    ExternalDecision = 2,
    Outcome = 3,
    Capture = 4,
    Decision = 5,
    Link = 8,
    Consent = 9,
    Fact = 10,
    Erase = 12,
}

/// Hash that names a producer's message; 0 for an empty id, which is never taken for a repeat.
pub(crate) fn message_hash(domain: Domain, message_id: &str) -> u64 {
    if message_id.is_empty() { 0 } else { hash::keyed(domain as u64, message_id.as_bytes()).max(1) }
}

/// Hash that names the captured form of an external decision.
pub(crate) fn capture_hash(external: u64) -> u64 {
    hash::keyed(Domain::Capture as u64, &external.to_le_bytes()).max(1)
}

/// A wire value as the core reads it; none if its kind is not set.
pub(crate) fn value(value: &v1::Value) -> Option<Value<'_>> {
    Some(match value.kind.as_ref()? {
        v1::value::Kind::Number(number) => Value::Number(*number),
        v1::value::Kind::Text(text) => Value::Text(text),
        v1::value::Kind::Flag(flag) => Value::Flag(*flag),
    })
}

/// Properties as the core reads them, in their order.
pub(crate) fn properties(properties: &[Property]) -> Vec<(&str, Value<'_>)> {
    properties.iter().filter_map(|property| Some((property.key.as_str(), value(property.value.as_ref()?)?))).collect()
}

/// The kind of an event; none for one that intake would have refused.
pub(crate) fn event_kind(event: &EventBody) -> Option<EventKind> {
    Some(match event.r#type() {
        v1::EventType::Unspecified => return None,
        v1::EventType::Identify => EventKind::Identify,
        v1::EventType::Track => EventKind::Track,
        v1::EventType::Page => EventKind::Page,
        v1::EventType::Screen => EventKind::Screen,
        v1::EventType::Group => EventKind::Group,
        v1::EventType::Alias => EventKind::Alias,
    })
}

/// What a half of a link says.
pub(crate) fn link_stated(link: &LinkBody) -> LinkStated<'_> {
    let kind = match (link.linked, link.explicit) {
        (false, _) => LinkKind::Unlinked,
        (true, true) => LinkKind::Explicit,
        (true, false) => LinkKind::Implied,
    };
    LinkStated { other_id: &link.other_id, time_ms: link.event_ms, kind }
}

/// The name of an outcome; none for one that intake would have refused.
pub(crate) fn outcome_name(outcome: v1::OutcomeType) -> Option<OutcomeName> {
    Some(match outcome {
        v1::OutcomeType::Unspecified => return None,
        v1::OutcomeType::Exposed => OutcomeName::Exposed,
        v1::OutcomeType::Accepted => OutcomeName::Accepted,
        v1::OutcomeType::Rejected => OutcomeName::Rejected,
        v1::OutcomeType::Deferred => OutcomeName::Deferred,
        v1::OutcomeType::Clicked => OutcomeName::Clicked,
        v1::OutcomeType::Converted => OutcomeName::Converted,
        v1::OutcomeType::Resolved => OutcomeName::Resolved,
        v1::OutcomeType::NotPresented => OutcomeName::NotPresented,
    })
}

/// As [`time_ms`], of a whole record.
pub(crate) fn body_ms(body: &record::Body) -> i64 {
    match body {
        record::Body::Event(event) => event.event_ms,
        record::Body::Decision(decision) => decision.decided_ms,
        record::Body::Outcome(outcome) => outcome.occurred_ms,
        record::Body::ExternalDecision(external) => external.decided_ms,
        record::Body::Link(link) => link.event_ms,
        record::Body::Consent(consent) => consent.event_ms,
        record::Body::Fact(fact) => fact.event_ms,
        record::Body::Erase(erase) => erase.erased_ms,
        record::Body::Schema(_) => i64::MAX,
    }
}

/// When something happened, milliseconds since 1970.
pub(crate) fn time_ms(body: &Body) -> i64 {
    match body {
        Body::Event(event) => event.event_ms,
        Body::Decision(decision) => decision.decided_ms,
        Body::Outcome(outcome) => outcome.occurred_ms,
        Body::ExternalDecision(external) => external.decided_ms,
        Body::Link(link) => link.event_ms,
        Body::Consent(consent) => consent.event_ms,
        Body::Fact(fact) => fact.event_ms,
        Body::Erase(erase) => erase.erased_ms,
        // Of no subject: never before anything.
        Body::Schema(_) => i64::MAX,
    }
}

/// Chosen slots as the core reads them.
pub(crate) fn chosen(chosen: &[FoldChosen]) -> Vec<Chosen<'_>> {
    chosen.iter().map(|slot| Chosen { action: &slot.action_id, channel: &slot.channel }).collect()
}

/// A consent as the core reads it.
pub(crate) fn consent_given(consent: &ConsentBody) -> ConsentGiven<'_> {
    ConsentGiven {
        purpose: &consent.purpose,
        allowed: consent.allowed,
        source: &consent.source,
        text_version: &consent.text_version,
        time_ms: consent.event_ms,
    }
}

/// A fact as the core reads it.
pub(crate) fn fact_told(fact: &FactBody) -> FactTold<'_> {
    FactTold {
        key: &fact.key,
        value: fact.value.as_ref().and_then(value),
        purpose: &fact.purpose,
        expires_ms: Some(fact.expire_ms).filter(|ms| *ms != 0),
        time_ms: fact.event_ms,
        channel: &fact.channel,
        source: &fact.source,
    }
}

/// Floats as bytes, little endian.
pub(crate) fn floats_to_bytes(floats: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(floats)];
    bytes.as_chunks_mut().0.iter_mut().zip(floats).for_each(|(chunk, float)| *chunk = float.to_le_bytes());
    bytes
}

/// Bytes as floats; a torn tail is left out.
pub(crate) fn bytes_to_floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk))
}
