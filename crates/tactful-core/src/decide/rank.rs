//! The search for the best few of each placement. It scores no more than it must: actions stand in the
//! order of what their priority can reach, so candidates are taken from the first on, a batch at a time,
//! and what cannot reach the best that are known already is passed over. The answer is that of scoring
//! all of them, to the last bit.

use std::cmp::Ordering::Less;

use super::arbitrate::Scoring;
use super::candidates::{self, Candidates, clear, contains};
use super::{Request, Scored, SkipReason, Skipped};
use crate::ruleset::{ActionIx, Ruleset};

/// Candidates of the first batch; each further one has twice as many, up to the last.
const FIRST: usize = 32;
const LAST: usize = 256;

/// The best actions of each placement of a request, best first, and what could not be scored.
pub(super) struct Ranked {
    pub(super) placements: Vec<Vec<(ActionIx, Scored)>>,
    non_finite: Vec<ActionIx>,
    model_missing: Vec<ActionIx>,
}

/// Ranks the candidates of each placement, deep enough that the earlier placements' actions can be
/// left out of the later ones. Ties go to the action that the catalogue names first.
pub(super) fn rank(scoring: &Scoring<'_>, candidates: &Candidates, request: &Request) -> Ranked {
    let mut left = candidates.any.clone();
    let named = scoring.ruleset.model_named.iter().copied();
    let model_missing: Vec<ActionIx> =
        named.filter(|action| contains(&left, *action) && scoring.model_missing(*action)).collect();
    model_missing.iter().for_each(|action| clear(&mut left, *action));
    let mut search = Search { scoring, candidates, tops: tops(request), non_finite: Vec::new() };
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
    non_finite: Vec<ActionIx>,
}

impl Search<'_> {
    /// Offers what is left, batch by batch, until no placement can want what comes.
    fn run(&mut self, left: &[u64]) {
        let scoring = self.scoring;
        let reach = |action: ActionIx| scoring.ruleset.factors[action].reach;
        // A sum that overflows is no number, and that must be told: then all are scored.
        let exact = scoring.is_finite();
        let context_most = scoring.context_most();
        let mut left = candidates::actions(left);
        let mut batch = Vec::with_capacity(LAST);
        let mut size = FIRST;
        loop {
            let bound = if exact { self.bound() } else { f32::NEG_INFINITY };
            batch.clear();
            // Reaches only fall: after one that is too low come others that are.
            batch.extend(left.by_ref().take(size).take_while(|action| reach(*action) * context_most >= bound));
            if batch.is_empty() {
                return;
            }
            let mut contexts = scoring.contexts(&batch);
            let mut kept = 0;
            for at in 0..batch.len() {
                let (action, context) = (batch[at], contexts[at]);
                (batch[kept], contexts[kept]) = (action, context);
                // A reach that is no number says nothing: it stays.
                kept += usize::from((reach(action) * context).partial_cmp(&bound) != Some(Less));
            }
            self.offer(&batch[..kept], &contexts[..kept]);
            size = LAST.min(2 * size);
        }
    }

    /// Scores the actions and keeps what is better than what the placements have.
    fn offer(&mut self, actions: &[ActionIx], contexts: &[f32]) {
        let acceptances = self.scoring.acceptances(actions);
        let score = |at: usize| self.scoring.score(actions[at], acceptances[at], contexts[at]);
        let priorities: Vec<f32> = (0..actions.len()).map(|at| score(at).priority).collect();
        let mut bound = self.bound();
        for (at, priority) in priorities.into_iter().enumerate() {
            // Nearly all: a number that no placement wants.
            if priority > f32::NEG_INFINITY && priority < bound {
                continue;
            }
            if !priority.is_finite() {
                self.non_finite.push(actions[at]);
                continue;
            }
            for (top, mask) in self.tops.iter_mut().zip(&self.candidates.placements) {
                if priority >= top.bound && contains(mask, actions[at]) {
                    top.insert(self.scoring.ruleset, actions[at], score(at));
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

/// One for each placement of the request.
fn tops(request: &Request) -> Vec<Top> {
    let depths = request.placements.iter().scan(0, |depth, (_, count)| {
        *depth += count;
        Some(*depth)
    });
    depths.map(|depth| Top { best: Vec::with_capacity(depth + 1), depth, bound: f32::NEG_INFINITY }).collect()
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
