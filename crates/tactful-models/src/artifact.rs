//! Model artifacts: one self-describing protobuf file. Written from a trained model; read as
//! untrusted input, which is measured before it is decoded and checked whole before it is used.

mod check;
mod head;
pub(crate) mod wire;

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tactful_core::layout::FieldKind;
use tactful_core::limits::{ACTIONS_MAX, COLUMNS_MAX, FIELDS_MAX, TREES_MAX, VOCABULARY_MAX};
use tactful_core::score::{Column, Model, ModelInput, ModelKind};
use tactful_proto::artifact as proto;

use crate::courtesy::{GivingWay, give_way};
use crate::error::Error;

/// Largest artifact: some three million nodes of trees.
pub const ARTIFACT_BYTES_MAX: usize = 64 << 20;
/// Format that is written and read.
pub const FORMAT: u32 = 1;
/// Most heads: one for each action and group, and the shared one.
pub(crate) const HEADS_MAX: usize = 2 * ACTIONS_MAX + 1;
/// Most golden rows: the recipe's most, or one for each head.
pub(crate) const GOLDEN_MAX: usize = HEADS_MAX + crate::recipe::GOLDEN_ROWS_MAX;
/// Most metrics.
pub(crate) const METRICS_MAX: usize = 64;

/// A model read from an artifact, checked whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The model; its version is the first 16 hex digits of `sha256`.
    pub model: Model,
    /// Rows that it was just proved on.
    pub golden_rows: Vec<GoldenRow>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// Measured on the test part, by name.
    pub metrics: BTreeMap<String, f64>,
    /// sha256 of the encoded model.
    pub sha256: [u8; 32],
}

/// Inputs and the expected output of one head.
#[derive(Clone, Debug)]
pub struct GoldenRow {
    /// One number for each input: categories as their index in the model's vocabulary, NaN for missing.
    pub inputs: Vec<f32>,
    /// Index of the head.
    pub head: usize,
    /// What the training library predicts, 0 to 1.
    pub probability: f64,
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// sha256 of the recipe, or of the imported file, in hex.
    pub recipe_sha256: String,
    /// Time of the earliest training decision, milliseconds since 1970.
    pub first_decision_ms: i64,
    /// Time of the latest training decision, milliseconds since 1970.
    pub last_decision_ms: i64,
    /// Rows it was trained on.
    pub train_rows: u64,
    /// Rows it was tested on.
    pub test_rows: u64,
    /// Seed of training.
    pub seed: u64,
    /// Version of the code that trained or imported it.
    pub code_version: String,
    /// Format of the file that it was imported from; empty for a model trained here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_format: String,
    /// What that file says of the library that wrote it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_version: String,
}

impl PartialEq for GoldenRow {
    /// Bit for bit, so that a missing input equals itself.
    fn eq(&self, other: &Self) -> bool {
        let bits = |row: &Self| row.inputs.iter().map(|input| input.to_bits()).collect::<Vec<_>>();
        self.head == other.head && self.probability == other.probability && bits(self) == bits(other)
    }
}

/// Reads an artifact.
///
/// # Errors
/// `Error::Artifact` naming the part at fault: size, checksum, format, counts, names, indices,
/// numbers that are not finite, or a golden row that the model does not reproduce within 1e-5.
pub fn read(bytes: &[u8]) -> Result<Loaded, Error> {
    if bytes.len() > ARTIFACT_BYTES_MAX {
        return refuse(format!("{} bytes, at most {ARTIFACT_BYTES_MAX} are allowed", bytes.len()));
    }
    wire::measure_envelope(bytes).map_err(Error::Artifact)?;
    let envelope = decode::<proto::Artifact>(bytes, "envelope")?;
    if envelope.format != FORMAT {
        return refuse(format!("format {}, this code reads format {FORMAT}", envelope.format));
    }
    let sha256 = sha256(&envelope.model);
    if envelope.sha256 != sha256 {
        return refuse("the checksum does not match: the file is damaged".into());
    }
    wire::measure_model(&envelope.model).map_err(Error::Artifact)?;
    let model = decode::<proto::Model>(&envelope.model, "model")?;
    check::loaded(model, sha256).map_err(Error::Artifact)
}

/// Writes an artifact.
///
/// # Errors
/// If it would be larger than can be loaded.
pub fn write(
    model: &Model,
    golden_rows: &[GoldenRow],
    lineage: &Lineage,
    metrics: &BTreeMap<String, f64>,
) -> Result<Vec<u8>, Error> {
    let kind = match model.kind() {
        ModelKind::Linear => proto::Kind::Linear,
        ModelKind::Forest => proto::Kind::Forest,
    };
    let model = proto::Model {
        name: model.name.clone(),
        kind: kind.into(),
        inputs: model.inputs.iter().map(write_input).collect(),
        columns: model.columns.iter().map(|column| write_column(*column)).collect(),
        heads: model.heads.iter().map(head::write).collect(),
        golden_rows: golden_rows.iter().map(write_golden).collect(),
        lineage: Some(write_lineage(lineage)?),
        metrics: metrics.iter().map(|(name, value)| proto::Metric { name: name.clone(), value: *value }).collect(),
    }
    .encode_to_vec();
    let sha256 = Sha256::digest(&model).to_vec();
    let bytes = proto::Artifact { format: FORMAT, model, sha256 }.encode_to_vec();
    if bytes.len() > ARTIFACT_BYTES_MAX {
        return Err(Error::TooMany {
            what: "bytes of the artifact (raise min_rows_per_action or list fewer features)".into(),
            count: bytes.len(),
            max: ARTIFACT_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Lower-case hex digits of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// sha256 of some bytes, piece by piece: see [`give_way`].
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for piece in bytes.chunks(1 << 14) {
        hash.update(piece);
        give_way();
    }
    hash.finalize().into()
}

fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Error::Artifact(reason))
}

fn decode<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, Error> {
    M::decode(GivingWay::new(bytes)).map_err(|error| Error::Artifact(format!("the {what} cannot be decoded: {error}")))
}

fn write_input(input: &ModelInput) -> proto::Input {
    let vocabulary = match &input.kind {
        FieldKind::Category(words) => words.clone(),
        FieldKind::Number | FieldKind::Bool => Vec::new(),
    };
    proto::Input { name: input.name.clone(), kind: input.kind.name().to_owned(), vocabulary }
}

fn write_column(column: Column) -> proto::Column {
    use proto::column::Encoding;
    let encoding = match column {
        Column::Number { fill, low, high, .. } => Encoding::Number(proto::Number { fill, low, high }),
        Column::Value { .. } => Encoding::Value(true),
        Column::Scaled { fill, offset, scale, .. } => Encoding::Scaled(proto::Scaled { fill, offset, scale }),
        Column::Category { category, .. } => Encoding::Category(category),
        Column::Missing { .. } => Encoding::Missing(true),
    };
    proto::Column { input: column.input() as u32, encoding: Some(encoding) }
}

fn write_golden(row: &GoldenRow) -> proto::GoldenRow {
    proto::GoldenRow { inputs: row.inputs.clone(), head: row.head as u32, probability: row.probability }
}

fn write_lineage(lineage: &Lineage) -> Result<proto::Lineage, Error> {
    let digits = lineage.recipe_sha256.as_bytes();
    let recipe_sha256 = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| Error::Artifact("the recipe's sha256 is not hex".into()))?;
    Ok(proto::Lineage {
        recipe_sha256,
        first_decision_ms: lineage.first_decision_ms,
        last_decision_ms: lineage.last_decision_ms,
        train_rows: lineage.train_rows,
        test_rows: lineage.test_rows,
        seed: lineage.seed,
        code_version: lineage.code_version.clone(),
        source_format: lineage.source_format.clone(),
        source_version: lineage.source_version.clone(),
    })
}

/// Bounds of what a model may hold, by name; the wire is measured against them before decoding.
pub(crate) const BOUNDS: [(u32, &str, usize); 5] = [
    (3, "inputs", FIELDS_MAX),
    (4, "columns", COLUMNS_MAX),
    (5, "heads", HEADS_MAX),
    (6, "golden rows", GOLDEN_MAX),
    (8, "metrics", METRICS_MAX),
];
/// Field of `Input` that repeats, and its bound.
pub(crate) const WORDS_BOUND: (u32, &str, usize) = (3, "words of an input", VOCABULARY_MAX);
/// Field of `Forest` that repeats, and its bound; a forest is field 7 of a head.
pub(crate) const TREES_BOUND: (u32, &str, usize) = (1, "trees of a head", TREES_MAX);
/// Most trees of all heads together: some hundred MiB as they are decoded.
pub(crate) const TREES_IN_ALL_MAX: usize = 1 << 20;
/// Field of `Head` that holds its forest.
pub(crate) const FOREST_FIELD: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lineage_in_json_comes_back_with_and_without_a_foreign_file() {
        for source_format in ["", "onnx"] {
            let lineage = Lineage { source_format: source_format.into(), train_rows: 3, ..Lineage::default() };
            let text = serde_json::to_string(&lineage).unwrap();
            assert_eq!(text.contains("source_format"), !source_format.is_empty());
            assert_eq!(serde_json::from_str::<Lineage>(&text).unwrap(), lineage);
        }
    }
}
