//! The decision, pure: candidates, rules, scores, priorities, selection and reasons.
//!
//! Same ruleset, view, request, time and seed: the same decision, bit for bit, on every CPU.

mod arbitrate;
mod candidates;
mod explain;
mod explore;
mod rank;
mod request;
mod select;

use crate::ruleset::{ActionIx, Alias, PlacementIx, Ruleset};
use crate::score::Source;
use crate::state::CustomerView;

pub use explain::{Stage, Trace};
pub use request::{ContextValue, Explain, FieldError, Request, RequestText};
pub use select::in_holdout;

/// What was decided for one customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// One for each placement asked for, in the same order.
    pub placements: Vec<PlacementDecision>,
    /// How the actions were selected.
    pub selection: Selection,
    /// Which model scored: champion or challenger.
    pub alias: Alias,
    /// True if nothing was known of the customer.
    pub cold_start: bool,
    /// Whether it rests on data of the customer.
    pub basis: Basis,
    /// Candidates that could not be scored.
    pub skipped: Vec<Skipped>,
    /// Fields that the decision was made on, NaN for missing: part of the record.
    pub fields: Vec<f32>,
    /// The way of the candidates, by the request's `explain`.
    pub traces: Vec<Trace>,
}

/// Whether a decision rests on data of the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Something that is known of the customer was read.
    Personal,
    /// Nothing was: the answer is that for anybody in this situation.
    NonPersonal,
}

/// What to show in one placement.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementDecision {
    /// The placement.
    pub placement: PlacementIx,
    /// Actions in order.
    pub shown: Vec<Shown>,
    /// Why this is so.
    pub reason: PlacementReason,
    /// Chance with which nothing was shown, where nothing is.
    pub silence_probability: f64,
}

/// Why a placement shows what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementReason {
    /// Personal actions are shown.
    Decided,
    /// No action was worth the interruption.
    NoAction,
    /// Nothing passed the rules: the fallback is shown.
    Fallback,
}

/// How actions were selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The highest priorities won.
    Best,
    /// Uniform draws without replacement from what passed the rules.
    Holdout,
    /// Draws by how often each could be best: see [`crate::catalog::ExplorationDef`].
    Thompson,
}

/// One action to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The action.
    pub action: ActionIx,
    /// Rank in the placement, from 0.
    pub slot: usize,
    /// Its score.
    pub scored: Scored,
    /// Chance with which it was chosen for this slot, given the earlier slots.
    pub selection_probability: f64,
    /// Reasons in plain words; empty with explain NONE.
    pub reasons: Vec<String>,
}

/// Priority of an action with every factor: P x V x C x L, multiplied in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The product.
    pub priority: f32,
    /// P: acceptance probability.
    pub acceptance: f32,
    /// V: value less cost.
    pub value: f32,
    /// C: context weight.
    pub context: f32,
    /// L: lever.
    pub lever: f32,
    /// Which head gave P.
    pub source: Source,
}

/// A candidate that could not be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its id; not always an action of the ruleset.
    pub action: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why a candidate could not be scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The model that the action names is not loaded.
    ModelMissing,
    /// The score is not a finite number.
    NonFiniteScore,
    /// The caller named a candidate that the catalogue does not know.
    UnknownAction,
}

impl Decision {
    /// The fields as a record holds them: 4 bytes each, little endian. One allocation.
    #[must_use]
    pub fn field_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.fields.len() * size_of::<f32>()];
        bytes.as_chunks_mut().0.iter_mut().zip(&self.fields).for_each(|(chunk, field)| *chunk = field.to_le_bytes());
        bytes
    }
}

/// Decides. `now_ms` is the moment for which every feature is read; `seed` feeds every draw.
///
/// Cost: one pass over the fields, the masks of the fields that rules read, and the weights of the
/// candidates that can be among the best; a handful of small allocations.
#[must_use]
pub fn decide(ruleset: &Ruleset, view: &CustomerView, request: &Request, now_ms: i64, seed: u64) -> Decision {
    let fields = fields(ruleset, view, request, now_ms);
    let candidates = candidates::eligible(ruleset, view.purposes, request, &fields, now_ms);
    let alias = ruleset.alias_for(view.customer);
    let scoring = arbitrate::Scoring::new(ruleset, alias, &fields);
    let selection = selection(ruleset, request);
    let exploration = ruleset.catalog.exploration.as_ref().filter(|_| selection == Selection::Thompson);
    let ranked = rank::rank(&scoring, &candidates, request, exploration);
    let mut decision = Decision {
        placements: Vec::with_capacity(request.placements.len()),
        selection,
        alias,
        cold_start: !view.known,
        basis: basis(ruleset, view, request),
        skipped: request.unknown_candidates.clone(),
        fields: Vec::new(),
        traces: Vec::new(),
    };
    decision.skipped.extend(ranked.skipped(ruleset));
    decision.placements = match exploration {
        Some(exploration) => explore::thompson(&scoring, exploration, &ranked, request, seed),
        None if selection == Selection::Holdout => select::uniform(&scoring, &candidates, &ranked, request, seed),
        None => select::best(ruleset, &ranked, request),
    };
    if request.explain != Explain::None {
        explain::explain(ruleset, view, request, &scoring, &mut decision, (&fields, now_ms));
    }
    decision.fields = fields;
    decision
}

/// What the champion ranks first on recorded fields and purposes: no holdout, no exploration, no reasons. For
/// comparing models on recorded decisions.
#[must_use]
pub fn greedy(
    ruleset: &Ruleset,
    fields: &[f32],
    purposes: u64,
    request: &Request,
    now_ms: i64,
) -> Vec<PlacementDecision> {
    let candidates = candidates::eligible(ruleset, purposes, request, fields, now_ms);
    let scoring = arbitrate::Scoring::new(ruleset, Alias::Champion, fields);
    select::best(ruleset, &rank::rank(&scoring, &candidates, request, None), request)
}

/// How the actions of this customer are selected.
fn selection(ruleset: &Ruleset, request: &Request) -> Selection {
    let holdout = ruleset.catalog.holdout.as_ref();
    if holdout.is_some_and(|holdout| in_holdout(holdout, &request.subject_id)) {
        return Selection::Holdout;
    }
    if ruleset.catalog.exploration.is_some() { Selection::Thompson } else { Selection::Best }
}

/// The vector of the decision: stored features and derived fields as of now, the request's context,
/// and the request's overrides on top, except of what the customer denies.
fn fields(ruleset: &Ruleset, view: &CustomerView, request: &Request, now_ms: i64) -> Vec<f32> {
    let mut fields = vec![f32::NAN; ruleset.layout.fields().len()];
    view.write_fields(&ruleset.schema, now_ms, &mut fields);
    for (field, value) in &request.values {
        if view.allows(&ruleset.schema, *field) {
            fields[*field] = *value;
        }
    }
    fields
}

/// Data of the customer is what is stored and what the request says in its place; the situation is none.
fn basis(ruleset: &Ruleset, view: &CustomerView, request: &Request) -> Basis {
    let schema = &ruleset.schema;
    let told = |(field, _): &(usize, f32)| schema.field_purpose(*field).is_some() && view.allows(schema, *field);
    if view.holds_data(schema) || request.values.iter().any(told) { Basis::Personal } else { Basis::NonPersonal }
}

#[cfg(test)]
mod tests;
