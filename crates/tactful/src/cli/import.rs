//! Options of `model import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  tactful model import model.txt --name acceptance --columns columns.txt --golden golden.csv
  tactful model import model.json --name acceptance --golden golden.csv --action upgrade_fibre
  tactful model import model.onnx --name acceptance --columns columns.txt --out models/may.model

Reads LightGBM text (booster.save_model(\"model.txt\")), XGBoost JSON (save_model(\"model.json\")) and ONNX as skl2onnx and
onnxmltools write it. A file of columns has one spec on each line, in the order of training:
  customer.age           a number                          customer.plan=large    1 if the category is that word
  customer.loyal:bool    true (1) or false (0)             customer.income?       1 if it is missing
Golden rows are CSV: these specs as header and a column `probability` with what the library itself predicts; an empty
cell is missing. The model must give the same within 1e-6. Without them nothing proves that it scores as the library does.";

/// Options of `model import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// Model file of another library
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name of the model, for example acceptance
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Its format [default: what its first bytes say]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ImportFormat>,
    /// File with one column spec on each line; # begins a comment [default: the header of the golden rows, or the
    /// names in the model file]
    #[arg(long, value_name = "FILE")]
    pub(crate) columns: Option<PathBuf>,
    /// Rows with the library's own predictions (CSV), 10 to 4096
    #[arg(long, value_name = "FILE")]
    pub(crate) golden: Option<PathBuf>,
    /// The model scores this action alone [default: all actions]
    #[arg(long, value_name = "ID", conflicts_with = "group")]
    pub(crate) action: Option<String>,
    /// The model scores the actions of this group
    #[arg(long, value_name = "ID")]
    pub(crate) group: Option<String>,
    /// Where to write the model, whole or not at all [default: NAME.model]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Formats of other libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// LightGBM text
    Lightgbm,
    /// XGBoost JSON
    Xgboost,
    /// ONNX with operators of ai.onnx.ml
    Onnx,
}
