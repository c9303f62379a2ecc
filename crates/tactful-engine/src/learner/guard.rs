//! When learning must stop: what customers answer is suddenly no longer what it was, or a new version would score
//! quite otherwise. The latest answers are held against those before them, each by the version in use then: a version
//! may be wrong, but it does not become so from one minute to the next. Only heads with enough rows are looked at, so
//! that a new action may surprise.

use std::collections::{HashMap, VecDeque};

use tactful_core::score::{Model, Scope};
use tactful_models::{OnlineOptions, OnlineRow};

/// Answers that are looked at together, and the latest of them. Fewer say nothing, nor do fewer before them.
const WINDOW: usize = 2_000;
const LATEST: usize = 200;
/// Answers from one look to the next.
const LOOK_EVERY: usize = 50;
/// Fewest rows of a head that is looked at.
const ESTABLISHED_ROWS: u64 = 500;
/// A surprise beyond chance must also move the share of positive answers by so much in its logit.
const SHIFT_MIN: f64 = 1.2;
/// How many times the log loss of before.
const LOSS_RATIO_MAX: f64 = 1.75;
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
    /// Answers since the last look.
    unseen: usize,
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
        Self { options, heads: established(&model), model, answers: VecDeque::new(), unseen: 0 }
    }

    /// From here on another version is in use. What was answered before stays as the version of then predicted it: by
    /// one that has learnt from it, it would look foreseen.
    pub(super) fn follow(&mut self, model: Model) {
        self.heads = established(&model);
        self.model = model;
    }

    /// Notes an answer, and says whether it is time to look.
    pub(super) fn see(&mut self, row: &OnlineRow<'_>) -> bool {
        let Some(head) = self.heads.get(row.action) else { return false };
        let predicted = f64::from(self.model.probability(*head, row.inputs)).clamp(EDGE, 1.0 - EDGE);
        if self.answers.len() == WINDOW {
            self.answers.pop_front();
        }
        let (action, inputs) = (row.action.to_owned(), row.inputs.to_vec());
        self.answers.push_back(Answer { action, inputs, predicted, positive: row.positive, time_ms: row.time_ms });
        self.unseen = (self.unseen + 1) % LOOK_EVERY;
        self.unseen == 0
    }

    /// Time of the earliest of the latest answers, milliseconds since 1970.
    pub(super) fn since_ms(&self) -> i64 {
        self.answers.get(self.answers.len().saturating_sub(LATEST)).map_or(i64::MAX, |answer| answer.time_ms)
    }

    /// Why the latest answers cannot come from where those before came from, if so: more or fewer are positive,
    /// or others are. Errors count by how far blocks of answers before lay apart, since answers of one visit belong
    /// together and so lie further apart than chance would have them.
    pub(super) fn surprise(&self) -> Option<String> {
        let answers: Vec<&Answer> = self.answers.iter().rev().collect();
        let blocks: Vec<Sums> = answers.chunks_exact(LATEST).map(|block| Sums::of(block.iter().copied())).collect();
        let (now, before) = blocks.split_first()?;
        if before.is_empty() {
            return None;
        }
        let then = Sums::of(answers.iter().skip(LATEST).copied());
        let apart = |errors: fn(&Sums, &Sums) -> f64| {
            let squares = before.iter().map(|block| errors(&then, block).powi(2)).sum::<f64>();
            (squares / before.len() as f64).sqrt().max(1.0)
        };
        let is_surprise =
            |errors: fn(&Sums, &Sums) -> f64| errors(&then, now) > self.options.surprise_max * apart(errors);
        if is_surprise(shift_errors) && shift(&then, now) > SHIFT_MIN {
            let (observed, count, expected) = (now.positives, now.count, expected_positives(&then, now));
            return Some(format!(
                "{observed:.0} of {count:.0} answers are positive where {expected:.0} were to be expected"
            ));
        }
        if is_surprise(loss_errors) && now.loss > LOSS_RATIO_MAX * expected_loss(&then, now) {
            let (mean, usual, count) = (now.loss / now.count, expected_loss(&then, now) / now.count, now.count);
            return Some(format!(
                "the log loss of {count:.0} answers is {mean:.3} where {usual:.3} was to be expected"
            ));
        }
        None
    }

    /// Why a new version would score too differently, if so.
    pub(super) fn drift(&self, model: &Model) -> Option<String> {
        let heads = established(model);
        let both = self.answers.iter().filter_map(|answer| {
            let head = heads.get(&answer.action)?;
            Some((f64::from(model.probability(*head, &answer.inputs)) - answer.predicted).abs())
        });
        let differences: Vec<f64> = both.collect();
        if differences.len() < LATEST {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        (mean > self.options.drift_max).then(|| format!("scores would change by {mean:.3} on average"))
    }
}

/// Sums over some answers.
#[derive(Default)]
struct Sums {
    count: f64,
    positives: f64,
    predicted: f64,
    loss: f64,
    /// What the predictions expect of themselves: their entropy, and its variance p (1 - p) logit(p)^2.
    expected_loss: f64,
    loss_variance: f64,
}

impl Sums {
    fn of<'a>(answers: impl Iterator<Item = &'a Answer>) -> Self {
        let mut sums = Self::default();
        for Answer { predicted: p, positive, .. } in answers {
            let (yes, no) = (-p.ln(), -(1.0 - p).ln());
            sums.count += 1.0;
            sums.positives += f64::from(u8::from(*positive));
            sums.predicted += p;
            sums.loss += if *positive { yes } else { no };
            sums.expected_loss += p * yes + (1.0 - p) * no;
            sums.loss_variance += p * (1.0 - p) * (yes - no).powi(2);
        }
        sums
    }
}

/// Positive answers that were to be expected, by the predictions and how those before came out.
fn expected_positives(then: &Sums, now: &Sums) -> f64 {
    (now.predicted * (then.positives + 1.0) / (then.predicted + 1.0)).min(now.count - 1.0)
}

/// How many standard errors the positive answers are from what was to be expected.
fn shift_errors(then: &Sums, now: &Sums) -> f64 {
    let expected = expected_positives(then, now);
    let variance = expected * (1.0 - expected / now.count) + expected * expected / (then.positives + 1.0);
    (now.positives - expected).abs() / variance.sqrt().max(1.0)
}

/// How far the logit of the share of positive answers has moved.
fn shift(then: &Sums, now: &Sums) -> f64 {
    let logit = |positives: f64| ((positives + 0.5) / (now.count - positives + 0.5)).ln();
    (logit(now.positives) - logit(expected_positives(then, now))).abs()
}

/// How many times their own expectation the predictions' log loss was before.
fn usual_loss(then: &Sums) -> f64 {
    (then.loss / then.expected_loss.max(EDGE)).max(1.0)
}

/// Log loss that was to be expected.
fn expected_loss(then: &Sums, now: &Sums) -> f64 {
    now.expected_loss * usual_loss(then)
}

/// How many standard errors the log loss is above what was to be expected.
fn loss_errors(then: &Sums, now: &Sums) -> f64 {
    let deviation = now.loss_variance.sqrt() * usual_loss(then);
    (now.loss - expected_loss(then, now)).max(0.0) / deviation.max(f64::MIN_POSITIVE)
}

/// Heads of single actions with enough rows, by action.
fn established(model: &Model) -> HashMap<String, usize> {
    let heads = model.heads.iter().enumerate();
    let own = heads.filter(|(_, head)| head.scope == Scope::Action && head.rows >= ESTABLISHED_ROWS);
    own.map(|(at, head)| (head.id.clone(), at)).collect()
}

#[cfg(test)]
mod tests {
    use tactful_core::layout::FieldKind;
    use tactful_core::score::{Calibration, Column, Head, Linear, ModelInput, Scorer};

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
        for positive in answers {
            guard.see(&row(positive));
        }
    }

    #[test]
    fn answers_as_before_are_no_surprise_and_others_are() {
        let after = |honest: usize, then: &dyn Fn(usize) -> bool, rows| {
            let mut guard = Guard::new(model(-1.386_294_4, rows), OnlineOptions::default());
            seen(&mut guard, (0..honest).map(|n| n % 5 == 0));
            seen(&mut guard, (0..LATEST).map(then));
            guard.surprise()
        };
        assert_eq!(after(1_000, &|n| n % 5 == 0, 1_000), None);
        assert!(after(400, &|_| true, 1_000).unwrap().contains("200 of 200"));
        assert!(after(1_000, &|_| false, 1_000).is_some());
        assert_eq!(after(400, &|_| true, 100), None, "of a head with few rows anything may come");
        assert_eq!(after(100, &|_| true, 1_000), None, "nobody knows yet what is usual");
    }

    #[test]
    fn a_version_that_was_wrong_from_the_beginning_is_no_surprise() {
        let mut guard = Guard::new(model(2.0, 1_000), OnlineOptions::default());
        seen(&mut guard, (0..1_500).map(|n| n % 5 == 0));
        assert_eq!(guard.surprise(), None);
    }

    #[test]
    fn answers_that_go_to_others_are_seen_by_their_loss() {
        let scorer = Scorer::Linear(Linear { weights: vec![3.0], bias: 0.0, spread: None });
        let sided = Model {
            inputs: vec![ModelInput { name: "x".into(), kind: FieldKind::Number }],
            columns: vec![Column::Number { input: 0, fill: 0.0, low: -9.0, high: 9.0 }],
            heads: vec![Head { scorer, ..model(0.0, 1_000).heads[0].clone() }],
            ..model(0.0, 1_000)
        };
        let mut guard = Guard::new(sided, OnlineOptions::default());
        let see = |guard: &mut Guard, n: usize, honest: bool| {
            let x = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
            let inputs = [x];
            let positive = (x > 0.0) == (honest != n.is_multiple_of(20));
            guard.see(&OnlineRow { action: "card", group: "", acceptance: 0.5, inputs: &inputs, positive, time_ms: 1 });
        };
        (0..600).for_each(|n| see(&mut guard, n, true));
        assert_eq!(guard.surprise(), None);
        (0..LATEST).for_each(|n| see(&mut guard, n, false));
        assert!(guard.surprise().unwrap().contains("log loss"));
    }

    #[test]
    fn a_version_that_scores_quite_otherwise_is_held_back() {
        let mut guard = Guard::new(model(-1.386_294_4, 1_000), OnlineOptions::default());
        seen(&mut guard, (0..300).map(|n| n % 5 == 0));
        assert_eq!(guard.drift(&model(-1.0, 1_000)), None);
        assert!(guard.drift(&model(1.0, 1_000)).unwrap().contains("on average"));
    }
}
