//! Two line types of our own: a decision that somebody else's policy made, and an outcome.
//! Their fields are those of the API in snake_case; a field they do not have is refused as a typo.

use tactful_proto::v1::{ExternalDecision, OutcomeReport, OutcomeType};

use super::{Refused, fields::Fields, properties::Properties, unknown};

const DECISION_FIELDS: [&str; 8] = [
    "type",
    "external_decision_id",
    "subject_id",
    "action_id",
    "placement",
    "decision_time",
    "selection_probability",
    "context",
];
const OUTCOME_FIELDS: [&str; 9] = [
    "type",
    "subject_id",
    "outcome_token",
    "external_decision_id",
    "outcome",
    "value",
    "occur_time",
    "reason_code",
    "message_id",
];
const OUTCOMES: [(&str, OutcomeType); 8] = [
    ("exposed", OutcomeType::Exposed),
    ("accepted", OutcomeType::Accepted),
    ("rejected", OutcomeType::Rejected),
    ("deferred", OutcomeType::Deferred),
    ("clicked", OutcomeType::Clicked),
    ("converted", OutcomeType::Converted),
    ("resolved", OutcomeType::Resolved),
    ("not_presented", OutcomeType::NotPresented),
];
/// Longest outcome token that is passed on, in bytes; the server's own are far shorter.
const TOKEN_BYTES_MAX: usize = 4_096;

pub(super) fn decision(fields: &Fields<'_>) -> Result<ExternalDecision, Refused> {
    fields.only(&DECISION_FIELDS)?;
    let probability = fields.number("selection_probability")?;
    let probability = probability.ok_or_else(|| {
        Refused::field("selection_probability", "missing; the chance with which that policy chose the action")
    })?;
    if !(probability > 0.0 && probability <= 1.0) {
        let message = format!("{probability} is not above 0 and at most 1");
        return Err(Refused::field("selection_probability", message));
    }
    Ok(ExternalDecision {
        external_decision_id: fields.required_id("external_decision_id", "an id that its outcomes name")?,
        subject_id: fields.required_id("subject_id", "the customer it was made for")?,
        action_id: fields.required("action_id", "the action, or none for a deliberate silence")?.into(),
        placement: fields.text("placement")?.unwrap_or_default().into(),
        decision_time: fields.time(&["decision_time"])?,
        selection_probability: probability,
        context: Properties::flatten("context", fields.object("context")?)?.into_map()?,
    })
}

pub(super) fn outcome(fields: &Fields<'_>) -> Result<OutcomeReport, Refused> {
    fields.only(&OUTCOME_FIELDS)?;
    let word = fields.required("outcome", "what the answer was, for example accepted")?;
    let known = OUTCOMES.map(|(name, _)| name);
    let kind = OUTCOMES.iter().find(|(name, _)| *name == word);
    let (_, kind) = kind.ok_or_else(|| Refused::field("outcome", unknown(word, &known)))?;
    let outcome_token = fields.long_text("outcome_token", TOKEN_BYTES_MAX)?.unwrap_or_default();
    let external_decision_id = fields.id("external_decision_id")?.unwrap_or_default();
    if outcome_token.is_empty() == external_decision_id.is_empty() {
        return Err(Refused::field("outcome_token", "give either outcome_token or external_decision_id"));
    }
    Ok(OutcomeReport {
        subject_id: fields.required_id("subject_id", "the customer that the decision was made for")?,
        outcome_token: outcome_token.into(),
        external_decision_id,
        r#type: (*kind).into(),
        value: fields.number("value")?.unwrap_or_default(),
        occur_time: fields.time(&["occur_time"])?,
        reason_code: fields.text("reason_code")?.unwrap_or_default().into(),
        message_id: fields.id("message_id")?.unwrap_or_default(),
    })
}
