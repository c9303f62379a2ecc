//! What a new archiver finds. One before it may have died at any step: a file that is not whole, a segment
//! whose mark did not move, or one that an archiver wrote which had been replaced. All of that is removed
//! and written again from the log, which still has it, since nothing is trimmed beyond the mark.

use std::sync::Arc;

use tactful_log::{Log, Offset, Partition};

use super::marks::Marks;
use super::row::Row;
use super::segment::Segment;
use super::{Archive, blocking};
use crate::error;

/// What the archive holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) segments: u64,
    pub(super) bytes: u64,
}

impl Size {
    /// One segment more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.segments += 1;
        self.bytes += bytes;
    }
}

/// Makes the archive what the marks say, for an archiver that holds the lease.
pub(super) async fn take_over(
    log: &dyn Log,
    archive: &Arc<Archive>,
    marks: &Marks,
    token: u64,
) -> Result<Size, error::Error> {
    let mut size = Size::default();
    for partition in 0..log.partitions() {
        let mark = marks.of(partition).offset;
        let kept_by_log = is_kept(log, partition, mark).await?;
        let cleaned = Arc::clone(archive);
        let found = blocking(move || clean(&cleaned, token, (partition, mark), kept_by_log)).await?;
        size.segments += found.segments;
        size.bytes += found.bytes;
    }
    Ok(size)
}

/// Whether the log still has what comes after the mark.
async fn is_kept(log: &dyn Log, partition: u16, mark: Offset) -> Result<bool, error::Error> {
    match log.read(Partition::Data(partition), mark, 1).await {
        Ok(_) => Ok(true),
        Err(tactful_log::Error::Trimmed { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes what is not whole, and what lies beyond the mark if the log still has it.
fn clean(
    archive: &Archive,
    token: u64,
    (partition, mark): (u16, Offset),
    kept_by_log: bool,
) -> Result<Size, super::Error> {
    let _lock = archive.lock_as(token)?;
    let (segments, unfinished) = archive.list(partition)?;
    unfinished.iter().try_for_each(|path| Archive::remove(path))?;
    let (mut size, mut beyond) = (Size::default(), 0_u32);
    for segment in &segments {
        if segment.last <= mark || !kept_by_log {
            size.add(archive.bytes(segment));
            continue;
        }
        beyond += 1;
        if segment.first <= mark {
            // Its mark was moved back with a Redis that lost its end: what is before it stays archived.
            let rows: Vec<Row> = archive.rows(segment)?.into_iter().filter(|row| row.offset <= mark).collect();
            size.add(archive.write(&Segment { last: mark, ..segment.clone() }, &rows)?);
        }
        Archive::remove(&segment.file(archive.directory()))?;
    }
    if beyond > 0 {
        tracing::info!(partition, segments = beyond, "segments lie beyond the mark: archiving these entries anew");
    }
    Ok(size)
}
