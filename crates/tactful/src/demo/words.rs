//! One decision in plain words: who, where, what, why, what lost and why.

use tactful_proto::v1;

use crate::render::decision::headline as headline_of;

/// Losers that are named.
const LOSERS_MAX: usize = 3;

/// A decision that was asked for with reasons, as a few lines set apart from what is above.
pub(super) fn explain(request: &v1::DecideRequest, response: &v1::DecideResponse) -> Vec<String> {
    let mut lines = vec![String::new(), headline(request, response)];
    for placement in &response.placements {
        placement_lines(&mut lines, placement);
    }
    let losers = response.candidates.iter().filter(|candidate| candidate.stage() != v1::Stage::Shown);
    for loser in losers.take(LOSERS_MAX) {
        lines.push(format!("    not {}: {}", loser.action_id, loser.detail));
    }
    lines
}

fn headline(request: &v1::DecideRequest, response: &v1::DecideResponse) -> String {
    let places: Vec<&str> = request.placements.iter().map(|place| place.placement.as_str()).collect();
    let known = if response.cold_start { ", of whom nothing is known yet," } else { "" };
    let context: Vec<String> = request.context.iter().filter_map(|(name, value)| named(name, value)).collect();
    let context = if context.is_empty() { String::new() } else { format!(" ({})", context.join(", ")) };
    format!("{}{known} at {}{context}", request.subject_id, places.join(" and "))
}

fn named(name: &str, value: &v1::Value) -> Option<String> {
    let value = match value.kind.as_ref()? {
        v1::value::Kind::Number(number) => format!("{number:.0}"),
        v1::value::Kind::Text(text) => text.clone(),
        v1::value::Kind::Flag(flag) => (if *flag { "yes" } else { "no" }).into(),
    };
    Some(format!("{} {value}", name.replace('_', " ")))
}

fn placement_lines(lines: &mut Vec<String>, placement: &v1::PlacementResult) {
    if placement.actions.is_empty() {
        let why = match placement.reason() {
            v1::PlacementReason::Fallback => "the fallback: nothing passed the rules".to_owned(),
            _ => format!("nothing: no action is worth the interruption ({:.2})", placement.interruption_cost),
        };
        lines.push(format!("  {} shows {why}", placement.placement));
    }
    for shown in &placement.actions {
        let title = headline_of(&shown.content).unwrap_or(&shown.action_id);
        let factors = shown.factors.unwrap_or_default();
        lines.push(format!("  {} shows \"{title}\" ({}, {})", placement.placement, shown.action_id, shown.kind));
        lines.push(format!(
            "    accepted by {:.1} % x value {:.2} x context {:.2} x lever {:.2} = {:.2}",
            factors.acceptance_probability * 100.0,
            factors.value,
            factors.context_weight,
            factors.lever,
            shown.priority
        ));
        lines.extend(shown.reasons.iter().map(|reason| format!("    why: {reason}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_where_what_why_and_what_lost() {
        let request = v1::DecideRequest {
            subject_id: "customer:7".into(),
            placements: vec![v1::PlacementRequest { placement: "web_home".into(), count: 1 }],
            ..Default::default()
        };
        let shown = v1::ShownAction {
            action_id: "fibre".into(),
            kind: "sell".into(),
            content: [("title".to_owned(), "Faster".to_owned())].into(),
            reasons: vec!["you often watch films".into()],
            ..Default::default()
        };
        let placement =
            v1::PlacementResult { placement: "web_home".into(), actions: vec![shown], ..Default::default() };
        let loser =
            v1::CandidateTrace { action_id: "card".into(), detail: "you are under 18".into(), ..Default::default() };
        let response =
            v1::DecideResponse { placements: vec![placement], candidates: vec![loser], ..Default::default() };
        let text = explain(&request, &response).join("\n");
        for wanted in ["customer:7", "web_home", "\"Faster\"", "you often watch films", "not card: you are under 18"] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }
}
