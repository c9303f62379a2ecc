//! A real server on one core against a bare echo on the same core, the generator on another: CPU per
//! request, peak rates, and tail latency at the same rate. The two take turns within one run, since
//! only ratios of one run mean something on a shared machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use loadtest::{Load, Plan, Report, Target};
use prost::Message;
use serde::Serialize;
use tactful_proto::v1::{DecideRequest, DecideResponse, PlacementRequest, Value, value::Kind};
use tokio::runtime::Runtime;

use crate::catalog::{INTENTS, PLACEMENT, SHOWN, TOPICS, catalog};
use crate::customers::id;
use crate::echo::{self, Payload};
use crate::events::{Producer, introduce, trickle};
use crate::model::{artifact, model};
use crate::process::{Process, stay_on, this_program};
use crate::raw::RawCall;
use crate::rng::Rng;

const ACTIONS: usize = 1_000;
const SERVER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 64;
/// Events per second that are written to the deciding server while it is loaded.
const WRITER_RATE: u64 = 1_000;
/// Share of the deciding server's peak at which latencies are compared.
const LOAD: f64 = 0.6;
/// Turns that each server takes in each kind of load; the median counts.
const TURNS: usize = 3;
/// Different requests.
pub(crate) const REQUESTS: usize = 4_096;
pub(crate) const DECIDE: &str = "/tactful.v1.DecisionService/Decide";

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// CPU of the echo server per request at its peak, microseconds.
    pub echo_cpu_us: f64,
    /// CPU of the deciding server per request at its peak, microseconds: record, log and fold included.
    pub decide_cpu_us: f64,
    /// The second over the first.
    pub cpu_ratio: f64,
    /// Highest closed-loop rate of the deciding server over that of the echo.
    pub peak_ratio: f64,
    /// p99 at 60 % of the deciding server's peak, over the echo's at the same rate.
    pub p99_ratio_60: f64,
    /// Deciding server's p99 at that rate, microseconds.
    pub decide_p99_us: f64,
    /// Deciding server's p99.9 at that rate, microseconds.
    pub decide_p999_us: f64,
}

/// A server, and what is asked of it.
struct Service {
    name: &'static str,
    process: Process,
    path: &'static str,
    requests: Arc<[Bytes]>,
    /// Events per second that are written meanwhile; 0 for none.
    events_per_s: u64,
}

/// The reports of both services under one kind of load, turn by turn.
struct Turns {
    echo: Vec<Report>,
    decide: Vec<Report>,
}

/// Measures the `tactful` binary with this many known customers, about `window` for each of the
/// twelve loads.
///
/// # Errors
/// If a server or taskset does not start, there are not two cores, or any request fails.
pub fn measure(tactful: &Path, window: Duration, customers: usize) -> Result<Measured> {
    ensure!(std::thread::available_parallelism()?.get() > GENERATOR_CORE, "two cores are needed");
    stay_on(GENERATOR_CORE)?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let decide = decide_service(tactful, folder.path(), customers)?;
    eprintln!("introducing {customers} customers");
    runtime.block_on(async { introduce(decide.process.connect().await?, customers).await })?;
    let echo = echo_service(&runtime, &decide, folder.path())?;
    let peaks = take_turns(&runtime, (&echo, &decide), Load::Closed { streams: STREAMS }, window, customers)?;
    let peak = median(&peaks.decide, |report| report.rate);
    let load = Load::Open { rate: LOAD * peak, in_flight_max: CONNECTIONS * STREAMS };
    let tails = take_turns(&runtime, (&echo, &decide), load, window, customers)?;
    drop(echo);
    decide.process.stop()?;
    figures(&peaks, &tails)
}

fn figures(peaks: &Turns, tails: &Turns) -> Result<Measured> {
    let cpu = |reports: &[Report]| {
        let known = reports.iter().all(|report| report.server_cpu_us.is_some());
        ensure!(known, "the servers' CPU time cannot be read");
        Ok(median(reports, |report| report.server_cpu_us.unwrap_or(f64::NAN)))
    };
    let (echo_cpu_us, decide_cpu_us) = (cpu(&peaks.echo)?, cpu(&peaks.decide)?);
    let rate = |reports| median(reports, |report| report.rate);
    let p99 = |reports| median(reports, |report| report.latency_us.p99);
    Ok(Measured {
        echo_cpu_us,
        decide_cpu_us,
        cpu_ratio: decide_cpu_us / echo_cpu_us,
        peak_ratio: rate(&peaks.decide) / rate(&peaks.echo),
        p99_ratio_60: p99(&tails.decide) / p99(&tails.echo),
        decide_p99_us: p99(&tails.decide),
        decide_p999_us: median(&tails.decide, |report| report.latency_us.p999),
    })
}

/// The middle one of a figure over the turns.
pub(crate) fn median(reports: &[Report], figure: impl Fn(&Report) -> f64) -> f64 {
    let mut figures: Vec<f64> = reports.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Loads the two services in turn.
fn take_turns(
    runtime: &Runtime,
    (echo, decide): (&Service, &Service),
    load: Load,
    window: Duration,
    customers: usize,
) -> Result<Turns> {
    let mut turns = Turns { echo: Vec::new(), decide: Vec::new() };
    for turn in 0..TURNS as u64 {
        let producer = Producer::new(format!("live-{}-{turn}", decide.path.len()), turn, customers);
        turns.echo.push(put_under(runtime, echo, load, window, producer.clone())?);
        turns.decide.push(put_under(runtime, decide, load, window, producer)?);
    }
    Ok(turns)
}

/// Loads one service, and says how it went.
fn put_under(runtime: &Runtime, service: &Service, load: Load, window: Duration, producer: Producer) -> Result<Report> {
    let plan = Plan {
        target: Target::parse(&service.process.url(), false)?,
        load,
        connections: CONNECTIONS,
        threads: 1,
        warm_up: window / 4,
        duration: window,
        timeout: Duration::from_secs(5),
        server_pid: Some(service.process.id()),
    };
    let writer = match service.events_per_s {
        0 => None,
        rate => Some(runtime.spawn(trickle(runtime.block_on(service.process.connect())?, producer, rate))),
    };
    let call = |channel| RawCall::new(channel, service.path, Arc::clone(&service.requests));
    let report = loadtest::run(&plan, call, |_| {})?;
    if let Some(writer) = writer {
        ensure!(!writer.is_finished(), "the live writer ended early: {:?}", runtime.block_on(writer)?.err());
        writer.abort();
    }
    eprintln!("{}\n{report}\n", service.name);
    ensure!(report.failed() == 0, "{} requests to the {} server failed", report.failed(), service.name);
    Ok(report)
}

/// The real server with a catalogue of 1,000 actions and its model.
fn decide_service(tactful: &Path, folder: &Path, customers: usize) -> Result<Service> {
    let process = start_tactful(tactful, folder, ACTIONS, Some(SERVER_CORE), None)?;
    let mut rng = Rng::new(8);
    let requests = (0..REQUESTS).map(|_| request(&mut rng, customers).encode_to_vec().into()).collect();
    Ok(Service { name: "decide", process, path: DECIDE, requests, events_per_s: WRITER_RATE })
}

/// Starts the `tactful` binary with a generated catalogue and its model, on this log or the folder's embedded one.
pub(crate) fn start_tactful(
    tactful: &Path,
    folder: &Path,
    actions: usize,
    core: Option<usize>,
    log: Option<&str>,
) -> Result<Process> {
    let (definitions, artifact_file) = (folder.join("catalog"), folder.join("model"));
    std::fs::create_dir_all(&definitions)?;
    let catalog = catalog(actions);
    std::fs::write(definitions.join("catalog.toml"), toml::to_string(&catalog)?)?;
    std::fs::write(&artifact_file, artifact(&model(&catalog)))?;
    let path = |path: &Path| path.to_str().map(str::to_owned).context("the temporary folder has no plain name");
    let mut arguments = vec![
        "serve".to_owned(),
        "--catalog".to_owned(),
        path(&definitions)?,
        "--data-dir".to_owned(),
        path(&folder.join("data"))?,
        "--model".to_owned(),
        path(&artifact_file)?,
        "--grpc-listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--http-listen".to_owned(),
        "127.0.0.1:0".to_owned(),
    ];
    if let Some(log) = log {
        arguments.extend(["--log".to_owned(), log.to_owned()]);
    }
    Process::start(tactful, &arguments, core, &folder.join("server.log"))
}

/// A decision of a random customer, with a context.
pub(crate) fn request(rng: &mut Rng, customers: usize) -> DecideRequest {
    let word = |words: &[&str], rng: &mut Rng| Value { kind: Some(Kind::Text(words[rng.below(words.len())].into())) };
    DecideRequest {
        subject_id: id(rng.below(customers)),
        placements: vec![PlacementRequest { placement: PLACEMENT.into(), count: SHOWN as i32 }],
        context: [
            ("intent".into(), word(&INTENTS, rng)),
            ("sentiment".into(), Value { kind: Some(Kind::Number(rng.unit() * 2.0 - 1.0)) }),
            ("topic".into(), word(&TOPICS, rng)),
        ]
        .into(),
        ..DecideRequest::default()
    }
}

/// The echo with requests and replies of the deciding server's mean sizes.
fn echo_service(runtime: &Runtime, decide: &Service, folder: &Path) -> Result<Service> {
    let replies = runtime.block_on(replies(decide))?;
    let mean = |sizes: &[Bytes]| sizes.iter().map(Bytes::len).sum::<usize>() / sizes.len();
    let (request_bytes, reply_bytes) = (mean(&decide.requests), mean(&replies));
    eprintln!("a request has {request_bytes} bytes, a reply {reply_bytes}");
    let arguments = ["echo".to_owned(), "--reply-bytes".to_owned(), reply_bytes.to_string()];
    let process = Process::start(&this_program()?, &arguments, Some(SERVER_CORE), &folder.join("echo.log"))?;
    let requests = [Payload::of_size(request_bytes).encode_to_vec().into()].into();
    Ok(Service { name: "echo", process, path: echo::PATH, requests, events_per_s: 0 })
}

/// Some replies of the deciding server, each with the full number of actions for a known customer.
async fn replies(decide: &Service) -> Result<Vec<Bytes>> {
    const SAMPLE: u64 = 200;
    let mut call = RawCall::new(decide.process.connect().await?, decide.path, Arc::clone(&decide.requests));
    let mut replies = Vec::new();
    for index in 0..SAMPLE {
        let reply = call.reply(index).await?;
        let decoded = DecideResponse::decode(reply.clone())?;
        let shown = decoded.placements.first().map_or(0, |placement| placement.actions.len());
        ensure!(shown == SHOWN && !decoded.cold_start && !decoded.model_version.is_empty(), "not the decision meant");
        replies.push(reply);
    }
    Ok(replies)
}
