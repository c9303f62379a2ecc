//! Scores what is left and ranks it for every placement: P x V x C x L.

use super::candidates::{Candidates, clear, contains, visit};
use super::{Request, Scored, SkipReason, Skipped};
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Ruleset, Weight};
use crate::score::Source;
use crate::score::kernel::{Kernel, LANES, Lanes, dispatch};

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    ruleset: &'a Ruleset,
    encoded: Lanes,
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
            tops.push(Top { best: Vec::with_capacity(depth + 1), depth });
        }
        let mut left = candidates.any.clone();
        let named = self.ruleset.model_named.iter().copied();
        let model_missing: Vec<ActionIx> =
            named.filter(|action| contains(&left, *action) && self.model_missing(*action)).collect();
        model_missing.iter().for_each(|action| clear(&mut left, *action));
        let non_finite = dispatch(Ranking { scoring: self, left: &left, candidates, tops: &mut tops });
        Ranked { placements: tops.into_iter().map(|top| top.best).collect(), non_finite, model_missing }
    }

    /// Whether an action names a model that is not the loaded one.
    pub(super) fn model_missing(&self, action: ActionIx) -> bool {
        let named = self.ruleset.actions[action].model.as_deref();
        named.is_some_and(|named| self.ruleset.bank().is_none_or(|bank| bank.name() != named))
    }

    /// The score of one action with its factors.
    pub(super) fn scored(&self, action: ActionIx) -> Scored {
        self.priority(action, self.probabilities(&[action])[0])
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let bank = self.ruleset.bank().filter(|bank| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, &self.encoded))
    }

    /// What the model says of up to 16 actions; nothing of use without one.
    #[inline(always)]
    fn probabilities(&self, actions: &[ActionIx]) -> [f32; LANES] {
        let mut probabilities = [0.0; LANES];
        if let Some(bank) = self.ruleset.bank() {
            bank.probabilities(actions, &self.encoded, &mut probabilities);
        }
        probabilities
    }

    /// P x V x C x L, multiplied in this order.
    #[inline(always)]
    fn priority(&self, action: ActionIx, probability: f32) -> Scored {
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

/// Scores the actions that are left, 16 at a time, and offers them to the placements.
struct Ranking<'a> {
    scoring: &'a Scoring<'a>,
    left: &'a [u64],
    candidates: &'a Candidates,
    tops: &'a mut [Top],
}

impl Kernel for Ranking<'_> {
    /// Actions whose score is no number.
    type Output = Vec<ActionIx>;

    #[inline(always)]
    fn run(mut self) -> Vec<ActionIx> {
        let mut non_finite = Vec::new();
        let mut batch = [0; LANES];
        let mut filled = 0;
        visit(self.left, |action| {
            batch[filled] = action;
            filled += 1;
            if filled == LANES {
                self.offer(&batch, &mut non_finite);
                filled = 0;
            }
        });
        self.offer(&batch[..filled], &mut non_finite);
        non_finite
    }
}

impl Ranking<'_> {
    #[inline(always)]
    fn offer(&mut self, actions: &[ActionIx], non_finite: &mut Vec<ActionIx>) {
        let probabilities = self.scoring.probabilities(actions);
        for (action, probability) in actions.iter().zip(probabilities) {
            let scored = self.scoring.priority(*action, probability);
            if !scored.priority.is_finite() {
                non_finite.push(*action);
                continue;
            }
            for (top, mask) in self.tops.iter_mut().zip(&self.candidates.placements) {
                if scored.priority > top.bound() && contains(mask, *action) {
                    top.insert(*action, scored);
                }
            }
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
}

impl Top {
    /// What a priority must beat to be among the best. Actions come in ascending order, so a later
    /// one must be strictly better to pass an earlier one.
    #[inline(always)]
    fn bound(&self) -> f32 {
        let full = self.best.len() == self.depth;
        self.best.last().filter(|_| full).map_or(f32::NEG_INFINITY, |(_, worst)| worst.priority)
    }

    /// Takes an action that beats the bound.
    fn insert(&mut self, action: ActionIx, scored: Scored) {
        let place = self.best.partition_point(|(_, other)| other.priority >= scored.priority);
        self.best.insert(place, (action, scored));
        self.best.truncate(self.depth);
    }
}
