//! A linear model over all features with one head for each action, and the artifact that a server loads.

use prost::Message;
use sha2::{Digest, Sha256};
use tactful_core::catalog::Catalog;
use tactful_core::layout::FieldKind;
use tactful_core::score::{Column, Head, LinearModel, ModelInput, Scope};
use tactful_proto::artifact as proto;

use crate::catalog::{FEATURES, FLAG_TRAITS, NUMBER_TRAITS, feature_name};
use crate::rng::Rng;

/// A model for the actions of a generated catalogue.
#[must_use]
pub fn model(catalog: &Catalog) -> LinearModel {
    let mut rng = Rng::new(1);
    let flags = NUMBER_TRAITS..NUMBER_TRAITS + FLAG_TRAITS;
    let kind = |number| if flags.contains(&number) { FieldKind::Bool } else { FieldKind::Number };
    let input = |number| ModelInput { name: format!("customer.{}", feature_name(number)), kind: kind(number) };
    let heads = catalog.action.iter().map(|action| Head {
        scope: Scope::Action,
        id: action.id.clone(),
        // Numbers go up to 1,000: the logits of the actions differ by about one.
        weights: (0..FEATURES).map(|_| (rng.unit() as f32 - 0.5) * 1e-3).collect(),
        bias: -2.0,
        rows: 1_000,
        positives: 100,
    });
    LinearModel {
        name: "acceptance".into(),
        version: "benchmark".into(),
        heads: heads.collect(),
        inputs: (0..FEATURES).map(input).collect(),
        columns: (0..FEATURES).map(|input| Column::Number { input, fill: 500.0, low: 0.0, high: 1_000.0 }).collect(),
    }
}

/// The artifact of a model whose inputs are numbers and flags.
#[must_use]
pub fn artifact(model: &LinearModel) -> Vec<u8> {
    let encoded = proto::Model {
        name: model.name.clone(),
        kind: proto::Kind::Linear.into(),
        inputs: model.inputs.iter().map(input).collect(),
        columns: model.columns.iter().map(|column| encoded_column(*column)).collect(),
        heads: model.heads.iter().map(head).collect(),
        golden_rows: golden_rows(model),
        lineage: Some(proto::Lineage {
            recipe_sha256: vec![0; 32],
            code_version: "benchmark".into(),
            ..proto::Lineage::default()
        }),
        metrics: Vec::new(),
    }
    .encode_to_vec();
    let sha256 = Sha256::digest(&encoded).to_vec();
    proto::Artifact { format: 1, model: encoded, sha256 }.encode_to_vec()
}

fn input(input: &ModelInput) -> proto::Input {
    proto::Input { name: input.name.clone(), kind: input.kind.name().into(), vocabulary: Vec::new() }
}

fn encoded_column(column: Column) -> proto::Column {
    use proto::column::Encoding;
    let encoding = match column {
        Column::Number { fill, low, high, .. } => Encoding::Number(proto::Number { fill, low, high }),
        Column::Category { category, .. } => Encoding::Category(category),
        Column::Missing { .. } => Encoding::Missing(true),
    };
    proto::Column { input: column.input() as u32, encoding: Some(encoding) }
}

fn head(head: &Head) -> proto::LinearHead {
    proto::LinearHead {
        scope: proto::HeadScope::Action.into(),
        id: head.id.clone(),
        weights: head.weights.clone(),
        bias: head.bias,
        rows: head.rows,
        positives: head.positives,
    }
}

/// One row for each head, and enough for a model of few; every fourth input is missing.
fn golden_rows(model: &LinearModel) -> Vec<proto::GoldenRow> {
    const ROWS_MIN: usize = 10;
    let mut rng = Rng::new(2);
    let row = |row: usize| {
        let head = row % model.heads.len();
        let inputs: Vec<f32> =
            (0..model.inputs.len()).map(|at| if at % 4 == 0 { f32::NAN } else { rng.below(2) as f32 }).collect();
        proto::GoldenRow { probability: f64::from(model.probability(head, &inputs)), head: head as u32, inputs }
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
