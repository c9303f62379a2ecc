//! Keeps every decision: a bounded queue from the decision path to one task that appends groups to
//! the log. The decision path never waits for it. While the log fails the task holds its group and
//! tries again; when the queue is full, decisions are served unlogged, flagged and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::{counter, gauge};
use prost::Message;
use tactful_core::hash;
use tactful_log::{Log, Partition};
use tactful_proto::storage::Record;
use tokio::sync::{mpsc, watch};

/// Records appended to the log in one group.
const GROUP_MAX: usize = 512;
/// Pause before a failed append is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// The decision path's end of the recorder.
pub(crate) struct Recorder {
    queue: mpsc::Sender<Record>,
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
        (Self { queue, state: Arc::clone(&state) }, RecorderTask { log, records, state })
    }

    /// Queues a record. False if the queue is full: the decision is then unlogged.
    pub(crate) fn record(&self, record: Record) -> bool {
        let queued = self.queue.try_send(record).is_ok();
        if !queued {
            self.state.unlogged.fetch_add(1, Ordering::Relaxed);
            counter!("tactful_decisions_unlogged_total").increment(1);
        }
        queued
    }

    /// A further end of the queue, for captured decisions.
    pub(crate) fn queue(&self) -> mpsc::Sender<Record> {
        self.queue.clone()
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

/// The task that appends.
pub(crate) struct RecorderTask {
    log: Arc<dyn Log>,
    records: mpsc::Receiver<Record>,
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
            let entries: Vec<(Partition, Bytes)> = group.drain(..).map(|record| self.entry(&record)).collect();
            if !self.append(entries).await {
                return;
            }
        }
    }

    fn entry(&self, record: &Record) -> (Partition, Bytes) {
        let partition = hash::partition(&record.subject_id, self.log.partitions());
        (Partition::Data(partition), record.encode_to_vec().into())
    }

    /// Appends a group, trying again while the log fails. False if the log is closed.
    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> bool {
        loop {
            match self.log.append(entries.clone()).await {
                Ok(_) => {
                    self.state.failing.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(tactful_log::Error::Closed) => return false,
                Err(error) => {
                    if !self.state.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "cannot record decisions, trying again");
                    }
                    counter!("tactful_log_append_errors_total").increment(1);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
