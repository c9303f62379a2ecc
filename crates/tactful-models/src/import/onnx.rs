//! ONNX files of scikit-learn, LightGBM and XGBoost models, as skl2onnx and onnxmltools write them.
//!
//! The graph is followed from its one input to the probability that it gives out: an imputer and a
//! scaler, one linear or tree model of `ai.onnx.ml`, and the glue after it. What an operator does is
//! what ONNX Runtime does. Operators, attributes and operator sets that are not known here are refused.

mod attributes;
mod ensemble;
mod linear;
mod messages;

use std::collections::BTreeMap;

use tactful_core::limits::{COLUMNS_MAX, ID_BYTES_MAX};

use self::attributes::Attributes;
use self::messages::{Graph, Model, Node, Tensor, ValueInfo};
use super::{Body, Foreign};

/// Operator sets that are known: the newest of each domain.
const ONNX_OPSET_MAX: i64 = 26;
const ML_OPSET_MAX: i64 = 4;
/// Element types.
const FLOAT: i64 = 1;
const DOUBLE: i64 = 11;
/// What is read, for messages.
const READ: &str = "read are Imputer, Scaler, LinearClassifier, TreeEnsembleClassifier, \
                    TreeEnsembleRegressor, and after them Normalizer, ZipMap, Identity, Cast and Mul by 1";

/// What a tensor holds.
#[derive(Clone, Debug)]
enum Holds {
    /// The columns, prepared.
    Columns(Prepared),
    /// A predicted label, or something made of one.
    Label,
    /// The probability; of both classes, if they are known to sum to 1.
    Probability { sums_to_one: bool },
    /// A number.
    Constant(f64),
    /// A constant of another shape or kind.
    Other,
}

/// What happened to the columns: `fills` for missing ones first, then (offset, scale). Empty for nothing.
#[derive(Clone, Debug, Default)]
struct Prepared {
    fills: Vec<f32>,
    scaling: Vec<(f32, f32)>,
}

/// The model that was met, and what it read.
struct Met {
    body: Body,
    prepared: Prepared,
}

/// Reads a model.
///
/// # Errors
/// Says what is no ONNX file, or cannot be scored exactly.
pub(super) fn read(bytes: &[u8]) -> Result<Foreign, String> {
    let model = messages::decode(bytes)?;
    check_opsets(&model)?;
    let version = version(&model);
    let graph = model.graph.ok_or("the file has no graph: it is no ONNX file, or cut off")?;
    let (mut tensors, columns) = begin(&graph)?;
    let mut met = None;
    for (at, node) in graph.node.iter().enumerate() {
        let told = |reason| format!("node {at} ({}): {reason}", shown(&node.op_type));
        step(node, columns, &mut tensors, &mut met).map_err(told)?;
    }
    let Met { body, prepared } = met.ok_or_else(|| format!("there is no model in the graph: {READ}"))?;
    let given = |output: &ValueInfo| matches!(tensors.get(output.name.as_str()), Some(Holds::Probability { .. }));
    if !graph.output.iter().any(given) {
        return Err("no output of the graph is the probability of its model".into());
    }
    Ok(Foreign { version, columns, names: Vec::new(), fills: prepared.fills, body, notes: Vec::new() })
}

fn check_opsets(model: &Model) -> Result<(), String> {
    if !model.functions.is_empty() {
        return Err("it defines functions of its own, which are not read".into());
    }
    for opset in &model.opset_import {
        let max = match opset.domain.as_str() {
            "" | "ai.onnx" => ONNX_OPSET_MAX,
            "ai.onnx.ml" => ML_OPSET_MAX,
            // Its operators are refused where they occur.
            _ => continue,
        };
        if !(1..=max).contains(&opset.version) {
            return Err(format!(
                "operator set {} of {:?} is not read, only 1 to {max}: export with target_opset={{'': 18, 'ai.onnx.ml': 3}}",
                opset.version,
                shown(&opset.domain)
            ));
        }
    }
    Ok(())
}

fn version(model: &Model) -> String {
    shown(format!("{} {}", model.producer_name, model.producer_version).trim())
}

/// The tensors that are there before any node: constants, and the input with its number of columns.
fn begin(graph: &Graph) -> Result<(BTreeMap<&str, Holds>, usize), String> {
    let mut tensors: BTreeMap<&str, Holds> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), constant(tensor))).collect();
    let inputs: Vec<&ValueInfo> =
        graph.input.iter().filter(|input| !tensors.contains_key(input.name.as_str())).collect();
    let [input] = inputs[..] else {
        return Err(format!(
            "{} inputs: export the model with one input of all columns, such as to_onnx(model, X[:1].astype(numpy.float32))",
            inputs.len()
        ));
    };
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).ok_or("its input is no tensor")?;
    if ![FLOAT, DOUBLE].contains(&i64::from(tensor.elem_type)) {
        return Err("its input does not hold floating-point numbers: export it with FloatTensorType".into());
    }
    let dims: Vec<i64> = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| dim.dim_value).collect();
    let columns = dims.get(1).and_then(|columns| usize::try_from(*columns).ok());
    match columns {
        Some(columns @ 1..=COLUMNS_MAX) if dims.len() == 2 => {
            tensors.insert(&input.name, Holds::Columns(Prepared::default()));
            Ok((tensors, columns))
        }
        Some(columns) if columns > COLUMNS_MAX => Err(format!("{columns} columns, at most {COLUMNS_MAX} are allowed")),
        _ => {
            Err("its input does not say how many columns it has: export it with FloatTensorType([None, COLUMNS])"
                .into())
        }
    }
}

/// A constant, if it is one number.
fn constant(tensor: &Tensor) -> Holds {
    let single = tensor.dims.iter().all(|dim| *dim == 1);
    let value =
        match (i64::from(tensor.data_type), &tensor.float_data[..], &tensor.double_data[..], &tensor.raw_data[..]) {
            (FLOAT, [value], [], []) => Some(f64::from(*value)),
            (DOUBLE, [], [value], []) => Some(*value),
            (FLOAT, [], [], raw) => raw.try_into().ok().map(|raw| f64::from(f32::from_le_bytes(raw))),
            (DOUBLE, [], [], raw) => raw.try_into().ok().map(f64::from_le_bytes),
            _ => None,
        };
    value.filter(|_| single).map_or(Holds::Other, Holds::Constant)
}

/// Follows one node.
fn step<'a>(
    node: &'a Node,
    columns: usize,
    tensors: &mut BTreeMap<&'a str, Holds>,
    met: &mut Option<Met>,
) -> Result<(), String> {
    let read =
        |name: &String| tensors.get(name.as_str()).ok_or_else(|| format!("nothing gives its input {}", shown(name)));
    let inputs: Vec<&Holds> = node.input.iter().map(read).collect::<Result<_, _>>()?;
    let gives = outputs(node, columns, &inputs, met)?;
    for (name, holds) in node.output.iter().zip(gives) {
        if !name.is_empty() && tensors.insert(name, holds).is_some() {
            return Err(format!("the tensor {} comes twice", shown(name)));
        }
    }
    Ok(())
}

/// What a node gives, output by output.
fn outputs(node: &Node, columns: usize, inputs: &[&Holds], met: &mut Option<Met>) -> Result<Vec<Holds>, String> {
    let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
    // What is made of labels and constants alone cannot touch the probability.
    if inputs.iter().all(|holds| matches!(holds, Holds::Label | Holds::Constant(_) | Holds::Other)) {
        return Ok(vec![if inputs.is_empty() { Holds::Other } else { Holds::Label }; node.output.len()]);
    }
    match (domain, node.op_type.as_str(), inputs) {
        ("ai.onnx", "Identity", [holds]) => Ok(vec![(*holds).clone()]),
        ("ai.onnx", "Cast", [holds @ (Holds::Columns(_) | Holds::Probability { .. })]) => {
            let to = Attributes::of(node, &["to", "saturate"])?.int("to")?;
            let kept = to == FLOAT || to == DOUBLE;
            if kept { Ok(vec![(*holds).clone()]) } else { Err(format!("it makes numbers of type {to} of fractions")) }
        }
        ("ai.onnx", "Mul", [Holds::Probability { sums_to_one }, Holds::Constant(by)])
        | ("ai.onnx", "Mul", [Holds::Constant(by), Holds::Probability { sums_to_one }]) => {
            let sums_to_one = *sums_to_one;
            if *by == 1.0 {
                Ok(vec![Holds::Probability { sums_to_one }])
            } else {
                Err(format!("it multiplies by {by}"))
            }
        }
        ("ai.onnx.ml", "ZipMap", [holds @ Holds::Probability { .. }]) => Ok(vec![(*holds).clone()]),
        ("ai.onnx.ml", "Normalizer", [Holds::Probability { sums_to_one: true }]) => {
            match Attributes::of(node, &["norm"])?.text("norm")? {
                "L1" => Ok(vec![Holds::Probability { sums_to_one: true }]),
                other => Err(format!("norm {} changes the probability", shown(other))),
            }
        }
        ("ai.onnx.ml", "Imputer", [Holds::Columns(prepared)]) => {
            Ok(vec![Holds::Columns(linear::imputed(node, prepared, columns)?)])
        }
        ("ai.onnx.ml", "Scaler", [Holds::Columns(prepared)]) => {
            Ok(vec![Holds::Columns(linear::scaled(node, prepared, columns)?)])
        }
        ("ai.onnx.ml", name, [Holds::Columns(prepared)]) => {
            let (body, sums_to_one) = model(node, name, columns, prepared)?;
            if met.replace(Met { body, prepared: prepared.clone() }).is_some() {
                return Err("there is more than one model".into());
            }
            let probability = Holds::Probability { sums_to_one };
            Ok(if name.ends_with("Classifier") { vec![Holds::Label, probability] } else { vec![probability] })
        }
        _ => Err(not_read(domain, &node.op_type)),
    }
}

/// The model of a node, and whether its two probabilities are known to sum to 1.
fn model(node: &Node, name: &str, columns: usize, prepared: &Prepared) -> Result<(Body, bool), String> {
    let trees = name.starts_with("TreeEnsemble");
    if trees && !prepared.scaling.is_empty() {
        return Err(
            "its trees read scaled columns, whose rounding would decide ways: fit the trees without a scaler".into()
        );
    }
    match name {
        "TreeEnsembleClassifier" => Ok((Body::Forest(ensemble::classifier(node, columns)?), false)),
        "TreeEnsembleRegressor" => Ok((Body::Forest(ensemble::regressor(node, columns)?), false)),
        "LinearClassifier" => {
            let (weights, sums_to_one) = linear::classifier(node, columns, &prepared.scaling)?;
            Ok((Body::Linear(weights), sums_to_one))
        }
        "LinearRegressor" => {
            Err("a linear regression gives no probability; ONNX Runtime passes over its post_transform".into())
        }
        other => Err(not_read("ai.onnx.ml", other)),
    }
}

fn not_read(domain: &str, operator: &str) -> String {
    let hint = match operator {
        "TreeEnsemble" => ": export with target_opset={'': 18, 'ai.onnx.ml': 3}",
        "Sub" | "Div" | "MatMul" | "Add" => ": export with FloatTensorType instead of DoubleTensorType",
        _ => "",
    };
    format!("{}.{} is not read in this place{hint}; {READ}", shown(domain), shown(operator))
}

/// A piece of the file as a message or an artifact shows it.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > ID_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}
