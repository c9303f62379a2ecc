//! Keeps every decision: a bounded queue from the decision path to one task that appends groups to
//! the log. The decision path never waits for it. While the log fails the task holds its group and
//! tries again; when the queue is full, decisions are served unlogged, flagged and counted. What the
//! log refuses for good is counted as unlogged too, so that it never stands in the way of the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::{counter, gauge};
use prost::Message;
use tactful_core::hash;
use tactful_log::{Log, Partition};
use tactful_proto::storage::Record;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::LogFailure;

/// Records appended to the log in one group.
const GROUP_MAX: usize = 512;
/// Bytes after which a group is full: with one more record it stays below the log's bound.
const GROUP_BYTES: usize = 4 << 20;
const _: () = assert!(GROUP_BYTES + tactful_log::ENTRY_BYTES_MAX <= tactful_log::GROUP_BYTES_MAX);
/// Pause between groups. Nobody waits for a record, and a group costs as much as many records: a
/// write to the disk, a wake-up of every partition's fold.
const PACE: Duration = Duration::from_millis(20);
/// Pause before a failed append is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What waits for the recorder.
#[allow(clippy::large_enum_variant, reason = "nearly all are records, and a box would cost each an allocation")]
pub(crate) enum Queued {
    /// An encoded record to append.
    Record(Partition, Bytes),
    /// Somebody who wants to know when everything before it is in the log.
    Flush(oneshot::Sender<()>),
}

/// The decision path's end of the recorder.
#[derive(Clone)]
pub(crate) struct Recorder {
    partitions: u16,
    queue: mpsc::Sender<Queued>,
    state: Arc<RecorderState>,
}

/// What the recorder says of itself.
#[derive(Default)]
pub(crate) struct RecorderState {
    failing: AtomicBool,
    unlogged: AtomicU64,
}

impl Recorder {
    /// A recorder and the task that it feeds.
    pub(crate) fn new(log: Arc<dyn Log>, queue_max: usize) -> (Self, RecorderTask) {
        let (queue, records) = mpsc::channel(queue_max.max(1));
        let state = Arc::new(RecorderState::default());
        let partitions = log.partitions();
        (Self { partitions, queue, state: Arc::clone(&state) }, RecorderTask { log, records, state })
    }

    /// Queues an encoded record. False if the queue is full: the decision is then unlogged.
    pub(crate) fn record(&self, subject_id: &str, record: Vec<u8>) -> bool {
        let queued = self.queue.try_send(Queued::Record(self.partition(subject_id), record.into())).is_ok();
        if !queued {
            self.state.count_unlogged(1);
        }
        queued
    }

    /// Where records of a subject go.
    pub(crate) fn partition(&self, subject_id: &str) -> Partition {
        Partition::Data(hash::partition(subject_id, self.partitions))
    }

    /// Counts a decision that is served without a record.
    pub(crate) fn leave_out(&self) {
        self.state.count_unlogged(1);
    }

    /// A further end of the queue, for captured decisions.
    pub(crate) fn queue(&self) -> mpsc::Sender<Queued> {
        self.queue.clone()
    }

    /// Returns once everything that was queued before is in the log, or the recorder has ended.
    pub(crate) async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        if self.queue.send(Queued::Flush(sender)).await.is_ok() {
            let _ended = written.await.is_err();
        }
    }

    /// Whether the log refused the last append.
    pub(crate) fn failing(&self) -> bool {
        self.state.failing.load(Ordering::Relaxed)
    }

    /// Decisions served without a record since the start.
    pub(crate) fn unlogged(&self) -> u64 {
        self.state.unlogged.load(Ordering::Relaxed)
    }
}

impl Queued {
    /// A record on its way to its subject's partition.
    pub(crate) fn record(record: &Record, partitions: u16) -> Self {
        let partition = hash::partition(&record.subject_id, partitions);
        Self::Record(Partition::Data(partition), record.encode_to_vec().into())
    }
}

impl RecorderState {
    fn count_unlogged(&self, count: u64) {
        self.unlogged.fetch_add(count, Ordering::Relaxed);
        counter!("tactful_decisions_unlogged_total").increment(count);
    }
}

/// The task that appends.
pub(crate) struct RecorderTask {
    log: Arc<dyn Log>,
    records: mpsc::Receiver<Queued>,
    state: Arc<RecorderState>,
}

impl RecorderTask {
    /// Appends until the engine closes and the queue is empty.
    pub(crate) async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            let received = tokio::select! {
                received = self.records.recv_many(&mut group, GROUP_MAX) => received,
                _closed = closing.wait_for(|closing| *closing), if !self.records.is_closed() => {
                    self.records.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            gauge!("tactful_recorder_queue").set(self.records.len() as f64);
            if !self.write(group.drain(..)).await {
                return;
            }
            if received < GROUP_MAX {
                let _closed = tokio::time::timeout(PACE, closing.wait_for(|closing| *closing)).await;
            }
        }
    }

    /// Writes what was queued, in groups of a bounded size. False if the log is closed.
    async fn write(&self, queued: impl Iterator<Item = Queued>) -> bool {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for item in queued {
            match item {
                Queued::Record(partition, payload) => {
                    bytes += payload.len();
                    entries.push((partition, payload));
                    if bytes < GROUP_BYTES {
                        continue;
                    }
                }
                Queued::Flush(waiting) => {
                    if !self.append(std::mem::take(&mut entries)).await {
                        return false;
                    }
                    // Whoever asked may have gone away.
                    let _gone = waiting.send(());
                }
            }
            bytes = 0;
            if !self.append(std::mem::take(&mut entries)).await {
                return false;
            }
        }
        self.append(entries).await
    }

    /// Appends a group, trying again while the log fails. False if the log is closed.
    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> bool {
        while !entries.is_empty() {
            match self.log.append(entries.clone()).await {
                Ok(_) => {
                    self.state.failing.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(tactful_log::Error::Closed) => return false,
                Err(error) if LogFailure::of(&error) == LogFailure::Refused => {
                    tracing::error!(%error, records = entries.len(), "the log refused records for good");
                    self.state.count_unlogged(entries.len() as u64);
                    return true;
                }
                Err(error) => {
                    if !self.state.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "cannot record decisions, trying again");
                    }
                    counter!("tactful_log_append_errors_total").increment(1);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        true
    }
}
