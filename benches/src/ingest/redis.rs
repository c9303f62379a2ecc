//! A node on a real Redis: how fast it folds what is there, and how soon it knows what came last.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prost::Message;
use redis::Value;
use tactful_log::RedisServer;
use tactful_proto::storage::FoldRecord;
use tactful_proto::v1::decision_service_client::DecisionServiceClient;
use tactful_proto::v1::event_service_client::EventServiceClient;
use tactful_proto::v1::{DecideRequest, IngestItem, IngestRequest, Mode, PlacementRequest, ingest_item::Item};
use tokio::runtime::Runtime;

use super::{ACTIONS, CUSTOMERS, load};
use crate::catalog::PLACEMENT;
use crate::events::{Producer, trickle};
use crate::process::Process;
use crate::serve::start_tactful;

/// Partitions of the log, as the node makes it.
const PARTITIONS: u16 = 16;
/// Entries of each partition that the bare loop reads at once.
const READ_MAX: usize = 1_000;
/// Turns of node and bare loop; the quickest of each counts, since what else runs here only adds.
const TURNS: usize = 3;
/// Events per second that are written while the delay is measured, and the pause between two looks at it.
const WRITER_RATE: u64 = 10_000;
const PROBE_PACE: Duration = Duration::from_millis(4);
/// Time for an acknowledged event to be known, on a machine that is busy with other tests.
const REACH_MAX: Duration = Duration::from_secs(20);

/// What was measured.
pub(super) struct Measured {
    /// Events per second into the rows of a node.
    pub(super) node: f64,
    /// Events per second of the bare loop.
    pub(super) bare: f64,
    pub(super) visible_p99_ms: f64,
}

pub(super) fn measure(tactful: &Path, folder: &Path, runtime: &Runtime, window: Duration) -> Result<Measured> {
    let home = folder.join("redis-server");
    std::fs::create_dir(&home)?;
    let server = RedisServer::start(&home)?;
    let start = |database: u8| {
        let (url, folder) = (format!("{}/{database}", server.url()), folder.join(format!("on-redis-{database}")));
        forget_snapshots(&folder)?;
        start_tactful(tactful, &folder, ACTIONS, None, Some(&url))
    };
    let process = start(0)?;
    let acknowledged = runtime.block_on(load(&process, window))?;
    eprintln!("events acknowledged on Redis: {acknowledged:.0}/s");
    let visible_p99_ms = runtime.block_on(visible(&process, window))?;
    process.stop()?;
    let (mut bare, mut empty, mut full) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut entries = 0;
    for _ in 0..TURNS {
        let (read, took) = bare_loop(&server.url())?;
        // What a start takes beside the log is the same on an empty one.
        (empty, full) = (empty.min(time_of_start(|| start(1))?), full.min(time_of_start(|| start(0))?));
        (entries, bare) = (read, bare.min(took));
    }
    let node = full.checked_sub(empty).filter(|took| !took.is_zero()).unwrap_or(full);
    eprintln!("{entries} entries: bare loop {bare:?}, node {node:?} beside {empty:?} for its start");
    let rate = |took: Duration| entries as f64 / took.as_secs_f64();
    Ok(Measured { node: rate(node), bare: rate(bare), visible_p99_ms })
}

/// A node that finds a snapshot folds only what came after it; here it has to fold everything.
fn forget_snapshots(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder.join("data").join("snapshots")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot remove snapshots"),
        _ => Ok(()),
    }
}

fn time_of_start(start: impl Fn() -> Result<Process>) -> Result<Duration> {
    let started = Instant::now();
    // It says that it is ready once it has folded the whole log.
    let process = start()?;
    let took = started.elapsed();
    process.stop()?;
    Ok(took)
}

/// Reads all data partitions with one connection, decodes every record, and drops it.
fn bare_loop(url: &str) -> Result<(u64, Duration)> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let keys: Vec<String> = (0..PARTITIONS).map(|partition| format!("{{tactful:p{partition:02}}}:log")).collect();
    let mut after = vec!["0-0".to_owned(); keys.len()];
    let started = Instant::now();
    let mut count = 0;
    loop {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(READ_MAX).arg("STREAMS").arg(&keys).arg(&after);
        let Value::Array(streams) = read.query(&mut connection)? else { break };
        for stream in streams {
            let (key, entries): (String, Vec<(String, Vec<Value>)>) = redis::from_redis_value(stream)?;
            let at = keys.iter().position(|own| *own == key).context("a stream that was not asked for")?;
            for (id, mut fields) in entries {
                let Some(Value::BulkString(payload)) = fields.pop() else { anyhow::bail!("no payload in {id}") };
                std::hint::black_box(FoldRecord::decode(payload.as_slice())?);
                count += 1;
                after[at] = id;
            }
        }
    }
    ensure!(count > 0, "the log is empty");
    Ok((count, started.elapsed()))
}

/// p99 of the time from an acknowledgement to the answer of a decision that knows of it, in milliseconds, beside
/// a steady writer.
async fn visible(process: &Process, window: Duration) -> Result<f64> {
    let writer = tokio::spawn(trickle(process.connect().await?, producer("steady", 1), WRITER_RATE));
    let channel = process.connect().await?;
    let (mut events, mut decisions) = (EventServiceClient::new(channel.clone()), DecisionServiceClient::new(channel));
    let mut producer = producer("probe", 2);
    let mut delays = Vec::new();
    let end = Instant::now() + window;
    while Instant::now() < end {
        let item = producer.track();
        let subject_id = subject(&item)?;
        let answer = events.ingest(IngestRequest { items: vec![item] }).await?.into_inner();
        let acknowledged = Instant::now();
        let request = DecideRequest {
            subject_id,
            placements: vec![PlacementRequest { placement: PLACEMENT.into(), count: 1 }],
            mode: Mode::Test.into(),
            min_position: answer.position,
            ..DecideRequest::default()
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(REACH_MAX);
        let decided = decisions.decide(request).await?.into_inner();
        delays.push(acknowledged.elapsed());
        ensure!(!decided.degraded, "the event was not known in time: {:?}", decided.degraded_reasons);
        tokio::time::sleep(PROBE_PACE).await;
    }
    ensure!(!writer.is_finished(), "the steady writer ended early");
    writer.abort();
    delays.sort_unstable();
    let p99 = delays.get(delays.len() * 99 / 100).context("nothing was measured")?;
    eprintln!("known after the acknowledgement: p50 {:?}, p99 {p99:?} of {}", delays[delays.len() / 2], delays.len());
    Ok(p99.as_secs_f64() * 1e3)
}

fn producer(name: &str, seed: u64) -> Producer {
    Producer::new(name.to_owned(), seed, CUSTOMERS)
}

fn subject(item: &IngestItem) -> Result<String> {
    match &item.item {
        Some(Item::Event(event)) => Ok(event.subject_id.clone()),
        _ => anyhow::bail!("the producer makes events"),
    }
}
