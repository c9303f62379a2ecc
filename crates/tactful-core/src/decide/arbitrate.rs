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
        let mut left = candidates.any.clone();
        let named = self.ruleset.model_named.iter().copied();
        let model_missing: Vec<ActionIx> =
            named.filter(|action| contains(&left, *action) && self.model_missing(*action)).collect();
        model_missing.iter().for_each(|action| clear(&mut left, *action));
        let mut actions = Vec::with_capacity(count(&left));
        visit(&left, |action| actions.push(action));
        let (acceptances, contexts) = (self.acceptances(&actions), self.contexts(&actions));
        let score = |at: usize| self.score(actions[at], acceptances[at], contexts[at]);
        let priorities: Vec<f32> = (0..actions.len()).map(|at| score(at).priority).collect();
        let mut tops = tops(request);
        let mut non_finite = Vec::new();
        let mut bound = f32::NEG_INFINITY;
        for (at, priority) in priorities.into_iter().enumerate() {
            // Nearly all: a number that no placement wants.
            if priority > f32::NEG_INFINITY && priority <= bound {
                continue;
            }
            if !priority.is_finite() {
                non_finite.push(actions[at]);
                continue;
            }
            for (top, mask) in tops.iter_mut().zip(&candidates.placements) {
                if priority > top.bound && contains(mask, actions[at]) {
                    top.insert(priority, at);
                }
            }
            bound = tops.iter().map(|top| top.bound).fold(f32::INFINITY, f32::min);
        }
        let ranked = |top: Top| top.best.into_iter().map(|(_, at)| (actions[at], score(at))).collect();
        Ranked { placements: tops.into_iter().map(ranked).collect(), non_finite, model_missing }
    }

    /// P of each action: what the model says, or the start acceptance where it has no head.
    fn acceptances(&self, actions: &[ActionIx]) -> Vec<f32> {
        let prior = |action: &ActionIx| self.ruleset.factors[*action].prior;
        let Some(bank) = self.ruleset.bank() else { return actions.iter().map(prior).collect() };
        let mut acceptances = bank.probabilities(actions, &self.encoded);
        for (acceptance, action) in acceptances.iter_mut().zip(actions) {
            if bank.source(*action) == Source::Prior {
                *acceptance = prior(action);
            }
        }
        acceptances
    }

    /// Whether an action names a model that is not the loaded one.
    pub(super) fn model_missing(&self, action: ActionIx) -> bool {
        let named = self.ruleset.actions[action].model.as_deref();
        named.is_some_and(|named| self.ruleset.bank().is_none_or(|bank| bank.name() != named))
    }

    /// The score of one action with its factors.
    pub(super) fn scored(&self, action: ActionIx) -> Scored {
        self.score(action, self.acceptances(&[action])[0], self.contexts(&[action])[0])
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let bank = self.ruleset.bank().filter(|bank| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, &self.encoded))
    }

    /// C of each action: the product of the weights whose conditions hold.
    fn contexts(&self, actions: &[ActionIx]) -> Vec<f32> {
        let mut contexts = vec![1.0; actions.len()];
        for weight in &self.active {
            contexts.iter_mut().zip(actions).for_each(|(context, action)| *context *= weight.factors[*action]);
        }
        contexts
    }

    /// P x V x C x L, multiplied in this order.
    #[inline(always)]
    fn score(&self, action: ActionIx, acceptance: f32, context: f32) -> Scored {
        let factors = &self.ruleset.factors[action];
        Scored {
            priority: acceptance * factors.value * context * factors.lever,
            acceptance,
            value: factors.value,
            context,
            lever: factors.lever,
            source: self.ruleset.bank().map_or(Source::Prior, |bank| bank.source(action)),
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

/// The best few of a placement.
struct Top {
    /// Priorities, best first, and where in the batch their actions are.
    best: Vec<(f32, usize)>,
    depth: usize,
    /// What a priority must beat to be among them. Actions come in ascending order, so a later one
    /// must be strictly better to pass an earlier one.
    bound: f32,
}

/// One for each placement of the request.
fn tops(request: &Request) -> Vec<Top> {
    let depths = request.placements.iter().scan(0, |depth, (_, count)| {
        *depth += count;
        Some(*depth)
    });
    depths.map(|depth| Top { best: Vec::with_capacity(depth + 1), depth, bound: f32::NEG_INFINITY }).collect()
}

impl Top {
    /// Takes a priority that beats the bound.
    fn insert(&mut self, priority: f32, at: usize) {
        self.best.push((priority, at));
        let mut place = self.best.len() - 1;
        while place > 0 && self.best[place - 1].0 < priority {
            self.best.swap(place - 1, place);
            place -= 1;
        }
        self.best.truncate(self.depth);
        if self.best.len() == self.depth {
            self.bound = self.best[self.depth - 1].0;
        }
    }
}
