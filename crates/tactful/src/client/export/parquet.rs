//! The record of decisions as a Parquet file. Which features there are, and of which type, is known once all rows
//! have been seen: they are kept beside the file meanwhile, so that one reading of the record is enough,
//! the schema is exact and memory is bounded by one row group.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::{Stream, TryStreamExt};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use prost::Message;
use tactful_proto::v1::DecisionRow;

use super::table::{Features, Table};
use crate::client::progress::Progress;

/// Rows of one row group: about 50 MB at 64 features.
const GROUP_ROWS: usize = 32_768;

/// Rows that wait for their schema.
pub(super) struct Spool {
    file: BufWriter<File>,
    features: Features,
    rows: u64,
}

impl Spool {
    /// All rows of a stream, in a file without a name beside the file that is to be.
    ///
    /// # Errors
    /// If the stream ends early, or the rows cannot be kept.
    pub(super) async fn fill(
        rows: impl Stream<Item = Result<DecisionRow>>,
        beside: &Path,
        progress: &Progress,
    ) -> Result<Self> {
        let folder = beside.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
        let mut spool = Self { file: BufWriter::new(file), features: Features::default(), rows: 0 };
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            spool.features.note(&row)?;
            let row = row.encode_to_vec();
            let length = u32::try_from(row.len())?.to_le_bytes();
            let written = spool.file.write_all(&length).and_then(|()| spool.file.write_all(&row));
            written.with_context(|| format!("cannot keep rows in {}", folder.display()))?;
            spool.rows += 1;
            progress.set(spool.rows);
        }
        Ok(spool)
    }

    /// Writes the rows as Parquet and returns how many.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(self, out: &mut File, progress: &Progress) -> Result<u64> {
        let Self { file, features, rows } = self;
        let mut spooled = file.into_inner().context("cannot keep the last rows")?;
        spooled.rewind()?;
        let mut spooled = BufReader::new(spooled);
        let mut table = Table::new(features);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tactful ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(Compression::ZSTD(ZstdLevel::default()));
        let properties = Arc::new(properties.build());
        let mut writer = SerializedFileWriter::new(BufWriter::new(out), table.schema()?, properties)?;
        for done in 0..rows {
            table.push(&next(&mut spooled)?);
            if table.rows() == GROUP_ROWS || done + 1 == rows {
                table.write(writer.next_row_group()?)?;
                progress.step(done + 1, rows);
            }
        }
        let out = writer.into_inner().context("cannot write the last rows")?;
        out.into_inner().map_err(|error| error.into_error()).context("cannot write the last rows")?;
        Ok(rows)
    }
}

fn next(spooled: &mut impl Read) -> Result<DecisionRow> {
    let mut length = [0; 4];
    spooled.read_exact(&mut length)?;
    let mut row = vec![0; u32::from_le_bytes(length) as usize];
    spooled.read_exact(&mut row)?;
    Ok(DecisionRow::decode(row.as_slice())?)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    use tactful_proto::v1::{Outcome, OutcomeType, Value, value::Kind};

    use super::*;

    fn row(number: usize) -> DecisionRow {
        let value = |kind| Value { kind: Some(kind) };
        let outcome = |value| Outcome { r#type: OutcomeType::Accepted.into(), value, ..Outcome::default() };
        let mut features = std::collections::BTreeMap::from([
            ("customer.age".to_owned(), value(Kind::Number(f64::from(34.9_f32)))),
            ("customer.plan".to_owned(), value(Kind::Text("plus".into()))),
            ("mixed".to_owned(), value(if number == 0 { Kind::Flag(true) } else { Kind::Number(2.5) })),
        ]);
        if number == 3 {
            features.insert("late".into(), value(Kind::Flag(false)));
        }
        DecisionRow {
            decision_id: format!("d{number}"),
            decision_time: Some(prost_types::Timestamp { seconds: 1, nanos: 5_000_000 }),
            slot: number as i32,
            selection_probability: 0.1,
            features,
            outcomes: (0..number).map(|n| outcome(n as f64)).collect(),
            ..DecisionRow::default()
        }
    }

    async fn written(rows: Vec<DecisionRow>) -> SerializedFileReader<File> {
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress::count(true);
        let rows = stream::iter(rows.into_iter().map(Ok));
        let spool = Spool::fill(rows, &folder.path().join("out"), &progress).await.unwrap();
        let mut file = tempfile::tempfile_in(folder.path()).unwrap();
        spool.write(&mut file, &progress).unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    #[tokio::test]
    async fn features_are_typed_nullable_columns_however_late_they_come() {
        let file = written((0..5).map(row).collect()).await;
        let schema = file.metadata().file_metadata().schema_descr();
        let types: Vec<(String, String)> = schema
            .columns()
            .iter()
            .filter(|column| column.name().starts_with("feature."))
            .map(|column| (column.name().to_owned(), column.physical_type().to_string()))
            .collect();
        let expected = [
            ("feature.customer.age", "DOUBLE"),
            ("feature.customer.plan", "BYTE_ARRAY"),
            ("feature.late", "BOOLEAN"),
            ("feature.mixed", "BYTE_ARRAY"),
        ];
        assert_eq!(types, expected.map(|(name, of)| (name.to_owned(), of.to_owned())));
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let place = |name: &str| rows[0].get_column_iter().position(|(column, _)| column == name).unwrap();
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(row.get_string(place("decision_id")).unwrap(), &format!("d{number}"));
            assert_eq!(row.get_timestamp_micros(place("decision_time")).unwrap(), 1_005_000);
            assert_eq!(row.get_double(place("feature.customer.age")).unwrap(), 34.9, "its own shortest digits");
            assert_eq!(row.get_string(place("feature.mixed")).unwrap(), if number == 0 { "true" } else { "2.5" });
            assert_eq!(row.get_bool(place("feature.late")).is_ok(), number == 3, "null elsewhere");
            let outcomes = row.get_list(place("outcomes")).unwrap();
            assert_eq!(outcomes.len(), number);
            for (n, outcome) in outcomes.elements().iter().enumerate() {
                let parquet::record::Field::Group(outcome) = outcome else { panic!("a record") };
                assert_eq!(outcome.get_string(0).unwrap(), "accepted");
                assert_eq!(outcome.get_double(1).unwrap(), n as f64);
                assert!(outcome.get_timestamp_micros(2).is_err(), "null");
            }
        }
    }

    #[tokio::test]
    async fn no_rows_are_a_file_too_and_many_make_several_groups() {
        let file = written(Vec::new()).await;
        assert_eq!(file.metadata().file_metadata().num_rows(), 0);
        let file = written(vec![DecisionRow::default(); GROUP_ROWS + 1]).await;
        assert_eq!(file.metadata().file_metadata().num_rows() as usize, GROUP_ROWS + 1);
        assert_eq!(file.metadata().num_row_groups(), 2);
    }

    #[tokio::test]
    async fn too_many_features_are_refused_with_the_way_out() {
        let mut features = Features::default();
        let value = Value { kind: Some(Kind::Flag(true)) };
        let row = DecisionRow {
            features: (0..5_000).map(|n| (n.to_string(), value.clone())).collect(),
            ..DecisionRow::default()
        };
        assert!(features.note(&row).unwrap_err().to_string().contains("--since"));
    }
}
