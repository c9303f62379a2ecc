//! The bank: a model compiled for the actions of one ruleset. Its columns read fields of the layout,
//! and every action is scored by its own head, or that of its group, or the global one.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::calibrate::Calibration;
use super::kernel::{LANES, Row, Weights};
use super::model::{Column, Head, Model, ModelInput, ModelKind, Scope, ScoreError, Scorer, Spread};
use super::walker::Walker;
use crate::layout::{FieldIx, FieldKind, Layout};
use crate::math::logit;

/// How close to 0 and 1 a probability is taken for the contributions of trees.
const EDGE: f64 = 1e-6;

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

/// A model compiled for the actions of one ruleset.
#[derive(Debug)]
pub struct Bank {
    name: String,
    version: String,
    columns: Vec<Column>,
    scorers: Scorers,
    sources: Vec<Source>,
    scores_all: bool,
    /// For each action with a head of its own, how much is known of it.
    known: Vec<Option<Known>>,
}

/// How much is known of an action.
#[derive(Debug)]
struct Known {
    /// Standard deviation of the logit of a customer like all.
    deviation: f32,
    /// That of a customer.
    spread: Option<Spread>,
}

/// Rows that a start acceptance, or a head that an action shares, counts for.
const PRIOR_ROWS: f32 = 20.0;

/// What scores, by the kind of the model.
#[derive(Debug)]
enum Scorers {
    /// A row of weights for each action, Platt's curve within; the calibration of each, or none if that was all.
    Linear { weights: Weights, calibrations: Vec<Calibration> },
    /// Distinct heads, and the head of each action.
    Forest { heads: Vec<TreeHead>, head_of: Vec<usize> },
}

#[derive(Debug)]
struct TreeHead {
    walker: Walker,
    calibration: Calibration,
}

/// The columns of one decision, and what was scored of it so far.
#[derive(Debug)]
pub enum Encoded {
    /// In rows, for the kernel.
    Linear(Vec<Row>),
    /// As trees read them ([`Walker::row`]), and for each head its probability once it was asked; NaN before.
    Forest { row: Vec<f32>, scored: Vec<Cell<f32>> },
}

impl Bank {
    /// Compiles a model for actions given as (id, group), in their order.
    ///
    /// # Errors
    /// If the model is unsound, or names a field that the layout lacks or has in another kind.
    pub fn compile(model: &Model, layout: &Layout, actions: &[(&str, &str)]) -> Result<Self, ScoreError> {
        model.validate()?;
        let fields: Vec<(FieldIx, Vec<u32>)> =
            model.inputs.iter().map(|input| bind(model, input, layout)).collect::<Result<_, _>>()?;
        let heads: BTreeMap<(Scope, &str), usize> =
            model.heads.iter().enumerate().map(|(at, head)| ((head.scope, head.id.as_str()), at)).collect();
        let found: Vec<Option<(usize, Source)>> = actions.iter().map(|action| head_of(&heads, *action)).collect();
        let sources: Vec<Source> =
            found.iter().map(|found| found.map_or(Source::Prior, |(_, source)| source)).collect();
        Ok(Self {
            name: model.name.clone(),
            version: model.version.clone(),
            columns: model.columns.iter().map(|column| rebind(*column, &fields)).collect(),
            scorers: match model.kind() {
                ModelKind::Linear => linear(model, &found),
                ModelKind::Forest => forests(model, &found),
            },
            scores_all: !sources.contains(&Source::Prior),
            known: found.iter().map(|found| known(model, *found)).collect(),
            sources,
        })
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

    /// Encodes the fields of a decision into columns. One allocation, two for trees.
    #[must_use]
    pub fn encode(&self, fields: &[f32]) -> Encoded {
        if let Scorers::Forest { heads, .. } = &self.scorers {
            let row = Walker::row(self.columns.iter().map(|column| column.encode(fields)));
            return Encoded::Forest { row, scored: vec![Cell::new(f32::NAN); heads.len()] };
        }
        let mut encoded = vec![Row::default(); self.columns.len().div_ceil(LANES)];
        for (row, columns) in encoded.iter_mut().zip(self.columns.chunks(LANES)) {
            row.0.iter_mut().zip(columns).for_each(|(value, column)| *value = column.encode(fields));
        }
        Encoded::Linear(encoded)
    }

    /// Whether no score of these columns can be anything but a number. Trees give numbers always.
    #[must_use]
    pub fn is_finite(&self, encoded: &Encoded) -> bool {
        let (Scorers::Linear { weights, .. }, Encoded::Linear(rows)) = (&self.scorers, encoded) else { return true };
        let size: f32 = rows.iter().flat_map(|row| row.0).map(f32::abs).sum();
        // Half of what there is leaves room for rounding.
        weights.largest() * (1.0 + size) < f32::MAX / 2.0
    }

    /// Asks for what scoring an action will read soon.
    #[inline(always)]
    pub fn prefetch(&self, action: usize) {
        if let Scorers::Linear { weights, .. } = &self.scorers {
            weights.prefetch(action);
        }
    }

    /// Writes acceptance probabilities of actions, four in each of `out`, for columns that this bank
    /// encoded; for an action without a head they mean nothing. Linear: one pass over their weights.
    /// Trees: a walk for each head that was not asked before.
    ///
    /// # Panics
    /// If an action is beyond the bank, `out` has not a place for each four actions, or a bank of another
    /// kind encoded the columns.
    pub fn probabilities(&self, actions: &[usize], encoded: &Encoded, out: &mut [[f32; 4]]) {
        match (&self.scorers, encoded) {
            (Scorers::Linear { weights, calibrations }, Encoded::Linear(rows)) => {
                weights.probabilities(actions, rows, out);
                if !calibrations.is_empty() {
                    let each = out.as_flattened_mut().iter_mut().zip(actions);
                    each.for_each(|(p, action)| *p = calibrations[*action].beyond_platt(*p));
                }
            }
            (Scorers::Forest { heads, head_of }, Encoded::Forest { row, scored }) => {
                for (p, action) in out.as_flattened_mut().iter_mut().zip(actions) {
                    *p = probability(heads, scored, row, head_of[*action]);
                }
            }
            _ => unreachable!("a bank scores the columns that it encoded"),
        }
    }

    /// Standard deviation of the logit of an action's acceptance for encoded columns.
    #[must_use]
    pub fn deviation(&self, action: usize, encoded: &Encoded, acceptance: f32) -> f32 {
        let Some(known) = &self.known[action] else { return prior_deviation(acceptance) };
        match (&known.spread, encoded) {
            (Some(spread), Encoded::Linear(rows)) => spread.variance(rows.iter().flat_map(|row| row.0)).sqrt(),
            _ => known.deviation,
        }
    }

    /// The same for a customer like all; none for an action without a head of its own.
    #[inline(always)]
    #[must_use]
    pub fn known_deviation(&self, action: usize) -> Option<f32> {
        self.known[action].as_ref().map(|known| known.deviation)
    }

    /// Intercept of an action's head and what each field added to its logit, in column order. Of linear heads
    /// the terms of the sum. Of trees what the logit loses if the field were missing, and as intercept what is
    /// left; heads are walked once for each field. An isotonic calibration is left out for linear heads.
    #[must_use]
    pub fn contributions(&self, action: usize, encoded: &Encoded) -> (f32, Vec<(FieldIx, f32)>) {
        match (&self.scorers, encoded) {
            (Scorers::Linear { weights, .. }, Encoded::Linear(rows)) => self.terms(weights, action, rows),
            (Scorers::Forest { heads, head_of }, Encoded::Forest { row, .. }) => {
                heads.get(head_of[action]).map_or_else(|| (0.0, Vec::new()), |head| self.differences(head, row))
            }
            _ => unreachable!("a bank explains the columns that it encoded"),
        }
    }

    fn terms(&self, weights: &Weights, action: usize, rows: &[Row]) -> (f32, Vec<(FieldIx, f32)>) {
        let mut fields: Vec<(FieldIx, f32)> = Vec::new();
        for (column, (weight, value)) in
            self.columns.iter().zip(weights.of(action).zip(rows.iter().flat_map(|row| &row.0)))
        {
            let part = weight * value;
            match fields.iter_mut().find(|(field, _)| *field == column.input()) {
                Some((_, sum)) => *sum += part,
                None => fields.push((column.input(), part)),
            }
        }
        (weights.bias(action), fields)
    }

    fn differences(&self, head: &TreeHead, row: &[f32]) -> (f32, Vec<(FieldIx, f32)>) {
        let score = |row: &[f32]| logit(f64::from(head.probability(row)).clamp(EDGE, 1.0 - EDGE)) as f32;
        let whole = score(row);
        let mut parts: Vec<(FieldIx, f32)> = Vec::new();
        for field in self.columns.iter().map(|column| column.input()) {
            if parts.iter().any(|(known, _)| *known == field) {
                continue;
            }
            let without =
                |(column, value): (&Column, &f32)| if column.input() == field { column.missing() } else { *value };
            let without = Walker::row(self.columns.iter().zip(row).map(without));
            parts.push((field, whole - score(&without)));
        }
        (whole - parts.iter().map(|(_, part)| part).sum::<f32>(), parts)
    }
}

/// Standard deviation of the logit of an acceptance of which no more is known than twenty rows would say.
#[inline(always)]
#[must_use]
pub fn prior_deviation(acceptance: f32) -> f32 {
    const EDGE: f32 = 1e-3;
    1.0 / (PRIOR_ROWS * acceptance.max(EDGE) * (1.0 - acceptance).max(EDGE)).sqrt()
}

/// What the rows of an action's own head say.
fn known(model: &Model, found: Option<(usize, Source)>) -> Option<Known> {
    let (head, Source::Action) = found? else { return None };
    let head = &model.heads[head];
    let rows = head.rows as f32;
    let rate = (head.positives as f32 + 0.5) / (rows + 1.0);
    let spread = match &head.scorer {
        Scorer::Linear(linear) => linear.spread.clone(),
        Scorer::Forest(_) => None,
    };
    Some(Known { deviation: 1.0 / ((rows + 1.0) * rate * (1.0 - rate)).sqrt(), spread })
}

impl TreeHead {
    fn probability(&self, row: &[f32]) -> f32 {
        self.calibration.apply(self.walker.probability(row)) as f32
    }
}

/// The score of a head, walked once for each decision; 0 for an action without one.
#[inline]
fn probability(heads: &[TreeHead], scored: &[Cell<f32>], row: &[f32], head: usize) -> f32 {
    let Some(known) = scored.get(head) else { return 0.0 };
    if known.get().is_nan() {
        known.set(heads[head].probability(row));
    }
    known.get()
}

/// The head that scores an action given as (id, group).
fn head_of(heads: &BTreeMap<(Scope, &str), usize>, (id, group): (&str, &str)) -> Option<(usize, Source)> {
    [(Scope::Action, id, Source::Action), (Scope::Group, group, Source::Group), (Scope::Global, "", Source::Global)]
        .into_iter()
        .find_map(|(scope, id, source)| heads.get(&(scope, id)).map(|head| (*head, source)))
}

fn linear(model: &Model, found: &[Option<(usize, Source)>]) -> Scorers {
    let mut weights = Weights::new(found.len(), model.columns.len());
    let heads = || found.iter().map(|found| found.map(|(head, _)| &model.heads[head]));
    for (action, head) in heads().enumerate() {
        if let Some(head @ Head { scorer: Scorer::Linear(linear), .. }) = head {
            let (bias, of_columns) = linear.with_platt(&head.calibration);
            weights.set(action, bias, of_columns);
        }
    }
    let any = heads().flatten().any(|head| matches!(head.calibration, Calibration::Isotonic(_)));
    let calibration = |head: Option<&Head>| head.map_or(Calibration::None, |head| head.calibration.clone());
    Scorers::Linear { weights, calibrations: if any { heads().map(calibration).collect() } else { Vec::new() } }
}

fn forests(model: &Model, found: &[Option<(usize, Source)>]) -> Scorers {
    let mut used: BTreeMap<usize, usize> = BTreeMap::new();
    for (head, _) in found.iter().flatten() {
        let next = used.len();
        used.entry(*head).or_insert(next);
    }
    let mut order: Vec<(usize, usize)> = used.iter().map(|(head, at)| (*at, *head)).collect();
    order.sort_unstable();
    let compiled = |head: &Head| match &head.scorer {
        Scorer::Forest(forest) => {
            let walker = Walker::new(forest, model.columns.len());
            Some(TreeHead { walker, calibration: head.calibration.clone() })
        }
        Scorer::Linear(_) => None,
    };
    Scorers::Forest {
        heads: order.iter().filter_map(|(_, head)| compiled(&model.heads[*head])).collect(),
        head_of: found.iter().map(|found| found.map_or(usize::MAX, |(head, _)| used[&head])).collect(),
    }
}

/// The field of an input, and for a category the layout's index of each of the model's words.
fn bind(model: &Model, input: &ModelInput, layout: &Layout) -> Result<(FieldIx, Vec<u32>), ScoreError> {
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
