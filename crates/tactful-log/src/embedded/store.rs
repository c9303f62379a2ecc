//! The fjall side of the embedded log: keys, atomic durable batches, scans, and what its errors mean.
//! It refuses to know about queues, waiting or retries, and it is only ever written by one thread.
//!
//! fjall 3.1.13 poisons itself at the first failed write and then refuses every other one, also after
//! the cause is gone; only opening it anew helps. A failed flush or compaction of its background workers
//! poisons it as well and ends the worker. Reads are served by a poisoned store all the same.

use std::{
    ops::{Bound, Range},
    path::Path,
    thread,
    time::Duration,
};

use bytes::Bytes;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    config::{BlockSizePolicy, FilterPolicy},
};

use crate::{Entry, Error, Offset, Partition};

/// The partition number of [`Partition::Control`] in keys; data partitions are below [`crate::PARTITIONS_MAX`].
const CONTROL: u16 = u16::MAX;
/// A scan reads forward mostly: larger blocks than fjall's 4 KiB cost point reads nothing that matters here.
const BLOCK_BYTES: u32 = 16 << 10;
/// fjall stalls a commit for good at 4 sealed memtables or 30 runs once its workers are dead, so commits
/// wait here below that, where they notice. One commit can seal one memtable and one more may be under way.
const SEALED_MEMTABLES_MAX: usize = 2;
const YOUNG_TABLES_MAX: usize = 24;
const STALL_POLL: Duration = Duration::from_millis(2);

/// How a write failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store refused before it wrote anything: an earlier write, perhaps in the background, had failed.
    Poisoned,
    /// This write failed. What of it reached the disk shows when the store is opened again.
    Failed(Error),
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First entry that has not been trimmed away (or will be the first).
    pub(crate) first: Offset,
    /// Entries below this one have been removed; between it and `first` they wait for it.
    pub(crate) cleared: Offset,
    /// Last entry.
    pub(crate) tail: Offset,
}

/// Keys of the small keyspace, told apart by their first byte.
#[derive(Clone, Debug)]
pub(crate) enum MetaKey {
    /// A caller's key.
    User(String),
    /// Last fencing token of a lease.
    Token(String),
    /// `Extent::first` of a partition.
    First(Partition),
    /// `Extent::cleared` of a partition.
    Cleared(Partition),
}

impl MetaKey {
    fn bytes(&self) -> Vec<u8> {
        let (tag, rest) = match self {
            Self::User(name) => (b'k', name.as_bytes().to_vec()),
            Self::Token(name) => (b'l', name.as_bytes().to_vec()),
            Self::First(partition) => (b'f', number(*partition).to_be_bytes().to_vec()),
            Self::Cleared(partition) => (b'c', number(*partition).to_be_bytes().to_vec()),
        };
        [&[tag], rest.as_slice()].concat()
    }
}

/// Sizes that the store is opened with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Entries in memory before they are written as a table.
    pub(crate) memtable_bytes: u64,
    /// Blocks kept for scans.
    pub(crate) cache_bytes: u64,
}

pub(crate) struct Store {
    database: Database,
    entries: Keyspace,
    meta: Keyspace,
}

impl Store {
    /// Opens a store, or makes an empty one.
    pub(crate) fn open(path: &Path, sizes: Sizes) -> Result<Self, Error> {
        let failed = |source| fault("open", path, source);
        let database = Database::builder(path)
            .worker_threads(2)
            .cache_size(sizes.cache_bytes)
            .manual_journal_persist(true)
            // Records are small and the journal is short-lived: not worth the writer thread's time.
            .journal_compression(fjall::CompressionType::None)
            .open()
            .map_err(failed)?;
        let entries = database
            .keyspace("entries", || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(sizes.memtable_bytes)
                    .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                    .filter_policy(FilterPolicy::disabled())
            })
            .map_err(failed)?;
        let meta = database.keyspace("meta", KeyspaceCreateOptions::default).map_err(failed)?;
        Ok(Self { database, entries, meta })
    }

    /// Writes entries, all or none, and returns once they are on disk.
    pub(crate) fn append<'a>(
        &self,
        directory: &Path,
        entries: impl ExactSizeIterator<Item = (Partition, Offset, &'a Bytes)>,
    ) -> Result<(), Fault> {
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), entries.len());
        for (partition, offset, payload) in entries {
            batch.insert(&self.entries, key(partition, offset), payload.as_ref());
        }
        self.commit(directory, batch)
    }

    /// Writes entries without waiting for the disk: [`Store::sync`] does.
    pub(crate) fn load<'a>(
        &self,
        directory: &Path,
        entries: impl ExactSizeIterator<Item = (Partition, Offset, &'a Bytes)>,
    ) -> Result<(), Fault> {
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), entries.len());
        for (partition, offset, payload) in entries {
            batch.insert(&self.entries, key(partition, offset), payload.as_ref());
        }
        self.write(directory, batch)
    }

    /// Writes small keys as another store gave them, without waiting for the disk.
    pub(crate) fn load_meta(&self, directory: &Path, values: &[(Vec<u8>, Bytes)]) -> Result<(), Fault> {
        let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), values.len());
        for (key, value) in values {
            batch.insert(&self.meta, key.as_slice(), value.as_ref());
        }
        self.write(directory, batch)
    }

    /// Returns once everything written is on disk.
    pub(crate) fn sync(&self, directory: &Path) -> Result<(), Error> {
        self.database.persist(PersistMode::SyncAll).map_err(|source| fault("write", directory, source))
    }

    /// Small keys after this one, with their values, until they are more than `bytes`. Their first byte says what
    /// they are: see [`is_user_key`].
    pub(crate) fn meta_page(
        &self,
        directory: &Path,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
        let after = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
        let (mut page, mut taken) = (Vec::new(), 0);
        for guard in self.meta.range((after, Bound::Unbounded::<Vec<u8>>)) {
            let (key, value) = guard.into_inner().map_err(|source| fault("read", directory, source))?;
            taken += key.len() + value.len();
            page.push((key.to_vec(), Bytes::copy_from_slice(&value)));
            if taken > bytes {
                break;
            }
        }
        Ok(page)
    }

    /// Writes small keys, all or none, and returns once they are on disk.
    pub(crate) fn put(&self, directory: &Path, values: &[(MetaKey, Option<Bytes>)]) -> Result<(), Fault> {
        let mut batch = self.database.batch();
        for (meta_key, value) in values {
            match value {
                Some(value) => batch.insert(&self.meta, meta_key.bytes(), value.as_ref()),
                None => batch.remove(&self.meta, meta_key.bytes()),
            }
        }
        self.commit(directory, batch)
    }

    /// Removes entries, which need not exist, and notes that those below the range's end are cleared.
    pub(crate) fn clear(&self, directory: &Path, partition: Partition, range: Range<Offset>) -> Result<(), Fault> {
        let mut batch = self.database.batch();
        batch.insert(&self.meta, MetaKey::Cleared(partition).bytes(), range.end.to_be_bytes());
        for offset in range {
            batch.remove(&self.entries, key(partition, offset));
        }
        self.commit(directory, batch)
    }

    /// Removes everything behind `tail`, which was never acknowledged.
    pub(crate) fn truncate(&self, directory: &Path, partition: Partition, tail: Offset) -> Result<(), Error> {
        let failed = |source| fault("read", directory, source);
        let mut batch = self.database.batch();
        for guard in self.entries.range(key(partition, tail + 1)..=key(partition, Offset::MAX)) {
            batch.remove(&self.entries, guard.key().map_err(failed)?);
        }
        self.commit(directory, batch).map_err(|fault| fault.into_error(directory))
    }

    /// Entries of `range`, in order, until they are more than `bytes` of payload.
    pub(crate) fn scan(
        &self,
        directory: &Path,
        partition: Partition,
        range: Range<Offset>,
        bytes: usize,
    ) -> Result<Vec<Entry>, Error> {
        let failed = |source| fault("read", directory, source);
        let mut entries = Vec::new();
        let mut taken = 0;
        for guard in self.entries.range(key(partition, range.start)..key(partition, range.end)) {
            let (key, value) = guard.into_inner().map_err(failed)?;
            let offset = offset_of(&key)?;
            taken += value.len();
            entries.push(Entry { offset, payload: Bytes::copy_from_slice(&value) });
            if taken > bytes {
                break;
            }
        }
        Ok(entries)
    }

    pub(crate) fn get(&self, directory: &Path, meta_key: &MetaKey) -> Result<Option<Bytes>, Error> {
        let value = self.meta.get(meta_key.bytes()).map_err(|source| fault("read", directory, source))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// A small key that holds a number; 0 if there is none.
    pub(crate) fn get_number(&self, directory: &Path, meta_key: &MetaKey) -> Result<u64, Error> {
        match self.get(directory, meta_key)? {
            None => Ok(0),
            Some(value) => value
                .as_ref()
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| Error::Corrupt { what: format!("a mark of {} bytes instead of 8", value.len()) }),
        }
    }

    /// Finds the ends of a partition. Cost: one backward seek.
    pub(crate) fn extent(&self, directory: &Path, partition: Partition) -> Result<Extent, Error> {
        let first = self.get_number(directory, &MetaKey::First(partition))?.max(1);
        let cleared = self.get_number(directory, &MetaKey::Cleared(partition))?.max(1);
        let last = match self.entries.range(key(partition, first)..=key(partition, Offset::MAX)).next_back() {
            Some(guard) => offset_of(&guard.key().map_err(|source| fault("read", directory, source))?)?,
            None => 0,
        };
        Ok(Extent { first, cleared, tail: last.max(first - 1) })
    }

    fn commit(&self, directory: &Path, batch: OwnedWriteBatch) -> Result<(), Fault> {
        self.write(directory, batch.durability(Some(PersistMode::SyncData)))
    }

    fn write(&self, directory: &Path, batch: OwnedWriteBatch) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        self.wait_for_workers()?;
        match batch.commit() {
            Ok(()) => Ok(()),
            Err(fjall::Error::Poisoned) => Err(Fault::Poisoned),
            Err(source) => Err(Fault::Failed(fault("append", directory, source))),
        }
    }

    /// Lets fjall's workers catch up, and notices if they are dead.
    fn wait_for_workers(&self) -> Result<(), Fault> {
        for keyspace in [&self.entries, &self.meta] {
            while keyspace.sealed_memtable_count() > SEALED_MEMTABLES_MAX
                || keyspace.l0_table_count() > YOUNG_TABLES_MAX
            {
                self.database.persist(PersistMode::Buffer).map_err(|_| Fault::Poisoned)?;
                thread::sleep(STALL_POLL);
            }
        }
        Ok(())
    }
}

impl Fault {
    /// The fault as a caller hears it.
    pub(crate) fn into_error(self, directory: &Path) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Poisoned => fault("write", directory, fjall::Error::Poisoned),
        }
    }
}

/// Whether a small key of [`Store::meta_page`] is a caller's own rather than a mark of the log.
pub(crate) fn is_user_key(key: &[u8]) -> bool {
    key.first() == Some(&b'k')
}

/// Whether it is a lease's.
pub(crate) fn is_token(key: &[u8]) -> bool {
    key.first() == Some(&b'l')
}

fn number(partition: Partition) -> u16 {
    match partition {
        Partition::Control => CONTROL,
        Partition::Data(number) => number,
    }
}

/// Big-endian, so that the order of keys is the order of entries.
fn key(partition: Partition, offset: Offset) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&number(partition).to_be_bytes());
    key[2..].copy_from_slice(&offset.to_be_bytes());
    key
}

fn offset_of(key: &[u8]) -> Result<Offset, Error> {
    let offset = key.get(2..).and_then(|bytes| bytes.try_into().ok()).map(Offset::from_be_bytes);
    offset.ok_or_else(|| Error::Corrupt { what: format!("an entry's key of {} bytes instead of 10", key.len()) })
}

/// What an error of fjall means.
fn fault(action: &'static str, directory: &Path, source: fjall::Error) -> Error {
    match source {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            Error::io(action, directory, source)
        }
        fjall::Error::Locked => Error::Locked { path: directory.to_owned() },
        fjall::Error::Poisoned => {
            Error::io(action, directory, std::io::Error::other("an earlier write in the background had failed"))
        }
        damage => Error::Corrupt { what: format!("{damage:?} under {} when about to {action}", directory.display()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { memtable_bytes: 1 << 20, cache_bytes: 1 << 20 };
    const P: Partition = Partition::Data(1);

    fn filled(home: &Path) -> Store {
        let store = Store::open(home, SIZES).unwrap();
        let payload = Bytes::from_static(b"payload");
        let entries: Vec<_> = (1..=10).flat_map(|o| [(P, o, &payload), (Partition::Data(2), o, &payload)]).collect();
        store.append(home, entries.into_iter()).unwrap();
        store
    }

    #[test]
    fn keys_sort_by_partition_and_then_by_offset() {
        let sorted = [
            key(Partition::Data(0), Offset::MAX),
            key(Partition::Data(1), 0),
            key(Partition::Data(1), 255),
            key(Partition::Data(1), 256),
            key(Partition::Data(256), 1),
            key(Partition::Control, 0),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(offset_of(&key(Partition::Control, 77)).unwrap(), 77);
        assert!(offset_of(b"short").is_err());
    }

    #[test]
    fn extents_are_found_again_and_a_scan_keeps_to_its_partition() {
        let home = tempfile::tempdir().unwrap();
        drop(filled(home.path()));
        let store = Store::open(home.path(), SIZES).unwrap();
        assert_eq!(store.extent(home.path(), P).unwrap(), Extent { first: 1, cleared: 1, tail: 10 });
        assert_eq!(store.extent(home.path(), Partition::Data(3)).unwrap(), Extent { first: 1, cleared: 1, tail: 0 });
        let all = store.scan(home.path(), P, 1..Offset::MAX, usize::MAX).unwrap();
        assert_eq!(all.iter().map(|e| e.offset).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!(store.scan(home.path(), P, 4..7, usize::MAX).unwrap().len(), 3);
        assert_eq!(store.scan(home.path(), P, 1..11, 13).unwrap().len(), 2, "stops once beyond the bytes");
    }

    #[test]
    fn truncating_and_clearing_touch_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let store = filled(home.path());
        store.truncate(home.path(), P, 8).unwrap();
        store.put(home.path(), &[(MetaKey::First(P), Some(Bytes::copy_from_slice(&4u64.to_be_bytes())))]).unwrap();
        store.clear(home.path(), P, 1..4).unwrap();
        assert_eq!(store.extent(home.path(), P).unwrap(), Extent { first: 4, cleared: 4, tail: 8 });
        let kept = store.scan(home.path(), P, 0..Offset::MAX, usize::MAX).unwrap();
        assert_eq!(kept.iter().map(|e| e.offset).collect::<Vec<_>>(), (4..=8).collect::<Vec<_>>());
        assert_eq!(store.extent(home.path(), Partition::Data(2)).unwrap().tail, 10);
    }

    #[test]
    fn a_partition_trimmed_empty_keeps_its_tail() {
        let home = tempfile::tempdir().unwrap();
        let store = filled(home.path());
        store.put(home.path(), &[(MetaKey::First(P), Some(Bytes::copy_from_slice(&11u64.to_be_bytes())))]).unwrap();
        store.clear(home.path(), P, 1..11).unwrap();
        assert_eq!(store.extent(home.path(), P).unwrap(), Extent { first: 11, cleared: 11, tail: 10 });
    }

    #[test]
    fn users_keys_never_meet_the_stores_own() {
        let home = tempfile::tempdir().unwrap();
        let store = filled(home.path());
        let value = Some(Bytes::from_static(b"mine"));
        store.put(home.path(), &[(MetaKey::User("x".to_owned()), value.clone())]).unwrap();
        assert_eq!(store.get(home.path(), &MetaKey::User("x".to_owned())).unwrap(), value);
        assert_eq!(store.get(home.path(), &MetaKey::Token("x".to_owned())).unwrap(), None);
        assert_eq!(store.get_number(home.path(), &MetaKey::First(P)).unwrap(), 0);
        store.put(home.path(), &[(MetaKey::First(P), value)]).unwrap();
        assert!(matches!(store.extent(home.path(), P), Err(Error::Corrupt { .. })));
    }
}
