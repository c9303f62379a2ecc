//! Swaps of the model under constant load: each pushes a version that nobody has seen, makes it the champion and
//! waits until it decides, while an open loop of decisions goes on. Every reply is held against the version that
//! it names. Turns with and without swaps alternate, since only ratios of one run mean something on a shared machine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use loadtest::{Call, Load, Plan, Report, Target};
use prost::Message;
use serde::Serialize;
use tactful_core::math::logit;
use tactful_core::score::{Calibration, Model};
use tactful_proto::v1::decision_service_client::DecisionServiceClient;
use tactful_proto::v1::model_service_client::ModelServiceClient;
use tactful_proto::v1::{
    DecideRequest, DecideResponse, ModelAlias, PushHeader, PushRequest, SetAliasRequest, push_request,
};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::catalog::catalog;
use crate::events::introduce;
use crate::model::{artifact, model};
use crate::process::Process;
use crate::raw::RawCall;
use crate::rng::Rng;
use crate::serve::{DECIDE, REQUESTS, request, start_tactful};

const ACTIONS: usize = 1_000;
const CONNECTIONS: usize = 4;
const CUSTOMERS: usize = 10_000;
/// Swaps of a turn. Turns with swaps and without alternate quickly, so that what others do on a shared machine, which
/// weighs more than swaps do, falls to both alike; then all decisions of a kind count together.
const SWAPS_PER_TURN: u32 = 5;
/// Before the first turn.
const WARM_UP: Duration = Duration::from_secs(2);
/// Turns after which it is said how things stand.
const TURNS_TOLD: usize = 10;
/// Bytes of one piece of a push, as the command line sends them, and the time between two: half a gigabit a second.
/// A loopback has no bound, and a client that sends all at once takes the server's cores from the server.
const CHUNK: usize = 1 << 16;
const CHUNK_EVERY: Duration = Duration::from_millis(1);
/// A version's scores differ among customers and actions by much less than versions do that follow each other: what
/// decided can be told from the reply alone. Steps of the logit, how many there are, and the slope of the scores.
const STEP: f64 = 0.08;
const STEPS: u32 = 50;
const SLOPE: f64 = 0.005;

/// What is done.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Swaps in all.
    pub swaps: u32,
    /// Swaps a second.
    pub swaps_per_s: f64,
    /// Decisions a second.
    pub rate: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Versions that were pushed, promoted and seen to decide.
    pub swaps: u32,
    /// Decisions that failed.
    pub errors: u64,
    /// Decisions with a score that the version they name does not give.
    pub mixed_decisions: u64,
    /// p99 with swaps over p99 without.
    pub p99_ratio: f64,
    /// From the beginning of a push to the first decision of its version, milliseconds, for the slowest of a hundred.
    pub push_to_live_p99_ms: f64,
    /// Decisions that were held against their version.
    pub decisions: u64,
    /// p99 of a decision without swaps, microseconds.
    pub p99_us: f64,
}

/// What every reply is held against.
struct Watch {
    /// Logit around which a version's scores lie, by its id.
    centres: HashMap<String, f64>,
    decisions: AtomicU64,
    mixed: AtomicU64,
}

/// Decides, and looks at the reply.
#[derive(Clone)]
struct Watched {
    call: RawCall,
    watch: Arc<Watch>,
}

/// A server, what it is asked, and the versions that it gets.
struct Bench {
    runtime: Runtime,
    process: Process,
    requests: Arc<[Bytes]>,
    versions: Vec<(String, Bytes)>,
    watch: Arc<Watch>,
    setup: Setup,
}

/// Measures the `tactful` binary.
///
/// # Errors
/// If the server does not start, or a swap is refused.
pub fn measure(tactful: &Path, setup: Setup) -> Result<Measured> {
    ensure!(
        setup.swaps > 0 && setup.swaps.is_multiple_of(SWAPS_PER_TURN),
        "--swaps must be a multiple of {SWAPS_PER_TURN}"
    );
    let folder = tempfile::tempdir()?;
    let bench = Bench::start(tactful, folder.path(), setup)?;
    let p99 = |turns: &[Report]| Report::latency_of_all(turns).p99;
    bench.load(WARM_UP)?;
    let (mut without, mut with, mut live) = (Vec::new(), Vec::new(), Vec::new());
    let period = Duration::from_secs_f64(1.0 / setup.swaps_per_s);
    for (turn, versions) in bench.versions[1..].chunks(SWAPS_PER_TURN as usize).enumerate() {
        without.push(bench.load(period * SWAPS_PER_TURN)?);
        let channel = bench.runtime.block_on(bench.process.connect())?;
        let (versions, request) = (versions.to_vec(), DecideRequest::decode(bench.requests[0].clone())?);
        let swaps = bench.runtime.spawn(swap_all(channel, versions, request, period));
        with.push(bench.load(period * SWAPS_PER_TURN)?);
        if !swaps.is_finished() {
            eprintln!(
                "swaps take longer than the {} ms between them: the load has ended before them",
                period.as_millis()
            );
        }
        live.extend(bench.runtime.block_on(swaps)??);
        if (turn + 1).is_multiple_of(TURNS_TOLD) {
            let (quiet, swapped) = (p99(&without), p99(&with));
            eprintln!("{} swaps of {}: p99 {quiet:.0} us without swaps, {swapped:.0} us with", live.len(), setup.swaps);
        }
    }
    bench.process.stop()?;
    live.sort_unstable();
    Ok(Measured {
        swaps: live.len() as u32,
        errors: without.iter().chain(&with).map(Report::failed).sum(),
        mixed_decisions: bench.watch.mixed.load(Relaxed),
        p99_ratio: p99(&with) / p99(&without),
        push_to_live_p99_ms: live[live.len() * 99 / 100].as_secs_f64() * 1e3,
        decisions: bench.watch.decisions.load(Relaxed),
        p99_us: p99(&without),
    })
}

impl Bench {
    fn start(tactful: &Path, folder: &Path, setup: Setup) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let process = start_tactful(tactful, folder, ACTIONS, None, None)?;
        eprintln!("introducing {CUSTOMERS} customers");
        runtime.block_on(async { introduce(process.connect().await?, CUSTOMERS).await })?;
        eprintln!("making {} versions", setup.swaps + 1);
        let base = model(&catalog(ACTIONS));
        let (mut versions, mut centres) = (Vec::new(), HashMap::new());
        for number in 0..=setup.swaps {
            let (id, bytes, centre) = version(&base, number);
            centres.insert(id.clone(), centre);
            versions.push((id, bytes));
        }
        let mut rng = Rng::new(8);
        let requests: Arc<[Bytes]> =
            (0..REQUESTS).map(|_| request(&mut rng, CUSTOMERS).encode_to_vec().into()).collect();
        let watch = Arc::new(Watch { centres, decisions: AtomicU64::new(0), mixed: AtomicU64::new(0) });
        let bench = Self { runtime, process, requests, versions, watch, setup };
        bench.runtime.block_on(async {
            let request = DecideRequest::decode(bench.requests[0].clone())?;
            swap(&bench.process.connect().await?, &bench.versions[0], &request).await
        })?;
        Ok(bench)
    }

    fn load(&self, duration: Duration) -> Result<Report> {
        let plan = Plan {
            target: Target::parse(&self.process.url(), false)?,
            load: Load::Open { rate: self.setup.rate, in_flight_max: 1_024 },
            connections: CONNECTIONS,
            threads: 1,
            warm_up: Duration::ZERO,
            duration,
            timeout: Duration::from_secs(5),
            server_pid: Some(self.process.id()),
        };
        let call = |channel| Watched {
            call: RawCall::new(channel, DECIDE, Arc::clone(&self.requests)),
            watch: Arc::clone(&self.watch),
        };
        loadtest::run(&plan, call, |_| {})
    }
}

impl Call for Watched {
    fn call(&mut self, index: u64) -> impl Future<Output = Result<(), Code>> + 'static {
        let mut watched = self.clone();
        async move {
            let reply = watched.call.reply(index).await.map_err(|status| status.code())?;
            let reply = DecideResponse::decode(reply).map_err(|_| Code::DataLoss)?;
            watched.watch.see(&reply);
            Ok(())
        }
    }
}

impl Watch {
    fn see(&self, reply: &DecideResponse) {
        let centre = self.centres.get(&reply.model_version);
        let is_own = |score: f32| centre.is_some_and(|centre| (logit(f64::from(score)) - centre).abs() < STEP / 2.0);
        let shown = reply.placements.iter().flat_map(|placement| &placement.actions);
        let scores: Vec<f32> =
            shown.filter_map(|action| action.factors.as_ref()).map(|factors| factors.acceptance_probability).collect();
        // Of a reply that shows nothing nobody can say what made it.
        self.decisions.fetch_add(u64::from(!scores.is_empty()), Relaxed);
        self.mixed.fetch_add(u64::from(!scores.into_iter().all(is_own)), Relaxed);
    }
}

/// A version of the model with its id and the logit around which its scores lie.
fn version(base: &Model, number: u32) -> (String, Bytes, f64) {
    let centre = STEP * (f64::from(number % STEPS) - f64::from(STEPS) / 2.0);
    let mut model = base.clone();
    for head in &mut model.heads {
        head.calibration = Calibration::Platt { slope: SLOPE, intercept: centre };
        // No two versions have the same bytes.
        head.rows += u64::from(number);
    }
    let bytes = artifact(&model);
    let id = tactful_models::artifact::read(&bytes).expect("it was written for this").model.version;
    (id, bytes.into(), centre)
}

/// Swaps at a steady pace, and says how long each took to be live.
async fn swap_all(
    channel: Channel,
    versions: Vec<(String, Bytes)>,
    request: DecideRequest,
    period: Duration,
) -> Result<Vec<Duration>> {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut live = Vec::new();
    for version in &versions {
        pace.tick().await;
        live.push(swap(&channel, version, &request).await?);
    }
    Ok(live)
}

/// Pushes a version, promotes it, and decides until it is the one that does.
async fn swap(channel: &Channel, (id, bytes): &(String, Bytes), request: &DecideRequest) -> Result<Duration> {
    let began = Instant::now();
    let mut models = ModelServiceClient::new(channel.clone());
    let header = push_request::Part::Header(PushHeader::default());
    let chunks = (0..bytes.len()).step_by(CHUNK).map(|at| bytes.slice(at..(at + CHUNK).min(bytes.len())));
    let parts: Vec<PushRequest> = std::iter::once(header)
        .chain(chunks.map(|chunk| push_request::Part::Chunk(chunk.into())))
        .map(|part| PushRequest { part: Some(part) })
        .collect();
    let parts = tokio_stream::iter(parts).throttle(CHUNK_EVERY);
    let pushed = models.push(parts).await.context("Push")?.into_inner();
    let version = pushed.version.context("a push names its version")?;
    ensure!(version.id == *id, "{} was pushed as {}", id, version.id);
    let (name, version) = (version.name, version.number.to_string());
    let to = SetAliasRequest { alias: ModelAlias::Champion.into(), name, version, ..SetAliasRequest::default() };
    models.set_alias(to).await.context("SetAlias")?;
    let mut decisions = DecisionServiceClient::new(channel.clone());
    while decisions.decide(request.clone()).await.context("Decide")?.into_inner().model_version != *id {}
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use tactful_proto::v1::{Factors, PlacementResult, ShownAction};

    use super::*;

    #[test]
    fn a_score_of_another_version_is_seen() {
        let base = model(&catalog(3));
        let versions: Vec<_> = (0..2).map(|number| version(&base, number)).collect();
        assert_ne!(versions[0].0, versions[1].0);
        let centres = versions.iter().map(|(id, _, centre)| (id.clone(), *centre)).collect();
        let watch = Watch { centres, decisions: AtomicU64::new(0), mixed: AtomicU64::new(0) };
        let read = |number: usize| tactful_models::artifact::read(&versions[number].1).unwrap().model;
        let reply = |named: usize, scored: usize| {
            let score = read(scored).probability(1, &vec![1_000.0; base.inputs.len()]);
            let factors = Factors { acceptance_probability: score, ..Factors::default() };
            let action = ShownAction { factors: Some(factors), ..ShownAction::default() };
            let placement = PlacementResult { actions: vec![action], ..PlacementResult::default() };
            let model_version = versions[named].0.clone();
            DecideResponse { placements: vec![placement], model_version, ..DecideResponse::default() }
        };
        let seen = |named, scored| {
            watch.see(&reply(named, scored));
            watch.mixed.swap(0, Relaxed)
        };
        assert_eq!((seen(0, 0), seen(1, 1), seen(0, 1), seen(1, 0)), (0, 0, 1, 1));
        assert_eq!(watch.decisions.load(Relaxed), 4);
    }
}
