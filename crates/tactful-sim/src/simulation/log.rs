//! A log in memory that loses, fails and dies as it is told. What happened to it is a journal, so that it can be
//! taken back to any earlier moment, as a store is whose last writes did not survive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tactful_log::{Entry, Error, Lease, Offset, Partition, READ_BYTES_MAX, READ_ENTRIES_MAX};
use tokio::sync::watch;
use tokio::time::Instant;

/// The log itself; nodes reach it through seats of their own, see [`super::seat::Seat`].
#[derive(Clone)]
pub(super) struct SimLog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

/// Something that lasts.
enum Op {
    Append(Vec<(Partition, Bytes)>),
    Set(String, Bytes),
    Trim(Partition, Offset),
}

/// What the log holds, and how it came about.
pub(super) struct State {
    pub(super) epoch: u64,
    journal: Vec<Op>,
    /// The data partitions, then the control partition.
    places: Vec<Place>,
    keys: BTreeMap<String, Bytes>,
    blobs: BTreeMap<[u8; 32], Bytes>,
    leases: BTreeMap<String, Held>,
    token: u64,
    /// Tails after each loss, oldest first.
    pub(super) losses: Vec<Vec<Offset>>,
}

#[derive(Clone, Default)]
struct Place {
    /// Entries that were trimmed away, still here for the check.
    trimmed: usize,
    /// All entries, from offset 1 on.
    entries: Vec<Bytes>,
}

struct Held {
    holder: String,
    token: u64,
    expires_at: Instant,
}

impl SimLog {
    pub(super) fn new(partitions: u16, epoch: u64) -> Self {
        let places = vec![Place::default(); usize::from(partitions) + 1];
        let state = State {
            epoch,
            journal: Vec::new(),
            places,
            keys: BTreeMap::new(),
            blobs: BTreeMap::new(),
            leases: BTreeMap::new(),
            token: 0,
            losses: Vec::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(0) }) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    pub(super) fn notify(&self) {
        self.shared.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        let offsets = self.state().append(entries);
        self.notify();
        offsets
    }

    /// Takes back the last `appends` groups, and all that happened since.
    pub(super) fn lose(&self, appends: usize) {
        let mut state = self.state();
        let count = state.since(appends);
        state.lose(count);
        drop(state);
        self.notify();
    }

    /// Puts another, empty log in its place.
    pub(super) fn replace(&self, epoch: u64) {
        let mut state = self.state();
        state.lose(usize::MAX);
        state.epoch = epoch;
        drop(state);
        self.notify();
    }

    pub(super) fn trim(&self, partition: Partition, below: Offset) {
        // The partition is one of this log.
        let _known = self.state().trim(partition, below).is_ok();
    }
}

impl State {
    pub(super) fn partitions(&self) -> u16 {
        (self.places.len() - 1) as u16
    }

    fn index(&self, partition: Partition) -> Result<usize, Error> {
        match partition {
            Partition::Control => Ok(self.places.len() - 1),
            Partition::Data(number) if number < self.partitions() => Ok(number.into()),
            Partition::Data(_) => Err(Error::UnknownPartition { partition, partitions: self.partitions() }),
        }
    }

    /// How many things happened since the last `appends` groups came.
    fn since(&self, appends: usize) -> usize {
        let is_append = |op: &Op| matches!(op, Op::Append(_));
        let groups = self.journal.iter().rev().enumerate().filter(|(_, op)| is_append(op));
        groups.take(appends).last().map_or(0, |(index, _)| index + 1)
    }

    /// All entries of the data partitions, trimmed ones too.
    pub(super) fn history(&self) -> impl Iterator<Item = &Bytes> {
        self.places[..self.places.len() - 1].iter().flat_map(|place| &place.entries)
    }

    pub(super) fn tails(&self) -> Vec<Offset> {
        self.places.iter().map(|place| place.entries.len() as Offset).collect()
    }

    pub(super) fn tail(&self, partition: Partition) -> Result<Offset, Error> {
        Ok(self.places[self.index(partition)?].entries.len() as Offset)
    }

    pub(super) fn append(&mut self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        let mut offsets = Vec::with_capacity(entries.len());
        for (partition, _) in &entries {
            self.index(*partition)?;
        }
        for (partition, payload) in &entries {
            let index = self.index(*partition)?;
            self.places[index].entries.push(payload.clone());
            offsets.push(self.places[index].entries.len() as Offset);
        }
        self.journal.push(Op::Append(entries));
        Ok(offsets)
    }

    /// Entries as the trait promises them; those that were trimmed only for whoever may see them.
    pub(super) fn read(
        &self,
        partition: Partition,
        after: Offset,
        limit: usize,
        sees_trimmed: bool,
    ) -> Result<Vec<Entry>, Error> {
        let place = &self.places[self.index(partition)?];
        let tail = place.entries.len() as Offset;
        if after > tail {
            return Err(Error::BeyondTail { after, tail });
        }
        if after < place.trimmed as Offset && !sees_trimmed {
            return Err(Error::Trimmed { first: place.trimmed as Offset + 1 });
        }
        let mut bytes = 0;
        let fits = |payload: &&Bytes| {
            let fits = bytes <= READ_BYTES_MAX;
            bytes += payload.len();
            fits
        };
        let payloads = place.entries[after as usize..].iter().take(limit.min(READ_ENTRIES_MAX)).take_while(fits);
        Ok((after + 1..).zip(payloads).map(|(offset, payload)| Entry { offset, payload: payload.clone() }).collect())
    }

    pub(super) fn trim(&mut self, partition: Partition, below: Offset) -> Result<(), Error> {
        let index = self.index(partition)?;
        self.place_trim(index, below);
        self.journal.push(Op::Trim(partition, below));
        Ok(())
    }

    fn place_trim(&mut self, index: usize, below: Offset) {
        let place = &mut self.places[index];
        let trimmed = usize::try_from(below.saturating_sub(1)).unwrap_or(usize::MAX);
        place.trimmed = trimmed.min(place.entries.len()).max(place.trimmed);
    }

    pub(super) fn key(&self, key: &str) -> Option<Bytes> {
        self.keys.get(key).cloned()
    }

    pub(super) fn compare_and_set(&mut self, key: &str, expected: Option<&Bytes>, value: &Bytes) -> bool {
        let is_expected = self.keys.get(key) == expected;
        if is_expected {
            self.keys.insert(key.to_owned(), value.clone());
            self.journal.push(Op::Set(key.to_owned(), value.clone()));
        }
        is_expected
    }

    pub(super) fn put_blob(&mut self, bytes: Bytes) -> [u8; 32] {
        let sha256 = Sha256::digest(&bytes).into();
        self.blobs.insert(sha256, bytes);
        sha256
    }

    pub(super) fn blob(&self, sha256: &[u8; 32]) -> Option<Bytes> {
        self.blobs.get(sha256).cloned()
    }

    /// How much matches: keys, then blobs.
    pub(super) fn matching(&self, matches: &dyn Fn(&[u8]) -> bool) -> [(&'static str, u64); 2] {
        let keys = self.keys.iter().filter(|(key, value)| matches(key.as_bytes()) || matches(value)).count();
        let blobs = self.blobs.values().filter(|blob| matches(blob)).count();
        [("keys", keys as u64), ("blobs", blobs as u64)]
    }

    pub(super) fn acquire(&mut self, name: &str, holder: &str, ttl: Duration) -> Option<Lease> {
        let now = Instant::now();
        if self.leases.get(name).is_some_and(|held| held.expires_at > now && held.holder != holder) {
            return None;
        }
        self.token += 1;
        let held = Held { holder: holder.to_owned(), token: self.token, expires_at: now + ttl };
        let lease = Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            token: held.token,
            expires_at: held.expires_at.into_std(),
        };
        self.leases.insert(name.to_owned(), held);
        Some(lease)
    }

    pub(super) fn renew(&mut self, lease: &mut Lease, ttl: Duration) -> bool {
        let now = Instant::now();
        let held = self.leases.get_mut(&lease.name).filter(|held| held.token == lease.token && held.expires_at > now);
        let Some(held) = held else { return false };
        held.expires_at = now + ttl;
        lease.expires_at = held.expires_at.into_std();
        true
    }

    pub(super) fn release(&mut self, lease: &Lease) -> bool {
        let now = Instant::now();
        let is_held = |held: &Held| held.token == lease.token && held.expires_at > now;
        let held = self.leases.get(&lease.name).is_some_and(is_held);
        if held {
            self.leases.remove(&lease.name);
        }
        held
    }

    fn lose(&mut self, count: usize) {
        self.journal.truncate(self.journal.len().saturating_sub(count));
        let journal = std::mem::take(&mut self.journal);
        self.places.fill(Place::default());
        self.keys.clear();
        for op in journal {
            match op {
                // They were possible before.
                Op::Append(entries) => _ = self.append(entries).is_ok(),
                Op::Trim(partition, below) => _ = self.trim(partition, below).is_ok(),
                Op::Set(key, value) => {
                    self.keys.insert(key.clone(), value.clone());
                    self.journal.push(Op::Set(key, value));
                }
            }
        }
        let tails = self.tails();
        self.losses.push(tails);
    }
}
