//! What the demo counts: latency of decisions, and what customers accepted of the engine's choices
//! and of the random holdout's, before and after the model learnt.

use std::time::Duration;

use hdrhistogram::Histogram;
use tactful_proto::v1;
use tactful_sim::Reaction;

/// Counts of one group of customers in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// Decisions.
    pub(super) decisions: u64,
    /// Actions that customers saw.
    pub(super) seen: u64,
    /// Actions that they accepted.
    pub(super) accepted: u64,
    /// Value of what they accepted.
    pub(super) value: f64,
}

impl Group {
    /// Accepted of seen; none before anything was seen.
    pub(super) fn acceptance(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.accepted as f64 / self.seen as f64)
    }

    /// Value for each decision.
    pub(super) fn value_per_decision(&self) -> Option<f64> {
        (self.decisions > 0).then(|| self.value / self.decisions as f64)
    }
}

/// Engine and holdout in one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phase {
    pub(super) engine: Group,
    pub(super) holdout: Group,
}

/// Everything counted.
pub(super) struct Tally {
    latency_us: Histogram<u64>,
    pub(super) before: Phase,
    pub(super) after: Phase,
    pub(super) learnt: bool,
    pub(super) events: u64,
    pub(super) errors: u64,
    pub(super) silent: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        let latency_us = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are sound constants");
        Self {
            latency_us,
            before: Phase::default(),
            after: Phase::default(),
            learnt: false,
            events: 0,
            errors: 0,
            silent: 0,
        }
    }

    /// Counts one answer and what the customer did with it.
    pub(super) fn decision(&mut self, latency: Duration, response: &v1::DecideResponse, reactions: &[Reaction]) {
        self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        self.silent += u64::from(response.placements.iter().all(|placement| placement.actions.is_empty()));
        let phase = if self.learnt { &mut self.after } else { &mut self.before };
        let holdout = response.selection() == v1::Selection::Holdout;
        let group = if holdout { &mut phase.holdout } else { &mut phase.engine };
        group.decisions += 1;
        for reaction in reactions {
            let Reaction::Outcome(outcome) = reaction else { continue };
            match outcome.r#type() {
                v1::OutcomeType::Exposed => group.seen += 1,
                v1::OutcomeType::Accepted => {
                    group.accepted += 1;
                    group.value += value(response, &outcome.outcome_token);
                }
                _ => {}
            }
        }
    }

    /// All decisions so far.
    pub(super) fn decisions(&self) -> u64 {
        [self.before, self.after].iter().map(|phase| phase.engine.decisions + phase.holdout.decisions).sum()
    }

    /// Latency at a quantile, as the caller sees it.
    pub(super) fn latency(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latency_us.value_at_quantile(quantile))
    }
}

/// V of the shown action with this token.
fn value(response: &v1::DecideResponse, token: &str) -> f64 {
    let mut shown = response.placements.iter().flat_map(|placement| &placement.actions);
    let factors = shown.find(|action| action.outcome_token == token).and_then(|action| action.factors);
    factors.map_or(0.0, |factors| f64::from(factors.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(token: &str, kind: v1::OutcomeType) -> Reaction {
        Reaction::Outcome(v1::OutcomeReport { outcome_token: token.into(), r#type: kind.into(), ..Default::default() })
    }

    #[test]
    fn engine_and_holdout_are_counted_apart_before_and_after() {
        let shown = v1::ShownAction {
            outcome_token: "t".into(),
            factors: Some(v1::Factors { value: 12.5, ..Default::default() }),
            ..Default::default()
        };
        let placement = v1::PlacementResult { actions: vec![shown], ..Default::default() };
        let mut response = v1::DecideResponse { placements: vec![placement], ..Default::default() };
        let mut tally = Tally::new();
        let accepted = [outcome("t", v1::OutcomeType::Exposed), outcome("t", v1::OutcomeType::Accepted)];
        tally.decision(Duration::from_micros(80), &response, &accepted);
        response.set_selection(v1::Selection::Holdout);
        tally.learnt = true;
        tally.decision(Duration::from_micros(90), &response, &accepted[..1]);
        assert_eq!(tally.before.engine, Group { decisions: 1, seen: 1, accepted: 1, value: 12.5 });
        assert_eq!(tally.after.holdout, Group { decisions: 1, seen: 1, accepted: 0, value: 0.0 });
        assert_eq!((tally.decisions(), tally.silent), (2, 0));
        assert_eq!(tally.after.engine.acceptance(), None);
    }
}
