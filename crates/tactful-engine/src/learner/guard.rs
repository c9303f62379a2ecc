//! When learning must stop: what customers answer is no longer what the version in use predicts, or a new
//! version would score quite otherwise. Only heads with enough rows are looked at, so that a new action may surprise.

use std::collections::{HashMap, VecDeque};

use tactful_core::score::{Model, Scope};
use tactful_models::{OnlineOptions, OnlineRow};

/// Answers that are looked at together.
const WINDOW: usize = 1_000;
/// Fewest of them that say anything.
const WINDOW_MIN: usize = 200;
/// Fewest rows of a head that is looked at.
const ESTABLISHED_ROWS: u64 = 300;
/// A surprise beyond chance must also be this many times what was predicted, or this part of it.
const RATIO_MAX: f64 = 2.0;
/// How many times the log loss that the predictions expect of themselves.
const LOSS_RATIO_MAX: f64 = 1.3;
/// How close to 0 and 1 a prediction is taken.
const EDGE: f64 = 1e-4;

/// Watches what is learnt from.
pub(super) struct Guard {
    options: OnlineOptions,
    /// The version in use.
    model: Model,
    /// Its established heads by action.
    heads: HashMap<String, usize>,
    answers: VecDeque<Answer>,
}

struct Answer {
    action: String,
    inputs: Vec<f32>,
    predicted: f64,
    positive: bool,
    time_ms: i64,
}

impl Guard {
    pub(super) fn new(model: Model, options: OnlineOptions) -> Self {
        Self { options, heads: established(&model), model, answers: VecDeque::new() }
    }

    /// From here on another version is in use.
    pub(super) fn follow(&mut self, model: Model) {
        self.heads = established(&model);
        self.model = model;
    }

    /// Notes an answer.
    pub(super) fn see(&mut self, row: &OnlineRow<'_>) {
        let Some(head) = self.heads.get(row.action) else { return };
        let predicted = f64::from(self.model.probability(*head, row.inputs)).clamp(EDGE, 1.0 - EDGE);
        if self.answers.len() == WINDOW {
            self.answers.pop_front();
        }
        let (action, inputs) = (row.action.to_owned(), row.inputs.to_vec());
        self.answers.push_back(Answer { action, inputs, predicted, positive: row.positive, time_ms: row.time_ms });
    }

    /// Time of the earliest answer that is looked at, milliseconds since 1970.
    pub(super) fn since_ms(&self) -> i64 {
        self.answers.front().map_or(i64::MAX, |answer| answer.time_ms)
    }

    /// Why what is answered cannot be what it was, if so: more or fewer answer than predicted, or others do.
    pub(super) fn surprise(&self) -> Option<String> {
        let count = self.answers.len();
        if count < WINDOW_MIN {
            return None;
        }
        let sum = |of: &dyn Fn(&Answer) -> f64| self.answers.iter().map(of).sum::<f64>();
        let (observed, predicted) = (sum(&|a| f64::from(u8::from(a.positive))), sum(&|a| a.predicted));
        let variance = sum(&|a| a.predicted * (1.0 - a.predicted));
        let errors = (observed - predicted) / variance.sqrt();
        let ratio = observed / predicted;
        if errors.abs() > self.options.surprise_max && !(1.0 / RATIO_MAX..=RATIO_MAX).contains(&ratio) {
            return Some(format!("{observed:.0} of {count} answers are positive where {predicted:.0} were predicted"));
        }
        let loss = sum(&|a| -if a.positive { a.predicted.ln() } else { (1.0 - a.predicted).ln() });
        let expected = sum(&|a| entropy(a.predicted));
        // Variance of the log loss of an honest prediction: p (1 - p) logit(p)^2.
        let variance = sum(&|a| a.predicted * (1.0 - a.predicted) * (a.predicted / (1.0 - a.predicted)).ln().powi(2));
        let errors = (loss - expected) / variance.sqrt().max(f64::MIN_POSITIVE);
        let (mean, own) = (loss / count as f64, expected / count as f64);
        (errors > self.options.surprise_max && loss > LOSS_RATIO_MAX * expected)
            .then(|| format!("the log loss of {count} answers is {mean:.3} where {own:.3} was expected"))
    }

    /// Why a new version would score too differently, if so.
    pub(super) fn drift(&self, model: &Model) -> Option<String> {
        let heads = established(model);
        let both = self.answers.iter().filter_map(|answer| {
            let head = heads.get(&answer.action)?;
            Some((f64::from(model.probability(*head, &answer.inputs)) - answer.predicted).abs())
        });
        let differences: Vec<f64> = both.collect();
        if differences.len() < WINDOW_MIN {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        (mean > self.options.drift_max).then(|| format!("scores would change by {mean:.3} on average"))
    }
}

fn entropy(p: f64) -> f64 {
    -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
}

/// Heads of single actions with enough rows, by action.
fn established(model: &Model) -> HashMap<String, usize> {
    let heads = model.heads.iter().enumerate();
    let own = heads.filter(|(_, head)| head.scope == Scope::Action && head.rows >= ESTABLISHED_ROWS);
    own.map(|(at, head)| (head.id.clone(), at)).collect()
}

#[cfg(test)]
mod tests {
    use tactful_core::score::{Calibration, Head, Linear, Scorer};

    use super::*;

    fn model(logit: f32, rows: u64) -> Model {
        let scorer = Scorer::Linear(Linear { weights: Vec::new(), bias: logit, spread: None });
        let head = Head {
            scope: Scope::Action,
            id: "card".into(),
            scorer,
            calibration: Calibration::None,
            rows,
            positives: 0,
        };
        Model { name: "m".into(), heads: vec![head], ..Model::default() }
    }

    fn seen(guard: &mut Guard, answers: impl Iterator<Item = bool>) {
        let row =
            |positive| OnlineRow { action: "card", group: "", acceptance: 0.2, inputs: &[], positive, time_ms: 5 };
        answers.for_each(|positive| guard.see(&row(positive)));
    }

    #[test]
    fn answers_as_predicted_are_no_surprise_and_others_are() {
        let guard = || Guard::new(model(-1.386_294_4, 1_000), OnlineOptions::default());
        let mut honest = guard();
        seen(&mut honest, (0..1_000).map(|n| n % 5 == 0));
        assert_eq!(honest.surprise(), None);
        let mut poisoned = guard();
        seen(&mut poisoned, (0..200).map(|_| true));
        assert!(poisoned.surprise().unwrap().contains("200 of 200"));
        let mut silent = guard();
        seen(&mut silent, (0..400).map(|_| false));
        assert!(silent.surprise().is_some());
        let mut new = Guard::new(model(-1.386_294_4, 100), OnlineOptions::default());
        seen(&mut new, (0..400).map(|_| true));
        assert_eq!(new.surprise(), None, "of a head with few rows anything may come");
        let mut few = guard();
        seen(&mut few, (0..100).map(|_| true));
        assert_eq!(few.surprise(), None);
    }

    #[test]
    fn a_version_that_scores_quite_otherwise_is_held_back() {
        let mut guard = Guard::new(model(-1.386_294_4, 1_000), OnlineOptions::default());
        seen(&mut guard, (0..300).map(|n| n % 5 == 0));
        assert_eq!(guard.drift(&model(-1.0, 1_000)), None);
        assert!(guard.drift(&model(1.0, 1_000)).unwrap().contains("on average"));
    }
}
