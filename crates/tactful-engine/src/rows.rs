//! The rows of one partition: many small concurrent maps instead of a large one, so that a snapshot can
//! take one after the other and none of them keeps anybody waiting for long.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::one::{Ref, RefMut};
use foldhash::fast::RandomState;
use tactful_core::hash;
use tactful_core::state::Row;

/// Chunks of all partitions together, and of one at most: with a million customers in 16 partitions a
/// chunk holds 490 of them, which are written out in a tenth of a millisecond.
const CHUNKS_ALL: u16 = 2_048;
const CHUNKS_MAX: u16 = 128;
/// Lock shards of a chunk: the least that the map allows.
const SHARDS: usize = 2;

/// The rows that share the low bits of a hash slot.
pub(crate) type Chunk = DashMap<Box<str>, Row, RandomState>;

/// All rows of a partition.
pub(crate) struct Rows {
    chunks: Box<[Chunk]>,
    partitions: u16,
    /// Counted here, since asking every chunk would lock them all.
    count: AtomicUsize,
}

impl Rows {
    /// No rows, of one of so many partitions.
    pub(crate) fn new(partitions: u16) -> Self {
        let chunk = |_| DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS);
        Self { chunks: (0..chunk_count(partitions)).map(chunk).collect(), partitions, count: AtomicUsize::new(0) }
    }

    /// The chunk of a subject id: by what its hash slot says beyond the partition.
    pub(crate) fn chunk_of(&self, subject_id: &str) -> usize {
        usize::from(hash::hash_slot(subject_id) / self.partitions) % self.chunks.len()
    }

    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    pub(crate) fn get(&self, subject_id: &str) -> Option<Ref<'_, Box<str>, Row>> {
        self.chunks[self.chunk_of(subject_id)].get(subject_id)
    }

    pub(crate) fn get_mut(&self, subject_id: &str) -> Option<RefMut<'_, Box<str>, Row>> {
        self.chunks[self.chunk_of(subject_id)].get_mut(subject_id)
    }

    pub(crate) fn insert(&self, subject_id: &str, row: Row) {
        let before = self.chunks[self.chunk_of(subject_id)].insert(subject_id.into(), row);
        self.count.fetch_add(usize::from(before.is_none()), Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, subject_id: &str) {
        let before = self.chunks[self.chunk_of(subject_id)].remove(subject_id);
        self.count.fetch_sub(usize::from(before.is_some()), Ordering::Relaxed);
    }

    /// The same ids with other rows, chunk by chunk.
    pub(crate) fn map(&self, other: impl Fn(&Row) -> Row) -> Self {
        let next = Self::new(self.partitions);
        for (from, to) in self.chunks.iter().zip(&next.chunks) {
            for entry in from {
                to.insert(entry.key().clone(), other(entry.value()));
            }
        }
        next.count.store(self.len(), Ordering::Relaxed);
        next
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

fn chunk_count(partitions: u16) -> u16 {
    (CHUNKS_ALL / partitions).clamp(1, CHUNKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_partition_spread_over_its_chunks() {
        let rows = Rows::new(16);
        let mut counts = vec![0; rows.chunks().len()];
        let ids = (0..200_000).map(|number| format!("customer:{number}"));
        ids.filter(|id| hash::partition(id, 16) == 3).for_each(|id| counts[rows.chunk_of(&id)] += 1);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 50 && *most < 150, "{least} to {most} of 98 on average");
    }

    #[test]
    fn many_partitions_do_with_few_chunks_each() {
        assert_eq!([1, 16, 64, 4_096, 16_384].map(chunk_count), [128, 128, 32, 1, 1]);
    }
}
