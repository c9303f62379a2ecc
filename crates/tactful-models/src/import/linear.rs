//! Logistic regressions of other libraries as the core's weights over scaled columns.
//!
//! A weight of scaled numbers stays as it is and the number is scaled first. Folding the scaling into
//! the weights would be simpler, but in single precision a feature whose mean is a hundred deviations
//! from zero would then move probabilities by more than 1e-6.

use tactful_core::score::{Column, Linear};

use super::columns::{Columns, Kind};

/// logistic(bias + sum of weight x (value - offset) x scale).
#[derive(Debug)]
pub(super) struct Weights {
    /// By column of the file.
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
    /// By column of the file: offset and scale. Empty if nothing is scaled.
    pub(super) scaling: Vec<(f32, f32)>,
}

/// The core's columns and weights. `fills` take the place of missing numbers; `centres` are values
/// near which unscaled numbers lie, as far as known, so that digits are not spent on their distance from zero.
///
/// # Errors
/// If a number is not finite.
pub(super) fn compile(
    weights: &Weights,
    columns: &Columns,
    fills: &[f32],
    centres: &[f32],
) -> Result<(Vec<Column>, Linear), String> {
    let mut linear = Linear { weights: Vec::with_capacity(weights.weights.len()), bias: 0.0, spread: None };
    let mut bias = weights.bias;
    let mut compiled = Vec::with_capacity(weights.weights.len());
    for (at, ((input, kind), weight)) in columns.columns.iter().zip(&weights.weights).enumerate() {
        let (input, scaling) = (*input, weights.scaling.get(at).copied());
        let (column, factor) = match (kind, scaling) {
            (Kind::Value, Some((offset, scale))) => {
                let fill = fills.get(at).copied().unwrap_or(offset);
                (Column::Scaled { input, fill, offset, scale }, *weight)
            }
            (Kind::Value, None) => {
                let offset = centres.get(at).copied().unwrap_or_default();
                bias += weight * f64::from(offset);
                let fill = fills.get(at).copied().unwrap_or_default();
                (Column::Scaled { input, fill, offset, scale: 1.0 }, *weight)
            }
            // Zeros and ones keep all their digits in a folded weight.
            (Kind::Word(_) | Kind::Missing, scaling) => {
                let (offset, scale) = scaling.unwrap_or((0.0, 1.0));
                let factor = weight * f64::from(scale);
                bias -= factor * f64::from(offset);
                let column = match kind {
                    Kind::Word(category) => Column::Category { input, category: *category },
                    Kind::Value | Kind::Missing => Column::Missing { input },
                };
                (column, factor)
            }
        };
        compiled.push(column);
        linear.weights.push(factor as f32);
    }
    linear.bias = bias as f32;
    let finite = linear.bias.is_finite() && linear.weights.iter().all(|weight| weight.is_finite());
    if finite { Ok((compiled, linear)) } else { Err("a weight is not finite".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_stays_with_numbers_and_goes_into_the_weights_of_flags() {
        let columns = Columns::of(&["age".to_owned(), "plan=small".to_owned(), "age?".to_owned()]).unwrap();
        let weights =
            Weights { weights: vec![0.5, 2.0, 3.0], bias: 1.0, scaling: vec![(1e4, 0.01), (0.25, 4.0), (0.0, 1.0)] };
        let (compiled, linear) = compile(&weights, &columns, &[], &[]).unwrap();
        assert_eq!(compiled[0], Column::Scaled { input: 0, fill: 1e4, offset: 1e4, scale: 0.01 });
        assert_eq!(linear, Linear { weights: vec![0.5, 8.0, 3.0], bias: -1.0, spread: None });
    }

    #[test]
    fn unscaled_numbers_are_moved_to_their_centre() {
        let columns = Columns::of(&["age".to_owned()]).unwrap();
        let weights = Weights { weights: vec![0.5], bias: 1.0, scaling: Vec::new() };
        let (compiled, linear) = compile(&weights, &columns, &[7.0], &[40.0]).unwrap();
        assert_eq!(compiled[0], Column::Scaled { input: 0, fill: 7.0, offset: 40.0, scale: 1.0 });
        assert_eq!(linear, Linear { weights: vec![0.5], bias: 21.0, spread: None });
        let endless = Weights { weights: vec![f64::MAX], bias: 1.0, scaling: Vec::new() };
        assert!(compile(&endless, &columns, &[], &[]).is_err());
    }
}
