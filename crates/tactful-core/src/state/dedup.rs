//! Duplicates: the hashes of message ids seen within a horizon of log time.
//!
//! Oldest out first, and only beyond both the horizon and a least number of ids. It refuses to grow
//! without bound: at [`IDS_MAX`] the oldest leave early and [`Dedup::horizon`] shows it.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::bytes::{Malformed, Reader};

/// Ids held at most: at 12 bytes in the queue and about 18 in the set, half a GB.
const IDS_MAX: usize = 1 << 24;
/// Ids of one segment of the queue: an image shares the full ones and copies one, 48 KiB.
const SEGMENT_IDS: usize = 4_096;

/// A set of id hashes that forgets. Deterministic: the same calls give the same answers.
#[derive(Clone, Debug)]
pub struct Dedup {
    horizon_ms: i64,
    ids_min: usize,
    ids_max: usize,
    seen: HashSet<u64, BuildHasherDefault<Same>>,
    queue: Queue,
    start_ms: Option<i64>,
    latest_ms: i64,
}

/// A deduplication set as it was at one moment; it shares what does not change any more.
#[derive(Clone, Debug)]
pub struct DedupImage {
    queue: Queue,
    start_ms: Option<i64>,
    latest_ms: i64,
}

/// Ids by arrival: full segments, then the one that fills up.
#[derive(Clone, Debug, Default)]
struct Queue {
    full: VecDeque<Arc<Segment>>,
    filling: Segment,
    /// Ids of the first segment that were forgotten.
    gone: usize,
    held: usize,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    hashes: Vec<u64>,
    /// Arrival of each, in log milliseconds since `start_ms`, in steps of 1,024 ms.
    steps: Vec<u32>,
}

impl Segment {
    fn ids(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.hashes.iter().copied().zip(self.steps.iter().copied())
    }
}

impl Queue {
    fn push(&mut self, hash: u64, step: u32) {
        self.filling.hashes.push(hash);
        self.filling.steps.push(step);
        self.held += 1;
        if self.filling.hashes.len() == SEGMENT_IDS {
            self.full.push_back(Arc::new(std::mem::take(&mut self.filling)));
        }
    }

    fn first(&self) -> &Segment {
        self.full.front().map_or(&self.filling, |segment| segment)
    }

    /// Arrival of the oldest id.
    fn oldest(&self) -> Option<u32> {
        self.first().steps.get(self.gone).copied()
    }

    fn pop(&mut self) -> Option<u64> {
        let hash = self.first().hashes.get(self.gone).copied()?;
        self.gone += 1;
        self.held -= 1;
        if self.gone == SEGMENT_IDS {
            self.full.pop_front();
            self.gone = 0;
        }
        Some(hash)
    }

    /// Hash and arrival of each id, oldest first.
    fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let segments = self.full.iter().map(|segment| &**segment).chain(std::iter::once(&self.filling));
        segments.flat_map(Segment::ids).skip(self.gone)
    }
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
            queue: Queue::default(),
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
        if self.queue.held >= self.ids_max {
            self.forget_oldest();
        }
        self.queue.push(hash, step(self.latest_ms, start_ms));
        true
    }

    /// How far back duplicates are recognised, in milliseconds of log time: the age of the oldest id held.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        let (Some(oldest), Some(start_ms)) = (self.queue.oldest(), self.start_ms) else { return 0 };
        self.latest_ms - start_ms - (i64::from(oldest) << STEP_BITS)
    }

    /// Ids held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.held
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.held == 0
    }

    /// Bytes of memory, about: what the queue and the set have room for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let segments = self.queue.full.len() + 1;
        segments * SEGMENT_IDS * (size_of::<u64>() + size_of::<u32>()) + self.seen.capacity() * 9 * 8 / 7
    }

    /// The set as it is now. Copies 48 KiB and a pointer for each 4,096 ids.
    #[must_use]
    pub fn image(&self) -> DedupImage {
        DedupImage { queue: self.queue.clone(), start_ms: self.start_ms, latest_ms: self.latest_ms }
    }

    /// Takes an image for its content; horizon and bounds stay its own.
    pub fn restore(&mut self, image: DedupImage) {
        self.seen = HashSet::with_capacity_and_hasher(image.queue.held, BuildHasherDefault::default());
        self.seen.extend(image.queue.iter().map(|(hash, _)| hash));
        (self.queue, self.start_ms, self.latest_ms) = (image.queue, image.start_ms, image.latest_ms);
    }

    fn forget(&mut self, start_ms: i64) {
        // A step is rounded down, so an id is kept up to one step longer, never shorter.
        let oldest_kept = step(self.latest_ms.saturating_sub(self.horizon_ms), start_ms);
        while self.queue.held > self.ids_min && self.queue.oldest().is_some_and(|oldest| oldest < oldest_kept) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(hash) = self.queue.pop() {
            self.seen.remove(&hash);
        }
    }
}

impl DedupImage {
    /// Appends all of it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.start_ms.is_some()));
        out.extend_from_slice(&self.start_ms.unwrap_or_default().to_le_bytes());
        out.extend_from_slice(&self.latest_ms.to_le_bytes());
        super::bytes::put_count(out, self.queue.held);
        out.reserve(self.queue.held * ID_BYTES);
        for (hash, step) in self.queue.iter() {
            out.extend_from_slice(&hash.to_le_bytes());
            out.extend_from_slice(&step.to_le_bytes());
        }
    }

    /// Reads one back.
    ///
    /// # Errors
    /// If that is not what the bytes hold.
    pub fn decode(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let is_started = bytes.u8()? != 0;
        let (start_ms, latest_ms) = (bytes.i64()?, bytes.i64()?);
        let mut queue = Queue::default();
        for _ in 0..bytes.count(ID_BYTES, usize::MAX)? {
            let (hash, step) = (bytes.u64()?, bytes.u32()?);
            queue.push(hash, step);
        }
        Ok(Self { queue, start_ms: is_started.then_some(start_ms), latest_ms })
    }
}

/// Bytes of an id in an image: its hash and its arrival.
const ID_BYTES: usize = 12;

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

    #[test]
    fn an_image_answers_as_the_set_did_whatever_came_after_it() {
        let mut dedup = Dedup::new(HOUR, 5_000);
        for id in 0..20_000 {
            dedup.insert(id, id as i64 * 1_000);
        }
        let (image, held, horizon) = (dedup.image(), dedup.len(), dedup.horizon());
        let mut before = dedup.clone();
        for id in 20_000..40_000 {
            dedup.insert(id, id as i64 * 1_000);
        }
        let mut bytes = Vec::new();
        image.encode(&mut bytes);
        let mut restored = Dedup::new(HOUR, 5_000);
        restored.restore(DedupImage::decode(&mut Reader::new(&bytes)).unwrap());
        assert_eq!((restored.len(), restored.horizon()), (held, horizon));
        for id in (10_000..30_000).step_by(7) {
            assert_eq!(restored.insert(id, id as i64 * 1_000), before.insert(id, id as i64 * 1_000), "id {id}");
        }
        for end in [0, 1, 16, 20, bytes.len() - 1] {
            assert!(DedupImage::decode(&mut Reader::new(&bytes[..end])).is_err(), "cut at {end}");
        }
    }
}
