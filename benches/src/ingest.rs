//! How many events per second a real server takes in over several gRPC streams, each acknowledged
//! once it is durable in the embedded log. Server and generator share the machine's cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Events per second that were acknowledged durable.
    pub embedded_events_per_s: f64,
}

/// Sends events for `window` after a quarter of it as warm-up.
///
/// # Errors
/// If the server does not start, or refuses or loses any event.
pub fn measure(tactful: &Path, window: Duration) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let process = start_tactful(tactful, folder.path(), ACTIONS, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(load(&process, window))?;
    process.stop()?;
    Ok(measured)
}

async fn load(process: &Process, window: Duration) -> Result<Measured> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let warm_up = window / 4;
    let end = Instant::now() + warm_up + window;
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let (channel, acknowledged) = (process.connect().await?, Arc::clone(&acknowledged));
        let mut producer = Producer::new(format!("stream-{number}"), number as u64, CUSTOMERS);
        let batch = move || (Instant::now() < end).then(|| (0..BATCH).map(|_| producer.track()).collect());
        streams.spawn(stream(channel, std::iter::from_fn(batch), None, acknowledged));
    }
    tokio::time::sleep(warm_up).await;
    let before = mark(process, &acknowledged)?;
    tokio::time::sleep(window).await;
    let after = mark(process, &acknowledged)?;
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
    Ok(Measured { embedded_events_per_s: events / seconds })
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
