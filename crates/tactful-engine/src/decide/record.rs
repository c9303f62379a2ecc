//! The record of a decision with the complete view that it was made on. It is encoded where the decision
//! is made, so that one piece of memory goes to the other thread instead of dozens.

use prost::Message;
use tactful_core::decide::{Selection, Shown};
use tactful_core::ruleset::NO_ACTION;
use tactful_core::state::CustomerView;
use tactful_proto::storage::{ChosenBody, DecisionBody, Record};
use tactful_proto::{put_bytes, put_message, v1};

use super::{DecideCommand, Decided};
use crate::record::{Domain, message_hash};

/// Fields of `Record` and `DecisionBody`.
const DECISION: u32 = 5;
const FIELDS: u32 = 7;
const CHOSEN: u32 = 9;
const REQUEST: u32 = 13;
const PACKED_SLOTS: u32 = 15;

/// Encodes the `Record` of a decision.
pub(super) fn encode(decided: &Decided, view: &CustomerView, command: &DecideCommand<'_>, seed: u64) -> Vec<u8> {
    let record = Record {
        // A retried append that had come through after all takes effect once.
        message_hash: message_hash(Domain::Decision, &decided.id),
        subject_id: command.text.subject_id.into(),
        received_ms: decided.now_ms,
        body: None,
    };
    let body = body(decided, view, command, seed);
    let mut encoded = Vec::with_capacity(record.encoded_len() + body.len() + 8);
    record.encode_raw(&mut encoded);
    put_bytes(DECISION, &body, &mut encoded);
    encoded
}

fn body(decided: &Decided, view: &CustomerView, command: &DecideCommand<'_>, seed: u64) -> Vec<u8> {
    let rest = DecisionBody {
        decision_id: decided.id.clone(),
        decided_ms: decided.now_ms,
        seed,
        selection: match decided.decision.selection {
            Selection::Best => v1::Selection::Best,
            Selection::Holdout => v1::Selection::Holdout,
            Selection::Thompson => v1::Selection::Thompson,
        }
        .into(),
        matter_id: command.matter_id.into(),
        purposes: view.purposes,
        ..DecisionBody::default()
    };
    let mut body = Vec::with_capacity(4 << 10);
    body.extend_from_slice(decided.ruleset.pieces.record(decided.decision.alias));
    rest.encode_raw(&mut body);
    put_bytes(REQUEST, &command.encoded, &mut body);
    put_chosen(decided, &mut body);
    put_bytes(PACKED_SLOTS, &view.packed_slots(), &mut body);
    put_bytes(FIELDS, &decided.decision.field_bytes(), &mut body);
    body
}

/// The shown slots; a placement in which silence won counts as the action `none`.
fn put_chosen(decided: &Decided, body: &mut Vec<u8>) {
    let pieces = &decided.ruleset.pieces;
    for placement in &decided.decision.placements {
        for shown in &placement.shown {
            put_message(CHOSEN, &pieces.chosen(shown.action, placement.placement), &chosen(shown), body);
        }
        if placement.shown.is_empty() {
            let silence = ChosenBody {
                action_id: NO_ACTION.into(),
                selection_probability: placement.silence_probability,
                ..ChosenBody::default()
            };
            put_message(CHOSEN, &[pieces.chosen_in(placement.placement)], &silence, body);
        }
    }
}

fn chosen(shown: &Shown) -> ChosenBody {
    ChosenBody {
        slot: shown.slot as u32,
        selection_probability: shown.selection_probability,
        acceptance_probability: shown.scored.acceptance,
        priority: shown.scored.priority,
        ..ChosenBody::default()
    }
}
