//! Scores what is left and ranks it for every placement: P x V x C x L in blocks of 16 actions.

use super::candidates::{Candidates, contains};
use super::{Request, Scored, SkipReason, Skipped};
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Ruleset, Weight};
use crate::score::Source;
use crate::score::kernel::LANES;

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    ruleset: &'a Ruleset,
    encoded: Vec<f32>,
    /// Context weights whose condition is true.
    pub(super) active: Vec<&'a Weight>,
}

/// The best actions of each placement of a request, best first, and what could not be scored.
pub(super) struct Ranked {
    pub(super) placements: Vec<Vec<(f32, ActionIx)>>,
    non_finite: Vec<ActionIx>,
    model_missing: Vec<ActionIx>,
}

/// Priorities and probabilities of one block.
struct Block {
    acceptance: [f32; LANES],
    context: [f32; LANES],
    priority: [f32; LANES],
}

impl<'a> Scoring<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, fields: &[f32]) -> Self {
        let mut encoded = Vec::new();
        if let Some(bank) = ruleset.bank() {
            bank.encode(fields, &mut encoded);
        }
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
        let mut ranked = Ranked { placements: Vec::new(), non_finite: Vec::new(), model_missing: Vec::new() };
        for block in 0..self.ruleset.factors.len() {
            let mut bits = lanes(&candidates.any, block);
            if bits == 0 {
                continue;
            }
            let scores = self.block(block);
            while bits != 0 {
                let lane = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.offer(block * LANES + lane, scores.priority[lane], candidates, &mut tops, &mut ranked);
            }
        }
        ranked.placements = tops.into_iter().map(|top| top.best).collect();
        ranked
    }

    #[inline]
    fn offer(&self, action: ActionIx, priority: f32, candidates: &Candidates, tops: &mut [Top], ranked: &mut Ranked) {
        if !priority.is_finite() {
            ranked.non_finite.push(action);
        } else if self.model_missing(action) {
            ranked.model_missing.push(action);
        } else {
            for (top, mask) in tops.iter_mut().zip(&candidates.placements) {
                if contains(mask, action) {
                    top.offer(priority, action);
                }
            }
        }
    }

    /// Whether an action names a model that is not the loaded one.
    pub(super) fn model_missing(&self, action: ActionIx) -> bool {
        let named = self.ruleset.actions[action].model.as_deref();
        named.is_some_and(|named| self.ruleset.bank().is_none_or(|bank| bank.name() != named))
    }

    /// The score of one action with its factors.
    pub(super) fn scored(&self, action: ActionIx) -> Scored {
        let (block, lane) = (action / LANES, action % LANES);
        let scores = self.block(block);
        let factors = &self.ruleset.factors[block];
        Scored {
            priority: scores.priority[lane],
            acceptance: scores.acceptance[lane],
            value: factors.value[lane],
            context: scores.context[lane],
            lever: factors.lever[lane],
            source: self.ruleset.bank().map_or(Source::Prior, |bank| bank.source(action)),
        }
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let bank = self.ruleset.bank().filter(|bank| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, &self.encoded))
    }

    fn block(&self, block: usize) -> Block {
        let factors = &self.ruleset.factors[block];
        let mut acceptance = factors.prior;
        if let Some(bank) = self.ruleset.bank() {
            bank.probabilities(block, &self.encoded, &mut acceptance);
        }
        let mut context = [1.0; LANES];
        for weight in &self.active {
            for (factor, weight) in context.iter_mut().zip(&weight.factors[block]) {
                *factor *= weight;
            }
        }
        let mut priority = [0.0; LANES];
        for lane in 0..LANES {
            priority[lane] = acceptance[lane] * factors.value[lane] * context[lane] * factors.lever[lane];
        }
        Block { acceptance, context, priority }
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
    best: Vec<(f32, ActionIx)>,
    depth: usize,
}

impl Top {
    /// Keeps the action if it is among the best. Actions come in ascending order, so a later one
    /// must be strictly better to pass an earlier one.
    #[inline]
    fn offer(&mut self, priority: f32, action: ActionIx) {
        if self.best.len() == self.depth && self.best.last().is_some_and(|(worst, _)| priority <= *worst) {
            return;
        }
        let place = self.best.partition_point(|(other, _)| *other >= priority);
        self.best.insert(place, (priority, action));
        self.best.truncate(self.depth);
    }
}

/// The 16 bits of one block.
#[inline]
fn lanes(mask: &[u64], block: usize) -> u32 {
    const _: () = assert!(64 % LANES == 0);
    let bit = block * LANES;
    ((mask[bit / 64] >> (bit % 64)) & ((1 << LANES) - 1)) as u32
}
