//! Training rows as they arrive, field by field: 4 bytes a value, the label open until `now` is
//! known. Rows that can never train are counted and dropped at once.

use std::collections::{BTreeMap, BTreeSet};

use tactful_core::hash;
use tactful_core::layout::nearest;
use tactful_core::limits::{ACTIONS_MAX, FIELDS_MAX, ID_BYTES_MAX, TEXT_BYTES_MAX, VOCABULARY_MAX};
use tactful_proto::v1::{DecisionRow, Value, value::Kind};

use crate::error::Error;
use crate::recipe::{Features, Recipe};
use crate::reward::{Answer, LeftOut, RewardRule, millis};

/// Field in which a caller may tell the channel of a decision made elsewhere.
const CHANNEL_FIELD: &str = "context.channel";
/// Action of a decision that deliberately shows nothing.
const SILENCE: &str = "none";
/// Most values kept: at 4 bytes each, 1 GiB.
const VALUES_MAX: usize = 1 << 28;
/// Most actions, groups or channels: twice as many actions as a catalogue may have, for those it had before.
const NAMES_MAX: usize = 2 * ACTIONS_MAX;
/// Most rows kept: about 56 bytes each beside their values.
const ROWS_MAX: usize = 1 << 24;

/// Rows of the decision record, collected for one recipe.
#[derive(Debug)]
pub struct Dataset {
    reward: RewardRule,
    exclude_actions: BTreeSet<String>,
    wanted: Option<Vec<String>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) fields: BTreeMap<String, RawField>,
    pub(crate) actions: Names,
    pub(crate) groups: Names,
    pub(crate) channels: Names,
    pub(crate) placements: Names,
    pub(crate) asides: Vec<Aside>,
    pub(crate) rows_read: u64,
    pub(crate) left_out: LeftOut,
    /// Rows have no time; their order stands for it.
    pub(crate) by_rows: bool,
    seen: BTreeSet<String>,
    values: usize,
}

/// One kept row beside its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) time_ms: i64,
    /// Orders rows of one time, whatever order they arrived in.
    pub(crate) tie: u64,
    pub(crate) action: u32,
    pub(crate) group: u32,
    pub(crate) channel: u32,
    pub(crate) choice: Choice,
    pub(crate) answer: Answer,
}

/// How a row's action came to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) placement: u32,
    /// Chance with which it was chosen; 0 where that is not known.
    pub(crate) probability: f64,
    /// It has the first slot of its placement.
    pub(crate) first: bool,
}

/// A decision whose action never trains, but which a policy is to be measured on as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aside {
    pub(crate) time_ms: i64,
    pub(crate) tie: u64,
    pub(crate) probability: f64,
    /// Nothing was shown.
    pub(crate) silent: bool,
    pub(crate) answer: Answer,
}

/// Where a row's answer is.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// In its outcomes, by the recipe's rule.
    Outcomes,
    /// Here, if it has one.
    Answer(Option<bool>),
}

/// Values of one field, by row; rows beyond its length lack it.
#[derive(Debug, Default)]
pub(crate) struct RawField {
    pub(crate) values: Vec<f32>,
    /// Text to the provisional index that `values` holds.
    pub(crate) words: BTreeMap<String, u32>,
    pub(crate) flags: bool,
    pub(crate) numbers: bool,
    /// A number other than 0 and 1 was seen.
    pub(crate) wide_numbers: bool,
}

/// Names in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Names {
    index: BTreeMap<String, u32>,
    pub(crate) names: Vec<String>,
}

impl Dataset {
    /// An empty dataset for a recipe.
    #[must_use]
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            reward: recipe.reward.clone(),
            exclude_actions: recipe.exclude_actions.iter().cloned().collect(),
            wanted: match &recipe.features {
                Features::All => None,
                Features::Listed(names) => Some(names.clone()),
            },
            rows: Vec::new(),
            fields: BTreeMap::new(),
            actions: Names::default(),
            groups: Names::default(),
            channels: Names::default(),
            placements: Names::default(),
            asides: Vec::new(),
            rows_read: 0,
            left_out: LeftOut::default(),
            by_rows: false,
            seen: BTreeSet::new(),
            values: 0,
        }
    }

    /// Takes one row of the record.
    ///
    /// # Errors
    /// If a field is text here and a number elsewhere, or a bound is exceeded.
    pub fn push(&mut self, row: DecisionRow) -> Result<(), Error> {
        self.take(row, Says::Outcomes)
    }

    /// Takes a row that states its answer, or lacks it.
    pub(crate) fn push_answered(&mut self, row: DecisionRow, answer: Option<bool>) -> Result<(), Error> {
        self.take(row, Says::Answer(answer))
    }

    /// Says that rows have no time: their order is that of time.
    pub(crate) fn order_by_rows(&mut self) {
        self.by_rows = true;
    }

    fn take(&mut self, row: DecisionRow, says: Says) -> Result<(), Error> {
        self.rows_read += 1;
        self.remember_names(&row);
        let Some(kept) = self.keep(&row, says)? else { return Ok(()) };
        if self.rows.len() == ROWS_MAX {
            return Err(too_many("training rows", ROWS_MAX + 1, ROWS_MAX));
        }
        let at = self.rows.len();
        for (name, value) in row.features {
            if self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&name)) {
                self.put(at, name, value)?;
            }
        }
        self.rows.push(kept);
        Ok(())
    }

    /// Rows pushed so far, left out ones included.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// That every field which the recipe lists was seen.
    pub(crate) fn check_wanted(&self) -> Result<(), Error> {
        let missing = self.wanted.iter().flatten().find(|name| !self.seen.contains(*name));
        missing.map_or(Ok(()), |feature| {
            let hint = nearest(feature, self.seen.iter().map(String::as_str)).map(str::to_owned);
            Err(Error::UnknownFeature { feature: feature.clone(), hint })
        })
    }

    /// The label of an answer to a decision at `time_ms` as of `now_ms`.
    pub(crate) fn label(&self, answer: Answer, time_ms: i64, now_ms: i64) -> Option<crate::reward::Label> {
        self.reward.label(answer, time_ms, now_ms)
    }

    fn keep(&mut self, row: &DecisionRow, says: Says) -> Result<Option<Row>, Error> {
        let time_ms = if self.by_rows { Some(0) } else { row.decision_time.as_ref().map(millis) };
        let (Some(time_ms), false) = (time_ms, row.action_id.is_empty()) else {
            self.left_out.incomplete += 1;
            return Ok(None);
        };
        let tie = self.tie(row);
        if self.exclude_actions.contains(&row.action_id) {
            self.left_out.excluded_action += 1;
            return self.keep_aside(row, says, time_ms, tie).map(|()| None);
        }
        let mut left_out = self.left_out;
        let answer = self.answer(row, says, time_ms, &mut left_out);
        self.left_out = left_out;
        let Some(answer) = answer else { return Ok(None) };
        Ok(Some(Row {
            time_ms,
            tie,
            action: self.actions.index(&row.action_id, "actions")?,
            group: self.groups.index(&row.group, "groups")?,
            channel: self.channels.index(channel(row), "channels")?,
            choice: Choice {
                placement: self.placements.index(&row.placement, "placements")?,
                probability: probability(row),
                first: row.slot == 0,
            },
            answer,
        }))
    }

    /// Orders rows of one time, whatever order they arrived in; rows without times by their number.
    fn tie(&self, row: &DecisionRow) -> u64 {
        if self.by_rows {
            return self.rows_read;
        }
        let identity = [row.decision_id.as_bytes(), row.subject_id.as_bytes(), row.action_id.as_bytes()].join(&0xFF);
        hash::keyed(u64::from(row.slot.unsigned_abs()), &identity)
    }

    fn answer(&self, row: &DecisionRow, says: Says, time_ms: i64, left_out: &mut LeftOut) -> Option<Answer> {
        match says {
            Says::Outcomes => self.reward.answer(row, time_ms, left_out),
            Says::Answer(answer) => {
                left_out.no_answer += u64::from(answer.is_none());
                answer.map(Answer::Known)
            }
        }
    }

    /// Keeps what the measure of a policy needs of a decision that does not train.
    fn keep_aside(&mut self, row: &DecisionRow, says: Says, time_ms: i64, tie: u64) -> Result<(), Error> {
        let Some(answer) = self.answer(row, says, time_ms, &mut LeftOut::default()) else { return Ok(()) };
        if row.slot != 0 {
            return Ok(());
        }
        if self.asides.len() == ROWS_MAX {
            return Err(too_many("rows of excluded actions", ROWS_MAX + 1, ROWS_MAX));
        }
        let silent = row.action_id == SILENCE;
        self.asides.push(Aside { time_ms, tie, probability: probability(row), silent, answer });
        Ok(())
    }

    fn remember_names(&mut self, row: &DecisionRow) {
        for name in row.features.keys() {
            if self.seen.len() < FIELDS_MAX && !self.seen.contains(name) {
                self.seen.insert(name.clone());
            }
        }
    }

    fn put(&mut self, at: usize, name: String, value: Value) -> Result<(), Error> {
        let Some(kind) = value.kind else { return Ok(()) };
        if !self.fields.contains_key(&name) && self.fields.len() == FIELDS_MAX {
            return Err(too_many("features", FIELDS_MAX + 1, FIELDS_MAX));
        }
        let field = self.fields.entry(name.clone()).or_default();
        let before = field.values.len();
        field.put(at, kind, &name)?;
        self.values += field.values.len() - before;
        if self.values > VALUES_MAX {
            return Err(too_many("values of training rows", self.values, VALUES_MAX));
        }
        Ok(())
    }
}

impl RawField {
    /// The value of a row, NaN if it lacks one.
    pub(crate) fn value(&self, row: usize) -> f32 {
        self.values.get(row).copied().unwrap_or(f32::NAN)
    }

    fn put(&mut self, at: usize, kind: Kind, name: &str) -> Result<(), Error> {
        let is_text = matches!(kind, Kind::Text(_));
        if (is_text && (self.flags || self.numbers)) || (!is_text && !self.words.is_empty()) {
            return Err(Error::MixedKinds { feature: name.to_owned() });
        }
        let value = match kind {
            Kind::Number(number) => {
                // As the decision reads it: an f32, missing where it is not finite.
                let number = number as f32;
                if !number.is_finite() {
                    return Ok(());
                }
                self.numbers = true;
                self.wide_numbers |= number != 0.0 && number != 1.0;
                number
            }
            Kind::Flag(flag) => {
                self.flags = true;
                f32::from(u8::from(flag))
            }
            Kind::Text(text) => self.word(text, name)? as f32,
        };
        self.values.resize(at, f32::NAN);
        self.values.push(value);
        Ok(())
    }

    fn word(&mut self, text: String, name: &str) -> Result<u32, Error> {
        if let Some(index) = self.words.get(&text) {
            return Ok(*index);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_many(&format!("bytes in a text of feature {name}"), text.len(), TEXT_BYTES_MAX));
        }
        let index = self.words.len();
        if index == VOCABULARY_MAX {
            return Err(too_many(&format!("different texts of feature {name}"), index + 1, VOCABULARY_MAX));
        }
        self.words.insert(text, index as u32);
        Ok(index as u32)
    }
}

impl Names {
    fn index(&mut self, name: &str, what: &str) -> Result<u32, Error> {
        if let Some(index) = self.index.get(name) {
            return Ok(*index);
        }
        if self.names.len() == NAMES_MAX {
            return Err(too_many(&format!("different {what}"), NAMES_MAX + 1, NAMES_MAX));
        }
        if name.len() > ID_BYTES_MAX {
            return Err(too_many(&format!("bytes in one of the {what}"), name.len(), ID_BYTES_MAX));
        }
        let index = self.names.len() as u32;
        self.index.insert(name.to_owned(), index);
        self.names.push(name.to_owned());
        Ok(index)
    }
}

/// A chance, or 0 where the row states none.
fn probability(row: &DecisionRow) -> f64 {
    Some(row.selection_probability).filter(|chance| *chance > 0.0 && *chance <= 1.0).unwrap_or(0.0)
}

/// Where a row was decided: its placement's channel, else the one that the request told.
fn channel(row: &DecisionRow) -> &str {
    match row.features.get(CHANNEL_FIELD).and_then(|value| value.kind.as_ref()) {
        Some(Kind::Text(word)) if row.channel.is_empty() => word,
        _ => &row.channel,
    }
}

fn too_many(what: &str, count: usize, max: usize) -> Error {
    Error::TooMany { what: what.to_owned(), count, max }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(rest: &str) -> Recipe {
        Recipe::parse(&format!("name = \"a\"\nkind = \"logistic\"\n{rest}")).unwrap()
    }

    fn row(features: &[(&str, Kind)]) -> DecisionRow {
        DecisionRow {
            action_id: "offer".into(),
            decision_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            features: features
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }))
                .collect(),
            ..DecisionRow::default()
        }
    }

    #[test]
    fn values_are_kept_as_the_decision_reads_them() {
        let mut dataset = Dataset::new(&recipe(""));
        dataset.push(row(&[("x", Kind::Number(0.1))])).unwrap();
        dataset.push(row(&[("x", Kind::Number(f64::INFINITY)), ("c", Kind::Text("b".into()))])).unwrap();
        dataset.push(row(&[("x", Kind::Number(1e300)), ("f", Kind::Flag(true))])).unwrap();
        dataset.push(row(&[("x", Kind::Number(2.0))])).unwrap();
        let values = |name: &str| (0..4).map(|at| dataset.fields[name].value(at)).collect::<Vec<_>>();
        assert!(values("x")[0] == 0.1 && values("x")[1].is_nan() && values("x")[2].is_nan() && values("x")[3] == 2.0);
        assert!(values("c")[0].is_nan() && values("c")[1] == 0.0 && values("c")[3].is_nan());
        assert!(values("f")[1].is_nan() && values("f")[2] == 1.0);
    }

    #[test]
    fn mixed_kinds_and_boundless_texts_are_refused_by_name() {
        let mut dataset = Dataset::new(&recipe(""));
        dataset.push(row(&[("x", Kind::Number(1.0))])).unwrap();
        let mixed = dataset.push(row(&[("x", Kind::Text("one".into()))]));
        assert_eq!(mixed, Err(Error::MixedKinds { feature: "x".into() }));
        let mut dataset = Dataset::new(&recipe(""));
        let refused = (0..=VOCABULARY_MAX)
            .map(|word| dataset.push(row(&[("c", Kind::Text(word.to_string()))])))
            .collect::<Result<Vec<()>, _>>()
            .unwrap_err();
        assert!(refused.to_string().contains("feature c"), "{refused}");
    }

    #[test]
    fn rows_that_can_never_train_are_counted() {
        let mut dataset = Dataset::new(&recipe(""));
        dataset.push(DecisionRow { action_id: "none".into(), ..row(&[]) }).unwrap();
        dataset.push(DecisionRow { decision_time: None, ..row(&[]) }).unwrap();
        dataset.push(DecisionRow { action_id: String::new(), ..row(&[]) }).unwrap();
        dataset.push(row(&[])).unwrap();
        assert_eq!((dataset.rows.len(), dataset.rows_read()), (1, 4));
        assert_eq!(dataset.left_out, LeftOut { excluded_action: 1, incomplete: 2, ..LeftOut::default() });
    }

    #[test]
    fn a_listed_feature_that_no_row_has_is_named() {
        let mut dataset = Dataset::new(&recipe("features = [\"customer.agee\"]"));
        dataset.push(row(&[("customer.age", Kind::Number(1.0))])).unwrap();
        let refused = dataset.check_wanted().unwrap_err().to_string();
        assert!(refused.contains("customer.agee") && refused.contains("did you mean customer.age"), "{refused}");
    }
}
