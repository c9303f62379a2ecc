//! The messages of ONNX, as far as they are read; what is not declared is skipped. Everything that
//! repeats is counted before it is decoded, since two bytes of a file can become a hundred in memory.

use prost::Message;
use tactful_core::limits::NODES_MAX;

use crate::artifact::wire::each_field;

/// Most of what repeats, over the whole file.
const OPSETS_MAX: usize = 256;
const GRAPH_NODES_MAX: usize = 256;
const ATTRIBUTES_MAX: usize = 4_096;
const NAMES_MAX: usize = 16_384;
const STRINGS_MAX: usize = NODES_MAX + NAMES_MAX;

/// A file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(string, tag = "3")]
    pub(super) producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<Opset>,
    /// Encoded, since any is refused.
    #[prost(bytes = "vec", repeated, tag = "25")]
    pub(super) functions: Vec<Vec<u8>>,
}

/// A set of operators.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Opset {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

/// Nodes in the order of their computation.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
}

/// An operator with the names of its tensors.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

/// A named constant of an operator.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(super) strings: Vec<Vec<u8>>,
}

/// An array of numbers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub(super) float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub(super) double_data: Vec<f64>,
}

/// Name and type of an input or output.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) r#type: Option<Type>,
}

/// A type; others than tensors are not read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor_type: Option<TensorType>,
}

/// Elements and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

/// The lengths of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

/// One length; 0 if it is open.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(super) dim_value: i64,
}

/// Decodes a file.
///
/// # Errors
/// If it is damaged, or has more of anything than is read.
pub(super) fn decode(bytes: &[u8]) -> Result<Model, String> {
    measure(bytes)?;
    Model::decode(bytes).map_err(|error| format!("the file is damaged or no ONNX file: {error}"))
}

/// What was counted so far.
#[derive(Default)]
struct Counts {
    opsets: usize,
    nodes: usize,
    attributes: usize,
    names: usize,
    strings: usize,
}

fn measure(bytes: &[u8]) -> Result<(), String> {
    let mut counts = Counts::default();
    each_field(bytes, |field, payload| match (field, payload) {
        (7, Some(graph)) => measure_graph(graph, &mut counts),
        (8 | 25, Some(_)) => count(&mut counts.opsets, OPSETS_MAX, "operator sets"),
        _ => Ok(()),
    })
}

fn measure_graph(graph: &[u8], counts: &mut Counts) -> Result<(), String> {
    each_field(graph, |field, payload| match (field, payload) {
        (1, Some(node)) => {
            count(&mut counts.nodes, GRAPH_NODES_MAX, "nodes of the graph")?;
            measure_node(node, counts)
        }
        (11 | 12, Some(value)) => {
            count(&mut counts.names, NAMES_MAX, "names of tensors")?;
            measure_dimensions(value, 0, counts)
        }
        (5, Some(_)) => count(&mut counts.names, NAMES_MAX, "names of tensors"),
        _ => Ok(()),
    })
}

/// Counts the lengths in a value's type: field 2, then 1, 2 and 1 of what it holds.
fn measure_dimensions(message: &[u8], depth: usize, counts: &mut Counts) -> Result<(), String> {
    const WAY: [u32; 4] = [2, 1, 2, 1];
    each_field(message, |field, payload| match payload {
        Some(inner) if field == WAY[depth] && depth + 1 < WAY.len() => measure_dimensions(inner, depth + 1, counts),
        Some(_) if field == WAY[depth] => count(&mut counts.names, NAMES_MAX, "lengths of tensors"),
        _ => Ok(()),
    })
}

fn measure_node(node: &[u8], counts: &mut Counts) -> Result<(), String> {
    each_field(node, |field, payload| match (field, payload) {
        (1 | 2, Some(_)) => count(&mut counts.names, NAMES_MAX, "names of tensors"),
        (5, Some(attribute)) => {
            count(&mut counts.attributes, ATTRIBUTES_MAX, "attributes")?;
            each_field(attribute, |field, _| match field {
                9 => count(&mut counts.strings, STRINGS_MAX, "strings"),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    })
}

fn count(counter: &mut usize, max: usize, what: &str) -> Result<(), String> {
    *counter += 1;
    if *counter > max { Err(format!("more than {max} {what}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_in_a_file_and_large_in_memory_is_refused_unread() {
        let nodes = Graph { node: vec![Node::default(); GRAPH_NODES_MAX + 1], ..Graph::default() };
        let attributes = Node { attribute: vec![Attribute::default(); ATTRIBUTES_MAX + 1], ..Node::default() };
        let names = Node { input: vec![String::new(); NAMES_MAX + 1], ..Node::default() };
        let shape = Shape { dim: vec![Dimension::default(); NAMES_MAX + 1] };
        let tensor = TensorType { elem_type: 1, shape: Some(shape) };
        let input = ValueInfo { r#type: Some(Type { tensor_type: Some(tensor) }), ..ValueInfo::default() };
        let of_node = |node| Graph { node: vec![node], ..Graph::default() };
        for (graph, word) in [
            (nodes, "nodes"),
            (of_node(attributes), "attributes"),
            (of_node(names), "names"),
            (Graph { input: vec![input], ..Graph::default() }, "lengths"),
        ] {
            let bytes = Model { graph: Some(graph), ..Model::default() }.encode_to_vec();
            let refused = decode(&bytes).unwrap_err();
            assert!(refused.starts_with("more than") && refused.contains(word), "{refused}");
        }
        let opsets = Model { opset_import: vec![Opset::default(); OPSETS_MAX + 1], ..Model::default() };
        assert!(decode(&opsets.encode_to_vec()).unwrap_err().contains("operator sets"));
        assert!(decode(b"\x08\x0A\x3A\xFF").unwrap_err().contains("truncated"));
    }
}
