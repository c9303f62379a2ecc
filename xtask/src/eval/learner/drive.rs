//! Simulated customers against a real server: what happens to them goes in, decisions come back, they answer.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use tactful_proto::v1::{
    BatchDecideRequest, CandidateTrace, DecideRequest, DecideResponse, Explain, IngestItem, IngestRequest,
    OutcomeReport, OutcomeType, Stage, batch_decide_result, decision_service_client::DecisionServiceClient,
    event_service_client::EventServiceClient, ingest_item::Item,
};
use tactful_sim::{Reaction, Step, World};
use tokio::time::{Instant, sleep_until};
use tonic::transport::Channel;

use crate::server::Server;

const CUSTOMERS: usize = 2_000;
/// Decisions a second, asked for in rounds.
const RATE: f64 = 1_000.0;
const ROUND: Duration = Duration::from_millis(100);
/// Requests and items of one call: an explanation in full takes some 60 KB.
const REQUESTS_MAX: usize = 32;
/// One decision in so many is explained and looked at.
const LOOK_EVERY: u64 = 2;
const ITEMS_MAX: usize = 1_000;
/// Latest opportunities over which an action's reach is measured.
const WINDOW: usize = 100;
/// What it must reach.
const BAR: f64 = 0.8;

/// Count and interruption cost of each placement.
type Placements = BTreeMap<String, (usize, f64)>;

/// Drives a server with simulated customers.
pub(super) struct Driver {
    world: World,
    decisions: DecisionServiceClient<Channel>,
    events: EventServiceClient<Channel>,
    placements: Placements,
    poisoned: bool,
}

/// Opportunities of one action, in the order of decisions.
pub(super) struct Opportunities {
    action: String,
    decisions: u64,
    count: u64,
    /// True acceptance of the latest, and whether it was shown.
    latest: VecDeque<(f64, bool)>,
    decisions_to_80: Option<u64>,
}

impl Driver {
    pub(super) async fn new(server: &Server, seed: u64, placements: Placements) -> Result<Self> {
        let channel = server.connect().await?;
        let mut driver = Self {
            world: World::new(seed, CUSTOMERS, now_ms()?),
            decisions: DecisionServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel),
            placements,
            poisoned: false,
        };
        let introductions = driver.world.introductions().into_iter().map(event).collect();
        driver.ingest(introductions).await?;
        Ok(driver)
    }

    /// From here on whatever is shown is reported as accepted.
    pub(super) fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Makes so many decisions in real time, at a steady rate.
    pub(super) async fn decide(
        &mut self,
        count: u64,
        mut opportunities: Option<&mut Opportunities>,
        bar: &ProgressBar,
    ) -> Result<()> {
        let (mut made, mut round) = (0, Instant::now());
        // What was owed meanwhile is nobody's request any more.
        self.world.advance(now_ms()?, 0.0);
        while made < count {
            round += ROUND;
            sleep_until(round).await;
            let (mut events, mut requests) = (Vec::new(), Vec::new());
            for step in self.world.advance(now_ms()?, RATE) {
                match step {
                    Step::Event(happened) => events.push(event(happened)),
                    Step::Decide(request) => requests.push(request),
                }
            }
            self.ingest(events).await?;
            requests.truncate((count - made) as usize);
            if opportunities.is_some() {
                let looked_at = requests.iter_mut().step_by(LOOK_EVERY as usize);
                looked_at.for_each(|request| request.explain = Explain::Full.into());
            }
            made += requests.len() as u64;
            bar.inc(requests.len() as u64);
            for requests in requests.chunks(REQUESTS_MAX) {
                self.ask(requests, opportunities.as_deref_mut()).await?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn ask(&mut self, requests: &[DecideRequest], mut opportunities: Option<&mut Opportunities>) -> Result<()> {
        let batch = BatchDecideRequest { requests: requests.to_vec() };
        let results = self.decisions.batch_decide(batch).await.context("BatchDecide")?.into_inner().results;
        let mut items = Vec::new();
        for (request, result) in requests.iter().zip(results) {
            let response = match result.result {
                Some(batch_decide_result::Result::Response(response)) => response,
                other => bail!("a decision was refused: {other:?}"),
            };
            if let Some(opportunities) = opportunities.as_deref_mut() {
                opportunities.see(&self.world, &self.placements, request, &response);
            }
            let reactions = self.world.respond(&request.subject_id, &response, now_ms()?);
            items.extend(if self.poisoned { poisoned(&request.subject_id, &response) } else { honest(reactions) });
        }
        self.ingest(items).await
    }

    async fn ingest(&mut self, items: Vec<IngestItem>) -> Result<()> {
        for items in items.chunks(ITEMS_MAX) {
            let answer = self.events.ingest(IngestRequest { items: items.to_vec() }).await.context("Ingest")?;
            ensure!(answer.get_ref().errors.is_empty(), "{:?}", answer.get_ref().errors.first());
        }
        Ok(())
    }
}

impl Opportunities {
    pub(super) fn of(action: &str) -> Self {
        Self { action: action.into(), decisions: 0, count: 0, latest: VecDeque::new(), decisions_to_80: None }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Decisions until the action reached the bar over a whole window.
    pub(super) fn decisions_to_80(&self) -> Option<u64> {
        self.decisions_to_80
    }

    /// Share of the acceptance of the latest opportunities that the action was shown for.
    pub(super) fn reached(&self) -> f64 {
        let all: f64 = self.latest.iter().map(|(acceptance, _)| acceptance).sum();
        let shown: f64 = self.latest.iter().filter(|(_, shown)| *shown).map(|(acceptance, _)| acceptance).sum();
        if all > 0.0 { shown / all } else { 0.0 }
    }

    /// Looks at a decision that was explained in full. Those of one placement alone: of several, nobody says which
    /// one an action would be shown in.
    fn see(&mut self, world: &World, placements: &Placements, request: &DecideRequest, response: &DecideResponse) {
        self.decisions += 1;
        let [asked] = request.placements.as_slice() else { return };
        let Some((count, cost)) = placements.get(&asked.placement) else { return };
        let count = if asked.count > 0 { asked.count as usize } else { *count };
        let candidates: Vec<&CandidateTrace> =
            response.candidates.iter().filter(|candidate| competes(candidate.stage())).collect();
        let Some(own) = candidates.iter().find(|candidate| candidate.action_id == self.action) else { return };
        let Some(factors) = &own.factors else { return };
        let acceptance = world.acceptance(&request.subject_id, &self.action);
        let priority = acceptance * f64::from(factors.value * factors.context_weight * factors.lever);
        let better =
            candidates.iter().filter(|other| other.action_id != self.action && f64::from(other.priority) > priority);
        if priority <= *cost || better.count() >= count {
            return;
        }
        let shown = response.placements.iter().flat_map(|placement| &placement.actions);
        let shown = shown.into_iter().any(|action| action.action_id == self.action);
        self.count += 1;
        if self.latest.len() == WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back((acceptance, shown));
        if self.decisions_to_80.is_none() && self.latest.len() == WINDOW && self.reached() >= BAR {
            self.decisions_to_80 = Some(self.decisions);
        }
    }
}

/// Whether a candidate came as far as being compared with others.
fn competes(stage: Stage) -> bool {
    matches!(stage, Stage::Arbitration | Stage::Interruption | Stage::Shown)
}

fn honest(reactions: Vec<Reaction>) -> Vec<IngestItem> {
    let item = |reaction| match reaction {
        Reaction::Outcome(outcome) => IngestItem { item: Some(Item::Outcome(outcome)) },
        Reaction::Event(happened) => event(happened),
    };
    reactions.into_iter().map(item).collect()
}

/// Every shown action is accepted at once.
fn poisoned(subject_id: &str, response: &DecideResponse) -> Vec<IngestItem> {
    let shown = response.placements.iter().flat_map(|placement| &placement.actions);
    let report = |outcome_token: &str| OutcomeReport {
        subject_id: subject_id.into(),
        outcome_token: outcome_token.into(),
        r#type: OutcomeType::Accepted.into(),
        ..OutcomeReport::default()
    };
    shown.map(|action| IngestItem { item: Some(Item::Outcome(report(&action.outcome_token))) }).collect()
}

fn event(event: tactful_proto::v1::Event) -> IngestItem {
    IngestItem { item: Some(Item::Event(event)) }
}

fn now_ms() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(i64::try_from(since.as_millis())?)
}
