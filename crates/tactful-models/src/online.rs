//! Learning row by row from outcomes: an FTRL head for each action, by linfa, that starts where the champion is.
//!
//! The learner keeps what a head knows (z and n of FTRL) and hands out models. Where rows come from, when
//! they count and who may learn is the engine's business. A new action's head starts from that of its group, or the
//! shared one, or the acceptance with which it was decided, its level as if it had seen twenty rows.

use std::collections::BTreeMap;

use linfa::dataset::Pr;
use linfa::prelude::Predict;
use linfa_ftrl::Ftrl;
use ndarray::{Array1, Axis};
use serde_json::json;
use tactful_core::math::{logit, sqrt};
use tactful_core::score::{Calibration, Column, Head, Linear, Model, Scope, Scorer, Spread};

use crate::artifact::{self, GoldenRow, Lineage, hex};
use crate::error::Error;
use crate::recipe::{FtrlOptions, GOLDEN_ROWS_MIN, Recipe};

/// Rows that a start counts for: what the core takes for an action without a head of its own.
const START_ROWS: f64 = 20.0;
/// Rows at most that a champion's head counts for: beyond, it would hardly learn any more.
const CHAMPION_ROWS_MAX: f64 = 2_000.0;
/// Latest rows that are kept for golden rows.
const RECENT_MAX: usize = 32;
/// How close to 0 and 1 a start acceptance is taken.
const EDGE: f64 = 1e-3;

/// Learns a model row by row.
#[derive(Debug)]
pub struct Learner {
    /// Inputs and columns of the champion, with the heads that are not learnt.
    frame: Model,
    options: FtrlOptions,
    seed: u64,
    /// Of each column what is taken from it, and what it is divided by.
    scaling: Vec<(f64, f64)>,
    heads: BTreeMap<String, Learnt>,
    recent: Vec<Vec<f32>>,
    learnt: u64,
    recipe_sha256: [u8; 32],
    /// Times of the first and the latest row, milliseconds since 1970.
    span_ms: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Learnt {
    group: String,
    ftrl: Ftrl<f64>,
    rows: u64,
    positives: u64,
}

/// What a head has learnt, to be kept and taken up again.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadState {
    /// Its action.
    pub action: String,
    /// Group of the action.
    pub group: String,
    /// z of FTRL for each column, then the intercept.
    pub z: Vec<f64>,
    /// n of FTRL, in the same order.
    pub n: Vec<f64>,
    /// Rows behind it, those of the champion's head included.
    pub rows: u64,
    /// Positive ones among them.
    pub positives: u64,
}

/// One row to learn from.
#[derive(Clone, Copy, Debug)]
pub struct OnlineRow<'a> {
    /// Action that was shown.
    pub action: &'a str,
    /// Its group; may be empty.
    pub group: &'a str,
    /// Acceptance probability with which it was decided: where a new head starts.
    pub acceptance: f64,
    /// One number for each input of the model: categories as their index in its vocabulary, NaN for missing.
    pub inputs: &'a [f32],
    /// What came of it.
    pub positive: bool,
    /// When it was decided, milliseconds since 1970.
    pub time_ms: i64,
}

impl Learner {
    /// A learner that starts from a champion, with what heads had learnt before.
    ///
    /// # Errors
    /// If the champion has trees, which cannot be learnt row by row, or a state does not fit it.
    pub fn new(recipe: &Recipe, champion: &Model, states: Vec<HeadState>) -> Result<Self, Error> {
        let linear = |head: &&Head| matches!(head.scorer, Scorer::Linear(_));
        if !champion.heads.iter().all(|head| linear(&head)) {
            return Err(Error::Online("the champion has trees, which cannot be learnt row by row".into()));
        }
        let mut learner = Self {
            scaling: champion.columns.iter().map(|column| scaling(*column)).collect(),
            frame: champion.clone(),
            options: recipe.ftrl,
            seed: recipe.seed,
            heads: BTreeMap::new(),
            recent: Vec::new(),
            learnt: 0,
            recipe_sha256: recipe.sha256(),
            span_ms: None,
        };
        for state in states {
            let HeadState { action, group, z, n, rows, positives } = state;
            if z.len() != learner.scaling.len() + 1 || n.len() != z.len() {
                return Err(Error::Online("what was learnt has other columns than the champion".into()));
            }
            let ftrl = learner.ftrl(&z, &n)?;
            learner.heads.insert(action, Learnt { group, ftrl, rows, positives });
        }
        Ok(learner)
    }

    /// Learns one row.
    ///
    /// # Errors
    /// If a weight is no number any more.
    pub fn learn(&mut self, row: OnlineRow<'_>) -> Result<(), Error> {
        if !self.heads.contains_key(row.action) {
            let head = self.start(&row)?;
            self.heads.insert(row.action.to_owned(), head);
        }
        let encoded = self.encode(row.inputs);
        let Some(head) = self.heads.get_mut(row.action) else { return Ok(()) };
        let records = encoded.insert_axis(Axis(0));
        let predicted: Array1<Pr> = head.ftrl.predict(&records);
        head.ftrl.update(&linfa::DatasetBase::new(records, Array1::from_elem(1, row.positive)), predicted.view());
        head.rows += 1;
        head.positives += u64::from(row.positive);
        self.learnt += 1;
        let (first, last) = self.span_ms.unwrap_or((row.time_ms, row.time_ms));
        self.span_ms = Some((first.min(row.time_ms), last.max(row.time_ms)));
        if self.recent.len() == RECENT_MAX {
            self.recent.remove(0);
        }
        self.recent.push(row.inputs.to_vec());
        if head.ftrl.z().iter().chain(head.ftrl.n()).all(|value| value.is_finite()) {
            Ok(())
        } else {
            Err(Error::Online(format!("a weight of action {} is no number any more", row.action)))
        }
    }

    /// Rows learnt since it was made.
    #[must_use]
    pub fn learnt(&self) -> u64 {
        self.learnt
    }

    /// What every head has learnt.
    #[must_use]
    pub fn states(&self) -> Vec<HeadState> {
        let state = |(action, head): (&String, &Learnt)| HeadState {
            action: action.clone(),
            group: head.group.clone(),
            z: head.ftrl.z().to_vec(),
            n: head.ftrl.n().to_vec(),
            rows: head.rows,
            positives: head.positives,
        };
        self.heads.iter().map(state).collect()
    }

    /// The model as it is now, as an artifact.
    ///
    /// # Errors
    /// If a weight is no number, or the artifact would be too large.
    pub fn artifact(&self) -> Result<Vec<u8>, Error> {
        let mut model = self.frame.clone();
        model.heads.retain(|head| head.scope != Scope::Action || !self.heads.contains_key(&head.id));
        for (action, head) in &self.heads {
            model.heads.push(Head {
                scope: Scope::Action,
                id: action.clone(),
                scorer: Scorer::Linear(self.linear(&head.ftrl)),
                calibration: Calibration::None,
                rows: head.rows,
                positives: head.positives,
            });
        }
        model.validate().map_err(|error| Error::Online(error.to_string()))?;
        let (first_decision_ms, last_decision_ms) = self.span_ms.unwrap_or_default();
        let lineage = Lineage {
            recipe_sha256: hex(&self.recipe_sha256),
            first_decision_ms,
            last_decision_ms,
            train_rows: self.heads.values().map(|head| head.rows).sum(),
            test_rows: 0,
            seed: self.seed,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Lineage::default()
        };
        artifact::write(&model, &self.golden_rows(&model), &lineage, &BTreeMap::new())
    }

    /// For every head a row that was seen lately and one of which nothing is known, with what linfa predicts.
    fn golden_rows(&self, model: &Model) -> Vec<GoldenRow> {
        let unknown = vec![f32::NAN; model.inputs.len()];
        let count = (2 * model.heads.len()).max(GOLDEN_ROWS_MIN);
        (0..count)
            .map(|number| {
                let head = number % model.heads.len();
                let seen = self.recent.get(number % self.recent.len().max(1)).filter(|_| number >= model.heads.len());
                let inputs = seen.unwrap_or(&unknown).clone();
                let own = self.heads.get(&model.heads[head].id).filter(|_| model.heads[head].scope == Scope::Action);
                let probability = match own {
                    Some(own) => {
                        let predicted: Array1<Pr> = own.ftrl.predict(&self.encode(&inputs).insert_axis(Axis(0)));
                        f64::from(*predicted[0])
                    }
                    None => f64::from(model.probability(head, &inputs)),
                };
                GoldenRow { inputs, head, probability }
            })
            .collect()
    }

    /// A head for an action that has none: the champion's, or what it is scored by so far.
    fn start(&self, row: &OnlineRow<'_>) -> Result<Learnt, Error> {
        let scopes = [(Scope::Action, row.action), (Scope::Group, row.group), (Scope::Global, "")];
        let found = scopes
            .iter()
            .find_map(|(scope, id)| self.frame.heads.iter().find(|head| head.scope == *scope && head.id == *id));
        let (rows, positives, own) = match found {
            Some(head) if head.scope == Scope::Action => (head.rows, head.positives, true),
            _ => (0, 0, false),
        };
        let (weights, rate) = match found.map(|head| &head.scorer) {
            Some(Scorer::Linear(linear)) => {
                let calibration = found.map_or(&Calibration::None, |head| &head.calibration);
                (self.scaled(linear, calibration), row.acceptance.clamp(EDGE, 1.0 - EDGE))
            }
            _ => {
                let rate = row.acceptance.clamp(EDGE, 1.0 - EDGE);
                let mut weights = vec![0.0; self.scaling.len()];
                weights.push(logit(rate));
                (weights, rate)
            }
        };
        let rate = if own { (positives as f64 + 1.0) / (rows as f64 + 2.0) } else { rate };
        let counted = if own { (rows as f64).clamp(START_ROWS, CHAMPION_ROWS_MAX) } else { START_ROWS };
        // Each input adds about one to the squares of a row's columns: all weights together leave the logit of a new
        // head a standard deviation of about one, however many there are, and no single row turns it over.
        let prior = self.frame.inputs.len().max(1) as f64;
        let mut n = vec![prior + counted * rate * (1.0 - rate); weights.len()];
        if let Some(intercept) = n.last_mut() {
            *intercept = counted * rate * (1.0 - rate);
        }
        let z: Vec<f64> = weights.iter().zip(&n).map(|(weight, n)| -weight * self.damping(*n)).collect();
        Ok(Learnt { group: row.group.to_owned(), ftrl: self.ftrl(&z, &n)?, rows, positives })
    }

    /// (beta + sqrt n) / alpha + l2: a weight is -z divided by this, without L1 (McMahan and others 2013, algorithm 1).
    fn damping(&self, n: f64) -> f64 {
        (self.options.beta + sqrt(n)) / self.options.learning_rate + self.options.l2
    }

    /// linfa's model with this state. It has no constructor from one but for its serialised form.
    fn ftrl(&self, z: &[f64], n: &[f64]) -> Result<Ftrl<f64>, Error> {
        let array = |values: &[f64]| json!({ "v": 1, "dim": [values.len()], "data": values });
        let options = &self.options;
        serde_json::from_value(json!({
            "alpha": options.learning_rate,
            "beta": options.beta,
            // Zero, so that where a head starts is where its weights are.
            "l1_ratio": 0.0,
            "l2_ratio": options.l2,
            "z": array(z),
            "n": array(n),
        }))
        .map_err(|error| Error::Online(format!("linfa does not take its state: {error}")))
    }

    /// Scaled columns of a row, then a one for the intercept.
    fn encode(&self, inputs: &[f32]) -> Array1<f64> {
        let columns = self.frame.encode(inputs).into_iter().zip(&self.scaling);
        columns.map(|(value, (offset, scale))| (f64::from(value) - offset) / scale).chain([1.0]).collect()
    }

    /// Weights of scaled columns, and the intercept last. Platt's curve is a part of them; of an isotonic one the
    /// weights know nothing, and learn what it took back.
    fn scaled(&self, linear: &Linear, calibration: &Calibration) -> Vec<f64> {
        let (slope, shift) = match calibration {
            Calibration::Platt { slope, intercept } => (*slope, *intercept),
            Calibration::None | Calibration::Isotonic(_) => (1.0, 0.0),
        };
        let columns = || linear.weights.iter().map(|weight| f64::from(*weight)).zip(&self.scaling);
        let intercept: f64 = columns().map(|(weight, (offset, _))| weight * offset).sum();
        let intercept = slope * (f64::from(linear.bias) + intercept) + shift;
        columns().map(|(weight, (_, scale))| slope * weight * scale).chain([intercept]).collect()
    }

    /// Weights of the columns as they are, with their spread: n is about the diagonal of the Fisher information.
    fn linear(&self, ftrl: &Ftrl<f64>) -> Linear {
        let (weights, n) = (ftrl.get_weights(), ftrl.n());
        let last = self.scaling.len();
        let mut linear = Linear { weights: Vec::with_capacity(last), bias: 0.0, spread: None };
        let mut spread = Spread { bias_variance: (1.0 / n[last]) as f32, ..Spread::default() };
        let mut bias = weights[last];
        for (column, (offset, scale)) in self.scaling.iter().enumerate() {
            let weight = (weights[column] / scale) as f32;
            bias -= f64::from(weight) * offset;
            linear.weights.push(weight);
            spread.centres.push(*offset as f32);
            spread.deviations.push((1.0 / (scale * sqrt(n[column]))) as f32);
        }
        linear.bias = bias as f32;
        linear.spread = Some(spread);
        linear
    }
}

/// What is taken from a column and what it is divided by. Training keeps the mean and the range of a number; a quarter
/// of the range stands for its deviation.
fn scaling(column: Column) -> (f64, f64) {
    match column {
        Column::Number { fill, low, high, .. } => {
            let quarter = (f64::from(high) - f64::from(low)) / 4.0;
            (f64::from(fill), if quarter.is_finite() && quarter > 0.0 { quarter } else { 1.0 })
        }
        Column::Value { .. } | Column::Scaled { .. } | Column::Category { .. } | Column::Missing { .. } => (0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;
    use tactful_core::layout::FieldKind;
    use tactful_core::score::ModelInput;

    use super::*;

    fn recipe() -> Recipe {
        Recipe::parse("name = \"acceptance\"\nkind = \"ftrl\"\n[ftrl]\nlearning_rate = 0.3").unwrap()
    }

    /// A champion of one action over one number from 0 to 40, which accepts the more the greater it is.
    fn champion() -> Model {
        let linear = Linear { weights: vec![0.1], bias: -3.0, spread: None };
        Model {
            name: "acceptance".into(),
            version: "v1".into(),
            inputs: vec![ModelInput { name: "customer.age".into(), kind: FieldKind::Number }],
            columns: vec![Column::Number { input: 0, fill: 20.0, low: 0.0, high: 40.0 }],
            heads: vec![Head {
                scope: Scope::Action,
                id: "card".into(),
                scorer: Scorer::Linear(linear),
                calibration: Calibration::None,
                rows: 5_000,
                positives: 1_500,
            }],
        }
    }

    fn row<'a>(action: &'a str, inputs: &'a [f32], positive: bool) -> OnlineRow<'a> {
        OnlineRow { action, group: "", acceptance: 0.1, inputs, positive, time_ms: 7 }
    }

    fn probability(learner: &Learner, action: &str, age: f32) -> f32 {
        let model = artifact::read(&learner.artifact().unwrap()).unwrap().model;
        let head = model.heads.iter().position(|head| head.id == action).unwrap();
        model.probability(head, &[age])
    }

    #[test]
    fn a_champions_head_starts_where_it_was_and_follows_a_new_truth() {
        let mut learner = Learner::new(&recipe(), &champion(), Vec::new()).unwrap();
        learner.learn(row("card", &[20.0], false)).unwrap();
        let before = champion().probability(0, &[30.0]);
        assert!((probability(&learner, "card", 30.0) - before).abs() < 0.01);
        let mut rng = Pcg64::seed_from_u64(1);
        for _ in 0..6_000 {
            let age: f32 = rng.gen_range(0.0..40.0);
            learner.learn(row("card", &[age], rng.gen_bool(if age < 20.0 { 0.6 } else { 0.1 }))).unwrap();
        }
        let (young, old) = (probability(&learner, "card", 5.0), probability(&learner, "card", 35.0));
        assert!(young > 0.45 && old < 0.2, "{young} {old}");
        assert_eq!(learner.encode(&[30.0])[0], 1.0, "ten years are a deviation");
    }

    #[test]
    fn a_new_action_starts_at_its_acceptance_unsure_and_becomes_sure() {
        let mut learner = Learner::new(&recipe(), &champion(), Vec::new()).unwrap();
        let variance = |learner: &Learner| {
            let model = artifact::read(&learner.artifact().unwrap()).unwrap().model;
            let head = model.heads.iter().find(|head| head.id == "loan").unwrap();
            let Scorer::Linear(linear) = &head.scorer else { panic!() };
            linear.spread.as_ref().unwrap().variance([20.0].into_iter())
        };
        learner.learn(row("loan", &[20.0], true)).unwrap();
        let (first, unsure) = (probability(&learner, "loan", 20.0), variance(&learner));
        assert!((0.08..0.3).contains(&first) && unsure > 0.2, "{first} {unsure}");
        let mut rng = Pcg64::seed_from_u64(2);
        for _ in 0..1_000 {
            learner.learn(row("loan", &[rng.gen_range(0.0..40.0)], rng.gen_bool(0.5))).unwrap();
        }
        let (later, sure) = (probability(&learner, "loan", 20.0), variance(&learner));
        assert!((later - 0.5).abs() < 0.07 && sure < 0.01, "{later} {sure}");
    }

    #[test]
    fn what_was_learnt_is_taken_up_again_bit_for_bit() {
        let mut rng = Pcg64::seed_from_u64(3);
        let rows: Vec<(f32, bool)> = (0..300).map(|_| (rng.gen_range(0.0..40.0), rng.gen_bool(0.3))).collect();
        let mut whole = Learner::new(&recipe(), &champion(), Vec::new()).unwrap();
        rows.iter().for_each(|(age, positive)| whole.learn(row("loan", &[*age], *positive)).unwrap());
        let mut first = Learner::new(&recipe(), &champion(), Vec::new()).unwrap();
        rows[..100].iter().for_each(|(age, positive)| first.learn(row("loan", &[*age], *positive)).unwrap());
        let mut second = Learner::new(&recipe(), &champion(), first.states()).unwrap();
        rows[100..].iter().for_each(|(age, positive)| second.learn(row("loan", &[*age], *positive)).unwrap());
        assert_eq!(second.states(), whole.states());
        assert_eq!(whole.states()[0].rows, 300);
        let torn = HeadState { z: vec![0.0], ..whole.states()[0].clone() };
        assert!(Learner::new(&recipe(), &champion(), vec![torn]).is_err());
    }
}
