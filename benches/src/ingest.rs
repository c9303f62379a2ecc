//! How many events per second a real server takes in over several gRPC streams, each acknowledged
//! once it is durable in the embedded log; how fast a node folds what a Redis holds, against a bare loop that only
//! reads and decodes it; and how long after its acknowledgement an event is known to a decision. Server, Redis and
//! generator share the machine's cores.

mod redis;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use loadtest::process_cpu;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::events::{Producer, stream};
use crate::process::Process;
use crate::serve::start_tactful;

const ACTIONS: usize = 100;
const STREAMS: usize = 4;
const BATCH: usize = 500;
const CUSTOMERS: usize = 100_000;
/// Time for a further acknowledgement.
const MORE_MAX: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Events per second that were acknowledged durable in the embedded log.
    pub embedded_events_per_s: f64,
    /// Events per second from Redis into the rows of a starting node.
    pub redis_events_per_s: f64,
    /// Events per second that a loop reads from Redis and decodes.
    pub bare_loop_events_per_s: f64,
    /// The first over the second.
    pub redis_ratio: f64,
    /// From the acknowledgement of an event to the answer of a decision that knows it, on Redis, p99, milliseconds.
    pub visible_p99_ms: f64,
}

/// Sends events for `window` after a quarter of it as warm-up, to either log; then reads those in Redis back.
///
/// # Errors
/// If a server does not start, or refuses or loses any event.
pub fn measure(tactful: &Path, window: Duration) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let process = start_tactful(tactful, folder.path(), ACTIONS, None, None)?;
    let embedded_events_per_s = runtime.block_on(load(&process, window))?;
    process.stop()?;
    let redis = redis::measure(tactful, folder.path(), &runtime, window)?;
    Ok(Measured {
        embedded_events_per_s,
        redis_events_per_s: redis.node,
        bare_loop_events_per_s: redis.bare,
        redis_ratio: redis.node / redis.bare,
        visible_p99_ms: redis.visible_p99_ms,
    })
}

/// Events per second that were acknowledged.
async fn load(process: &Process, window: Duration) -> Result<f64> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let (channel, acknowledged) = (process.connect().await?, Arc::clone(&acknowledged));
        let mut producer = Producer::new(format!("stream-{number}"), number as u64, CUSTOMERS);
        let over = Arc::clone(&over);
        let batch = move || (!over.load(Relaxed)).then(|| (0..BATCH).map(|_| producer.track()).collect());
        streams.spawn(stream(channel, std::iter::from_fn(batch), None, acknowledged));
    }
    more_than(0, &acknowledged, window).await;
    tokio::time::sleep(window / 4).await;
    let before = mark(process, &acknowledged)?;
    tokio::time::sleep(window).await;
    more_than(before.events, &acknowledged, window).await;
    let after = mark(process, &acknowledged)?;
    over.store(true, Relaxed);
    for ended in streams.join_all().await {
        ended?;
    }
    let events = (after.events - before.events) as f64;
    ensure!(events > 0.0, "nothing was acknowledged");
    let seconds = (after.at - before.at).as_secs_f64();
    let cpu_us = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1e6 / events;
    eprintln!(
        "CPU per event: server {:.2} us, generator {:.2} us",
        cpu_us(before.server, after.server),
        cpu_us(before.generator, after.generator)
    );
    Ok(events / seconds)
}

/// Waits until more events are acknowledged: a server that is built for debugging takes a while for all that is
/// under way.
async fn more_than(events: u64, acknowledged: &AtomicU64, window: Duration) {
    let started = Instant::now();
    while acknowledged.load(Relaxed) <= events && started.elapsed() < MORE_MAX {
        tokio::time::sleep(window / 100).await;
    }
}

/// Where things stand.
struct Mark {
    at: Instant,
    events: u64,
    server: Duration,
    generator: Duration,
}

fn mark(process: &Process, acknowledged: &AtomicU64) -> Result<Mark> {
    let cpu = |id| process_cpu(id).context("CPU times cannot be read");
    Ok(Mark {
        at: Instant::now(),
        events: acknowledged.load(Relaxed),
        server: cpu(process.id())?,
        generator: cpu(std::process::id())?,
    })
}
