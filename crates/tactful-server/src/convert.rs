//! Wire messages to core values and back, for decisions and customers: the only place.

use prost_types::Timestamp;
use tactful_core::decide::{
    Explain, PlacementDecision, PlacementReason, RequestText, Scored, Selection, Shown, Stage, Trace,
};
use tactful_core::layout::FieldKind;
use tactful_core::score::Source;
use tactful_core::state::{InteractionKind, MatterReading, MatterState, ReadingState, Value};
use tactful_engine::{CustomerContext, Decided, FeatureLine, TimelineEntry};
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

/// The reply to a Decide.
pub(crate) fn decide_response(decided: &Decided) -> v1::DecideResponse {
    let (decision, ruleset) = (&decided.decision, &decided.ruleset);
    let placements = decision.placements.iter().enumerate();
    v1::DecideResponse {
        decision_id: decided.id.clone(),
        placements: placements.map(|(position, placement)| placement_result(decided, position, placement)).collect(),
        ruleset_version: format!("{:016x}", ruleset.hash()),
        model_version: ruleset.bank().map_or_else(String::new, |bank| bank.version().into()),
        feature_watermark: (decided.watermark_ms > 0).then(|| timestamp(decided.watermark_ms)),
        degraded: !decided.degraded.is_empty(),
        degraded_reasons: decided.degraded.iter().map(|code| (*code).into()).collect(),
        server_time: Some(timestamp(decided.now_ms)),
        cold_start: decision.cold_start,
        selection: match decision.selection {
            Selection::Best => v1::Selection::Best,
            Selection::Holdout => v1::Selection::Holdout,
        }
        .into(),
        skipped: decision.skipped.iter().map(skipped).collect(),
        candidates: decision.traces.iter().map(|trace| candidate_trace(decided, trace)).collect(),
    }
}

fn skipped(skipped: &tactful_core::decide::Skipped) -> v1::SkippedAction {
    v1::SkippedAction { action_id: skipped.action.clone(), reason: skipped.reason.code().into() }
}

fn placement_result(decided: &Decided, position: usize, result: &PlacementDecision) -> v1::PlacementResult {
    let placement = &decided.ruleset.placements[result.placement];
    let (reason, fallback) = match result.reason {
        PlacementReason::Decided => (v1::PlacementReason::Decided, None),
        PlacementReason::NoAction => (v1::PlacementReason::NoAction, None),
        PlacementReason::Fallback => (v1::PlacementReason::Fallback, Some(&placement.fallback)),
    };
    let shown = result.shown.iter();
    v1::PlacementResult {
        placement: placement.id.clone(),
        actions: shown.map(|shown| shown_action(decided, position, result.placement, shown)).collect(),
        reason: reason.into(),
        fallback_content: fallback.cloned().unwrap_or_default(),
        interruption_cost: placement.interruption_cost,
    }
}

fn shown_action(decided: &Decided, position: usize, placement: usize, shown: &Shown) -> v1::ShownAction {
    let action = &decided.ruleset.actions[shown.action];
    let content = decided.ruleset.treatment(shown.action, placement).map(|treatment| treatment.content.clone());
    let token = decided.tokens.get(position).and_then(|slots| slots.get(shown.slot));
    v1::ShownAction {
        action_id: action.id.clone(),
        content: content.unwrap_or_default(),
        slot: shown.slot as i32,
        priority: shown.scored.priority,
        factors: Some(factors(&shown.scored)),
        score_source: source(shown.scored.source).into(),
        selection_probability: shown.selection_probability,
        reasons: shown.reasons.clone(),
        outcome_token: token.cloned().unwrap_or_default(),
        significant_effect: action.significant_effect,
        kind: action.kind.name().into(),
    }
}

fn factors(scored: &Scored) -> v1::Factors {
    v1::Factors {
        acceptance_probability: scored.acceptance,
        value: scored.value,
        context_weight: scored.context,
        lever: scored.lever,
    }
}

fn source(source: Source) -> v1::ScoreSource {
    match source {
        Source::Action => v1::ScoreSource::Action,
        Source::Group => v1::ScoreSource::Group,
        Source::Global => v1::ScoreSource::Global,
        Source::Prior => v1::ScoreSource::Prior,
    }
}

fn candidate_trace(decided: &Decided, trace: &Trace) -> v1::CandidateTrace {
    let ruleset = &decided.ruleset;
    let rule = trace.rule.map(|rule| &ruleset.rules[rule]);
    let contributions = trace.contributions.iter().map(|(field, logit)| v1::Contribution {
        feature: ruleset.layout.fields()[*field].name.clone(),
        logit: *logit,
        value: field_value(&ruleset.layout.fields()[*field].kind, decided.decision.fields[*field].into()),
    });
    v1::CandidateTrace {
        action_id: ruleset.actions[trace.action].id.clone(),
        stage: stage(trace.stage).into(),
        rule_id: rule.map_or_else(String::new, |rule| rule.id.clone()),
        rule_version: rule.map_or_else(String::new, |rule| format!("{:016x}", rule.version)),
        detail: trace.detail.clone(),
        priority: trace.scored.priority,
        factors: Some(factors(&trace.scored)),
        score_source: source(trace.scored.source).into(),
        contributions: contributions.collect(),
        intercept: trace.intercept,
    }
}

fn stage(stage: Stage) -> v1::Stage {
    match stage {
        Stage::Candidate => v1::Stage::Candidate,
        Stage::Purpose => v1::Stage::Purpose,
        Stage::Validity => v1::Stage::Validity,
        Stage::Eligibility => v1::Stage::Eligibility,
        Stage::Applicability => v1::Stage::Applicability,
        Stage::Suitability => v1::Stage::Suitability,
        Stage::Score => v1::Stage::Score,
        Stage::Arbitration => v1::Stage::Arbitration,
        Stage::Interruption => v1::Stage::Interruption,
        Stage::Shown => v1::Stage::Shown,
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
        feature_watermark: (context.watermark_ms > 0).then(|| timestamp(context.watermark_ms)),
        server_time: Some(timestamp(context.now_ms)),
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
fn field_value(kind: &FieldKind, value: f64) -> Option<v1::Value> {
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
