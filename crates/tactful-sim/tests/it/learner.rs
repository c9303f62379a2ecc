//! A plain logistic learner, to show that what can be observed is enough to beat guesses: one head
//! for each action, its group's head where data is scarce, then one for all.

use std::collections::HashMap;

use tactful_core::layout::{FieldKind, Layout};
use tactful_core::ruleset::Ruleset;

/// Rows that a head needs.
const ROWS_MIN: usize = 60;
const EPOCHS: usize = 12;
const STEP: f64 = 0.15;
const RIDGE: f64 = 0.002;

/// One shown action: the fields of its decision and whether it was accepted.
pub(crate) struct Example {
    pub(crate) fields: Vec<f32>,
    pub(crate) action: usize,
    pub(crate) accepted: bool,
}

/// Heads by name of action, group or nothing.
pub(crate) struct Learner {
    encoder: Encoder,
    heads: HashMap<String, Vec<f64>>,
}

impl Learner {
    pub(crate) fn train(ruleset: &Ruleset, examples: &[Example]) -> Self {
        let encoder = Encoder::fit(&ruleset.layout, examples);
        let mut rows: HashMap<String, Vec<(Vec<f64>, f64)>> = HashMap::new();
        for example in examples {
            let row = (encoder.encode(&example.fields), f64::from(u8::from(example.accepted)));
            for head in names(ruleset, example.action) {
                rows.entry(head).or_default().push(row.clone());
            }
        }
        let enough = rows.into_iter().filter(|(_, rows)| rows.len() >= ROWS_MIN);
        Self { heads: enough.map(|(name, rows)| (name, fit(&rows))).collect(), encoder }
    }

    pub(crate) fn acceptance(&self, ruleset: &Ruleset, action: usize, fields: &[f32]) -> f64 {
        let head = names(ruleset, action).into_iter().find_map(|name| self.heads.get(&name));
        head.map_or(0.1, |head| sigmoid(dot(head, &self.encoder.encode(fields))))
    }
}

fn names(ruleset: &Ruleset, action: usize) -> [String; 3] {
    let action = &ruleset.actions[action];
    [format!("action {}", action.id), format!("group {}", action.group), String::new()]
}

/// AdaGrad over the rows in their order.
fn fit(rows: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let mut weights = vec![0.0; rows[0].0.len()];
    let mut seen = vec![1.0; weights.len()];
    for _ in 0..EPOCHS {
        for (row, accepted) in rows {
            let error = sigmoid(dot(&weights, row)) - accepted;
            for ((weight, seen), value) in weights.iter_mut().zip(&mut seen).zip(row) {
                let gradient = error * value + RIDGE * *weight;
                *seen += gradient * gradient;
                *weight -= STEP * gradient / f64::sqrt(*seen);
            }
        }
    }
    weights
}

/// Numbers are standardised with a column for missing, categories take a column a word.
struct Encoder(Vec<Column>);

enum Column {
    Number { mean: f64, spread: f64 },
    Words(usize),
}

impl Encoder {
    fn fit(layout: &Layout, examples: &[Example]) -> Self {
        let column = |(index, field): (usize, &tactful_core::layout::Field)| match &field.kind {
            FieldKind::Category(words) => Column::Words(words.len()),
            _ => {
                let values: Vec<f64> = examples
                    .iter()
                    .map(|example| f64::from(example.fields[index]))
                    .filter(|value| !value.is_nan())
                    .collect();
                let count = values.len().max(1) as f64;
                let mean = values.iter().sum::<f64>() / count;
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
                Column::Number { mean, spread: variance.sqrt().max(1e-6) }
            }
        };
        Self(layout.fields().iter().enumerate().map(column).collect())
    }

    fn encode(&self, fields: &[f32]) -> Vec<f64> {
        let mut row = vec![1.0];
        for (column, value) in self.0.iter().zip(fields) {
            let value = f64::from(*value);
            match column {
                Column::Number { .. } if value.is_nan() => row.extend([0.0, 1.0]),
                Column::Number { mean, spread } => row.extend([((value - mean) / spread).clamp(-4.0, 4.0), 0.0]),
                Column::Words(words) => row.extend((0..*words).map(|word| f64::from(u8::from(word as f64 == value)))),
            }
        }
        row
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
