//! The one handle of the running system: starts appliers and recorder on a log, knows when they
//! have caught up, and stops them in order.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tactful_core::ruleset::Ruleset;
use tactful_log::{Log, Offset, Partition};
use tactful_proto::v1;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::applier::{Applier, Snapshots};
use crate::apply;
use crate::archive::{self, Archiver};
use crate::capture::Captures;
use crate::catalog::Written;
use crate::clock::now_ms;
use crate::control::{self, Control};
use crate::damage::Damage;
use crate::erase_list::Erased;
use crate::error::Error;
use crate::follower::Follower;
use crate::housekeeper::Housekeeper;
use crate::options::Options;
use crate::recorder::Recorder;
use crate::replies::Replies;
use crate::shadow::Shadows;
use crate::slot::Slot;
use crate::snapshot;
use crate::store::Store;
use crate::token::Tokens;
use crate::tombstones::{TombstoneKey, Tombstones};

/// Key of the log under which the secret of the outcome tokens is kept.
const TOKEN_KEY: &str = "outcome-token-key";
/// How long an export waits for the record of what was decided before it.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The running system.
pub struct Engine {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Arc<Store>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) recorder: Recorder,
    pub(crate) shadows: Shadows,
    pub(crate) replies: Arc<Replies>,
    pub(crate) tokens: Tokens,
    runtime: Handle,
    /// For each partition where it ended at the start and what is applied; none until it is known where it starts
    /// from, so that an empty one that should not be empty is no reason to serve.
    progress: Vec<(Offset, watch::Receiver<Option<Offset>>)>,
    /// What the control partition says up to the last entry that was done.
    pub(crate) control: watch::Receiver<Control>,
    /// Held by whoever changes catalogue or model here.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// This running node: drawn at its start.
    pub(crate) node: u64,
    /// Whether every partition has applied what the log held at the start.
    caught_up: AtomicBool,
    pub(crate) damage: Damage,
    snapshots: Option<Arc<snapshot::Shared>>,
    /// Where the archive is, for exports.
    archive: Arc<OnceLock<PathBuf>>,
    pub(crate) tombstone_key: TombstoneKey,
    pub(crate) erased: Erased,
    pub(crate) housekeeping: Arc<Notify>,
    closing: watch::Sender<bool>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    followers: Vec<JoinHandle<()>>,
    recorder: Option<JoinHandle<()>>,
}

/// Whether the engine may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Records applied since the start.
    pub applied: u64,
    /// Records that the log held at the start.
    pub at_start: u64,
    /// True once every partition has applied what the log held at the start.
    pub caught_up: bool,
    /// How the log is damaged: from then on nothing new comes in.
    pub damage: Option<String>,
}

/// Digests of all rows, and the records behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Of everything: equal at equal offsets.
    pub state: u64,
    /// Of what does not depend on the order of arrival.
    pub content: u64,
    /// Records applied.
    pub records: u64,
    /// Rows.
    pub customers: u64,
}

impl Engine {
    /// Starts on a log, with the catalogue that the log names last, or with the node's own if the log has never
    /// seen that. Replay goes on in the background: see [`Engine::caught_up`]. Its tasks run on the runtime that
    /// calls it.
    ///
    /// # Errors
    /// If the log fails, or if the model in use does not fit the node's own new catalogue.
    pub async fn start(log: Arc<dyn Log>, own: impl Into<Written>, options: &Options) -> Result<Arc<Self>, Error> {
        let Found { start_tails, control, start, node, tokens, tombstone_key, erased } =
            Found::on(log.as_ref(), own.into(), options).await?;
        let snapshots = snapshots(options, log.partitions())?;
        let store = Arc::new(Store::new(log.partitions(), &start.first));
        let slot = Arc::new(Slot::new(log.as_ref(), start.catalog, &control.registry, options).await?);
        let (recorder, recorder_task) = Recorder::new(Arc::clone(&log), options.recorder_queue_max);
        let (closing, closed) = watch::channel(false);
        let mut tasks = Tasks { recorder: Some(tokio::spawn(recorder_task.run(closed.clone()))), ..Tasks::default() };
        let (archive, housekeeping, damage) = (Arc::default(), Arc::default(), Damage::new());
        let (replies, loading, mut progress) = (Arc::new(Replies::new(options)), one_for_each_processor(), Vec::new());
        for (partition, start_tail) in (0..).zip(start_tails) {
            let (sender, receiver) = watch::channel(None);
            progress.push((start_tail, receiver));
            let applier = Applier {
                partition,
                log: Arc::clone(&log),
                store: Arc::clone(&store),
                slot: Arc::clone(&slot),
                dedup: Applier::dedup(options),
                captures: Captures::new(recorder.queue(), log.partitions()),
                start_tail,
                progress: sender,
                damage: damage.clone(),
                snapshots: Snapshots::new(snapshots.clone(), options, &loading, partition),
                anchor: 0,
                replies: Arc::clone(&replies),
                tombstones: Tombstones::new(tombstone_key.clone()),
                erased: erased.clone(),
            };
            tasks.followers.push(tokio::spawn(applier.run(closed.clone())));
        }
        let (done, control) = watch::channel(control);
        let follower = Follower {
            log: Arc::clone(&log),
            slot: Arc::clone(&slot),
            store: Arc::clone(&store),
            folded: progress.iter().map(|(_, folded)| folded.clone()).collect(),
            done,
            damage: damage.clone(),
            node,
        };
        tasks.followers.push(tokio::spawn(follower.run(closed)));
        let engine = Arc::new(Self {
            log,
            store,
            slot,
            shadows: shadows(&recorder),
            recorder,
            replies,
            tokens,
            runtime: Handle::current(),
            progress,
            control,
            changing: tokio::sync::Mutex::new(()),
            node,
            caught_up: AtomicBool::new(false),
            damage,
            snapshots,
            archive,
            tombstone_key,
            erased,
            housekeeping,
            closing,
            tasks: Mutex::new(tasks),
        });
        engine.keep_house(options);
        engine.settle_if_new().await;
        Ok(engine)
    }

    /// The schema that a new log begins with is no work to report: it is folded before anybody looks.
    async fn settle_if_new(&self) {
        if self.readiness().at_start == 0 {
            // What stands in its way is told elsewhere.
            let _damaged = self.applied_all().await.is_err();
        }
    }

    /// Starts what is to be done from time to time: guard-rails, and where there are snapshots also housekeeping.
    fn keep_house(self: &Arc<Self>, options: &Options) {
        self.watch_canaries();
        let Some(snapshots) = &self.snapshots else { return };
        let housekeeper = Housekeeper {
            log: Arc::clone(&self.log),
            store: Arc::clone(&self.store),
            archive: Arc::clone(&self.archive),
            recorder: self.recorder.clone(),
            nudge: Arc::clone(&self.housekeeping),
            snapshots: Arc::clone(snapshots),
            erased: self.erased.clone(),
            tombstone_key: self.tombstone_key.clone(),
            every: Duration::from_millis(options.housekeeping_ms),
            absent: Duration::from_millis(options.node_absent_ms_max),
        };
        let task = self.runtime.spawn(housekeeper.run(self.closing.subscribe()));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).followers.push(task);
    }

    /// Archives from now on, on the one node that has the role: see [`crate::archive`]. Exports read the
    /// archive as well. To be called once.
    pub fn start_archiver(&self, options: archive::Options) {
        if self.archive.set(options.directory.clone()).is_ok() {
            let archiver = Archiver::new(Arc::clone(&self.log), options);
            let task = self.runtime.spawn(archiver.run(self.closing.subscribe()));
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).followers.push(task);
        }
    }

    /// Runs a task beside the others, until it ends by itself once the engine closes.
    pub(crate) fn follow<F>(&self, task: impl FnOnce(watch::Receiver<bool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.runtime.spawn(task(self.closing.subscribe()));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).followers.push(task);
    }

    /// The current ruleset.
    #[must_use]
    pub fn ruleset(&self) -> Ruleset {
        Ruleset::clone(&self.slot.load())
    }

    /// How far the replay has come.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let applied = self.progress.iter().filter_map(|(_, applied)| *applied.borrow()).sum();
        let at_start = self.progress.iter().map(|(tail, _)| *tail).sum();
        Readiness { applied, at_start, caught_up: self.is_caught_up(), damage: self.damage.found() }
    }

    /// One atomic load once it is so.
    pub(crate) fn is_caught_up(&self) -> bool {
        if !self.caught_up.load(Ordering::Relaxed) {
            let caught_up = self.progress.iter().all(|(tail, applied)| *applied.borrow() >= Some(*tail));
            self.caught_up.store(caught_up, Ordering::Relaxed);
        }
        self.caught_up.load(Ordering::Relaxed)
    }

    /// Returns once every partition has applied what the log held at the start.
    pub async fn caught_up(&self) {
        for (tail, applied) in &self.progress {
            let mut applied = applied.clone();
            // The sender lives as long as its applier; a closed engine is as far as it will get.
            let _closed = applied.wait_for(|applied| *applied >= Some(*tail)).await.is_err();
        }
    }

    /// Returns once the log turns out to be damaged.
    pub async fn damaged(&self) {
        self.damage.wait().await;
    }

    /// Returns once everything that the log holds now has been applied.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn applied_all(&self) -> Result<(), Error> {
        for (partition, (_, applied)) in self.progress.iter().enumerate() {
            let tail = self.log.tail(Partition::Data(partition as u16)).await?;
            applied.clone().wait_for(|applied| *applied >= Some(tail)).await.map_err(|_| Error::Closed)?;
        }
        Ok(())
    }

    /// Returns once a partition is folded up to an entry; none if it never will be here.
    pub(crate) async fn folded(&self, partition: usize, offset: Offset) -> Option<()> {
        self.progress.get(partition)?.1.clone().wait_for(|applied| *applied >= Some(offset)).await.ok().map(drop)
    }

    /// Returns once this node has done what the control partition says up to an entry.
    pub(crate) async fn control_reached(&self, offset: Offset) -> Result<(), Error> {
        self.control.clone().wait_for(|done| done.end >= offset).await.map(drop).map_err(|_| Error::Closed)
    }

    /// Returns once every decision of before the call is in the log: own ones, and the captured form
    /// of those made elsewhere.
    async fn recorded(&self) -> Result<(), Error> {
        // A captured form is queued before its place in the log counts as applied.
        self.applied_all().await?;
        self.shadows.flush().await;
        self.recorder.flush().await;
        Ok(())
    }

    pub(crate) fn snapshots(&self) -> Option<&Arc<snapshot::Shared>> {
        self.snapshots.as_ref()
    }

    pub(crate) fn archive_directory(&self) -> Option<&Path> {
        self.archive.get().map(PathBuf::as_path)
    }

    /// Takes a snapshot of every partition that has anything new, and returns once they are whole. Without a
    /// folder for them it returns at once.
    pub async fn take_snapshots(&self) {
        if let Some(snapshots) = &self.snapshots {
            snapshots.take_all().await;
        }
    }

    /// The longest time on a processor that a slice of a snapshot kept an applier from its next batch, since the
    /// last call.
    #[must_use]
    pub fn take_longest_snapshot_pause(&self) -> Duration {
        self.snapshots.as_ref().map_or(Duration::ZERO, |snapshots| snapshots.take_longest_slice())
    }

    /// Digests of all rows: walks everything, for checks.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let records = (0..self.log.partitions()).map(|p| self.store.partition(p).applied.load(Ordering::Acquire)).sum();
        let (digest, customers) = self.store.digest();
        Digests { state: digest.state, content: digest.content, records, customers }
    }

    /// Customers in memory.
    #[must_use]
    pub fn customers(&self) -> usize {
        self.store.customers()
    }

    /// Decisions served without a record since the start.
    #[must_use]
    pub fn unlogged(&self) -> u64 {
        self.recorder.unlogged()
    }

    /// The runtime of its tasks, for long work that must not run on a serving thread.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What "durable" means with this log.
    #[must_use]
    pub fn durability(&self) -> &'static str {
        self.log.durability()
    }

    /// Streams the record of decisions: see [`crate::export()`]. What was decided or acknowledged
    /// before the call is in it, captured decisions included, unless the log is out of order.
    ///
    /// # Errors
    /// As [`crate::export()`].
    pub async fn export(&self, range: (i64, i64), rows: mpsc::Sender<Vec<v1::DecisionRow>>) -> Result<(), Error> {
        if let Ok(applied) = tokio::time::timeout(FLUSH_MAX, self.recorded()).await {
            applied?;
        } else {
            tracing::warn!("an export begins before everything was recorded");
        }
        crate::export(Arc::clone(&self.log), self.archive.get().cloned(), range, rows).await
    }

    /// Stops: the appliers where they are, the recorder once its queue is in the log, all of it
    /// within a bound. Decisions made afterwards are unlogged.
    pub async fn close(&self, within: Duration) {
        // What a shadow still looks at goes to the recorder before that one stops.
        if tokio::time::timeout(within, self.shadows.flush()).await.is_err() {
            tracing::warn!("stopped before a shadow had seen everything");
        }
        self.closing.send_replace(true);
        let mut running = self.take_tasks();
        if tokio::time::timeout(within, ended(&mut running)).await.is_err() {
            tracing::warn!("stopped before everything was recorded");
            // What still waits for the log would hold it open, and with it its directory; and a
            // decision made from now on must not be taken for recorded.
            running.iter().for_each(JoinHandle::abort);
            ended(&mut running).await;
        }
    }

    /// Ends where it stands, as a crash would: nothing more is recorded, no snapshot is finished. For simulations.
    pub async fn abort(&self) {
        let mut running = self.take_tasks();
        running.iter().for_each(JoinHandle::abort);
        ended(&mut running).await;
    }

    fn take_tasks(&self) -> Vec<JoinHandle<()>> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.followers.into_iter().chain(tasks.recorder).collect()
    }
}

/// What a start finds on a log, and what it agrees on with it, before anything runs.
struct Found {
    start_tails: Vec<Offset>,
    control: Control,
    start: apply::Start,
    node: u64,
    tokens: Tokens,
    tombstone_key: TombstoneKey,
    erased: Erased,
}

impl Found {
    async fn on(log: &dyn Log, own: Written, options: &Options) -> Result<Self, Error> {
        let node = start_value();
        let start_tails = tails(log).await?;
        let mut control = control::read(log).await?;
        let start = apply::start(log, own, &mut control, node).await?;
        let tokens = Tokens::new(secret(log, TOKEN_KEY).await?, start_value());
        let tombstone_key = TombstoneKey::of(log).await?;
        let erased = Erased::of(log, options, &tombstone_key).await?;
        Ok(Self { start_tails, control, start, node, tokens, tombstone_key, erased })
    }
}

/// The queue of shadows, with its task before the recorder's. The task ends with the engine's last end of the queue.
fn shadows(recorder: &Recorder) -> Shadows {
    let (shadows, task) = Shadows::new(recorder.queue());
    tokio::spawn(task.run());
    shadows
}

/// How many snapshots are loaded at once.
fn one_for_each_processor() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
}

/// Where snapshots go, if anywhere.
fn snapshots(options: &Options, partitions: u16) -> Result<Option<Arc<snapshot::Shared>>, Error> {
    if options.snapshots.as_os_str().is_empty() {
        return Ok(None);
    }
    let folder = snapshot::Folder::open(&options.snapshots)?;
    let every = Duration::from_millis(options.snapshot_every_ms);
    Ok(Some(snapshot::Shared::new(folder, every, partitions)))
}

/// The last entry of each data partition.
async fn tails(log: &dyn Log) -> Result<Vec<Offset>, Error> {
    let mut tails = Vec::with_capacity(log.partitions().into());
    for partition in 0..log.partitions() {
        tails.push(log.tail(Partition::Data(partition)).await?);
    }
    Ok(tails)
}

/// Returns once all tasks have ended; those that have leave the list.
async fn ended(tasks: &mut Vec<JoinHandle<()>>) {
    while let Some(task) = tasks.last_mut() {
        let _stopped = task.await;
        tasks.pop();
    }
}

/// A secret, made once for each log.
pub(crate) async fn secret(log: &dyn Log, name: &str) -> Result<[u8; 32], Error> {
    loop {
        let found = log.get_key(name).await?;
        if let Some(key) = found.as_deref().and_then(|bytes| bytes.try_into().ok()) {
            return Ok(key);
        }
        let random = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
        log.compare_and_set(name, found, Bytes::from(random)).await?;
    }
}

/// A value that differs for every start of a node.
fn start_value() -> u64 {
    let random = uuid::Uuid::new_v4().as_u128();
    tactful_core::hash::keyed(now_ms() as u64, &random.to_le_bytes())
}
