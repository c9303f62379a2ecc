//! One row of the archive: an entry of the log byte for byte, and beside it what a person wants to see at a glance.

use bytes::Bytes;
use prost::Message;
use tactful_log::Offset;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{DecisionBody, OutcomeBody, Record};

/// Kinds of rows, as they are written.
pub(super) const DECISION: &str = "decision";
pub(super) const OUTCOME: &str = "outcome";

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) offset: Offset,
    pub(super) kind: &'static str,
    pub(super) received_ms: i64,
    pub(super) subject_id: String,
    pub(super) decision_id: String,
    pub(super) message_hash: u64,
    /// When it was decided, or when the outcome happened.
    pub(super) time_ms: i64,
    /// What was chosen or answered, set apart by commas.
    pub(super) action_ids: String,
    pub(super) outcome: Option<String>,
    pub(super) value: Option<f64>,
    /// The entry as it is in the log.
    pub(super) record: Bytes,
}

/// What an entry of the log is to the archive.
pub(super) enum Of {
    /// To be kept.
    Row(Box<Row>),
    /// Not for the archive.
    Other,
    /// It cannot be read; the appliers report it.
    Unreadable,
}

impl Row {
    /// What an entry is to the archive: decisions, captured ones included, exposures and outcomes are kept.
    pub(super) fn of(offset: Offset, payload: &Bytes) -> Of {
        let Ok(record) = Record::decode(payload.as_ref()) else { return Of::Unreadable };
        let mut row = Self {
            offset,
            kind: DECISION,
            received_ms: record.received_ms,
            subject_id: record.subject_id,
            decision_id: String::new(),
            message_hash: record.message_hash,
            time_ms: 0,
            action_ids: String::new(),
            outcome: None,
            value: None,
            record: payload.clone(),
        };
        match record.body {
            Some(Body::Decision(decision)) => row.decided(decision),
            Some(Body::Outcome(outcome)) => row.answered(outcome),
            _ => return Of::Other,
        }
        Of::Row(Box::new(row))
    }

    fn decided(&mut self, decision: DecisionBody) {
        self.time_ms = decision.decided_ms;
        let actions: Vec<&str> = decision.chosen.iter().map(|slot| slot.action_id.as_str()).collect();
        self.action_ids = actions.join(",");
        self.decision_id = decision.decision_id;
    }

    fn answered(&mut self, outcome: OutcomeBody) {
        self.kind = OUTCOME;
        self.time_ms = outcome.occurred_ms;
        let name = outcome.r#type().as_str_name();
        self.outcome = Some(name.strip_prefix("OUTCOME_TYPE_").unwrap_or(name).to_lowercase());
        self.value = Some(outcome.value);
        self.action_ids = outcome.action_id;
        self.decision_id = outcome.decision_id;
    }
}
