//! Training from a dataset to a proven artifact: labelled table, one fit per head, golden rows,
//! quality on the latest rows, report. The model that is measured is the one that is written: it is
//! not refitted on the test part. The same rows, recipe and `now` give the same bytes.

use std::collections::BTreeMap;

use tactful_core::score::{Head, Model, Scope};

use crate::artifact::{self, HEADS_MAX, Lineage, hex};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fit::{Fitted, fit, steps};
use crate::golden;
use crate::metrics::Quality;
use crate::recipe::Recipe;
use crate::report::{About, FailedHead, Report};
use crate::score::{self, Heads};
use crate::table::Table;

/// How far training is: a call for each step of each head, in a forest for each tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Steps done so far.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// Scope of the head that is being fitted.
    pub scope: Scope,
    /// Its action or group; empty for the shared head.
    pub id: &'a str,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The artifact's bytes, as `artifact::read` takes them.
    pub artifact: Vec<u8>,
    /// The model that the bytes hold.
    pub model: Model,
    /// What went in and how good it is.
    pub report: Report,
}

/// A head to be fitted.
struct Plan {
    scope: Scope,
    id: String,
    rows: Vec<u32>,
}

/// Trains on a dataset that was collected for the same recipe; `now_ms` (milliseconds since 1970)
/// says which attribution windows have closed.
///
/// # Errors
/// If there is nothing to learn from, a listed feature is unknown, a bound is exceeded, or the
/// compiled form does not reproduce linfa's predictions within 1e-5.
pub fn train(
    recipe: &Recipe,
    dataset: Dataset,
    now_ms: i64,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Trained, Error> {
    let table = Table::new(dataset, now_ms, recipe.test_share)?;
    let positives = table.rows[..table.train].iter().filter(|row| row.positive).count();
    if positives == 0 || positives == table.train {
        return Err(Error::OneClass { rows: table.train, positives });
    }
    let mut model = Model {
        name: recipe.name.clone(),
        inputs: table.inputs.clone(),
        columns: table.columns.clone(),
        ..Model::default()
    };
    let (fitted, failed) = fit_all(&mut model, &table, plan(&table, recipe)?, recipe, progress)?;
    let golden_rows = golden::draw(&table, &fitted, &model, recipe.golden_rows, recipe.seed);
    golden::prove(&model, &golden_rows, &fitted)?;
    let train_rate = positives as f64 / table.train as f64;
    let scored = Heads::of(&model).test_part(&table);
    let test = Quality::of(&score::pairs(&scored), train_rate);
    let lineage = lineage(recipe, &table);
    let bytes = artifact::write(&model, &golden_rows, &lineage, &metrics(train_rate, test.as_ref()))?;
    // What is handed out is what a server will read, checks included.
    let model = artifact::read(&bytes)?.model;
    let report = Report::new(About {
        recipe,
        model: &model,
        table: &table,
        scored: &scored,
        lineage: &lineage,
        failed_heads: failed,
        test,
    });
    Ok(Trained { artifact: bytes, model, report })
}

/// The heads to try: actions and groups with enough data by id, then the shared one.
fn plan(table: &Table, recipe: &Recipe) -> Result<Vec<Plan>, Error> {
    let mut by_action: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut by_group: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (at, row) in table.rows[..table.train].iter().enumerate() {
        by_action.entry(&table.actions[row.action as usize]).or_default().push(at as u32);
        let group = &table.groups[row.group as usize];
        if !group.is_empty() {
            by_group.entry(group).or_default().push(at as u32);
        }
    }
    let enough = |rows: &[u32]| {
        let positives = rows.iter().filter(|row| table.rows[**row as usize].positive).count();
        rows.len() >= recipe.min_rows_per_action && positives >= recipe.min_positives_per_action
    };
    let plans = |scope, by_id: BTreeMap<&str, Vec<u32>>| {
        let kept = by_id.into_iter().filter(|(_, rows)| enough(rows));
        kept.map(|(id, rows)| Plan { scope, id: id.to_owned(), rows }).collect::<Vec<_>>()
    };
    let mut all = plans(Scope::Action, by_action);
    all.extend(plans(Scope::Group, by_group));
    all.push(Plan { scope: Scope::Global, id: String::new(), rows: (0..table.train as u32).collect() });
    if all.len() > HEADS_MAX {
        return Err(Error::TooMany { what: "heads".into(), count: all.len(), max: HEADS_MAX });
    }
    Ok(all)
}

/// Fits the planned heads into the model. A head that fails is left out with its reason; its action
/// is scored by its group or by the shared head.
fn fit_all(
    model: &mut Model,
    table: &Table,
    plans: Vec<Plan>,
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Vec<Fitted>, Vec<FailedHead>), Error> {
    let (mut done, total) = (0, plans.len() * steps(recipe));
    let mut fitted = Vec::new();
    let mut failed: Vec<FailedHead> = Vec::new();
    for (number, Plan { scope, id, rows }) in plans.into_iter().enumerate() {
        let head = fit(model, table, rows, recipe, &mut || {
            done += 1;
            progress(Progress { done, total, scope, id: &id });
        });
        // A head that failed took fewer steps than it had.
        if done < (number + 1) * steps(recipe) {
            done = (number + 1) * steps(recipe);
            progress(Progress { done, total, scope, id: &id });
        }
        match head {
            Ok(head) => {
                model.heads.push(Head {
                    scope,
                    id,
                    scorer: head.scorer.clone(),
                    calibration: head.calibration.clone(),
                    rows: head.rows.len() as u64,
                    positives: head.positives,
                });
                fitted.push(head);
            }
            Err(reason) => failed.push(FailedHead { scope: crate::report::scope_name(scope).to_owned(), id, reason }),
        }
    }
    match failed.last() {
        Some(last) if fitted.is_empty() => Err(Error::NoHead { reason: last.reason.clone() }),
        _ => Ok((fitted, failed)),
    }
}

fn lineage(recipe: &Recipe, table: &Table) -> Lineage {
    let train = &table.rows[..table.train];
    Lineage {
        recipe_sha256: hex(&recipe.sha256()),
        first_decision_ms: train.first().map_or(0, |row| row.time_ms),
        last_decision_ms: train.last().map_or(0, |row| row.time_ms),
        train_rows: table.train as u64,
        test_rows: (table.rows.len() - table.train) as u64,
        seed: recipe.seed,
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Lineage::default()
    }
}

fn metrics(train_rate: f64, test: Option<&Quality>) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::from([("train_positive_rate".to_owned(), train_rate)]);
    if let Some(test) = test {
        metrics.extend(test.auc.map(|auc| ("auc".to_owned(), auc)));
        for (name, value) in [
            ("log_loss", test.log_loss),
            ("log_loss_baseline", test.log_loss_baseline),
            ("brier", test.brier),
            ("calibration_error", test.calibration_error),
            ("test_positive_rate", test.positives as f64 / test.rows as f64),
        ] {
            metrics.insert(name.to_owned(), value);
        }
    }
    metrics
}
