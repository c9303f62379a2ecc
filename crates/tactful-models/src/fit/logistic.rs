//! A logistic regression by linfa.
//!
//! linfa's own traps stop here: its positive label is the majority class, it refuses NaN and one
//! class, it panics on a wrong width, it is slow on unscaled columns, it ignores row weights (none
//! are offered) and it does not say whether it converged.

use linfa::traits::Fit;
use linfa_logistic::{FittedLogisticRegression, LogisticRegression};
use ndarray::{Array1, Array2, Axis};
use tactful_core::math::logit;
use tactful_core::score::{Linear, Scorer};

use super::design::{Design, Scaling};
use super::{Library, Raw};
use crate::recipe::Recipe;

/// A fit has converged when no component of the mean gradient exceeds this.
const MEAN_GRADIENT_MAX: f64 = 1e-4;
/// linfa stops at this length of the mean gradient; well below, so that the check above is not at the mercy of rounding.
const MEAN_GRADIENT_STOP: f64 = 1e-7;

/// linfa's fit over scaled columns.
#[derive(Debug)]
pub(super) struct Logistic {
    pub(super) scaling: Scaling,
    model: Fit64,
}

#[derive(Debug)]
enum Fit64 {
    /// linfa, and whether its positive class is the negative answer.
    Linfa { model: FittedLogisticRegression<f64, bool>, flip: bool },
    /// No column tells these rows apart: their share of positives is the maximum-likelihood fit.
    Share(f64),
}

pub(super) fn fit(design: &Design, recipe: &Recipe) -> Result<Raw, String> {
    let scaling = Scaling::of(design);
    let model = if scaling.len() == 0 { Fit64::Share(design.rate()) } else { regress(&scaling, design, recipe)? };
    let linear = match &model {
        Fit64::Share(share) => {
            Linear { weights: vec![0.0; design.columns()], bias: logit(*share) as f32, spread: None }
        }
        Fit64::Linfa { model, flip } => {
            let sign = if *flip { -1.0 } else { 1.0 };
            let weights: Vec<f64> = model.params().iter().map(|weight| weight * sign).collect();
            scaling.unscaled(&weights, model.intercept() * sign, design.columns())?
        }
    };
    Ok(Raw { scorer: Scorer::Linear(linear), library: Library::Logistic(Logistic { scaling, model }), held_out: None })
}

impl Logistic {
    /// What linfa predicts for encoded columns.
    pub(super) fn predict(&self, encoded: &[f32]) -> f64 {
        match &self.model {
            Fit64::Share(share) => *share,
            Fit64::Linfa { model, flip } => {
                let row = self.scaling.scale(encoded).insert_axis(Axis(0));
                let majority = model.predict_probabilities(&row)[0];
                if *flip { 1.0 - majority } else { majority }
            }
        }
    }
}

fn regress(scaling: &Scaling, design: &Design, recipe: &Recipe) -> Result<Fit64, String> {
    let labels: Array1<bool> = design.labels.iter().copied().collect();
    let data = linfa::Dataset::new(scaling.matrix(design), labels);
    let model = LogisticRegression::default()
        .alpha(recipe.l2)
        .max_iterations(recipe.max_iterations)
        .gradient_tolerance(MEAN_GRADIENT_STOP * design.labels.len() as f64)
        .fit(&data)
        .map_err(|error| format!("linfa: {error}"))?;
    // linfa calls the majority class positive, whatever its order: the sign is taken from its labels.
    let flip = !model.labels().pos.class;
    let gradient = mean_gradient(&model, &data.records, &data.targets, recipe.l2);
    if gradient.is_nan() || gradient > MEAN_GRADIENT_MAX {
        return Err(format!("not converged after {} steps (mean gradient {gradient:.1e})", recipe.max_iterations));
    }
    Ok(Fit64::Linfa { model, flip })
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
