//! The reply to a Decide, encoded: the pieces that the ruleset keeps ready, and what this decision adds.

use prost::Message;
use prost::encoding::string;
use tactful_core::decide::{
    Basis, PlacementDecision, PlacementReason, Scored, Selection, Shown, Skipped, Stage, Trace,
};
use tactful_core::score::Source;
use tactful_engine::Decided;
use tactful_proto::{Encoded, put_bytes, put_head, v1};

use crate::convert::{field_value, timestamp};

/// Fields of `DecideResponse`, `PlacementResult` and `ShownAction`.
const PLACEMENTS: u32 = 2;
const ACTIONS: u32 = 2;
const OUTCOME_TOKEN: u32 = 9;

/// The reply to a Decide, a `DecideResponse`.
pub(crate) fn decide_response(decided: &Decided) -> Encoded {
    let rest = rest(decided);
    let mut reply = Vec::with_capacity(4 << 10);
    reply.extend_from_slice(decided.ruleset.pieces.response(decided.decision.alias));
    rest.encode_raw(&mut reply);
    let mut tokens = decided.tokens.iter();
    let mut result = Vec::with_capacity(4 << 10);
    for placement in &decided.decision.placements {
        result.clear();
        put_placement(decided, placement, &mut tokens, &mut result);
        put_bytes(PLACEMENTS, &result, &mut reply);
    }
    Encoded(reply)
}

/// All but the placements and the versions.
fn rest(decided: &Decided) -> v1::DecideResponse {
    let decision = &decided.decision;
    v1::DecideResponse {
        decision_id: decided.id.clone(),
        feature_watermark: (decided.watermark_ms > 0).then(|| timestamp(decided.watermark_ms)),
        degraded: !decided.degraded.is_empty(),
        degraded_reasons: decided.degraded.iter().map(|code| (*code).into()).collect(),
        server_time: Some(timestamp(decided.now_ms)),
        cold_start: decision.cold_start,
        basis: match decision.basis {
            Basis::Personal => v1::Basis::Personal,
            Basis::NonPersonal => v1::Basis::NonPersonal,
        }
        .into(),
        selection: match decision.selection {
            Selection::Best => v1::Selection::Best,
            Selection::Holdout => v1::Selection::Holdout,
            Selection::Thompson => v1::Selection::Thompson,
        }
        .into(),
        skipped: decision.skipped.iter().map(skipped).collect(),
        candidates: decision.traces.iter().map(|trace| candidate_trace(decided, trace)).collect(),
        ..v1::DecideResponse::default()
    }
}

fn skipped(skipped: &Skipped) -> v1::SkippedAction {
    v1::SkippedAction { action_id: skipped.action.clone(), reason: skipped.reason.code().into() }
}

/// A `PlacementResult`; takes the tokens of what it shows, of which a what-if has none.
fn put_placement<'a>(
    decided: &Decided,
    decision: &PlacementDecision,
    tokens: &mut impl Iterator<Item = &'a String>,
    out: &mut Vec<u8>,
) {
    let (reason, fallback) = match decision.reason {
        PlacementReason::Decided => (v1::PlacementReason::Decided, None),
        PlacementReason::NoAction => (v1::PlacementReason::NoAction, None),
        PlacementReason::Fallback => {
            (v1::PlacementReason::Fallback, Some(&decided.ruleset.placements[decision.placement].fallback))
        }
    };
    let rest = v1::PlacementResult {
        reason: reason.into(),
        fallback_content: fallback.cloned().unwrap_or_default(),
        ..v1::PlacementResult::default()
    };
    let pieces = &decided.ruleset.pieces;
    out.extend_from_slice(pieces.placement(decision.placement));
    rest.encode_raw(out);
    for shown in &decision.shown {
        put_shown(pieces.shown(shown.action, decision.placement), shown, tokens.next(), out);
    }
}

/// A `ShownAction`.
fn put_shown(piece: &[u8], shown: &Shown, token: Option<&String>, out: &mut Vec<u8>) {
    let rest = v1::ShownAction {
        slot: shown.slot as i32,
        priority: shown.scored.priority,
        factors: Some(factors(&shown.scored)),
        score_source: source(shown.scored.source).into(),
        selection_probability: shown.selection_probability,
        reasons: shown.reasons.clone(),
        ..v1::ShownAction::default()
    };
    let token_len = token.map_or(0, |token| string::encoded_len(OUTCOME_TOKEN, token));
    put_head(ACTIONS, piece.len() + rest.encoded_len() + token_len, out);
    out.extend_from_slice(piece);
    rest.encode_raw(out);
    if let Some(token) = token {
        string::encode(OUTCOME_TOKEN, token, out);
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
