//! The live end of one partition: where it begins and ends, who waits for more, and its newest entries
//! in memory, so that an applier that keeps up never touches the store. It refuses to hold more than its bytes.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{Entry, Error, Offset, READ_BYTES_MAX, READ_ENTRIES_MAX};

pub(crate) struct Tail {
    published: watch::Sender<Published>,
    first: AtomicU64,
    ring: Mutex<Ring>,
}

struct Published {
    tail: Offset,
    /// Why nothing will be published any more.
    ended: Option<Error>,
}

/// The newest entries, oldest in front, without gaps.
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

/// Where a reader must look.
#[derive(Debug)]
pub(crate) enum Recent {
    /// Here is the answer.
    Entries(Vec<Entry>),
    /// The store has it: entries from here up to, not including, that offset.
    Stored(std::ops::Range<Offset>),
}

impl Tail {
    pub(crate) fn new(first: Offset, tail: Offset, bytes_max: usize) -> Self {
        Self {
            published: watch::Sender::new(Published { tail, ended: None }),
            first: AtomicU64::new(first),
            ring: Mutex::new(Ring { entries: VecDeque::new(), bytes: 0, bytes_max }),
        }
    }

    /// Offset of the last readable entry. One short lock, no allocation.
    pub(crate) fn offset(&self) -> Offset {
        self.published.borrow().tail
    }

    /// Offset of the first entry not trimmed away.
    pub(crate) fn first(&self) -> Offset {
        self.first.load(Ordering::Acquire)
    }

    /// Makes entries that are durable by now readable and wakes whoever waits. They follow the present tail.
    pub(crate) fn publish(&self, entries: &mut Vec<Entry>) {
        let Some(last) = entries.last().map(|entry| entry.offset) else { return };
        let mut evicted = Vec::new();
        self.ring().extend(entries, &mut evicted);
        self.published.send_modify(|published| published.tail = last);
        // Payloads are freed outside the lock.
        drop(evicted);
    }

    /// Hides the entries below `first`, and forgets those in memory. What was trimmed stays so: a smaller `first`, for
    /// instance one that was seen before another trim, changes nothing.
    pub(crate) fn trim(&self, first: Offset) {
        self.first.fetch_max(first, Ordering::AcqRel);
        let mut ring = self.ring();
        while ring.entries.front().is_some_and(|entry| entry.offset < first) {
            ring.evict();
        }
    }

    /// Ends all waiting: nothing will be published any more. Of several reasons the first stays.
    pub(crate) fn end(&self, reason: Error) {
        self.published.send_modify(|published| _ = published.ended.get_or_insert(reason));
    }

    /// Whether nothing will be published any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.published.borrow().ended.is_some()
    }

    /// Answers a read from memory if possible. At most `limit` entries, within the bounds of one read. What a
    /// closed log holds can still be read, what a damaged one holds cannot.
    pub(crate) fn read(&self, after: Offset, limit: usize) -> Result<Recent, Error> {
        let tail = {
            let published = self.published.borrow();
            match &published.ended {
                None | Some(Error::Closed) => published.tail,
                Some(damage) => return Err(damage.clone()),
            }
        };
        self.check(after, tail)?;
        let limit = limit.min(READ_ENTRIES_MAX) as u64;
        let wanted = after + 1..(after + 1).saturating_add(limit).min(tail + 1);
        if wanted.is_empty() {
            return Ok(Recent::Entries(Vec::new()));
        }
        Ok(match self.ring().read(wanted.clone()) {
            Some(entries) => Recent::Entries(entries),
            None => Recent::Stored(wanted),
        })
    }

    /// Refuses a reader that stands before the first entry or past the last one.
    pub(crate) fn check(&self, after: Offset, tail: Offset) -> Result<(), Error> {
        let first = self.first();
        if after > tail {
            Err(Error::BeyondTail { after, tail })
        } else if after + 1 < first {
            Err(Error::Trimmed { first })
        } else {
            Ok(())
        }
    }

    /// Returns once there is an entry beyond `after`.
    pub(crate) async fn wait(&self, after: Offset) -> Result<(), Error> {
        let tail = self.offset();
        if after > tail {
            return Err(Error::BeyondTail { after, tail });
        }
        self.reached(after + 1).await
    }

    /// Returns once the entry `offset` can be read, however far the end is from it now.
    pub(crate) async fn reached(&self, offset: Offset) -> Result<(), Error> {
        let mut published = self.published.subscribe();
        let reached = published.wait_for(|published| published.tail >= offset || published.ended.is_some()).await;
        let reached = reached.map_err(|_| Error::Closed)?;
        match &reached.ended {
            Some(reason) if reached.tail < offset => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn extend(&mut self, entries: &mut Vec<Entry>, evicted: &mut Vec<Entry>) {
        for entry in entries.drain(..) {
            self.bytes += weight(&entry);
            self.entries.push_back(entry);
        }
        while self.bytes > self.bytes_max {
            evicted.extend(self.evict());
        }
    }

    fn evict(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front();
        self.bytes -= entry.as_ref().map_or(0, weight);
        entry
    }

    fn read(&self, wanted: std::ops::Range<Offset>) -> Option<Vec<Entry>> {
        let oldest = self.entries.front()?.offset;
        let skip = usize::try_from(wanted.start.checked_sub(oldest)?).ok()?;
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let fits = bytes <= READ_BYTES_MAX;
            bytes += entry.payload.len();
            fits
        };
        Some(self.entries.range(skip..).take((wanted.end - wanted.start) as usize).take_while(fits).cloned().collect())
    }
}

fn weight(entry: &Entry) -> usize {
    entry.payload.len() + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const PAYLOAD: usize = 100;

    fn entries(offsets: std::ops::RangeInclusive<Offset>) -> Vec<Entry> {
        offsets.map(|offset| Entry { offset, payload: Bytes::from(vec![offset as u8; PAYLOAD]) }).collect()
    }

    fn filled(kept: usize) -> Tail {
        let tail = Tail::new(1, 0, kept * (PAYLOAD + size_of::<Entry>()));
        tail.publish(&mut entries(1..=6));
        tail.publish(&mut entries(7..=10));
        tail
    }

    fn offsets(recent: Result<Recent, Error>) -> Vec<Offset> {
        match recent {
            Ok(Recent::Entries(entries)) => entries.iter().map(|entry| entry.offset).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_come_from_memory_and_older_ones_from_the_store() {
        let tail = filled(4);
        assert_eq!(tail.offset(), 10);
        assert_eq!(offsets(tail.read(6, 100)), [7, 8, 9, 10]);
        assert_eq!(offsets(tail.read(7, 2)), [8, 9]);
        assert_eq!(offsets(tail.read(10, 2)), [] as [u64; 0]);
        assert_eq!(offsets(tail.read(2, 0)), [] as [u64; 0]);
        assert!(matches!(tail.read(5, 2), Ok(Recent::Stored(range)) if range == (6..8)));
        assert!(matches!(tail.read(0, usize::MAX), Ok(Recent::Stored(range)) if range == (1..11)));
        assert!(matches!(tail.read(11, 1), Err(Error::BeyondTail { after: 11, tail: 10 })));
    }

    #[test]
    fn an_entry_larger_than_the_ring_is_left_to_the_store() {
        let tail = filled(0);
        assert!(matches!(tail.read(9, 1), Ok(Recent::Stored(range)) if range == (10..11)));
        let ring = tail.ring();
        assert!(ring.entries.is_empty() && ring.bytes == 0);
    }

    #[test]
    fn trimmed_entries_leave_memory_and_are_refused() {
        let tail = filled(100);
        tail.trim(4);
        assert!(matches!(tail.read(2, 1), Err(Error::Trimmed { first: 4 })));
        assert_eq!(offsets(tail.read(3, 2)), [4, 5]);
        assert_eq!(tail.ring().bytes, 7 * (PAYLOAD + size_of::<Entry>()));
    }

    #[test]
    fn one_read_stops_soon_after_its_bytes() {
        let tail = Tail::new(1, 0, 64 << 20);
        let large = Bytes::from(vec![0; 1 << 20]);
        tail.publish(&mut (1..=20).map(|offset| Entry { offset, payload: large.clone() }).collect());
        assert_eq!(offsets(tail.read(0, 100)), [1, 2, 3, 4, 5], "the one that passes 4 MiB is the last");
    }

    #[tokio::test]
    async fn waiting_ends_with_an_entry_or_with_the_log() {
        let tail = std::sync::Arc::new(filled(4));
        tail.wait(9).await.unwrap();
        assert!(matches!(tail.wait(11).await, Err(Error::BeyondTail { .. })));
        let waiting = tokio::spawn({
            let tail = std::sync::Arc::clone(&tail);
            async move { (tail.wait(10).await, tail.wait(11).await) }
        });
        tokio::task::yield_now().await;
        tail.publish(&mut entries(11..=11));
        tokio::task::yield_now().await;
        tail.end(Error::Closed);
        let (first, second) = waiting.await.unwrap();
        assert!(first.is_ok());
        assert!(matches!(second, Err(Error::Closed)));
    }
}
