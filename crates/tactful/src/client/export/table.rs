//! Rows of the record of decisions as the columns of a Parquet file: what every row has, `feature.<name>` in the
//! type of its feature, and the outcomes as a list of records. It knows no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use tactful_proto::v1::value::Kind;
use tactful_proto::v1::{DecisionRow, Outcome, Value};

use crate::render::row;

/// Features that one file may have.
const FEATURES_MAX: usize = 4_096;
/// Prefix of the columns of features.
const FEATURE: &str = "feature.";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Text,
    /// Microseconds since 1970, UTC.
    Time,
    Count,
    Real,
    Single,
    Flag,
}

/// One value on its way into a column of its type.
enum Cell {
    Text(ByteArray),
    Time(i64),
    Count(i32),
    Real(f64),
    Single(f32),
    Flag(bool),
}

/// A column: its name, what it holds, and what a row has in it.
type Fixed<T> = (&'static str, Of, fn(&T) -> Option<Cell>);

/// What every row has.
const COLUMNS: &[Fixed<DecisionRow>] = &[
    ("decision_id", Of::Text, |row| text(&row.decision_id)),
    ("decision_time", Of::Time, |row| time(row.decision_time.as_ref())),
    ("subject_id", Of::Text, |row| text(&row.subject_id)),
    ("placement", Of::Text, |row| text(&row.placement)),
    ("channel", Of::Text, |row| text(&row.channel)),
    ("slot", Of::Count, |row| Some(Cell::Count(row.slot))),
    ("action_id", Of::Text, |row| text(&row.action_id)),
    ("group", Of::Text, |row| text(&row.group)),
    ("selection_probability", Of::Real, |row| Some(Cell::Real(row.selection_probability))),
    ("acceptance_probability", Of::Single, |row| Some(Cell::Single(row.acceptance_probability))),
    ("priority", Of::Single, |row| Some(Cell::Single(row.priority))),
    ("selection", Of::Text, |row| row::selection(row).as_deref().and_then(text)),
    ("ruleset_version", Of::Text, |row| text(&row.ruleset_version)),
    ("model_version", Of::Text, |row| text(&row.model_version)),
    ("shadow_model_version", Of::Text, |row| text(&row.shadow_model_version)),
    ("shadow_acceptance_probability", Of::Single, |row| row::shadow(row).map(Cell::Single)),
    ("shadow_action_id", Of::Text, |row| text(&row.shadow_action_id)),
    ("external", Of::Flag, |row| Some(Cell::Flag(row.external))),
];

/// What every outcome has.
const OUTCOMES: &[Fixed<Outcome>] = &[
    ("type", Of::Text, |outcome| row::outcome_type(outcome).as_deref().and_then(text)),
    ("value", Of::Real, |outcome| Some(Cell::Real(outcome.value))),
    ("occur_time", Of::Time, |outcome| time(outcome.occur_time.as_ref())),
    ("reason_code", Of::Text, |outcome| text(&outcome.reason_code)),
];

/// The features of all rows with their types.
#[derive(Debug, Default)]
pub(super) struct Features(BTreeMap<String, Of>);

impl Features {
    /// Takes note of a row's features. One that is a number here and a word there becomes text.
    pub(super) fn note(&mut self, row: &DecisionRow) -> Result<()> {
        for (name, value) in &row.features {
            let Some(found) = value.kind.as_ref().map(kind) else { continue };
            match self.0.get_mut(name) {
                Some(known) if *known == found => {}
                Some(known) => *known = Of::Text,
                None => drop(self.0.insert(name.clone(), found)),
            }
        }
        if self.0.len() > FEATURES_MAX {
            bail!("the rows have more than {FEATURES_MAX} features: export a shorter time with --since and --until");
        }
        Ok(())
    }
}

fn kind(kind: &Kind) -> Of {
    match kind {
        Kind::Number(_) => Of::Real,
        Kind::Flag(_) => Of::Flag,
        Kind::Text(_) => Of::Text,
    }
}

/// Rows as columns, some of them at once.
pub(super) struct Table {
    features: Vec<(String, Of)>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    pub(super) fn new(features: Features) -> Self {
        let features: Vec<(String, Of)> = features.0.into_iter().collect();
        let fixed = COLUMNS.iter().map(|(_, of, _)| *of);
        let all = fixed.chain(features.iter().map(|(_, of)| *of)).chain(OUTCOMES.iter().map(|(_, of, _)| *of));
        Self { columns: all.map(Column::new).collect(), features, rows: 0 }
    }

    /// The schema of the file.
    pub(super) fn schema(&self) -> Result<TypePtr> {
        let mut fields = Vec::with_capacity(self.columns.len());
        for (name, of, _) in COLUMNS {
            fields.push(field(name, *of)?);
        }
        for (name, of) in &self.features {
            fields.push(field(&format!("{FEATURE}{name}"), *of)?);
        }
        fields.push(outcomes()?);
        Ok(Arc::new(Type::group_type_builder("decisions").with_fields(fields).build()?))
    }

    /// Rows since the last write.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &DecisionRow) {
        let mut columns = self.columns.iter_mut();
        let mut add = |cell| columns.next().expect("made for all columns").add(cell);
        COLUMNS.iter().for_each(|(_, _, of)| add(of(row)));
        for (name, of) in &self.features {
            add(row.features.get(name).and_then(|value| feature(value, *of)));
        }
        for (_, _, of) in OUTCOMES {
            columns.next().expect("made for all columns").add_list(row.outcomes.iter().map(of));
        }
        self.rows += 1;
    }

    /// Writes the rows so far, and begins anew.
    pub(super) fn write(&mut self, mut group: SerializedRowGroupWriter<'_, impl std::io::Write + Send>) -> Result<()> {
        for column in &mut self.columns {
            let Some(writer) = group.next_column()? else { bail!("the file has fewer columns than the table") };
            column.write(writer)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

/// A nullable field.
fn field(name: &str, of: Of) -> Result<TypePtr> {
    let (physical, logical, converted) = match of {
        Of::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8),
        Of::Time => {
            let logical = LogicalType::timestamp(true, TimeUnit::MICROS);
            (Physical::INT64, Some(logical), ConvertedType::TIMESTAMP_MICROS)
        }
        Of::Count => (Physical::INT32, None, ConvertedType::NONE),
        Of::Real => (Physical::DOUBLE, None, ConvertedType::NONE),
        Of::Single => (Physical::FLOAT, None, ConvertedType::NONE),
        Of::Flag => (Physical::BOOLEAN, None, ConvertedType::NONE),
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(builder.with_logical_type(logical).with_converted_type(converted).build()?))
}

/// A list of records, in the three levels of the Parquet format.
fn outcomes() -> Result<TypePtr> {
    let fields: Result<Vec<TypePtr>> = OUTCOMES.iter().map(|(name, of, _)| field(name, *of)).collect();
    let element = Type::group_type_builder("element").with_repetition(Repetition::REQUIRED).with_fields(fields?);
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![Arc::new(element.build()?)]).build()?;
    let outcomes = Type::group_type_builder("outcomes").with_repetition(Repetition::REQUIRED);
    let outcomes = outcomes.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST);
    Ok(Arc::new(outcomes.with_fields(vec![Arc::new(list)]).build()?))
}

fn text(text: &str) -> Option<Cell> {
    Some(Cell::Text(text.into()))
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<Cell> {
    let time = time?;
    let micros = time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos / 1_000))?;
    Some(Cell::Time(micros))
}

/// A feature's value in the type of its column.
fn feature(value: &Value, of: Of) -> Option<Cell> {
    Some(match (value.kind.as_ref()?, of) {
        (Kind::Number(_), Of::Real) => Cell::Real(row::number(value)?),
        (Kind::Flag(flag), Of::Flag) => Cell::Flag(*flag),
        (Kind::Text(word), Of::Text) => Cell::Text(word.as_str().into()),
        (Kind::Number(_) | Kind::Flag(_), Of::Text) => Cell::Text(row::feature(value).to_string().as_str().into()),
        _ => return None,
    })
}

/// Values with their definition and repetition levels.
struct Column {
    values: Values,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Time(Vec<i64>),
    Count(Vec<i32>),
    Real(Vec<f64>),
    Single(Vec<f32>),
    Flag(Vec<bool>),
}

impl Column {
    fn new(of: Of) -> Self {
        let values = match of {
            Of::Text => Values::Text(Vec::new()),
            Of::Time => Values::Time(Vec::new()),
            Of::Count => Values::Count(Vec::new()),
            Of::Real => Values::Real(Vec::new()),
            Of::Single => Values::Single(Vec::new()),
            Of::Flag => Values::Flag(Vec::new()),
        };
        Self { values, defined: Vec::new(), repeated: Vec::new() }
    }

    fn add(&mut self, cell: Option<Cell>) {
        self.defined.push(i16::from(cell.is_some()));
        self.values.push(cell);
    }

    /// One row's list: an empty one is defined at no level.
    fn add_list(&mut self, cells: impl ExactSizeIterator<Item = Option<Cell>>) {
        if cells.len() == 0 {
            self.defined.push(0);
            self.repeated.push(0);
        }
        for (index, cell) in cells.enumerate() {
            self.defined.push(1 + i16::from(cell.is_some()));
            self.repeated.push(i16::from(index > 0));
            self.values.push(cell);
        }
    }

    fn write(&mut self, writer: SerializedColumnWriter<'_>) -> Result<()> {
        let Self { values, defined, repeated } = self;
        match values {
            Values::Text(values) => write::<ByteArrayType>(writer, values, defined, repeated),
            Values::Time(values) => write::<Int64Type>(writer, values, defined, repeated),
            Values::Count(values) => write::<Int32Type>(writer, values, defined, repeated),
            Values::Real(values) => write::<DoubleType>(writer, values, defined, repeated),
            Values::Single(values) => write::<FloatType>(writer, values, defined, repeated),
            Values::Flag(values) => write::<BoolType>(writer, values, defined, repeated),
        }
    }
}

impl Values {
    fn push(&mut self, cell: Option<Cell>) {
        match (self, cell) {
            (Self::Text(values), Some(Cell::Text(value))) => values.push(value),
            (Self::Time(values), Some(Cell::Time(value))) => values.push(value),
            (Self::Count(values), Some(Cell::Count(value))) => values.push(value),
            (Self::Real(values), Some(Cell::Real(value))) => values.push(value),
            (Self::Single(values), Some(Cell::Single(value))) => values.push(value),
            (Self::Flag(values), Some(Cell::Flag(value))) => values.push(value),
            (_, None) => {}
            (_, Some(_)) => unreachable!("a column's cells are made in its type"),
        }
    }
}

fn write<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    defined: &mut Vec<i16>,
    repeated: &mut Vec<i16>,
) -> Result<()> {
    let levels = (!repeated.is_empty()).then_some(repeated.as_slice());
    writer.typed::<T>().write_batch(values, Some(defined), levels)?;
    values.clear();
    defined.clear();
    repeated.clear();
    Ok(writer.close()?)
}
