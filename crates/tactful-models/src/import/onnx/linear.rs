//! Imputer, Scaler and LinearClassifier.

use super::super::linear::Weights;
use super::Prepared;
use super::attributes::Attributes;
use super::messages::Node;

/// Columns whose missing values were filled.
pub(super) fn imputed(node: &Node, before: &Prepared, columns: usize) -> Result<Prepared, String> {
    let attributes = Attributes::of(node, &["imputed_value_floats", "replaced_value_float"])?;
    if !before.scaling.is_empty() || !before.fills.is_empty() {
        return Err("it is not the first step".into());
    }
    if !attributes.float("replaced_value_float").is_some_and(f32::is_nan) {
        return Err("it replaces other values than missing ones".into());
    }
    let fills = stretched(attributes.floats("imputed_value_floats"), columns, "imputed_value_floats")?;
    Ok(Prepared { fills, scaling: Vec::new() })
}

/// Columns that were scaled: (value - offset) x scale.
pub(super) fn scaled(node: &Node, before: &Prepared, columns: usize) -> Result<Prepared, String> {
    let attributes = Attributes::of(node, &["offset", "scale"])?;
    if !before.scaling.is_empty() {
        return Err("the columns are scaled already".into());
    }
    let offsets = stretched(attributes.floats("offset"), columns, "offset")?;
    let scales = stretched(attributes.floats("scale"), columns, "scale")?;
    Ok(Prepared { scaling: offsets.into_iter().zip(scales).collect(), ..before.clone() })
}

/// The weights of the second class, which is the positive one, and whether both probabilities sum to 1.
pub(super) fn classifier(node: &Node, columns: usize, scaling: &[(f32, f32)]) -> Result<(Weights, bool), String> {
    let known =
        ["classlabels_ints", "classlabels_strings", "coefficients", "intercepts", "multi_class", "post_transform"];
    let attributes = Attributes::of(node, &known)?;
    let labels = attributes.ints("classlabels_ints").len() + attributes.strings("classlabels_strings").len();
    if labels != 2 {
        return Err(format!("{labels} classes: only models of two are read"));
    }
    let coefficients = attributes.floats("coefficients");
    let intercepts = attributes.floats("intercepts");
    // One row is that of the positive class; the other one is its mirror image.
    let one = coefficients.len() == columns;
    let (negative, positive): (Vec<f32>, &[f32]) = match coefficients.split_at_checked(columns) {
        Some((row, [])) => (row.iter().map(|weight| -weight).collect(), row),
        Some((negative, positive)) if positive.len() == columns => (negative.to_vec(), positive),
        _ => return Err(format!("{} coefficients for 2 classes and {columns} columns", coefficients.len())),
    };
    let intercepts = match intercepts {
        [] => [0.0, 0.0],
        [intercept] if one => [-intercept, *intercept],
        [negative, positive] if !one => [*negative, *positive],
        other => return Err(format!("{} intercepts for 2 classes", other.len())),
    };
    let mirrored = intercepts[0] == -intercepts[1] && negative.iter().zip(positive).all(|(a, b)| *a == -*b);
    let weights = |of: &dyn Fn(f32, f32) -> f64| Weights {
        weights: negative.iter().zip(positive).map(|(negative, positive)| of(*negative, *positive)).collect(),
        bias: of(intercepts[0], intercepts[1]),
        scaling: scaling.to_vec(),
    };
    match attributes.post_transform()? {
        "LOGISTIC" => Ok((weights(&|_, positive| positive.into()), mirrored)),
        // Of two classes the softmax is the logistic function of the difference.
        "SOFTMAX" if !one => Ok((weights(&|negative, positive| f64::from(positive) - f64::from(negative)), true)),
        other => Err(format!("post_transform {} gives no probability", super::shown(other))),
    }
}

/// One value for each column; a single one is that of all.
fn stretched(values: &[f32], columns: usize, what: &str) -> Result<Vec<f32>, String> {
    let stretched = match values {
        [one] => vec![*one; columns],
        all if all.len() == columns => all.to_vec(),
        other => return Err(format!("{} values of {what} for {columns} columns", other.len())),
    };
    if stretched.iter().all(|value| value.is_finite()) { Ok(stretched) } else { Err(format!("{what} is not finite")) }
}
