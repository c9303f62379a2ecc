//! Selection: the best of each placement, or for the random holdout uniform draws from what passed
//! the rules. No action is shown in two placements; earlier placements choose first.

use super::arbitrate::Scoring;
use super::candidates::{Candidates, actions};
use super::rank::Ranked;
use super::{PlacementDecision, PlacementReason, Request, Scored, Shown};
use crate::catalog::HoldoutDef;
use crate::ruleset::{ActionIx, Ruleset};

/// Whether a customer is in the random holdout: a hash of salt and id against the share, so the
/// answer is the same on every node and for ever.
#[must_use]
pub fn in_holdout(holdout: &HoldoutDef, subject_id: &str) -> bool {
    let hash = crate::hash::keyed(crate::hash::content(holdout.salt.as_bytes()), subject_id.as_bytes());
    (hash as f64) < holdout.share * 2f64.powi(64)
}

/// The highest priorities that beat the interruption cost; each is certain, so its probability is 1.
pub(super) fn best(ruleset: &Ruleset, ranked: &Ranked, request: &Request) -> Vec<PlacementDecision> {
    let mut used: Vec<ActionIx> = Vec::new();
    let mut placements = Vec::with_capacity(request.placements.len());
    for (position, (placement, count)) in request.placements.iter().enumerate() {
        let cost = ruleset.placements[*placement].interruption_cost;
        let free = ranked.placements[position].iter().filter(|(action, _)| !used.contains(action));
        let some_free = free.clone().next().is_some();
        let worth = free.filter(|(_, scored)| scored.priority > cost).take(*count);
        let chosen: Vec<Shown> =
            worth.enumerate().map(|(slot, (action, scored))| shown(*action, slot, *scored, 1.0)).collect();
        used.extend(chosen.iter().map(|shown| shown.action));
        let reason = match (chosen.is_empty(), some_free) {
            (false, _) => PlacementReason::Decided,
            (true, true) => PlacementReason::NoAction,
            (true, false) => PlacementReason::Fallback,
        };
        placements.push(PlacementDecision { placement: *placement, shown: chosen, reason, silence_probability: 1.0 });
    }
    placements
}

/// Draws each slot uniformly from what is left; the chance of a draw is one over what was left then.
pub(super) fn uniform(
    scoring: &Scoring<'_>,
    candidates: &Candidates,
    ranked: &Ranked,
    request: &Request,
    seed: u64,
) -> Vec<PlacementDecision> {
    let mut used: Vec<ActionIx> = Vec::new();
    let mut draws = Draws::new(seed);
    let mut placements = Vec::with_capacity(request.placements.len());
    for ((placement, count), mask) in request.placements.iter().zip(&candidates.placements) {
        let free = |action: &ActionIx| !used.contains(action) && !ranked.is_skipped(*action);
        let mut left: Vec<ActionIx> = actions(mask).filter(free).collect();
        let mut slots = Vec::new();
        while slots.len() < *count && !left.is_empty() {
            let probability = 1.0 / left.len() as f64;
            let action = left.swap_remove(draws.below(left.len()));
            used.push(action);
            slots.push(shown(action, slots.len(), scoring.scored(action), probability));
        }
        let reason = if slots.is_empty() { PlacementReason::Fallback } else { PlacementReason::Decided };
        placements.push(PlacementDecision { placement: *placement, shown: slots, reason, silence_probability: 1.0 });
    }
    placements
}

pub(super) fn shown(action: ActionIx, slot: usize, scored: Scored, selection_probability: f64) -> Shown {
    Shown { action, slot, scored, selection_probability, reasons: Vec::new() }
}

/// Draws made of a seed: the n-th is a hash of n under the seed.
pub(super) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// A draw from 0 up to but without 1: 53 bits.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 2f64.powi(53)
    }

    /// A draw from 0..bound. The multiply-shift is uneven by at most bound / 2^64.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn next(&mut self) -> u64 {
        let draw = crate::hash::keyed(self.seed, &self.count.to_le_bytes());
        self.count += 1;
        draw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holdout_is_sticky_and_has_its_share() {
        let holdout = HoldoutDef { share: 0.1, salt: "a".into() };
        let other = HoldoutDef { share: 0.1, salt: "b".into() };
        let ids: Vec<String> = (0..20_000).map(|n| format!("customer:{n}")).collect();
        let inside: Vec<bool> = ids.iter().map(|id| in_holdout(&holdout, id)).collect();
        let share = inside.iter().filter(|inside| **inside).count() as f64 / 20_000.0;
        assert!((share - 0.1).abs() < 0.01, "{share}");
        assert!(ids.iter().zip(&inside).all(|(id, was)| in_holdout(&holdout, id) == *was));
        assert!(ids.iter().zip(&inside).any(|(id, was)| in_holdout(&other, id) != *was));
        assert!(!in_holdout(&HoldoutDef { share: 0.0, salt: String::new() }, "x"));
        assert!(in_holdout(&HoldoutDef { share: 1.0, salt: String::new() }, "x"));
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0; 7];
        for seed in 0..7_000 {
            counts[Draws::new(seed).below(7)] += 1;
        }
        // 1,000 expected each; six standard deviations are about 176.
        assert!(counts.iter().all(|count| (824..1_176).contains(count)), "{counts:?}");
    }
}
