//! Model artifacts whose scores are known: one shared head that gives every action the same
//! acceptance probability, or one that reads a given input.

use prost::Message;
use sha2::{Digest, Sha256};
use tactful_core::math::sigmoid;
use tactful_proto::artifact as proto;

const UNBOUNDED: proto::Number = proto::Number { fill: 0.0, low: f32::NEG_INFINITY, high: f32::INFINITY };

/// A model by which every action has the acceptance probability `sigmoid(bias)`.
pub(crate) fn constant(bias: f32) -> Vec<u8> {
    artifact(bias, ("customer.age", "number"))
}

/// A model with a head of the action `card` of so many rows, by which it has the acceptance `sigmoid(bias)`.
pub(crate) fn card(bias: f32, rows: u64) -> Vec<u8> {
    let mut model = decoded(&constant(bias));
    let head = &mut model.heads[0];
    (head.scope, head.id, head.rows) = (proto::HeadScope::Action.into(), "card".into(), rows);
    signed(&model)
}

/// The same with another input, which no weight reads.
pub(crate) fn artifact(bias: f32, (input, kind): (&str, &str)) -> Vec<u8> {
    let golden = |input: f32| proto::GoldenRow { inputs: vec![input], head: 0, probability: sigmoid(bias).into() };
    let model = proto::Model {
        name: "acceptance".into(),
        kind: proto::Kind::Linear.into(),
        inputs: vec![proto::Input { name: input.into(), kind: kind.into(), vocabulary: Vec::new() }],
        columns: vec![proto::Column { input: 0, encoding: Some(proto::column::Encoding::Number(UNBOUNDED)) }],
        heads: vec![proto::Head {
            scope: proto::HeadScope::Global.into(),
            id: String::new(),
            weights: vec![0.0],
            bias,
            rows: 100,
            positives: 10,
            ..proto::Head::default()
        }],
        golden_rows: (0..11).map(|at| golden(if at == 0 { f32::NAN } else { at as f32 })).collect(),
        lineage: Some(proto::Lineage {
            recipe_sha256: vec![7; 32],
            code_version: "test".into(),
            ..proto::Lineage::default()
        }),
        metrics: Vec::new(),
    };
    signed(&model)
}

fn signed(model: &proto::Model) -> Vec<u8> {
    let model = model.encode_to_vec();
    let sha256 = Sha256::digest(&model).to_vec();
    proto::Artifact { format: 1, model, sha256 }.encode_to_vec()
}

/// A model whose score is no number as soon as a customer's age and orders are large: infinity less infinity.
pub(crate) fn overflowing() -> Vec<u8> {
    let mut model = decoded(&constant(0.0));
    let column = |input| proto::Column { input, encoding: Some(proto::column::Encoding::Number(UNBOUNDED)) };
    model.inputs.push(proto::Input { name: "customer.orders".into(), kind: "number".into(), vocabulary: Vec::new() });
    model.columns = vec![column(0), column(1)];
    model.heads[0].weights = vec![3e38, -3e38];
    model.golden_rows.iter_mut().for_each(|row| row.inputs = vec![f32::NAN, f32::NAN]);
    signed(&model)
}

fn decoded(artifact: &[u8]) -> proto::Model {
    proto::Artifact::decode(artifact)
        .and_then(|file| proto::Model::decode(file.model.as_slice()))
        .expect("it was just written")
}
