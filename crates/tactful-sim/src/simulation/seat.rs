//! A node's own access to the log, with the faults of its life. A seat notices, as the log on Redis does, when the
//! log holds less than was read from it or is another; and once its node died nothing it does has any effect.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tactful_core::hash;
use tactful_log::{
    BLOB_BYTES_MAX, ENTRY_BYTES_MAX, Entry, Error, Found, GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, LEASE_TTL_MAX, Lease,
    Log, NAME_BYTES_MAX, Offset, Partition, Purged, VALUE_BYTES_MAX,
};

use super::Flaw;
use super::log::{SimLog, State};

/// Longest that a call is kept waiting, in milliseconds.
const DELAY_MS_MAX: u64 = 60;
/// Chances of a fault, in a thousand calls.
const FAILS: u32 = 40;
const WAITS: u32 = 200;
const SHORTENS: u32 = 300;
/// Offset of the entry that [`Flaw::SkippedEntry`] passes over.
const SKIPPED: Offset = 3;

pub(super) struct Seat {
    log: SimLog,
    epoch: u64,
    partitions: u16,
    /// Sees what was trimmed away: for the check, not for a node.
    sees_trimmed: bool,
    flaw: Flaw,
    life: Mutex<Life>,
}

struct Life {
    seed: u64,
    /// Draws of each kind of call for itself, so that they do not depend on how tasks take turns.
    draws: BTreeMap<(Call, u16), Pcg64Mcg>,
    faulty: bool,
    dead: bool,
    /// Writes until the node dies.
    writes_left: Option<u32>,
    /// Losses of the log that were looked at.
    losses: usize,
    /// The last entries known of.
    seen: Vec<Offset>,
    broken: Option<Error>,
    /// Groups that were refused, and may yet come to light when this node dies.
    limbo: Vec<Vec<(Partition, Bytes)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Append,
    Read,
    Set,
    Get,
    Death,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    FailsBefore,
    FailsAfter,
    FailsLate,
    DiesBefore,
    DiesAfter,
}

impl Seat {
    /// A seat whose calls may fail.
    pub(super) fn new(log: &SimLog, seed: u64, flaw: Flaw) -> Self {
        let state = log.state();
        let life = Life {
            seed,
            draws: BTreeMap::new(),
            faulty: true,
            dead: false,
            writes_left: None,
            losses: state.losses.len(),
            seen: state.tails(),
            broken: None,
            limbo: Vec::new(),
        };
        let (epoch, partitions) = (state.epoch, state.partitions());
        drop(state);
        Self { log: log.clone(), epoch, partitions, sees_trimmed: false, flaw, life: Mutex::new(life) }
    }

    /// A seat without faults that reads what was trimmed away too.
    pub(super) fn of_the_check(log: &SimLog) -> Self {
        let seat = Self { sees_trimmed: true, ..Self::new(log, 0, Flaw::None) };
        seat.heal();
        seat
    }

    /// From now on no call fails.
    pub(super) fn heal(&self) {
        let mut life = self.life();
        (life.faulty, life.writes_left) = (false, None);
    }

    /// Lets the node die within so many writes.
    pub(super) fn dies_within(&self, writes: u32) {
        self.life().writes_left = Some(writes);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.life().dead
    }

    /// The node dies now. What was refused may have been made after all.
    pub(super) fn kill(&self) {
        let mut life = self.life();
        if !life.dead {
            let limbo = life.die();
            drop(life);
            self.come_to_light(limbo);
        }
    }

    fn come_to_light(&self, limbo: Vec<Vec<(Partition, Bytes)>>) {
        if self.log.state().epoch == self.epoch {
            for group in limbo {
                // It was possible when it was asked for.
                let _made = self.log.append(group).is_ok();
            }
        }
        self.log.notify();
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws what becomes of a call, after it waited for it.
    async fn pass(&self, call: Call, number: u16) -> Result<Fate, Error> {
        let (wait, fate) = self.life().draw(call, number);
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        let limbo = {
            let mut life = self.life();
            if life.dead {
                return Err(Error::Closed);
            }
            if fate == Fate::DiesBefore { life.die() } else { Vec::new() }
        };
        match fate {
            Fate::DiesBefore => {
                self.come_to_light(limbo);
                Err(Error::Closed)
            }
            Fate::FailsBefore => Err(failed()),
            Fate::FailsAfter | Fate::FailsLate if matches!(call, Call::Read | Call::Get) => Err(failed()),
            fate => Ok(fate),
        }
    }

    /// What is answered once a write was made.
    fn after<T>(&self, fate: Fate, answer: T) -> Result<T, Error> {
        match fate {
            Fate::FailsAfter => Err(failed()),
            Fate::DiesAfter => {
                self.kill();
                Err(Error::Closed)
            }
            _ => Ok(answer),
        }
    }

    /// The state, unless the log lost what was read from it.
    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.log.state();
        let mut life = self.life();
        if life.broken.is_none() && self.flaw != Flaw::HiddenLoss {
            life.broken = life.lost(&state, self.epoch).map(|what| Error::Corrupt { what: what.into() });
        }
        life.losses = state.losses.len();
        life.broken.clone().map_or(Ok(state), Err)
    }

    fn see(&self, state: &State) {
        self.life().seen = state.tails();
    }

    fn number(&self, partition: Partition) -> u16 {
        if let Partition::Data(number) = partition { number } else { self.partitions }
    }
}

impl Life {
    fn die(&mut self) -> Vec<Vec<(Partition, Bytes)>> {
        self.dead = true;
        let limbo = std::mem::take(&mut self.limbo);
        let mut rng = Pcg64Mcg::seed_from_u64(hash::keyed(self.seed, &[Call::Death as u8]));
        limbo.into_iter().filter(|_| rng.gen_bool(0.5)).collect()
    }

    /// How long a call waits, and what becomes of it.
    fn draw(&mut self, call: Call, number: u16) -> (Option<Duration>, Fate) {
        let is_write = matches!(call, Call::Append | Call::Set);
        let seed = self.seed;
        let rng = self.draws.entry((call, number)).or_insert_with(|| {
            Pcg64Mcg::seed_from_u64(hash::keyed(seed, &[call as u8, number as u8, (number >> 8) as u8]))
        });
        let (wait, fate): (u32, u32) = (rng.gen_range(0..1_000), rng.gen_range(0..1_000));
        let (delay, which) = (rng.gen_range(1..=DELAY_MS_MAX), rng.gen_range(0..4));
        if let Some(left) = self.writes_left.as_mut().filter(|_| is_write) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return (None, if which < 2 { Fate::DiesBefore } else { Fate::DiesAfter });
            }
        }
        if !self.faulty {
            return (None, Fate::Fine);
        }
        let fates = [Fate::FailsBefore, Fate::FailsAfter, Fate::FailsAfter, Fate::FailsLate];
        let fate = if fate < FAILS { fates[which] } else { Fate::Fine };
        ((wait < WAITS).then(|| Duration::from_millis(delay)), fate)
    }

    /// A read may bring less than it was asked for, but something.
    fn shorten(&mut self, number: u16, limit: usize) -> usize {
        let Some(rng) = self.draws.get_mut(&(Call::Read, number)).filter(|_| self.faulty && limit > 1) else {
            return limit;
        };
        if rng.gen_ratio(SHORTENS, 1_000) { rng.gen_range(1..=limit.min(8)) } else { limit }
    }

    /// Why this log is not what was read before.
    fn lost(&self, state: &State, epoch: u64) -> Option<&'static str> {
        if state.epoch != epoch {
            return Some("it is another log");
        }
        let lost = |tails: &Vec<Offset>| self.seen.iter().zip(tails).any(|(seen, tail)| seen > tail);
        state.losses[self.losses..].iter().any(lost).then_some("it holds less than was read from it")
    }
}

fn failed() -> Error {
    Error::Io { action: "simulate", source: std::sync::Arc::new(std::io::Error::other("a fault was asked for")) }
}

fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn ttl_fits(ttl: Duration) -> Result<(), Error> {
    at_most("lease seconds", ttl.as_secs() as usize, LEASE_TTL_MAX.as_secs() as usize)
}

#[async_trait]
impl Log for Seat {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn durability(&self) -> &'static str {
        "none: it is a simulation"
    }

    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        at_most("entries in a group", entries.len(), GROUP_ENTRIES_MAX)?;
        for (_, payload) in &entries {
            at_most("payload bytes of an entry", payload.len(), ENTRY_BYTES_MAX)?;
        }
        let bytes = entries.iter().map(|(_, payload)| payload.len()).sum();
        at_most("payload bytes of a group", bytes, GROUP_BYTES_MAX)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let number = self.number(entries[0].0);
        let fate = self.pass(Call::Append, number).await?;
        let offsets = {
            let mut state = self.state()?;
            if fate == Fate::FailsLate {
                self.life().limbo.push(entries);
                return Err(failed());
            }
            let offsets = state.append(entries)?;
            self.see(&state);
            offsets
        };
        if fate == Fate::Fine {
            // The next successful write settles what was refused before it.
            self.life().limbo.clear();
        }
        self.log.notify();
        self.after(fate, offsets)
    }

    async fn read(&self, partition: Partition, after: Offset, limit: usize) -> Result<Vec<Entry>, Error> {
        let number = self.number(partition);
        self.pass(Call::Read, number).await?;
        let limit = self.life().shorten(number, limit);
        let state = self.state()?;
        let mut entries = state.read(partition, after, limit, self.sees_trimmed)?;
        self.see(&state);
        if self.flaw == Flaw::SkippedEntry && partition != Partition::Control && entries.len() > 1 {
            entries.retain(|entry| entry.offset != SKIPPED);
        }
        Ok(entries)
    }

    async fn wait(&self, partition: Partition, after: Offset) -> Result<(), Error> {
        let mut changes = self.log.changes();
        loop {
            {
                let state = self.state()?;
                let tail = state.tail(partition)?;
                if self.life().dead {
                    return Err(Error::Closed);
                }
                if after > tail {
                    return Err(Error::BeyondTail { after, tail });
                }
                if after < tail {
                    return Ok(());
                }
            }
            changes.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    async fn tail(&self, partition: Partition) -> Result<Offset, Error> {
        let state = self.state()?;
        self.see(&state);
        state.tail(partition)
    }

    async fn trim(&self, partition: Partition, below: Offset) -> Result<(), Error> {
        let fate = self.pass(Call::Set, self.number(partition)).await?;
        self.state()?.trim(partition, below)?;
        self.after(fate, ())
    }

    async fn purge(&self) -> Result<Purged, Error> {
        // Nothing of it is in a file.
        Ok(Purged::default())
    }

    async fn scan(&self, matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync)) -> Result<Vec<Found>, Error> {
        let state = self.state()?;
        let mut found = Vec::new();
        for partition in (0..self.partitions).map(Partition::Data).chain([Partition::Control]) {
            let mut after = 0;
            let mut count = 0;
            loop {
                let entries = match state.read(partition, after, usize::MAX, false) {
                    Err(Error::Trimmed { first }) => {
                        after = first - 1;
                        continue;
                    }
                    read => read?,
                };
                let Some(last) = entries.last() else { break };
                after = last.offset;
                count += entries.iter().filter(|entry| matches(&entry.payload)).count() as u64;
            }
            found.push(Found { store: format!("partition {partition}"), count });
        }
        found.extend(state.matching(&matches).map(|(store, count)| Found { store: store.into(), count }));
        found.retain(|found| found.count > 0);
        Ok(found)
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], Error> {
        at_most("blob bytes", bytes.len(), BLOB_BYTES_MAX)?;
        Ok(self.state()?.put_blob(bytes))
    }

    async fn get_blob(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        Ok(self.state()?.blob(sha256))
    }

    async fn get_key(&self, key: &str) -> Result<Option<Bytes>, Error> {
        at_most("name bytes", key.len(), NAME_BYTES_MAX)?;
        self.pass(Call::Get, hash::content(key.as_bytes()) as u16).await?;
        Ok(self.state()?.key(key))
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error> {
        at_most("name bytes", key.len(), NAME_BYTES_MAX)?;
        at_most("value bytes", value.len().max(expected.as_ref().map_or(0, Bytes::len)), VALUE_BYTES_MAX)?;
        let fate = self.pass(Call::Set, hash::content(key.as_bytes()) as u16).await?;
        let set = fate != Fate::FailsLate && self.state()?.compare_and_set(key, expected.as_ref(), &value);
        if fate == Fate::FailsLate { Err(failed()) } else { self.after(fate, set) }
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        at_most("name bytes", name.len().max(holder.len()), NAME_BYTES_MAX)?;
        ttl_fits(ttl)?;
        Ok(self.state()?.acquire(name, holder, ttl))
    }

    async fn renew_lease(&self, lease: &mut Lease, ttl: Duration) -> Result<bool, Error> {
        ttl_fits(ttl)?;
        Ok(self.state()?.renew(lease, ttl))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<bool, Error> {
        Ok(self.state()?.release(lease))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tactful_log::conformance::{PARTITIONS, TestStore};

    use super::*;

    /// A log in memory; its directory stays empty.
    struct Memory {
        log: SimLog,
        folder: tempfile::TempDir,
    }

    impl Memory {
        fn new() -> Self {
            Self { log: SimLog::new(PARTITIONS, 1), folder: tempfile::tempdir().unwrap() }
        }
    }

    #[async_trait]
    impl TestStore for Memory {
        async fn open(&self) -> Arc<dyn Log> {
            let seat = Seat::new(&self.log, 0, Flaw::None);
            seat.heal();
            Arc::new(seat)
        }

        fn directory(&self) -> &Path {
            self.folder.path()
        }
    }

    macro_rules! conforms {
        ($($case:ident),*) => {
            $(
                #[tokio::test]
                async fn $case() {
                    tactful_log::conformance::$case(&Memory::new()).await;
                }
            )*
        };
    }

    // Purges are of files, and it has none.
    conforms!(
        offsets_are_gapless_and_order_is_kept,
        partitions_are_apart,
        an_empty_append_does_nothing,
        a_group_spans_partitions,
        reads_keep_to_their_limits,
        concurrent_appenders_share_one_order,
        waiting_ends_with_the_next_entry,
        a_reader_past_the_end_is_told,
        trimmed_entries_are_never_skipped_silently,
        trimming_everything_keeps_the_offsets,
        too_large_is_refused_by_name,
        unknown_partitions_are_refused,
        blobs_are_found_by_their_hash,
        keys_change_only_from_what_was_expected,
        races_on_a_key_have_one_winner_each,
        a_lease_has_one_holder_and_growing_tokens,
        a_lease_ends_unless_renewed,
        reopening_keeps_everything,
        a_scan_counts_what_is_left
    );

    #[tokio::test]
    async fn a_log_that_lost_its_end_tells_who_had_read_it_and_nobody_else() {
        let log = SimLog::new(1, 1);
        let entry = |text: &'static str| (Partition::Data(0), Bytes::from_static(text.as_bytes()));
        log.append(vec![entry("one")]).unwrap();
        let early = Seat::new(&log, 1, Flaw::None);
        log.append(vec![entry("two")]).unwrap();
        let late = Seat::new(&log, 2, Flaw::None);
        log.lose(1);
        log.append(vec![entry("other")]).unwrap();
        for seat in [&early, &late] {
            seat.heal();
        }
        assert_eq!(early.read(Partition::Data(0), 1, 9).await.unwrap()[0].payload, "other");
        assert!(matches!(late.read(Partition::Data(0), 1, 9).await, Err(Error::Corrupt { .. })));
        log.replace(2);
        assert!(matches!(early.tail(Partition::Data(0)).await, Err(Error::Corrupt { .. })));
        assert_eq!(Seat::of_the_check(&log).tail(Partition::Data(0)).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_node_writes_nothing_but_what_it_had_asked_for() {
        let (mut refused, mut came) = (0, 0);
        for seed in 0..2_000 {
            let log = SimLog::new(1, 1);
            let seat = Seat::new(&log, seed, Flaw::None);
            let entry = (Partition::Data(0), Bytes::from_static(b"entry"));
            let made = seat.append(vec![entry.clone()]).await.is_ok();
            let before = log.state().tails()[0];
            seat.kill();
            assert!(matches!(seat.append(vec![entry]).await, Err(Error::Closed)));
            let after = log.state().tails()[0];
            assert!(!made || (before, after) == (1, 1), "what is acknowledged is there once");
            refused += u64::from(!made);
            came += after - before;
        }
        assert!(refused > came && came > 0, "{refused} refused, {came} came to light");
    }
}
