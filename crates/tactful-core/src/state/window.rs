//! Counts in a sliding window: a ring of u16 buckets, four to a slot, behind a head slot with the
//! time of the latest event.
//!
//! The ring holds the buckets up to the latest event's and nothing older, so that a state has one
//! form. It refuses to count an event older than that; a bucket stops at 65,535.

use super::slot::{Slot, time_of, timed};

const LANES: usize = 4;
const LANE_BITS: usize = 16;

/// A window of some buckets of equal width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Width of a bucket in seconds, at least 1.
    pub(crate) bucket_s: u32,
    /// How many, at least 1.
    pub(crate) buckets: u32,
}

impl Window {
    /// Slots: the head and the buckets.
    pub(crate) fn width(self) -> usize {
        1 + (self.buckets as usize).div_ceil(LANES)
    }

    /// Counts one event. Touches the head and one bucket unless time moved on.
    pub(crate) fn record(self, slots: &mut [Slot], time_s: u32) {
        self.advance(slots, time_s);
        self.add(slots, time_s / self.bucket_s, 1);
    }

    /// Merges `from` into `into`.
    pub(crate) fn combine(self, into: &mut [Slot], from: &[Slot]) {
        let Some(latest) = self.latest(from) else { return };
        self.advance(into, time_of(from[0]));
        for back in 0..self.buckets.min(latest + 1) {
            let bucket = latest - back;
            self.add(into, bucket, lane(from, self.lane_of(bucket)));
        }
    }

    /// Events in the buckets of the window that ends now.
    pub(crate) fn read(self, slots: &[Slot], now_s: i64) -> f32 {
        let (Some(latest), Ok(now_s)) = (self.latest(slots), u32::try_from(now_s)) else { return 0.0 };
        let now = now_s / self.bucket_s;
        // Older buckets left the ring with the latest event, or the window with now.
        let oldest = latest.max(now).saturating_sub(self.buckets - 1);
        let counted = oldest..=latest.min(now);
        let total: u32 = counted.map(|bucket| u32::from(lane(slots, self.lane_of(bucket)))).sum();
        total as f32
    }

    fn latest(self, slots: &[Slot]) -> Option<u32> {
        Some(time_of(slots[0])).filter(|time| *time > 0).map(|time| time / self.bucket_s)
    }

    fn lane_of(self, bucket: u32) -> usize {
        (bucket % self.buckets) as usize
    }

    /// Moves the head to `time_s` if that is later, emptying the buckets that leave the window.
    fn advance(self, slots: &mut [Slot], time_s: u32) {
        let to = time_s / self.bucket_s;
        if let Some(latest) = self.latest(slots) {
            for ahead in 0..to.saturating_sub(latest).min(self.buckets) {
                set_lane(slots, self.lane_of(to - ahead), 0);
            }
        }
        slots[0] = timed(0.0, time_of(slots[0]).max(time_s));
    }

    fn add(self, slots: &mut [Slot], bucket: u32, count: u16) {
        let latest = time_of(slots[0]) / self.bucket_s;
        if latest - bucket < self.buckets {
            let lane_of = self.lane_of(bucket);
            set_lane(slots, lane_of, lane(slots, lane_of).saturating_add(count));
        }
    }
}

fn lane(slots: &[Slot], index: usize) -> u16 {
    (slots[1 + index / LANES] >> (index % LANES * LANE_BITS)) as u16
}

fn set_lane(slots: &mut [Slot], index: usize, count: u16) {
    let (slot, shift) = (&mut slots[1 + index / LANES], index % LANES * LANE_BITS);
    *slot = *slot & !(0xFFFF << shift) | u64::from(count) << shift;
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { bucket_s: 10, buckets: 6 };

    fn fed(times: &[u32]) -> Vec<Slot> {
        let mut slots = vec![0; WINDOW.width()];
        times.iter().for_each(|time| WINDOW.record(&mut slots, *time));
        slots
    }

    #[test]
    fn counts_leave_with_their_bucket() {
        let slots = fed(&[1_000, 1_001, 1_055]);
        for (now, count) in [(1_055, 3.0), (1_059, 3.0), (1_060, 1.0), (1_109, 1.0), (1_110, 0.0), (9_999, 0.0)] {
            assert_eq!(WINDOW.read(&slots, now), count, "at {now}");
        }
        // Asked as of an earlier time, later buckets are not in the window.
        assert_eq!(WINDOW.read(&slots, 1_009), 2.0);
        assert_eq!(WINDOW.read(&slots, 900), 0.0);
        assert_eq!(WINDOW.read(&fed(&[]), 1_000), 0.0);
    }

    #[test]
    fn order_does_not_matter_and_what_is_too_old_is_not_counted() {
        assert_eq!(fed(&[1_055, 1_000, 940]), fed(&[940, 1_000, 1_055]));
        assert_eq!(WINDOW.read(&fed(&[1_055, 994]), 1_055), 1.0);
    }

    #[test]
    fn a_bucket_saturates() {
        let mut slots = fed(&[1_000]);
        for _ in 0..20 {
            let copy = slots.clone();
            WINDOW.combine(&mut slots, &copy);
        }
        assert_eq!(WINDOW.read(&slots, 1_000), 65_535.0);
    }

    #[test]
    fn a_bucket_longer_than_time_itself_still_counts() {
        let window = Window { bucket_s: u32::MAX, buckets: 2 };
        let mut slots = vec![0; window.width()];
        window.record(&mut slots, 1_000);
        window.record(&mut slots, 500);
        assert_eq!(window.read(&slots, 2_000), 2.0);
    }
}
