//! The rows of one partition: many small concurrent maps instead of a large one, so that a snapshot can
//! take one after the other and none of them keeps anybody waiting for long.
//!
//! A map doubles its room when it is full. Chunks of equal size would do so all at about the same time, and be half
//! empty together afterwards; so the largest gets twice as many rows as the smallest, in equal ratios between them,
//! and whatever the number of customers is, the room is used as on average.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::one::{Ref, RefMut};
use foldhash::fast::RandomState;
use tactful_core::hash;
use tactful_core::state::Row;

/// Chunks of all partitions together, and of one at most: with a million customers in 16 partitions a
/// chunk holds some 240 of them, which are listed for a snapshot in a tenth of a millisecond.
const CHUNKS_ALL: u16 = 4_096;
const CHUNKS_MAX: u16 = 256;
/// Lock shards of a chunk: the least that the map allows.
const SHARDS: usize = 2;

/// The rows that share the low bits of a hash slot.
pub(crate) type Chunk = DashMap<Box<str>, Row, RandomState>;

/// All rows of a partition.
pub struct Rows {
    chunks: Box<[Chunk]>,
    /// The chunk of each number that a hash slot leaves beyond the partition.
    places: Box<[u8]>,
    partitions: u16,
    /// Counted here, since asking every chunk would lock them all.
    count: AtomicUsize,
}

impl Rows {
    /// No rows, of one of so many partitions.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self::with_room(partitions, 0)
    }

    /// As [`Rows::new`], with room for about as many rows.
    pub(crate) fn with_room(partitions: u16, rows: usize) -> Self {
        let places = places(partitions);
        let mut shares = vec![0; chunk_count(partitions).into()];
        places.iter().for_each(|place| shares[usize::from(*place)] += 1);
        let room = |share: &usize| rows * share / places.len();
        let chunk = |room| DashMap::with_capacity_and_hasher_and_shard_amount(room, RandomState::default(), SHARDS);
        let chunks = shares.iter().map(room).map(chunk).collect();
        Self { chunks, places, partitions, count: AtomicUsize::new(0) }
    }

    /// The chunk of a subject id: by what its hash slot says beyond the partition.
    pub(crate) fn chunk_of(&self, subject_id: &str) -> usize {
        self.places[usize::from(hash::hash_slot(subject_id) / self.partitions)].into()
    }

    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The row of a subject id, locked for reading.
    #[must_use]
    pub fn get(&self, subject_id: &str) -> Option<Ref<'_, Box<str>, Row>> {
        self.chunks[self.chunk_of(subject_id)].get(subject_id)
    }

    /// The row of a subject id, locked for writing.
    #[must_use]
    pub fn get_mut(&self, subject_id: &str) -> Option<RefMut<'_, Box<str>, Row>> {
        self.chunks[self.chunk_of(subject_id)].get_mut(subject_id)
    }

    /// Puts a row in place, of a subject id that had none or another one.
    pub fn insert(&self, subject_id: &str, row: Row) {
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

/// Gives chunk `i` of `n` a share of all places that is as 2^(i/n).
fn places(partitions: u16) -> Box<[u8]> {
    let (chunks, count) = (f64::from(chunk_count(partitions)), hash::HASH_SLOTS.div_ceil(partitions));
    let place = |number: u16| (chunks * (f64::from(number) / f64::from(count)).ln_1p() / std::f64::consts::LN_2) as u8;
    (0..count).map(place).collect()
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
        assert!(*least > 8 && *most < 120, "{least} to {most} of 49 on average");
    }

    #[test]
    fn chunks_do_not_outgrow_their_tables_all_at_once() {
        let rows = Rows::new(16);
        let mut shares = vec![0_f64; rows.chunks().len()];
        rows.places.iter().for_each(|place| shares[usize::from(*place)] += 1.0 / rows.places.len() as f64);
        // A table holds up to seven eighths of a power of two. Whatever the number of rows, about 1.6 places for each.
        for count in [50_000.0, 61_000.0, 75_000.0, 100_000.0] {
            let room = |share: &f64| (count * share / 2.0 / 0.875).log2().ceil().exp2() * 2.0;
            let places = shares.iter().map(room).sum::<f64>() / count;
            assert!((1.4..1.8).contains(&places), "{places} places for each of {count} rows");
        }
    }

    #[test]
    fn many_partitions_do_with_few_chunks_each() {
        assert_eq!([1, 16, 64, 4_096, 16_384].map(chunk_count), [256, 256, 64, 1, 1]);
    }
}
