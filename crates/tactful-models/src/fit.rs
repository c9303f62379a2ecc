//! One logistic regression by linfa, and its weights for unscaled single-precision columns.
//!
//! linfa's own traps stop here: its positive label is the majority class, it refuses NaN and one
//! class, it panics on a wrong width, it is slow on unscaled columns, it ignores row weights (none
//! are offered) and it does not say whether it converged.

use linfa::traits::Fit;
use linfa_logistic::{FittedLogisticRegression, LogisticRegression};
use ndarray::{Array1, Array2, Axis};
use tactful_core::layout::FieldKind;
use tactful_core::score::{Column, LinearModel};

use crate::table::Table;

/// Most cells of one design matrix (8 bytes each, half a GiB); with more rows, evenly spaced ones fit.
const CELLS_MAX: usize = 1 << 26;
/// A fit has converged when no component of the mean gradient exceeds this.
const MEAN_GRADIENT_MAX: f64 = 1e-4;
/// linfa stops at this length of the mean gradient; well below, so that the check above is not at the mercy of rounding.
const MEAN_GRADIENT_STOP: f64 = 1e-7;

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) l2: f64,
    pub(crate) max_iterations: u64,
}

/// A fitted head: linfa's model, and the same as plain weights.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: f32,
    /// Rows that it was fitted on.
    pub(crate) rows: Vec<u32>,
    pub(crate) positives: u64,
    scaling: Scaling,
    library: Library,
}

/// What predicts for the fitted head.
#[derive(Debug)]
enum Library {
    /// linfa, and whether its positive class is the negative answer.
    Linfa { model: FittedLogisticRegression<f64, bool>, flip: bool },
    /// No column tells these rows apart: their share of positives is the maximum-likelihood fit.
    Share(f64),
}

/// The columns that vary, each shifted and scaled. Numbers get mean 0 and deviation 1; columns of
/// zeros and ones stay as they are.
#[derive(Debug, Default)]
struct Scaling {
    columns: Vec<usize>,
    offsets: Vec<f64>,
    scales: Vec<f64>,
}

/// Fits one head on some rows of the training part.
///
/// # Errors
/// Says why there is no head: one class, no convergence, weights that are not finite.
pub(crate) fn fit(frame: &LinearModel, table: &Table, rows: Vec<u32>, options: Options) -> Result<Fitted, String> {
    let rows = thin(rows, CELLS_MAX / frame.columns.len().max(1));
    let labels: Array1<bool> = rows.iter().map(|row| table.rows[*row as usize].positive).collect();
    let positives = labels.iter().filter(|positive| **positive).count();
    if positives == 0 || positives == rows.len() {
        return Err(format!("{positives} of {} rows are positive", rows.len()));
    }
    let scaling = Scaling::of(frame, table, &rows);
    let library = if scaling.columns.is_empty() {
        Library::Share(positives as f64 / rows.len() as f64)
    } else {
        regress(scaling.design(frame, table, &rows), labels, options)?
    };
    let (weights, bias) = library.unscaled(&scaling, frame.columns.len());
    if !bias.is_finite() || weights.iter().any(|weight| !weight.is_finite()) {
        return Err("a weight is not finite".into());
    }
    Ok(Fitted { weights, bias, positives: positives as u64, rows, scaling, library })
}

impl Fitted {
    /// What the library itself predicts for encoded columns: the probability of a positive answer.
    pub(crate) fn predict(&self, encoded: &[f32]) -> f64 {
        match &self.library {
            Library::Share(share) => *share,
            Library::Linfa { model, flip } => {
                let row = self.scaling.scale(encoded).insert_axis(Axis(0));
                let majority = model.predict_probabilities(&row)[0];
                if *flip { 1.0 - majority } else { majority }
            }
        }
    }

    /// The column that adds most to the logit on average, shift included: where rounding would come from.
    pub(crate) fn heaviest_column(&self) -> Option<usize> {
        let part = |at: usize| (f64::from(self.weights[self.scaling.columns[at]]) * self.scaling.offsets[at]).abs();
        (0..self.scaling.columns.len()).max_by(|a, b| part(*a).total_cmp(&part(*b))).map(|at| self.scaling.columns[at])
    }
}

impl Library {
    /// Weights and intercept for the columns as they are.
    fn unscaled(&self, scaling: &Scaling, columns: usize) -> (Vec<f32>, f32) {
        let mut weights = vec![0.0f32; columns];
        match self {
            Self::Share(share) => (weights, tactful_core::math::logit(*share) as f32),
            Self::Linfa { model, flip } => {
                let sign = if *flip { -1.0 } else { 1.0 };
                let mut bias = model.intercept() * sign;
                for (at, column) in scaling.columns.iter().enumerate() {
                    let weight = (model.params()[at] * sign / scaling.scales[at]) as f32;
                    weights[*column] = weight;
                    // With the rounded weight, its rounding acts on the distance from the mean only.
                    bias -= f64::from(weight) * scaling.offsets[at];
                }
                (weights, bias as f32)
            }
        }
    }
}

impl Scaling {
    fn of(frame: &LinearModel, table: &Table, rows: &[u32]) -> Self {
        let mut spreads = vec![Spread::default(); frame.columns.len()];
        for_each_row(frame, table, rows, |_, encoded| {
            spreads.iter_mut().zip(encoded).for_each(|(spread, value)| spread.add(f64::from(*value)));
        });
        let mut scaling = Self::default();
        for (column, spread) in spreads.iter().enumerate().filter(|(_, spread)| spread.low < spread.high) {
            let (offset, scale) = if is_number(frame, column) { (spread.mean, spread.deviation()) } else { (0.0, 1.0) };
            if scale > 0.0 {
                scaling.columns.push(column);
                scaling.offsets.push(offset);
                scaling.scales.push(scale);
            }
        }
        scaling
    }

    fn design(&self, frame: &LinearModel, table: &Table, rows: &[u32]) -> Array2<f64> {
        let mut design = Array2::zeros((rows.len(), self.columns.len()));
        for_each_row(frame, table, rows, |at, encoded| design.row_mut(at).assign(&self.scale(encoded)));
        design
    }

    fn scale(&self, encoded: &[f32]) -> Array1<f64> {
        let scaled = |at: usize| (f64::from(encoded[self.columns[at]]) - self.offsets[at]) / self.scales[at];
        (0..self.columns.len()).map(scaled).collect()
    }
}

/// Mean, variance (Welford) and range of one column.
#[derive(Clone, Debug)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

fn is_number(frame: &LinearModel, column: usize) -> bool {
    let column = frame.columns[column];
    matches!(column, Column::Number { .. }) && frame.inputs[column.input()].kind == FieldKind::Number
}

fn for_each_row(frame: &LinearModel, table: &Table, rows: &[u32], mut visit: impl FnMut(usize, &[f32])) {
    let mut inputs = Vec::with_capacity(frame.inputs.len());
    for (at, row) in rows.iter().enumerate() {
        table.read(*row as usize, &mut inputs);
        visit(at, &frame.encode(&inputs));
    }
}

/// At most `max` rows, evenly spaced.
fn thin(rows: Vec<u32>, max: usize) -> Vec<u32> {
    if rows.len() <= max {
        return rows;
    }
    (0..max).map(|at| rows[(at as u128 * rows.len() as u128 / max as u128) as usize]).collect()
}

fn regress(design: Array2<f64>, labels: Array1<bool>, options: Options) -> Result<Library, String> {
    let rows = design.nrows() as f64;
    let data = linfa::Dataset::new(design, labels);
    let model = LogisticRegression::default()
        .alpha(options.l2)
        .max_iterations(options.max_iterations)
        .gradient_tolerance(MEAN_GRADIENT_STOP * rows)
        .fit(&data)
        .map_err(|error| format!("linfa: {error}"))?;
    // linfa calls the majority class positive, whatever its order: the sign is taken from its labels.
    let flip = !model.labels().pos.class;
    let gradient = mean_gradient(&model, &data.records, &data.targets, options.l2);
    if gradient.is_nan() || gradient > MEAN_GRADIENT_MAX {
        return Err(format!("not converged after {} steps (mean gradient {gradient:.1e})", options.max_iterations));
    }
    Ok(Library::Linfa { model, flip })
}

/// Greatest component of the mean gradient of the penalised loss; NaN if anything is.
fn mean_gradient(
    model: &FittedLogisticRegression<f64, bool>,
    design: &Array2<f64>,
    labels: &Array1<bool>,
    l2: f64,
) -> f64 {
    let majority = model.labels().pos.class;
    let targets = labels.mapv(|label| f64::from(u8::from(label == majority)));
    let residuals = model.predict_probabilities(design) - targets;
    let weights = design.t().dot(&residuals) + model.params() * l2;
    let parts: Vec<f64> = weights.iter().copied().chain([residuals.sum()]).map(f64::abs).collect();
    // f64::max passes over a NaN, which here must not look like convergence.
    if parts.iter().any(|part| part.is_nan()) {
        return f64::NAN;
    }
    parts.into_iter().fold(0.0, f64::max) / design.nrows() as f64
}
