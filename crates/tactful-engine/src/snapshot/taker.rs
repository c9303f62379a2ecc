//! When snapshots are taken, and the thread that writes one. Each applier has a [`Taker`]; all of a node
//! share the folder, and take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge};
use tactful_core::state::Names;
use tactful_log::Offset;
use tactful_proto::storage::SnapshotHeader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::KEPT;
use super::file::Writer;
use super::folder::Folder;
use super::sweep::{Beginning, Piece, Sweep};
use crate::error::Error;
use crate::generation::Generation;
use crate::store::PartitionRows;

/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 4;
/// A partition is due when what a restart would replay is this share of its rows...
const ROWS_SHARE: u64 = 16;
/// ...or after so many times the least time between two snapshots.
const LATEST: u32 = 10;
/// Pause after one that failed.
const RETRY: Duration = Duration::from_secs(5);

/// What all partitions of a node share.
pub(crate) struct Shared {
    folder: Folder,
    every: Duration,
    turn: Arc<Semaphore>,
    /// Number of the latest call for a snapshot of everything.
    called: watch::Sender<u64>,
    /// For each partition, the entry that every snapshot must be beyond.
    required: watch::Sender<Vec<Offset>>,
    kept: Vec<watch::Sender<Kept>>,
    longest_slice_ns: AtomicU64,
}

/// Snapshots of a partition that are whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) newest: Offset,
    pub(crate) oldest: Offset,
    count: usize,
    /// The latest call that they answer.
    answered: u64,
}

impl Kept {
    /// Up to where this node needs the log no more, where erasures require snapshots from beyond an entry: while
    /// there are few to fall back to, it goes on from the log if one of them is damaged.
    pub(crate) fn needed(&self, required: Offset) -> Offset {
        if self.count < KEPT { self.oldest.min(required) } else { self.oldest }
    }
}

impl Shared {
    /// Snapshots in a folder, of each partition at most one in `every`.
    pub(crate) fn new(folder: Folder, every: Duration, partitions: u16) -> Arc<Self> {
        let kept = (0..partitions).map(|_| watch::Sender::new(Kept::default())).collect();
        let (called, turn) = (watch::Sender::new(0), Arc::new(Semaphore::new(1)));
        let required = watch::Sender::new(vec![0; usize::from(partitions)]);
        Arc::new(Self { folder, every, turn, called, required, kept, longest_slice_ns: AtomicU64::new(0) })
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Calls for a snapshot of every partition as it is now or later, and waits for them; of each only if
    /// there is anything new.
    pub(crate) async fn take_all(&self) {
        let mut call = 0;
        self.called.send_modify(|called| {
            *called += 1;
            call = *called;
        });
        for kept in &self.kept {
            let mut kept = kept.subscribe();
            // The sender lives as long as this.
            let _closed = kept.wait_for(|kept| kept.answered >= call).await.is_err();
        }
    }

    /// Lets no snapshot stay that is not beyond these entries, once there are newer ones; of those that cannot be
    /// used none at all.
    ///
    /// # Errors
    /// If files cannot be removed.
    pub(crate) async fn require(self: &Arc<Self>, required: Vec<Offset>) -> Result<(), Error> {
        self.required.send_if_modified(|before| {
            let is_new = *before != required;
            before.clone_from(&required);
            is_new
        });
        if required.iter().all(|least| *least == 0) {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let removing =
            move || (0..).zip(required).try_for_each(|(partition, least)| shared.folder.remove_bad(partition, least));
        tokio::task::spawn_blocking(removing).await.map_err(|_| Error::Closed)?
    }

    fn required(&self, partition: u16) -> Offset {
        self.required.borrow()[usize::from(partition)]
    }

    /// Removes what must not stay, and says what is kept.
    fn prune(&self, partition: u16, answered: u64) -> std::io::Result<()> {
        let offsets = self.folder.prune(partition, self.required(partition))?;
        self.publish(partition, &offsets, answered);
        Ok(())
    }

    /// What is kept of each partition.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.kept.iter().map(|kept| *kept.borrow()).collect()
    }

    /// The longest slice of a snapshot since the last call, as time on a processor: it takes no lock that anybody
    /// holds for long and waits for no disk, so all else is what a busy machine does to any thread.
    pub(crate) fn take_longest_slice(&self) -> Duration {
        Duration::from_nanos(self.longest_slice_ns.swap(0, Ordering::Relaxed))
    }

    fn oldest(&self, partition: u16) -> Offset {
        self.kept[usize::from(partition)].borrow().oldest
    }

    fn publish(&self, partition: u16, offsets: &[Offset], answered: u64) {
        self.kept[usize::from(partition)].send_modify(|kept| {
            kept.newest = offsets.first().copied().unwrap_or_default();
            kept.oldest = offsets.last().copied().unwrap_or_default();
            kept.count = offsets.len();
            kept.answered = answered.max(kept.answered);
        });
    }
}

/// Takes the snapshots of one partition.
pub(crate) struct Taker {
    shared: Option<Arc<Shared>>,
    partition: u16,
    /// Offset and time of the last one.
    last: (Offset, Instant),
    /// Not before: after one that failed.
    pause_until: Instant,
    answered: u64,
    /// Its turn, until it is used or given back.
    turn: Option<OwnedSemaphorePermit>,
    running: Option<Running>,
}

struct Running {
    sweep: Sweep,
    offset: Offset,
    call: u64,
    /// None once it was given up.
    pieces: Option<mpsc::Sender<Piece>>,
    writer: JoinHandle<std::io::Result<u64>>,
    _turn: OwnedSemaphorePermit,
}

impl Taker {
    /// One that takes none if nothing is shared.
    pub(crate) fn new(shared: Option<Arc<Shared>>, partition: u16) -> Self {
        let (now, mut newest) = (Instant::now(), 0);
        if let Some(shared) = &shared {
            let found = super::folder::list(shared.folder.path(), partition).unwrap_or_default();
            let offsets: Vec<_> = found.into_iter().map(|(offset, _)| offset).collect();
            shared.publish(partition, &offsets, 0);
            // Not what it was restored from, which may be a peer's.
            newest = offsets.first().copied().unwrap_or_default();
        }
        Self { shared, partition, last: (newest, now), pause_until: now, answered: 0, turn: None, running: None }
    }

    /// Returns when [`Taker::advance`] has something to do. May be dropped at any time.
    pub(crate) async fn wake(&mut self, applied: Offset, rows: u64) {
        let Some(shared) = self.shared.clone() else { return std::future::pending().await };
        match &mut self.running {
            Some(running) if running.sweep.is_done() => {
                let written = (&mut running.writer).await;
                self.finish(written.unwrap_or_else(|_| Err(std::io::Error::other("its thread panicked"))));
            }
            Some(Running { pieces: Some(pieces), .. }) => {
                // It fails if the writer did: then there is something to do as well.
                let _room = pieces.reserve().await;
            }
            Some(_) => {}
            None => {
                tokio::time::sleep_until(self.pause_until).await;
                let (mut called, mut required) = (shared.called.subscribe(), shared.required.subscribe());
                let (oldest, index) = (shared.oldest(self.partition), usize::from(self.partition));
                let due = self.due(&shared, applied, rows);
                tokio::select! {
                    () = tokio::time::sleep_until(due), if applied > self.last.0 => {}
                    _called = called.wait_for(|called| *called > self.answered) => {}
                    _required = required.wait_for(|all| (oldest + 1..=applied).contains(&all[index])) => {}
                }
                self.turn = Arc::clone(&shared.turn).acquire_owned().await.ok();
            }
        }
    }

    /// Does the next slice of a snapshot, or begins one if it is due; `beginning` takes down what must be at once.
    pub(crate) fn advance(
        &mut self,
        partition: &PartitionRows,
        applied: Offset,
        beginning: impl FnOnce() -> Beginning,
    ) {
        let Some(shared) = self.shared.clone() else { return };
        let begun = thread_time();
        match &mut self.running {
            // What its writer says to that comes with the next wake.
            Some(running) if running.is_lost() => running.give_up(),
            Some(running) => running.slice(partition),
            None => self.begin_if_due(&shared, partition, applied, beginning),
        }
        let slice_ns = u64::try_from((thread_time() - begun).as_nanos()).unwrap_or(u64::MAX);
        shared.longest_slice_ns.fetch_max(slice_ns, Ordering::Relaxed);
    }

    /// Is called before a row changes.
    pub(crate) fn before_change(&mut self, rows: &Arc<Generation>, subject_id: &str) {
        if let Some(running) = &mut self.running {
            running.sweep.before_change(rows, subject_id);
        }
    }

    /// Is called before names change other than by being added to, with what they were.
    pub(crate) fn before_names_change(&mut self, names: Names) {
        if let Some(running) = &mut self.running {
            running.sweep.before_names_change(names);
        }
    }

    /// Whether a snapshot still needs the rows that it began with.
    pub(crate) fn holds_rows(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.sweep.holds_rows())
    }

    /// Takes one at once if there is anything new, and waits until it is whole.
    pub(crate) async fn take_last(
        &mut self,
        partition: &PartitionRows,
        applied: Offset,
        beginning: impl Fn() -> Beginning,
    ) {
        let Some(shared) = self.shared.clone() else { return };
        while self.running.is_some() || applied > self.last.0 {
            if self.running.is_none() {
                let Ok(turn) = Arc::clone(&shared.turn).acquire_owned().await else { return };
                self.begin(&shared, turn, applied, beginning());
            }
            let failures = self.pause_until;
            while self.running.is_some() {
                self.advance(partition, applied, &beginning);
                self.wake(applied, 0).await;
            }
            if self.pause_until != failures {
                return;
            }
        }
    }

    /// When the next one is due.
    fn due(&self, shared: &Shared, applied: Offset, rows: u64) -> Instant {
        let enough = applied.saturating_sub(self.last.0) > rows / ROWS_SHARE;
        let after = if enough { shared.every } else { shared.every * LATEST };
        (self.last.1 + after).max(self.pause_until)
    }

    fn begin_if_due(
        &mut self,
        shared: &Arc<Shared>,
        partition: &PartitionRows,
        applied: Offset,
        beginning: impl FnOnce() -> Beginning,
    ) {
        // One that it waited for: another would be handed to whoever waits next.
        let turn = self.turn.take();
        let (call, now) = (*shared.called.borrow(), Instant::now());
        let is_called = call > self.answered && now >= self.pause_until;
        if is_called && applied == self.last.0 {
            self.answered = call;
            shared.kept[usize::from(self.partition)].send_modify(|kept| kept.answered = call);
            return;
        }
        let required = shared.required(self.partition);
        let is_required = shared.oldest(self.partition) < required && required <= applied;
        if is_required && self.last.0 >= required && now >= self.pause_until {
            // There is one already: those before it go.
            if let Err(error) = shared.prune(self.partition, self.answered) {
                self.failed(&error);
            }
            return;
        }
        let rows = partition.generation().rows.len() as u64;
        let is_due = applied > self.last.0 && self.due(shared, applied, rows) <= now;
        if (is_called || is_due || is_required)
            && now >= self.pause_until
            && let Some(turn) = turn.or_else(|| Arc::clone(&shared.turn).try_acquire_owned().ok())
        {
            self.begin(shared, turn, applied, beginning());
        }
    }

    fn begin(&mut self, shared: &Arc<Shared>, turn: OwnedSemaphorePermit, offset: Offset, beginning: Beginning) {
        let (pieces, to_write) = mpsc::channel(PIECES_MAX);
        let call = *shared.called.borrow();
        let job = Job { shared: Arc::clone(shared), partition: self.partition, header: beginning.header, call };
        let writer = tokio::task::spawn_blocking(move || job.write(to_write));
        let sweep = Sweep::new(beginning.dedup, beginning.generation);
        self.running = Some(Running { sweep, offset, call, pieces: Some(pieces), writer, _turn: turn });
    }

    fn finish(&mut self, written: std::io::Result<u64>) {
        let Some(running) = self.running.take() else { return };
        match written {
            Ok(bytes) => {
                self.last = (running.offset, Instant::now());
                self.answered = running.call;
                counter!("tactful_snapshots_total", "result" => "taken").increment(1);
                tracing::debug!(partition = self.partition, offset = running.offset, bytes, "took a snapshot");
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &std::io::Error) {
        self.pause_until = Instant::now() + RETRY;
        counter!("tactful_snapshots_total", "result" => "failed").increment(1);
        tracing::error!(partition = self.partition, %error, "cannot take a snapshot, trying again");
    }
}

impl Running {
    /// One slice, if the disk keeps up.
    fn slice(&mut self, partition: &PartitionRows) {
        if let Some(pieces) = &self.pieces
            && let Ok(room) = pieces.try_reserve()
            && let Some(piece) = self.sweep.slice(partition)
        {
            room.send(piece);
        }
    }

    fn give_up(&mut self) {
        self.sweep.abandon();
        self.pieces = None;
    }

    /// Whether it cannot be finished any more.
    fn is_lost(&self) -> bool {
        !self.sweep.is_done() && (self.pieces.as_ref().is_none_or(mpsc::Sender::is_closed) || self.sweep.is_behind())
    }
}

/// How long this thread has run.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// The writing of one snapshot, on a thread of its own.
struct Job {
    shared: Arc<Shared>,
    partition: u16,
    header: SnapshotHeader,
    call: u64,
}

impl Job {
    fn write(self, mut pieces: mpsc::Receiver<Piece>) -> std::io::Result<u64> {
        let begun = self.shared.folder.begin(self.partition, self.header.offset)?;
        let mut file = Writer::new(begun.file.try_clone()?, &self.header)?;
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Block(kind, content)) => file.block(kind, &content)?,
                Some(Piece::Dedup(image)) => file.dedup(&image)?,
                Some(Piece::End { rows }) => {
                    let bytes = file.end(rows)?;
                    begun.finish()?;
                    self.shared.prune(self.partition, self.call)?;
                    gauge!("tactful_snapshot_bytes").set(bytes as f64);
                    return Ok(bytes);
                }
                None => {
                    return Err(std::io::Error::other("it was given up: the disk does not keep up, or the node stops"));
                }
            }
        }
    }
}
