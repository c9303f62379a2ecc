//! Simulated customers against a real server: what happens to them goes in, decisions come back, they answer.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use tactful_proto::v1::{
    BatchDecideRequest, DecideRequest, DecideResponse, Explain, IngestItem, IngestRequest, OutcomeReport, OutcomeType,
    Selection, Stage, batch_decide_result, decision_service_client::DecisionServiceClient,
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
const REQUESTS_MAX: usize = 16;
/// One decision in so many is explained and looked at.
const LOOK_EVERY: u64 = 2;
const ITEMS_MAX: usize = 1_000;

/// Drives a server with simulated customers.
pub(super) struct Driver {
    world: World,
    decisions: DecisionServiceClient<Channel>,
    events: EventServiceClient<Channel>,
    poisoned: bool,
}

/// Whom one action is shown to, of those whom it could be shown to.
pub(super) struct Audience {
    action: String,
    decisions: u64,
    /// The latest decisions with the action among those that could be shown.
    latest: VecDeque<Look>,
    /// Decisions back to which they count.
    window: u64,
}

/// A decision in which the action could be shown.
struct Look {
    decision: u64,
    /// True acceptance.
    acceptance: f64,
    is_shown: bool,
}

/// How well an action has found its audience.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reach {
    /// Share of all acceptances that it could have, that it has.
    pub(super) volume: f64,
    /// How many times as often it is accepted where it is shown as it would be everywhere.
    pub(super) lift: f64,
}

impl Driver {
    pub(super) async fn new(server: &Server, seed: u64) -> Result<Self> {
        let channel = server.connect().await?;
        let mut driver = Self {
            world: World::new(seed, CUSTOMERS, now_ms()?),
            decisions: DecisionServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel),
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
        mut audience: Option<&mut Audience>,
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
            if audience.is_some() {
                let looked_at = requests.iter_mut().step_by(LOOK_EVERY as usize);
                looked_at.for_each(|request| request.explain = Explain::Full.into());
            }
            made += requests.len() as u64;
            bar.inc(requests.len() as u64);
            for requests in requests.chunks(REQUESTS_MAX) {
                self.ask(requests, audience.as_deref_mut()).await?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, requests: &[DecideRequest], mut audience: Option<&mut Audience>) -> Result<()> {
        let batch = BatchDecideRequest { requests: requests.to_vec() };
        let results = self.decisions.batch_decide(batch).await.context("BatchDecide")?.into_inner().results;
        let mut items = Vec::new();
        for (request, result) in requests.iter().zip(results) {
            let response = match result.result {
                Some(batch_decide_result::Result::Response(response)) => response,
                other => bail!("a decision was refused: {other:?}"),
            };
            if let Some(audience) = audience.as_deref_mut() {
                audience.see(&self.world, request, &response);
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

impl Audience {
    /// Of one action, over so many of the latest decisions.
    pub(super) fn of(action: &str, window: u64) -> Self {
        Self { action: action.into(), decisions: 0, latest: VecDeque::new(), window }
    }

    /// How often it was shown in the window.
    pub(super) fn shown(&self) -> usize {
        self.latest.iter().filter(|look| look.is_shown).count()
    }

    /// How well it does over a whole window; nothing before there is one, or if it is not shown in it.
    pub(super) fn reach(&self) -> Option<Reach> {
        let all: f64 = self.latest.iter().map(|look| look.acceptance).sum();
        let shown: f64 = self.latest.iter().filter(|look| look.is_shown).map(|look| look.acceptance).sum();
        let lift = (shown / self.shown() as f64) / (all / self.latest.len() as f64);
        let is_known = self.decisions >= self.window && self.shown() > 0;
        is_known.then_some(Reach { volume: shown / all, lift })
    }

    /// Looks at a decision that was explained in full. Those of the holdout show what chance says, whatever is known.
    fn see(&mut self, world: &World, request: &DecideRequest, response: &DecideResponse) {
        self.decisions += 1;
        let own = response.candidates.iter().find(|candidate| candidate.action_id == self.action);
        if response.selection() == Selection::Holdout || !own.is_some_and(|own| competes(own.stage())) {
            return;
        }
        let mut shown = response.placements.iter().flat_map(|placement| &placement.actions);
        let is_shown = shown.any(|action| action.action_id == self.action);
        let acceptance = world.acceptance(&request.subject_id, &self.action);
        self.latest.push_back(Look { decision: self.decisions, acceptance, is_shown });
        while self.latest.front().is_some_and(|look| look.decision + self.window <= self.decisions) {
            self.latest.pop_front();
        }
    }
}

impl Reach {
    /// The lesser share of what another one has. Shown to nobody an action fails by volume, to everybody by lift.
    pub(super) fn share_of(self, achievable: Self) -> f64 {
        (self.volume / achievable.volume).min(self.lift / achievable.lift)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten decisions, in five of which the customer would accept for sure and in five never.
    fn reach(is_shown: impl Fn(u64) -> bool) -> Option<Reach> {
        let look = |decision| Look {
            decision,
            acceptance: if decision < 5 { 1.0 } else { 0.0 },
            is_shown: is_shown(decision),
        };
        Audience { decisions: 10, latest: (0..10).map(look).collect(), ..Audience::of("new", 10) }.reach()
    }

    #[test]
    fn only_who_is_shown_to_the_audience_and_to_nobody_else_reaches_all() {
        let achievable = reach(|decision| decision < 5).unwrap();
        assert_eq!(achievable, Reach { volume: 1.0, lift: 2.0 });
        let share = |is_shown: fn(u64) -> bool| reach(is_shown).unwrap().share_of(achievable);
        assert_eq!(share(|decision| decision < 5), 1.0);
        assert_eq!(share(|_| true), 0.5, "everybody");
        assert_eq!(share(|decision| decision == 0), 0.2, "one of the five");
        assert_eq!(share(|decision| decision == 9), 0.0, "the wrong one");
        assert_eq!(reach(|_| false), None, "nobody");
        let early = Audience { decisions: 9, ..Audience::of("new", 10) };
        assert_eq!(early.reach(), None, "not a whole window yet");
    }
}
