//! Guard-rails of a challenger. While one decides for a share of the customers, every decision and every answer is
//! counted for it and for the champion; what is counted is looked at twice a second, and a challenger that does
//! harm is taken away at once, with the reason in the audit trail.
//!
//! Customers are dealt by a hash, so both models meet the same population: what differs between them is theirs.

mod limits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::counter;
use tactful_core::decide::{Decision, SkipReason};
use tactful_core::ruleset::Alias;
use tactful_proto::storage::MoveCause;
use tactful_proto::v1::OutcomeType;
use tokio::sync::watch;

use self::limits::judge;
use crate::engine::Engine;
use crate::models::MoveCommand;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Bins of scores, even in probability.
const SCORE_BINS: usize = 20;
/// Bins of durations: powers of two of a quarter microsecond.
const TIME_BINS: usize = 32;
/// A probability in the unit that sums are counted in.
const MILLIONTHS: f64 = 1e6;

/// What is counted of a challenger and of the champion beside it.
#[derive(Debug)]
pub(crate) struct Canary {
    /// sha256 of the challenger's artifact.
    pub(crate) sha256: [u8; 32],
    champion: Arm,
    challenger: Arm,
}

/// What is counted of one model.
#[derive(Debug, Default)]
struct Arm {
    decisions: AtomicU64,
    /// Decisions in which an action could not be scored.
    skipping: AtomicU64,
    /// Scores that were no numbers.
    non_finite: AtomicU64,
    /// Actions shown, and the sum of their acceptance probabilities in millionths.
    shown: AtomicU64,
    predicted: AtomicU64,
    /// Answers that count as success.
    positives: AtomicU64,
    scores: [AtomicU64; SCORE_BINS],
    times: [AtomicU64; TIME_BINS],
}

/// What an arm has counted, at one moment.
#[derive(Clone, Debug, Default)]
struct Counted {
    decisions: f64,
    skipping: f64,
    non_finite: f64,
    shown: f64,
    predicted: f64,
    positives: f64,
    scores: [f64; SCORE_BINS],
    times: [f64; TIME_BINS],
}

impl Canary {
    pub(crate) fn new(sha256: [u8; 32]) -> Self {
        Self { sha256, champion: Arm::default(), challenger: Arm::default() }
    }

    /// Counts a decision that took so long. Some ten atomic additions.
    pub(crate) fn decided(&self, decision: &Decision, took: Duration) {
        let arm = self.arm(decision.alias == Alias::Challenger);
        add(&arm.decisions, 1);
        let non_finite = decision.skipped.iter().filter(|skipped| skipped.reason == SkipReason::NonFiniteScore).count();
        let missing = decision.skipped.iter().any(|skipped| skipped.reason == SkipReason::ModelMissing);
        add(&arm.non_finite, non_finite as u64);
        add(&arm.skipping, u64::from(non_finite > 0 || missing));
        for shown in decision.placements.iter().flat_map(|placement| &placement.shown) {
            let acceptance = f64::from(shown.scored.acceptance);
            add(&arm.shown, 1);
            add(&arm.predicted, (acceptance * MILLIONTHS) as u64);
            add(&arm.scores[((acceptance * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)], 1);
        }
        let quarters = (took.as_nanos() / 250).max(1);
        add(&arm.times[(quarters.ilog2() as usize).min(TIME_BINS - 1)], 1);
    }

    /// Counts an answer to a decision of the challenger, or of the champion.
    pub(crate) fn answered(&self, challenger: bool, outcome: OutcomeType) {
        if matches!(outcome, OutcomeType::Accepted | OutcomeType::Converted | OutcomeType::Resolved) {
            add(&self.arm(challenger).positives, 1);
        }
    }

    fn arm(&self, challenger: bool) -> &Arm {
        if challenger { &self.challenger } else { &self.champion }
    }

    /// Why the challenger must go, if it must.
    fn verdict(&self) -> Option<String> {
        judge(&self.champion.counted(), &self.challenger.counted())
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Arm {
    fn counted(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        Counted {
            decisions: of(&self.decisions),
            skipping: of(&self.skipping),
            non_finite: of(&self.non_finite),
            shown: of(&self.shown),
            predicted: of(&self.predicted) / MILLIONTHS,
            positives: of(&self.positives),
            scores: std::array::from_fn(|bin| of(&self.scores[bin])),
            times: std::array::from_fn(|bin| of(&self.times[bin])),
        }
    }
}

impl Engine {
    /// Watches over challengers until the engine closes.
    pub(crate) fn watch_canaries(self: &Arc<Self>) {
        let engine = Arc::downgrade(self);
        self.follow(|mut closing: watch::Receiver<bool>| async move {
            while tokio::time::timeout(LOOK, closing.wait_for(|closing| *closing)).await.is_err() {
                let Some(engine) = engine.upgrade() else { return };
                engine.look_after_canary().await;
            }
        });
    }

    /// Takes a challenger away that does harm. If the log fails meanwhile, the next look tries again.
    async fn look_after_canary(&self) {
        let Some(canary) = self.slot.load().canary.clone() else { return };
        let Some(reason) = canary.verdict() else { return };
        tracing::warn!(reason, "a guard-rail takes the challenger away");
        let command = MoveCommand {
            alias: Alias::Challenger,
            to: None,
            share: 0.0,
            cause: MoveCause::GuardRail,
            note: reason,
            follows: Some(canary.sha256),
        };
        match self.move_alias(&command).await {
            Ok(_) => counter!("tactful_model_demotions_total").increment(1),
            Err(error) => tracing::error!(%error, "cannot take the challenger away, trying again"),
        }
    }
}

#[cfg(test)]
mod tests;
