//! Typed columns in, rows to train from out; what is damaged or nested is refused.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::Repetition,
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::*;

const SCHEMA: &str = "message table {
    optional double age;
    required binary plan (UTF8);
    required int32 visits;
    required boolean loyal;
    required int64 at (TIMESTAMP(NANOS,true));
    required int32 y;
    required int64 wait (TIME_MICROS);
    required group nested { required int32 deep; }
}";

/// 60 rows; every third has no age, every second is positive.
fn table() -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let rows = 0..60_i32;
    macro_rules! column {
        ($of:ty, $values:expr, $defined:expr) => {{
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<$of>().write_batch(&$values.collect::<Vec<_>>(), $defined, None).unwrap();
            column.close().unwrap();
        }};
    }
    let defined: Vec<i16> = rows.clone().map(|row| i16::from(row % 3 > 0)).collect();
    column!(DoubleType, rows.clone().filter(|row| row % 3 > 0).map(|row| f64::from(row) + 0.5), Some(&defined));
    column!(ByteArrayType, rows.clone().map(|row| ByteArray::from(if row % 4 < 2 { "12" } else { "plus" })), None);
    column!(Int32Type, rows.clone(), None);
    column!(BoolType, rows.clone().map(|row| row % 5 == 0), None);
    column!(Int64Type, rows.clone().map(|row| 1_777_629_600_000_000_000 + i64::from(row)), None);
    column!(Int32Type, rows.clone().map(|row| row % 2), None);
    column!(Int64Type, rows.clone().map(i64::from), None);
    column!(Int32Type, rows, None);
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn recipe(columns: &str) -> Recipe {
    let head = "name = \"a\"\nkind = \"logistic\"\n[columns]\ntarget = \"y\"\naction_id = \"offer\"";
    Recipe::parse(&format!("{head}\n{columns}")).unwrap()
}

fn taken(recipe: &Recipe, bytes: &[u8]) -> Result<Dataset> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let mut dataset = Dataset::new(recipe);
    read(file.reopen()?, recipe, &mut dataset, &Progress::steps(true))?;
    Ok(dataset)
}

#[test]
fn typed_columns_are_read_as_what_they_are() {
    let recipe = recipe("time = \"at\"\nleave_out = [\"nested\", \"wait\"]\nmissing = []");
    let dataset = taken(&recipe, &table()).unwrap();
    assert_eq!(dataset.rows_read(), 60);
    let trained = tactful_models::train(&recipe, dataset, 0, &mut |_| {}).unwrap();
    let inputs: Vec<(&str, &str)> =
        trained.report.inputs.iter().map(|input| (input.name.as_str(), input.kind.as_str())).collect();
    assert_eq!(inputs, [("age", "number"), ("loyal", "bool"), ("plan", "category"), ("visits", "number")]);
    assert_eq!((trained.report.train_rows, trained.report.train_positives), (48, 24));
    assert_eq!(trained.report.lineage.first_decision_ms, 1_777_629_600_000, "nanoseconds by the column's type");
}

#[test]
fn what_cannot_be_read_is_named_before_any_row_is() {
    let refused = |columns: &str| taken(&recipe(columns), &table()).unwrap_err().to_string();
    assert!(refused("").contains("column wait: values of type INT64 (TIME_MICROS) are not read: leave it out"));
    assert!(refused("leave_out = [\"wait\"]").contains("column nested: it is nested: leave it out"));
    let told = refused("leave_out = [\"wait\", \"nested\"]");
    assert!(told.contains("row 1, column at: a time is no input"), "{told}");
    assert!(refused("time = \"when\"").contains("time = \"when\""));
    assert!(
        refused("time = \"plan\"\nleave_out = [\"wait\", \"nested\", \"at\"]").contains("row 3, column plan: no time")
    );
}

#[test]
fn a_damaged_file_is_refused_or_read_but_never_ends_the_process() {
    let recipe = recipe("leave_out = [\"nested\", \"wait\", \"at\"]");
    let good = table();
    let mut refused = 0;
    for seed in 0..400_usize {
        let mut bytes = good.clone();
        let at = seed * 7_919 % bytes.len();
        match seed % 4 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << (seed / 4 % 8),
            2 => bytes[at] = 0xFF,
            _ => drop(bytes.splice(at..at, good[at / 2..at].iter().copied())),
        }
        refused += usize::from(taken(&recipe, &bytes).is_err());
    }
    assert!(refused > 150, "{refused} of 400");
}

#[test]
fn a_nested_column_is_told_by_its_repetition_too() {
    let list = Type::primitive_type_builder("many", Physical::INT32).with_repetition(Repetition::REPEATED);
    assert!(check(&list.build().unwrap()).unwrap_err().contains("nested"));
}

#[test]
fn a_compression_without_code_is_known_before_any_row_is_read() {
    for (compression, read) in [
        (Compression::UNCOMPRESSED, true),
        (Compression::SNAPPY, true),
        (Compression::ZSTD(Default::default()), true),
        (Compression::GZIP(Default::default()), false),
        (Compression::BROTLI(Default::default()), false),
        (Compression::LZ4_RAW, false),
    ] {
        assert_eq!(is_read(compression), read, "{compression}");
    }
}
