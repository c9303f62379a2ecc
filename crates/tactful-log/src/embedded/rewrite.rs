//! Makes what was removed physically gone: what is kept is copied to a new store, the writer thread puts it in place
//! between two commits, and the directory of the old one is removed with everything that its journals, tables and
//! caches still hold. The store's own compaction would not do: its journal keeps what was written until it has grown
//! to 64 MB, also across restarts.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{Arc, mpsc},
};

use bytes::Bytes;

use super::{
    directory::sync_directory,
    shared::Shared,
    store::{MetaKey, Store},
    writer::{Command, Writer},
};
use crate::{Error, Offset, Partition, Purged, READ_ENTRIES_MAX, queue::Room, tail::Tail};

/// Entries that may be left to the writer thread, which appends nothing meanwhile, and rounds of copying until then.
const REST_MAX: u64 = 1_024;
const ROUNDS_MAX: usize = 8;

/// What no process reaches.
const OUTSIDE: [&str; 2] = [
    "backups and snapshots of the log's directory",
    "blocks that the file system has freed and not yet overwritten, swap and core files",
];

/// How far the copying of a partition has come.
pub(crate) struct Progress {
    /// First entry of the copy.
    first: Offset,
    /// First entry not copied yet.
    next: Offset,
}

/// Blocks until what was removed is gone. `room` is for the switch.
pub(crate) fn purge(shared: &Arc<Shared>, room: Room) -> Result<Purged, Error> {
    let name = shared.directory.next_store();
    let path = shared.directory.store_path(&name);
    let old_path = shared.directory.store();
    remove(shared, &path)?;
    let old = copy(shared, &name, &path, room).inspect_err(|_| {
        // Unless it may be the store by now. What stays is removed at the next start.
        if shared.directory.store() != path {
            let _kept = remove(shared, &path);
        }
    })?;
    drop(old);
    remove(shared, &old_path)?;
    let mut purged = Purged { outside: &OUTSIDE, ..Purged::default() };
    purged.gone("journal and tables", "what is kept was copied to a new store, and the old one removed");
    purged.gone("blobs", "a blob is a file of its own and is never replaced");
    Ok(purged)
}

/// Copies while the log goes on, then has the copy put in place; answers the old store.
fn copy(shared: &Arc<Shared>, name: &str, path: &Path, room: Room) -> Result<Result<Store, Error>, Error> {
    let store = Store::open(path, shared.sizes())?;
    let start = |tail: &Tail| Progress { first: tail.first(), next: tail.first() };
    let mut progress: Vec<Progress> = shared.tails().iter().map(start).collect();
    for _ in 0..ROUNDS_MAX {
        if copy_entries(shared, &store, &mut progress)? <= REST_MAX {
            break;
        }
    }
    // Most of it reaches the disk before the writer thread has to wait for it.
    store.sync(shared.path())?;
    let (reply, answer) = mpsc::channel();
    let name = name.to_owned();
    shared.queue.push(Command::Run(Box::new(move |writer| {
        // The caller's thread waits for it.
        let _waits = reply.send(writer.replace_store(store, &name, progress));
        drop(room);
    })))?;
    answer.recv().map_err(|_| Error::Closed)?
}

/// Copies what is readable and not copied yet; says how many entries that were.
fn copy_entries(shared: &Shared, store: &Store, progress: &mut [Progress]) -> Result<u64, Error> {
    let mut copied = 0;
    for (partition, own) in shared.partitions().zip(progress) {
        let tail = shared.tail(partition)?;
        let end = tail.offset() + 1;
        while own.next < end {
            if shared.queue.is_closed() {
                return Err(Error::Closed);
            }
            own.next = own.next.max(tail.first());
            let range = own.next..end.min(own.next + READ_ENTRIES_MAX as u64);
            if range.is_empty() {
                break;
            }
            let entries = match shared.read_stored(partition, range) {
                // Trimmed meanwhile.
                Err(Error::Trimmed { .. }) => continue,
                read => read?,
            };
            let placed = entries.iter().map(|entry| (partition, entry.offset, &entry.payload));
            store.load(shared.path(), placed).map_err(|fault| fault.into_error(shared.path()))?;
            copied += entries.len() as u64;
            own.next += entries.len() as u64;
        }
    }
    Ok(copied)
}

impl Writer {
    /// Completes a copy of the store and puts it in the store's place; answers the old one. Until then a failure
    /// leaves all as it was.
    fn replace_store(
        &mut self,
        store: Store,
        name: &str,
        mut progress: Vec<Progress>,
    ) -> Result<Result<Store, Error>, Error> {
        self.revive()?;
        let shared = Arc::clone(&self.shared);
        let into_error = |fault: super::store::Fault| fault.into_error(shared.path());
        copy_entries(&shared, &store, &mut progress)?;
        let mut after = None;
        loop {
            let page = shared.meta_page(after.as_deref())?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            store.load_meta(shared.path(), &page).map_err(into_error)?;
        }
        // What was trimmed while it was copied is removed from the copy as any trimmed entry is.
        let places = || shared.partitions().zip(&progress).zip(shared.tails());
        let cleared: Vec<(MetaKey, Option<Bytes>)> = places()
            .map(|((partition, own), _)| {
                (MetaKey::Cleared(partition), Some(Bytes::copy_from_slice(&own.first.to_be_bytes())))
            })
            .collect();
        store.put(shared.path(), &cleared).map_err(into_error)?;
        store.sync(shared.path())?;
        let trimmed: Vec<(Partition, std::ops::Range<Offset>)> = places()
            .map(|((partition, own), tail)| (partition, own.first..tail.first()))
            .filter(|(_, range)| !range.is_empty())
            .collect();
        // A switch that may or may not survive a crash: nothing may be appended to either store then.
        let switched = shared.directory.switch(name);
        if let Err(error) = &switched
            && shared.directory.store() == shared.directory.store_path(name)
        {
            self.stop(error);
        }
        switched?;
        self.retrim(trimmed);
        Ok(shared.replace(store))
    }
}

fn remove(shared: &Shared, path: &Path) -> Result<(), Error> {
    let removed = match fs::remove_dir_all(path) {
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| sync_directory(path.parent().unwrap_or(path))),
    };
    removed.map_err(|source| Error::io("remove a store", shared.path(), source))
}
