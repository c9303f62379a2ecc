//! Linear models: the plain description that an artifact holds, and the bank compiled from it for
//! all actions of a ruleset.

use std::collections::BTreeMap;

use super::kernel::{LANES, Row, Weights, dot, rows};
use crate::layout::{FieldIx, FieldKind, Layout};
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

/// One logistic regression over the encoded columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What it scores.
    pub scope: Scope,
    /// Id of the action or group; empty for the global head.
    pub id: String,
    /// One weight for each column.
    pub weights: Vec<f32>,
    /// Intercept.
    pub bias: f32,
    /// Training rows behind it.
    pub rows: u64,
    /// Positive ones among them.
    pub positives: u64,
}

/// A linear model as an artifact describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearModel {
    /// Name, for example `acceptance`.
    pub name: String,
    /// Version: first 16 hex digits of the artifact's sha256.
    pub version: String,
    /// Inputs in order.
    pub inputs: Vec<ModelInput>,
    /// Encoded columns in order.
    pub columns: Vec<Column>,
    /// Heads.
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

/// Which part of the hierarchy scores an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its own head.
    Action,
    /// Its group's head.
    Group,
    /// The global head.
    Global,
    /// The catalogue's start acceptance.
    Prior,
}

impl LinearModel {
    /// Checks bounds, indices and finiteness.
    ///
    /// # Errors
    /// Says what is unsound.
    pub fn validate(&self) -> Result<(), ScoreError> {
        let unsound = |reason: String| Err(ScoreError::Unsound { model: self.name.clone(), reason });
        if self.columns.len() > COLUMNS_MAX {
            return unsound(format!("{} columns, at most {COLUMNS_MAX} are allowed", self.columns.len()));
        }
        for (position, column) in self.columns.iter().enumerate() {
            if let Err(reason) = self.check_column(*column) {
                return unsound(format!("column {position} {reason}"));
            }
        }
        for head in &self.heads {
            if head.weights.len() != self.columns.len() {
                return unsound(format!(
                    "head {:?} has {} weights for {} columns",
                    head.id,
                    head.weights.len(),
                    self.columns.len()
                ));
            }
            if !head.bias.is_finite() || head.weights.iter().any(|weight| !weight.is_finite()) {
                return unsound(format!("head {:?} has a weight that is not finite", head.id));
            }
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

    /// Probability of one head for one row of inputs, in the kernel's order of operations.
    #[must_use]
    pub fn probability(&self, head: usize, inputs: &[f32]) -> f32 {
        let head = &self.heads[head];
        sigmoid(head.bias + dot(&rows(head.weights.iter().copied()), &rows(self.encode(inputs).into_iter())))
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
            (Column::Number { .. }, _) => Err(format!("reads input {} as a number", input.name)),
            (Column::Missing { .. }, _) => Ok(()),
        }
    }
}

impl Column {
    /// The input that it is made of.
    #[must_use]
    pub fn input(self) -> usize {
        match self {
            Self::Number { input, .. } | Self::Category { input, .. } | Self::Missing { input } => input,
        }
    }

    #[inline]
    fn encode(self, inputs: &[f32]) -> f32 {
        match self {
            Self::Number { input, fill, low, high } => {
                if inputs[input].is_nan() {
                    fill
                } else {
                    inputs[input].max(low).min(high)
                }
            }
            Self::Category { input, category } => f32::from(u8::from(inputs[input] == category as f32)),
            Self::Missing { input } => f32::from(u8::from(inputs[input].is_nan())),
        }
    }

    fn with_input(self, input: usize) -> Self {
        match self {
            Self::Number { fill, low, high, .. } => Self::Number { input, fill, low, high },
            Self::Category { category, .. } => Self::Category { input, category },
            Self::Missing { .. } => Self::Missing { input },
        }
    }
}

/// A linear model compiled for the actions of one ruleset: columns read fields of the layout, and
/// every action has a lane of weights, its own or that of its group or the global head.
#[derive(Debug)]
pub struct Bank {
    name: String,
    version: String,
    columns: Vec<Column>,
    weights: Weights,
    sources: Vec<Source>,
    scores_all: bool,
}

impl Bank {
    /// Compiles a model for actions given as (id, group), in their order.
    ///
    /// # Errors
    /// If the model is unsound, or names a field that the layout lacks or has in another kind.
    pub fn compile(model: &LinearModel, layout: &Layout, actions: &[(&str, &str)]) -> Result<Self, ScoreError> {
        model.validate()?;
        let fields: Vec<(FieldIx, Vec<u32>)> =
            model.inputs.iter().map(|input| bind(model, input, layout)).collect::<Result<_, _>>()?;
        let columns = model.columns.iter().map(|column| rebind(*column, &fields)).collect();
        let heads: BTreeMap<(Scope, &str), &Head> =
            model.heads.iter().map(|head| ((head.scope, head.id.as_str()), head)).collect();
        let mut weights = Weights::new(actions.len(), model.columns.len());
        let mut sources = Vec::with_capacity(actions.len());
        for (action, (id, group)) in actions.iter().enumerate() {
            let found = [
                (Scope::Action, *id, Source::Action),
                (Scope::Group, *group, Source::Group),
                (Scope::Global, "", Source::Global),
            ]
            .into_iter()
            .find_map(|(scope, id, source)| heads.get(&(scope, id)).map(|head| (*head, source)));
            sources.push(found.map_or(Source::Prior, |(_, source)| source));
            if let Some((head, _)) = found {
                weights.set(action, head.bias, &head.weights);
            }
        }
        let scores_all = !sources.contains(&Source::Prior);
        Ok(Self { name: model.name.clone(), version: model.version.clone(), columns, weights, sources, scores_all })
    }

    /// Name of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the model.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What scores an action.
    #[inline(always)]
    #[must_use]
    pub fn source(&self, action: usize) -> Source {
        self.sources[action]
    }

    /// Whether every action has a head.
    #[must_use]
    pub fn scores_all(&self) -> bool {
        self.scores_all
    }

    /// Encodes the fields of a decision into columns. One allocation.
    #[must_use]
    pub fn encode(&self, fields: &[f32]) -> Vec<Row> {
        let mut encoded = vec![Row::default(); self.columns.len().div_ceil(LANES)];
        for (row, columns) in encoded.iter_mut().zip(self.columns.chunks(LANES)) {
            row.0.iter_mut().zip(columns).for_each(|(value, column)| *value = column.encode(fields));
        }
        encoded
    }

    /// Whether no weighted sum of these columns can overflow, so that every probability is a number.
    #[must_use]
    pub fn is_finite(&self, encoded: &[Row]) -> bool {
        let size: f32 = encoded.iter().flat_map(|row| row.0).map(f32::abs).sum();
        // Half of what there is leaves room for rounding.
        self.weights.largest() * (1.0 + size) < f32::MAX / 2.0
    }

    /// Asks for what scoring an action will read soon.
    #[inline(always)]
    pub fn prefetch(&self, action: usize) {
        self.weights.prefetch(action);
    }

    /// Writes acceptance probabilities of actions for encoded columns, as [`Weights::probabilities`] does;
    /// without a head they mean nothing.
    pub fn probabilities(&self, actions: &[usize], encoded: &[Row], out: &mut [[f32; 4]]) {
        self.weights.probabilities(actions, encoded, out);
    }

    /// Intercept of an action and what each field added to its logit, in column order.
    #[must_use]
    pub fn contributions(&self, action: usize, encoded: &[Row]) -> (f32, Vec<(FieldIx, f32)>) {
        let mut fields: Vec<(FieldIx, f32)> = Vec::new();
        for (column, (weight, value)) in
            self.columns.iter().zip(self.weights.of(action).zip(encoded.iter().flat_map(|row| &row.0)))
        {
            let part = weight * value;
            match fields.iter_mut().find(|(field, _)| *field == column.input()) {
                Some((_, sum)) => *sum += part,
                None => fields.push((column.input(), part)),
            }
        }
        (self.weights.bias(action), fields)
    }
}

/// The field of an input, and for a category the layout's index of each of the model's words.
fn bind(model: &LinearModel, input: &ModelInput, layout: &Layout) -> Result<(FieldIx, Vec<u32>), ScoreError> {
    let refuse =
        |reason: String| Err(ScoreError::Signature { model: model.name.clone(), input: input.name.clone(), reason });
    let Some(index) = layout.index(&input.name) else {
        return refuse("is no field of this catalogue".into());
    };
    match (&input.kind, &layout.fields()[index].kind) {
        (FieldKind::Category(trained), FieldKind::Category(now)) => {
            // A word that the catalogue dropped can never be read: no column value reaches it.
            let words =
                trained.iter().map(|word| now.iter().position(|other| other == word).map_or(u32::MAX, |at| at as u32));
            Ok((index, words.collect()))
        }
        (trained, now) if trained == now => Ok((index, Vec::new())),
        (trained, now) => refuse(format!("is a {} here and was a {} at training", now.name(), trained.name())),
    }
}

fn rebind(column: Column, fields: &[(FieldIx, Vec<u32>)]) -> Column {
    let (field, words) = &fields[column.input()];
    match column.with_input(*field) {
        Column::Category { input, category } => Column::Category { input, category: words[category as usize] },
        other => other,
    }
}
