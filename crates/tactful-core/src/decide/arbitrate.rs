//! Scores what is left and ranks it for every placement: P x V x C x L in blocks of 16 actions.
#![allow(clippy::needless_range_loop, reason = "loops over lanes are what the compiler makes SIMD of")]

use super::candidates::{Candidates, clear, contains};
use super::{Request, Scored, SkipReason, Skipped};
use crate::rule::Truth;
use crate::ruleset::{ActionIx, Ruleset, Weight};
use crate::score::Source;
use crate::score::kernel::{GROUP, Kernel, LANES, dispatch};

/// The parts of a priority that one decision fixes once.
pub(super) struct Scoring<'a> {
    ruleset: &'a Ruleset,
    encoded: Vec<f32>,
    /// Context weights whose condition is true.
    pub(super) active: Vec<&'a Weight>,
}

/// The best actions of each placement of a request, best first, and what could not be scored.
pub(super) struct Ranked {
    pub(super) placements: Vec<Vec<(ActionIx, Scored)>>,
    non_finite: Vec<ActionIx>,
    model_missing: Vec<ActionIx>,
}

/// Priorities of one block with the factors that are not static.
#[derive(Clone, Copy, Default)]
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
        let [block] = dispatch(Scores { scoring: self, blocks: [action / LANES] });
        self.of_lane(&block, action)
    }

    /// Intercept and contributions of an action's head; nothing for a prior.
    pub(super) fn contributions(&self, action: ActionIx) -> Option<(f32, Vec<(usize, f32)>)> {
        let bank = self.ruleset.bank().filter(|bank| bank.source(action) != Source::Prior)?;
        Some(bank.contributions(action, &self.encoded))
    }

    fn of_lane(&self, scores: &Block, action: ActionIx) -> Scored {
        let (block, lane) = (action / LANES, action % LANES);
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

    /// Scores some blocks.
    #[inline(always)]
    fn blocks<const N: usize>(&self, blocks: &[usize; N], out: &mut [Block; N]) {
        let mut scored = [[0.0; LANES]; N];
        if let Some(bank) = self.ruleset.bank() {
            bank.probabilities(blocks, &self.encoded, &mut scored);
        }
        for at in 0..N {
            let factors = &self.ruleset.factors[blocks[at]];
            let headed = self.ruleset.bank().map_or(0, |bank| bank.headed(blocks[at]));
            let out = &mut out[at];
            out.context = self.context(blocks[at]);
            for lane in 0..LANES {
                out.acceptance[lane] = if headed >> lane & 1 == 1 { scored[at][lane] } else { factors.prior[lane] };
            }
            for lane in 0..LANES {
                out.priority[lane] =
                    out.acceptance[lane] * factors.value[lane] * out.context[lane] * factors.lever[lane];
            }
        }
    }

    /// C of a block: the product of the weights whose conditions hold.
    #[inline(always)]
    fn context(&self, block: usize) -> [f32; LANES] {
        let mut context = [1.0; LANES];
        for weight in &self.active {
            let factors = &weight.factors[block];
            for lane in 0..LANES {
                context[lane] *= factors[lane];
            }
        }
        context
    }
}

/// Scores some blocks.
struct Scores<'a, const N: usize> {
    scoring: &'a Scoring<'a>,
    blocks: [usize; N],
}

impl<const N: usize> Kernel for Scores<'_, N> {
    type Output = [Block; N];

    #[inline(always)]
    fn run(self) -> [Block; N] {
        let mut scores = [Block::default(); N];
        self.scoring.blocks(&self.blocks, &mut scores);
        scores
    }
}

/// Scores the blocks in which an action is left, and offers these actions to the placements.
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
        let mut group = [0; GROUP];
        let mut scores = [Block::default(); GROUP];
        let mut filled = 0;
        for block in 0..self.scoring.ruleset.factors.len() {
            if lanes(self.left, block) != 0 {
                group[filled] = block;
                filled += 1;
            }
            if filled == GROUP {
                self.scoring.blocks(&group, &mut scores);
                for at in 0..GROUP {
                    self.offer(group[at], &scores[at], &mut non_finite);
                }
                filled = 0;
            }
        }
        // The rest of the group holds blocks of before: scored again, not offered again.
        if filled > 0 {
            self.scoring.blocks(&group, &mut scores);
        }
        for at in 0..filled {
            self.offer(group[at], &scores[at], &mut non_finite);
        }
        non_finite
    }
}

impl Ranking<'_> {
    /// Offers a block's actions that beat what a placement holds already: few, so the rest is a
    /// comparison of 16 at once.
    #[inline(always)]
    fn offer(&mut self, block: usize, scores: &Block, non_finite: &mut Vec<ActionIx>) {
        let left = lanes(self.left, block);
        let finite = bits(&scores.priority, |priority| priority.is_finite());
        each(left & !finite, |lane| non_finite.push(block * LANES + lane));
        for (top, mask) in self.tops.iter_mut().zip(&self.candidates.placements) {
            let bound = top.bound();
            let above = bits(&scores.priority, |priority| priority > bound);
            each(lanes(mask, block) & left & finite & above, |lane| {
                let action = block * LANES + lane;
                top.offer(scores.priority[lane], action, || self.scoring.of_lane(scores, action));
            });
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
    /// What a priority must beat to be among the best.
    #[inline(always)]
    fn bound(&self) -> f32 {
        let full = self.best.len() == self.depth;
        self.best.last().filter(|_| full).map_or(f32::NEG_INFINITY, |(_, worst)| worst.priority)
    }

    /// Keeps the action if it is among the best. Actions come in ascending order, so a later one
    /// must be strictly better to pass an earlier one.
    #[inline]
    fn offer(&mut self, priority: f32, action: ActionIx, scored: impl FnOnce() -> Scored) {
        if priority <= self.bound() {
            return;
        }
        let place = self.best.partition_point(|(_, other)| other.priority >= priority);
        self.best.insert(place, (action, scored()));
        self.best.truncate(self.depth);
    }
}

/// The 16 bits of one block.
#[inline(always)]
fn lanes(mask: &[u64], block: usize) -> u32 {
    const _: () = assert!(64 % LANES == 0);
    let bit = block * LANES;
    ((mask[bit / 64] >> (bit % 64)) & ((1 << LANES) - 1)) as u32
}

/// One bit for each lane that satisfies the condition.
#[inline(always)]
fn bits(values: &[f32; LANES], holds: impl Fn(f32) -> bool) -> u32 {
    let mut bits = 0;
    for lane in 0..LANES {
        bits |= u32::from(holds(values[lane])) << lane;
    }
    bits
}

/// Visits the lanes whose bit is set, in ascending order.
#[inline(always)]
fn each(mut bits: u32, mut visit: impl FnMut(usize)) {
    while bits != 0 {
        visit(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}
