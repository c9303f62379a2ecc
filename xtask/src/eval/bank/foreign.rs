//! Models of other libraries, imported and compared with the libraries' own predictions on every row
//! of the test part. The way from their columns to our inputs is written a second time here.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use tactful_core::{layout::FieldKind, score::Model};
use tactful_models::{ForeignRow, ImportOptions, import};

use super::auc;

/// Rows that prove an import; the others are compared afterwards.
const GOLDEN: usize = 200;
/// File of a model, file of its rows, and the columns of what its library predicts: for ONNX files both the
/// library that trained it and ONNX Runtime.
const FILES: [(&str, &str, &[&str]); 5] = [
    ("lightgbm.txt", "holes.csv", &["lightgbm"]),
    ("xgboost.json", "holes.csv", &["xgboost"]),
    ("linear.onnx", "filled.csv", &["linear", "runtime_linear"]),
    ("forest.onnx", "filled.csv", &["forest", "runtime_forest"]),
    ("lightgbm.onnx", "holes.csv", &["lightgbm", "runtime_lightgbm"]),
];

/// How far imported models are from their libraries.
pub(super) struct Compared {
    pub(super) auc_lightgbm: f64,
    /// Of scikit-learn's logistic regression.
    pub(super) auc_linear: f64,
    pub(super) lightgbm: f64,
    pub(super) xgboost: f64,
    pub(super) onnx: f64,
}

/// Column specs and rows of them.
struct Rows {
    specs: Vec<String>,
    values: Vec<Vec<f32>>,
}

/// Imports every file and scores all rows.
pub(super) fn compare(folder: &Path, answers: &[bool]) -> Result<Compared> {
    let predictions = Rows::read(&folder.join("predictions.csv"))?;
    let mut compared =
        Compared { auc_lightgbm: f64::NAN, auc_linear: f64::NAN, lightgbm: f64::NAN, xgboost: f64::NAN, onnx: 0.0 };
    for (file, rows, libraries) in FILES {
        let rows = Rows::read(&folder.join(rows))?;
        let predicted = libraries.iter().map(|library| predictions.column(library)).collect::<Result<Vec<_>>>()?;
        let complete = predicted.iter().all(|column| column.len() == answers.len());
        ensure!(complete && rows.values.len() == answers.len(), "{file}: rows are missing");
        let (difference, scored) = one(&folder.join(file), &rows, &predicted).with_context(|| file.to_owned())?;
        eprintln!("{file:<14} {} rows, at most {difference:.1e} from the library", scored.len());
        let pairs: Vec<(f64, bool)> = scored.into_iter().zip(answers.iter().copied()).collect();
        match file {
            "lightgbm.txt" => (compared.lightgbm, compared.auc_lightgbm) = (difference, auc(&pairs)),
            "xgboost.json" => compared.xgboost = difference,
            "linear.onnx" => (compared.onnx, compared.auc_linear) = (worse(compared.onnx, difference), auc(&pairs)),
            _ => compared.onnx = worse(compared.onnx, difference),
        }
    }
    Ok(compared)
}

/// Imports one file, proved on some rows; the greatest difference over all rows, and their scores.
fn one(file: &Path, rows: &Rows, predicted: &[Vec<f64>]) -> Result<(f64, Vec<f64>)> {
    let step = (rows.values.len() / GOLDEN).max(1);
    let golden = rows.values.iter().zip(&predicted[0]).step_by(step);
    let options = ImportOptions {
        name: "bank".into(),
        columns: rows.specs.clone(),
        golden: golden.map(|(values, p)| ForeignRow { values: values.clone(), probability: *p }).collect(),
        ..ImportOptions::default()
    };
    let model = import(&fs::read(file)?, &options)?.model;
    let mut scored = Vec::with_capacity(rows.values.len());
    let mut difference = 0.0;
    for (at, values) in rows.values.iter().enumerate() {
        let p = f64::from(model.probability(0, &inputs(&model, &rows.specs, values)));
        difference = predicted.iter().fold(difference, |difference, column| worse(difference, (p - column[at]).abs()));
        scored.push(p);
    }
    Ok((difference, scored))
}

/// The greater one; NaN if either is, so that it cannot pass for a small difference.
fn worse(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.max(other) }
}

/// What a decision would read where the foreign library reads these columns.
fn inputs(model: &Model, specs: &[String], values: &[f32]) -> Vec<f32> {
    let mut known: BTreeMap<&str, (Option<&str>, f32)> = BTreeMap::new();
    for (spec, value) in specs.iter().zip(values) {
        match spec.split_once('=') {
            Some((name, word)) if *value == 1.0 => known.insert(name, (Some(word), f32::NAN)),
            Some(_) => None,
            None => known.insert(spec.split(':').next().unwrap_or(spec), (None, *value)),
        };
    }
    let read = |input: &tactful_core::score::ModelInput| match (known.get(input.name.as_str()), &input.kind) {
        (Some((Some(word), _)), FieldKind::Category(words)) => {
            words.iter().position(|known| known == word).map_or(f32::NAN, |at| at as f32)
        }
        (Some((None, value)), _) => *value,
        _ => f32::NAN,
    };
    model.inputs.iter().map(read).collect()
}

impl Rows {
    fn read(path: &Path) -> Result<Self> {
        let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
        let specs = reader.headers()?.iter().map(str::to_owned).collect();
        let number =
            |cell: &str| if cell.is_empty() { Ok(f32::NAN) } else { cell.parse::<f64>().map(|value| value as f32) };
        let mut values = Vec::new();
        for record in reader.records() {
            values.push(record?.iter().map(number).collect::<Result<_, _>>()?);
        }
        Ok(Self { specs, values })
    }

    /// One column in double precision.
    fn column(&self, name: &str) -> Result<Vec<f64>> {
        let at =
            self.specs.iter().position(|spec| spec == name).with_context(|| format!("there is no column {name}"))?;
        Ok(self.values.iter().map(|row| row[at].into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use tactful_core::score::ModelInput;

    use super::*;

    #[test]
    fn columns_become_inputs() {
        let input = |name: &str, kind| ModelInput { name: name.into(), kind };
        let words = FieldKind::Category(vec!["maid".into(), "chef".into()]);
        let inputs_of = [input("age", FieldKind::Number), input("loan", FieldKind::Bool), input("job", words)];
        let model = Model { inputs: inputs_of.to_vec(), ..Model::default() };
        let specs = ["age", "job=maid", "job=chef", "loan:bool"].map(str::to_owned);
        assert_eq!(inputs(&model, &specs, &[40.0, 0.0, 1.0, 1.0]), [40.0, 1.0, 1.0]);
        let unknown = inputs(&model, &specs, &[f32::NAN, 0.0, 0.0, 0.0]);
        assert!(unknown[0].is_nan() && unknown[1] == 0.0 && unknown[2].is_nan());
    }

    #[test]
    fn a_difference_that_is_no_number_stays() {
        assert!(worse(f64::NAN, 1e-9).is_nan() && worse(1e-9, f64::NAN).is_nan());
        assert!((worse(1e-9, 1e-8) - 1e-8).abs() < 1e-20);
    }
}
