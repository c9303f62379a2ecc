//! Exploration by Thompson sampling with exact selection probabilities.
//!
//! For each action that could be among the best, the acceptance is drawn several times from what is known
//! of it (Chapelle and Li 2011, "An empirical evaluation of Thompson sampling"). A slot's distribution is how
//! often each action has the highest priority over these draws, silence included, mixed with a floor over
//! the actions that beat the interruption cost in at least one draw. The slot is then drawn from it by a
//! draw of its own, so the probability that is logged is the one with which it was chosen. Later slots
//! take the same draws, without the actions of the earlier ones.

use super::arbitrate::Scoring;
use super::rank::Ranked;
use super::select::{Draws, shown};
use super::{PlacementDecision, PlacementReason, Request, Scored, Shown};
use crate::catalog::ExplorationDef;
use crate::math::{logit, normal, sigmoid};
use crate::ruleset::ActionIx;

/// How close to 0 and 1 an acceptance is taken for its logit.
const EDGE: f64 = 1e-6;
/// Normal draws that one hash gives: 10 bits each.
const DRAWS_OF_HASH: usize = 6;

/// An action with its draws.
struct Arm {
    action: ActionIx,
    scored: Scored,
    /// Priority in each draw.
    priorities: Vec<f32>,
}

/// Chances of the arms of a slot, and of silence.
struct Chances {
    arms: Vec<f64>,
    silence: f64,
}

/// Draws each slot of each placement; `ranked` was made with optimism.
pub(super) fn thompson(
    scoring: &Scoring<'_>,
    exploration: &ExplorationDef,
    ranked: &Ranked,
    request: &Request,
    seed: u64,
) -> Vec<PlacementDecision> {
    let mut known: Vec<Arm> = Vec::new();
    let mut used: Vec<ActionIx> = Vec::new();
    let mut draws = Draws::new(seed);
    let mut placements = Vec::with_capacity(request.placements.len());
    for (position, (placement, count)) in request.placements.iter().enumerate() {
        let free = ranked.placements[position].iter().filter(|(action, _)| !used.contains(action));
        let listed: Vec<ActionIx> = free.take(count + exploration.candidates).map(|(action, _)| *action).collect();
        for action in &listed {
            if !known.iter().any(|arm| arm.action == *action) {
                known.push(Arm::new(scoring, exploration, *action, seed));
            }
        }
        let mut arms: Vec<&Arm> =
            listed.iter().filter_map(|action| known.iter().find(|arm| arm.action == *action)).collect();
        let cost = scoring.ruleset.placements[*placement].interruption_cost;
        let mut decided = PlacementDecision::silent(*placement, listed.is_empty());
        while decided.shown.len() < *count {
            let chances = Chances::of(&arms, cost, exploration);
            let Some(at) = chances.draw(draws.unit()) else {
                if decided.shown.is_empty() {
                    decided.silence_probability = chances.silence;
                }
                break;
            };
            let arm = arms.remove(at);
            used.push(arm.action);
            decided.shown.push(shown(arm.action, decided.shown.len(), arm.scored, chances.arms[at]));
            decided.reason = PlacementReason::Decided;
        }
        placements.push(decided);
    }
    placements
}

impl Arm {
    fn new(scoring: &Scoring<'_>, exploration: &ExplorationDef, action: ActionIx, seed: u64) -> Self {
        let scored = scoring.scored(action);
        let centre = logit(f64::from(scored.acceptance).clamp(EDGE, 1.0 - EDGE)) as f32;
        let deviation = scoring.deviation(action, scored.acceptance) * exploration.width as f32;
        let factors = &scoring.ruleset.factors[action];
        // By the place in the catalogue, so that a model that reorders nothing draws alike.
        let stream = crate::hash::keyed(seed, &(scoring.ruleset.actions[action].position as u64).to_le_bytes());
        let draw = |number: usize| {
            let hash = crate::hash::keyed(stream, &((number / DRAWS_OF_HASH) as u64).to_le_bytes());
            let normal = normal((hash >> (10 * (number % DRAWS_OF_HASH))) as usize);
            factors.priority(sigmoid(centre + deviation * normal), scored.context)
        };
        Self { action, scored, priorities: (0..exploration.draws).map(draw).collect() }
    }
}

impl Chances {
    fn of(arms: &[&Arm], cost: f32, exploration: &ExplorationDef) -> Self {
        let mut wins = vec![0usize; arms.len()];
        let mut silent = 0;
        for draw in 0..exploration.draws {
            // Of equal priorities the one listed first, as in the ranking.
            let best =
                arms.iter().enumerate().rev().max_by(|a, b| a.1.priorities[draw].total_cmp(&b.1.priorities[draw]));
            match best.filter(|(_, arm)| arm.priorities[draw] > cost) {
                Some((at, _)) => wins[at] += 1,
                None => silent += 1,
            }
        }
        let worth: Vec<bool> = arms.iter().map(|arm| arm.priorities.iter().any(|priority| *priority > cost)).collect();
        let count = worth.iter().filter(|worth| **worth).count();
        if count == 0 {
            return Self { arms: vec![0.0; arms.len()], silence: 1.0 };
        }
        let share = |wins: usize| (1.0 - exploration.floor) * wins as f64 / exploration.draws as f64;
        let even = exploration.floor / count as f64;
        let chance = |(wins, worth): (&usize, &bool)| share(*wins) + if *worth { even } else { 0.0 };
        Self { arms: wins.iter().zip(&worth).map(chance).collect(), silence: share(silent) }
    }

    /// The arm at a point of 0 to 1, none for silence, which lies at the end.
    fn draw(&self, point: f64) -> Option<usize> {
        let mut sum = 0.0;
        let found = self.arms.iter().position(|chance| {
            sum += chance;
            point < sum
        });
        // What rounding leaves over at the end is silence's only where silence has a chance.
        found.or_else(|| if self.silence > 0.0 { None } else { self.arms.iter().rposition(|chance| *chance > 0.0) })
    }
}

impl PlacementDecision {
    /// A placement that shows nothing so far.
    fn silent(placement: usize, nothing_passed: bool) -> Self {
        let reason = if nothing_passed { PlacementReason::Fallback } else { PlacementReason::NoAction };
        let shown: Vec<Shown> = Vec::new();
        Self { placement, shown, reason, silence_probability: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Source;

    fn arm(action: ActionIx, priorities: &[f32]) -> Arm {
        let scored =
            Scored { priority: 1.0, acceptance: 0.5, value: 2.0, context: 1.0, lever: 1.0, source: Source::Prior };
        Arm { action, scored, priorities: priorities.to_vec() }
    }

    #[test]
    fn chances_are_shares_of_the_draws_with_a_floor_and_sum_to_one() {
        let exploration = ExplorationDef { floor: 0.1, width: 1.0, draws: 4, candidates: 8 };
        let arms = [arm(0, &[3.0, 1.0, 0.5, 0.2]), arm(1, &[2.0, 2.0, 0.5, 0.1]), arm(2, &[0.1, 0.1, 0.1, 0.1])];
        let chances = Chances::of(&arms.iter().collect::<Vec<_>>(), 0.4, &exploration);
        // Each of the first two wins a draw alone, the first wins the tie; the last draw beats no cost.
        let expected = [0.9 * 0.5 + 0.05, 0.9 * 0.25 + 0.05, 0.0];
        for (chance, expected) in chances.arms.iter().zip(expected) {
            assert!((chance - expected).abs() < 1e-12, "{:?}", chances.arms);
        }
        assert!((chances.silence - 0.9 * 0.25).abs() < 1e-12);
        assert!((chances.arms.iter().sum::<f64>() + chances.silence - 1.0).abs() < 1e-12);
        assert_eq!((chances.draw(0.0), chances.draw(0.51), chances.draw(0.99)), (Some(0), Some(1), None));
    }

    #[test]
    fn what_never_beats_the_cost_is_never_shown() {
        let exploration = ExplorationDef { floor: 0.5, width: 1.0, draws: 2, candidates: 8 };
        let chances = Chances::of(&[&arm(0, &[0.1, 0.2])], 0.3, &exploration);
        assert_eq!((chances.silence, chances.draw(0.0)), (1.0, None));
        let sure = Chances::of(&[&arm(0, &[1.0, 1.0])], 0.3, &exploration);
        assert_eq!((sure.silence, sure.draw(1.0)), (0.0, Some(0)));
    }
}
