//! Models of other libraries: LightGBM text, XGBoost JSON and ONNX files become artifacts with one head.
//!
//! Each format has a strict reader of its own. What the core's trees and weights cannot say exactly is
//! refused with the reason; nothing is approximated, no code of a file is ever run. Rows with the
//! library's own answers prove the result to 1e-6; without them the result says that nothing was proved.

mod columns;
mod golden;
mod lightgbm;
mod linear;
mod onnx;
mod sniff;
mod trees;
mod xgboost;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tactful_core::score::{Calibration, Column, Forest, Head, Model, Scope, Scorer};

use self::columns::Columns;
use self::linear::Weights;
use crate::artifact::{self, Lineage, hex};
use crate::error::Error;
use crate::recipe::check_name;

/// Largest foreign file.
pub const IMPORT_BYTES_MAX: usize = 64 << 20;
/// How far the imported model may be from the library, in probability.
pub const IMPORT_TOLERANCE: f64 = 1e-6;

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text that `Booster.save_model` of LightGBM writes, version v3 or v4.
    LightGbm,
    /// The JSON that `save_model("model.json")` of XGBoost 2 or 3 writes.
    XgBoost,
    /// ONNX with the operators of `ai.onnx.ml`, as skl2onnx and onnxmltools write it.
    Onnx,
}

/// What an import must be told beside the file.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Name of the model.
    pub name: String,
    /// Format of the file; found by its first bytes if none.
    pub format: Option<Format>,
    /// One spec for each column of the file, in its order: `customer.age` (a number),
    /// `customer.loyal:bool`, `customer.plan=large` (1 if the category is that word),
    /// `customer.income?` (1 if missing). Empty: the names that the file gives its columns.
    pub columns: Vec<String>,
    /// What the head scores.
    pub scope: Scope,
    /// Id of the action or group; empty for the shared head.
    pub id: String,
    /// Rows with the library's own answers: none, or 10 to 4,096.
    pub golden: Vec<ForeignRow>,
    /// Rows that the model was trained on, as far as known.
    pub rows: u64,
    /// Positive ones among them.
    pub positives: u64,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            format: None,
            columns: Vec::new(),
            scope: Scope::Global,
            id: String::new(),
            golden: Vec::new(),
            rows: 0,
            positives: 0,
        }
    }
}

/// A row as the foreign library sees it, and what it predicts.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignRow {
    /// One value for each column of the file; NaN for missing.
    pub values: Vec<f32>,
    /// The library's probability of a positive answer.
    pub probability: f64,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The artifact's bytes, as `artifact::read` takes them.
    pub artifact: Vec<u8>,
    /// The model that the bytes hold.
    pub model: Model,
    /// Format of the file.
    pub format: Format,
    /// What the file says of the library that wrote it.
    pub source_version: String,
    /// Trees; 0 for a linear model.
    pub trees: usize,
    /// Nodes of all trees.
    pub nodes: usize,
    /// Golden rows in the artifact.
    pub golden_rows: usize,
    /// Greatest difference to the library over its own rows; none if there were none.
    pub max_abs_diff: Option<f64>,
    /// What the user should know, loudest first.
    pub notes: Vec<String>,
}

/// What a reader finds in a file.
#[derive(Debug)]
struct Foreign {
    version: String,
    /// Columns that it reads.
    columns: usize,
    /// Their names; empty if the file has none.
    names: Vec<String>,
    /// By column what takes the place of a missing number; empty if missing stays missing.
    fills: Vec<f32>,
    body: Body,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Body {
    Forest(Forest),
    Linear(Weights),
}

impl Format {
    /// Its name on the command line and in an artifact.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LightGbm => "lightgbm",
            Self::XgBoost => "xgboost",
            Self::Onnx => "onnx",
        }
    }
}

/// Reads a foreign model, proves it on the golden rows and writes it as an artifact.
///
/// # Errors
/// `Error::Import` saying what is wrong with the file, the specs or the golden rows, and what would
/// help; `Error::TooMany` where a bound is exceeded.
pub fn import(bytes: &[u8], options: &ImportOptions) -> Result<Imported, Error> {
    check(bytes, options).map_err(Error::Import)?;
    let format = match options.format {
        Some(format) => format,
        None => sniff::format(bytes).map_err(Error::Import)?,
    };
    let foreign = read(format, bytes).map_err(|reason| Error::Import(format!("{}: {reason}", format.name())))?;
    let columns = specs(&foreign, options).and_then(|specs| Columns::of(&specs)).map_err(Error::Import)?;
    let (mut model, notes) = model(&foreign, &columns, options).map_err(Error::Import)?;
    model.validate().map_err(|error| Error::Import(error.to_string()))?;
    let proof = golden::prove(&model, &columns, &options.golden).map_err(Error::Import)?;
    let lineage = Lineage {
        recipe_sha256: hex(&Sha256::digest(bytes)),
        train_rows: options.rows,
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        source_format: format.name().to_owned(),
        source_version: foreign.version.clone(),
        ..Lineage::default()
    };
    let artifact = artifact::write(&model, &proof.rows, &lineage, &BTreeMap::new())?;
    // What is handed out is what a server will read, checks included.
    model = artifact::read(&artifact)?.model;
    let trees = |head: &Head| match &head.scorer {
        Scorer::Forest(forest) => (forest.trees.len(), forest.trees.iter().map(|tree| tree.nodes.len()).sum()),
        Scorer::Linear(_) => (0, 0),
    };
    let (trees, nodes) = model.heads.first().map_or((0, 0), trees);
    Ok(Imported {
        golden_rows: proof.rows.len(),
        max_abs_diff: proof.max_abs_diff,
        notes: proof.notes.into_iter().chain(notes).chain(foreign.notes).collect(),
        source_version: foreign.version,
        artifact,
        model,
        format,
        trees,
        nodes,
    })
}

fn check(bytes: &[u8], options: &ImportOptions) -> Result<(), String> {
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(format!("{} bytes, at most {IMPORT_BYTES_MAX} are allowed", bytes.len()));
    }
    check_name(&options.name).map_err(|reason| format!("name: {reason}"))?;
    match (options.scope, options.id.is_empty()) {
        (Scope::Global, false) => return Err("the shared head has no id: leave it out, or name a scope".into()),
        (Scope::Action | Scope::Group, true) => return Err("the head of an action or group needs its id".into()),
        _ => {}
    }
    if options.positives > options.rows {
        return Err(format!("{} positive rows of {} are not possible", options.positives, options.rows));
    }
    Ok(())
}

fn read(format: Format, bytes: &[u8]) -> Result<Foreign, String> {
    match format {
        Format::LightGbm => lightgbm::read(bytes),
        Format::XgBoost => xgboost::read(bytes),
        Format::Onnx => onnx::read(bytes),
    }
}

/// The specs of the file's columns: those that were given, or the file's own names.
fn specs(foreign: &Foreign, options: &ImportOptions) -> Result<Vec<String>, String> {
    let how = "give one spec for each column in the order of training, for example customer.age, \
               customer.loyal:bool, customer.plan=large or customer.income?";
    if options.columns.is_empty() {
        return match foreign.names.len() {
            0 => Err(format!("the file does not name its {} columns: {how}", foreign.columns)),
            _ => Ok(foreign.names.clone()),
        };
    }
    if options.columns.len() != foreign.columns {
        return Err(format!(
            "{} column specs, but the file reads {} columns: {how}",
            options.columns.len(),
            foreign.columns
        ));
    }
    Ok(options.columns.clone())
}

/// The model with its one head, and what there is to say about it.
fn model(foreign: &Foreign, columns: &Columns, options: &ImportOptions) -> Result<(Model, Vec<String>), String> {
    let mut notes = Vec::new();
    let (columns_out, scorer) = match &foreign.body {
        Body::Forest(forest) => (columns.for_trees(&foreign.fills), Scorer::Forest(forest.clone())),
        Body::Linear(weights) => {
            let centres = golden::centres(&options.golden, foreign.columns);
            let (columns, linear) = linear::compile(weights, columns, &foreign.fills, &centres)?;
            if foreign.fills.is_empty() && columns.iter().any(|column| matches!(column, Column::Scaled { .. })) {
                notes.push(
                    "the library takes no missing numbers: here one counts as the offset of its scaler (the mean, \
                     for a StandardScaler), or as 0 without a scaler"
                        .to_owned(),
                );
            }
            (columns, Scorer::Linear(linear))
        }
    };
    let head = Head {
        scope: options.scope,
        id: options.id.clone(),
        scorer,
        calibration: Calibration::None,
        rows: options.rows,
        positives: options.positives,
    };
    let model = Model {
        name: options.name.clone(),
        inputs: columns.inputs.clone(),
        columns: columns_out,
        heads: vec![head],
        ..Model::default()
    };
    Ok((model, notes))
}
