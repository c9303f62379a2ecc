//! A CSV with a header: UTF-8, cells parted by what the recipe says or the header shows. No record may
//! be larger than a mebibyte, so that a quote that never closes does not pull in the whole file.

use std::{
    cell::Cell as Counter,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use anyhow::{Context, Result};
use csv::{ReaderBuilder, StringRecord, Trim};
use tactful_models::{Cell, Dataset, PlainRows, Recipe};

use crate::client::progress::Progress;

/// Largest record, and largest header.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes that are read at once, so that much may be ahead of a record.
const AHEAD: usize = 1 << 16;
/// Rows between two looks of the progress.
const ROWS_BETWEEN: u64 = 1_024;

/// Reads all rows.
pub(super) fn read(file: File, recipe: &Recipe, dataset: &mut Dataset, quiet: bool) -> Result<()> {
    let progress = Progress::bytes(file.metadata().ok().map(|about| about.len()), quiet);
    progress.say("read");
    let mut file = BufReader::with_capacity(AHEAD, file);
    let separator = separator(recipe, file.fill_buf().context("cannot read it")?);
    let since = Rc::new(Counter::new(0));
    let bounded = Bounded { inner: file, since: Rc::clone(&since) };
    let mut reader =
        ReaderBuilder::new().delimiter(separator).trim(Trim::All).buffer_capacity(AHEAD).from_reader(bounded);
    let header = reader.headers().map_err(|error| told(&error, 0))?.clone();
    let mut rows = PlainRows::new(recipe, &header.iter().collect::<Vec<_>>(), dataset)?;
    let mut record = StringRecord::new();
    let mut number = 0;
    loop {
        since.set(0);
        number += 1;
        if !reader.read_record(&mut record).map_err(|error| told(&error, number))? {
            break;
        }
        let cells: Vec<Cell<'_>> = record.iter().map(Cell::Raw).collect();
        rows.push(&cells, dataset)?;
        if number % ROWS_BETWEEN == 0 {
            progress.set(reader.position().byte());
        }
    }
    Ok(rows.finish()?)
}

/// What parts the cells: the recipe's word, else the most frequent one in the first line.
fn separator(recipe: &Recipe, start: &[u8]) -> u8 {
    let said = recipe.columns.as_ref().and_then(|columns| columns.separator.bytes().next());
    let mut quoted = false;
    let outside = |byte: &u8| {
        quoted ^= *byte == b'"';
        !quoted
    };
    let line: Vec<u8> = start.split(|byte| *byte == b'\n').next().unwrap_or(start).to_vec();
    let line: Vec<u8> = line.into_iter().filter(outside).collect();
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    // The comma comes last here, so that it wins where none is more frequent.
    let found = [b'|', b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator));
    said.or(found).unwrap_or(b',')
}

/// A reader's error in our words: without the cells.
fn told(error: &csv::Error, row: u64) -> anyhow::Error {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow::anyhow!("row {row} has {len} cells, the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => anyhow::anyhow!("row {row} is no UTF-8 text: save the file as UTF-8"),
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            anyhow::anyhow!("row {row}: {error}")
        }
        _ => anyhow::anyhow!("row {row}: {error}"),
    }
}

/// A reader that ends where one record takes too many bytes.
struct Bounded<R> {
    inner: R,
    /// Bytes since the last record.
    since: Rc<Counter<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > RECORD_BYTES_MAX {
            let reason = format!("more than {RECORD_BYTES_MAX} bytes without an end: a quote that never closes?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let count = self.inner.read(out)?;
        self.since.set(self.since.get() + count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn recipe(columns: &str) -> Recipe {
        let head = "name = \"a\"\nkind = \"logistic\"\n[columns]\ntarget = \"y\"\naction_id = \"offer\"";
        Recipe::parse(&format!("{head}\n{columns}")).unwrap()
    }

    fn taken(recipe: &Recipe, bytes: &[u8]) -> Result<Dataset> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut dataset = Dataset::new(recipe);
        read(file.reopen().unwrap(), recipe, &mut dataset, true)?;
        Ok(dataset)
    }

    #[test]
    fn separators_are_found_in_the_header_or_told() {
        let none = recipe("");
        for (header, found) in
            [("a,b;c,d", b','), ("\"a,b\";\"c,d\";e\nx,y,z,w", b';'), ("a\tb\r\n", b'\t'), ("y", b',')]
        {
            assert_eq!(separator(&none, header.as_bytes()), found, "{header}");
        }
        assert_eq!(separator(&recipe("separator = \"|\""), b"a,b,c"), b'|');
    }

    #[test]
    fn quotes_crlf_blanks_and_a_byte_order_mark_are_read_as_usual() {
        let text = "\u{FEFF}\"x\";\"city\";\"y\"\r\n1;\"a \"\"b\"\"; c\";yes\r\n 2 ;\"\";no\r\n";
        let dataset = taken(&recipe(""), text.as_bytes()).unwrap();
        assert_eq!(dataset.rows_read(), 2);
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_row() {
        let refused = |bytes: &[u8]| format!("{:#}", taken(&recipe(""), bytes).map(|_| ()).unwrap_err());
        assert_eq!(refused(b"x,y\n1,yes\n1,yes,no\n"), "row 2 has 3 cells, the header has 2");
        assert!(refused(b"x,y\ncaf\xE9,yes\n").contains("row 1 is no UTF-8 text"));
        let mut endless = b"x,y\n1,yes\n\"".to_vec();
        endless.resize(8 << 20, b'a');
        assert!(refused(&endless).contains("row 2: more than 1048576 bytes"), "{}", refused(&endless));
        assert!(refused(b"x,z\n1,2\n").contains("target = \"y\""));
    }

    #[test]
    fn a_damaged_table_is_read_or_refused() {
        let rows: String = (0..60).map(|row| format!("{row},\"c {}\",{}\n", row % 7, row % 2)).collect();
        let good = format!("x,\"city\",y\n{rows}").into_bytes();
        let mut refused = 0;
        for seed in 0..1_000_usize {
            let mut bytes = good.clone();
            let at = seed * 7_919 % bytes.len();
            match seed % 4 {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << (seed / 4 % 8),
                2 => bytes[at] = b",\"\n\r\0\xFF"[seed / 4 % 6],
                _ => drop(bytes.splice(at..at, good[at / 2..at].iter().copied())),
            }
            refused += usize::from(taken(&recipe(""), &bytes).is_err());
        }
        assert!((100..1_000).contains(&refused), "{refused}");
    }
}
