//! Fits one head by linfa, calibrates it, and hands it over as a scorer of the core.
//!
//! Every kind answers the same question: what the library itself predicts (for the golden rows), the
//! compiled scorer, and predictions for rows that it was not fitted on, from which the calibration is
//! learnt.

mod calibration;
mod design;
mod forest;
mod ftrl;
mod logistic;

use tactful_core::score::{Calibration, Model, Scorer};

use self::design::Design;
use crate::recipe::{Recipe, RecipeKind};
use crate::table::Table;

/// Parts into which rows are dealt for predictions on rows that were not fitted on.
const FOLDS: usize = 3;

/// A fitted head.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) scorer: Scorer,
    pub(crate) calibration: Calibration,
    /// Rows that it was fitted on.
    pub(crate) rows: Vec<u32>,
    pub(crate) positives: u64,
    library: Library,
}

/// What predicts for a fitted head, other than the compiled scorer.
#[derive(Debug)]
enum Library {
    Logistic(logistic::Logistic),
    Ftrl(ftrl::Online),
    Forest(forest::Grown),
}

/// A scorer before calibration.
struct Raw {
    scorer: Scorer,
    library: Library,
    /// Predictions of rows by trees that did not see them, if the kind gives them for free.
    held_out: Option<Vec<(f64, bool)>>,
}

/// Fits one head on some rows of the training part; `step` is called [`steps`] times.
///
/// # Errors
/// Says why there is no head: one class, no convergence, weights that are not finite.
pub(crate) fn fit(
    frame: &Model,
    table: &Table,
    rows: Vec<u32>,
    recipe: &Recipe,
    step: &mut dyn FnMut(),
) -> Result<Fitted, String> {
    let rows = design::thin(rows, frame.columns.len());
    let positives = rows.iter().filter(|row| table.rows[**row as usize].positive).count();
    if positives == 0 || positives == rows.len() {
        return Err(format!("{positives} of {} rows are positive", rows.len()));
    }
    let design = Design::new(frame, table, &rows);
    let raw = raw(&design, recipe, step)?;
    let calibration = if calibration::is_wanted(recipe.calibration, &design.labels) {
        let held_out = match raw.held_out {
            Some(pairs) => pairs,
            None => predict_in_folds(&design, recipe)?,
        };
        calibration::choose(recipe.calibration, &held_out)
    } else {
        Calibration::None
    };
    Ok(Fitted { scorer: raw.scorer, calibration, positives: positives as u64, rows, library: raw.library })
}

/// Steps of fitting one head, for progress.
pub(crate) fn steps(recipe: &Recipe) -> usize {
    if recipe.kind == RecipeKind::Forest { recipe.trees.count } else { 1 }
}

fn raw(design: &Design, recipe: &Recipe, step: &mut dyn FnMut()) -> Result<Raw, String> {
    let raw = match recipe.kind {
        RecipeKind::Logistic => logistic::fit(design, recipe),
        RecipeKind::Ftrl => ftrl::fit(design, recipe),
        RecipeKind::Tree => forest::tree(design, recipe),
        RecipeKind::Forest => return forest::forest(design, recipe, step),
    };
    step();
    raw
}

/// Every row predicted by a fit on the two thirds of the rows that it is not among.
fn predict_in_folds(design: &Design, recipe: &Recipe) -> Result<Vec<(f64, bool)>, String> {
    let mut pairs = Vec::with_capacity(design.labels.len());
    for fold in 0..FOLDS {
        let (held_out, others): (Vec<usize>, Vec<usize>) = (0..design.labels.len()).partition(|at| at % FOLDS == fold);
        let fitted = raw(&design.select(&others), recipe, &mut || {})?;
        pairs.extend(held_out.iter().map(|at| (fitted.library.predict(&design.row(*at)), design.labels[*at])));
    }
    Ok(pairs)
}

impl Fitted {
    /// What the library itself predicts for encoded columns, calibrated: the probability of a positive answer.
    pub(crate) fn predict(&self, encoded: &[f32]) -> f64 {
        self.calibration.apply(self.library.predict(encoded))
    }

    /// The column that adds most to the logit on average, shift included: where rounding would come from.
    pub(crate) fn heaviest_column(&self) -> Option<usize> {
        match (&self.library, &self.scorer) {
            (Library::Logistic(fitted), Scorer::Linear(linear)) => fitted.scaling.heaviest_column(&linear.weights),
            (Library::Ftrl(fitted), Scorer::Linear(linear)) => fitted.scaling.heaviest_column(&linear.weights),
            _ => None,
        }
    }
}

impl Library {
    fn predict(&self, encoded: &[f32]) -> f64 {
        match self {
            Self::Logistic(fitted) => fitted.predict(encoded),
            Self::Ftrl(fitted) => fitted.predict(encoded),
            Self::Forest(fitted) => fitted.predict(encoded),
        }
    }
}
