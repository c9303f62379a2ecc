//! How long a snapshot keeps anybody: the appliers by the engine's own account, and a reader that asks all the
//! time, while events flow.
//!
//! Only what a snapshot can cause counts: the time that a slice of it takes on a processor, and the time that a
//! reader gave its processor away, to wait for a lock. A virtual machine stops any thread for milliseconds, with
//! snapshots and without; so of several turns the quietest one counts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use tactful_core::decide::RequestText;
use tactful_engine::{DecideCommand, Engine};
use tokio::task::JoinHandle;

use crate::catalog::{PLACEMENT, SHOWN};
use crate::customers::id;
use crate::events::Producer;
use crate::rng::Rng;

/// Snapshots of everything, each measured by itself.
const TURNS: usize = 5;
/// Events per second, and the time between two batches of them.
const EVENT_RATE: u64 = 2_000;
const EVENT_PACE: Duration = Duration::from_millis(10);
/// Pause of a reader between two looks.
const READ_PACE: Duration = Duration::from_micros(100);

/// The longest of a reader's answers and waits, in nanoseconds.
#[derive(Default)]
struct Longest {
    answer: AtomicU64,
    wait: AtomicU64,
    reads: AtomicU64,
}

/// The longest wait that a snapshot of everything caused, in the quietest turn.
pub(super) async fn measure(engine: &Arc<Engine>, window: Duration, customers: usize) -> Result<Duration> {
    let (over, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(Longest::default()));
    let writer = spawn_writer(engine, &over, customers);
    let reader = spawn_reader(engine, &over, &longest, customers);
    tokio::time::sleep(window).await;
    longest.take("without snapshots");
    let mut quietest = Duration::MAX;
    for turn in 1..=TURNS {
        let begun = Instant::now();
        engine.take_snapshots().await;
        let (applier, reader) = (engine.take_longest_snapshot_pause(), longest.take("with snapshots"));
        eprintln!("turn {turn}: {:.1} s, longest slice {applier:?}", begun.elapsed().as_secs_f64());
        ensure!(!applier.is_zero(), "no snapshot was taken");
        quietest = quietest.min(applier.max(reader));
    }
    over.store(true, Relaxed);
    writer.await??;
    reader.await??;
    Ok(quietest)
}

fn spawn_writer(engine: &Arc<Engine>, over: &Arc<AtomicBool>, customers: usize) -> JoinHandle<Result<()>> {
    let (engine, over) = (Arc::clone(engine), Arc::clone(over));
    let mut producer = Producer::new("live".into(), 9, customers);
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(EVENT_PACE);
        let size = EVENT_RATE * EVENT_PACE.as_millis() as u64 / 1_000;
        while !over.load(Relaxed) {
            pace.tick().await;
            let answer = engine.ingest((0..size).map(|_| producer.track()).collect()).await?;
            ensure!(answer.errors.is_empty(), "events were refused: {:?}", answer.errors);
        }
        Ok(())
    })
}

/// Decides and reads contexts in turn.
fn spawn_reader(
    engine: &Arc<Engine>,
    over: &Arc<AtomicBool>,
    longest: &Arc<Longest>,
    customers: usize,
) -> JoinHandle<Result<()>> {
    let (engine, over, longest) = (Arc::clone(engine), Arc::clone(over), Arc::clone(longest));
    tokio::task::spawn_blocking(move || {
        let (mut rng, clock) = (Rng::new(10), Clock::open()?);
        while !over.load(Relaxed) {
            let id = id(rng.below(customers));
            let before = clock.now()?;
            if rng.below(2) == 0 {
                engine.decide(&question(&id))?;
            } else {
                ensure!(engine.context(&id)?.known, "a customer was forgotten");
            }
            let after = clock.now()?;
            longest.note(&before, &after);
            std::thread::sleep(READ_PACE);
        }
        Ok(())
    })
}

/// A what-if: it leaves no record.
fn question(subject_id: &str) -> DecideCommand<'_> {
    DecideCommand {
        text: RequestText { subject_id, placements: vec![(PLACEMENT, SHOWN as i64)], ..RequestText::default() },
        request_id: "",
        matter_id: "",
        live: false,
        non_personal: false,
        behind: None,
        encoded: Vec::new(),
    }
}

impl Longest {
    fn note(&self, before: &Moment, after: &Moment) {
        let answer = after.at - before.at;
        self.answer.fetch_max(answer.as_nanos() as u64, Relaxed);
        if after.waits > before.waits {
            // It ran or was ready to run in the rest.
            let busy = (after.running - before.running) + (after.ready - before.ready);
            self.wait.fetch_max(answer.saturating_sub(busy).as_nanos() as u64, Relaxed);
        }
        self.reads.fetch_add(1, Relaxed);
    }

    /// Tells and forgets what was seen; answers the longest wait.
    fn take(&self, when: &str) -> Duration {
        let nanoseconds = |figure: &AtomicU64| Duration::from_nanos(figure.swap(0, Relaxed));
        let (answer, wait) = (nanoseconds(&self.answer), nanoseconds(&self.wait));
        let reads = self.reads.swap(0, Relaxed);
        eprintln!("{when}: {reads} reads, longest {answer:?}, longest wait for others {wait:?}");
        wait
    }
}

/// How long this thread has run, was kept from running by others that ran, and how often it began to wait.
struct Clock {
    times: File,
    status: File,
}

struct Moment {
    at: Instant,
    running: Duration,
    ready: Duration,
    waits: u64,
}

impl Clock {
    fn open() -> Result<Self> {
        let open = |name: &str| File::open(format!("/proc/thread-self/{name}"));
        let opened = open("schedstat").and_then(|times| Ok(Self { times, status: open("status")? }));
        opened.context("times of threads are read from /proc")
    }

    fn now(&self) -> Result<Moment> {
        let mut text = [0; 4_096];
        let length = self.status.read_at(&mut text, 0)?;
        let status = std::str::from_utf8(&text[..length])?;
        let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let waits = waits.context("the status of a thread does not count its switches")?.trim().parse()?;
        let length = self.times.read_at(&mut text, 0)?;
        let times = std::str::from_utf8(&text[..length])?;
        let ready = times.split_whitespace().nth(1).context("schedstat has too few fields")?.parse()?;
        let running = clock_gettime(ClockId::ThreadCPUTime);
        let running = Duration::new(running.tv_sec as u64, running.tv_nsec as u32);
        Ok(Moment { at: Instant::now(), running, ready: Duration::from_nanos(ready), waits })
    }
}
