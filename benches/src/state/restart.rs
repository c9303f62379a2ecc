//! Restarts from snapshots, and what of it is their loading, against only reading their files. Each is a process of
//! its own: in one that has held the customers before, memory would be there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Turns of each; the quickest counts, since what else runs here only adds.
const TURNS: usize = 3;

/// What a restart prints.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Restarted {
    /// Seconds from the opening of the log, or once it is open from the start of the engine, until that has caught
    /// up; or to read the files.
    seconds: f64,
    /// Customers known.
    customers: usize,
    /// Bytes of the files, if only those were read.
    bytes: u64,
}

/// What a process measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// All of a restart.
    All,
    /// The engine on a log that is open and at rest.
    Load,
    /// The files of the snapshots, and nothing else.
    Read,
}

/// The quickest of each.
pub(super) struct Times {
    pub(super) ready_s: f64,
    pub(super) load_s: f64,
    pub(super) read_s: f64,
}

/// Where the snapshots are in a folder of this benchmark.
pub(super) fn snapshots(folder: &Path) -> PathBuf {
    folder.join("snapshots")
}

pub(super) fn measure(own: &Path, folder: &Path, customers: usize) -> Result<Times> {
    let mut times = Times { ready_s: f64::INFINITY, load_s: f64::INFINITY, read_s: f64::INFINITY };
    for _ in 0..TURNS {
        let [read, load, ready] = [Part::Read, Part::Load, Part::All].map(|part| child(own, folder, part));
        let (read, load, ready) = (read?, load?, ready?);
        for known in [load.customers, ready.customers] {
            ensure!(known == customers, "after a restart {known} of {customers} are known");
        }
        eprintln!(
            "read {} bytes in {:.3} s; loaded in {:.3} s; ready in {:.3} s",
            read.bytes, read.seconds, load.seconds, ready.seconds
        );
        times = Times {
            ready_s: times.ready_s.min(ready.seconds),
            load_s: times.load_s.min(load.seconds),
            read_s: times.read_s.min(read.seconds),
        };
    }
    Ok(times)
}

fn child(own: &Path, folder: &Path, part: Part) -> Result<Restarted> {
    let mut command = Command::new(own);
    command.arg("restart").arg("--folder").arg(folder).arg("--part").arg(format!("{part:?}").to_lowercase());
    let output = command.stderr(Stdio::inherit()).output().context("the restart does not start")?;
    ensure!(output.status.success(), "the restart ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Starts an engine on what the benchmark left, or only reads the files that the engine would.
///
/// # Errors
/// If there is no log or no snapshot, or the engine fails.
pub fn restart(folder: &Path, part: Part) -> Result<Restarted> {
    match part {
        Part::All => start(folder, false),
        Part::Load => start(folder, true),
        Part::Read => read(folder),
    }
}

fn start(folder: &Path, log_first: bool) -> Result<Restarted> {
    let ruleset = super::ruleset()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut begun = Instant::now();
        let log = super::open(folder)?;
        if log_first {
            // Once open it still moves to its tables what its journal held.
            rest();
            begun = Instant::now();
        }
        let engine = super::start(log, folder, &ruleset).await?;
        engine.caught_up().await;
        let seconds = begun.elapsed().as_secs_f64();
        let readiness = engine.readiness();
        ensure!(readiness.damage.is_none(), "the log is damaged: {:?}", readiness.damage);
        Ok(Restarted { seconds, customers: engine.customers(), bytes: 0 })
    })
}

/// Returns once this process does nothing any more.
fn rest() {
    const LOOK: Duration = Duration::from_millis(100);
    loop {
        let before = clock_gettime(ClockId::ProcessCPUTime);
        std::thread::sleep(LOOK);
        let after = clock_gettime(ClockId::ProcessCPUTime);
        if (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec) < 1_000_000 {
            return;
        }
    }
}

/// Reads the newest snapshot of each partition, as many at once as an engine does, into memory that stays, as it does
/// in an engine: that of a file before would be there already for the next.
fn read(folder: &Path) -> Result<Restarted> {
    let files = newest(&snapshots(folder))?;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let contents = std::thread::scope(|scope| {
        let reader = || {
            let mut contents = Vec::new();
            while let Some(file) = files.get(next.fetch_add(1, Relaxed)) {
                contents.push(fs::read(file)?);
            }
            anyhow::Ok(contents)
        };
        let threads = std::thread::available_parallelism()?.get();
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().map(|reader| reader.join().expect("reading does not panic")).collect::<Result<Vec<_>>>()
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = contents.iter().flatten().map(|content| content.len() as u64).sum();
    Ok(Restarted { seconds, customers: 0, bytes })
}

/// The newest snapshot of each partition: names are offsets of equal length.
fn newest(snapshots: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(snapshots).context("there are no snapshots")? {
        let folder = folder?.path();
        if folder.is_dir() {
            let paths = fs::read_dir(&folder)?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
            files.extend(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "snap")).max());
        }
    }
    ensure!(!files.is_empty(), "there is no snapshot");
    Ok(files)
}
