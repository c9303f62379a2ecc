//! What went into a model and how good it is: a value for machines (serde, a layout that stays) and a
//! table for people (`Display`). It judges nothing beyond stating a drift.

mod check;
mod drift;
mod importance;
mod parts;
mod text;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tactful_core::score::{Model, Scope};

pub use self::drift::{Drift, InputDrift};
pub use self::importance::Importance;
pub(crate) use self::value::ASSUMPTION;
pub use self::value::{Interval, PolicyValue};
use crate::artifact::Lineage;
use crate::metrics::{Curves, Quality};
use crate::recipe::Recipe;
use crate::reward::LeftOut;
use crate::score::{self, Heads, Scored};
use crate::table::{LabelledRow, Table};

/// Layout of the report that is written and read.
const FORMAT: u32 = 1;

/// Report on one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this layout; new fields may come, none goes or changes its meaning.
    pub format: u32,
    /// Name of the model.
    pub model: String,
    /// Version of the model.
    pub version: String,
    /// logistic, ftrl, tree or forest.
    pub kind: String,
    /// Heads by their calibration: none, platt or isotonic.
    pub calibrations: BTreeMap<String, u64>,
    /// Rows of the record.
    pub rows_read: u64,
    /// What put the rows in order, the latest of which test: time, or rows where they have none.
    pub ordered_by: String,
    /// Rows that did not train or test, by reason.
    pub left_out: LeftOut,
    /// Rows whose answer was known before their window closed, in either part.
    pub answered_early: u64,
    /// Rows in the training part.
    pub train_rows: u64,
    /// Positive ones.
    pub train_positives: u64,
    /// Rows in the test part.
    pub test_rows: u64,
    /// Positive ones.
    pub test_positives: u64,
    /// Where the training data comes from.
    pub lineage: Lineage,
    /// Inputs that the model reads.
    pub inputs: Vec<InputReport>,
    /// Fields that taught nothing.
    pub dropped_inputs: Vec<DroppedInput>,
    /// Actions of either part by id.
    pub actions: Vec<ActionReport>,
    /// Groups with a head by id.
    pub groups: Vec<GroupReport>,
    /// Channels with rows, most test rows first.
    pub channels: Vec<ChannelReport>,
    /// Whether actions without any other head have the shared one.
    pub shared_head: bool,
    /// Heads with enough data that could not be fitted.
    pub failed_heads: Vec<FailedHead>,
    /// Quality on the test part; none without one.
    pub test: Option<Quality>,
    /// ROC, lift and scores on the test part; none without one.
    pub curves: Option<Curves>,
    /// Positive rates of the two parts compared; none without a test part.
    pub drift: Option<Drift>,
    /// The model as a policy against the recorded one; none where the rows do not say how they were chosen.
    pub policy_value: Option<PolicyValue>,
}

/// An input that the model reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputReport {
    /// Name of the field.
    pub name: String,
    /// number, bool or category.
    pub kind: String,
    /// Columns made of it.
    pub columns: usize,
    /// What it is worth on the test part; none without one.
    pub importance: Option<Importance>,
    /// How far its population has moved; none without a test part.
    pub drift: Option<InputDrift>,
}

/// A field that taught nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedInput {
    /// Name of the field.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionReport {
    /// Id of the action.
    pub action: String,
    /// Its group at its latest decision; may be empty.
    pub group: String,
    /// Training rows.
    pub rows: u64,
    /// Positive ones.
    pub positives: u64,
    /// Share of positives; none without rows.
    pub acceptance: Option<f64>,
    /// Test rows.
    pub test_rows: u64,
    /// Head that scores it: action, group, global or prior.
    pub head: String,
    /// Quality on its test rows; none without one that a head scores.
    pub test: Option<Quality>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelReport {
    /// Name of the channel; empty where rows name none.
    pub channel: String,
    /// Training rows.
    pub rows: u64,
    /// Positive ones.
    pub positives: u64,
    /// Test rows.
    pub test_rows: u64,
    /// Quality on its test rows; none without one that a head scores.
    pub test: Option<Quality>,
}

/// One group with a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Id of the group.
    pub group: String,
    /// Training rows.
    pub rows: u64,
    /// Positive ones.
    pub positives: u64,
}

/// A head with enough data that could not be fitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedHead {
    /// action, group or global.
    pub scope: String,
    /// Id of the action or group; empty for the shared head.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl Report {
    pub(crate) fn new(about: About<'_>) -> Self {
        let About { recipe, model, table, scored, lineage, failed_heads, test } = about;
        let positives = |rows: &[LabelledRow]| rows.iter().filter(|row| row.positive).count() as u64;
        let train_positives = positives(&table.rows[..table.train]);
        let heads = Heads::of(model);
        Self {
            format: FORMAT,
            model: model.name.clone(),
            version: model.version.clone(),
            kind: recipe.kind.name().to_owned(),
            calibrations: calibrations(model),
            rows_read: table.rows_read,
            ordered_by: if table.by_rows { "rows" } else { "time" }.to_owned(),
            left_out: table.left_out,
            answered_early: table.answered_early,
            train_rows: lineage.train_rows,
            train_positives,
            test_rows: lineage.test_rows,
            test_positives: positives(&table.rows[table.train..]),
            lineage: lineage.clone(),
            inputs: parts::inputs(&heads, model, table, scored, recipe.seed),
            dropped_inputs: table.dropped.clone(),
            actions: parts::actions(&heads, table, scored),
            groups: groups(model),
            channels: parts::channels(table, scored),
            shared_head: model.heads.iter().any(|head| head.scope == Scope::Global),
            failed_heads,
            drift: test.as_ref().map(|test| Drift::between(train_positives, table.train as u64, test)),
            policy_value: PolicyValue::of(table, &heads),
            curves: test.as_ref().map(|_| Curves::of(&score::pairs(scored))),
            test,
        }
    }

    /// Actions with a head of their own.
    #[must_use]
    pub fn action_heads(&self) -> usize {
        self.actions.iter().filter(|action| action.head == "action").count()
    }

    /// Inputs by falling importance; in their order where that was not measured.
    #[must_use]
    pub fn inputs_by_importance(&self) -> Vec<&InputReport> {
        let mut inputs: Vec<&InputReport> = self.inputs.iter().collect();
        let worth = |input: &InputReport| input.importance.map_or(f64::NEG_INFINITY, |importance| importance.log_loss);
        inputs.sort_by(|left, right| worth(right).total_cmp(&worth(left)));
        inputs
    }

    /// Inputs whose population has moved, the furthest first.
    #[must_use]
    pub fn drifted_inputs(&self) -> Vec<(&InputReport, InputDrift)> {
        let drifted = |input: &'_ InputReport| input.drift.filter(|drift| drift.drifted);
        let mut found: Vec<(&InputReport, InputDrift)> =
            self.inputs.iter().filter_map(|input| Some((input, drifted(input)?))).collect();
        found.sort_by(|left, right| right.1.psi.total_cmp(&left.1.psi));
        found
    }
}

/// What a report is made of.
pub(crate) struct About<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) model: &'a Model,
    pub(crate) table: &'a Table,
    /// The test part.
    pub(crate) scored: &'a [Scored],
    pub(crate) lineage: &'a Lineage,
    pub(crate) failed_heads: Vec<FailedHead>,
    pub(crate) test: Option<Quality>,
}

/// Name of a scope in reports.
pub(crate) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Action => "action",
        Scope::Group => "group",
        Scope::Global => "global",
    }
}

/// Heads by what follows their scorer.
fn calibrations(model: &Model) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for head in &model.heads {
        *counts.entry(head.calibration.name().to_owned()).or_default() += 1;
    }
    counts
}

fn groups(model: &Model) -> Vec<GroupReport> {
    let groups = model.heads.iter().filter(|head| head.scope == Scope::Group);
    groups.map(|head| GroupReport { group: head.id.clone(), rows: head.rows, positives: head.positives }).collect()
}
