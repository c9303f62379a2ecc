//! The folder of a node's snapshots: `p07/00000000000000001234.snap` is partition 7 up to entry 1234. A file
//! gets that name once it is whole; one with the suffix `.part` is left over from a crash and removed. One that could
//! not be used is set aside with the suffix `.bad`: it counts as kept no more, and may be looked into.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tactful_log::Offset;

use super::KEPT;
use crate::error::Error;

const SUFFIX: &str = ".snap";
const TEMPORARY: &str = ".part";
const BAD: &str = ".bad";

/// File in which a folder's node keeps its id.
const NODE: &str = "node";

/// A folder that this process alone writes to.
pub(crate) struct Folder {
    path: PathBuf,
    node: u64,
    /// Held as long as the folder is.
    _lock: File,
}

/// A snapshot that is not whole yet.
pub(super) struct Begun {
    pub(super) file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Folder {
    /// Makes or takes the folder.
    ///
    /// # Errors
    /// If it cannot be written to, or another process has it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |action, source| Error::Snapshots { action, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(|source| failed("make", source))?;
        let lock = File::create(path.join("lock")).map_err(|source| failed("write to", source))?;
        match lock.try_lock() {
            Ok(()) => {
                let node = node_id(&path.join(NODE)).map_err(|source| failed("write to", source))?;
                Ok(Self { path: path.to_owned(), node, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => {
                let source = io::Error::other("another server uses it: give each its own data_dir");
                Err(failed("take", source))
            }
            Err(TryLockError::Error(source)) => Err(failed("lock", source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the node whose snapshots these are.
    pub(crate) fn node(&self) -> u64 {
        self.node
    }

    /// How many files hold a subject id, whole or not.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub(crate) fn mentioning(&self, subject_id: &str) -> Result<u64, Error> {
        let failed = |source| Error::Snapshots { action: "read", path: self.path.clone(), source };
        let mut count = 0;
        for folder in fs::read_dir(&self.path).map_err(failed)? {
            let folder = folder.map_err(failed)?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder).map_err(failed)? {
                let bytes = match fs::read(file.map_err(failed)?.path()) {
                    // A newer one has taken its place.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    read => read.map_err(failed)?,
                };
                count += u64::from(tactful_log::mentions(&bytes, subject_id));
            }
        }
        Ok(count)
    }

    /// Removes the files set aside that end before an entry.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn remove_bad(&self, partition: u16, least: Offset) -> Result<(), Error> {
        let failed = |source| Error::Snapshots { action: "remove a bad file from", path: self.path.clone(), source };
        let bad = with_suffix(&self.path, partition, BAD).map_err(failed)?;
        let mut stale = bad.into_iter().filter(|(offset, _)| *offset < least);
        stale.try_for_each(|(_, path)| fs::remove_file(path)).map_err(failed)
    }

    /// Begins the file of a snapshot.
    pub(super) fn begin(&self, partition: u16, offset: Offset) -> io::Result<Begun> {
        let folder = folder_of(&self.path, partition);
        fs::create_dir_all(&folder)?;
        let temporary = folder.join(format!("{offset:020}{TEMPORARY}"));
        Ok(Begun { file: File::create(&temporary)?, path: folder.join(format!("{offset:020}{SUFFIX}")), temporary })
    }

    /// Keeps the newest files of a partition, but none from before `least`, and removes all else. Answers their
    /// offsets, newest first; those set aside are not among them.
    pub(super) fn prune(&self, partition: u16, least: Offset) -> io::Result<Vec<Offset>> {
        let kept = keep(list(&self.path, partition)?, least)?;
        keep(with_suffix(&self.path, partition, BAD)?, least)?;
        let folder = folder_of(&self.path, partition);
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(TEMPORARY) {
                fs::remove_file(path)?;
            }
        }
        File::open(folder)?.sync_all()?;
        Ok(kept)
    }
}

impl Begun {
    /// Gives the whole file its name, durably.
    pub(super) fn finish(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        let folder = self.path.parent().expect("a snapshot lies in the folder of its partition");
        File::open(folder)?.sync_all()
    }
}

/// Keeps the first few that are not from before `least`, and removes the others. Answers their offsets.
fn keep(files: Vec<(Offset, PathBuf)>, least: Offset) -> io::Result<Vec<Offset>> {
    let mut kept = Vec::with_capacity(KEPT);
    for (offset, path) in files {
        if kept.len() < KEPT && offset >= least {
            kept.push(offset);
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(kept)
}

/// Takes a file that could not be used out of those that are kept, so that nothing relies on it.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension(&BAD[1..]))
}

/// The id that the file holds, or a new one.
fn node_id(path: &Path) -> io::Result<u64> {
    match fs::read_to_string(path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16)
            .map_err(|_| io::Error::other("its file `node` holds no id: remove that file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (id, _) = uuid::Uuid::new_v4().as_u64_pair();
            let whole = path.with_extension("new");
            fs::write(&whole, format!("{id:016x}\n"))?;
            fs::rename(whole, path)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

/// The snapshots of a partition in a folder, newest first. None if there is no folder.
pub(super) fn list(path: &Path, partition: u16) -> io::Result<Vec<(Offset, PathBuf)>> {
    with_suffix(path, partition, SUFFIX)
}

fn with_suffix(path: &Path, partition: u16, suffix: &str) -> io::Result<Vec<(Offset, PathBuf)>> {
    let entries = match fs::read_dir(folder_of(path, partition)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let offset = name.to_str().and_then(|name| name.strip_suffix(suffix)).and_then(|digits| digits.parse().ok());
        found.extend(offset.map(|offset: Offset| (offset, entry.path())));
    }
    found.sort_by_key(|(offset, _)| std::cmp::Reverse(*offset));
    Ok(found)
}

fn folder_of(path: &Path, partition: u16) -> PathBuf {
    path.join(format!("p{partition:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_what_was_left_over_goes() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for offset in [5, 900, 70, 1_000] {
            folder.begin(7, offset).unwrap().finish().unwrap();
        }
        drop(folder.begin(7, 2_000).unwrap());
        assert_eq!(folder.prune(7, 0).unwrap(), [1_000, 900, 70]);
        assert_eq!(fs::read_dir(root.path().join("p07")).unwrap().count(), 3);
        assert!(list(root.path(), 8).unwrap().is_empty());
        assert_eq!(folder.prune(7, 901).unwrap(), [1_000], "no older one may stay");
    }

    #[test]
    fn one_set_aside_counts_no_more_and_goes_when_it_must() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for offset in [5, 70, 900, 1_000] {
            folder.begin(7, offset).unwrap().finish().unwrap();
        }
        let (_, newest) = list(root.path(), 7).unwrap().remove(0);
        set_aside(&newest).unwrap();
        assert_eq!(folder.prune(7, 0).unwrap(), [900, 70, 5]);
        assert!(newest.with_extension("bad").is_file());
        assert!(folder.prune(7, 1_001).unwrap().is_empty());
        assert_eq!(fs::read_dir(root.path().join("p07")).unwrap().count(), 0, "what is erased is in none of them");
    }

    #[test]
    fn two_servers_do_not_share_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let _first = Folder::open(root.path()).unwrap();
        let second = Folder::open(root.path()).err().unwrap().to_string();
        assert!(second.contains("give each its own data_dir"), "{second}");
    }
}
