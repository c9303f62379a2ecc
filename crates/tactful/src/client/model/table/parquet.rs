//! A Parquet table of plain columns. Which types are read is checked before any row is: the columns that
//! no one asked for may hold what they like.

use std::{fs::File, thread};

use anyhow::{Result, anyhow, bail};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type as Physical},
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
    schema::types::{Type, TypePtr},
};
use tactful_models::{Cell, Dataset, PlainRows, Recipe};

use super::decisions;
use crate::client::progress::Progress;

/// Rows between two looks of the progress.
const ROWS_BETWEEN: u64 = 1_024;

/// Reads all rows: of the record if the recipe says nothing of columns, else by its columns.
pub(super) fn read(file: File, recipe: &Recipe, dataset: &mut Dataset, progress: &Progress) -> Result<()> {
    // The library asserts what a damaged file may break: a panic of its thread is an error here.
    let reading = || thread::scope(|scope| scope.spawn(|| read_here(file, recipe, dataset, progress)).join());
    reading().unwrap_or_else(|_| bail!("the Parquet file is damaged"))
}

fn read_here(file: File, recipe: &Recipe, dataset: &mut Dataset, progress: &Progress) -> Result<()> {
    let reader = SerializedFileReader::new(file).map_err(|error| anyhow!("cannot be read as Parquet: {error}"))?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema();
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    progress.say("rows read");
    let chunks = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    if let Some(other) = chunks.into_iter().find(|chunk| !is_read(chunk.compression())) {
        let codec = other.compression_codec();
        bail!("the Parquet file is compressed by {codec}: write it with Snappy, Zstandard or none");
    }
    if recipe.columns.is_none() && decisions::are_in(schema) {
        return decisions::read(&reader, dataset, |done| look(progress, done, rows));
    }
    let header: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
    let mut plain = PlainRows::new(recipe, &header, dataset)?;
    let wanted: Vec<usize> = (0..header.len()).filter(|column| plain.reads(*column)).collect();
    let mut nanos = vec![false; header.len()];
    for column in &wanted {
        let field = &schema.get_fields()[*column];
        check(field).map_err(|reason| anyhow!("column {}: {reason}: leave it out", field.name()))?;
        nanos[*column] = in_nanos(field);
    }
    let projection = project(schema, &wanted)?;
    for (done, row) in reader.get_row_iter(Some(projection)).map_err(damaged)?.enumerate() {
        let row = row.map_err(damaged)?;
        let mut cells = vec![Cell::Missing; header.len()];
        for (column, (name, field)) in wanted.iter().zip(row.get_column_iter()) {
            cells[*column] =
                cell(field, nanos[*column]).map_err(|reason| anyhow!("row {}, column {name}: {reason}", done + 1))?;
        }
        plain.push(&cells, dataset)?;
        look(progress, done as u64 + 1, rows);
    }
    Ok(plain.finish()?)
}

/// Whether this build has the code for a compression.
fn is_read(compression: Compression) -> bool {
    matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
}

fn look(progress: &Progress, done: u64, rows: u64) {
    if done.is_multiple_of(ROWS_BETWEEN) {
        progress.step(done, rows);
    }
}

/// The schema with some of its columns.
fn project(schema: &Type, columns: &[usize]) -> Result<Type> {
    let fields: Vec<TypePtr> = columns.iter().map(|column| schema.get_fields()[*column].clone()).collect();
    Ok(Type::group_type_builder(schema.name()).with_fields(fields).build()?)
}

/// That a column is one that the cells below know.
fn check(field: &Type) -> std::result::Result<(), String> {
    if field.is_group()
        || (field.get_basic_info().has_repetition()
            && field.get_basic_info().repetition() == parquet::basic::Repetition::REPEATED)
    {
        return Err("it is nested".into());
    }
    let (physical, info) = (field.get_physical_type(), field.get_basic_info());
    let (converted, logical) = (info.converted_type(), info.logical_type_ref());
    use ConvertedType as C;
    let known = match physical {
        Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE => true,
        Physical::INT32 => {
            let time = matches!(logical, Some(LogicalType::Time(_)));
            !time
                && matches!(
                    converted,
                    C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::UINT_8 | C::UINT_16 | C::UINT_32 | C::DATE
                )
        }
        Physical::INT64 => {
            let time = matches!(logical, Some(LogicalType::Time(_)));
            !time && matches!(converted, C::NONE | C::INT_64 | C::UINT_64 | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS)
        }
        Physical::INT96 => true,
        Physical::BYTE_ARRAY => matches!(converted, C::NONE | C::UTF8 | C::ENUM),
        Physical::FIXED_LEN_BYTE_ARRAY => false,
    };
    if known { Ok(()) } else { Err(format!("values of type {physical} ({converted}) are not read")) }
}

fn in_nanos(field: &Type) -> bool {
    let Some(LogicalType::Timestamp(stamp)) = field.get_basic_info().logical_type_ref() else { return false };
    stamp.unit == TimeUnit::NANOS
}

fn cell(field: &Field, nanos: bool) -> std::result::Result<Cell<'_>, &'static str> {
    Ok(match field {
        Field::Null => Cell::Missing,
        Field::Bool(flag) => Cell::Flag(*flag),
        Field::Byte(number) => Cell::Number((*number).into()),
        Field::Short(number) => Cell::Number((*number).into()),
        Field::Int(number) => Cell::Number((*number).into()),
        Field::UByte(number) => Cell::Number((*number).into()),
        Field::UShort(number) => Cell::Number((*number).into()),
        Field::UInt(number) => Cell::Number((*number).into()),
        Field::Long(number) if nanos => Cell::Time(number.div_euclid(1_000)),
        Field::Long(number) => Cell::Number(*number as f64),
        Field::ULong(number) => Cell::Number(*number as f64),
        Field::Float(number) => Cell::Number((*number).into()),
        Field::Double(number) => Cell::Number(*number),
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => Cell::Text(std::str::from_utf8(bytes.data()).map_err(|_| "no UTF-8 text")?),
        Field::Date(days) => Cell::Time(i64::from(*days) * 86_400_000_000),
        Field::TimestampMillis(millis) => Cell::Time(millis.checked_mul(1_000).ok_or("no time of this world")?),
        Field::TimestampMicros(micros) => Cell::Time(*micros),
        _ => return Err("a value of a type that is not read: leave the column out"),
    })
}

/// A reader's error; it may quote values, which stay out.
pub(super) fn damaged(error: parquet::errors::ParquetError) -> anyhow::Error {
    match error {
        parquet::errors::ParquetError::NYI(what) => anyhow!("the Parquet file uses what is not read: {what}"),
        _ => anyhow!("the Parquet file is damaged"),
    }
}

#[cfg(test)]
mod tests;
