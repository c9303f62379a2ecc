//! Finds what the archive holds on subject ids, and removes it: segments are written again without their rows,
//! under the same names. Everything here blocks.

use std::collections::HashSet;

use parquet::data_type::ByteArray;

use super::segment::Segment;
use super::{Archive, Error};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows that are gone.
    pub rows: u64,
    /// Files that were written again.
    pub files: u64,
    /// Files that could not be looked through, below the archive's directory: what they hold is unknown.
    pub unreadable: Vec<String>,
}

/// A segment that holds rows of the subject ids looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its file, below the archive's directory.
    pub file: String,
    /// Rows of these subject ids; none if the file cannot be looked through.
    pub rows: Option<u64>,
}

impl Archive {
    /// Removes all rows of these subject ids from a partition; what is not whole yet is removed with them. Each
    /// file is replaced atomically. What the log still holds behind the mark is archived later: erase there first.
    ///
    /// # Errors
    /// If a file cannot be read or written: those before it are done, and it may be called again.
    pub fn erase(&self, partition: u16, subject_ids: &[&str]) -> Result<Erased, Error> {
        let wanted: HashSet<&[u8]> = subject_ids.iter().map(|id| id.as_bytes()).collect();
        let mut erased = Erased::default();
        let _lock = self.lock()?;
        let (segments, unfinished) = self.list(partition)?;
        // Whoever wrote them holds the lock no more.
        unfinished.iter().try_for_each(|path| Self::remove(path))?;
        for segment in segments {
            match self.hits(&segment, &wanted) {
                Ok(0) => {}
                Ok(_) => {
                    erased.rows += self.rewrite(&segment, &wanted)?;
                    erased.files += 1;
                }
                Err(Error::Damaged { .. }) => erased.unreadable.push(name(&segment)),
                Err(error) => return Err(error),
            }
        }
        Ok(erased)
    }

    /// Looks for rows of these subject ids in all partitions below `partitions`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn scan(&self, partitions: u16, subject_ids: &[&str]) -> Result<Vec<Hit>, Error> {
        let wanted: HashSet<&[u8]> = subject_ids.iter().map(|id| id.as_bytes()).collect();
        let mut hits = Vec::new();
        for partition in 0..partitions {
            // So that nothing is moved from where was not looked yet to where was.
            let _lock = self.lock()?;
            for segment in self.list(partition)?.0 {
                let rows = match self.hits(&segment, &wanted) {
                    Ok(0) => continue,
                    Ok(rows) => Some(rows),
                    Err(Error::Damaged { .. }) => None,
                    Err(error) => return Err(error),
                };
                hits.push(Hit { file: name(&segment), rows });
            }
        }
        Ok(hits)
    }

    fn hits(&self, segment: &Segment, wanted: &HashSet<&[u8]>) -> Result<u64, Error> {
        let ids = self.open_segment(segment)?.subject_ids();
        let ids = ids.map_err(|error| Error::damaged(&segment.file(self.directory()), error.to_string()))?;
        Ok(ids.iter().map(ByteArray::data).filter(|id| wanted.contains(id)).count() as u64)
    }

    /// Writes a segment again without some rows; answers how many.
    fn rewrite(&self, segment: &Segment, wanted: &HashSet<&[u8]>) -> Result<u64, Error> {
        let mut rows = self.rows(segment)?;
        let before = rows.len();
        rows.retain(|row| !wanted.contains(row.subject_id.as_bytes()));
        self.write(segment, &rows)?;
        Ok((before - rows.len()) as u64)
    }
}

fn name(segment: &Segment) -> String {
    segment.path().to_string_lossy().into_owned()
}
