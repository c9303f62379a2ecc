//! The priority of an action with every factor: P x V x C x L.

use super::Scored;
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Ruleset, Weight};
use crate::score::Source;
use crate::score::kernel::Row;

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    pub(super) ruleset: &'a Ruleset,
    encoded: Vec<Row>,
    /// Context weights whose condition is true.
    pub(super) active: Vec<&'a Weight>,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, fields: &[f32]) -> Self {
        let encoded = ruleset.bank().map_or_else(Vec::new, |bank| bank.encode(fields));
        let active = ruleset.weights.iter().filter(|weight| weight.program.eval(fields) == Truth::True).collect();
        Self { ruleset, encoded, active }
    }

    /// Whether every acceptance is a number, whatever the action.
    pub(super) fn is_finite(&self) -> bool {
        self.ruleset.bank().is_none_or(|bank| bank.is_finite(&self.encoded))
    }

    /// What no C exceeds.
    pub(super) fn context_most(&self) -> f32 {
        self.active.iter().map(|weight| weight.most).product()
    }

    /// P of each action: what the model says, or the start acceptance where it has no head.
    pub(super) fn acceptances(&self, actions: &[ActionIx]) -> Vec<f32> {
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
    pub(super) fn contexts(&self, actions: &[ActionIx]) -> Vec<f32> {
        let mut contexts = vec![1.0; actions.len()];
        for weight in &self.active {
            contexts.iter_mut().zip(actions).for_each(|(context, action)| *context *= weight.factors[*action]);
        }
        contexts
    }

    /// P x V x C x L, multiplied in this order.
    #[inline(always)]
    pub(super) fn score(&self, action: ActionIx, acceptance: f32, context: f32) -> Scored {
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
