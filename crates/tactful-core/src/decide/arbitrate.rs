//! Scores what is left and ranks it for every placement: P x V x C x L.

use super::candidates::{Candidates, clear, contains, count, visit};
use super::{Request, Scored, SkipReason, Skipped};
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Ruleset, Weight};
use crate::score::Source;
use crate::score::kernel::Row;

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    ruleset: &'a Ruleset,
    encoded: Vec<Row>,
    /// Context weights whose condition is true.
    pub(super) active: Vec<&'a Weight>,
}

/// The best actions of each placement of a request, best first, and what could not be scored.
pub(super) struct Ranked {
    pub(super) placements: Vec<Vec<(ActionIx, Scored)>>,
    non_finite: Vec<ActionIx>,
    model_missing: Vec<ActionIx>,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, fields: &[f32]) -> Self {
        let encoded = ruleset.bank().map_or_else(Vec::new, |bank| bank.encode(fields));
        let active = ruleset.weights.iter().filter(|weight| weight.program.eval(fields) == Truth::True).collect();
        Self { ruleset, encoded, active }
    }

    /// Ranks the candidates of each placement, deep enough that the earlier placements' actions
    /// can be left out of the later ones. Ties go to the action that the catalogue names first.
    pub(super) fn rank(&self, candidates: &Candidates, request: &Request) -> Ranked {
        let mut depth = 0;
        let mut tops: Vec<Top> = Vec::with_capacity(request.placements.len());
        for (_, count) in &request.placements {
            depth += count;
            tops.push(Top::new(depth));
        }
        let mut left = candidates.any.clone();
        let named = self.ruleset.model_named.iter().copied();
        let model_missing: Vec<ActionIx> =
            named.filter(|action| contains(&left, *action) && self.model_missing(*action)).collect();
        model_missing.iter().for_each(|action| clear(&mut left, *action));
        let mut actions = Vec::with_capacity(count(&left));
        visit(&left, |action| actions.push(action));
        let probabilities = self.probabilities(&actions);
        // Apart from the comparisons, so that nothing waits for memory in turn.
        let priorities: Vec<f32> =
            actions.iter().zip(&probabilities).map(|(action, chance)| self.score(*action, *chance).priority).collect();
        let mut non_finite = Vec::new();
        for (at, (action, priority)) in actions.iter().zip(priorities).enumerate() {
            if !priority.is_finite() {
                non_finite.push(*action);
                continue;
            }
            for (top, mask) in tops.iter_mut().zip(&candidates.placements) {
                if priority > top.bound && contains(mask, *action) {
                    top.insert(*action, self.score(*action, probabilities[at]));
                }
            }
        }
        Ranked { placements: tops.into_iter().map(|top| top.best).collect(), non_finite, model_missing }
    }

    /// What the model says of the actions; nothing of use without one.
    fn probabilities(&self, actions: &[ActionIx]) -> Vec<f32> {
        self.ruleset.bank().map_or_else(|| vec![0.0; actions.len()], |bank| bank.probabilities(actions, &self.encoded))
    }

    /// Whether an action names a model that is not the loaded one.
    pub(super) fn model_missing(&self, action: ActionIx) -> bool {
        let named = self.ruleset.actions[action].model.as_deref();
        named.is_some_and(|named| self.ruleset.bank().is_none_or(|bank| bank.name() != named))
    }

    /// The score of one action with its factors.
    pub(super) fn scored(&self, action: ActionIx) -> Scored {
        let probability = self.ruleset.bank().map_or(0.0, |bank| bank.probability(action, &self.encoded));
        self.score(action, probability)
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let bank = self.ruleset.bank().filter(|bank| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, &self.encoded))
    }

    /// P x V x C x L, multiplied in this order.
    #[inline(always)]
    fn score(&self, action: ActionIx, probability: f32) -> Scored {
        let factors = &self.ruleset.factors[action];
        let source = self.ruleset.bank().map_or(Source::Prior, |bank| bank.source(action));
        let acceptance = if source == Source::Prior { factors.prior } else { probability };
        let mut context = 1.0;
        for weight in &self.active {
            context *= weight.factors[action];
        }
        Scored {
            priority: acceptance * factors.value * context * factors.lever,
            acceptance,
            value: factors.value,
            context,
            lever: factors.lever,
            source,
        }
    }
}

impl Ranked {
    /// What could not be scored, with the reason.
    pub(super) fn skipped<'a>(&'a self, ruleset: &'a Ruleset) -> impl Iterator<Item = Skipped> + 'a {
        let missing = self.model_missing.iter().map(|action| (action, SkipReason::ModelMissing));
        let broken = self.non_finite.iter().map(|action| (action, SkipReason::NonFiniteScore));
        missing.chain(broken).map(|(action, reason)| Skipped { action: ruleset.actions[*action].id.clone(), reason })
    }

    /// Whether an action could not be scored.
    pub(super) fn is_skipped(&self, action: ActionIx) -> bool {
        self.model_missing.contains(&action) || self.non_finite.contains(&action)
    }
}

/// The best few, best first.
struct Top {
    best: Vec<(ActionIx, Scored)>,
    depth: usize,
    /// What a priority must beat to be among them. Actions come in ascending order, so a later one
    /// must be strictly better to pass an earlier one.
    bound: f32,
}

impl Top {
    fn new(depth: usize) -> Self {
        Self { best: Vec::with_capacity(depth + 1), depth, bound: f32::NEG_INFINITY }
    }

    /// Takes an action that beats the bound.
    #[inline(never)]
    fn insert(&mut self, action: ActionIx, scored: Scored) {
        let place = self.best.partition_point(|(_, other)| other.priority >= scored.priority);
        self.best.insert(place, (action, scored));
        self.best.truncate(self.depth);
        if let Some((_, worst)) = self.best.last().filter(|_| self.best.len() == self.depth) {
            self.bound = worst.priority;
        }
    }
}
