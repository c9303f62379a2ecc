//! A decision: what is shown where and why, what lost and why.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};
use tactful_proto::v1::{
    Basis, CandidateTrace, DecideResponse, PlacementReason, PlacementResult, ScoreSource, Selection, ShownAction, Stage,
};

use super::{table::Table, value};
use crate::output::Render;

/// How many of an action's contributions the text shows.
const CONTRIBUTIONS_SHOWN: usize = 8;
/// Keys of a treatment's content that say what it is about; one of them is shown before the others.
const HEADLINES: [&str; 5] = ["title", "subject", "say", "speech", "text"];

/// What a treatment is about, in its own words.
pub(crate) fn headline(content: &BTreeMap<String, String>) -> Option<&String> {
    HEADLINES.iter().find_map(|key| content.get(*key))
}

/// The answer of one Decide for this customer.
pub(crate) struct Decision<'a> {
    /// Subject id that was asked for.
    pub(crate) subject: &'a str,
    /// The answer.
    pub(crate) response: &'a DecideResponse,
    /// Whether the text names the version of each rule.
    pub(crate) rule_versions: bool,
}

impl Render for Decision<'_> {
    fn json(&self) -> Value {
        let response = self.response;
        let skipped = response.skipped.iter();
        json!({
            "subject_id": self.subject,
            "decision_id": response.decision_id,
            "placements": response.placements.iter().map(placement_json).collect::<Vec<_>>(),
            "ruleset_version": response.ruleset_version,
            "model_version": response.model_version,
            "feature_watermark": value::time(response.feature_watermark.as_ref()),
            "degraded": response.degraded,
            "degraded_reasons": response.degraded_reasons,
            "server_time": value::time(response.server_time.as_ref()),
            "cold_start": response.cold_start,
            "basis": value::name(response.basis().as_str_name(), "BASIS_"),
            "selection": selection_json(response.selection()),
            "skipped": skipped.map(|s| json!({ "action_id": s.action_id, "reason": s.reason })).collect::<Vec<_>>(),
            "candidates": response.candidates.iter().map(candidate_json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut out = header(self.subject, self.response);
        for placement in &self.response.placements {
            placement_text(&mut out, placement);
        }
        let candidates = self.response.candidates.iter();
        let (shown, losers): (Vec<_>, Vec<_>) = candidates.partition(|candidate| candidate.stage() == Stage::Shown);
        if !losers.is_empty() {
            out += "\nwhat lost, and why\n";
            out += &losers_table(&losers, self.rule_versions).render("  ");
        }
        // What moved the losers is in the JSON: as text it would bury what matters.
        for candidate in shown.into_iter().filter(|candidate| !candidate.contributions.is_empty()) {
            contributions_text(&mut out, candidate);
        }
        for (position, skipped) in self.response.skipped.iter().enumerate() {
            let gap = if position == 0 { "\n" } else { "" };
            let _ = writeln!(out, "{gap}left out: {}, {}", skipped.action_id, why_skipped(&skipped.reason));
        }
        out
    }
}

/// The codes of the API in words; a code that is newer than this program stands for itself.
fn why_skipped(code: &str) -> &str {
    match code {
        "UNKNOWN_ACTION" => "which is no action of the catalogue",
        "MODEL_MISSING" => "whose model is not loaded",
        "NON_FINITE_SCORE" => "whose score is no number",
        other => other,
    }
}

/// How an action was selected, as JSON.
pub(super) fn selection_json(selection: Selection) -> Value {
    value::name(selection.as_str_name(), "SELECTION_")
}

fn header(subject: &str, response: &DecideResponse) -> String {
    let mut out = format!("{subject}\n");
    let id =
        if response.decision_id.is_empty() { "none: a what-if, nothing is recorded" } else { &response.decision_id };
    let model = if response.model_version.is_empty() { "none" } else { &response.model_version };
    let _ = writeln!(out, "  decision  {id}");
    let _ = writeln!(out, "  ruleset   {}   model {model}", response.ruleset_version);
    if response.cold_start {
        out += "  nothing is known of this customer yet: a cold start\n";
    }
    if response.basis() == Basis::NonPersonal && !response.cold_start {
        out += "  nothing of this customer was used: the answer is non-personal\n";
    }
    if response.selection() == Selection::Holdout {
        out += "  this customer is in the random holdout: drawn at random from what passed the rules\n";
    }
    if response.degraded {
        let _ = writeln!(out, "  degraded: {}", response.degraded_reasons.join(", "));
    }
    out
}

fn placement_json(placement: &PlacementResult) -> Value {
    json!({
        "placement": placement.placement,
        "reason": value::name(placement.reason().as_str_name(), "PLACEMENT_REASON_"),
        "actions": placement.actions.iter().map(shown_json).collect::<Vec<_>>(),
        "fallback_content": value::texts(&placement.fallback_content),
        "interruption_cost": value::real(placement.interruption_cost),
    })
}

fn shown_json(shown: &ShownAction) -> Value {
    json!({
        "action_id": shown.action_id,
        "kind": shown.kind,
        "slot": shown.slot,
        "content": value::texts(&shown.content),
        "priority": value::real(shown.priority),
        "factors": value::factors(shown.factors.as_ref()),
        "score_source": value::name(shown.score_source().as_str_name(), "SCORE_SOURCE_"),
        "selection_probability": shown.selection_probability,
        "reasons": shown.reasons,
        "outcome_token": shown.outcome_token,
        "significant_effect": shown.significant_effect,
    })
}

fn candidate_json(candidate: &CandidateTrace) -> Value {
    let contributions = candidate.contributions.iter();
    let contributions = contributions.map(
        |c| json!({ "feature": c.feature, "logit": value::real(c.logit), "value": c.value.as_ref().map(value::json) }),
    );
    json!({
        "action_id": candidate.action_id,
        "stage": value::name(candidate.stage().as_str_name(), "STAGE_"),
        "rule_id": candidate.rule_id,
        "rule_version": candidate.rule_version,
        "detail": candidate.detail,
        "priority": value::real(candidate.priority),
        "factors": value::factors(candidate.factors.as_ref()),
        "score_source": value::name(candidate.score_source().as_str_name(), "SCORE_SOURCE_"),
        "contributions": contributions.collect::<Vec<_>>(),
        "intercept": value::real(candidate.intercept),
    })
}

fn placement_text(out: &mut String, placement: &PlacementResult) {
    let _ = writeln!(out, "\n{}", placement.placement);
    match placement.reason() {
        PlacementReason::NoAction => {
            let cost = placement.interruption_cost;
            let _ = writeln!(out, "  say nothing: no action was worth the interruption ({cost:.2})");
        }
        PlacementReason::Fallback => out.push_str("  the fallback: nothing passed the rules\n"),
        PlacementReason::Decided | PlacementReason::Unspecified => {}
    }
    content_text(out, &placement.fallback_content);
    for shown in &placement.actions {
        shown_text(out, shown);
    }
}

fn shown_text(out: &mut String, shown: &ShownAction) {
    let _ = writeln!(out, "  {}. {} ({})", shown.slot + 1, shown.action_id, shown.kind);
    let product = value::product(shown.factors.as_ref());
    let _ = writeln!(out, "     priority {:.4} = {product}   P from {}", shown.priority, head(shown.score_source()));
    if shown.selection_probability < 1.0 {
        let _ = writeln!(out, "     chosen with probability {:.4}", shown.selection_probability);
    }
    content_text(out, &shown.content);
    for reason in &shown.reasons {
        let _ = writeln!(out, "     why: {reason}");
    }
    if shown.significant_effect {
        out.push_str("     only as a recommendation to a human, never automatically\n");
    }
}

/// What the customer gets to see or hear, the headline first.
fn content_text(out: &mut String, content: &BTreeMap<String, String>) {
    let (first, rest): (Vec<_>, Vec<_>) = content.iter().partition(|(key, _)| HEADLINES.contains(&key.as_str()));
    for (key, text) in first.into_iter().chain(rest) {
        let _ = writeln!(out, "     {key}: {text}");
    }
}

/// Which head gave the acceptance probability, in words.
fn head(source: ScoreSource) -> &'static str {
    match source {
        ScoreSource::Action => "the action's own model",
        ScoreSource::Group => "its group's model",
        ScoreSource::Global => "the model that all share",
        ScoreSource::Prior => "the catalogue's start value",
        ScoreSource::Unspecified => "no model",
    }
}

fn losers_table(losers: &[&CandidateTrace], rule_versions: bool) -> Table {
    let mut table = Table::new(&["action", "lost at", "priority", "why", "rule", "version"]);
    for candidate in losers {
        let scored = candidate.factors.is_some();
        table.row([
            candidate.action_id.clone(),
            value::word(candidate.stage().as_str_name(), "STAGE_"),
            if scored { format!("{:.4}", candidate.priority) } else { String::new() },
            candidate.detail.clone(),
            candidate.rule_id.clone(),
            if rule_versions { candidate.rule_version.clone() } else { String::new() },
        ]);
    }
    table
}

/// Where a candidate's acceptance probability comes from, largest parts first.
fn contributions_text(out: &mut String, candidate: &CandidateTrace) {
    let _ = writeln!(
        out,
        "\nwhat moved the probability of {} (logit, from {:+.3})",
        candidate.action_id, candidate.intercept
    );
    let mut table = Table::new(&["feature", "value", "adds"]);
    for part in candidate.contributions.iter().take(CONTRIBUTIONS_SHOWN) {
        let read = part.value.as_ref().map_or_else(|| "missing".into(), |read| value::text(Some(read)));
        table.row([part.feature.clone(), read, format!("{:+.3}", part.logit)]);
    }
    out.push_str(&table.render("  "));
    if candidate.contributions.len() > CONTRIBUTIONS_SHOWN {
        let _ = writeln!(out, "  and {} smaller ones", candidate.contributions.len() - CONTRIBUTIONS_SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use tactful_proto::v1::{Contribution, Factors, SkippedAction};

    use super::*;

    fn response() -> DecideResponse {
        let factors = Factors { acceptance_probability: 0.25, value: 8.0, context_weight: 1.0, lever: 1.0 };
        let shown = ShownAction {
            action_id: "upgrade".into(),
            kind: "sell".into(),
            content: [("body", "Twice as much"), ("title", "More data")].map(|(k, v)| (k.into(), v.into())).into(),
            priority: 2.0,
            factors: Some(factors),
            score_source: ScoreSource::Action.into(),
            selection_probability: 1.0,
            reasons: vec!["used 95 % of the data this month".into()],
            ..ShownAction::default()
        };
        let lost = CandidateTrace {
            action_id: "insurance".into(),
            stage: Stage::Suitability.into(),
            rule_id: "no_promotion_in_trouble".into(),
            detail: "a fault is open".into(),
            ..CandidateTrace::default()
        };
        let scored = CandidateTrace {
            action_id: "upgrade".into(),
            stage: Stage::Shown.into(),
            factors: Some(factors),
            intercept: -2.0,
            contributions: vec![Contribution { feature: "customer.age".into(), logit: 0.9, value: None }],
            ..CandidateTrace::default()
        };
        let decided = PlacementResult {
            placement: "web_home".into(),
            actions: vec![shown],
            reason: PlacementReason::Decided.into(),
            ..PlacementResult::default()
        };
        let silent = PlacementResult {
            placement: "web_banner".into(),
            reason: PlacementReason::NoAction.into(),
            interruption_cost: 0.5,
            ..PlacementResult::default()
        };
        DecideResponse {
            decision_id: "id".into(),
            placements: vec![decided, silent],
            selection: Selection::Best.into(),
            basis: Basis::Personal.into(),
            candidates: vec![scored, lost],
            skipped: vec![SkippedAction { action_id: "upgrad".into(), reason: "UNKNOWN_ACTION".into() }],
            ..DecideResponse::default()
        }
    }

    #[test]
    fn the_text_tells_what_why_and_what_lost() {
        let mut response = response();
        let text =
            |response: &DecideResponse| Decision { subject: "customer:42", response, rule_versions: false }.text();
        response.basis = Basis::NonPersonal.into();
        assert!(text(&response).contains("nothing of this customer was used: the answer is non-personal"));
        response.basis = Basis::Personal.into();
        let text = text(&response);
        assert!(!text.contains("non-personal"), "{text}");
        for part in [
            "web_home\n  1. upgrade (sell)",
            "priority 2.0000 = P 0.2500 x V 8.00 x C 1.00 x L 1.00   P from the action's own model",
            "title: More data\n     body: Twice as much",
            "why: used 95 % of the data this month",
            "web_banner\n  say nothing: no action was worth the interruption (0.50)",
            "insurance  suitability  a fault is open  no_promotion_in_trouble",
            "customer.age  missing  +0.900",
            "left out: upgrad, which is no action of the catalogue",
        ] {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
    }

    #[test]
    fn the_json_names_enums_in_words_and_nan_is_null() {
        let response = response();
        let json = Decision { subject: "customer:42", response: &response, rule_versions: false }.json();
        assert_eq!(json["placements"][0]["reason"], "decided");
        assert_eq!(json["placements"][0]["actions"][0]["factors"]["acceptance_probability"], 0.25);
        assert_eq!((&json["selection"], &json["basis"]), (&Value::from("best"), &Value::from("personal")));
        assert_eq!(json["candidates"][1]["stage"], "suitability");
        assert_eq!(json["candidates"][0]["contributions"][0]["value"], Value::Null);
    }
}
