//! Follow-the-regularised-leader by linfa: a logistic regression that learns row by row, in their order
//! of time (McMahan and others 2013, "Ad click prediction: a view from the trenches").
//!
//! linfa's traps stop here: it has no intercept (a column of ones is added), its gradient is a sum
//! (so batches are small), its first weights are random (seeded) and it predicts in single precision.

use linfa::prelude::{FitWith, ParamGuard, Predict};
use linfa_ftrl::{Ftrl, FtrlError};
use ndarray::{Array1, Array2, Axis, s};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use tactful_core::score::Scorer;

use super::design::{Design, Scaling};
use super::{Library, Raw};
use crate::recipe::Recipe;

/// linfa's fit over scaled columns and a last one of ones.
#[derive(Debug)]
pub(super) struct Online {
    pub(super) scaling: Scaling,
    model: Ftrl<f64>,
}

pub(super) fn fit(design: &Design, recipe: &Recipe) -> Result<Raw, String> {
    let scaling = Scaling::of(design);
    let records = with_ones(scaling.matrix(design));
    let labels: Array1<bool> = design.labels.iter().copied().collect();
    let options = &recipe.ftrl;
    let params = Ftrl::<f64>::params_with_rng(Pcg64::seed_from_u64(recipe.seed))
        .alpha(options.learning_rate)
        .beta(options.beta)
        .l1_ratio(options.l1)
        .l2_ratio(options.l2)
        .check()
        .map_err(|error| format!("linfa: {error}"))?;
    let mut model = None;
    for _ in 0..options.epochs {
        for first in (0..labels.len()).step_by(options.batch) {
            let rows = first..(first + options.batch).min(labels.len());
            let batch = linfa::DatasetBase::new(records.slice(s![rows.clone(), ..]), labels.slice(s![rows]));
            model = Some(params.fit_with(model.take(), &batch).map_err(|error: FtrlError| format!("linfa: {error}"))?);
        }
    }
    let model = model.ok_or("there are no rows")?;
    let weights = model.get_weights();
    let bias = weights[scaling.len()];
    let linear = scaling.unscaled(&weights.to_vec()[..scaling.len()], bias, design.columns())?;
    Ok(Raw { scorer: Scorer::Linear(linear), library: Library::Ftrl(Online { scaling, model }), held_out: None })
}

impl Online {
    /// What linfa predicts for encoded columns.
    pub(super) fn predict(&self, encoded: &[f32]) -> f64 {
        let row = with_ones(self.scaling.scale(encoded).insert_axis(Axis(0)));
        f64::from(*self.model.predict(&row)[0])
    }
}

fn with_ones(matrix: Array2<f64>) -> Array2<f64> {
    let (rows, columns) = matrix.dim();
    let mut with = Array2::ones((rows, columns + 1));
    with.slice_mut(s![.., ..columns]).assign(&matrix);
    with
}
