//! The proof of an import: the library's own answers for some rows, reproduced to 1e-6. Without any,
//! rows are made where the model bends, so that a server still notices a damaged artifact.

use tactful_core::hash;
use tactful_core::layout::FieldKind;
use tactful_core::score::{Column, Model, ModelKind, Node, Scorer};

use super::columns::Columns;
use super::{ForeignRow, IMPORT_TOLERANCE};
use crate::artifact::GoldenRow;
use crate::courtesy::give_way;
use crate::recipe::{GOLDEN_ROWS_MAX, GOLDEN_ROWS_MIN};

/// Rows that are made where none were given.
const MADE: usize = 64;
/// Thresholds of one input that rows are made of: the first ones.
const THRESHOLDS_MAX: usize = 4_096;

/// Differences that rounding makes.
const ROUNDING: f64 = 1e-4;

/// Golden rows, and how well they were reproduced.
pub(super) struct Proof {
    pub(super) rows: Vec<GoldenRow>,
    pub(super) max_abs_diff: Option<f64>,
    pub(super) notes: Vec<String>,
}

/// Proves the model on the library's rows, or makes rows with the model's own answers.
///
/// # Errors
/// Names the row that cannot be, or those that the model does not reproduce.
pub(super) fn prove(model: &Model, columns: &Columns, given: &[ForeignRow]) -> Result<Proof, String> {
    if given.is_empty() {
        let note = "PARITY IS NOT PROVED: there were no rows with the library's own answers; give some with the import";
        return Ok(Proof { rows: made(model), max_abs_diff: None, notes: vec![note.to_owned()] });
    }
    if !(GOLDEN_ROWS_MIN..=GOLDEN_ROWS_MAX).contains(&given.len()) {
        return Err(format!("{} golden rows, not {GOLDEN_ROWS_MIN} to {GOLDEN_ROWS_MAX}", given.len()));
    }
    let fills: Vec<f32> = model.columns.iter().map(fill).collect();
    let mut rows = Vec::with_capacity(given.len() + 1);
    let mut worst = Worst::default();
    for (at, row) in given.iter().enumerate() {
        give_way();
        let told = |reason: String| format!("golden row {} {reason}", at + 1);
        let inputs = columns.inputs_of(&row.values, &fills).map_err(told)?;
        if !(0.0..=1.0).contains(&row.probability) {
            return Err(told(format!("has {} as its probability, which lies within 0 and 1", row.probability)));
        }
        let scored = f64::from(model.probability(0, &inputs));
        worst.add(at, scored, row.probability, inputs.iter().any(|input| input.is_nan()));
        rows.push(GoldenRow { inputs, head: 0, probability: row.probability });
    }
    worst.verdict(model.kind())?;
    let mut notes = Vec::new();
    let numbers = |row: &GoldenRow| {
        let mut inputs = model.inputs.iter().zip(&row.inputs);
        inputs.any(|(input, value)| value.is_nan() && !matches!(input.kind, FieldKind::Category(_)))
    };
    if !rows.iter().any(numbers) {
        let note = "no golden row has a missing number: what the model makes of one was not proved against the library";
        notes.push(note.to_owned());
    }
    // An artifact shows what it does with missing inputs, if only by its own word.
    if !rows.iter().flat_map(|row| &row.inputs).any(|input| input.is_nan()) {
        rows.push(with_answer(model, vec![f32::NAN; model.inputs.len()]));
    }
    Ok(Proof { rows, max_abs_diff: Some(worst.difference), notes })
}

/// Means of the given rows by column, missing values left out: where numbers lie.
pub(super) fn centres(given: &[ForeignRow], columns: usize) -> Vec<f32> {
    let mean = |column: usize| {
        let values = given.iter().filter_map(|row| row.values.get(column)).filter(|value| value.is_finite());
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + f64::from(*value), count + 1.0));
        if count > 0.0 { (sum / count) as f32 } else { 0.0 }
    };
    (0..columns).map(mean).collect()
}

/// How far the model is from the library.
#[derive(Default)]
struct Worst {
    difference: f64,
    row: usize,
    scored: f64,
    expected: f64,
    rows: usize,
    off: usize,
    off_with_missing: usize,
}

impl Worst {
    fn add(&mut self, row: usize, scored: f64, expected: f64, missing: bool) {
        let difference = (scored - expected).abs();
        self.rows += 1;
        // A NaN is as far as can be.
        let off = difference.is_nan() || difference > IMPORT_TOLERANCE;
        if off {
            self.off += 1;
            self.off_with_missing += usize::from(missing);
        }
        if difference > self.difference || difference.is_nan() {
            *self = Self { difference, row, scored, expected, ..*self };
        }
    }

    fn verdict(&self, kind: ModelKind) -> Result<(), String> {
        if self.off == 0 {
            return Ok(());
        }
        let hint = if self.off == self.off_with_missing {
            "only rows with missing values are off: the file does not say where the library sends them (exports of \
             scikit-learn forests as ONNX forget it); fill missing values before the model"
        } else if kind == ModelKind::Linear && self.difference < ROUNDING {
            "so little is rounding: a file in single precision rounds the means of a scaler, which counts where a mean is \
             many deviations from zero. Take the answers of ONNX Runtime as golden rows, or round the scaler's mean_ to \
             float32 before the regression is fitted"
        } else {
            "check that the columns are in the order of training, that the answers are those of this very file, and that \
             the values are in single precision"
        };
        Err(format!(
            "{} of {} golden rows are off by more than {IMPORT_TOLERANCE:e}; furthest is row {}, scored {} where the \
             library predicts {}: {hint}",
            self.off,
            self.rows,
            self.row + 1,
            self.scored,
            self.expected
        ))
    }
}

/// What takes the place of a missing number in a column; NaN if nothing does.
fn fill(column: &Column) -> f32 {
    match column {
        Column::Number { fill, .. } | Column::Scaled { fill, .. } => *fill,
        Column::Value { .. } | Column::Category { .. } | Column::Missing { .. } => f32::NAN,
    }
}

fn with_answer(model: &Model, inputs: Vec<f32>) -> GoldenRow {
    let probability = f64::from(model.probability(0, &inputs));
    GoldenRow { inputs, head: 0, probability }
}

/// Rows around the thresholds of trees and the middle of numbers; every third with a missing input,
/// every sixth with nothing known.
fn made(model: &Model) -> Vec<GoldenRow> {
    let values = bends(model);
    let number = |draw: usize, part: usize| hash::keyed(part as u64, &(draw as u64).to_le_bytes()) as usize;
    let row = |draw: usize| {
        let value = |(input, values): (usize, &Vec<f32>)| values[number(draw, input) % values.len()];
        let mut inputs: Vec<f32> = values.iter().enumerate().map(value).collect();
        match draw % 6 {
            5 => inputs.fill(f32::NAN),
            2 if !inputs.is_empty() => {
                let blank = number(draw, usize::MAX) % inputs.len();
                inputs[blank] = f32::NAN;
            }
            _ => {}
        }
        with_answer(model, inputs)
    };
    (0..MADE).map(row).collect()
}

/// By input, values between which the model tells; never none.
fn bends(model: &Model) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = model
        .inputs
        .iter()
        .map(|input| match &input.kind {
            FieldKind::Category(words) => (0..=words.len()).map(|word| word as f32).collect(),
            FieldKind::Bool => vec![0.0, 1.0],
            FieldKind::Number => vec![0.0, 1.0, -1.0],
        })
        .collect();
    let mut add = |column: &Column, more: &[f32]| {
        let input = column.input();
        if model.inputs[input].kind == FieldKind::Number && values[input].len() < THRESHOLDS_MAX {
            values[input].extend(more.iter().filter(|value| value.is_finite()));
        }
    };
    for column in &model.columns {
        if let Column::Scaled { offset, scale, .. } = column {
            add(column, &[*offset, offset + 1.0 / scale, offset - 2.0 / scale]);
        }
    }
    for head in &model.heads {
        let Scorer::Forest(forest) = &head.scorer else { continue };
        for node in forest.trees.iter().flat_map(|tree| &tree.nodes) {
            if let Node::Split(split) = node {
                add(&model.columns[split.column as usize], &[split.threshold, split.threshold.next_up()]);
            }
        }
    }
    values
}
