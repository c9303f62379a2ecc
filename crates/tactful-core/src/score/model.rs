//! Models as an artifact describes them: inputs, the columns that are made of them, and a scorer for
//! each action, group, and all others.

use super::calibrate::Calibration;
use super::forest::Forest;
use super::kernel::{dot, rows};
use crate::layout::FieldKind;
use crate::limits::COLUMNS_MAX;
use crate::math::sigmoid;

/// An input of a model: a field by name, with the kind and vocabulary it was trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Dotted field name, for example `customer.age`.
    pub name: String,
    /// Kind at training.
    pub kind: FieldKind,
}

/// How one encoded column is made of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// The number, within the range of the training rows; `fill` where it is missing.
    Number { input: usize, fill: f32, low: f32, high: f32 },
    /// The number as it is, missing where it is missing: for trees, which know where to go then.
    Value { input: usize },
    /// (number - offset) x scale, `fill` in place of a missing number: for imported linear models whose weights
    /// are those of scaled numbers. Folded into weights in single precision, a mean far from zero would cost digits.
    Scaled { input: usize, fill: f32, offset: f32, scale: f32 },
    /// 1 if the category is this index of the input's vocabulary, else 0.
    Category { input: usize, category: u32 },
    /// 1 if the input is missing, else 0.
    Missing { input: usize },
}

/// What a head scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One action.
    Action,
    /// The actions of a group that have no head of their own.
    Group,
    /// All others.
    Global,
}

/// A scorer over the encoded columns, and what it scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What it scores.
    pub scope: Scope,
    /// Id of the action or group; empty for the global head.
    pub id: String,
    /// From columns to a probability.
    pub scorer: Scorer,
    /// From that probability to the one that was observed for it.
    pub calibration: Calibration,
    /// Training rows behind it.
    pub rows: u64,
    /// Positive ones among them.
    pub positives: u64,
}

/// From encoded columns to a probability.
#[derive(Clone, Debug, PartialEq)]
pub enum Scorer {
    /// A logistic regression.
    Linear(Linear),
    /// Trees.
    Forest(Forest),
}

/// logistic(bias + weighted columns).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linear {
    /// One weight for each column.
    pub weights: Vec<f32>,
    /// Intercept.
    pub bias: f32,
    /// How far the weights may be from what they should be; none if nobody knows.
    pub spread: Option<Spread>,
}

/// The variance of a logit, as a diagonal normal approximation of the posterior gives it:
/// bias variance + sum over the columns of ((x - centre) x deviation)^2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Of each column, where its weight does not move the logit.
    pub centres: Vec<f32>,
    /// Of each column, standard deviation of its weight.
    pub deviations: Vec<f32>,
    /// Variance of the intercept at the centres.
    pub bias_variance: f32,
}

/// What all scorers of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Logistic regressions.
    Linear,
    /// Trees.
    Forest,
}

/// A model as an artifact describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Name, for example `acceptance`.
    pub name: String,
    /// Version: first 16 hex digits of the artifact's sha256.
    pub version: String,
    /// Inputs in order.
    pub inputs: Vec<ModelInput>,
    /// Encoded columns in order.
    pub columns: Vec<Column>,
    /// Heads, all of one kind.
    pub heads: Vec<Head>,
}

/// Why a model does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The model is not sound in itself.
    #[error("model {model}: {reason}")]
    Unsound { model: String, reason: String },
    /// The ruleset has no such field, or one of another kind.
    #[error("model {model}: input {input} {reason}")]
    Signature { model: String, input: String, reason: String },
}

impl Model {
    /// Kind of its heads; linear without one.
    #[must_use]
    pub fn kind(&self) -> ModelKind {
        self.heads.first().map_or(ModelKind::Linear, |head| head.scorer.kind())
    }

    /// Checks bounds, indices and finiteness.
    ///
    /// # Errors
    /// Says what is unsound.
    pub fn validate(&self) -> Result<(), ScoreError> {
        self.check().map_err(|reason| ScoreError::Unsound { model: self.name.clone(), reason })
    }

    fn check(&self) -> Result<(), String> {
        if self.columns.len() > COLUMNS_MAX {
            return Err(format!("{} columns, at most {COLUMNS_MAX} are allowed", self.columns.len()));
        }
        for (position, column) in self.columns.iter().enumerate() {
            self.check_column(*column).map_err(|reason| format!("column {position} {reason}"))?;
        }
        let kind = self.kind();
        for head in &self.heads {
            let sound = if head.scorer.kind() == kind {
                head.check(self.columns.len())
            } else {
                Err("is of another kind".into())
            };
            sound.map_err(|reason| format!("head {:?}: {reason}", head.id))?;
        }
        Ok(())
    }

    /// Encodes one row of inputs (in the order of `inputs`, NaN for missing) into columns.
    ///
    /// # Panics
    /// If a column names an input beyond the row; `validate` excludes that.
    #[must_use]
    pub fn encode(&self, inputs: &[f32]) -> Vec<f32> {
        self.columns.iter().map(|column| column.encode(inputs)).collect()
    }

    /// Probability of one head for one row of inputs, in the order of operations of a [`super::Bank`].
    #[must_use]
    pub fn probability(&self, head: usize, inputs: &[f32]) -> f32 {
        self.heads[head].probability(&self.encode(inputs))
    }

    fn check_column(&self, column: Column) -> Result<(), String> {
        let index = column.input();
        let Some(input) = self.inputs.get(index) else {
            return Err(format!("names input {index} of {}", self.inputs.len()));
        };
        match (column, &input.kind) {
            (Column::Category { category, .. }, FieldKind::Category(words)) if (category as usize) < words.len() => {
                Ok(())
            }
            (Column::Category { category, .. }, _) => {
                Err(format!("names category {category} that input {} does not have", input.name))
            }
            (Column::Number { fill, low, high, .. }, FieldKind::Number | FieldKind::Bool) => {
                let sound = fill.is_finite() && low <= fill && fill <= high;
                if sound { Ok(()) } else { Err("has a fill that is not finite, or outside its range".into()) }
            }
            (Column::Value { .. }, FieldKind::Number | FieldKind::Bool) if self.kind() == ModelKind::Forest => Ok(()),
            (Column::Value { .. }, FieldKind::Number | FieldKind::Bool) => {
                Err(format!("passes a missing {} on, which only trees can read", input.name))
            }
            (Column::Scaled { fill, offset, scale, .. }, FieldKind::Number | FieldKind::Bool) => {
                let sound = [fill, offset, scale, column.missing()].iter().all(|number| number.is_finite());
                if sound { Ok(()) } else { Err("has a fill or scaling that is not finite".into()) }
            }
            (Column::Number { .. } | Column::Value { .. } | Column::Scaled { .. }, _) => {
                Err(format!("reads input {} as a number", input.name))
            }
            (Column::Missing { .. }, _) => Ok(()),
        }
    }
}

impl Head {
    /// Probability for encoded columns.
    #[must_use]
    pub fn probability(&self, encoded: &[f32]) -> f32 {
        match &self.scorer {
            Scorer::Linear(linear) => linear.probability(encoded, &self.calibration),
            Scorer::Forest(forest) => self.calibration.apply(forest.probability(encoded)) as f32,
        }
    }

    fn check(&self, columns: usize) -> Result<(), String> {
        self.calibration.check()?;
        match &self.scorer {
            Scorer::Linear(linear) => linear.check(columns, &self.calibration),
            Scorer::Forest(forest) => forest.check(columns),
        }
    }
}

impl Scorer {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ModelKind {
        match self {
            Self::Linear(_) => ModelKind::Linear,
            Self::Forest(_) => ModelKind::Forest,
        }
    }
}

impl Linear {
    fn probability(&self, encoded: &[f32], calibration: &Calibration) -> f32 {
        let (bias, weights) = self.with_platt(calibration);
        calibration.beyond_platt(sigmoid(bias + dot(&rows(weights), &rows(encoded.iter().copied()))))
    }

    /// Bias and weights with Platt's curve within, if it is one: for p = logistic(z),
    /// logistic(slope x logit(p) + intercept) is logistic(slope x z + intercept).
    pub(super) fn with_platt(&self, calibration: &Calibration) -> (f32, impl ExactSizeIterator<Item = f32>) {
        let (slope, intercept) = match calibration {
            Calibration::Platt { slope, intercept } => (*slope, *intercept),
            Calibration::None | Calibration::Isotonic(_) => (1.0, 0.0),
        };
        let scaled = move |weight: f32| (slope * f64::from(weight)) as f32;
        ((slope * f64::from(self.bias) + intercept) as f32, self.weights.iter().copied().map(scaled))
    }

    fn check(&self, columns: usize, calibration: &Calibration) -> Result<(), String> {
        if self.weights.len() != columns {
            return Err(format!("{} weights for {columns} columns", self.weights.len()));
        }
        let finite = self.bias.is_finite() && self.weights.iter().all(|weight| weight.is_finite());
        if !finite {
            return Err("a weight is not finite".into());
        }
        let (bias, mut weights) = self.with_platt(calibration);
        if !bias.is_finite() || weights.any(|weight| !weight.is_finite()) {
            return Err("a weight is not finite once Platt's slope multiplies it".into());
        }
        self.spread.as_ref().map_or(Ok(()), |spread| spread.check(columns))
    }
}

impl Spread {
    /// Variance of the logit for encoded columns.
    #[must_use]
    pub fn variance(&self, encoded: impl Iterator<Item = f32>) -> f32 {
        let columns = self.centres.iter().zip(&self.deviations).zip(encoded);
        columns.fold(self.bias_variance, |sum, ((centre, deviation), x)| {
            let part = (x - centre) * deviation;
            sum + part * part
        })
    }

    fn check(&self, columns: usize) -> Result<(), String> {
        if self.centres.len() != columns || self.deviations.len() != columns {
            return Err(format!("a spread of {} columns for {columns}", self.deviations.len()));
        }
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let sound = finite(&self.centres) && finite(&self.deviations) && self.bias_variance.is_finite();
        let positive = self.bias_variance >= 0.0 && self.deviations.iter().all(|deviation| *deviation >= 0.0);
        if sound && positive { Ok(()) } else { Err("a spread that is not finite, or negative".into()) }
    }
}

impl Column {
    /// The input that it is made of.
    #[must_use]
    pub fn input(self) -> usize {
        match self {
            Self::Number { input, .. }
            | Self::Value { input }
            | Self::Scaled { input, .. }
            | Self::Category { input, .. }
            | Self::Missing { input } => input,
        }
    }

    #[inline]
    pub(super) fn encode(self, inputs: &[f32]) -> f32 {
        match self {
            Self::Number { input, fill, low, high } => {
                if inputs[input].is_nan() {
                    fill
                } else {
                    inputs[input].max(low).min(high)
                }
            }
            Self::Value { input } => inputs[input],
            Self::Scaled { input, fill, offset, scale } => {
                let value = if inputs[input].is_nan() { fill } else { inputs[input] };
                (value - offset) * scale
            }
            Self::Category { input, category } => f32::from(u8::from(inputs[input] == category as f32)),
            Self::Missing { input } => f32::from(u8::from(inputs[input].is_nan())),
        }
    }

    /// What it is where its input is missing.
    pub(super) fn missing(self) -> f32 {
        match self {
            Self::Number { fill, .. } => fill,
            Self::Value { .. } => f32::NAN,
            Self::Scaled { fill, offset, scale, .. } => (fill - offset) * scale,
            Self::Category { .. } => 0.0,
            Self::Missing { .. } => 1.0,
        }
    }

    pub(super) fn with_input(self, input: usize) -> Self {
        match self {
            Self::Number { fill, low, high, .. } => Self::Number { input, fill, low, high },
            Self::Value { .. } => Self::Value { input },
            Self::Scaled { fill, offset, scale, .. } => Self::Scaled { input, fill, offset, scale },
            Self::Category { category, .. } => Self::Category { input, category },
            Self::Missing { .. } => Self::Missing { input },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bank::{Bank, Source};
    use super::super::calibrate::Knot;
    use super::*;
    use crate::layout::{Field, Layout};

    fn scaled(fill: f32, offset: f32, scale: f32) -> Model {
        let head = Head {
            scope: Scope::Global,
            id: String::new(),
            scorer: Scorer::Linear(Linear { weights: vec![1.5], bias: -0.25, spread: None }),
            calibration: Calibration::None,
            rows: 0,
            positives: 0,
        };
        Model {
            name: "acceptance".into(),
            inputs: vec![ModelInput { name: "customer.spend".into(), kind: FieldKind::Number }],
            columns: vec![Column::Scaled { input: 0, fill, offset, scale }],
            heads: vec![head],
            ..Model::default()
        }
    }

    #[test]
    fn a_scaled_number_keeps_the_digits_that_its_mean_would_cost() {
        let model = scaled(5_167.0, 5_167.0, 1.0 / 72.0);
        assert_eq!(model.validate(), Ok(()));
        assert_eq!(model.encode(&[5_203.0]), [0.5]);
        assert_eq!(model.encode(&[f32::NAN]), [0.0]);
        assert_eq!(model.columns[0].missing(), 0.0);
        let expected = crate::math::logistic(1.5 * 0.5 - 0.25);
        assert!((f64::from(model.probability(0, &[5_203.0])) - expected).abs() < 1e-7);
    }

    #[test]
    fn a_bank_scores_scaled_numbers_as_the_model_does() {
        let field = |name: &str| Field { name: name.into(), kind: FieldKind::Number };
        let layout = Layout::new(vec![field("customer.age"), field("customer.spend")]);
        let model = scaled(1.0, 3.0, 0.5);
        let bank = Bank::compile(&model, &layout, &[("upgrade", "offers")]).unwrap();
        assert_eq!(bank.source(0), Source::Global);
        for spend in [f32::NAN, 0.0, 7.5] {
            let mut out = [[0.0; 4]];
            bank.probabilities(&[0], &bank.encode(&[40.0, spend]), &mut out);
            assert_eq!(out[0][0], model.probability(0, &[spend]));
        }
    }

    #[test]
    fn a_bank_calibrates_as_the_model_does_and_as_the_curve_says() {
        let layout = Layout::new(vec![Field { name: "customer.spend".into(), kind: FieldKind::Number }]);
        let plain = scaled(1.0, 3.0, 0.5);
        let knots = [(0.2, 0.1), (0.8, 0.3)].map(|(scored, observed)| Knot { scored, observed });
        let platt = Calibration::Platt { slope: 0.7, intercept: -1.1 };
        for calibration in [platt.clone(), Calibration::Isotonic(knots.to_vec())] {
            let mut model = plain.clone();
            model.heads[0].calibration = calibration.clone();
            let bank = Bank::compile(&model, &layout, &[("upgrade", "offers")]).unwrap();
            for spend in [f32::NAN, -5.0, 0.0, 7.5] {
                let encoded = bank.encode(&[spend]);
                let mut out = [[0.0; 4]];
                bank.probabilities(&[0], &encoded, &mut out);
                assert_eq!(out[0][0], model.probability(0, &[spend]));
                let expected = calibration.apply(plain.probability(0, &[spend]).into());
                assert!((f64::from(out[0][0]) - expected).abs() < 2e-7, "{spend}: {} {expected}", out[0][0]);
                let (intercept, parts) = bank.contributions(0, &encoded);
                let explained = sigmoid(intercept + parts.iter().map(|(_, part)| part).sum::<f32>());
                assert!(calibration != platt || (explained - out[0][0]).abs() < 1e-6);
            }
        }
        let mut model = plain;
        model.heads[0].calibration = Calibration::Platt { slope: 1e300, intercept: 0.0 };
        assert!(model.validate().unwrap_err().to_string().contains("Platt's slope"));
    }

    #[test]
    fn a_scaling_without_an_end_is_refused() {
        for (fill, offset, scale) in
            [(f32::NAN, 0.0, 1.0), (0.0, f32::INFINITY, 1.0), (0.0, 0.0, f32::NAN), (f32::MAX, -f32::MAX, 2.0)]
        {
            let refused = scaled(fill, offset, scale).validate().unwrap_err().to_string();
            assert!(refused.contains("not finite"), "{refused}");
        }
        let words = FieldKind::Category(vec!["a".into()]);
        let mut model = scaled(0.0, 0.0, 1.0);
        model.inputs[0].kind = words;
        assert!(model.validate().unwrap_err().to_string().contains("as a number"));
    }
}
