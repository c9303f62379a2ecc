//! The one thread that writes: it takes everything queued, makes one durable batch of it, publishes the new
//! ends and answers the callers (group commit). Everything else that changes the log runs between two commits,
//! so nothing here needs a lock. It refuses to answer before the disk has.
//!
//! After a failed write the store is opened anew, because fjall accepts no further write, and whatever of
//! the failed write came to light is taken back. That is done only where the file system has said "no space":
//! after any other error nobody knows what the disk holds, so the log then stays read-only until a restart.

use std::{
    collections::VecDeque,
    mem,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    leases::Leases,
    shared::Shared,
    store::{Fault, MetaKey, Store},
};
use crate::{Entry, Error, Lease, Offset, Partition, queue::Group, tail::Tail};
use bytes::Bytes;

/// Payload bytes of one commit, unless one group alone is larger. Bounds how long the first caller waits.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// Trimmed entries removed between two commits.
const CLEAR_ENTRIES_MAX: u64 = 4_096;
/// Pause between two attempts to open a broken store.
const REVIVE_PAUSE: Duration = Duration::from_secs(1);
/// Space that must be free before a broken store is opened anew: opening writes as well.
const REVIVE_BYTES: usize = 1 << 20;

pub(crate) enum Command {
    Append(Group),
    /// Anything rarer than an append.
    Run(Box<dyn FnOnce(&mut Writer) + Send>),
}

pub(crate) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// Offset of the last entry handed out, per partition.
    tails: Vec<Offset>,
    /// Entries to be published, per partition; empty between commits.
    fresh: Vec<Vec<Entry>>,
    leases: Leases,
    /// Trimmed entries still to be removed from the store.
    trimmed: VecDeque<(Partition, Range<Offset>)>,
    broken: Option<Broken>,
}

/// A store that accepts no write.
struct Broken {
    cause: Error,
    curable: bool,
    attempted: Option<Instant>,
    /// Values to put back.
    undo: Vec<(MetaKey, Option<Bytes>)>,
}

/// Closes the log when the thread ends, however it ends.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.queue.close();
        // After a panic: whoever waits for an answer hears that there will be none.
        drop(self.0.queue.take(Some(Duration::ZERO)));
        self.0.tails().iter().for_each(|tail| tail.end(Error::Closed));
    }
}

impl Writer {
    /// `trimmed`: what an earlier process left to be removed.
    pub(crate) fn new(shared: Arc<Shared>, trimmed: VecDeque<(Partition, Range<Offset>)>) -> Self {
        let tails: Vec<_> = shared.tails().iter().map(Tail::offset).collect();
        let fresh = tails.iter().map(|_| Vec::new()).collect();
        Self { shared, tails, fresh, leases: Leases::default(), trimmed, broken: None }
    }

    /// Runs until the queue is closed and drained.
    pub(crate) fn run(mut self) {
        let _closer = Closer(Arc::clone(&self.shared));
        while let Some(commands) = self.shared.queue.take(self.patience()) {
            self.execute(commands);
            self.rest();
        }
    }

    /// How long to wait for commands before there is something else to do.
    fn patience(&self) -> Option<Duration> {
        match &self.broken {
            Some(broken) => broken.curable.then_some(REVIVE_PAUSE),
            None => (!self.trimmed.is_empty()).then_some(Duration::ZERO),
        }
    }

    fn execute(&mut self, commands: Vec<Command>) {
        let mut groups = Vec::new();
        let mut bytes = 0;
        for command in commands {
            match command {
                Command::Append(group) => {
                    if bytes + group.bytes > COMMIT_BYTES_MAX {
                        self.commit(mem::take(&mut groups));
                        bytes = 0;
                    }
                    bytes += group.bytes;
                    groups.push(group);
                }
                Command::Run(run) => {
                    self.commit(mem::take(&mut groups));
                    bytes = 0;
                    run(self);
                }
            }
        }
        self.commit(groups);
    }

    /// One durable batch of whole groups.
    fn commit(&mut self, groups: Vec<Group>) {
        if groups.is_empty() {
            return;
        }
        let started = Instant::now();
        let offsets = self.number(&groups);
        let entries: Vec<_> = groups
            .iter()
            .flat_map(|group| &group.entries)
            .zip(offsets.iter().flatten())
            .map(|((partition, payload), &offset)| (*partition, offset, payload))
            .collect();
        let outcome = self.write(&[], |store, path| store.append(path, entries.iter().copied()));
        metrics::histogram!("tactful_log_commit_seconds").record(started.elapsed());
        match outcome {
            Ok(()) => {
                metrics::counter!("tactful_log_entries_total").increment(entries.len() as u64);
                self.publish(&groups, &offsets);
                for (group, offsets) in groups.into_iter().zip(offsets) {
                    // A caller that went away needs no answer.
                    let _ = group.reply.send(Ok(offsets));
                    drop(group.room);
                }
            }
            Err(error) => {
                metrics::counter!("tactful_log_failed_commits_total").increment(1);
                self.tails = self.shared.tails().iter().map(Tail::offset).collect();
                for group in groups {
                    let _ = group.reply.send(Err(error.clone()));
                    drop(group.room);
                }
            }
        }
    }

    /// Hands out the next offsets.
    fn number(&mut self, groups: &[Group]) -> Vec<Vec<Offset>> {
        let shared = Arc::clone(&self.shared);
        let mut next = |partition: Partition| {
            let index = shared.index(partition).expect("checked when the group came in");
            self.tails[index] += 1;
            self.tails[index]
        };
        groups.iter().map(|group| group.entries.iter().map(|(partition, _)| next(*partition)).collect()).collect()
    }

    fn publish(&mut self, groups: &[Group], offsets: &[Vec<Offset>]) {
        let entries = groups.iter().flat_map(|group| &group.entries).zip(offsets.iter().flatten());
        for ((partition, payload), &offset) in entries {
            let index = self.shared.index(*partition).expect("checked when the group came in");
            self.fresh[index].push(Entry { offset, payload: payload.clone() });
        }
        for (fresh, tail) in self.fresh.iter_mut().zip(self.shared.tails()) {
            tail.publish(fresh);
        }
    }

    pub(crate) fn compare_and_set(&mut self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error> {
        let key = MetaKey::User(key.to_owned());
        self.revive()?;
        if self.shared.get(&key)? != expected {
            return Ok(false);
        }
        self.put(&[(key.clone(), Some(value))], &[(key, expected)])?;
        Ok(true)
    }

    pub(crate) fn trim(&mut self, partition: Partition, below: Offset) -> Result<(), Error> {
        let tail = self.shared.tail(partition)?;
        let (old, new) = (tail.first(), below.min(tail.offset() + 1));
        if new <= old {
            return Ok(());
        }
        let mark = |first: Offset| Some(Bytes::copy_from_slice(&first.to_be_bytes()));
        let key = MetaKey::First(partition);
        self.put(&[(key.clone(), mark(new))], &[(key, mark(old))])?;
        self.shared.tail(partition)?.trim(new);
        self.trimmed.push_back((partition, old..new));
        Ok(())
    }

    pub(crate) fn acquire_lease(&mut self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        // Before the disk: the caller's view of the end is never later than this one.
        let now = Instant::now();
        self.revive()?;
        if !self.leases.is_free(name, holder, now)? {
            return Ok(None);
        }
        let key = MetaKey::Token(name.to_owned());
        let token = self.shared.get_number(&key)? + 1;
        // Nothing to undo: a token that nobody got is merely skipped.
        self.put(&[(key, Some(Bytes::copy_from_slice(&token.to_be_bytes())))], &[])?;
        let expires_at = now + ttl;
        self.leases.grant(name, holder, token, expires_at);
        Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), token, expires_at }))
    }

    /// The new end of the lease, if it is still held.
    pub(crate) fn renew_lease(&mut self, name: &str, token: u64, ttl: Duration) -> Option<Instant> {
        let now = Instant::now();
        self.leases.renew(name, token, now, now + ttl).then_some(now + ttl)
    }

    pub(crate) fn release_lease(&mut self, name: &str, token: u64) -> bool {
        self.leases.release(name, token, Instant::now())
    }

    /// Work for when nobody waits: cure the store, or free trimmed space.
    fn rest(&mut self) {
        if self.revive().is_err() {
            return;
        }
        let Some((partition, range)) = self.trimmed.front().cloned() else { return };
        let chunk = range.start..range.end.min(range.start + CLEAR_ENTRIES_MAX);
        let cleared = chunk.end;
        match self.write(&[], |store, path| store.clear(path, partition, chunk.clone())) {
            Ok(()) if cleared == range.end => drop(self.trimmed.pop_front()),
            Ok(()) => self.trimmed[0].1.start = cleared,
            // Told by the log line of the failed write; it is tried again once the store is cured.
            Err(_) => {}
        }
    }

    fn put(&mut self, values: &[(MetaKey, Option<Bytes>)], undo: &[(MetaKey, Option<Bytes>)]) -> Result<(), Error> {
        self.write(undo, |store, path| store.put(path, values))
    }

    /// Writes, curing the store before if need be. Should the write fail and yet come to light, `undo` is put back.
    fn write(
        &mut self,
        undo: &[(MetaKey, Option<Bytes>)],
        write: impl Fn(&Store, &std::path::Path) -> Result<(), Fault>,
    ) -> Result<(), Error> {
        self.revive()?;
        let shared = Arc::clone(&self.shared);
        let attempt = || shared.write(|store| write(store, shared.path()));
        let fault = match attempt() {
            Ok(()) => return Ok(()),
            Err(Fault::Poisoned) => {
                // A worker of the store failed since the last write. Nothing of this one was written: once more.
                self.fail(Fault::Poisoned, &[]);
                self.revive()?;
                match attempt() {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                }
            }
            Err(fault) => fault,
        };
        Err(self.fail(fault, undo))
    }

    /// Notes that the store is broken, and why.
    fn fail(&mut self, fault: Fault, undo: &[(MetaKey, Option<Bytes>)]) -> Error {
        let in_background = matches!(fault, Fault::Poisoned);
        let cause = fault.into_error(self.shared.path());
        let curable = in_background || matches!(cause, Error::Full { .. });
        if curable {
            tracing::error!(%cause, "log accepts no entries until its store can be opened anew");
        } else {
            tracing::error!(%cause, "log accepts no entries any more: check the disk, then restart");
        }
        self.broken = Some(Broken { cause: cause.clone(), curable, attempted: None, undo: undo.to_vec() });
        cause
    }

    /// Takes nothing more until a restart: what the disk holds is not known.
    pub(super) fn stop(&mut self, cause: &Error) {
        tracing::error!(%cause, "log accepts no entries any more: check the disk, then restart");
        self.broken = Some(Broken { cause: cause.clone(), curable: false, attempted: None, undo: Vec::new() });
    }

    /// These, and only these, trimmed entries are still in the store.
    pub(super) fn retrim(&mut self, trimmed: Vec<(Partition, Range<Offset>)>) {
        self.trimmed = trimmed.into();
    }

    /// Makes a broken store usable again, if that can be done now; says why not otherwise.
    pub(super) fn revive(&mut self) -> Result<(), Error> {
        let Some(broken) = &mut self.broken else { return Ok(()) };
        let pausing = broken.attempted.is_some_and(|attempted| attempted.elapsed() < REVIVE_PAUSE);
        if !broken.curable || pausing {
            return Err(broken.cause.clone());
        }
        broken.attempted = Some(Instant::now());
        let probed = self.shared.directory.probe(REVIVE_BYTES);
        let outcome = probed.and_then(|()| self.shared.reopen(&broken.cause, &broken.undo));
        match outcome {
            Ok(()) => {
                tracing::info!("log accepts entries again");
                self.broken = None;
                Ok(())
            }
            Err(cause) => {
                broken.curable = !matches!(cause, Error::Corrupt { .. });
                broken.cause = cause.clone();
                Err(cause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::{EmbeddedLog, Log, Options};

    use super::*;

    const A: Partition = Partition::Data(0);

    async fn append(log: &EmbeddedLog) -> Result<Vec<Offset>, Error> {
        log.append(vec![(A, Bytes::from_static(b"entry"))]).await
    }

    #[tokio::test]
    async fn a_failure_in_the_background_is_cured_before_the_next_write() {
        let home = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(home.path(), Options::default()).unwrap();
        assert_eq!(append(&log).await.unwrap(), [1]);
        log.call(0, |writer| writer.fail(Fault::Poisoned, &[])).await.unwrap();
        assert_eq!(append(&log).await.unwrap(), [2]);
    }

    #[tokio::test]
    async fn after_an_unexplained_failure_the_log_can_only_be_read_until_it_is_restarted() {
        let home = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(home.path(), Options { recent_bytes: 0, ..Options::default() }).unwrap();
        assert_eq!(append(&log).await.unwrap(), [1]);
        let failure = Error::io("append", home.path(), io::Error::other("input/output error"));
        log.call(0, move |writer| writer.fail(Fault::Failed(failure), &[])).await.unwrap();
        for _ in 0..2 {
            assert!(matches!(append(&log).await, Err(Error::Io { .. })));
            assert!(matches!(log.trim(A, 2).await, Err(Error::Io { .. })));
        }
        assert_eq!(log.read(A, 0, 9).await.unwrap().len(), 1);
        drop(log);
        let log = EmbeddedLog::open(home.path(), Options::default()).unwrap();
        assert_eq!(append(&log).await.unwrap(), [2]);
    }
}
