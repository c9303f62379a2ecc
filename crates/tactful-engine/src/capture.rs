//! Decisions made elsewhere get the customer's view into their record: the partition's applier
//! reads it at the decision's place in the log, evaluated at the decision's time and overridden by
//! its context, and appends the captured form. A crash in between is mended at the next start,
//! because the replay comes by the same place with the same rows. (Those of linked ids in other partitions
//! are read as far as this node has come there.)

use std::collections::{BTreeMap, BTreeSet};

use tactful_core::layout::Layout;
use tactful_core::ruleset::Ruleset;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ChosenBody, DecisionBody, ExternalDecisionBody, FoldRecord, Record};

use crate::applier::CaptureQueue;
use crate::decide::field_value;
use crate::record::{capture_hash, floats_to_bytes, properties};
use crate::recorder::Queued;
use crate::store::Store;

/// Captured decisions on their way to the log.
pub(crate) struct Captures {
    queue: CaptureQueue,
    partitions: u16,
    /// Captured forms that were not met in the log yet.
    waiting: BTreeMap<u64, Record>,
    /// Those of them that were not sent to the log by this node.
    unsent: BTreeSet<u64>,
}

impl Captures {
    pub(crate) fn new(queue: CaptureQueue, partitions: u16) -> Self {
        Self { queue, partitions, waiting: BTreeMap::new(), unsent: BTreeSet::new() }
    }

    /// Appends a captured decision, or during replay keeps it until its captured form is met.
    pub(crate) async fn add(&mut self, record: Record, live: bool) {
        if live {
            self.send(&record).await;
        } else {
            self.unsent.insert(record.message_hash);
        }
        self.waiting.insert(record.message_hash, record);
    }

    /// The captured form was met in the log.
    pub(crate) fn seen(&mut self, message_hash: u64) {
        self.waiting.remove(&message_hash);
        self.unsent.remove(&message_hash);
    }

    /// Appends what replay did not meet.
    pub(crate) async fn flush(&mut self) {
        for message_hash in std::mem::take(&mut self.unsent) {
            if let Some(record) = self.waiting.get(&message_hash) {
                self.send(record).await;
            }
        }
    }

    /// Leaves out those of a subject id that was erased.
    pub(crate) fn forget(&mut self, subject_id: &str) {
        self.waiting.retain(|_, record| record.subject_id != subject_id);
        self.unsent.retain(|hash| self.waiting.contains_key(hash));
    }

    /// What a snapshot of this place has to keep.
    pub(crate) fn waiting(&self) -> Vec<Record> {
        self.waiting.values().cloned().collect()
    }

    /// Takes what a snapshot kept, as replay would have.
    pub(crate) fn restore(&mut self, waiting: Vec<Record>) {
        self.unsent = waiting.iter().map(|record| record.message_hash).collect();
        self.waiting = waiting.into_iter().map(|record| (record.message_hash, record)).collect();
    }

    async fn send(&self, record: &Record) {
        if self.queue.send(Queued::record(record, self.partitions)).await.is_err() {
            // The engine is closing; the next start captures it again from the log.
            tracing::debug!("a captured decision waits for the next start");
        }
    }
}

/// The captured form of an external decision at this place of the log.
pub(crate) fn capture(
    ruleset: &Ruleset,
    store: &Store,
    record: &FoldRecord,
    external: &ExternalDecisionBody,
) -> Record {
    let schema = &ruleset.schema;
    let view = store.view(schema, &record.subject_id, external.decided_ms).view;
    let mut fields = vec![f32::NAN; ruleset.layout.fields().len()];
    view.write_fields(schema, external.decided_ms, &mut fields);
    for (name, value) in properties(&external.context) {
        if let Some((field, value)) = known_field(&ruleset.layout, name).and_then(|field| {
            let kind = &ruleset.layout.fields()[field].kind;
            Some((field, field_value(kind, value)?))
        }) {
            // What the customer denies stays missing, whoever says it.
            if view.allows(schema, field) {
                fields[field] = value;
            }
        }
    }
    let group = ruleset.action(&external.action_id).map_or("", |action| ruleset.actions[action].group.as_str());
    let placement = ruleset.placement(&external.placement).map(|placement| &ruleset.placements[placement]);
    let chosen = ChosenBody {
        action_id: external.action_id.clone(),
        placement: external.placement.clone(),
        channel: placement.map_or_else(String::new, |placement| placement.channel.clone()),
        slot: 0,
        selection_probability: external.selection_probability,
        acceptance_probability: 0.0,
        priority: 0.0,
        group: group.into(),
    };
    let decision = DecisionBody {
        decision_id: external.external_decision_id.clone(),
        decided_ms: external.decided_ms,
        packed_slots: view.packed_slots(),
        fields: floats_to_bytes(&fields),
        layout: ruleset.layout_hash,
        chosen: vec![chosen],
        external: true,
        purposes: view.purposes,
        ..DecisionBody::default()
    };
    Record {
        message_hash: capture_hash(record.message_hash),
        subject_id: record.subject_id.clone(),
        received_ms: record.received_ms,
        body: Some(Body::Decision(decision)),
    }
}

/// The field that an external decision's context names: in full, a context field, or a feature.
pub(crate) fn known_field(layout: &Layout, name: &str) -> Option<usize> {
    layout
        .index(name)
        .or_else(|| layout.index(&format!("context.{name}")))
        .or_else(|| layout.index(&format!("customer.{name}")))
}
