//! One partition read from its first kept record to a tail: what is archived from the archive, the rest from
//! the log, each record once. While it reads, marks may move, the log may be trimmed up to them, and segments
//! may be replaced: it goes on behind the last record that it gave. A gap is an error, never passed over.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tactful_log::{Log, Offset, Partition};
use tactful_proto::storage::Record;

use super::marks::Marks;
use super::segment::Segment;
use super::{Archive, Error, blocking};
use crate::error;

/// Records given at once, and read from the log at once.
const READ_MAX: usize = 4_096;
/// How often segments are listed again because one of them was replaced meanwhile.
const LISTINGS_MAX: u32 = 8;

/// A reader of one partition. Memory: one segment, or one read of the log.
pub(crate) struct Scan<'a> {
    log: &'a dyn Log,
    archive: Option<&'a Arc<Archive>>,
    partition: u16,
    tail: Offset,
    /// Everything up to it was given.
    after: Offset,
    /// What is known of the archive; none if the log has none.
    marks: Option<Marks>,
    /// Those to be read; none before they are listed.
    segments: Option<VecDeque<Segment>>,
    listings: u32,
    /// Of the segment that is being given.
    entries: VecDeque<(Offset, Bytes)>,
}

impl<'a> Scan<'a> {
    /// A reader of everything up to an offset of the log. The archive is the log's, where this node has it.
    pub(crate) async fn new(
        log: &'a dyn Log,
        archive: Option<&'a Arc<Archive>>,
        partition: u16,
        tail: Offset,
    ) -> Result<Self, error::Error> {
        let marks = Marks::load(log).await?;
        let (segments, entries) = (None, VecDeque::new());
        Ok(Self { log, archive, partition, tail, after: 0, marks, segments, listings: 0, entries })
    }

    /// The next records; none at the tail. What the appliers skip as unreadable is skipped here as well; they
    /// report it.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, error::Error> {
        loop {
            if !self.entries.is_empty() {
                let count = self.entries.len().min(READ_MAX);
                let next = self.entries.drain(..count);
                return Ok(Some(next.filter_map(|(_, payload)| Record::decode(payload.as_ref()).ok()).collect()));
            }
            if self.after >= self.tail {
                return Ok(None);
            }
            match self.archive {
                Some(archive) if self.after < self.mark() => self.open_next(archive).await?,
                _ => {
                    if let Some(records) = self.read_log().await? {
                        return Ok(Some(records));
                    }
                }
            }
        }
    }

    /// Up to where the archive is read.
    fn mark(&self) -> Offset {
        self.marks.as_ref().map_or(0, |marks| marks.of(self.partition).offset).min(self.tail)
    }

    /// The next records of the log; none if the archive has them by now, or there are none.
    async fn read_log(&mut self) -> Result<Option<Vec<Record>>, error::Error> {
        let entries = match self.log.read(Partition::Data(self.partition), self.after, READ_MAX).await {
            Err(trimmed @ tactful_log::Error::Trimmed { .. }) => return self.trimmed(trimmed).await.map(|()| None),
            entries => entries?,
        };
        let Some(last) = entries.last() else {
            self.after = self.tail;
            return Ok(None);
        };
        self.after = last.offset;
        let within = entries.iter().take_while(|entry| entry.offset <= self.tail);
        Ok(Some(within.filter_map(|entry| Record::decode(entry.payload.as_ref()).ok()).collect()))
    }

    /// The log begins behind this place: the archive must have what was before.
    async fn trimmed(&mut self, trimmed: tactful_log::Error) -> Result<(), error::Error> {
        self.marks = Marks::load(self.log).await?;
        self.segments = None;
        match (self.archive, &self.marks) {
            (Some(_), _) if self.after < self.mark() => Ok(()),
            (None, Some(marks)) if self.after < self.mark() => {
                Err(error::Error::ArchiveAbsent { archive: marks.archive_id() })
            }
            _ => Err(trimmed.into()),
        }
    }

    /// Makes ready the next segment that holds something new, or moves on behind the last one.
    async fn open_next(&mut self, archive: &Arc<Archive>) -> Result<(), error::Error> {
        let partition = self.partition;
        if self.segments.is_none() {
            let lister = Arc::clone(archive);
            let (listed, _) = blocking(move || lister.list(partition)).await?;
            self.segments = Some(listed.into());
            self.listings += 1;
        }
        let (mark, after) = (self.mark(), self.after);
        let marks = self.marks.as_ref().expect("without marks nothing is read from the archive");
        let segments = self.segments.as_mut().expect("listed above");
        segments.retain(|segment| segment.last > after && segment.first <= mark);
        let covered = marks.of(partition).covered.min(mark);
        let first = segments.front().map_or(covered + 1, |segment| segment.first);
        if after + 1 < first {
            // What the archiver lost is gone for good, and was told when it was.
            self.after = marks.past_gaps(partition, after);
            return if self.after > after { Ok(()) } else { self.missing(archive, first - 1) };
        }
        let Some(segment) = segments.pop_front() else {
            self.after = mark;
            return Ok(());
        };
        let (reader, wanted) = (Arc::clone(archive), segment.clone());
        match blocking(move || reader.read(&wanted)).await {
            Ok(entries) => {
                self.entries = entries.into_iter().filter(|(offset, _)| *offset > after && *offset <= mark).collect();
                self.after = segment.last.min(mark);
                Ok(())
            }
            // Replaced since it was listed.
            Err(error::Error::Archive(error)) if error.is_gone() && self.listings < LISTINGS_MAX => {
                self.segments = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A segment was replaced since the list was made, or lost.
    fn missing(&mut self, archive: &Archive, last: Offset) -> Result<(), error::Error> {
        if self.listings < LISTINGS_MAX {
            self.segments = None;
            return Ok(());
        }
        let (directory, partition) = (archive.directory().to_owned(), self.partition);
        Err(Error::Missing { directory, partition, first: self.after + 1, last }.into())
    }
}
