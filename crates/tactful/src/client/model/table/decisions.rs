//! The Parquet of `tactful export decisions`: rows of the record as they would come from a server. Columns
//! that training does not ask for are not read.

use anyhow::{Result, anyhow, bail};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
    schema::types::{Type, TypePtr},
};
use prost_types::Timestamp;
use tactful_models::Dataset;
use tactful_proto::v1::{DecisionRow, Outcome, OutcomeType, Value, value::Kind};

use super::parquet::damaged;

/// Prefix of the columns of features.
const FEATURE: &str = "feature.";
/// Columns that tell an export from other tables.
const TELLING: [&str; 4] = ["decision_id", "decision_time", "action_id", "outcomes"];
/// Columns that are read beside the features.
const READ: [&str; 10] = [
    "decision_id",
    "decision_time",
    "subject_id",
    "placement",
    "channel",
    "slot",
    "action_id",
    "group",
    "selection_probability",
    "outcomes",
];

/// Whether a table is such an export.
pub(super) fn are_in(schema: &Type) -> bool {
    TELLING.iter().all(|name| schema.get_fields().iter().any(|field| field.name() == *name))
}

/// Reads all rows.
pub(super) fn read(
    reader: &SerializedFileReader<std::fs::File>,
    dataset: &mut Dataset,
    look: impl Fn(u64),
) -> Result<()> {
    let schema = reader.metadata().file_metadata().schema();
    let wanted = |field: &&TypePtr| READ.contains(&field.name()) || field.name().starts_with(FEATURE);
    let fields: Vec<TypePtr> = schema.get_fields().iter().filter(wanted).cloned().collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    for (done, row) in reader.get_row_iter(Some(projection)).map_err(damaged)?.enumerate() {
        let row = decision(&row.map_err(damaged)?).map_err(|error| anyhow!("row {}, {error}", done + 1))?;
        dataset.push(row)?;
        look(done as u64 + 1);
    }
    Ok(())
}

fn decision(row: &Row) -> Result<DecisionRow> {
    let mut decision = DecisionRow::default();
    for (name, field) in row.get_column_iter() {
        if matches!(field, Field::Null) {
            continue;
        }
        let wrong = |what: &str| anyhow!("column {name}: {what} is expected, as an export has it");
        match name.as_str() {
            "decision_id" => decision.decision_id = text(field).ok_or_else(|| wrong("text"))?,
            "subject_id" => decision.subject_id = text(field).ok_or_else(|| wrong("text"))?,
            "placement" => decision.placement = text(field).ok_or_else(|| wrong("text"))?,
            "channel" => decision.channel = text(field).ok_or_else(|| wrong("text"))?,
            "action_id" => decision.action_id = text(field).ok_or_else(|| wrong("text"))?,
            "group" => decision.group = text(field).ok_or_else(|| wrong("text"))?,
            "decision_time" => decision.decision_time = Some(time(field).ok_or_else(|| wrong("a time"))?),
            "slot" => decision.slot = whole(field).ok_or_else(|| wrong("a whole number"))?,
            "selection_probability" => {
                decision.selection_probability = real(field).ok_or_else(|| wrong("a number"))?;
            }
            "outcomes" => decision.outcomes = outcomes(field)?,
            _ => {
                let feature = name.strip_prefix(FEATURE).unwrap_or(name).to_owned();
                let kind = feature_value(field).ok_or_else(|| wrong("a number, a truth value or text"))?;
                decision.features.insert(feature, Value { kind: Some(kind) });
            }
        }
    }
    Ok(decision)
}

fn outcomes(field: &Field) -> Result<Vec<Outcome>> {
    let Field::ListInternal(list) = field else { bail!("column outcomes: a list is expected, as an export has it") };
    list.elements().iter().map(outcome).collect()
}

fn outcome(element: &Field) -> Result<Outcome> {
    let Field::Group(group) = element else { bail!("column outcomes: an element is no record") };
    let mut outcome = Outcome::default();
    for (name, field) in group.get_column_iter() {
        match (name.as_str(), field) {
            (_, Field::Null) => {}
            ("type", Field::Str(word)) => {
                let of = OutcomeType::from_str_name(&format!("OUTCOME_TYPE_{}", word.to_ascii_uppercase()));
                let of = of.ok_or_else(|| anyhow!("column outcomes: an outcome of an unknown type"))?;
                outcome.r#type = of.into();
            }
            ("value", Field::Double(value)) => outcome.value = *value,
            ("occur_time", field) => outcome.occur_time = time(field),
            _ => {}
        }
    }
    Ok(outcome)
}

fn text(field: &Field) -> Option<String> {
    if let Field::Str(text) = field { Some(text.clone()) } else { None }
}

fn time(field: &Field) -> Option<Timestamp> {
    let Field::TimestampMicros(micros) = field else { return None };
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok()?;
    Some(Timestamp { seconds: micros.div_euclid(1_000_000), nanos })
}

fn whole(field: &Field) -> Option<i32> {
    if let Field::Int(number) = field { Some(*number) } else { None }
}

fn real(field: &Field) -> Option<f64> {
    if let Field::Double(number) = field { Some(*number) } else { None }
}

fn feature_value(field: &Field) -> Option<Kind> {
    Some(match field {
        Field::Double(number) => Kind::Number(*number),
        Field::Bool(flag) => Kind::Flag(*flag),
        Field::Str(text) => Kind::Text(text.clone()),
        _ => return None,
    })
}
