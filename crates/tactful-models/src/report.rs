//! What went into a model and how good it is: a value for machines (serde) and a table for people
//! (`Display`). It judges nothing beyond stating a drift.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use tactful_core::score::{Model, Scope};

use crate::artifact::Lineage;
use crate::metrics::Quality;
use crate::reward::LeftOut;
use crate::table::Table;

/// Standard errors between the positive rates of the two parts that count as a drift.
const DRIFT_MIN: f64 = 3.0;

/// Report on one training run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the model.
    pub model: String,
    /// Version of the model.
    pub version: String,
    /// Rows of the record.
    pub rows_read: u64,
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
    /// Whether actions without any other head have the shared one.
    pub shared_head: bool,
    /// Heads with enough data that could not be fitted.
    pub failed_heads: Vec<FailedHead>,
    /// Quality on the test part; none without one.
    pub test: Option<Quality>,
    /// Positive rates of the two parts compared; none without a test part.
    pub drift: Option<Drift>,
}

/// An input that the model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputReport {
    /// Name of the field.
    pub name: String,
    /// number, bool or category.
    pub kind: &'static str,
    /// Columns made of it.
    pub columns: usize,
}

/// A field that taught nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedInput {
    /// Name of the field.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub head: &'static str,
}

/// One group with a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupReport {
    /// Id of the group.
    pub group: String,
    /// Training rows.
    pub rows: u64,
    /// Positive ones.
    pub positives: u64,
}

/// A head with enough data that could not be fitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedHead {
    /// action, group or global.
    pub scope: &'static str,
    /// Id of the action or group; empty for the shared head.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The positive rates of the two parts compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Positive rate of the training part.
    pub train_rate: f64,
    /// Positive rate of the test part.
    pub test_rate: f64,
    /// Difference in standard errors; its sign is that of test less training.
    pub standard_errors: f64,
    /// Whether it is beyond chance.
    pub drifted: bool,
}

impl Drift {
    /// Compares the training part with the measured test part.
    pub(crate) fn between(positives: u64, rows: u64, test: &Quality) -> Self {
        let train_rate = positives as f64 / rows as f64;
        let test_rate = test.positives as f64 / test.rows as f64;
        let pooled = (positives + test.positives) as f64 / (rows + test.rows) as f64;
        let error = (pooled * (1.0 - pooled) * (1.0 / rows as f64 + 1.0 / test.rows as f64)).sqrt();
        let standard_errors = if error > 0.0 { (test_rate - train_rate) / error } else { 0.0 };
        Self { train_rate, test_rate, standard_errors, drifted: standard_errors.abs() > DRIFT_MIN }
    }
}

impl Report {
    pub(crate) fn new(
        model: &Model,
        table: &Table,
        lineage: &Lineage,
        failed_heads: Vec<FailedHead>,
        test: Option<Quality>,
        drift: Option<Drift>,
    ) -> Self {
        let positives = |rows: &[crate::table::LabelledRow]| rows.iter().filter(|row| row.positive).count() as u64;
        Self {
            model: model.name.clone(),
            version: model.version.clone(),
            rows_read: table.rows_read,
            left_out: table.left_out,
            answered_early: table.answered_early,
            train_rows: lineage.train_rows,
            train_positives: positives(&table.rows[..table.train]),
            test_rows: lineage.test_rows,
            test_positives: positives(&table.rows[table.train..]),
            lineage: lineage.clone(),
            inputs: inputs(model),
            dropped_inputs: table.dropped.clone(),
            actions: actions(model, table),
            groups: groups(model),
            shared_head: model.heads.iter().any(|head| head.scope == Scope::Global),
            failed_heads,
            test,
            drift,
        }
    }

    /// Actions with a head of their own.
    #[must_use]
    pub fn action_heads(&self) -> usize {
        self.actions.iter().filter(|action| action.head == "action").count()
    }
}

/// Name of a scope in reports.
pub(crate) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Action => "action",
        Scope::Group => "group",
        Scope::Global => "global",
    }
}

fn inputs(model: &Model) -> Vec<InputReport> {
    let columns = |at| model.columns.iter().filter(|column| column.input() == at).count();
    let report = |(at, input): (usize, &tactful_core::score::ModelInput)| InputReport {
        name: input.name.clone(),
        kind: input.kind.name(),
        columns: columns(at),
    };
    model.inputs.iter().enumerate().map(report).collect()
}

fn actions(model: &Model, table: &Table) -> Vec<ActionReport> {
    let heads: BTreeSet<(Scope, &str)> = model.heads.iter().map(|head| (head.scope, head.id.as_str())).collect();
    let mut by_action: BTreeMap<&str, ActionReport> = BTreeMap::new();
    for (at, row) in table.rows.iter().enumerate() {
        let action = table.actions[row.action as usize].as_str();
        let report = by_action.entry(action).or_insert_with(|| ActionReport {
            action: action.to_owned(),
            group: String::new(),
            rows: 0,
            positives: 0,
            acceptance: None,
            test_rows: 0,
            head: "prior",
        });
        report.group.clone_from(&table.groups[row.group as usize]);
        if at < table.train {
            report.rows += 1;
            report.positives += u64::from(row.positive);
        } else {
            report.test_rows += 1;
        }
    }
    let finish = |mut report: ActionReport| {
        report.acceptance = (report.rows > 0).then(|| report.positives as f64 / report.rows as f64);
        let tried = [(Scope::Action, report.action.as_str()), (Scope::Group, &report.group), (Scope::Global, "")];
        report.head =
            tried.into_iter().find(|head| heads.contains(head)).map_or("prior", |(scope, _)| scope_name(scope));
        report
    };
    by_action.into_values().map(finish).collect()
}

fn groups(model: &Model) -> Vec<GroupReport> {
    let groups = model.heads.iter().filter(|head| head.scope == Scope::Group);
    groups.map(|head| GroupReport { group: head.id.clone(), rows: head.rows, positives: head.positives }).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} {}", self.model, self.version)?;
        self.write_rows(f)?;
        self.write_inputs(f)?;
        self.write_quality(f)?;
        self.write_actions(f)
    }
}

impl Report {
    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |positives: u64, rows: u64| percent(positives as f64 / (rows as f64).max(1.0));
        writeln!(f, "  rows read    {:>9}", self.rows_read)?;
        for (reason, count) in self.left_out.reasons() {
            writeln!(f, "    left out   {count:>9}  {reason}")?;
        }
        let (train, test) = (self.train_rows, self.test_rows);
        writeln!(f, "  trained on   {train:>9}  {} positive", rate(self.train_positives, train))?;
        writeln!(f, "  tested on    {test:>9}  {} positive, the latest", rate(self.test_positives, test))?;
        if self.answered_early > 0 {
            writeln!(f, "  early        {:>9}  answered while their window was open", self.answered_early)?;
        }
        Ok(())
    }

    fn write_inputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: usize = self.inputs.iter().map(|input| input.columns).sum();
        writeln!(f, "  inputs       {:>9}  {columns} columns", self.inputs.len())?;
        self.write_dropped(f)?;
        for failed in &self.failed_heads {
            writeln!(f, "    no head    {} {}: {}", failed.scope, failed.id, failed.reason)?;
        }
        Ok(())
    }

    /// Inputs that are not used, counted by reason; the model card lists all of them.
    fn write_dropped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3;
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for dropped in &self.dropped_inputs {
            by_reason.entry(&dropped.reason).or_default().push(&dropped.name);
        }
        for (reason, names) in by_reason {
            let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if names.len() > NAMED { ", ..." } else { "" };
            writeln!(f, "    not used   {:>9}  {reason}: {named}{more}", names.len())?;
        }
        Ok(())
    }

    fn write_quality(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(test) = &self.test else { return writeln!(f, "  no test part: nothing is measured") };
        match test.auc {
            Some(auc) => writeln!(f, "  AUC             {auc:>6.4}  0.5 is chance")?,
            None => writeln!(f, "  AUC                  -  the test part has one answer only")?,
        }
        writeln!(f, "  log loss        {:>6.4}  {:.4} without a model", test.log_loss, test.log_loss_baseline)?;
        writeln!(f, "  Brier           {:>6.4}", test.brier)?;
        writeln!(f, "  calibration     {:>6.4}  mean distance of predicted and observed", test.calibration_error)?;
        match &self.drift {
            Some(drift) if drift.drifted => writeln!(
                f,
                "  drift: {} positive in the test part after {} in training ({:+.1} standard errors)",
                percent(drift.test_rate),
                percent(drift.train_rate),
                drift.standard_errors
            ),
            _ => Ok(()),
        }
    }

    fn write_actions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.actions.iter().map(|action| action.action.chars().count()).max().unwrap_or(0).max(6);
        writeln!(f, "\n  {:<width$}  {:>8}  {:>9}  {:>10}  head", "action", "rows", "positive", "acceptance")?;
        for ActionReport { action, rows, positives, acceptance, head, .. } in &self.actions {
            let acceptance = acceptance.map_or_else(|| "-".to_owned(), percent);
            writeln!(f, "  {action:<width$}  {rows:>8}  {positives:>9}  {acceptance:>10}  {head}")?;
        }
        Ok(())
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_a_difference_beyond_chance() {
        let quality = |positives: usize| {
            Quality::of(&(0..1_000).map(|at| (0.5, at < positives)).collect::<Vec<_>>(), 0.1).unwrap()
        };
        assert!(!Drift::between(400, 4_000, &quality(110)).drifted);
        let drift = Drift::between(400, 4_000, &quality(200));
        assert!(drift.drifted && drift.standard_errors > 8.0, "{drift:?}");
        assert!(!Drift::between(4_000, 4_000, &quality(1_000)).drifted);
    }
}
