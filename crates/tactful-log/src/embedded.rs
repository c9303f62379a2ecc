//! The embedded log: one directory on a local disk, one process, no service to set up. Appends of all
//! callers are committed in groups by one thread, a disk sync each; fresh entries are read from memory,
//! older ones from fjall. It refuses a directory that is in use and a partition count other than its own.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use self::{
    directory::Directory,
    shared::Shared,
    store::{MetaKey, Sizes, Store, is_token, is_user_key},
    writer::{Command, Writer},
};
use crate::{
    BLOB_BYTES_MAX, Entry, Error, Found, Lease, Log, Offset, Partition, Purged,
    bounds::{self, every_partition},
    erasure::scan_partitions,
    queue::Group,
    slots::Slots,
    tail::{Recent, Tail},
};

mod blobs;
mod directory;
mod leases;
mod rewrite;
mod shared;
mod store;
mod writer;

/// Reads from the disk at the same time, and with those that wait.
const DISK_READS: (usize, usize) = (64, 4_096);
/// Blobs written at the same time, and with those that wait, each with its bytes.
const BLOB_WRITES: (usize, usize) = (2, 16);
/// How long closing waits for reads that are still at the disk.
const LAST_READS_MAX: Duration = Duration::from_secs(30);
/// Smallest and largest memtable, in bytes.
const MEMTABLE_BYTES: (u64, u64) = (64 << 10, 1 << 30);

/// How to open an embedded log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of data partitions, 1 to [`crate::PARTITIONS_MAX`]. Fixed when the log is created; later it must be the same.
    pub partitions: u16,
    /// Memory for the newest entries of all partitions together, in bytes.
    pub recent_bytes: usize,
    /// Memory of entries that are not yet in a sorted table, in bytes, 64 KiB to 1 GiB; a few times that at worst.
    pub memtable_bytes: u64,
    /// Memory for blocks of older entries, in bytes.
    pub cache_bytes: u64,
}

impl Default for Options {
    /// 16 partitions, 4 MiB of newest entries each.
    fn default() -> Self {
        Self { partitions: 16, recent_bytes: 17 * (4 << 20), memtable_bytes: 64 << 20, cache_bytes: 32 << 20 }
    }
}

/// A log in a directory of this machine. While it is open nobody else can open it. Dropping it writes what is
/// queued, closes the store and frees the directory; that takes a disk sync, so do it off a latency path.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    disk_reads: Slots,
    blob_writes: Slots,
    /// One purge at a time.
    purging: Arc<tokio::sync::Mutex<()>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedLog {
    /// Opens the log in `path`, creating it if there is none. Blocks for as long as the disk takes: a log that
    /// was killed replays its journal of at most 512 MiB.
    ///
    /// # Errors
    /// [`Error::Locked`] if it is open elsewhere, [`Error::PartitionMismatch`] if it was created with another
    /// number of partitions, [`Error::OutOfRange`], [`Error::Corrupt`], [`Error::Full`], [`Error::Io`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        bounds::partitions(options.partitions)?;
        bounds::range("memtable bytes", options.memtable_bytes, MEMTABLE_BYTES)?;
        let log = Self::start(path.as_ref(), Some(options.partitions), options)?;
        let (stored, asked) = (log.partitions(), options.partitions);
        if stored != asked {
            return Err(Error::PartitionMismatch { path: path.as_ref().to_owned(), stored, asked });
        }
        Ok(log)
    }

    /// Opens the log in `path` with whatever number of partitions it has, for instance that of a stopped
    /// server for an export. Creates nothing where there is none.
    ///
    /// # Errors
    /// [`Error::NotALog`], [`Error::Locked`], [`Error::Corrupt`], [`Error::Full`], [`Error::Io`].
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::start(path.as_ref(), None, Options::default())
    }

    fn start(path: &Path, create: Option<u16>, options: Options) -> Result<Self, Error> {
        let sizes = Sizes { memtable_bytes: options.memtable_bytes, cache_bytes: options.cache_bytes };
        let directory = Directory::open(path, create, |store| Store::open(store, sizes).map(drop))?;
        let partitions = directory.manifest().partitions;
        let store = Store::open(&directory.store(), sizes)?;
        let recent_bytes = options.recent_bytes / (usize::from(partitions) + 1);
        let mut tails = Vec::with_capacity(usize::from(partitions) + 1);
        let mut trimmed = VecDeque::new();
        for partition in every_partition(partitions) {
            let extent = store.extent(path, partition)?;
            tails.push(Tail::new(extent.first, extent.tail, recent_bytes));
            if extent.cleared < extent.first {
                trimmed.push_back((partition, extent.cleared..extent.first));
            }
        }
        let shared = Arc::new(Shared::new(directory, store, sizes, tails)?);
        let writer = Writer::new(Arc::clone(&shared), trimmed);
        let writer = thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| Error::io("start its writer", path, source))?;
        Ok(Self {
            shared,
            disk_reads: Slots::new(DISK_READS.0, DISK_READS.1),
            blob_writes: Slots::new(BLOB_WRITES.0, BLOB_WRITES.1),
            purging: Arc::default(),
            writer: Some(writer),
        })
    }

    /// Runs something on the writer thread, between two commits.
    async fn call<T: Send + 'static>(
        &self,
        bytes: usize,
        run: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let room = self.shared.queue.room(bytes).await?;
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Command::Run(Box::new(move |writer| {
            // A caller that went away needs no answer.
            let _ = reply.send(run(writer));
            drop(room);
        })))?;
        answer.await.map_err(|_| Error::Closed)
    }

    /// Runs something that blocks on the disk on a thread that may.
    async fn block<T: Send + 'static>(
        &self,
        slots: &Slots,
        run: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = slots.enter().await?;
        let shared = Arc::clone(&self.shared);
        let blocking = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            run(&shared)
        });
        // It ends without a result only if it panicked or the runtime is shutting down.
        blocking.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer had panicked");
        }
        // A caller that went away leaves its read behind, and that holds the directory until the disk has answered.
        let deadline = Instant::now() + LAST_READS_MAX;
        while Arc::strong_count(&self.shared) > 1 {
            if Instant::now() >= deadline {
                tracing::warn!("the log is closed while a read of it still waits for the disk");
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn partitions(&self) -> u16 {
        self.shared.directory.manifest().partitions
    }

    fn epoch(&self) -> u64 {
        self.shared.directory.manifest().epoch
    }

    fn durability(&self) -> &'static str {
        "one copy on this machine's disk, synced (fdatasync) before each acknowledgement: survives a crash of the \
         process, and of the machine as far as the disk honours a sync"
    }

    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        let bytes = bounds::group(&entries, self.partitions())?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let room = self.shared.queue.room(bytes).await?;
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Command::Append(Group { entries, bytes, reply, room }))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn read(&self, partition: Partition, after: Offset, limit: usize) -> Result<Vec<Entry>, Error> {
        match self.shared.tail(partition)?.read(after, limit)? {
            Recent::Entries(entries) => Ok(entries),
            Recent::Stored(range) => {
                self.block(&self.disk_reads, move |shared| shared.read_stored(partition, range)).await
            }
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
        self.call(0, move |writer| writer.trim(partition, below)).await?
    }

    async fn purge(&self) -> Result<Purged, Error> {
        let turn = Arc::clone(&self.purging).lock_owned().await;
        let room = self.shared.queue.room(0).await?;
        let shared = Arc::clone(&self.shared);
        let blocking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            rewrite::purge(&shared, room)
        });
        blocking.await.map_err(|_| Error::Closed)?
    }

    async fn scan(&self, matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync)) -> Result<Vec<Found>, Error> {
        let mut tally = scan_partitions(self, matches).await?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let start = after.take();
            let page = self.block(&self.disk_reads, move |shared| shared.meta_page(start.as_deref())).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in &page {
                let found = u64::from(matches(&key[1..]) || matches(value));
                if is_user_key(key) {
                    tally.add("keys", found);
                } else if is_token(key) {
                    tally.add("leases", found);
                }
            }
        }
        for sha256 in self.block(&self.disk_reads, |shared| shared.blobs.all()).await? {
            let blob = self.block(&self.disk_reads, move |shared| shared.blobs.get(&sha256)).await?;
            tally.add("blobs", u64::from(blob.is_some_and(|blob| matches(&blob))));
        }
        Ok(tally.finish())
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], Error> {
        Error::if_too_large("blob bytes", bytes.len(), BLOB_BYTES_MAX)?;
        self.block(&self.blob_writes, move |shared| shared.blobs.put(&bytes)).await
    }

    async fn get_blob(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        let sha256 = *sha256;
        self.block(&self.disk_reads, move |shared| shared.blobs.get(&sha256)).await
    }

    async fn get_key(&self, key: &str) -> Result<Option<Bytes>, Error> {
        bounds::name(key)?;
        let key = MetaKey::User(key.to_owned());
        self.block(&self.disk_reads, move |shared| shared.get(&key)).await
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error> {
        bounds::name(key)?;
        let longer = bounds::values(expected.as_ref(), &value)?;
        let key = key.to_owned();
        self.call(2 * longer, move |writer| writer.compare_and_set(&key, expected, value)).await?
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        bounds::name(name)?;
        bounds::name(holder)?;
        bounds::ttl(ttl)?;
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.call(0, move |writer| writer.acquire_lease(&name, &holder, ttl)).await?
    }

    async fn renew_lease(&self, lease: &mut Lease, ttl: Duration) -> Result<bool, Error> {
        bounds::ttl(ttl)?;
        let (name, token) = (lease.name.clone(), lease.token);
        let renewed = self.call(0, move |writer| writer.renew_lease(&name, token, ttl)).await?;
        lease.expires_at = renewed.unwrap_or(lease.expires_at);
        Ok(renewed.is_some())
    }

    async fn release_lease(&self, lease: &Lease) -> Result<bool, Error> {
        let (name, token) = (lease.name.clone(), lease.token);
        self.call(0, move |writer| writer.release_lease(&name, token)).await
    }
}

#[cfg(test)]
mod tests {
    use super::{store::Extent, *};

    const A: Partition = Partition::Data(0);
    const ENTRIES: u64 = 20_000;

    fn open(path: &Path) -> EmbeddedLog {
        EmbeddedLog::open(path, Options { partitions: 2, recent_bytes: 0, ..Options::default() }).unwrap()
    }

    fn extent(log: &EmbeddedLog) -> Extent {
        log.shared.write(|store| Ok(store.extent(log.shared.path(), A).unwrap())).unwrap()
    }

    fn stored_below(log: &EmbeddedLog, below: Offset) -> usize {
        let scan = |store: &Store| Ok(store.scan(log.shared.path(), A, 0..below, usize::MAX).unwrap().len());
        log.shared.write(scan).unwrap()
    }

    #[tokio::test]
    async fn trimmed_entries_are_removed_between_commits_and_by_the_next_process_if_need_be() {
        let home = tempfile::tempdir().unwrap();
        let first = ENTRIES - 10;
        let log = open(home.path());
        log.append(vec![(A, Bytes::from_static(b"entry")); ENTRIES as usize]).await.unwrap();
        log.trim(A, first).await.unwrap();
        drop(log);
        let log = open(home.path());
        assert_eq!((extent(&log).first, extent(&log).tail), (first, ENTRIES));
        // Each call lets the thread remove one chunk at least.
        for key in 0..=ENTRIES / 4_096 {
            assert!(log.compare_and_set(&key.to_string(), None, Bytes::new()).await.unwrap());
        }
        drop(log);
        let log = open(home.path());
        assert_eq!(extent(&log), Extent { first, cleared: first, tail: ENTRIES });
        assert_eq!(stored_below(&log, first), 0);
        assert_eq!(log.read(A, first - 1, 100).await.unwrap().len(), 11);
    }

    #[tokio::test]
    async fn a_failed_write_that_came_to_light_is_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let log = open(home.path());
        log.append(vec![(A, Bytes::from_static(b"acknowledged")); 3]).await.unwrap();
        let path = log.shared.path();
        let late = Bytes::from_static(b"late");
        let key = MetaKey::User("key".to_owned());
        log.shared.write(|store| store.append(path, [(A, 4, &late), (A, 5, &late)].into_iter())).unwrap();
        log.shared.write(|store| store.put(path, &[(key.clone(), Some(late.clone()))])).unwrap();
        log.shared.reopen(&Error::Closed, &[(key, None)]).unwrap();
        assert_eq!(extent(&log).tail, 3);
        assert_eq!(log.get_key("key").await.unwrap(), None);
        assert_eq!(log.append(vec![(A, Bytes::from_static(b"next"))]).await.unwrap(), [4]);
        assert_eq!(log.read(A, 3, 9).await.unwrap()[0].payload, "next");
    }

    #[tokio::test]
    async fn lost_entries_are_damage_when_read_and_when_reopened() {
        let home = tempfile::tempdir().unwrap();
        let log = open(home.path());
        log.append(vec![(A, Bytes::from_static(b"acknowledged")); 5]).await.unwrap();
        log.shared.write(|store| store.clear(log.shared.path(), A, 3..4)).unwrap();
        assert!(matches!(log.read(A, 0, 9).await, Err(Error::Corrupt { .. })));
        assert_eq!(log.read(A, 3, 9).await.unwrap().len(), 2, "what is whole can be read");
        log.shared.write(|store| store.clear(log.shared.path(), A, 5..6)).unwrap();
        assert!(matches!(log.read(A, 3, 9).await, Err(Error::Corrupt { .. })));
        assert!(matches!(log.shared.reopen(&Error::Closed, &[]), Err(Error::Corrupt { .. })));
    }

    #[tokio::test]
    async fn closing_waits_for_a_read_whose_caller_went_away() {
        let home = tempfile::tempdir().unwrap();
        let log = open(home.path());
        let (begun, begins) = oneshot::channel();
        let read = log.block(&log.disk_reads, |_| {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(200));
            Ok(())
        });
        tokio::select! {
            _ = read => panic!("the read ended before its caller went away"),
            began = begins => began.unwrap(),
        }
        drop(log);
        assert_eq!(open(home.path()).partitions(), 2);
    }

    #[tokio::test]
    async fn a_panic_of_the_writer_closes_the_log_for_all_callers() {
        let home = tempfile::tempdir().unwrap();
        let log = open(home.path());
        log.append(vec![(A, Bytes::from_static(b"entry"))]).await.unwrap();
        let (waiting, panicked) = tokio::join!(log.wait(A, 1), log.call(0, |_| panic!("on purpose")));
        let panicked: Result<(), Error> = panicked;
        assert!(matches!((waiting, panicked), (Err(Error::Closed), Err(Error::Closed))));
        assert!(matches!(log.append(vec![(A, Bytes::new())]).await, Err(Error::Closed)));
        assert!(matches!(log.wait(A, 1).await, Err(Error::Closed)));
        assert_eq!(log.read(A, 0, 1).await.unwrap().len(), 1, "reading goes on");
    }
}
