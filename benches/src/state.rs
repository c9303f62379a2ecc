//! What a million customers with 64 slots cost: memory, the pauses of their snapshots, and a restart from these.
//!
//! Memory is what the process has resident, before and after. Pauses and restart are those of a real engine on an
//! embedded log, each restart a process of its own, so that nothing is warm but the files.

mod memory;
mod pause;
mod restart;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tactful_core::catalog::{Aggregate, Catalog};
use tactful_core::ruleset::Ruleset;
use tactful_core::state::Slot;
use tactful_engine::{Engine, Options};
use tactful_log::{EmbeddedLog, Log};
use tokio::task::JoinSet;

use crate::catalog::catalog;
use crate::events::Producer;

pub use restart::{Part, Restarted, restart};

const ACTIONS: usize = 10;
const SLOTS: usize = 64;
/// Events of a batch, and batches under way at once, while the log is filled.
const BATCH: usize = 1_000;
const WRITERS: usize = 8;
/// Time for everything that was accepted to be in the log and in snapshots.
const CLOSE_MAX: Duration = Duration::from_secs(600);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Customers in memory.
    pub customers: usize,
    /// Resident bytes of a customer without side data, subject id included.
    pub bytes_per_customer: f64,
    /// Bytes of its slots alone.
    pub slot_bytes: usize,
    /// What the former is beyond the latter, as a share of it.
    pub overhead: f64,
    /// Resident bytes that 50 interactions, 20 contacts and 5 facts add.
    pub side_bytes_per_customer: f64,
    /// Bytes of the sets that know one message id of each customer.
    pub dedup_bytes: usize,
    /// The longest that a snapshot kept an applier from its next batch, or a reader from its answer, in milliseconds,
    /// in the quietest of some turns.
    pub snapshot_pause_ms: f64,
    /// Time of an engine on an open log to know what its snapshots hold, over the time to read their files.
    pub snapshot_load_ratio: f64,
    /// Seconds from the opening of the log until the engine has caught up.
    pub restart_ready_s: f64,
}

/// Measures this many customers. `own` is this program, for restarts; `window` the time that readers are watched
/// without snapshots, for comparison.
///
/// # Errors
/// If the engine fails, or a restart does not know everybody.
pub fn measure(own: &Path, window: Duration, customers: usize) -> Result<Measured> {
    let ruleset = ruleset()?;
    eprintln!("making {customers} customers");
    // First of all: later, memory that was freed would be used again without being seen.
    let memory = memory::measure(&ruleset.schema, customers)?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pause = runtime.block_on(async {
        let engine = start(open(folder.path())?, folder.path(), &ruleset).await?;
        fill(&engine, customers).await?;
        let pause = pause::measure(&engine, window, customers).await?;
        eprintln!("stopping");
        engine.close(CLOSE_MAX).await;
        anyhow::Ok(pause)
    })?;
    drop(runtime);
    let times = restart::measure(own, folder.path(), customers)?;
    Ok(Measured {
        customers,
        bytes_per_customer: memory.each,
        slot_bytes: memory.slots,
        overhead: memory.each / memory.slots as f64 - 1.0,
        side_bytes_per_customer: memory.side_each,
        dedup_bytes: memory.dedup,
        snapshot_pause_ms: pause.as_secs_f64() * 1e3,
        snapshot_load_ratio: times.load_s / times.read_s,
        restart_ready_s: times.ready_s,
    })
}

/// The generated catalogue, its sliding windows replaced by counts so that each feature takes one slot.
fn ruleset() -> Result<Ruleset> {
    let mut catalog: Catalog = catalog(ACTIONS);
    for feature in catalog.feature.iter_mut().filter(|feature| feature.aggregate == Aggregate::WindowedCount) {
        feature.aggregate = Aggregate::Count;
        (feature.window, feature.buckets) = (None, None);
    }
    let ruleset = Ruleset::compile(&catalog).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let slots = ruleset.schema.slot_count();
    ensure!(slots == SLOTS, "the catalogue takes {slots} slots instead of {SLOTS}, {} bytes each", size_of::<Slot>());
    Ok(ruleset)
}

/// The log in a folder.
fn open(folder: &Path) -> Result<Arc<dyn Log>> {
    Ok(Arc::new(EmbeddedLog::open(folder.join("log"), tactful_log::Options::default())?))
}

/// An engine whose snapshots are in a folder. It takes them when it is told to, and when it closes.
async fn start(log: Arc<dyn Log>, folder: &Path, ruleset: &Ruleset) -> Result<Arc<Engine>> {
    const NEVER_MS: u64 = 3_600_000;
    let options = Options { snapshots: restart::snapshots(folder), snapshot_every_ms: NEVER_MS, ..Options::default() };
    Ok(Engine::start(log, ruleset.clone(), &options).await?)
}

/// Makes every customer known by one event.
async fn fill(engine: &Arc<Engine>, customers: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (engine, next) = (Arc::clone(engine), Arc::clone(&next));
        let mut producer = Producer::new(format!("introduction-{writer}"), writer as u64, customers);
        writers.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Relaxed);
                if first >= customers {
                    return anyhow::Ok(());
                }
                if first.is_multiple_of(100 * BATCH) {
                    eprintln!("introduced {first} of {customers} customers to the engine");
                }
                let batch = (first..customers.min(first + BATCH)).map(|number| producer.track_of(number));
                let answer = engine.ingest(batch.collect()).await?;
                ensure!(answer.errors.is_empty(), "events were refused: {:?}", answer.errors);
            }
        });
    }
    for done in writers.join_all().await {
        done?;
    }
    engine.applied_all().await?;
    ensure!(engine.customers() == customers, "{} customers are known", engine.customers());
    Ok(())
}
