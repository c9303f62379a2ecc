//! The labelled rows in order of time, and the inputs and columns that their training part gives
//! rise to. A column that cannot tell rows apart is left out, with the reason.

use tactful_core::layout::FieldKind;
use tactful_core::limits::COLUMNS_MAX;
use tactful_core::score::{Column, ModelInput};

use crate::dataset::{Aside, Choice, Dataset, RawField, Row};
use crate::error::Error;
use crate::report::DroppedInput;
use crate::reward::LeftOut;

/// A number whose mean lies further from zero than this many standard deviations is not learnt
/// from: weight times mean is taken back by the intercept, and its rounding stays. With a weight of 1
/// per deviation three roundings of 2^-24 x 250 move a probability by at most 250 x 1.8e-7 / 4 = 1.1e-5,
/// about the tolerance of the golden rows.
const MEAN_PER_DEVIATION_MAX: f64 = 250.0;

/// Labelled rows in order of time, the earlier part for training.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<LabelledRow>,
    /// Rows before this one train, the others test.
    pub(crate) train: usize,
    pub(crate) inputs: Vec<ModelInput>,
    pub(crate) columns: Vec<Column>,
    pub(crate) dropped: Vec<DroppedInput>,
    pub(crate) actions: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) channels: Vec<String>,
    pub(crate) left_out: LeftOut,
    pub(crate) rows_read: u64,
    pub(crate) answered_early: u64,
    pub(crate) by_rows: bool,
    /// Decisions of the test part's time whose action never trains.
    pub(crate) asides: Vec<LabelledAside>,
    /// By input, then by row.
    values: Vec<Vec<f32>>,
}

/// A decision whose action never trains, with its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledAside {
    pub(crate) probability: f64,
    pub(crate) silent: bool,
    pub(crate) positive: bool,
}

/// One labelled row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledRow {
    pub(crate) time_ms: i64,
    pub(crate) action: u32,
    pub(crate) group: u32,
    pub(crate) channel: u32,
    pub(crate) choice: Choice,
    pub(crate) positive: bool,
}

impl Table {
    /// Labels the rows at `now_ms`, orders them and splits off the latest share.
    pub(crate) fn new(mut dataset: Dataset, now_ms: i64, test_share: f64) -> Result<Self, Error> {
        let rows = label(&mut dataset, now_ms);
        if rows.is_empty() {
            return Err(Error::NoRows { reason: why_empty(&dataset) });
        }
        dataset.check_wanted()?;
        let train = rows.len() - ((rows.len() as f64 * test_share).floor() as usize).min(rows.len() - 1);
        let order: Vec<usize> = rows.iter().map(|(at, _, _)| *at).collect();
        let asides = asides(&dataset, order.get(train).map(|at| &dataset.rows[*at]), now_ms);
        let mut table = Self {
            asides,
            answered_early: rows.iter().filter(|(_, _, early)| *early).count() as u64,
            rows: rows.iter().map(|(_, row, _)| *row).collect(),
            train,
            inputs: Vec::new(),
            columns: Vec::new(),
            dropped: Vec::new(),
            actions: dataset.actions.names,
            groups: dataset.groups.names,
            channels: dataset.channels.names,
            left_out: dataset.left_out,
            rows_read: dataset.rows_read,
            by_rows: dataset.by_rows,
            values: Vec::new(),
        };
        for (name, field) in &dataset.fields {
            let values: Vec<f32> = order.iter().map(|at| field.value(*at)).collect();
            table.add_input(name, field, values);
        }
        if table.columns.len() > COLUMNS_MAX {
            let what = "encoded columns of all features".to_owned();
            return Err(Error::TooMany { what, count: table.columns.len(), max: COLUMNS_MAX });
        }
        Ok(table)
    }

    /// The inputs of one row, written over `out`; NaN where missing.
    pub(crate) fn read(&self, row: usize, out: &mut Vec<f32>) {
        out.clear();
        out.extend(self.values.iter().map(|values| values[row]));
    }

    /// All values of one input by row, NaN where missing; those of the training part come first.
    pub(crate) fn input(&self, input: usize) -> &[f32] {
        &self.values[input]
    }

    fn add_input(&mut self, name: &str, field: &RawField, mut values: Vec<f32>) {
        let input = self.inputs.len();
        let kind = match field {
            RawField { words, .. } if !words.is_empty() => {
                FieldKind::Category(sorted_vocabulary(field, &mut values, self.train))
            }
            RawField { flags: true, wide_numbers: false, .. } => FieldKind::Bool,
            _ => FieldKind::Number,
        };
        let train = &values[..self.train];
        let missing = train.iter().filter(|value| value.is_nan()).count();
        let mut columns = Vec::new();
        let mut reason = "no value in the training part";
        if missing < train.len() {
            match value_columns(input, &kind, train) {
                Ok(found) => columns = found,
                Err(why) => reason = why,
            }
            if missing > 0 {
                columns.push(Column::Missing { input });
            }
        }
        if columns.is_empty() {
            self.dropped.push(DroppedInput { name: name.to_owned(), reason: reason.to_owned() });
            return;
        }
        self.columns.extend(columns);
        self.inputs.push(ModelInput { name: name.to_owned(), kind });
        self.values.push(values);
    }
}

/// Labels what can be labelled, in order of time: (row of the dataset, labelled row, known early).
fn label(dataset: &mut Dataset, now_ms: i64) -> Vec<(usize, LabelledRow, bool)> {
    let mut order: Vec<(usize, &Row)> = dataset.rows.iter().enumerate().collect();
    order.sort_by_key(|(at, row)| (row.time_ms, row.tie, *at));
    let mut open = 0;
    let mut labelled = Vec::with_capacity(order.len());
    for (at, row) in order {
        match dataset.label(row.answer, row.time_ms, now_ms) {
            Some(label) => {
                let Row { time_ms, action, group, channel, choice, .. } = *row;
                let row = LabelledRow { time_ms, action, group, channel, choice, positive: label.positive };
                labelled.push((at, row, label.early));
            }
            None => open += 1,
        }
    }
    dataset.left_out.window_open = open;
    labelled
}

/// The asides from the first test row on; none without a test part.
fn asides(dataset: &Dataset, first: Option<&Row>, now_ms: i64) -> Vec<LabelledAside> {
    let Some(first) = first else { return Vec::new() };
    let tested = |aside: &&Aside| (aside.time_ms, aside.tie) >= (first.time_ms, first.tie);
    let labelled = |aside: &Aside| {
        let label = dataset.label(aside.answer, aside.time_ms, now_ms)?;
        Some(LabelledAside { probability: aside.probability, silent: aside.silent, positive: label.positive })
    };
    dataset.asides.iter().filter(tested).filter_map(labelled).collect()
}

fn why_empty(dataset: &Dataset) -> String {
    if dataset.rows_read == 0 {
        return "the record is empty".into();
    }
    let reasons: Vec<String> =
        dataset.left_out.reasons().into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    format!("all {} rows are left out: {}", dataset.rows_read, reasons.join(", "))
}

/// The words of the training part in order; `values` are rewritten to their indices, words that
/// only the test part has to the index after the last.
fn sorted_vocabulary(field: &RawField, values: &mut [f32], train: usize) -> Vec<String> {
    let mut used = vec![false; field.words.len()];
    values[..train].iter().filter(|value| !value.is_nan()).for_each(|value| used[*value as usize] = true);
    let vocabulary: Vec<&String> =
        field.words.iter().filter(|(_, index)| used[**index as usize]).map(|(word, _)| word).collect();
    let mut sorted = vec![vocabulary.len() as f32; used.len()];
    for (index, word) in vocabulary.iter().enumerate() {
        sorted[field.words[*word] as usize] = index as f32;
    }
    values.iter_mut().filter(|value| !value.is_nan()).for_each(|value| *value = sorted[*value as usize]);
    vocabulary.into_iter().cloned().collect()
}

/// The columns that hold an input's value, or why it has none.
fn value_columns(input: usize, kind: &FieldKind, train: &[f32]) -> Result<Vec<Column>, &'static str> {
    if let FieldKind::Category(words) = kind {
        let category = |word| Column::Category { input, category: word as u32 };
        return if words.len() > 1 { Ok((0..words.len()).map(category).collect()) } else { Err("constant") };
    }
    let present = || train.iter().filter(|value| !value.is_nan()).map(|value| f64::from(*value));
    let count = present().count() as f64;
    let mean = present().sum::<f64>() / count;
    let deviation = (present().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    if present().all(|value| Some(value) == present().next()) {
        return Err("constant");
    }
    if deviation * MEAN_PER_DEVIATION_MAX < mean.abs() {
        return Err("its values are too far from zero for their spread");
    }
    let values = train.iter().copied().filter(|value| !value.is_nan());
    let (low, high) = (values.clone().fold(f32::INFINITY, f32::min), values.fold(f32::NEG_INFINITY, f32::max));
    Ok(vec![Column::Number { input, fill: mean as f32, low, high }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(words: &[&str]) -> RawField {
        let words = words.iter().enumerate().map(|(index, word)| ((*word).to_owned(), index as u32)).collect();
        RawField { words, ..RawField::default() }
    }

    #[test]
    fn the_vocabulary_is_sorted_and_of_the_training_part_alone() {
        let mut values = [1.0, 0.0, f32::NAN, 2.0];
        let words = sorted_vocabulary(&field(&["web", "app", "shop"]), &mut values, 3);
        assert_eq!(words, ["app", "web"]);
        assert_eq!(values[..2], [0.0, 1.0]);
        assert!(values[2].is_nan() && values[3] == 2.0);
    }

    #[test]
    fn columns_that_tell_nothing_are_left_out() {
        let number = |values: &[f32]| value_columns(0, &FieldKind::Number, values);
        assert_eq!(number(&[3.0, f32::NAN, 3.0]), Err("constant"));
        assert!(number(&[1.7e9, 1.7e9 + 1e6]).is_err());
        assert_eq!(
            number(&[1.0, f32::NAN, 3.0]),
            Ok(vec![Column::Number { input: 0, fill: 2.0, low: 1.0, high: 3.0 }])
        );
        assert!(value_columns(0, &FieldKind::Category(vec!["only".into()]), &[0.0]).is_err());
    }
}
