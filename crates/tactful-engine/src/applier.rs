//! Folds one partition of the log into its rows, record by record in log order: a deterministic
//! state machine with one task for each partition.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use metrics::counter;
use prost::Message;
use tactful_core::hash;
use tactful_core::state::{Applied, DecisionMade, Dedup, Entry, Event, OutcomeSeen, Row, STATE_FORMAT, apply};
use tactful_log::{Entry as LogEntry, Error as LogError, Log, Offset, Partition};
use tactful_proto::storage::fold_record::Body;
use tactful_proto::storage::{ExternalDecisionBody, FoldRecord, OutcomeBody, Record, SchemaBody, SnapshotHeader};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::capture::{Captures, capture};
use crate::clock::now_ms;
use crate::damage::Damage;
use crate::erase_list::Erased;
use crate::error::{Error, LogFailure};
use crate::generation::{self, Generation};
use crate::options::Options;
use crate::record::{self, chosen, consent_given, fact_told, link_stated, properties};
use crate::recorder::Queued;
use crate::replies::Replies;
use crate::slot::Slot;
use crate::snapshot::{self, Beginning, Places, Taker, restore};
use crate::store::{PartitionRows, Store};
use crate::tombstones::Tombstones;

/// Entries read from the log at once.
const READ_MAX: usize = 1_024;
/// Pause after the log failed to answer.
const RETRY: Duration = Duration::from_millis(200);

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
    /// The last offset that is applied; none until it is known where to start from.
    pub(crate) progress: watch::Sender<Option<Offset>>,
    pub(crate) damage: Damage,
    pub(crate) snapshots: Snapshots,
    pub(crate) replies: Arc<Replies>,
    pub(crate) tombstones: Tombstones,
    pub(crate) erased: Erased,
    /// Hash of the last entry applied: see `SnapshotHeader`.
    pub(crate) anchor: u64,
}

/// Where a partition starts from, and what it leaves behind.
pub(crate) struct Snapshots {
    pub(crate) shared: Option<Arc<snapshot::Shared>>,
    pub(crate) peers: Vec<PathBuf>,
    /// As many are read at once as there are processors.
    pub(crate) loading: Arc<Semaphore>,
    pub(crate) taker: Taker,
}

impl Snapshots {
    pub(crate) fn new(
        shared: Option<Arc<snapshot::Shared>>,
        options: &Options,
        loading: &Arc<Semaphore>,
        partition: u16,
    ) -> Self {
        let (peers, loading) = (options.peer_snapshots.clone(), Arc::clone(loading));
        Self { shared, peers, loading, taker: Taker::new(None, partition) }
    }
}

/// What an applier waits for.
enum Next {
    Entries(Result<Vec<LogEntry>, LogError>),
    Snapshot,
    Closing,
}

impl Applier {
    pub(crate) fn dedup(options: &Options) -> Dedup {
        Dedup::new(options.dedup_horizon_ms, options.dedup_ids_min)
    }

    /// Follows the log until the engine closes, or the log turns out to be damaged.
    pub(crate) async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let Some(mut after) = self.start(&mut closing).await else { return };
        let mut retry_at = None;
        loop {
            let rows = self.store.partition(self.partition).generation().rows.len() as u64;
            // A snapshot goes on while the log fails.
            let next = tokio::select! {
                entries = fetch(self.log.as_ref(), self.partition, after, retry_at) => Next::Entries(entries),
                () = self.snapshots.taker.wake(after, rows) => Next::Snapshot,
                _closed = closing.wait_for(|closing| *closing) => Next::Closing,
            };
            match next {
                Next::Entries(Ok(entries)) => match self.apply_all(&entries).await {
                    Ok(last) => (after, retry_at) = (last, None),
                    Err(Error::Closed) => return,
                    // To fold on by another schema than the log says would be wrong in silence.
                    Err(error) => return self.damage.report(Partition::Data(self.partition), &error),
                },
                Next::Entries(Err(error)) if !self.tolerates(&error) => return,
                Next::Entries(Err(_)) => retry_at = Some(Instant::now() + RETRY),
                Next::Snapshot => {}
                Next::Closing => return self.last_snapshot(after).await,
            }
            self.advance_snapshot(after);
        }
    }

    /// Puts the newest snapshot in place; answers the offset to go on from, none if there is no going on.
    async fn start(&mut self, closing: &mut watch::Receiver<bool>) -> Option<Offset> {
        let restored = loop {
            let places = Places {
                own: self.snapshots.shared.as_ref().map(|shared| shared.folder().path().to_owned()),
                peers: &self.snapshots.peers,
                loading: &self.snapshots.loading,
            };
            let restoring = restore(&places, self.log.as_ref(), &self.store, self.partition);
            let restored = tokio::select! {
                restored = restoring => restored,
                _closed = closing.wait_for(|closing| *closing) => return None,
            };
            match restored {
                Ok(restored) => break restored,
                Err(error) if !self.tolerates(&error) => return None,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        let mut after = 0;
        if let Some(restored) = restored {
            after = restored.offset;
            self.dedup.restore(restored.dedup);
            self.captures.restore(restored.waiting);
            self.tombstones.add_missing(&restored.tombstones);
            self.anchor = restored.anchor;
            self.store.partition(self.partition).watermark_ms.store(restored.watermark_ms, Ordering::Relaxed);
        }
        self.erase_missing();
        // Only now: whoever waits for this must not meet anybody who was erased.
        self.publish(after);
        self.snapshots.taker = Taker::new(self.snapshots.shared.clone(), self.partition);
        self.flush_if_caught_up(after).await;
        Some(after)
    }

    /// Whether to try again after the log failed.
    fn tolerates(&self, error: &LogError) -> bool {
        if LogFailure::of(error) == LogFailure::Damaged {
            self.damage.report(Partition::Data(self.partition), error);
            return false;
        }
        counter!("tactful_log_read_errors_total").increment(1);
        tracing::error!(partition = self.partition, %error, "cannot read the log, trying again");
        true
    }

    /// Applies entries; returns the last offset.
    async fn apply_all(&mut self, entries: &[LogEntry]) -> Result<Offset, Error> {
        for entry in entries {
            match FoldRecord::decode(entry.payload.as_ref()) {
                Ok(record) => self.apply(record, entry.offset).await?,
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
        let last = entries.last().expect("a fetch brings at least one entry");
        self.anchor = hash::content(&last.payload);
        counter!("tactful_records_applied_total").increment(entries.len() as u64);
        self.publish(last.offset);
        self.flush_if_caught_up(last.offset).await;
        Ok(last.offset)
    }

    fn publish(&self, applied: Offset) {
        self.store.partition(self.partition).applied.store(applied, Ordering::Release);
        self.progress.send_replace(Some(applied));
    }

    fn advance_snapshot(&mut self, applied: Offset) {
        let (taker, rows, beginning) = self.snapshot_parts(applied);
        taker.advance(rows, applied, beginning);
    }

    /// What happened since the last snapshot need not be replayed by the next start.
    async fn last_snapshot(&mut self, applied: Offset) {
        let (taker, rows, beginning) = self.snapshot_parts(applied);
        taker.take_last(rows, applied, beginning).await;
    }

    /// The taker, the rows, and how a snapshot begins.
    fn snapshot_parts(&mut self, applied: Offset) -> (&mut Taker, &PartitionRows, impl Fn() -> Beginning) {
        let rows = self.store.partition(self.partition);
        let (log, dedup) = (self.log.as_ref(), &self.dedup);
        let (captures, tombstones) = (&self.captures, &self.tombstones);
        let (anchor, partition) = (self.anchor, self.partition);
        let beginning = move || Beginning {
            header: SnapshotHeader {
                state_format: STATE_FORMAT,
                schema_hash: rows.generation().schema().hash(),
                schema: Some(rows.schema_body()),
                epoch: log.epoch(),
                partition: partition.into(),
                partitions: log.partitions().into(),
                offset: applied,
                anchor,
                created_ms: now_ms(),
                watermark_ms: rows.watermark_ms(),
                waiting: captures.waiting(),
                tombstones: tombstones.list(),
                rows: rows.generation().rows.len() as u64,
            },
            dedup: dedup.image(),
            generation: Arc::clone(&rows.generation()),
        };
        (&mut self.snapshots.taker, rows, beginning)
    }

    /// External decisions of before the start whose captured form never reached the log go there now.
    async fn flush_if_caught_up(&mut self, applied: Offset) {
        if applied >= self.start_tail {
            self.captures.flush().await;
        }
    }

    async fn apply(&mut self, record: FoldRecord, offset: Offset) -> Result<(), Error> {
        if record.message_hash != 0 && !self.dedup.insert(record.message_hash, record.received_ms) {
            counter!("tactful_events_duplicate_total").increment(1);
            return Ok(());
        }
        match &record.body {
            None => {}
            Some(Body::Schema(schema)) => self.switch(schema.clone()).await?,
            Some(Body::Erase(erase)) => self.erase(&record.subject_id, erase.erased_ms),
            Some(body) if self.is_barred(&record, body) => {
                counter!("tactful_events_of_erased_total").increment(1);
            }
            // Its effect on the row came with the external record; this is its captured form.
            Some(Body::Decision(decision)) if decision.external => self.captures.seen(record.message_hash),
            Some(body) => {
                if let Some(captured) = self.fold(&record, body) {
                    self.captures.add(captured, offset > self.start_tail).await;
                }
            }
        }
        Ok(())
    }

    /// Goes on under another schema. Off the runtime's threads: it walks all rows of the partition.
    async fn switch(&self, schema: SchemaBody) -> Result<(), Error> {
        let (store, partition) = (Arc::clone(&self.store), self.partition);
        // A snapshot that is being taken goes on with the rows of before, and frees them in the end.
        let are_kept = self.snapshots.taker.holds_rows();
        let switching = move || generation::switch(store.partition(partition), &schema, are_kept);
        tokio::task::spawn_blocking(switching).await.map_err(|_| Error::Closed)?
    }

    /// Folds a record by the partition's own schema; answers the captured form of an external decision, as
    /// the ruleset reads it.
    fn fold(&mut self, record: &FoldRecord, body: &Body) -> Option<Record> {
        let partition = self.store.partition(self.partition);
        let rows = partition.generation();
        self.snapshots.taker.before_change(&rows, &record.subject_id);
        let captured = match body {
            Body::ExternalDecision(external) => Some(capture(&self.slot.load(), &self.store, record, external)),
            _ => None,
        };
        let applied = fold(partition, &rows, record, body);
        if let (Body::Link(link), false) = (body, applied.out_of_range) {
            self.store.links.learn(&record.subject_id, &link_stated(link));
        }
        if applied.late > 0 {
            counter!("tactful_features_late_total").increment(u64::from(applied.late));
        }
        captured
    }
}

/// The next entries, as soon as there are any, but not before a time.
async fn fetch(
    log: &dyn Log,
    partition: u16,
    after: Offset,
    not_before: Option<Instant>,
) -> Result<Vec<LogEntry>, LogError> {
    if let Some(time) = not_before {
        tokio::time::sleep_until(time).await;
    }
    let partition = Partition::Data(partition);
    loop {
        let entries = log.read(partition, after, READ_MAX).await?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        log.wait(partition, after).await?;
    }
}

/// Folds one record into its row.
fn fold(partition: &PartitionRows, rows: &Generation, record: &FoldRecord, body: &Body) -> Applied {
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
            partition.watermark_ms.fetch_max(event.event_ms, Ordering::Relaxed);
            fold_entry(partition, rows, record, &Entry::Event(entry))
        }
        Body::Decision(decision) => {
            let chosen = chosen(&decision.chosen);
            let made = DecisionMade { time_ms: decision.decided_ms, matter_id: &decision.matter_id, chosen: &chosen };
            fold_entry(partition, rows, record, &Entry::Decision(made))
        }
        Body::Outcome(outcome) => fold_outcome(partition, rows, record, outcome),
        Body::ExternalDecision(external) => fold_external(partition, rows, record, external),
        Body::Link(link) => fold_entry(partition, rows, record, &Entry::Link(link_stated(link))),
        Body::Fact(fact) => fold_entry(partition, rows, record, &Entry::Fact(fact_told(fact))),
        Body::Consent(consent) => fold_entry(partition, rows, record, &Entry::Consent(consent_given(consent))),
        // Not of one row alone: the applier does what they say.
        Body::Schema(_) | Body::Erase(_) => Applied::default(),
    }
}

fn fold_outcome(partition: &PartitionRows, rows: &Generation, record: &FoldRecord, outcome: &OutcomeBody) -> Applied {
    let Some(kind) = record::outcome_name(outcome.r#type()) else { return Applied::default() };
    let seen = OutcomeSeen {
        kind,
        action: &outcome.action_id,
        value: outcome.value,
        time_ms: outcome.occurred_ms,
        channel: &outcome.channel,
    };
    fold_entry(partition, rows, record, &Entry::Outcome(seen))
}

fn fold_external(
    partition: &PartitionRows,
    rows: &Generation,
    record: &FoldRecord,
    external: &ExternalDecisionBody,
) -> Applied {
    let chosen = [tactful_core::state::Chosen { action: &external.action_id, channel: "" }];
    let made = DecisionMade { time_ms: external.decided_ms, matter_id: "", chosen: &chosen };
    fold_entry(partition, rows, record, &Entry::Decision(made))
}

fn fold_entry(partition: &PartitionRows, rows: &Generation, record: &FoldRecord, entry: &Entry<'_>) -> Applied {
    let schema = rows.schema();
    let mut names = partition.names.write().unwrap_or_else(PoisonError::into_inner);
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
