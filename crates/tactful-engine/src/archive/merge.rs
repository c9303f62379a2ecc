//! Small segments of an hour that is over become one: a quiet partition writes one each minute, and files by the
//! thousand are dear to list. The merged one is whole and in its place before those it replaces are
//! removed; a reader that meets both takes each row once.

use std::sync::Arc;

use metrics::counter;
use tactful_log::Offset;

use super::row::Row;
use super::segment::{Segment, hour};
use super::takeover::Size;
use super::{Archive, Error, SEGMENT_BYTES_MAX, SEGMENT_ROWS_MAX, blocking};
use crate::error;

/// How long after its end an hour is merged: what came late has arrived.
const AFTER_MS: i64 = 600_000;
/// Hours that a new archiver looks back for what the one before it left.
const BACK: i64 = 48;

/// Which hours are done.
pub(super) struct Merger {
    next_hour: i64,
}

impl Merger {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { next_hour: hour(now_ms) - BACK }
    }

    /// Merges what is due of all partitions up to their marks, hour by hour.
    pub(super) async fn run(
        &mut self,
        archive: &Arc<Archive>,
        token: u64,
        marks: &[Offset],
        now_ms: i64,
        size: &mut Size,
    ) -> Result<(), error::Error> {
        let end = hour(now_ms - AFTER_MS);
        while self.next_hour < end {
            let hour = self.next_hour;
            for (partition, mark) in marks.iter().enumerate() {
                let (archive, place) = (Arc::clone(archive), (partition as u16, *mark));
                let merged = blocking(move || merge(&archive, token, place, hour)).await;
                let (before, after) = match merged {
                    // What is new is archived all the same.
                    Err(error::Error::Archive(error @ Error::Damaged { .. })) => {
                        counter!("tactful_archive_errors_total").increment(1);
                        tracing::error!(%error, "segments of an hour stay apart");
                        continue;
                    }
                    merged => merged?,
                };
                size.segments = (size.segments + after.segments).saturating_sub(before.segments);
                size.bytes = (size.bytes + after.bytes).saturating_sub(before.bytes);
            }
            self.next_hour += 1;
        }
        Ok(())
    }
}

/// Merges the segments of a partition's hour; answers what went and what came.
fn merge(archive: &Archive, token: u64, (partition, mark): (u16, Offset), hour: i64) -> Result<(Size, Size), Error> {
    let mut sizes = (Size::default(), Size::default());
    if archive.list_hour(partition, hour)?.len() < 2 {
        return Ok(sizes);
    }
    let _lock = archive.lock_as(token)?;
    let mut group = Group::default();
    let archived = archive.list_hour(partition, hour)?.into_iter().filter(|segment| segment.last <= mark);
    for segment in archived {
        let rows = archive.rows(&segment)?;
        if !group.takes(&segment, &rows) {
            std::mem::take(&mut group).join(archive, &mut sizes)?;
        }
        group.add(segment, rows);
    }
    group.join(archive, &mut sizes)?;
    Ok(sizes)
}

/// Segments that adjoin or overlap, with their rows.
#[derive(Default)]
struct Group {
    segments: Vec<Segment>,
    rows: Vec<Row>,
    bytes: usize,
    last: Offset,
}

impl Group {
    /// Whether a segment with these rows may be one with those before it.
    fn takes(&self, segment: &Segment, rows: &[Row]) -> bool {
        let bytes: usize = rows.iter().map(|row| row.record.len()).sum();
        segment.first <= self.last + 1
            && self.rows.len() + rows.len() <= SEGMENT_ROWS_MAX
            && self.bytes + bytes <= SEGMENT_BYTES_MAX
    }

    fn add(&mut self, segment: Segment, rows: Vec<Row>) {
        let known = self.last;
        self.last = self.last.max(segment.last);
        for row in rows.into_iter().filter(|row| row.offset > known || self.segments.is_empty()) {
            self.bytes += row.record.len();
            self.rows.push(row);
        }
        self.segments.push(segment);
    }

    /// Writes them as one and removes them.
    fn join(self, archive: &Archive, (before, after): &mut (Size, Size)) -> Result<(), Error> {
        let [first, _, ..] = self.segments.as_slice() else { return Ok(()) };
        let joined = Segment { last: self.last, ..first.clone() };
        for segment in &self.segments {
            before.add(archive.bytes(segment));
        }
        after.add(archive.write(&joined, &self.rows)?);
        for segment in self.segments.iter().filter(|segment| **segment != joined) {
            Archive::remove(&segment.file(archive.directory()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use tactful_proto::storage::record::Body;
    use tactful_proto::storage::{OutcomeBody, Record};

    use super::super::row::Of;
    use super::*;

    /// An outcome of some size.
    fn row(offset: Offset, bytes: usize) -> Row {
        let outcome = OutcomeBody { reason_code: "x".repeat(bytes), ..OutcomeBody::default() };
        let record = Record { body: Some(Body::Outcome(outcome)), ..Record::default() };
        match Row::of(offset, &Bytes::from(record.encode_to_vec())) {
            Of::Row(row) => *row,
            _ => panic!("an outcome is archived"),
        }
    }

    fn segment(first: Offset, last: Offset) -> Segment {
        Segment { partition: 1, hour: 5, first, last }
    }

    /// First and last offset of each segment.
    type Spans = Vec<(Offset, Offset)>;

    /// The archive with these segments in hour 5, a row for each second offset, merged.
    fn merged(segments: &[(Offset, Offset, usize)]) -> (Spans, Vec<Offset>, (Size, Size)) {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::at(folder.path());
        for (first, last, bytes) in segments {
            let rows: Vec<Row> = (*first..=*last).filter(|n| n % 2 == 0).map(|n| row(n, *bytes)).collect();
            archive.write(&segment(*first, *last), &rows).unwrap();
        }
        let sizes = merge(&archive, 1, (1, 30), 5).unwrap();
        let left = archive.list(1).unwrap().0;
        let offsets = left.iter().flat_map(|segment| archive.read(segment).unwrap()).map(|(offset, _)| offset);
        (left.iter().map(|segment| (segment.first, segment.last)).collect(), offsets.collect(), sizes)
    }

    #[test]
    fn what_adjoins_becomes_one_and_every_row_stays_once() {
        let (left, offsets, (before, after)) = merged(&[(1, 10, 9), (11, 11, 9), (12, 30, 9)]);
        assert_eq!(left, [(1, 30)]);
        assert_eq!(offsets, (1..=15).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!((before.segments, after.segments), (3, 1));
        assert!(after.bytes < before.bytes);
    }

    #[test]
    fn a_merge_that_was_broken_off_is_ended_and_overlaps_count_once() {
        assert_eq!(merged(&[(1, 10, 9), (11, 30, 9), (1, 30, 9)]).0, [(1, 30)]);
        let (left, offsets, _) = merged(&[(1, 20, 9), (11, 30, 9)]);
        assert_eq!((left, offsets.len()), (vec![(1, 30)], 15));
    }

    #[test]
    fn an_archiver_that_was_replaced_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::at(folder.path());
        for first in [1, 2] {
            archive.write(&segment(first, first), &[row(first, 9)]).unwrap();
        }
        drop(archive.lock_as(7).unwrap());
        assert!(matches!(merge(&archive, 6, (1, 30), 5), Err(Error::Fenced)));
        assert_eq!(archive.list(1).unwrap().0.len(), 2);
        merge(&archive, 7, (1, 30), 5).unwrap();
        assert_eq!(archive.list(1).unwrap().0.len(), 1);
    }

    #[test]
    fn what_lies_apart_or_would_be_too_large_stays_apart() {
        assert_eq!(merged(&[(1, 10, 9), (12, 30, 9)]).0, [(1, 10), (12, 30)]);
        let third = SEGMENT_BYTES_MAX / 3;
        assert_eq!(merged(&[(1, 2, third), (3, 4, third), (5, 6, third), (7, 8, third)]).0, [(1, 4), (5, 8)]);
        assert_eq!(merged(&[(4, 9, 9)]).0, [(4, 9)]);
        assert_eq!(merged(&[(1, 20, 9), (21, 31, 9)]).0, [(1, 20), (21, 31)], "one lies beyond the mark");
    }
}
