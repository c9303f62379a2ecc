//! One row of the record of decisions as a JSON object: fit for pandas and for off-policy evaluation.

use serde_json::{Value, json};
use tactful_proto::v1::{self, DecisionRow, Outcome};

use super::{decision::selection_json, value};

/// One decision and slot with its outcomes.
pub(crate) fn json(row: &DecisionRow) -> Value {
    json!({
        "decision_id": row.decision_id,
        "decision_time": value::time(row.decision_time.as_ref()),
        "subject_id": row.subject_id,
        "placement": row.placement,
        "channel": row.channel,
        "slot": row.slot,
        "action_id": row.action_id,
        "group": row.group,
        "selection_probability": row.selection_probability,
        "acceptance_probability": value::real(row.acceptance_probability),
        "priority": value::real(row.priority),
        "features": value::map(&row.features),
        "selection": selection_json(row.selection()),
        "ruleset_version": row.ruleset_version,
        "model_version": row.model_version,
        "shadow_model_version": row.shadow_model_version,
        "shadow_acceptance_probability": shadow(row).map(value::real),
        "shadow_action_id": row.shadow_action_id,
        "external": row.external,
        "outcomes": row.outcomes.iter().map(outcome).collect::<Vec<_>>(),
    })
}

/// How a row was selected; none if that is not known.
pub(crate) fn selection(row: &DecisionRow) -> Option<String> {
    selection_json(row.selection()).as_str().map(ToOwned::to_owned)
}

/// Acceptance probability by the shadow; none if there was no shadow.
pub(crate) fn shadow(row: &DecisionRow) -> Option<f32> {
    (!row.shadow_model_version.is_empty()).then_some(row.shadow_acceptance_probability)
}

/// What an outcome was; none if that is not known.
pub(crate) fn outcome_type(outcome: &Outcome) -> Option<String> {
    value::name(outcome.r#type().as_str_name(), "OUTCOME_TYPE_").as_str().map(ToOwned::to_owned)
}

/// A feature's value as JSON.
pub(crate) fn feature(value: &v1::Value) -> Value {
    value::as_read(value)
}

/// A feature's number as it is written in JSON; none if it is none.
pub(crate) fn number(value: &v1::Value) -> Option<f64> {
    value::as_read(value).as_f64()
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "type": value::name(outcome.r#type().as_str_name(), "OUTCOME_TYPE_"),
        "value": outcome.value,
        "occur_time": value::time(outcome.occur_time.as_ref()),
        "reason_code": outcome.reason_code,
    })
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tactful_proto::v1::{OutcomeType, Selection, value::Kind};

    use super::*;

    #[test]
    fn a_row_has_the_names_of_the_api_and_rfc_3339_times() {
        let row = DecisionRow {
            decision_id: "d".into(),
            decision_time: Some(Timestamp { seconds: 0, nanos: 1_000_000 }),
            selection_probability: 0.1,
            acceptance_probability: 0.1,
            features: [("customer.age".to_owned(), v1::Value { kind: Some(Kind::Number(44.0)) })].into(),
            selection: Selection::Holdout.into(),
            outcomes: vec![Outcome { r#type: OutcomeType::NotPresented.into(), ..Outcome::default() }],
            ..DecisionRow::default()
        };
        let json = json(&row);
        assert_eq!(json["decision_time"], "1970-01-01T00:00:00.001Z");
        assert_eq!(json["acceptance_probability"].to_string(), "0.1");
        assert_eq!(json["features"]["customer.age"], 44.0);
        assert_eq!(json["selection"], "holdout");
        assert_eq!(json["outcomes"][0]["type"], "not_presented");
        assert_eq!(json.as_object().unwrap().len(), 20, "one key for each field of the message");
    }
}
