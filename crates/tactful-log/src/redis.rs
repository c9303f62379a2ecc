//! The log in Redis Streams, for several nodes: a stream for each partition, entry `n` under the id `n-0`. One
//! thread appends, one follows what all nodes append, and what is older than memory holds is read on idle
//! connections. It refuses a Redis that would drop entries by itself, and a partition count other than the log's.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use self::{follower::Follower, server::Server, writer::Writer};
use crate::{
    BLOB_BYTES_MAX, Entry, Error, Found, Lease, Log, Matches, Offset, Partition, Purged,
    bounds::{self, every_partition},
    erasure::scan_partitions,
    queue::{Group, Queue},
    slots::Slots,
    tail::{Recent, Tail},
    unique,
};

mod follower;
mod intake;
mod keys;
mod private;
mod purge;
mod rewrite;
mod scripts;
mod server;
mod streams;
mod sweep;
mod writer;

pub use intake::{DeadEntry, DeadList, Intake, IntakeEntry};
pub use private::RedisServer;
pub use sweep::ErasedEntries;

/// Format of the manifest.
const FORMAT: u32 = 1;
/// Calls to Redis at the same time, and with those that wait.
const CALLS: (usize, usize) = (16, 4_096);
/// How long an acknowledgement waits until the entry can be read here as well.
const READABLE_MAX: Duration = Duration::from_secs(2);

/// How to open a log in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// `redis://user:password@host:port/db`.
    pub url: String,
    /// Number of data partitions. Fixed when the log is created; later it must be the same.
    pub partitions: u16,
    /// Memory for the newest entries of all partitions together, in bytes.
    pub recent_bytes: usize,
}

/// A log in Redis, shared with other nodes. Dropping it writes what is queued.
pub struct RedisLog {
    shared: Arc<Shared>,
    calls: Slots,
    writer: Option<JoinHandle<()>>,
}

/// What callers, writer and follower share.
struct Shared {
    server: Server,
    partitions: u16,
    epoch: u64,
    durability: &'static str,
    /// One per data partition, then that of the control partition.
    tails: Vec<Tail>,
    queue: Queue<Group>,
    closing: AtomicBool,
    opened: Instant,
    /// When the follower heard of Redis last, milliseconds since it was opened.
    heard_ms: AtomicU64,
}

impl Shared {
    fn hear(&self) {
        self.heard_ms.store(self.opened.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn index(&self, partition: Partition) -> Result<usize, Error> {
        bounds::index(partition, self.partitions)
    }

    fn tail(&self, partition: Partition) -> Result<&Tail, Error> {
        Ok(&self.tails[self.index(partition)?])
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ends a partition for all its readers, who are to say so aloud.
    fn end(&self, partition: Partition, reason: Error) {
        if let Ok(tail) = self.tail(partition)
            && !tail.has_ended()
        {
            tracing::debug!(%partition, %reason, "a partition cannot be followed any further");
            tail.end(reason);
        }
    }
}

impl RedisLog {
    /// Opens the log, creating it if there is none. Blocks for as long as Redis takes.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the address is none or Redis is set to drop keys, [`Error::PartitionMismatch`] if the log
    /// has another number of partitions, [`Error::OutOfRange`], [`Error::Io`].
    pub fn open(options: &RedisOptions) -> Result<Self, Error> {
        bounds::partitions(options.partitions)?;
        let server = Server::new(&options.url)?;
        server.wait()?;
        let durability = server.check()?;
        if durability == server::Durability::None {
            tracing::warn!(place = server.place(), "Redis keeps no append-only file: set appendonly to yes");
        }
        let epoch = manifest(&server, options.partitions)?;
        let asked = || every_partition(options.partitions).map(|partition| (partition, 0));
        let (_, extents) = server.run_twice("look at the log", |connection| streams::extents(connection, asked()))?;
        let recent_bytes = options.recent_bytes / extents.len();
        let tails = extents.iter().map(|extent| Tail::new(extent.first, extent.tail, recent_bytes)).collect();
        let anchors =
            extents.into_iter().map(|extent| Some(Entry { offset: extent.tail, payload: extent.held? })).collect();
        let shared = Arc::new(Shared {
            server,
            partitions: options.partitions,
            epoch,
            durability: durability.text(),
            tails,
            queue: Queue::new(),
            closing: AtomicBool::new(false),
            opened: Instant::now(),
            heard_ms: AtomicU64::new(0),
        });
        let (follower, writer) =
            (Follower::new(Arc::clone(&shared), anchors), Writer::new(Arc::clone(&shared), unique::number()));
        spawn("log-follower", move || follower.run())?;
        let writer = spawn("log-writer", move || writer.run())?;
        Ok(Self { shared, calls: Slots::new(CALLS.0, CALLS.1), writer: Some(writer) })
    }

    /// Runs a call that blocks on a thread that may.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = self.calls.enter().await?;
        let shared = Arc::clone(&self.shared);
        let blocking = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            call(&shared)
        });
        // It ends without a result only if it panicked or the runtime is shutting down.
        blocking.await.map_err(|_| Error::Closed)?
    }

    /// Waits until what was appended can be read here: the follower is a moment behind. While it cannot reach
    /// Redis it is further behind, and what is durable is not to be taken for lost.
    async fn readable(&self, entries: &[(Partition, Offset)]) {
        let all = async {
            for (partition, offset) in entries {
                if let Ok(tail) = self.shared.tail(*partition) {
                    // Ended partitions tell whoever reads them.
                    let _ended = tail.reached(*offset).await;
                }
            }
        };
        if tokio::time::timeout(READABLE_MAX, all).await.is_err() {
            tracing::warn!("acknowledged entries cannot be read yet");
        }
    }
}

impl Drop for RedisLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer had panicked");
        }
        // The follower holds nothing that another process waits for: it ends by itself.
        self.shared.closing.store(true, Ordering::Release);
    }
}

#[async_trait]
impl Log for RedisLog {
    fn partitions(&self) -> u16 {
        self.shared.partitions
    }

    fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    fn durability(&self) -> &'static str {
        self.shared.durability
    }

    fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.shared.heard_ms.load(Ordering::Relaxed));
        self.shared.opened.elapsed().saturating_sub(heard)
    }

    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        let bytes = bounds::group(&entries, self.shared.partitions)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let partitions: Vec<Partition> = entries.iter().map(|(partition, _)| *partition).collect();
        let room = self.shared.queue.room(bytes).await?;
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Group { entries, bytes, reply, room })?;
        let offsets = answer.await.map_err(|_| Error::Closed)??;
        let appended: Vec<_> = partitions.into_iter().zip(offsets.iter().copied()).collect();
        self.readable(&appended).await;
        Ok(offsets)
    }

    async fn read(&self, partition: Partition, after: Offset, limit: usize) -> Result<Vec<Entry>, Error> {
        match self.shared.tail(partition)?.read(after, limit)? {
            Recent::Entries(entries) => Ok(entries),
            Recent::Stored(range) => self.call(move |shared| read_stored(shared, partition, range)).await,
        }
    }

    async fn wait(&self, partition: Partition, after: Offset) -> Result<(), Error> {
        self.shared.tail(partition)?.wait(after).await
    }

    async fn tail(&self, partition: Partition) -> Result<Offset, Error> {
        Ok(self.shared.tail(partition)?.offset())
    }

    async fn trim(&self, partition: Partition, below: Offset) -> Result<(), Error> {
        self.shared.index(partition)?;
        self.call(move |shared| {
            let key = keys::stream(partition);
            let trim =
                |connection: &mut redis::Connection| scripts::TRIM.key(&key).arg(below).invoke::<Offset>(connection);
            let first = shared.server.run_twice("trim the log", trim)?;
            shared.tail(partition)?.trim(first);
            Ok(())
        })
        .await
    }

    async fn purge(&self) -> Result<Purged, Error> {
        self.call(purge::purge).await
    }

    async fn scan(&self, matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync)) -> Result<Vec<Found>, Error> {
        let mut tally = scan_partitions(self, matches).await?;
        let mut cursor = sweep::Cursor::start();
        while !matches!(cursor, sweep::Cursor::End) {
            let (items, next) = self.call(move |shared| sweep::next(shared, cursor)).await?;
            for item in items {
                tally.add(item.store, u64::from(item.parts.iter().any(|part| matches(part))));
            }
            cursor = next;
        }
        Ok(tally.finish())
    }

    async fn erase_beside(&self, matches: Matches) -> Result<ErasedEntries, Error> {
        self.call(move |shared| sweep::erase(&shared.server, &*matches)).await
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], Error> {
        Error::if_too_large("blob bytes", bytes.len(), BLOB_BYTES_MAX)?;
        self.call(move |shared| {
            let sha256: [u8; 32] = Sha256::digest(&bytes).into();
            let set = |connection: &mut redis::Connection| {
                // A Redis that is full refuses even what it has; a node must start on it all the same.
                match redis::cmd("EXISTS").arg(keys::blob(&sha256)).query(connection)? {
                    true => Ok(()),
                    false => redis::cmd("SET").arg(keys::blob(&sha256)).arg(&bytes[..]).exec(connection),
                }
            };
            shared.server.run_twice("store a blob", set)?;
            Ok(sha256)
        })
        .await
    }

    async fn get_blob(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        let sha256 = *sha256;
        self.call(move |shared| {
            let Some(bytes) = get(shared, "read a blob", &keys::blob(&sha256))? else { return Ok(None) };
            if <[u8; 32]>::from(Sha256::digest(&bytes)) == sha256 {
                return Ok(Some(bytes));
            }
            Err(Error::Corrupt { what: format!("a blob of {} bytes does not hash to its name", bytes.len()) })
        })
        .await
    }

    async fn get_key(&self, key: &str) -> Result<Option<Bytes>, Error> {
        bounds::name(key)?;
        let key = keys::value(key);
        self.call(move |shared| get(shared, "read a key", &key)).await
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error> {
        bounds::name(key)?;
        bounds::values(expected.as_ref(), &value)?;
        let key = keys::value(key);
        self.call(move |shared| {
            // Made once: asked again, one that had come through would say that it did not.
            shared.server.run("set a key", |connection| {
                let mut call = scripts::COMPARE_AND_SET.key(&key);
                call.arg(&value[..]);
                expected.iter().for_each(|expected| {
                    call.arg(&expected[..]);
                });
                call.invoke(connection)
            })
        })
        .await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        bounds::name(name)?;
        bounds::name(holder)?;
        bounds::ttl(ttl)?;
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.call(move |shared| {
            // From before the call, so that it never ends later than Redis thinks.
            let asked = Instant::now();
            let [lease, tokens] = keys::lease(&name);
            let token: u64 = shared.server.run("take a lease", |connection| {
                scripts::ACQUIRE.key(&lease).key(&tokens).arg(&holder).arg(millis(ttl)).invoke(connection)
            })?;
            Ok((token > 0).then(|| Lease { name, holder, token, expires_at: asked + ttl }))
        })
        .await
    }

    async fn renew_lease(&self, lease: &mut Lease, ttl: Duration) -> Result<bool, Error> {
        bounds::ttl(ttl)?;
        let asked = Instant::now();
        let renewed = self.extend(lease, "renew a lease", millis(ttl)).await?;
        if renewed {
            lease.expires_at = asked + ttl;
        }
        Ok(renewed)
    }

    async fn release_lease(&self, lease: &Lease) -> Result<bool, Error> {
        self.extend(lease, "give a lease back", 0).await
    }
}

impl RedisLog {
    async fn extend(&self, lease: &Lease, action: &'static str, ms: u64) -> Result<bool, Error> {
        let ([key, _], token) = (keys::lease(&lease.name), lease.token);
        let extend = move |shared: &Shared| {
            let extend =
                |connection: &mut redis::Connection| scripts::EXTEND.key(&key).arg(token).arg(ms).invoke(connection);
            shared.server.run(action, extend)
        };
        self.call(extend).await
    }
}

fn get(shared: &Shared, action: &'static str, key: &str) -> Result<Option<Bytes>, Error> {
    let get = |connection: &mut redis::Connection| redis::cmd("GET").arg(key).query::<Option<Vec<u8>>>(connection);
    Ok(shared.server.run_twice(action, get)?.map(Bytes::from))
}

/// Reads entries of `range`, all readable a moment ago, from Redis.
fn read_stored(shared: &Shared, partition: Partition, range: std::ops::Range<Offset>) -> Result<Vec<Entry>, Error> {
    let read =
        |connection: &mut redis::Connection| streams::understood(streams::range(connection, partition, range.clone()));
    let entries = shared.server.run_twice("read the log", read)?.ok_or_else(|| streams::foreign(partition))?;
    if !entries.is_empty() && entries.iter().map(|entry| entry.offset).eq(range.clone().take(entries.len())) {
        return Ok(entries);
    }
    // Something is missing: trimmed away, by whomever, or lost.
    let extents = |connection: &mut redis::Connection| streams::extents(connection, [(partition, 0)].into_iter());
    let (_, extents) = shared.server.run_twice("look at the log", extents)?;
    let tail = shared.tail(partition)?;
    if let Some(extent) = extents.first() {
        if range.start < extent.first {
            tail.trim(extent.first);
            return Err(Error::Trimmed { first: extent.first });
        }
        if extent.tail < range.start {
            return Err(Error::BeyondTail { after: range.start, tail: extent.tail });
        }
    }
    let what = format!("partition {partition} misses entries between {} and {}", range.start, range.end - 1);
    Err(Error::Corrupt { what })
}

/// The epoch of the log, which is made if there is none.
fn manifest(server: &Server, partitions: u16) -> Result<u64, Error> {
    let made = |connection: &mut redis::Connection| {
        let mut call = scripts::MANIFEST.key(keys::MANIFEST);
        call.arg(FORMAT).arg(partitions).arg(unique::number()).invoke::<[Option<String>; 3]>(connection)
    };
    let [format, stored, epoch] = server.run_twice("open the log", made)?.map(|field| field.unwrap_or_default());
    let damaged = || Error::Corrupt { what: format!("the manifest at {} is none of this version", server.place()) };
    if format != FORMAT.to_string() {
        return Err(damaged());
    }
    let stored = stored.parse().map_err(|_| damaged())?;
    if stored != partitions {
        let path = PathBuf::from(server.place());
        return Err(Error::PartitionMismatch { path, stored, asked: partitions });
    }
    epoch.parse().map_err(|_| damaged())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(|source| Error::Io { action: "start a thread", source: Arc::new(source) })
}

fn millis(ttl: Duration) -> u64 {
    ttl.as_millis() as u64
}
