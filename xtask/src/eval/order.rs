//! In which order the rows of a data set are sent: as they stand, or shuffled with repeats.

use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;

/// Every so many rows one is sent twice.
const REPEAT_EVERY: usize = 10;

/// Every row once, as they stand.
pub(super) fn as_they_stand(rows: usize) -> Vec<usize> {
    (0..rows).collect()
}

/// Every row, every tenth twice, in an order drawn from the seed.
pub(super) fn shuffled_with_repeats(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).chain((0..rows).step_by(REPEAT_EVERY)).collect();
    order.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shuffle_holds_every_row_and_every_tenth_twice() {
        let order = shuffled_with_repeats(95, 1);
        assert_eq!(order.len(), 95 + 10);
        assert_ne!(order, shuffled_with_repeats(95, 2));
        assert_eq!(order, shuffled_with_repeats(95, 1));
        let times = |row: usize| order.iter().filter(|held| **held == row).count();
        assert!((0..95).all(|row| times(row) == if row % 10 == 0 { 2 } else { 1 }));
        assert!(!order.is_sorted());
        assert_eq!(as_they_stand(3), [0, 1, 2]);
    }
}
