//! The rows of one head as encoded columns, and their scaling for linear fits.

use ndarray::{Array1, Array2, ShapeBuilder};
use tactful_core::layout::FieldKind;
use tactful_core::score::{Column, Linear, Model};

use crate::table::Table;

/// Most cells of one design matrix (8 bytes each at most, half a GiB); with more rows, evenly spaced ones fit.
const CELLS_MAX: usize = 1 << 26;

/// Encoded rows of one head with their labels.
#[derive(Debug)]
pub(crate) struct Design {
    /// Row by row.
    cells: Array2<f32>,
    pub(crate) labels: Vec<bool>,
    /// Columns that hold numbers, which are scaled.
    numbers: Vec<bool>,
}

/// The columns that vary, each shifted and scaled. Numbers get mean 0 and deviation 1; columns of
/// zeros and ones stay as they are.
#[derive(Debug, Default)]
pub(crate) struct Scaling {
    columns: Vec<usize>,
    offsets: Vec<f64>,
    scales: Vec<f64>,
}

impl Design {
    pub(crate) fn new(frame: &Model, table: &Table, rows: &[u32]) -> Self {
        let mut inputs = Vec::with_capacity(frame.inputs.len());
        let mut cells = Array2::zeros((rows.len(), frame.columns.len()));
        for (row, mut cells) in rows.iter().zip(cells.rows_mut()) {
            table.read(*row as usize, &mut inputs);
            cells.iter_mut().zip(frame.encode(&inputs)).for_each(|(cell, value)| *cell = value);
        }
        let labels = rows.iter().map(|row| table.rows[*row as usize].positive).collect();
        Self { cells, labels, numbers: (0..frame.columns.len()).map(|column| is_number(frame, column)).collect() }
    }

    /// Some of the rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self {
            cells: self.cells.select(ndarray::Axis(0), rows),
            labels: rows.iter().map(|row| self.labels[*row]).collect(),
            numbers: self.numbers.clone(),
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.numbers.len()
    }

    /// One row of encoded columns.
    pub(crate) fn row(&self, at: usize) -> Vec<f32> {
        self.cells.row(at).to_vec()
    }

    /// One column over all rows.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        self.cells.column(column).into_iter().copied()
    }

    /// Share of positive rows.
    pub(crate) fn rate(&self) -> f64 {
        self.labels.iter().filter(|label| **label).count() as f64 / self.labels.len() as f64
    }
}

impl Scaling {
    pub(crate) fn of(design: &Design) -> Self {
        let mut scaling = Self::default();
        for (column, number) in design.numbers.iter().enumerate() {
            let mut spread = Spread::default();
            design.column(column).for_each(|value| spread.add(value.into()));
            let (offset, scale) = if *number { (spread.mean, spread.deviation()) } else { (0.0, 1.0) };
            if spread.low < spread.high && scale > 0.0 {
                scaling.columns.push(column);
                scaling.offsets.push(offset);
                scaling.scales.push(scale);
            }
        }
        scaling
    }

    /// Columns that vary.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// All rows, scaled. Column by column: the gradient is a product with each column, and row by row it would
    /// drag the whole matrix through the caches for every one of them.
    pub(crate) fn matrix(&self, design: &Design) -> Array2<f64> {
        let mut matrix = Array2::zeros((design.labels.len(), self.len()).f());
        for (mut row, cells) in matrix.rows_mut().into_iter().zip(design.cells.rows()) {
            row.iter_mut().enumerate().for_each(|(at, cell)| *cell = self.cell(at, cells[self.columns[at]]));
        }
        matrix
    }

    /// One row, scaled.
    pub(crate) fn scale(&self, encoded: &[f32]) -> Array1<f64> {
        (0..self.len()).map(|at| self.cell(at, encoded[self.columns[at]])).collect()
    }

    /// Weights of scaled columns as weights of the columns as they are.
    ///
    /// # Errors
    /// If one is not finite.
    pub(crate) fn unscaled(&self, weights: &[f64], bias: f64, columns: usize) -> Result<Linear, String> {
        let mut linear = Linear { weights: vec![0.0; columns], bias: 0.0, spread: None };
        let mut bias = bias;
        for (at, column) in self.columns.iter().enumerate() {
            let weight = (weights[at] / self.scales[at]) as f32;
            linear.weights[*column] = weight;
            // With the rounded weight, its rounding acts on the distance from the mean only.
            bias -= f64::from(weight) * self.offsets[at];
        }
        linear.bias = bias as f32;
        let finite = linear.bias.is_finite() && linear.weights.iter().all(|weight| weight.is_finite());
        if finite { Ok(linear) } else { Err("a weight is not finite".into()) }
    }

    /// The column whose weight moves the intercept most.
    pub(crate) fn heaviest_column(&self, weights: &[f32]) -> Option<usize> {
        let part = |at: usize| (f64::from(weights[self.columns[at]]) * self.offsets[at]).abs();
        (0..self.len()).max_by(|a, b| part(*a).total_cmp(&part(*b))).map(|at| self.columns[at])
    }

    fn cell(&self, at: usize, value: f32) -> f64 {
        (f64::from(value) - self.offsets[at]) / self.scales[at]
    }
}

/// At most as many rows as fit, evenly spaced.
pub(crate) fn thin(rows: Vec<u32>, columns: usize) -> Vec<u32> {
    let max = CELLS_MAX / columns.max(1);
    if rows.len() <= max {
        return rows;
    }
    (0..max).map(|at| rows[(at as u128 * rows.len() as u128 / max as u128) as usize]).collect()
}

/// Mean, variance (Welford) and range of one column.
#[derive(Clone, Debug)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

fn is_number(frame: &Model, column: usize) -> bool {
    let column = frame.columns[column];
    matches!(column, Column::Number { .. }) && frame.inputs[column.input()].kind == FieldKind::Number
}
