//! Keeps house: says how far back this node may need the log, trims what no node needs and the archive has, and
//! takes erasures to their end. One node at a time does the latter two, under a lease, and only if it has the archive.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{counter, gauge};
use tactful_log::{Log, Offset};
use tactful_proto::storage::{Erasures, Node};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::archive::{self, Archive};
use crate::clock::now_ms;
use crate::erase_list::Erased;
use crate::erasures::{self, Eraser};
use crate::error::Error;
use crate::nodes::{needless, report};
use crate::recorder::Recorder;
use crate::snapshot::Shared;
use crate::store::Store;
use crate::tombstones::TombstoneKey;
use crate::trims;

/// Lease of the node that trims, and how long it outlives it.
const LEASE: &str = "housekeeper";
const LEASE_TTL: Duration = Duration::from_secs(60);
/// Pause between two rounds while an erasure goes on: somebody waits for it.
const HURRY: Duration = Duration::from_millis(250);

/// How long the record of decisions may take to be in the log, before a round is left out.
const FLUSH_MAX: Duration = Duration::from_secs(10);

/// Does what is to be done from time to time.
pub(crate) struct Housekeeper {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Arc<Store>,
    pub(crate) snapshots: Arc<Shared>,
    pub(crate) erased: Erased,
    pub(crate) tombstone_key: TombstoneKey,
    /// Where the archive is, once it is known.
    pub(crate) archive: Arc<OnceLock<PathBuf>>,
    pub(crate) recorder: Recorder,
    /// Wakes it up.
    pub(crate) nudge: Arc<Notify>,
    pub(crate) every: Duration,
    /// A node that was silent for longer does not count.
    pub(crate) absent: Duration,
}

impl Housekeeper {
    /// Keeps house until the engine closes.
    pub(crate) async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut trimmed = vec![0; usize::from(self.log.partitions())];
        let mut just_started = true;
        loop {
            let in_a_hurry = self.round(&mut trimmed, just_started).await.unwrap_or_else(|error| {
                counter!("tactful_housekeeping_errors_total").increment(1);
                tracing::warn!(%error, "cannot keep house, trying again");
                false
            });
            just_started = false;
            tokio::select! {
                () = tokio::time::sleep(if in_a_hurry { self.every.min(HURRY) } else { self.every }) => {}
                () = self.nudge.notified() => {}
                _closed = closing.wait_for(|closing| *closing) => return,
            }
        }
    }

    /// One round; answers whether an erasure goes on. The first one trims nothing: nodes that start together have said
    /// what they need by the next.
    async fn round(&self, trimmed: &mut [Offset], just_started: bool) -> Result<bool, Error> {
        let (log, partitions) = (self.log.as_ref(), self.log.partitions());
        let erasures = erasures::load(log).await?;
        let required = erasures::required(&erasures, partitions);
        let oldest =
            self.snapshots.kept().iter().zip(&required).map(|(kept, required)| kept.needed(*required)).collect();
        self.snapshots.require(required).await?;
        let in_a_hurry = erasures.erasures.iter().any(|erasure| erasure.gone_ms == 0);
        self.keep_list(&erasures)?;
        self.erase_anew().await?;
        let id = self.snapshots.folder().node();
        let applied = self.store.applied();
        // What was decided before this node heard of an erasure is in the log before it says that it has.
        if in_a_hurry && timeout(FLUSH_MAX, self.recorder.flush()).await.is_err() {
            return Ok(in_a_hurry);
        }
        let nodes = report(log, Node { id, seen_ms: now_ms(), oldest, applied }, self.absent).await?;
        gauge!("tactful_nodes").set(nodes.len() as f64);
        erasures::note_unreadable(log, &erasures, &nodes).await?;
        // Whoever has not the archive could keep house for ever, and no erasure would come to its end.
        let Some(archive) = self.archive().await? else { return Ok(in_a_hurry) };
        if log.acquire_lease(LEASE, &format!("{id:016x}"), LEASE_TTL).await?.is_none() {
            return Ok(in_a_hurry);
        }
        if !just_started {
            self.trim(&nodes, trimmed).await?;
        }
        if in_a_hurry {
            Eraser { log, archive }.advance(&nodes).await?;
        }
        Ok(in_a_hurry)
    }

    /// The log's archive, if this node has it.
    async fn archive(&self) -> Result<Option<Arc<Archive>>, Error> {
        match self.archive.get() {
            Some(directory) => Archive::find(self.log.as_ref(), directory).await,
            None => Ok(None),
        }
    }

    /// Notes every erasure outside of the log.
    fn keep_list(&self, erasures: &Erasures) -> Result<(), Error> {
        let Some(list) = &self.erased.list else { return Ok(()) };
        let tombstones: Vec<_> = erasures.erasures.iter().filter_map(|erasure| erasure.tombstone.clone()).collect();
        list.note(&tombstones)
    }

    /// Erases whoever came back with an older copy of the log.
    async fn erase_anew(&self) -> Result<(), Error> {
        let mut met = self.erased.came_back.take().into_iter();
        while let Some((subject_id, erased_ms)) = met.next() {
            let begun = erasures::begin_anew(self.log.as_ref(), &self.tombstone_key, &subject_id, erased_ms).await;
            if let Err(error) = begun {
                self.erased.came_back.give_back(met.chain([(subject_id, erased_ms)]));
                return Err(error);
            }
            tracing::warn!("erases somebody anew who came back with an older copy of the log");
        }
        Ok(())
    }

    /// Trims what no node needs and the archive has.
    async fn trim(&self, nodes: &[Node], trimmed: &mut [Offset]) -> Result<(), Error> {
        let Some(archived) = archive::marks(self.log.as_ref()).await? else { return Ok(()) };
        let mut through = Vec::new();
        for partition in 0..self.log.partitions() {
            let index = usize::from(partition);
            let needless = needless(nodes, partition).min(archived[index]);
            if needless > trimmed[index] {
                through.push((partition, needless));
            }
        }
        trims::trim(self.log.as_ref(), &through).await?;
        for (partition, needless) in through {
            let trimmed = &mut trimmed[usize::from(partition)];
            counter!("tactful_entries_trimmed_total").increment(needless - *trimmed);
            *trimmed = needless;
        }
        Ok(())
    }
}
