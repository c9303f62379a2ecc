//! The search for the best few of each placement. It scores no more than it must: actions stand in the
//! order of what their priority can reach, so candidates are taken from the first on, a word of their bit
//! set at a time, and what cannot reach the best that are known already is passed over. The answer is
//! that of scoring all of them, to the last bit.

use std::cmp::Ordering::Less;

use super::arbitrate::Scoring;
use super::candidates::{Candidates, clear, contains};
use super::{Request, Scored, SkipReason, Skipped};
use crate::catalog::ExplorationDef;
use crate::ruleset::{ActionIx, Ruleset, WORD};

/// The best actions of each placement of a request, best first, and what could not be scored.
pub(super) struct Ranked {
    pub(super) placements: Vec<Vec<(ActionIx, Scored)>>,
    non_finite: Vec<ActionIx>,
    model_missing: Vec<ActionIx>,
}

/// Ranks the candidates of each placement, deep enough that the earlier placements' actions can be
/// left out of the later ones. Ties go to the action that the catalogue names first. For an exploration the
/// order is that of what the priorities could be, and the depth that of its candidates beside.
pub(super) fn rank(
    scoring: &Scoring<'_>,
    candidates: &Candidates,
    request: &Request,
    exploration: Option<&ExplorationDef>,
) -> Ranked {
    let mut left = candidates.any.clone();
    let named = scoring.ruleset.model_named.iter().copied();
    let model_missing: Vec<ActionIx> =
        named.filter(|action| contains(&left, *action) && scoring.model_missing(*action)).collect();
    model_missing.iter().for_each(|action| clear(&mut left, *action));
    let beside = exploration.map_or(0, |exploration| exploration.candidates);
    let optimistic = exploration.is_some();
    let mut search = Search { scoring, candidates, tops: tops(request, beside), optimistic, non_finite: Vec::new() };
    search.run(&left);
    search.non_finite.sort_unstable_by_key(|action| scoring.ruleset.actions[*action].position);
    let placements = search.tops.into_iter().map(|top| top.best).collect();
    Ranked { placements, non_finite: search.non_finite, model_missing }
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

/// The best so far.
struct Search<'a> {
    scoring: &'a Scoring<'a>,
    candidates: &'a Candidates,
    tops: Vec<Top>,
    /// Whether actions are taken for what they could be.
    optimistic: bool,
    non_finite: Vec<ActionIx>,
}

impl Search<'_> {
    /// Offers what is left, a word of the bit set at a time, until no placement can want what comes.
    fn run(&mut self, left: &[u64]) {
        // A sum that overflows is no number, and that must be told: then all are scored.
        let exact = self.scoring.is_finite();
        let context_most = self.scoring.context_most();
        let mut actions = [0; WORD];
        for (word, bits) in left.iter().enumerate().filter(|(_, bits)| **bits != 0) {
            let bound = if exact { self.bound() } else { f32::NEG_INFINITY };
            let first = self.scoring.ruleset.reaches.word(word)[bits.trailing_zeros() as usize];
            // Reaches never rise: after one that is too low come others that are.
            if first * context_most < bound {
                return;
            }
            let contexts = self.scoring.contexts(word);
            let count = self.reaching(word, *bits, &contexts, bound, &mut actions);
            self.offer(&actions[..count], &contexts);
        }
    }

    /// Writes the actions of a word that can reach the bound; answers how many they are.
    fn reaching(
        &self,
        word: usize,
        mut bits: u64,
        contexts: &[f32; WORD],
        bound: f32,
        actions: &mut [ActionIx; WORD],
    ) -> usize {
        let reaches = self.scoring.ruleset.reaches.word(word);
        let bank = self.scoring.bank();
        let mut count = 0;
        while bits != 0 {
            let at = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            // Written in any case: a branch that nothing foretells costs more.
            actions[count] = word * WORD + at;
            if let Some(bank) = bank {
                bank.prefetch(actions[count]);
            }
            // A reach that is no number says nothing: it stays.
            count += usize::from((reaches[at] * contexts[at]).partial_cmp(&bound) != Some(Less));
        }
        count
    }

    /// Scores actions of one word and keeps what is better than what the placements have.
    fn offer(&mut self, actions: &[ActionIx], contexts: &[f32; WORD]) {
        let scoring = self.scoring;
        let mut acceptances = [[0.0; 4]; WORD / 4];
        scoring.acceptances(actions, &mut acceptances[..actions.len().div_ceil(4)]);
        if self.optimistic {
            let each = acceptances.as_flattened_mut().iter_mut().zip(actions);
            each.for_each(|(acceptance, action)| *acceptance = scoring.optimistic(*action, *acceptance));
        }
        let factors = &scoring.ruleset.factors[..];
        let mut bound = self.bound();
        for (action, acceptance) in actions.iter().zip(acceptances.as_flattened()) {
            let context = contexts[action % WORD];
            let priority = factors[*action].priority(*acceptance, context);
            // Nearly all: a number that no placement wants.
            if priority > f32::NEG_INFINITY && priority < bound {
                continue;
            }
            if !priority.is_finite() {
                self.non_finite.push(*action);
                continue;
            }
            let scored = scoring.score(*action, *acceptance, context);
            for (top, mask) in self.tops.iter_mut().zip(&self.candidates.placements) {
                if priority >= top.bound && contains(mask, *action) {
                    top.insert(scoring.ruleset, *action, scored);
                }
            }
            bound = self.bound();
        }
    }

    /// The priority below which no placement wants an action.
    fn bound(&self) -> f32 {
        self.tops.iter().map(|top| top.bound).fold(f32::INFINITY, f32::min)
    }
}

/// The best few of a placement.
struct Top {
    /// Best first.
    best: Vec<(ActionIx, Scored)>,
    depth: usize,
    /// What a priority must reach to be among them.
    bound: f32,
}

/// One for each placement of the request, so many places deeper than it must be.
fn tops(request: &Request, beside: usize) -> Vec<Top> {
    let depths = request.placements.iter().scan(0, |depth, (_, count)| {
        *depth += count;
        Some(*depth)
    });
    let top = |depth| Top { best: Vec::with_capacity(depth + 1), depth, bound: f32::NEG_INFINITY };
    depths.map(|depth| top(depth + beside)).collect()
}

impl Top {
    /// Takes an action that reaches the bound; of equals the one that the catalogue names first.
    fn insert(&mut self, ruleset: &Ruleset, action: ActionIx, scored: Scored) {
        let named_first = |other: ActionIx| ruleset.actions[other].position < ruleset.actions[action].position;
        let before = |(other, best): &(ActionIx, Scored)| {
            best.priority > scored.priority || (best.priority == scored.priority && named_first(*other))
        };
        let mut place = self.best.len();
        self.best.push((action, scored));
        while place > 0 && !before(&self.best[place - 1]) {
            self.best.swap(place - 1, place);
            place -= 1;
        }
        self.best.truncate(self.depth);
        if self.best.len() == self.depth {
            self.bound = self.best[self.depth - 1].1.priority;
        }
    }
}
