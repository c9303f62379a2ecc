//! A segment as a Parquet file. Any reader of Parquet takes it; ours takes only what was written to the last
//! bit: behind the magic number, where Parquet has nothing to say, lie eight bytes that name us and a checksum
//! of the whole file.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use tactful_log::Offset;
use xxhash_rust::xxh3::Xxh3Default;

use super::row::Row;
use super::segment::Segment;
use super::{Error, SEGMENT_ROWS_MAX};

/// The columns, in their order.
const SCHEMA: &str = "
message tactful_record {
  required int64 offset;
  required binary kind (STRING);
  required int64 received_ms (TIMESTAMP(MILLIS, true));
  required binary subject_id (STRING);
  required binary decision_id (STRING);
  required int64 message_hash (INTEGER(64, false));
  required int64 time_ms (TIMESTAMP(MILLIS, true));
  required binary action_ids (STRING);
  optional binary outcome (STRING);
  optional double value;
  required binary record;
}";
const OFFSET: usize = 0;
const SUBJECT_ID: usize = 3;
const RECORD: usize = 10;

/// Behind the four bytes of Parquet's magic number.
const MARK: &[u8; 8] = b"tactful1";
const MARK_AT: usize = 4;
const CHECKSUM_AT: usize = MARK_AT + MARK.len();
const DATA_AT: usize = CHECKSUM_AT + size_of::<u64>();

static COLUMNS: LazyLock<TypePtr> =
    LazyLock::new(|| Arc::new(parse_message_type(SCHEMA).expect("the schema above is well formed")));

static PROPERTIES: LazyLock<WriterPropertiesPtr> = LazyLock::new(|| {
    let record = ColumnPath::from("record");
    let properties = WriterProperties::builder()
        .set_created_by(concat!("tactful ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(SEGMENT_ROWS_MAX))
        .set_column_encoding(ColumnPath::from("offset"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(ColumnPath::from("offset"), false)
        // Records are long and all different.
        .set_column_dictionary_enabled(record.clone(), false)
        .set_column_statistics_enabled(record, EnabledStatistics::None);
    Arc::new(properties.build())
});

/// The file of a segment with these rows.
pub(super) fn encode(segment: &Segment, rows: &[Row]) -> Result<Vec<u8>, ParquetError> {
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&COLUMNS), Arc::clone(&PROPERTIES))?;
    writer.write_all(MARK)?;
    writer.write_all(&0_u64.to_le_bytes())?;
    writer.append_key_value_metadata(KeyValue::new("tactful.segment".into(), Some(name(segment))));
    if !rows.is_empty() {
        let mut group = writer.next_row_group()?;
        write(&mut group, rows)?;
        group.close()?;
    }
    let mut file = writer.into_inner()?;
    let checksum = checksum(&file);
    file[CHECKSUM_AT..DATA_AT].copy_from_slice(&checksum.to_le_bytes());
    Ok(file)
}

fn write(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, rows: &[Row]) -> Result<(), ParquetError> {
    numbers(group, rows, |row| row.offset as i64)?;
    texts(group, rows, |row| row.kind)?;
    numbers(group, rows, |row| row.received_ms)?;
    texts(group, rows, |row| &row.subject_id)?;
    texts(group, rows, |row| &row.decision_id)?;
    numbers(group, rows, |row| row.message_hash as i64)?;
    numbers(group, rows, |row| row.time_ms)?;
    texts(group, rows, |row| &row.action_ids)?;
    column::<ByteArrayType>(group, rows, |row| row.outcome.as_deref().map(ByteArray::from))?;
    column::<DoubleType>(group, rows, |row| row.value)?;
    column::<ByteArrayType>(group, rows, |row| Some(row.record.clone().into()))
}

fn numbers(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Row],
    value: impl Fn(&Row) -> i64,
) -> Result<(), ParquetError> {
    column::<Int64Type>(group, rows, |row| Some(value(row)))
}

fn texts(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Row],
    value: impl Fn(&Row) -> &str,
) -> Result<(), ParquetError> {
    column::<ByteArrayType>(group, rows, |row| Some(value(row).into()))
}

/// Writes the next column; a required one has a value in every row.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Row],
    value: impl Fn(&Row) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Err(ParquetError::General("a column too many".into())) };
    let there: Vec<i16> = rows.iter().map(|row| i16::from(value(row).is_some())).collect();
    let values: Vec<T::T> = rows.iter().filter_map(value).collect();
    column.typed::<T>().write_batch(&values, Some(&there), None)?;
    column.close()
}

/// A segment that was read and proved to be what was written.
pub(super) struct Contents {
    reader: SerializedFileReader<Bytes>,
    rows: usize,
}

impl Contents {
    /// Checks a file against its name.
    pub(super) fn open(segment: &Segment, path: &Path, file: Vec<u8>) -> Result<Self, Error> {
        if file.get(MARK_AT..CHECKSUM_AT) != Some(MARK) || file.len() < DATA_AT {
            return Err(Error::damaged(path, "it is cut off or was not written by tactful"));
        }
        if file[CHECKSUM_AT..DATA_AT] != checksum(&file).to_le_bytes() {
            return Err(Error::damaged(path, "its checksum does not fit"));
        }
        let bad = |error: ParquetError| Error::damaged(path, error.to_string());
        let reader = SerializedFileReader::new(Bytes::from(file)).map_err(bad)?;
        let about = reader.metadata().file_metadata();
        let named = about.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "tactful.segment");
        if named.and_then(|pair| pair.value.as_deref()) != Some(name(segment).as_str()) {
            return Err(Error::damaged(path, "it is the file of another segment"));
        }
        let rows = usize::try_from(about.num_rows()).unwrap_or(usize::MAX);
        if about.schema_descr().root_schema() != COLUMNS.as_ref() || rows > SEGMENT_ROWS_MAX {
            return Err(Error::damaged(path, "its columns are those of another version of tactful"));
        }
        Ok(Self { reader, rows })
    }

    /// Entries with their offsets, in order.
    pub(super) fn entries(&self) -> Result<Vec<(Offset, Bytes)>, ParquetError> {
        let offsets = self.read::<Int64Type>(OFFSET)?;
        let records = self.read::<ByteArrayType>(RECORD)?;
        let entry = |(offset, record): (i64, ByteArray)| (offset as u64, Bytes::copy_from_slice(record.data()));
        Ok(offsets.into_iter().zip(records).map(entry).collect())
    }

    /// The subject id of each row.
    pub(super) fn subject_ids(&self) -> Result<Vec<ByteArray>, ParquetError> {
        self.read::<ByteArrayType>(SUBJECT_ID)
    }

    /// A required column.
    fn read<T: DataType>(&self, column: usize) -> Result<Vec<T::T>, ParquetError> {
        let mut values = Vec::with_capacity(self.rows);
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group)?;
            let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
            while reader.read_records(SEGMENT_ROWS_MAX, None, None, &mut values)?.0 > 0 {}
        }
        if values.len() != self.rows {
            return Err(ParquetError::General("a column is shorter than the others".into()));
        }
        Ok(values)
    }
}

fn name(segment: &Segment) -> String {
    segment.path().to_string_lossy().into_owned()
}

/// Checksum of everything but the checksum.
fn checksum(file: &[u8]) -> u64 {
    let mut hasher = Xxh3Default::new();
    hasher.update(&file[..CHECKSUM_AT]);
    hasher.update(&file[DATA_AT..]);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::super::row::{DECISION, OUTCOME};
    use super::*;

    fn row(offset: Offset) -> Row {
        Row {
            offset,
            kind: if offset.is_multiple_of(3) { OUTCOME } else { DECISION },
            received_ms: 1_777_629_600_000 + offset as i64,
            subject_id: format!("customer:{}", offset % 50),
            decision_id: format!("d{offset}"),
            message_hash: u64::MAX - offset,
            time_ms: -1,
            action_ids: "card,plus".into(),
            outcome: offset.is_multiple_of(3).then(|| "accepted".into()),
            value: offset.is_multiple_of(3).then_some(1.5),
            record: vec![offset as u8; (offset % 300) as usize].into(),
        }
    }

    fn segment() -> Segment {
        Segment { partition: 3, hour: 9, first: 1, last: 5_000 }
    }

    #[test]
    fn what_was_written_is_read_back() {
        for rows in [vec![], vec![row(7)], (1..=5_000).map(row).collect::<Vec<_>>()] {
            let file = encode(&segment(), &rows).unwrap();
            let contents = Contents::open(&segment(), Path::new("x"), file).unwrap();
            let entries: Vec<_> = rows.iter().map(|row| (row.offset, row.record.clone())).collect();
            assert_eq!(contents.entries().unwrap(), entries);
            let subjects: Vec<ByteArray> = rows.iter().map(|row| row.subject_id.as_str().into()).collect();
            assert_eq!(contents.subject_ids().unwrap(), subjects);
        }
    }

    #[test]
    fn a_torn_or_flipped_file_and_one_under_another_name_are_told() {
        let rows: Vec<Row> = (1..100).map(row).collect();
        let file = encode(&segment(), &rows).unwrap();
        let told = |file: Vec<u8>, segment: &Segment| {
            let error = Contents::open(segment, Path::new("p03/1-5000.parquet"), file).err().expect("refused");
            assert!(error.to_string().contains("p03/1-5000.parquet is damaged"), "{error}");
        };
        for length in [0, 3, 11, 19, 20, file.len() / 2, file.len() - 1] {
            told(file[..length].to_vec(), &segment());
        }
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The four bytes of the magic number are part of the checksum as well.
            told(flipped, &segment());
        }
        told(file, &Segment { last: 6_000, ..segment() });
    }
}
