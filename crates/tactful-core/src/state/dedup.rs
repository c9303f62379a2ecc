//! Duplicates: the hashes of message ids seen within a horizon of log time.
//!
//! Oldest out first, and only beyond both the horizon and a least number of ids. It refuses to grow
//! without bound: at [`IDS_MAX`] the oldest leave early and [`Dedup::horizon`] shows it.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// Ids held at most: at 12 bytes in the queue and about 18 in the set, half a GB.
const IDS_MAX: usize = 1 << 24;

/// A set of id hashes that forgets. Deterministic: the same calls give the same answers.
#[derive(Clone, Debug)]
pub struct Dedup {
    horizon_ms: i64,
    ids_min: usize,
    ids_max: usize,
    seen: HashSet<u64, BuildHasherDefault<Same>>,
    /// Hashes by arrival.
    order: VecDeque<u64>,
    /// Arrival of each, in log milliseconds since `start_ms`, in steps of 1,024 ms.
    steps: VecDeque<u32>,
    start_ms: Option<i64>,
    latest_ms: i64,
}

impl Dedup {
    /// Remembers ids for `horizon_ms` of log time, and the last `ids_min` for longer.
    #[must_use]
    pub fn new(horizon_ms: i64, ids_min: usize) -> Self {
        Self {
            horizon_ms,
            ids_min,
            ids_max: IDS_MAX.max(ids_min),
            seen: HashSet::default(),
            order: VecDeque::new(),
            steps: VecDeque::new(),
            start_ms: None,
            latest_ms: i64::MIN,
        }
    }

    /// Notes an id at a log time in Unix milliseconds; true if it is new. Log time that runs
    /// backwards counts as standing still.
    pub fn insert(&mut self, hash: u64, log_ms: i64) -> bool {
        let start_ms = *self.start_ms.get_or_insert(log_ms);
        self.latest_ms = self.latest_ms.max(log_ms);
        self.forget(start_ms);
        if !self.seen.insert(hash) {
            return false;
        }
        if self.order.len() >= self.ids_max {
            self.forget_oldest();
        }
        self.order.push_back(hash);
        self.steps.push_back(step(self.latest_ms, start_ms));
        true
    }

    /// How far back duplicates are recognised, in milliseconds of log time: the age of the oldest id held.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        let (Some(oldest), Some(start_ms)) = (self.steps.front(), self.start_ms) else { return 0 };
        self.latest_ms - start_ms - (i64::from(*oldest) << STEP_BITS)
    }

    /// Ids held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget(&mut self, start_ms: i64) {
        // A step is rounded down, so an id is kept up to one step longer, never shorter.
        let oldest_kept = step(self.latest_ms.saturating_sub(self.horizon_ms), start_ms);
        while self.order.len() > self.ids_min && self.steps.front().is_some_and(|oldest| *oldest < oldest_kept) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(hash) = self.order.pop_front() {
            self.seen.remove(&hash);
        }
        self.steps.pop_front();
    }
}

const STEP_BITS: u32 = 10;

/// Steps of 1,024 ms since the start: 139 years fit.
fn step(ms: i64, start_ms: i64) -> u32 {
    u32::try_from(ms.saturating_sub(start_ms).max(0) >> STEP_BITS).unwrap_or(u32::MAX)
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn an_id_is_new_once_within_the_horizon() {
        let mut dedup = Dedup::new(HOUR, 2);
        assert!(dedup.insert(1, 0) && dedup.insert(2, 0) && dedup.insert(3, HOUR / 2));
        assert!(!dedup.insert(1, HOUR) && !dedup.insert(2, HOUR), "at the horizon all are known");
        assert_eq!((dedup.len(), dedup.horizon()), (3, HOUR));
        // Two hours later only the two youngest stay, however old.
        assert!(!dedup.insert(2, 3 * HOUR) && !dedup.insert(3, 3 * HOUR));
        assert_eq!(dedup.len(), 2);
        assert!(dedup.insert(1, 3 * HOUR), "forgotten, hence new again");
    }

    #[test]
    fn seeing_an_id_again_does_not_prolong_it() {
        let mut dedup = Dedup::new(HOUR, 0);
        assert!(dedup.insert(1, 0));
        assert!(!dedup.insert(1, HOUR));
        assert!(dedup.insert(1, HOUR + 2_048));
    }

    #[test]
    fn log_time_that_runs_backwards_forgets_nothing() {
        let mut dedup = Dedup::new(HOUR, 0);
        assert!(dedup.insert(1, 10 * HOUR) && dedup.insert(2, 0));
        assert!(!dedup.insert(1, 0) && !dedup.insert(2, 10 * HOUR));
        assert_eq!(dedup.horizon(), 0);
    }

    #[test]
    fn a_full_set_drops_the_oldest_early() {
        let mut dedup = Dedup { ids_max: 3, ..Dedup::new(HOUR, 1) };
        (1..=5).for_each(|id| assert!(dedup.insert(id, id as i64)));
        assert!(!dedup.insert(3, 6) && !dedup.insert(5, 6));
        assert_eq!(dedup.len(), 3);
        assert!(dedup.insert(1, 6) && dedup.insert(3, 6));
    }
}
