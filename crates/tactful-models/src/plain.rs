//! Rows of a plain table (a CSV, a Parquet file) as rows to train from, by the `[columns]` of a recipe.
//!
//! A typed cell says what it is. A raw one, of a CSV, is a number if it reads as one, a truth value
//! if it is `true` or `false`, else a word; the first value of a column says what the column holds,
//! and one of another kind is refused with its row and column rather than guessed at.

mod cell;

use tactful_core::layout::nearest;
use tactful_core::limits::{FIELDS_MAX, ID_BYTES_MAX};
use tactful_proto::v1::{DecisionRow, Value, value::Kind};

pub use self::cell::Cell;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::recipe::{Columns, Features, Recipe};

/// Most columns of a table, left out ones included.
const COLUMNS_MAX: usize = 4 * FIELDS_MAX;

/// Takes the rows of one table.
#[derive(Debug)]
pub struct PlainRows {
    columns: Columns,
    parts: Parts,
    inputs: Vec<Input>,
    header: Vec<String>,
    row: u64,
    positives: u64,
}

/// Where the columns with a part of their own are.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    target: usize,
    action: Option<usize>,
    group: Option<usize>,
    time: Option<usize>,
    decision_id: Option<usize>,
    selection_probability: Option<usize>,
    placement: Option<usize>,
    channel: Option<usize>,
}

/// An input of the model to be.
#[derive(Debug)]
struct Input {
    at: usize,
    /// Name of the field.
    name: String,
    /// Words, even where they look like numbers.
    text: bool,
    /// What the first value was, and in which row.
    kind: Option<(InputKind, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputKind {
    Number,
    Flag,
    Word,
}

impl PlainRows {
    /// For a table with these columns.
    ///
    /// # Errors
    /// If the recipe says nothing of columns or names one that is not there, a name is given twice,
    /// or there are too many.
    pub fn new(recipe: &Recipe, header: &[&str], dataset: &mut Dataset) -> Result<Self, Error> {
        let Some(columns) = recipe.columns.clone() else {
            let reason = "the recipe does not say what its columns are: add [columns] with target = \"NAME\"";
            return Err(Error::Table(reason.into()));
        };
        check_header(header)?;
        let parts = Parts::find(&columns, header)?;
        let listed = columns.leave_out.iter().map(|column| ("leave_out", column));
        for (key, column) in listed.chain(columns.text.iter().map(|column| ("text", column))) {
            find(key, column, header)?;
        }
        let inputs = inputs(&columns, &recipe.features, header)?;
        if parts.time.is_none() {
            dataset.order_by_rows();
        }
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { columns, parts, inputs, header, row: 0, positives: 0 })
    }

    /// Whether the cells of a column are looked at; those of the others may be anything.
    #[must_use]
    pub fn reads(&self, column: usize) -> bool {
        self.parts.all().contains(&Some(column)) || self.inputs.iter().any(|input| input.at == column)
    }

    /// Takes one row: a cell for each column.
    ///
    /// # Errors
    /// `Error::Cell` with the row and the column at fault, or a bound that is exceeded.
    ///
    /// # Panics
    /// If there are fewer cells than columns.
    pub fn push(&mut self, cells: &[Cell<'_>], dataset: &mut Dataset) -> Result<(), Error> {
        self.row += 1;
        let present = |at: usize| Some(cells[at]).filter(|cell| !cell.is_missing(&self.columns.missing));
        let word = |at: Option<usize>| at.and_then(present).map(|cell| cell.word()).unwrap_or_default();
        let answer = present(self.parts.target).map(|cell| cell.is_one_of(&self.columns.positive));
        let mut row = DecisionRow {
            decision_id: word(self.parts.decision_id),
            group: word(self.parts.group),
            placement: word(self.parts.placement),
            channel: word(self.parts.channel),
            action_id: match self.parts.action {
                Some(at) => word(Some(at)),
                None => self.columns.action_id.clone(),
            },
            ..DecisionRow::default()
        };
        if let Some((at, cell)) = self.parts.time.and_then(|at| Some((at, present(at)?))) {
            row.decision_time = Some(cell.time().map_err(|reason| self.at(at, reason))?);
        }
        if let Some((at, cell)) = self.parts.selection_probability.and_then(|at| Some((at, present(at)?))) {
            row.selection_probability = cell.probability().map_err(|reason| self.at(at, reason))?;
        }
        let values: Vec<(usize, Cell<'_>)> =
            self.inputs.iter().enumerate().filter_map(|(number, input)| Some((number, present(input.at)?))).collect();
        for (number, cell) in values {
            let at = self.inputs[number].at;
            let kind = self.inputs[number].value(cell, self.row).map_err(|reason| self.at(at, reason))?;
            row.features.insert(self.inputs[number].name.clone(), Value { kind: Some(kind) });
        }
        self.positives += u64::from(answer == Some(true));
        dataset.push_answered(row, answer)
    }

    /// Says that the table has ended.
    ///
    /// # Errors
    /// If no row has an answer that counts as positive: the words are most likely others.
    pub fn finish(&self) -> Result<(), Error> {
        if self.row > 0 && self.positives == 0 {
            let Columns { target, positive, .. } = &self.columns;
            let words = positive.join(", ");
            return Err(Error::Table(format!(
                "column {target} holds none of the answers that positive lists: {words}"
            )));
        }
        Ok(())
    }

    fn at(&self, column: usize, reason: String) -> Error {
        Error::Cell { row: self.row, column: self.header[column].clone(), reason }
    }
}

impl Parts {
    fn find(columns: &Columns, header: &[&str]) -> Result<Self, Error> {
        let mut parts = Self::default();
        for (key, column) in columns.parts() {
            let at = find(key, column, header)?;
            match key {
                "target" => parts.target = at,
                "action" => parts.action = Some(at),
                "group" => parts.group = Some(at),
                "time" => parts.time = Some(at),
                "decision_id" => parts.decision_id = Some(at),
                "selection_probability" => parts.selection_probability = Some(at),
                "placement" => parts.placement = Some(at),
                _ => parts.channel = Some(at),
            }
        }
        Ok(parts)
    }

    fn all(&self) -> [Option<usize>; 8] {
        let Self { target, action, group, time, decision_id, selection_probability, placement, channel } = *self;
        [Some(target), action, group, time, decision_id, selection_probability, placement, channel]
    }
}

impl Input {
    /// The value of a cell, of the kind that the column has.
    fn value(&mut self, cell: Cell<'_>, row: u64) -> Result<Kind, String> {
        let value = if self.text { Kind::Text(cell.word()) } else { cell.value()? };
        let found = match &value {
            Kind::Number(_) => InputKind::Number,
            Kind::Flag(_) => InputKind::Flag,
            Kind::Text(_) => InputKind::Word,
        };
        let (kind, first) = *self.kind.get_or_insert((found, row));
        if kind == found {
            return Ok(value);
        }
        let (here, there) = (found.words(), kind.words());
        Err(format!(
            "{here}, but row {first} has {there}: list the column under text, or what stands for no value under missing"
        ))
    }
}

impl InputKind {
    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Flag => "a truth value",
            Self::Word => "a word",
        }
    }
}

fn check_header(header: &[&str]) -> Result<(), Error> {
    if header.len() > COLUMNS_MAX {
        return Err(Error::TooMany { what: "columns of the table".into(), count: header.len(), max: COLUMNS_MAX });
    }
    if let Some(at) = header.iter().position(|name| name.chars().any(char::is_control)) {
        return Err(Error::Table(format!("the name of column {} has a control character in it", at + 1)));
    }
    let mut names = header.to_vec();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Table(format!("two columns are named {:?}", shown(pair[0])))),
        None => Ok(()),
    }
}

/// The inputs: all columns that are not left out and have no part of their own, within the recipe's list.
fn inputs(columns: &Columns, features: &Features, header: &[&str]) -> Result<Vec<Input>, Error> {
    let parts = columns.parts();
    let has_part = |name: &str| parts.iter().any(|(key, column)| *key != "channel" && *column == name);
    let left_out = |name: &str| columns.leave_out.iter().any(|column| column == name);
    let mut inputs = Vec::new();
    for (at, column) in header.iter().enumerate() {
        if has_part(column) || left_out(column) {
            continue;
        }
        if column.is_empty() {
            let reason = format!("column {} has no name: give it one, or leave_out = [\"\"]", at + 1);
            return Err(Error::Table(reason));
        }
        let name = format!("{}{column}", columns.prefix);
        if name.len() > ID_BYTES_MAX {
            let reason =
                format!("the name of column {} has {} bytes, at most {ID_BYTES_MAX} are allowed", at + 1, name.len());
            return Err(Error::Table(reason));
        }
        let text = columns.text.iter().any(|text| text == column);
        inputs.push(Input { at, name, text, kind: None });
    }
    if let Features::Listed(listed) = features {
        check_listed(listed, &inputs)?;
        inputs.retain(|input| listed.contains(&input.name));
    }
    Ok(inputs)
}

/// That a column makes each listed field.
fn check_listed(listed: &[String], inputs: &[Input]) -> Result<(), Error> {
    let made = || inputs.iter().map(|input| input.name.as_str());
    let absent = listed.iter().find(|field| !made().any(|name| name == field.as_str()));
    absent.map_or(Ok(()), |feature| {
        Err(Error::UnknownFeature { feature: feature.clone(), hint: nearest(feature, made()).map(str::to_owned) })
    })
}

fn find(key: &str, column: &str, header: &[&str]) -> Result<usize, Error> {
    header.iter().position(|name| *name == column).ok_or_else(|| Error::NoColumn {
        key: key.to_owned(),
        column: shown(column),
        hint: nearest(column, header.iter().copied()).map(shown),
    })
}

/// A name as a message may carry it.
fn shown(name: &str) -> String {
    name.chars().take(ID_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests;
