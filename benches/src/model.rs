//! A linear model over all features with one head for each action, and the artifact that a server loads.

use std::collections::BTreeMap;

use tactful_core::catalog::Catalog;
use tactful_core::layout::FieldKind;
use tactful_core::score::{Calibration, Column, Head, Linear, Model, ModelInput, Scope, Scorer};
use tactful_models::artifact::{self, GoldenRow, Lineage};

use crate::catalog::{FEATURES, FLAG_TRAITS, NUMBER_TRAITS, feature_name};
use crate::rng::Rng;

/// A model for the actions of a generated catalogue.
#[must_use]
pub fn model(catalog: &Catalog) -> Model {
    let mut rng = Rng::new(1);
    let flags = NUMBER_TRAITS..NUMBER_TRAITS + FLAG_TRAITS;
    let kind = |number| if flags.contains(&number) { FieldKind::Bool } else { FieldKind::Number };
    let input = |number| ModelInput { name: format!("customer.{}", feature_name(number)), kind: kind(number) };
    let heads = catalog.action.iter().map(|action| Head {
        scope: Scope::Action,
        id: action.id.clone(),
        // Numbers go up to 1,000: the logits of the actions differ by about one.
        scorer: Scorer::Linear(Linear {
            weights: (0..FEATURES).map(|_| (rng.unit() as f32 - 0.5) * 1e-3).collect(),
            bias: -2.0,
            spread: None,
        }),
        calibration: Calibration::None,
        rows: 1_000,
        positives: 100,
    });
    Model {
        name: "acceptance".into(),
        version: "benchmark".into(),
        heads: heads.collect(),
        inputs: (0..FEATURES).map(input).collect(),
        columns: (0..FEATURES).map(|input| Column::Number { input, fill: 500.0, low: 0.0, high: 1_000.0 }).collect(),
    }
}

/// The artifact of a model.
///
/// # Panics
/// If it is larger than an artifact may be.
#[must_use]
pub fn artifact(model: &Model) -> Vec<u8> {
    let lineage = Lineage { recipe_sha256: "0".repeat(64), code_version: "benchmark".into(), ..Lineage::default() };
    artifact::write(model, &golden_rows(model), &lineage, &BTreeMap::new()).expect("the model is small enough")
}

/// One row for each head, and enough for a model of few; every fourth input is missing.
fn golden_rows(model: &Model) -> Vec<GoldenRow> {
    const ROWS_MIN: usize = 10;
    let mut rng = Rng::new(2);
    let row = |row: usize| {
        let head = row % model.heads.len();
        let inputs: Vec<f32> =
            (0..model.inputs.len()).map(|at| if at % 4 == 0 { f32::NAN } else { rng.below(2) as f32 }).collect();
        GoldenRow { probability: f64::from(model.probability(head, &inputs)), head, inputs }
    };
    (0..model.heads.len().max(ROWS_MIN)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;

    #[test]
    fn a_server_would_load_the_artifact() {
        for actions in [1, 1_000] {
            let model = model(&catalog(actions));
            let loaded = tactful_models::artifact::read(&artifact(&model)).unwrap();
            assert_eq!((loaded.model.heads, loaded.model.columns), (model.heads, model.columns));
        }
    }
}
