//! The demo's loop: the world moves on, its events and requests go to the server, the answers come
//! back to its customers, and once on the way the model learns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tactful_engine::Engine;
use tactful_proto::v1;
use tactful_proto::v1::decision_service_client::DecisionServiceClient;
use tactful_server::Addresses;
use tactful_sim::{Reaction, Step, World};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use super::learn::{self, Learnt};
use super::screen::{Screen, summary};
use super::tally::Tally;
use super::{feed, words};
use crate::cli::{DemoArgs, Global};
use crate::output;

/// How often the world moves on.
const TICK: Duration = Duration::from_millis(5);
/// Requests in flight; more wait for the next tick.
const IN_FLIGHT_MAX: usize = 256;
/// How often one decision is explained.
const EXPLAIN_EVERY: Duration = Duration::from_secs(4);
/// How often a plain status line is printed.
const PLAIN_STATUS_EVERY: Duration = Duration::from_secs(2);
/// Share of the demo after which the model learns.
const LEARN_AT: f64 = 0.4;

/// The server and its data.
pub(super) struct Place {
    pub(super) addresses: Addresses,
    pub(super) data_dir: PathBuf,
    /// Folder of the catalogue in force.
    pub(super) catalog: PathBuf,
    pub(super) engine: Arc<Engine>,
    /// How a server finds again what the demo leaves.
    pub(super) again: Again,
}

/// How a server finds again what a demo leaves.
pub(super) struct Again {
    /// A command that must run before.
    pub(super) before: Option<String>,
    /// Options of `serve`.
    pub(super) options: String,
}

/// One answered request.
type Answer = (v1::DecideRequest, Duration, Result<v1::DecideResponse, tonic::Status>);

struct Drive<'a> {
    args: &'a DemoArgs,
    world: World,
    client: DecisionServiceClient<Channel>,
    feed: mpsc::Sender<v1::IngestItem>,
    answers: JoinSet<Answer>,
    learning: JoinSet<Result<Learnt>>,
    learnt: Option<Learnt>,
    tally: Tally,
    screen: Screen,
    started: Instant,
    last_explained: Option<Instant>,
    last_status: (Instant, u64),
}

/// Runs the demo to its end, or until it is interrupted.
pub(super) async fn run(global: &Global, args: &DemoArgs, place: &Place) -> Result<()> {
    let url = format!("http://{}", place.addresses.grpc);
    let channel = Endpoint::new(url.clone())?.tcp_nodelay(true).connect().await?;
    let (feed, fed) = feed::start(channel.clone());
    let now = Instant::now();
    let mut drive = Drive {
        args,
        world: World::new(args.seed, args.customers as usize, now_ms()),
        client: DecisionServiceClient::new(channel.clone()),
        feed,
        answers: JoinSet::new(),
        learning: JoinSet::new(),
        learnt: None,
        tally: Tally::new(),
        screen: Screen::new(global.quiet || global.json, args.seconds),
        started: now,
        last_explained: None,
        last_status: (now, 0),
    };
    drive.screen.say(&greeting(args, place))?;
    drive.introduce().await?;
    let own = Global { server: url, ..global.clone() };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    tokio::select! {
        outcome = drive.live(&own, &channel, place) => outcome?,
        _signal = &mut interrupted => {}
    }
    drive.settle().await;
    finish(global, drive, fed, place).await
}

fn greeting(args: &DemoArgs, place: &Place) -> [String; 2] {
    let ruleset = place.engine.ruleset();
    let (actions, placements) = (ruleset.actions.len(), ruleset.placements.len());
    let DemoArgs { customers, rate, seconds, .. } = args;
    let company = &ruleset.catalog.company;
    [
        format!("{company}: {actions} actions, {placements} placements, {customers} simulated customers"),
        format!(
            "{rate} decisions/s for {seconds} s from the server on {}, its metrics at http://{}/metrics",
            place.addresses.grpc, place.addresses.http
        ),
    ]
}

impl Drive<'_> {
    /// The customers make themselves known.
    async fn introduce(&mut self) -> Result<()> {
        for event in self.world.introductions() {
            self.send_event(event).await?;
        }
        Ok(())
    }

    async fn live(&mut self, global: &Global, channel: &Channel, place: &Place) -> Result<()> {
        let end = Duration::from_secs(self.args.seconds);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut learn_at = Some(end.mul_f64(LEARN_AT));
        while self.started.elapsed() < end {
            tokio::select! {
                _tick = ticks.tick() => self.tick().await?,
                Some(answer) = self.answers.join_next() => self.answered(answer?).await?,
                Some(learnt) = self.learning.join_next() => self.learned(learnt?)?,
            }
            if learn_at.is_some_and(|at| self.started.elapsed() >= at) {
                learn_at = None;
                self.learning.spawn(learn::retrain(global.clone(), channel.clone(), place.data_dir.clone()));
            }
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<()> {
        for step in self.world.advance(now_ms(), f64::from(self.args.rate)) {
            match step {
                Step::Event(event) => self.send_event(event).await?,
                Step::Decide(request) if self.answers.len() < IN_FLIGHT_MAX => self.ask(request),
                // A server that cannot keep up is asked less, and it shows in decisions per second.
                Step::Decide(_) => {}
            }
        }
        self.show_status()
    }

    async fn send_event(&mut self, event: v1::Event) -> Result<()> {
        self.send(v1::ingest_item::Item::Event(event)).await
    }

    async fn send(&mut self, item: v1::ingest_item::Item) -> Result<()> {
        self.tally.events += 1;
        let sent = self.feed.send(v1::IngestItem { item: Some(item) }).await;
        sent.map_err(|_| anyhow::anyhow!("the server takes no more events"))
    }

    fn ask(&mut self, mut request: v1::DecideRequest) {
        if self.last_explained.is_none_or(|last| last.elapsed() >= EXPLAIN_EVERY) {
            self.last_explained = Some(Instant::now());
            request.set_explain(v1::Explain::Reasons);
        }
        let mut client = self.client.clone();
        self.answers.spawn(async move {
            let asked = Instant::now();
            let answer = client.decide(request.clone()).await.map(tonic::Response::into_inner);
            (request, asked.elapsed(), answer)
        });
    }

    async fn answered(&mut self, (request, latency, answer): Answer) -> Result<()> {
        let Ok(response) = answer else {
            self.tally.errors += 1;
            return Ok(());
        };
        let reactions = self.world.respond(&request.subject_id, &response, now_ms());
        self.tally.decision(latency, &response, &reactions);
        if request.explain() == v1::Explain::Reasons {
            self.screen.say(&words::explain(&request, &response))?;
        }
        for reaction in reactions {
            self.send(match reaction {
                Reaction::Outcome(outcome) => v1::ingest_item::Item::Outcome(outcome),
                Reaction::Event(event) => v1::ingest_item::Item::Event(event),
            })
            .await?;
        }
        Ok(())
    }

    fn learned(&mut self, learnt: Result<Learnt>) -> Result<()> {
        match learnt {
            Ok(learnt) => {
                self.screen.say(&[format!(
                    "learnt from {} rows, live as version {}: {}",
                    learnt.report.train_rows,
                    learnt.version,
                    learnt.heads()
                )])?;
                self.learnt = Some(learnt);
                self.tally.learnt = true;
            }
            // A demo too short to learn from is still a demo.
            Err(error) => self.screen.say(&[format!("not learnt: {error:#}")])?,
        }
        Ok(())
    }

    fn show_status(&mut self) -> Result<()> {
        let (last, decisions) = self.last_status;
        let every = if self.screen.is_live() { Duration::from_millis(250) } else { PLAIN_STATUS_EVERY };
        if last.elapsed() < every {
            return Ok(());
        }
        let recent = (self.tally.decisions() - decisions) as f64 / last.elapsed().as_secs_f64();
        self.screen.status(self.started.elapsed(), &self.tally, recent)?;
        self.last_status = (Instant::now(), self.tally.decisions());
        Ok(())
    }

    /// Takes the answers that are still on their way.
    async fn settle(&mut self) {
        const SETTLE_MAX: Duration = Duration::from_secs(5);
        let rest = async {
            while let Some(Ok(answer)) = self.answers.join_next().await {
                if self.answered(answer).await.is_err() {
                    return;
                }
            }
        };
        // What takes longer is left out of the summary.
        let _late = tokio::time::timeout(SETTLE_MAX, rest).await.is_err();
    }
}

async fn finish(
    global: &Global,
    drive: Drive<'_>,
    fed: tokio::task::JoinHandle<Result<u64>>,
    place: &Place,
) -> Result<()> {
    let Drive { feed, tally, screen, learnt, started, .. } = drive;
    let elapsed = started.elapsed();
    drop(feed);
    fed.await??;
    screen.finish();
    if global.json {
        return Ok(output::print(&format!("{}\n", json(&tally, elapsed, learnt.as_ref())))?);
    }
    let mut lines = summary(&tally, elapsed, learnt.as_ref());
    lines.extend(next_steps(place, learnt.as_ref()));
    Ok(output::print(&(lines.join("\n") + "\n"))?)
}

fn json(tally: &Tally, elapsed: Duration, learnt: Option<&Learnt>) -> serde_json::Value {
    let group = |group: &super::tally::Group| {
        serde_json::json!({
            "decisions": group.decisions, "seen": group.seen, "accepted": group.accepted,
            "acceptance": group.acceptance(), "value_per_decision": group.value_per_decision(),
        })
    };
    let phase = |phase: &super::tally::Phase| serde_json::json!({ "engine": group(&phase.engine), "holdout": group(&phase.holdout) });
    serde_json::json!({
        "seconds": elapsed.as_secs_f64(),
        "decisions": tally.decisions(),
        "events": tally.events,
        "errors": tally.errors,
        "silent": tally.silent,
        "latency_us": {
            "p50": tally.latency(0.5).as_micros() as u64,
            "p99": tally.latency(0.99).as_micros() as u64,
            "p999": tally.latency(0.999).as_micros() as u64,
        },
        "before": phase(&tally.before),
        "after": phase(&tally.after),
        "model_version": learnt.map(|learnt| learnt.version.clone()),
    })
}

/// Commands that work on what the demo leaves behind.
fn next_steps(place: &Place, learnt: Option<&Learnt>) -> Vec<String> {
    let program = std::env::args().next().unwrap_or_else(|| "tactful".into());
    let (again, catalog) = (&place.again, place.catalog.display());
    let model = match learnt {
        Some(learnt) => format!("  {program} model report {}", learnt.file.display()),
        None => format!("  {program} export decisions | tail -n 1"),
    };
    let mut lines = vec![String::new(), "try next, with the customers and decisions of this demo:".into()];
    lines.extend(again.before.iter().map(|before| format!("  {before}")));
    lines.push(format!("  {program} serve {} --catalog {catalog} &", again.options));
    lines.push(format!("  {program} decide customer:000001 --placement web_home --explain full"));
    lines.push(model);
    lines
}

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
