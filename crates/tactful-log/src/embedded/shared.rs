//! What readers and the writer thread of an embedded log share: the open store, the partitions' live ends,
//! the queue between them. Readers come in through here; it refuses to write entries.

use std::{
    path::Path,
    sync::{PoisonError, RwLock},
};

use bytes::Bytes;

use super::{
    blobs::Blobs,
    directory::Directory,
    store::{Fault, MetaKey, Sizes, Store},
    writer::Command,
};
use crate::{
    Entry, Error, Offset, Partition, READ_BYTES_MAX,
    bounds::{self, every_partition},
    queue::Queue,
    tail::Tail,
};

pub(crate) struct Shared {
    /// The open store, or why there is none at the moment.
    store: RwLock<Result<Store, Error>>,
    /// One per data partition, then that of the control partition.
    tails: Vec<Tail>,
    pub(crate) queue: Queue<Command>,
    pub(crate) blobs: Blobs,
    sizes: Sizes,
    /// Last, so that the lock goes after everything that it protects.
    pub(crate) directory: Directory,
}

impl Shared {
    pub(crate) fn new(directory: Directory, store: Store, sizes: Sizes, tails: Vec<Tail>) -> Result<Self, Error> {
        let blobs = Blobs::open(directory.blobs())?;
        Ok(Self { store: RwLock::new(Ok(store)), tails, queue: Queue::new(), blobs, sizes, directory })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Every partition, in the order of [`Shared::index`].
    pub(crate) fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        every_partition(self.directory.manifest().partitions)
    }

    /// Place of a partition among the tails.
    pub(crate) fn index(&self, partition: Partition) -> Result<usize, Error> {
        bounds::index(partition, self.directory.manifest().partitions)
    }

    pub(crate) fn tail(&self, partition: Partition) -> Result<&Tail, Error> {
        Ok(&self.tails[self.index(partition)?])
    }

    pub(crate) fn tails(&self) -> &[Tail] {
        &self.tails
    }

    /// Reads entries of `range`, all readable a moment ago, from the store. May block on the disk.
    pub(crate) fn read_stored(
        &self,
        partition: Partition,
        range: std::ops::Range<Offset>,
    ) -> Result<Vec<Entry>, Error> {
        let tail = self.tail(partition)?;
        let entries = self.with_store(|store| store.scan(self.path(), partition, range.clone(), READ_BYTES_MAX))?;
        let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
        let gapless = entries.iter().map(|entry| entry.offset).eq(range.clone().take(entries.len()));
        let complete = bytes > READ_BYTES_MAX || entries.len() as u64 == range.end - range.start;
        if gapless && complete {
            return Ok(entries);
        }
        // Something is missing: either it was trimmed away meanwhile, or it is lost.
        tail.check(range.start - 1, tail.offset())?;
        let what = format!("partition {partition} misses entries between {} and {}", range.start, range.end - 1);
        Err(Error::Corrupt { what })
    }

    /// Small keys and the store's own marks after this one, with their values, until they are many bytes.
    pub(crate) fn meta_page(&self, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Bytes)>, Error> {
        self.with_store(|store| store.meta_page(self.path(), after, READ_BYTES_MAX))
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Puts another store in place; answers the one before, or why there was none.
    pub(crate) fn replace(&self, store: Store) -> Result<Store, Error> {
        std::mem::replace(&mut *self.store.write().unwrap_or_else(PoisonError::into_inner), Ok(store))
    }

    pub(crate) fn get(&self, key: &MetaKey) -> Result<Option<Bytes>, Error> {
        self.with_store(|store| store.get(self.path(), key))
    }

    pub(crate) fn get_number(&self, key: &MetaKey) -> Result<u64, Error> {
        self.with_store(|store| store.get_number(self.path(), key))
    }

    /// Runs a write of the writer thread.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&Store) -> Result<T, Fault>) -> Result<T, Fault> {
        match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(store) => write(store),
            Err(error) => Err(Fault::Failed(error.clone())),
        }
    }

    /// Opens the store anew after a failed write. Whatever of that write came to light is removed again:
    /// entries beyond the readable ends, and the values in `undo` are put back. Readers wait meanwhile.
    pub(crate) fn reopen(&self, cause: &Error, undo: &[(MetaKey, Option<Bytes>)]) -> Result<(), Error> {
        let mut slot = self.store.write().unwrap_or_else(PoisonError::into_inner);
        // fjall releases its files and its own lock only when the last handle is gone.
        *slot = Err(cause.clone());
        let settled = Store::open(&self.directory.store(), self.sizes).and_then(|store| {
            self.settle(&store, undo)?;
            Ok(store)
        });
        let outcome = settled.as_ref().map(|_| ()).map_err(Error::clone);
        *slot = settled;
        outcome
    }

    fn settle(&self, store: &Store, undo: &[(MetaKey, Option<Bytes>)]) -> Result<(), Error> {
        for (partition, tail) in self.partitions().zip(&self.tails) {
            let (found, acknowledged) = (store.extent(self.path(), partition)?.tail, tail.offset());
            if found < acknowledged {
                let what = format!("partition {partition} ends at {found}, {acknowledged} was acknowledged");
                return Err(Error::Corrupt { what });
            }
            if found > acknowledged {
                store.truncate(self.path(), partition, acknowledged)?;
            }
        }
        store.put(self.path(), undo).map_err(|fault| fault.into_error(self.path()))
    }

    fn with_store<T>(&self, read: impl FnOnce(&Store) -> Result<T, Error>) -> Result<T, Error> {
        match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(store) => read(store),
            Err(error) => Err(error.clone()),
        }
    }
}
