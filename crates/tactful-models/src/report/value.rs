//! What the model would have been worth as a policy, against the one that was recorded: of the actions
//! that a placement showed in training it shows the one with the highest acceptance, first slot only.
//!
//! A reward is 1 for a positive answer: rows do not hold the values of the actions that were not shown.
//! Rows do not hold which actions were allowed either, so all that the placement ever showed count as
//! allowed; where the record was certain to stay silent, so is the policy. It is measured on the test
//! part by inverse propensity, plain and self-normalised; where the record never tried anything else,
//! no number is given.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tactful_core::estimate::{
    EFFECTIVE_ROWS_MIN, Estimate, LARGEST_SHARE_MAX, Logged, Overlap, UNSUPPORTED_MAX, Weakness, difference,
    inverse_propensity, self_normalised,
};

use crate::score::Heads;
use crate::table::{LabelledRow, Table};

/// Scores of all decisions together, about; with more, evenly spaced decisions are measured.
const SCORES_MAX: usize = 1 << 20;
/// Scores closer than this are the same: such actions share the choice.
const SAME: f64 = 1e-9;

/// What the estimates rest on, for reports and cards.
pub(crate) const ASSUMPTION: &str = "the policy shows, in the first slot of each decision, the action with the highest \
acceptance of all that its placement showed in training; the reward is 1 for a positive answer. This holds if the \
recorded selection probabilities are true, if all these actions were allowed, and if nothing unrecorded moved both the \
choice and the answer";

/// The model as a policy on the test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyValue {
    /// Decisions of the test part with a selection probability, silent ones included.
    pub decisions: u64,
    /// Those among them that were measured on.
    pub measured: u64,
    /// Decisions without a selection probability: they are left out.
    pub without_probability: u64,
    /// Share of the decisions measured whose recorded action the policy might choose.
    pub agreement: f64,
    /// Mean reward of the recorded policy.
    pub logged: Interval,
    /// The policy by inverse propensity; none without overlap.
    pub ips: Option<Interval>,
    /// The policy by self-normalised inverse propensity; none without overlap.
    pub snips: Option<Interval>,
    /// Inverse propensity less the recorded policy's mean; none without overlap.
    pub difference: Option<Interval>,
    /// Rows of equal weight that would say as much.
    pub effective_rows: f64,
    /// Mean weight: about 1 where the record covers the policy.
    pub mean_weight: f64,
    /// Greatest weight of a decision.
    pub largest_weight: f64,
    /// Share of all weight that it has.
    pub largest_share: f64,
    /// Share of decisions in which the record was certain of another action.
    pub unsupported: f64,
    /// What speaks against the estimates, in words; nothing if the record bears them.
    pub warnings: Vec<String>,
}

/// A mean reward with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl PolicyValue {
    /// Measures the policy; none without decisions that have a selection probability.
    pub(super) fn of(table: &Table, heads: &Heads<'_>) -> Option<Self> {
        let firsts = || (table.train..table.rows.len()).filter(|row| table.rows[*row].choice.first);
        let known = |row: &usize| table.rows[*row].choice.probability > 0.0;
        let decisions: Vec<usize> = firsts().filter(known).collect();
        let asides = table.asides.iter().filter(|aside| aside.probability > 0.0).count();
        let all = firsts().count() + table.asides.len();
        let policy = Policy::of(table, heads);
        let part = spacing(decisions.len(), &policy);
        let mut rows: Vec<Logged> = decisions.iter().step_by(part).map(|row| policy.logged(*row)).collect();
        let silent = table.asides.iter().filter(|aside| aside.probability > 0.0).step_by(part);
        rows.extend(silent.map(|aside| Logged {
            // Certain silence is what any policy would have had to keep.
            target: if aside.silent && aside.probability >= 1.0 { 1.0 } else { 0.0 },
            selection: aside.probability,
            reward: f64::from(u8::from(aside.positive)),
        }));
        let count = decisions.len() + asides;
        if rows.len() < 2 {
            return None;
        }
        let mut value = Self::measure(&rows)?;
        (value.decisions, value.without_probability) = (count as u64, (all - count) as u64);
        Some(value)
    }

    /// Measures a policy on recorded decisions; none without any that has a selection probability.
    pub(crate) fn measure(rows: &[Logged]) -> Option<Self> {
        let all = || rows.iter().copied();
        let overlap = Overlap::of(all());
        let recorded = inverse_propensity(all().map(|row| Logged { target: row.selection, ..row }));
        let weaknesses = overlap.weaknesses();
        let blind = weaknesses.contains(&Weakness::NoExploration) || overlap.matched == 0;
        let estimate = |estimate: Estimate| if blind { None } else { Interval::of(&estimate) };
        let mut warnings: Vec<String> = weaknesses.iter().map(words).collect();
        if overlap.matched == 0 && overlap.explored > 0 {
            warnings = vec![
                "no overlap: no recorded action is one that the policy would choose, so no number is given".into(),
            ];
        }
        Some(Self {
            decisions: overlap.rows,
            measured: overlap.rows,
            without_probability: 0,
            agreement: overlap.matched as f64 / overlap.rows as f64,
            logged: Interval::of(&recorded)?,
            ips: estimate(inverse_propensity(all())),
            snips: estimate(self_normalised(all())),
            difference: estimate(difference(all())),
            effective_rows: overlap.effective_rows,
            mean_weight: overlap.mean_weight,
            largest_weight: overlap.largest_weight,
            largest_share: overlap.largest_share,
            unsupported: overlap.unsupported,
            warnings,
        })
    }
}

impl Interval {
    fn of(estimate: &Estimate) -> Option<Self> {
        let (low, high) = estimate.interval();
        let finite = low.is_finite() && high.is_finite();
        finite.then_some(Self { value: estimate.value, standard_error: estimate.standard_error, low, high })
    }
}

/// A weakness in words.
fn words(weakness: &Weakness) -> String {
    match weakness {
        Weakness::NoExploration => {
            "no overlap: every recorded choice was certain (selection probability 1), so nothing is known of any other \
             and no number is given"
                .into()
        }
        Weakness::FewRows(rows) => format!("only {rows:.0} effective rows, fewer than {EFFECTIVE_ROWS_MIN:.0}"),
        Weakness::OneRow(share) => {
            let most = LARGEST_SHARE_MAX * 100.0;
            format!("one decision has {:.0} % of all weight, more than {most:.0} %", share * 100.0)
        }
        Weakness::Unsupported(share) => {
            let most = UNSUPPORTED_MAX * 100.0;
            format!(
                "in {:.0} % of the decisions the record was certain of another action, more than {most:.0} %",
                share * 100.0
            )
        }
        Weakness::Weights(mean) => format!(
            "the mean weight is {mean:.2}, not 1: the policy chooses what was hardly ever chosen, or the selection \
             probabilities are not true"
        ),
    }
}

/// Every how many-th decision is measured.
fn spacing(decisions: usize, policy: &Policy<'_>) -> usize {
    let most = policy.candidates.values().map(|candidates| candidates.heads.len()).max().unwrap_or(1);
    (decisions.saturating_mul(most.max(1)) / SCORES_MAX) + 1
}

/// The action with the highest acceptance.
struct Policy<'a> {
    table: &'a Table,
    heads: &'a Heads<'a>,
    candidates: BTreeMap<u32, Candidates>,
}

/// What a placement showed in training, by the heads that score it.
#[derive(Default)]
struct Candidates {
    heads: BTreeMap<usize, BTreeSet<u32>>,
}

impl<'a> Policy<'a> {
    fn of(table: &'a Table, heads: &'a Heads<'a>) -> Self {
        let mut groups = BTreeMap::new();
        let mut shown: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for row in &table.rows[..table.train] {
            groups.insert(row.action, row.group);
            shown.entry(row.choice.placement).or_default().insert(row.action);
        }
        let head = |action: u32| heads.find(&table.actions[action as usize], &table.groups[groups[&action] as usize]);
        let by_head = |actions: BTreeSet<u32>| {
            let mut candidates = Candidates::default();
            for action in actions {
                if let Some(head) = head(action) {
                    candidates.heads.entry(head).or_default().insert(action);
                }
            }
            candidates
        };
        let candidates = shown.into_iter().map(|(placement, actions)| (placement, by_head(actions))).collect();
        Self { table, heads, candidates }
    }

    /// A recorded decision with the chance that the policy chooses its action: actions of one score
    /// share the choice.
    fn logged(&self, at: usize) -> Logged {
        let row: &LabelledRow = &self.table.rows[at];
        let mut inputs = Vec::new();
        self.table.read(at, &mut inputs);
        let scores: Vec<(f64, &BTreeSet<u32>)> = self
            .candidates
            .get(&row.choice.placement)
            .into_iter()
            .flat_map(|candidates| &candidates.heads)
            .map(|(head, actions)| (self.heads.probability(*head, &inputs), actions))
            .collect();
        let best = scores.iter().map(|(score, _)| *score).fold(f64::NEG_INFINITY, f64::max);
        let (mut chosen, mut among) = (false, 0);
        for (_, actions) in scores.iter().filter(|(score, _)| best - score <= SAME) {
            chosen |= actions.contains(&row.action);
            among += actions.len();
        }
        Logged {
            target: if chosen { 1.0 / among as f64 } else { 0.0 },
            selection: row.choice.probability,
            reward: f64::from(u8::from(row.positive)),
        }
    }
}
