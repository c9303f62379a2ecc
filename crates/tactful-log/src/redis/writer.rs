//! The one thread that appends: everything queued goes to Redis as one group under one sequence number. While
//! Redis does not answer it asks again under the same number, so that what had come through after all takes
//! effect once; after a while it gives up, and the callers hear of it.

use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use redis::{Connection, RedisError, RedisResult};

use super::{Shared, keys, scripts::APPEND, server::is_passing};
use crate::{Error, Offset, Partition, queue::Group};

/// Payload bytes and entries of one group of groups, unless one alone is larger. Redis does nothing else meanwhile.
const COMMIT_BYTES_MAX: usize = 1 << 20;
const COMMIT_ENTRIES_MAX: usize = 4_096;
/// How long an append that fails is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long Redis remembers what a writer appended last: longer than any of its attempts may be under way.
const REMEMBER_S: u64 = 24 * 60 * 60;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Its key, unique to this process.
    key: String,
    sequence: u64,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, id: u64) -> Self {
        Self { shared, connection: None, key: keys::writer(id), sequence: 0 }
    }

    /// Runs until the queue is closed and drained.
    pub(crate) fn run(mut self) {
        let _closer = Closer(Arc::clone(&self.shared));
        while let Some(queued) = self.shared.queue.take(None) {
            let (mut groups, mut bytes, mut entries) = (Vec::new(), 0, 0);
            for group in queued {
                if bytes + group.bytes > COMMIT_BYTES_MAX || entries + group.entries.len() > COMMIT_ENTRIES_MAX {
                    self.commit(mem::take(&mut groups));
                    (bytes, entries) = (0, 0);
                }
                bytes += group.bytes;
                entries += group.entries.len();
                groups.push(group);
            }
            self.commit(groups);
        }
    }

    fn commit(&mut self, groups: Vec<Group>) {
        if groups.is_empty() {
            return;
        }
        let started = Instant::now();
        let outcome = self.append(&groups);
        metrics::histogram!("tactful_log_commit_seconds").record(started.elapsed());
        let counter = if outcome.is_ok() { "tactful_log_commits_total" } else { "tactful_log_failed_commits_total" };
        metrics::counter!(counter).increment(1);
        let mut offsets = outcome.map(Vec::into_iter);
        for group in groups {
            let own = offsets.as_mut().map(|offsets| offsets.by_ref().take(group.entries.len()).collect());
            // A caller that went away needs no answer.
            let _gone = group.reply.send(own.map_err(|error| error.clone()));
        }
    }

    /// The offsets of all entries in their order.
    fn append(&mut self, groups: &[Group]) -> Result<Vec<Offset>, Error> {
        let streams = streams(groups);
        self.sequence += 1;
        let deadline = Instant::now() + PATIENCE;
        let firsts = loop {
            match self.attempt(groups, &streams) {
                Ok(firsts) => break firsts,
                Err(error) => {
                    // What a broken connection still answers belongs to no later call.
                    self.connection = None;
                    if !is_passing(&error) || Instant::now() >= deadline || self.shared.is_closing() {
                        return Err(self.fault(&error));
                    }
                    thread::sleep(RETRY_PAUSE);
                }
            }
        };
        offsets(groups, &streams, firsts).ok_or_else(|| {
            let what = "Redis answered an append with offsets that are none".to_owned();
            Error::Corrupt { what }
        })
    }

    fn attempt(&mut self, groups: &[Group], streams: &[Partition]) -> RedisResult<String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.shared.server.connect(Duration::ZERO)?),
        };
        let mut call = APPEND.key(&self.key);
        call.key(keys::MANIFEST).arg(self.sequence).arg(self.shared.epoch).arg(REMEMBER_S);
        for partition in streams {
            let seen = self.shared.tail(*partition).map_or(0, |tail| tail.offset());
            call.key(keys::stream(*partition)).arg(seen);
        }
        for (partition, payload) in groups.iter().flat_map(|group| &group.entries) {
            let stream = streams.binary_search(partition).expect("the streams are those of these entries");
            call.arg(stream + 1).arg(&payload[..]);
        }
        call.invoke(connection)
    }

    fn fault(&self, error: &RedisError) -> Error {
        match error.code() {
            Some("LOST" | "REPLACED") => {
                let place = self.shared.server.place();
                Error::Corrupt { what: format!("{place} holds less than was read from it, or another log") }
            }
            _ => self.shared.server.fault("append", error),
        }
    }
}

/// The partitions of some groups, each once, in order.
fn streams(groups: &[Group]) -> Vec<Partition> {
    let mut streams: Vec<Partition> =
        groups.iter().flat_map(|group| &group.entries).map(|(partition, _)| *partition).collect();
    streams.sort_unstable();
    streams.dedup();
    streams
}

/// Counts on from the first offset of each stream.
fn offsets(groups: &[Group], streams: &[Partition], firsts: String) -> Option<Vec<Offset>> {
    let mut next: Vec<Offset> = firsts.split(',').map(|first| first.parse().ok()).collect::<Option<_>>()?;
    let entries = groups.iter().flat_map(|group| &group.entries);
    let offsets = entries.map(|(partition, _)| {
        let next = next.get_mut(streams.binary_search(partition).ok()?)?;
        *next += 1;
        Some(*next - 1)
    });
    offsets.collect()
}

/// Closes the queue when the thread ends, however it ends.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.queue.close();
        drop(self.0.queue.take(Some(Duration::ZERO)));
    }
}
