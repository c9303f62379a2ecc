//! The priority of an action with every factor: P x V x C x L.

use super::Scored;
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Alias, Ruleset, WORD, Weight};
use crate::score::{self, Bank, Encoded, Source};

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    pub(super) ruleset: &'a Ruleset,
    /// The model of this customer, with the fields as it reads them; none without a model.
    model: Option<(&'a Bank, Encoded)>,
    /// Context weights whose condition is true.
    pub(super) active: Vec<&'a Weight>,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, alias: Alias, fields: &[f32]) -> Self {
        let model = ruleset.bank_of(alias).map(|bank| (bank, bank.encode(fields)));
        let active = ruleset.weights.iter().filter(|weight| weight.program.eval(fields) == Truth::True).collect();
        Self { ruleset, model, active }
    }

    /// Whether every acceptance is a number, whatever the action.
    pub(super) fn is_finite(&self) -> bool {
        self.model.as_ref().is_none_or(|(bank, encoded)| bank.is_finite(encoded))
    }

    /// What no C exceeds.
    pub(super) fn context_most(&self) -> f32 {
        self.active.iter().map(|weight| weight.most).product()
    }

    /// Writes P of each action, by fours: what the model says, or the start acceptance where it has no head.
    pub(super) fn acceptances(&self, actions: &[ActionIx], out: &mut [[f32; 4]]) {
        let bank = self.bank();
        if let Some((bank, encoded)) = &self.model {
            bank.probabilities(actions, encoded, out);
            if bank.scores_all() {
                return;
            }
        }
        let factors = &self.ruleset.factors;
        for (acceptance, action) in out.as_flattened_mut().iter_mut().zip(actions) {
            if bank.is_none_or(|bank| bank.source(*action) == Source::Prior) {
                *acceptance = factors[*action].prior;
            }
        }
    }

    /// Whether an action names a model that is not the loaded one.
    pub(super) fn model_missing(&self, action: ActionIx) -> bool {
        let named = self.ruleset.actions[action].model.as_deref();
        named.is_some_and(|named| self.bank().is_none_or(|bank| bank.name() != named))
    }

    /// The score of one action with its factors.
    pub(super) fn scored(&self, action: ActionIx) -> Scored {
        let mut acceptance = [[0.0; 4]];
        self.acceptances(&[action], &mut acceptance);
        self.score(action, acceptance[0][0], self.contexts(action / WORD)[action % WORD])
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let (bank, encoded) = self.model.as_ref().filter(|(bank, _)| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, encoded))
    }

    /// The model of this customer.
    #[inline(always)]
    pub(super) fn bank(&self) -> Option<&'a Bank> {
        self.model.as_ref().map(|(bank, _)| *bank)
    }

    /// Standard deviation of an action's logit: how much is known of it.
    pub(super) fn deviation(&self, action: ActionIx, acceptance: f32) -> f32 {
        match &self.model {
            Some((bank, encoded)) => bank.deviation(action, encoded, acceptance),
            None => score::prior_deviation(acceptance),
        }
    }

    /// What an acceptance could be: one standard deviation more, to first order and without the customer's own
    /// part of it. A few operations, for all candidates.
    #[inline(always)]
    pub(super) fn optimistic(&self, action: ActionIx, acceptance: f32) -> f32 {
        let spread = acceptance * (1.0 - acceptance);
        let known = self.bank().and_then(|bank| bank.known_deviation(action));
        let deviation = known.unwrap_or_else(|| score::prior_deviation(acceptance));
        (acceptance + deviation * spread).min(1.0)
    }

    /// C of each action of a word: the product of the weights whose conditions hold.
    pub(super) fn contexts(&self, word: usize) -> [f32; WORD] {
        let mut contexts = [1.0; WORD];
        for weight in &self.active {
            contexts.iter_mut().zip(weight.factors.word(word)).for_each(|(context, factor)| *context *= factor);
        }
        contexts
    }

    /// The score of an action whose P and C are known.
    pub(super) fn score(&self, action: ActionIx, acceptance: f32, context: f32) -> Scored {
        let factors = &self.ruleset.factors[action];
        Scored {
            priority: factors.priority(acceptance, context),
            acceptance,
            value: factors.value,
            context,
            lever: factors.lever,
            source: self.bank().map_or(Source::Prior, |bank| bank.source(action)),
        }
    }
}
