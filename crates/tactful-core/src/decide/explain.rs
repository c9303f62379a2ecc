//! Why and why not: the way of every candidate through the decision, found by asking each stage
//! again one candidate at a time. Slow and obvious, and only for requests that want it.

use super::arbitrate::Scoring;
use super::candidates::contains;
use super::{Decision, Explain, Request, Scored, Selection, SkipReason};
use crate::catalog::Tier;
use crate::layout::FieldIx;
use crate::rule::{Program, Truth, passes};
use crate::ruleset::{ActionIx, Ruleset};
use crate::state::CustomerView;

/// Losers that an explanation with REASONS names: those with the highest priority.
const NEAREST_LOSERS: usize = 5;

/// Where a candidate left the decision, in the order of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not among the caller's candidates, excluded, or without a treatment for the placements.
    Candidate,
    /// Its purpose is not allowed.
    Purpose,
    /// Outside its validity.
    Validity,
    /// May we? No.
    Eligibility,
    /// Does it make sense now? No.
    Applicability,
    /// Is it good for this customer? No.
    Suitability,
    /// It could not be scored.
    Score,
    /// Others had a higher priority, or the draw went to others.
    Arbitration,
    /// It was not worth the interruption.
    Interruption,
    /// It is shown.
    Shown,
}

/// The way of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The action.
    pub action: ActionIx,
    /// The stage that it reached last.
    pub stage: Stage,
    /// The rule that dropped it, if a rule did.
    pub rule: Option<usize>,
    /// The same in plain words.
    pub detail: String,
    /// What it scored or, for one that was dropped before, would have scored.
    pub scored: Scored,
    /// With FULL: the head's intercept.
    pub intercept: f32,
    /// With FULL: what each field added to the logit, the largest amounts first.
    pub contributions: Vec<(FieldIx, f32)>,
}

/// Adds reasons to what is shown, and traces.
pub(super) fn explain(
    ruleset: &Ruleset,
    view: &CustomerView,
    request: &Request,
    scoring: &Scoring<'_>,
    decision: &mut Decision,
    (fields, now_ms): (&[f32], i64),
) {
    let asker = Asker { ruleset, view, request, scoring, decision, fields, now_ms };
    let mut traces: Vec<Trace> = (0..ruleset.actions.len()).map(|action| asker.trace(action)).collect();
    let position = |trace: &Trace| ruleset.actions[trace.action].position;
    traces.sort_by(|a, b| {
        (b.stage == Stage::Shown)
            .cmp(&(a.stage == Stage::Shown))
            .then(b.scored.priority.total_cmp(&a.scored.priority))
            .then_with(|| position(a).cmp(&position(b)))
    });
    if request.explain == Explain::Reasons {
        let shown = traces.iter().filter(|trace| trace.stage == Stage::Shown).count();
        traces.retain(|trace| trace.stage != Stage::Candidate);
        traces.truncate(shown + NEAREST_LOSERS);
    }
    let reasons: Vec<Vec<String>> = shown_actions(decision).map(|action| asker.reasons(action)).collect();
    let slots = decision.placements.iter_mut().flat_map(|placement| &mut placement.shown);
    slots.zip(reasons).for_each(|(shown, reasons)| shown.reasons = reasons);
    decision.traces = traces;
}

fn shown_actions(decision: &Decision) -> impl Iterator<Item = ActionIx> + '_ {
    decision.placements.iter().flat_map(|placement| &placement.shown).map(|shown| shown.action)
}

/// Asks each stage about one action.
struct Asker<'a> {
    ruleset: &'a Ruleset,
    view: &'a CustomerView,
    request: &'a Request,
    scoring: &'a Scoring<'a>,
    decision: &'a Decision,
    fields: &'a [f32],
    now_ms: i64,
}

impl Asker<'_> {
    fn trace(&self, action: ActionIx) -> Trace {
        let scored = self.scoring.scored(action);
        let (stage, rule, detail) = self.verdict(action, &scored);
        let mut trace = Trace { action, stage, rule, detail, scored, intercept: 0.0, contributions: Vec::new() };
        if self.request.explain == Explain::Full
            && let Some((intercept, mut contributions)) = self.scoring.contributions(action)
        {
            contributions.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
            (trace.intercept, trace.contributions) = (intercept, contributions);
        }
        trace
    }

    fn verdict(&self, action: ActionIx, scored: &Scored) -> (Stage, Option<usize>, String) {
        if let Some(detail) = self.not_a_candidate(action) {
            return (Stage::Candidate, None, detail);
        }
        let purpose = self.ruleset.actions[action].purpose;
        if self.view.purposes & (1 << purpose) == 0 {
            return (Stage::Purpose, None, self.denied(purpose));
        }
        let valid = |(_, from, until): &&(ActionIx, i64, i64)| !(*from..*until).contains(&self.now_ms);
        if self.ruleset.validity.iter().filter(|(limited, _, _)| *limited == action).any(|entry| valid(&entry)) {
            return (Stage::Validity, None, "it is not valid at this time".into());
        }
        if let Some((stage, rule)) = self.failed_rule(action) {
            return (stage, Some(rule), self.rule_in_words(rule));
        }
        if let Some(detail) = self.unscorable(action, scored) {
            return (Stage::Score, None, detail);
        }
        self.outcome(action, scored)
    }

    fn denied(&self, purpose: usize) -> String {
        let name = &self.ruleset.schema.purposes()[purpose];
        if self.view.recorded >> purpose & 1 == 1 {
            format!("the customer denied the purpose {name}")
        } else {
            format!("the purpose {name} is denied until the customer allows it")
        }
    }

    fn not_a_candidate(&self, action: ActionIx) -> Option<String> {
        if self.request.candidates.as_ref().is_some_and(|mask| !contains(mask, action)) {
            return Some("it is not among the caller's candidates".into());
        }
        if self.request.excluded.contains(&action) {
            return Some("the caller excluded it".into());
        }
        self.placements(action).next().is_none().then(|| "it has no treatment for the placements asked for".into())
    }

    /// Positions of the request's placements in which the action has a treatment.
    fn placements(&self, action: ActionIx) -> impl Iterator<Item = usize> + '_ {
        let serves = move |position: &usize| {
            contains(&self.ruleset.placements[self.request.placements[*position].0].actions, action)
        };
        (0..self.request.placements.len()).filter(serves)
    }

    fn failed_rule(&self, action: ActionIx) -> Option<(Stage, usize)> {
        let failed = |rule: &&usize| {
            let rule = &self.ruleset.rules[**rule];
            !passes(&rule.program, rule.block, rule.unknown_drops, self.fields)
        };
        let rule = *self.ruleset.actions[action].rules.iter().find(failed)?;
        let stage = match self.ruleset.rules[rule].tier {
            Tier::Eligibility => Stage::Eligibility,
            Tier::Applicability => Stage::Applicability,
            Tier::Suitability => Stage::Suitability,
        };
        Some((stage, rule))
    }

    fn rule_in_words(&self, rule: usize) -> String {
        let rule = &self.ruleset.rules[rule];
        let what = if rule.block { "is blocked while" } else { "needs" };
        if rule.message.is_empty() { format!("it {what} {}", rule.source) } else { rule.message.clone() }
    }

    fn unscorable(&self, action: ActionIx, scored: &Scored) -> Option<String> {
        if !scored.priority.is_finite() {
            return Some("its score is not a finite number".into());
        }
        let named = self.ruleset.actions[action].model.as_deref().unwrap_or_default();
        self.scoring.model_missing(action).then(|| format!("the model {named} that it names is not loaded"))
    }

    /// Shown, beaten, or not worth the interruption.
    fn outcome(&self, action: ActionIx, scored: &Scored) -> (Stage, Option<usize>, String) {
        if shown_actions(self.decision).any(|shown| shown == action) {
            return (Stage::Shown, None, "it is shown".into());
        }
        if self.decision.selection == Selection::Holdout {
            return (Stage::Arbitration, None, "the random draw of the holdout went to others".into());
        }
        if self.decision.selection == Selection::Thompson {
            return (Stage::Arbitration, None, "the draw that explores went to others, or to silence".into());
        }
        let cost = |position: usize| self.ruleset.placements[self.request.placements[position].0].interruption_cost;
        let lowest = self.placements(action).map(cost).fold(f32::INFINITY, f32::min);
        if scored.priority <= lowest {
            let detail = format!("its priority {:.3} does not beat the interruption cost {lowest:.3}", scored.priority);
            return (Stage::Interruption, None, detail);
        }
        (Stage::Arbitration, None, self.beaten(action, scored))
    }

    fn beaten(&self, action: ActionIx, scored: &Scored) -> String {
        let rivals = self.placements(action).flat_map(|position| &self.decision.placements[position].shown);
        match rivals.min_by(|a, b| a.scored.priority.total_cmp(&b.scored.priority)) {
            Some(rival) => {
                let (name, other) = (&self.ruleset.actions[rival.action].id, rival.scored.priority);
                format!("its priority {:.3} is below the {other:.3} of {name}", scored.priority)
            }
            None => format!("its priority {:.3} does not beat the interruption cost", scored.priority),
        }
    }

    /// Why an action is shown: its own reasons, then the context weights that speak for it.
    fn reasons(&self, action: ActionIx) -> Vec<String> {
        let holds = |when: &Option<Program>| when.as_ref().is_none_or(|when| when.eval(self.fields) == Truth::True);
        let own = self.ruleset.actions[action].reasons.iter().filter(|reason| holds(&reason.when));
        let mut reasons: Vec<String> =
            own.filter_map(|reason| reason.text.render(&self.ruleset.layout, self.fields)).collect();
        for weight in &self.scoring.active {
            if weight.factors.of(action) > 1.0 && !weight.message.is_empty() {
                reasons.push(weight.message.clone());
            }
        }
        if self.decision.selection == Selection::Holdout {
            reasons.push("chosen at random: this customer is in the holdout that measures the engine".into());
        }
        reasons
    }
}

impl SkipReason {
    /// Upper-case code of the reason.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ModelMissing => "MODEL_MISSING",
            Self::NonFiniteScore => "NON_FINITE_SCORE",
            Self::UnknownAction => "UNKNOWN_ACTION",
        }
    }
}
