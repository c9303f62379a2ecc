//! Wire messages to core values and back, for requests and customers: with the replies of decisions in
//! [`crate::reply`] the only place.

use prost_types::Timestamp;
use tactful_core::decide::{Explain, RequestText};
use tactful_core::layout::FieldKind;
use tactful_core::state::{
    ConsentState, FactReading, FactState, FactValue, InteractionKind, MatterReading, MatterState, ReadingState, Value,
};
use tactful_engine::{ConsentLine, CustomerContext, FeatureLine, TimelineEntry};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

/// A request with its names; values without a kind are left out, which reads as missing.
pub(crate) fn request_text(request: &v1::DecideRequest) -> RequestText<'_> {
    RequestText {
        subject_id: &request.subject_id,
        placements: request.placements.iter().map(|p| (p.placement.as_str(), i64::from(p.count))).collect(),
        context: values(&request.context),
        overrides: values(&request.profile_overrides),
        candidates: request.candidate_actions.iter().map(String::as_str).collect(),
        excluded: request.excluded_actions.iter().map(String::as_str).collect(),
        explain: match request.explain() {
            v1::Explain::Unspecified | v1::Explain::None => Explain::None,
            v1::Explain::Reasons => Explain::Reasons,
            v1::Explain::Full => Explain::Full,
        },
    }
}

fn values(map: &std::collections::BTreeMap<String, v1::Value>) -> Vec<(&str, Value<'_>)> {
    map.iter().filter_map(|(name, value)| Some((name.as_str(), core_value(value.kind.as_ref()?)))).collect()
}

fn core_value(kind: &Kind) -> Value<'_> {
    match kind {
        Kind::Number(number) => Value::Number(*number),
        Kind::Text(text) => Value::Text(text),
        Kind::Flag(flag) => Value::Flag(*flag),
    }
}

/// The reply to a GetContext.
pub(crate) fn context_response(subject_id: String, context: CustomerContext) -> v1::GetContextResponse {
    v1::GetContextResponse {
        subject_id,
        known: context.known,
        features: context.features.into_iter().map(feature_reading).collect(),
        timeline: context.timeline.into_iter().map(interaction).collect(),
        open_matters: context.open_matters.into_iter().map(matter).collect(),
        confirmed_matters: context.confirmed_matters.into_iter().map(matter).collect(),
        consents: context.consents.into_iter().map(consent).collect(),
        facts: context.facts.into_iter().map(fact).collect(),
        feature_watermark: (context.watermark_ms > 0).then(|| timestamp(context.watermark_ms)),
        server_time: Some(timestamp(context.now_ms)),
        subject_ids: context.subject_ids,
        subject_ids_truncated: context.subject_ids_truncated,
    }
}

fn feature_reading(line: FeatureLine) -> v1::FeatureReading {
    let state = match line.state {
        ReadingState::Present => v1::FeatureState::Present,
        ReadingState::Missing => v1::FeatureState::Missing,
        ReadingState::Stale => v1::FeatureState::Stale,
        ReadingState::Denied => v1::FeatureState::Denied,
    };
    v1::FeatureReading {
        name: line.name,
        value: field_value(&line.kind, line.value),
        state: state.into(),
        evidence_time: line.evidence_s.map(|seconds| timestamp(i64::from(seconds) * 1_000)),
        derivation: line.derivation,
        purpose: line.purpose,
    }
}

/// A field's value in its kind; none if it is missing.
pub(crate) fn field_value(kind: &FieldKind, value: f64) -> Option<v1::Value> {
    let kind = match kind {
        _ if value.is_nan() => return None,
        FieldKind::Number => Kind::Number(value),
        FieldKind::Bool => Kind::Flag(value != 0.0),
        FieldKind::Category(words) => Kind::Text(words.get(value as usize)?.clone()),
    };
    Some(v1::Value { kind: Some(kind) })
}

fn interaction(reading: TimelineEntry) -> v1::Interaction {
    v1::Interaction {
        time: Some(timestamp(i64::from(reading.time_s) * 1_000)),
        kind: match reading.kind {
            InteractionKind::Event => "event",
            InteractionKind::Decision => "decision",
            InteractionKind::Outcome => "outcome",
        }
        .into(),
        name: reading.name,
        channel: reading.channel,
        matter_id: reading.matter_id,
        action_id: reading.action,
    }
}

fn matter(reading: MatterReading) -> v1::Matter {
    let state = match reading.state {
        MatterState::Open => v1::MatterState::Open,
        MatterState::WaitingOnCompany => v1::MatterState::WaitingOnCompany,
        MatterState::WaitingOnCustomer => v1::MatterState::WaitingOnCustomer,
        MatterState::HandedOff => v1::MatterState::HandedOff,
        MatterState::Resolved => v1::MatterState::Resolved,
        MatterState::Reopened => v1::MatterState::Reopened,
        MatterState::Confirmed => v1::MatterState::Confirmed,
    };
    v1::Matter {
        matter_id: reading.id,
        r#type: reading.kind,
        state: state.into(),
        opened_time: Some(timestamp(i64::from(reading.opened_s) * 1_000)),
        updated_time: Some(timestamp(i64::from(reading.updated_s) * 1_000)),
        reopenings: reading.reopenings as i32,
        channel: reading.channel,
        sessions: reading.sessions as i32,
    }
}

fn consent(line: ConsentLine) -> v1::ConsentReading {
    let state = match line.state {
        ConsentState::Default => v1::ConsentState::Default,
        ConsentState::Recorded => v1::ConsentState::Recorded,
        ConsentState::Forgotten => v1::ConsentState::Forgotten,
    };
    v1::ConsentReading {
        purpose: line.purpose,
        allowed: line.allowed,
        state: state.into(),
        source: line.source,
        text_version: line.text_version,
        event_time: line.time_ms.map(timestamp),
    }
}

fn fact(reading: FactReading) -> v1::FactReading {
    let state = match reading.state {
        FactState::Present => v1::FactState::Present,
        FactState::Expired => v1::FactState::Expired,
        FactState::Denied => v1::FactState::Denied,
    };
    let kind = |value| match value {
        FactValue::Number(number) => Kind::Number(number),
        FactValue::Text(text) => Kind::Text(text),
        FactValue::Flag(flag) => Kind::Flag(flag),
    };
    v1::FactReading {
        key: reading.key,
        value: reading.value.map(|value| v1::Value { kind: Some(kind(value)) }),
        state: state.into(),
        channel: reading.channel,
        source: reading.source,
        purpose: reading.purpose,
        told_time: Some(timestamp(reading.time_ms)),
        expire_time: reading.expires_s.map(|seconds| timestamp(seconds * 1_000)),
        declared: reading.declared,
    }
}

/// Milliseconds since 1970 on the wire.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// Milliseconds since 1970 of a time on the wire.
pub(crate) fn millis(time: &Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000)
}
