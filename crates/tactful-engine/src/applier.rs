//! Folds one partition of the log into its rows, record by record in log order: a deterministic
//! state machine with one task for each partition.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use metrics::counter;
use prost::Message;
use tactful_core::state::{Applied, DecisionMade, Dedup, Entry, Event, OutcomeSeen, Row, Schema, apply};
use tactful_log::{Log, Offset, Partition};
use tactful_proto::storage::fold_record::Body;
use tactful_proto::storage::{ExternalDecisionBody, FoldRecord, OutcomeBody, Record};
use tokio::sync::{mpsc, watch};

use crate::capture::{Captures, capture};
use crate::damage::Damage;
use crate::error::LogFailure;
use crate::model::Slot;
use crate::options::Options;
use crate::record::{self, chosen, properties};
use crate::recorder::Queued;
use crate::store::{PartitionRows, Store};

/// Entries read from the log at once.
const READ_MAX: usize = 1_024;
/// Pause after the log failed to answer, in milliseconds.
const RETRY_MS: u64 = 200;

/// One partition's fold.
pub(crate) struct Applier {
    pub(crate) partition: u16,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Arc<Store>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) dedup: Dedup,
    pub(crate) captures: Captures,
    /// Records beyond this offset are new since the start.
    pub(crate) start_tail: Offset,
    pub(crate) progress: watch::Sender<Offset>,
    pub(crate) damage: Damage,
}

impl Applier {
    pub(crate) fn dedup(options: &Options) -> Dedup {
        Dedup::new(options.dedup_horizon_ms, options.dedup_ids_min)
    }

    /// Follows the log until the engine closes, or the log turns out to be damaged.
    pub(crate) async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let mut after = 0;
        self.flush_if_caught_up(after).await;
        loop {
            let next = tokio::select! {
                next = self.next(after) => next,
                _closed = closing.wait_for(|closing| *closing) => return,
            };
            match next {
                Ok(last) => after = last,
                Err(error) if LogFailure::of(&error) == LogFailure::Damaged => {
                    self.damage.report(Partition::Data(self.partition), &error);
                    return;
                }
                Err(error) => {
                    counter!("tactful_log_read_errors_total").increment(1);
                    tracing::error!(partition = self.partition, %error, "cannot read the log, trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(RETRY_MS)).await;
                }
            }
        }
    }

    /// Applies the next records after an offset; returns the last offset applied.
    async fn next(&mut self, after: Offset) -> Result<Offset, tactful_log::Error> {
        let partition = Partition::Data(self.partition);
        let entries = self.log.read(partition, after, READ_MAX).await?;
        let Some(last) = entries.last().map(|entry| entry.offset) else {
            self.log.wait(partition, after).await?;
            return Ok(after);
        };
        for entry in &entries {
            match FoldRecord::decode(entry.payload.as_ref()) {
                Ok(record) => self.apply(record, entry.offset).await,
                Err(_) => {
                    counter!("tactful_events_poisoned_total").increment(1);
                    tracing::error!(
                        partition = self.partition,
                        offset = entry.offset,
                        "skipped an entry that cannot be read"
                    );
                }
            }
        }
        counter!("tactful_records_applied_total").increment(entries.len() as u64);
        self.store.partition(self.partition).applied.store(last, Ordering::Release);
        self.progress.send_replace(last);
        self.flush_if_caught_up(last).await;
        Ok(last)
    }

    /// External decisions of before the start whose captured form never reached the log go there now.
    async fn flush_if_caught_up(&mut self, applied: Offset) {
        if applied >= self.start_tail {
            self.captures.flush().await;
        }
    }

    async fn apply(&mut self, record: FoldRecord, offset: Offset) {
        if record.message_hash != 0 && !self.dedup.insert(record.message_hash, record.received_ms) {
            counter!("tactful_events_duplicate_total").increment(1);
            return;
        }
        let Some(body) = &record.body else { return };
        if let Body::Decision(decision) = body
            && decision.external
        {
            // Its effect on the row came with the external record; this is its captured form.
            self.captures.seen(record.message_hash);
            return;
        }
        if let Some(captured) = self.fold(&record, body) {
            self.captures.add(captured, offset > self.start_tail).await;
        }
    }

    /// Folds a record; answers the captured form of an external decision. One ruleset serves both.
    fn fold(&self, record: &FoldRecord, body: &Body) -> Option<Record> {
        let ruleset = self.slot.load();
        let rows = self.store.partition(self.partition);
        let captured = match body {
            Body::ExternalDecision(external) => Some(capture(&ruleset, rows, record, external)),
            _ => None,
        };
        let applied = fold(&ruleset.schema, rows, record, body);
        if applied.late > 0 {
            counter!("tactful_features_late_total").increment(u64::from(applied.late));
        }
        captured
    }
}

/// Folds one record into its row.
fn fold(schema: &Schema, rows: &PartitionRows, record: &FoldRecord, body: &Body) -> Applied {
    match body {
        Body::Event(event) => {
            let Some(kind) = record::event_kind(event) else { return Applied::default() };
            let properties = properties(&event.properties);
            let entry = Event {
                kind,
                name: &event.name,
                time_ms: event.event_ms,
                channel: &event.channel,
                matter_id: &event.matter_id,
                properties: &properties,
            };
            rows.watermark_ms.fetch_max(event.event_ms, Ordering::Relaxed);
            fold_entry(schema, rows, record, &Entry::Event(entry))
        }
        Body::Decision(decision) => {
            let chosen = chosen(&decision.chosen);
            let made = DecisionMade { time_ms: decision.decided_ms, matter_id: &decision.matter_id, chosen: &chosen };
            fold_entry(schema, rows, record, &Entry::Decision(made))
        }
        Body::Outcome(outcome) => fold_outcome(schema, rows, record, outcome),
        Body::ExternalDecision(external) => fold_external(schema, rows, record, external),
    }
}

fn fold_outcome(schema: &Schema, rows: &PartitionRows, record: &FoldRecord, outcome: &OutcomeBody) -> Applied {
    let Some(kind) = record::outcome_name(outcome.r#type()) else { return Applied::default() };
    let seen = OutcomeSeen {
        kind,
        action: &outcome.action_id,
        value: outcome.value,
        time_ms: outcome.occurred_ms,
        channel: &outcome.channel,
    };
    fold_entry(schema, rows, record, &Entry::Outcome(seen))
}

fn fold_external(
    schema: &Schema,
    rows: &PartitionRows,
    record: &FoldRecord,
    external: &ExternalDecisionBody,
) -> Applied {
    let chosen = [tactful_core::state::Chosen { action: &external.action_id, channel: "" }];
    let made = DecisionMade { time_ms: external.decided_ms, matter_id: "", chosen: &chosen };
    fold_entry(schema, rows, record, &Entry::Decision(made))
}

fn fold_entry(schema: &Schema, rows: &PartitionRows, record: &FoldRecord, entry: &Entry<'_>) -> Applied {
    let mut names = rows.names.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(mut row) = rows.rows.get_mut(record.subject_id.as_str()) {
        return apply(schema, &mut names, row.value_mut(), entry, record.received_ms);
    }
    let mut row = Row::new(schema);
    let applied = apply(schema, &mut names, &mut row, entry, record.received_ms);
    rows.rows.insert(record.subject_id.as_str(), row);
    applied
}

/// Queue to the recorder for captured decisions.
pub(crate) type CaptureQueue = mpsc::Sender<Queued>;
