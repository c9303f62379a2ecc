//! What goes on beside a fault: producers that send until they are acknowledged, and somebody who asks for decisions.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use prost_types::Timestamp;
use tactful_proto::v1::{
    DecideRequest, DecideResponse, DecisionRow, Event, EventType, ExportDecisionsRequest, IngestItem, IngestRequest,
    PlacementRequest, Value, decision_service_client::DecisionServiceClient, event_service_client::EventServiceClient,
    ingest_item::Item, value::Kind,
};
use tokio::task::JoinHandle;
use tonic::{Code, transport::Channel};

use super::{
    super::kill::{self, KillResult, Producer},
    scene::Scene,
};
use crate::server::Server;

const PRODUCERS: u64 = 3;
/// 2026-05-01T00:00:00Z.
const DAY_S: i64 = 1_777_593_600;
/// Pause of a producer after a refusal.
const RETRY: Duration = Duration::from_millis(50);
/// Pause between two decisions, and the longest that one may take.
const ASK_PACE: Duration = Duration::from_millis(2);
const ASK_MAX: Duration = Duration::from_secs(5);
/// Longest wait for one event to be taken.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// Time for what is pending to be acknowledged once all is well again.
const FINISH_MAX: Duration = Duration::from_secs(60);

/// Producers at work.
pub(super) struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<(Producer, Refusals)>>,
}

/// How often each code came back.
pub(super) type Refusals = BTreeMap<String, u64>;

/// What producers were told.
pub(super) struct Written {
    pub(super) producers: Vec<Producer>,
    pub(super) refusals: Refusals,
}

impl Writers {
    /// Begins; each sends what was not acknowledged again, under the same ids. Those that a first number tells apart
    /// share no ids.
    pub(super) fn start(scene: &Scene, node: &Server, first: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for number in first..first + PRODUCERS {
            let (channel, stop) = (scene.wait(node.connect())?, Arc::clone(&stop));
            let producer = Producer::new(number, scene.seed);
            tasks.push(scene.spawn(write(producer, channel, stop)));
        }
        Ok(Self { stop, tasks })
    }

    /// Stops after the present batch, without insisting on it.
    pub(super) fn stop(self, scene: &Scene) -> Result<Written> {
        self.stop.store(true, Relaxed);
        let mut written = Written { producers: Vec::new(), refusals: Refusals::new() };
        for task in self.tasks {
            let (producer, refusals) = scene.wait(task).context("a producer panicked")?;
            written.producers.push(producer);
            refusals.into_iter().for_each(|(code, count)| *written.refusals.entry(code).or_default() += count);
        }
        Ok(written)
    }
}

async fn write(mut producer: Producer, channel: Channel, stop: Arc<AtomicBool>) -> (Producer, Refusals) {
    let mut refusals = Refusals::new();
    while !stop.load(Relaxed) {
        if let Err(error) = producer.send(channel.clone()).await {
            let code = error.downcast_ref::<tonic::Status>().map_or(Code::DeadlineExceeded, tonic::Status::code);
            *refusals.entry(format!("{code:?}")).or_default() += 1;
            tokio::time::sleep(RETRY).await;
        }
    }
    (producer, refusals)
}

impl Written {
    /// Sends what is pending until it is acknowledged, and counts everything.
    pub(super) fn recount(&mut self, scene: &Scene, node: &Server) -> Result<KillResult> {
        self.finish(scene, node)?;
        scene.wait(kill::recount(node, &self.producers, 0))
    }

    /// Sends everything again that was ever acknowledged, under the same ids.
    pub(super) fn repeat(&self, scene: &Scene, node: &Server) -> Result<()> {
        for producer in &self.producers {
            scene.wait(async { producer.repeat(node.connect().await?).await })?;
        }
        Ok(())
    }

    /// Sends what is pending until it is acknowledged.
    pub(super) fn finish(&mut self, scene: &Scene, node: &Server) -> Result<()> {
        let channel = scene.wait(node.connect())?;
        for producer in &mut self.producers {
            scene.wait(insist(producer, &channel))?;
        }
        Ok(())
    }
}

async fn insist(producer: &mut Producer, channel: &Channel) -> Result<()> {
    let started = Instant::now();
    loop {
        match producer.finish(channel.clone()).await {
            Err(_) if started.elapsed() < FINISH_MAX => tokio::time::sleep(RETRY).await,
            outcome => return outcome.context("what is pending is not taken"),
        }
    }
}

/// `n acknowledged, n count, n differ`
pub(super) fn told(result: &KillResult) -> String {
    format!("{} acknowledged, {} count, {} differ", result.acknowledged, result.applied, result.diff)
}

/// Whether something was acknowledged and counts exactly.
pub(super) fn exact(result: &KillResult) -> bool {
    result.diff == 0 && result.acknowledged == result.applied && result.acknowledged > 0
}

/// Somebody who asks for decisions, one after the other.
pub(super) struct Asker {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Asked>,
}

/// What became of the decisions.
pub(super) struct Asked {
    pub(super) calls: u64,
    pub(super) errors: u64,
    /// How often each code of degradation was given.
    pub(super) flags: BTreeMap<String, u64>,
    latency_us: Histogram<u64>,
}

impl Asker {
    pub(super) fn start(scene: &Scene, node: &Server) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (channel, stopped) = (scene.wait(node.connect())?, Arc::clone(&stop));
        let latency_us = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        let task = scene.spawn(async move {
            let mut asked = Asked { calls: 0, errors: 0, flags: BTreeMap::new(), latency_us };
            while !stopped.load(Relaxed) {
                asked.ask(channel.clone()).await;
                tokio::time::sleep(ASK_PACE).await;
            }
            asked
        });
        Ok(Self { stop, task })
    }

    pub(super) fn stop(self, scene: &Scene) -> Result<Asked> {
        self.stop.store(true, Relaxed);
        scene.wait(self.task).context("the asker panicked")
    }
}

impl Asked {
    async fn ask(&mut self, channel: Channel) {
        let customer = (self.calls % u64::from(kill::CUSTOMERS)) as u32;
        let started = Instant::now();
        let answer = tokio::time::timeout(ASK_MAX, decide(channel, &kill::subject(customer), "")).await;
        self.latency_us.saturating_record(started.elapsed().as_micros() as u64);
        self.calls += 1;
        match answer {
            Ok(Ok(answer)) => {
                answer.degraded_reasons.into_iter().for_each(|code| *self.flags.entry(code).or_default() += 1);
            }
            _ => self.errors += 1,
        }
    }

    pub(super) fn flagged(&self, code: &str) -> u64 {
        self.flags.get(code).copied().unwrap_or_default()
    }

    /// 99th percentile as the caller sees it, in milliseconds.
    pub(super) fn p99_ms(&self) -> f64 {
        self.latency_us.value_at_quantile(0.99) as f64 / 1_000.0
    }
}

/// Sends an event about nobody who is counted; whether it was taken.
pub(super) async fn probe(node: &Server) -> Result<()> {
    static SENT: AtomicU64 = AtomicU64::new(0);
    let message = format!("probe-{}", SENT.fetch_add(1, Relaxed));
    let items = vec![event(&message, "probe:taken", None)];
    let mut client = EventServiceClient::new(node.connect().await?);
    let answer = tokio::time::timeout(PROBE_MAX, client.ingest(IngestRequest { items })).await??.into_inner();
    ensure!(answer.accepted == 1, "refused: {:?}", answer.errors);
    Ok(())
}

/// An event; `after_s` puts it so many seconds after the beginning of a day that is long past.
pub(super) fn event(message: &str, subject: &str, after_s: Option<i64>) -> IngestItem {
    let total = Value { kind: Some(Kind::Number(1.25)) };
    IngestItem {
        item: Some(Item::Event(Event {
            message_id: message.into(),
            subject_id: subject.into(),
            r#type: EventType::Track.into(),
            name: kill::EVENT.into(),
            event_time: after_s.map(|after_s| Timestamp { seconds: DAY_S + after_s, nanos: 0 }),
            properties: [("total".to_owned(), total)].into(),
            ..Event::default()
        })),
    }
}

/// One decision.
pub(super) async fn decide(channel: Channel, subject: &str, request_id: &str) -> Result<DecideResponse> {
    let placement = PlacementRequest { placement: "home".into(), count: 1 };
    let request = DecideRequest {
        subject_id: subject.into(),
        placements: vec![placement],
        request_id: request_id.into(),
        ..DecideRequest::default()
    };
    Ok(DecisionServiceClient::new(channel).decide(request).await?.into_inner())
}

/// The record of all decisions.
pub(super) async fn recorded(node: &Server) -> Result<Vec<DecisionRow>> {
    let mut client = DecisionServiceClient::new(node.connect().await?);
    let mut stream = client.export_decisions(ExportDecisionsRequest::default()).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(part) = stream.message().await? {
        rows.extend(part.rows);
    }
    Ok(rows)
}
