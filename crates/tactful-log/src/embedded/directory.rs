//! The directory of an embedded log: its lock, its manifest, and its birth as a whole. It refuses a
//! directory that someone else has open, a manifest it does not understand, and another partition count.
//!
//! ```text
//! lock            held for as long as the log is open
//! data/           complete from the moment it has this name (built as data.new, synced, renamed)
//!   manifest      format, number of partitions, epoch
//!   current       name of the store's directory; without this file it is `store`
//!   store/        fjall; `store.1` and so on after a purge. Any other than the current one is removed at the start
//!   blobs/        one file per blob
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{Error, unique};

const FORMAT: u32 = 1;
/// File that names the store's directory, that directory at first, and how the later ones begin.
const CURRENT: &str = "current";
const STORE: &str = "store";
const NUMBERED: &str = "store.";

/// What is fixed for the life of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) partitions: u16,
    pub(crate) epoch: u64,
}

impl Manifest {
    fn new(partitions: u16) -> Self {
        Self { partitions, epoch: unique::number() }
    }

    fn to_text(self) -> String {
        format!("format = {FORMAT}\npartitions = {}\nepoch = {}\n", self.partitions, self.epoch)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let field = |line: Option<&str>, name: &str| -> Result<u64, Error> {
            line.and_then(|line| line.strip_prefix(name)?.strip_prefix(" = ")?.parse().ok())
                .ok_or_else(|| Error::Corrupt { what: format!("the manifest has no valid line for {name}") })
        };
        let mut lines = text.lines();
        let format = field(lines.next(), "format")?;
        if format != u64::from(FORMAT) {
            return Err(Error::Corrupt {
                what: format!("the manifest's format is {format}, this version reads {FORMAT}"),
            });
        }
        let partitions = field(lines.next(), "partitions")?;
        let partitions = u16::try_from(partitions).ok().filter(|&p| (1..=crate::PARTITIONS_MAX).contains(&p));
        let partitions = partitions.ok_or_else(|| Error::Corrupt { what: "the manifest's partitions".to_owned() })?;
        Ok(Self { partitions, epoch: field(lines.next(), "epoch")? })
    }
}

/// An open directory: while this lives, nobody else opens it.
pub(crate) struct Directory {
    path: PathBuf,
    manifest: Manifest,
    /// Name of the store's directory.
    store: Mutex<String>,
    _lock: Lock,
}

/// The right to the directory.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment shares it until it runs.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot unlock the log's directory");
        }
    }
}

impl Directory {
    /// Opens a log's directory. If there is none and `create` is given, makes one with that many partitions,
    /// `build` filling the store.
    pub(crate) fn open(
        path: &Path,
        create: Option<u16>,
        build: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let data = path.join("data");
        let failed = |action| move |source| Error::io(action, path, source);
        if create.is_some() {
            fs::create_dir_all(path).map_err(failed("create its directory"))?;
        } else if !data.is_dir() {
            return Err(Error::NotALog { path: path.to_owned() });
        }
        let lock = lock(path)?;
        if let Some(partitions) = create
            && !data.try_exists().map_err(failed("look into its directory"))?
        {
            let unborn = path.join("data.new");
            match fs::remove_dir_all(&unborn) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove a half-made log")(source));
                }
                _ => {}
            }
            fs::create_dir_all(unborn.join("blobs")).map_err(failed("create its directory"))?;
            write_durably(&unborn.join("manifest"), Manifest::new(partitions).to_text().as_bytes())
                .map_err(failed("write its manifest"))?;
            build(&unborn.join("store"))?;
            sync_directory(&unborn).map_err(failed("sync its directory"))?;
            fs::rename(&unborn, &data).map_err(failed("name its directory"))?;
            sync_directory(path).map_err(failed("sync its directory"))?;
        }
        let text = fs::read_to_string(data.join("manifest")).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::Corrupt { what: format!("{} has lost its manifest", path.display()) },
            _ => failed("read its manifest")(source),
        })?;
        let manifest = Manifest::parse(&text)?;
        let store = current_store(&data, path)?;
        Ok(Self { path: path.to_owned(), manifest, store: Mutex::new(store), _lock: lock })
    }

    /// The directory that the operator named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn manifest(&self) -> Manifest {
        self.manifest
    }

    /// The directory of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.store_path(&self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn store_path(&self, name: &str) -> PathBuf {
        self.path.join("data").join(name)
    }

    /// A name for the store that is to follow.
    pub(crate) fn next_store(&self) -> String {
        let name = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let number: u64 = name.strip_prefix(NUMBERED).and_then(|number| number.parse().ok()).unwrap_or(0);
        format!("{NUMBERED}{}", number + 1)
    }

    /// Makes another directory that of the store, durably and as a whole.
    pub(crate) fn switch(&self, name: &str) -> Result<(), Error> {
        let data = self.path.join("data");
        let failed = |source| Error::io("name its store", &self.path, source);
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let part = data.join("current.part");
        write_durably(&part, name.as_bytes()).map_err(failed)?;
        fs::rename(&part, data.join(CURRENT)).map_err(failed)?;
        name.clone_into(&mut store);
        sync_directory(&data).map_err(failed)
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.path.join("data").join("blobs")
    }

    /// Finds out whether the disk takes `bytes` more, by writing and removing them.
    pub(crate) fn probe(&self, bytes: usize) -> Result<(), Error> {
        let file = self.path.join("data").join("probe");
        let written = write_durably(&file, &vec![0x5a; bytes]);
        let removed = fs::remove_file(&file);
        written.and(removed).map_err(|source| Error::io("write", &self.path, source))
    }
}

/// Name of the store's directory; removes all others, which a purge or a crash of one left.
fn current_store(data: &Path, path: &Path) -> Result<String, Error> {
    let failed = |action| move |source| Error::io(action, path, source);
    let is_store = |name: &str| name == STORE || name.strip_prefix(NUMBERED).is_some_and(|n| n.parse::<u64>().is_ok());
    let current = match fs::read_to_string(data.join(CURRENT)) {
        Ok(name) if is_store(&name) && data.join(&name).is_dir() => name,
        Ok(_) => {
            let what = format!("{} names a store that is not there", data.join(CURRENT).display());
            return Err(Error::Corrupt { what });
        }
        Err(source) if source.kind() == ErrorKind::NotFound => STORE.to_owned(),
        Err(source) => return Err(failed("read the name of its store")(source)),
    };
    for file in fs::read_dir(data).map_err(failed("look into its directory"))? {
        let file = file.map_err(failed("look into its directory"))?;
        if file.file_name().to_str().is_some_and(|name| is_store(name) && name != current) {
            fs::remove_dir_all(file.path()).map_err(failed("remove an old store"))?;
        }
    }
    Ok(current)
}

fn lock(path: &Path) -> Result<Lock, Error> {
    let failed = |source| Error::io("lock its directory", path, source);
    let file = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Writes a whole file and syncs it. The directory entry is the caller's to sync.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_survives_its_text_and_refuses_anything_else() {
        let manifest = Manifest { partitions: 16, epoch: 7 };
        assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
        for text in [
            "",
            "format = 1\n",
            "format = 2\npartitions = 16\nepoch = 7\n",
            "format = 1\npartitions = 0\nepoch = 7\n",
            "format = 1\npartitions = 16385\nepoch = 7\n",
            "format = 1\npartitions = 16\nepoch = -7\n",
            "partitions = 16\nformat = 1\nepoch = 7\n",
        ] {
            assert!(matches!(Manifest::parse(text), Err(Error::Corrupt { .. })), "{text:?}");
        }
        assert_ne!(Manifest::new(16).epoch, Manifest::new(16).epoch);
    }

    #[test]
    fn a_birth_cut_short_is_repeated_and_a_finished_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let cut_short = Directory::open(home.path(), Some(4), |store| {
            fs::create_dir(store).unwrap();
            Err(Error::Closed)
        });
        assert!(matches!(cut_short, Err(Error::Closed)));
        assert!(matches!(Directory::open(home.path(), None, |_| Ok(())), Err(Error::NotALog { .. })));
        let born = Directory::open(home.path(), Some(4), |store| {
            assert!(!store.exists(), "the half-made store is gone");
            Ok(())
        })
        .unwrap();
        let manifest = born.manifest();
        drop(born);
        let again = Directory::open(home.path(), Some(8), |_| panic!("built twice")).unwrap();
        assert_eq!(again.manifest(), manifest);
    }

    #[test]
    fn a_switch_holds_and_what_it_left_behind_is_removed_at_the_start() {
        let home = tempfile::tempdir().unwrap();
        let open = || Directory::open(home.path(), Some(4), |store| fs::create_dir(store).map_err(|_| Error::Closed));
        let directory = open().unwrap();
        let next = directory.next_store();
        fs::create_dir(directory.store_path(&next)).unwrap();
        directory.switch(&next).unwrap();
        assert_eq!(directory.store(), directory.store_path("store.1"));
        assert_eq!(directory.next_store(), "store.2");
        fs::create_dir(directory.store_path("store.2")).unwrap();
        drop(directory);
        let directory = open().unwrap();
        assert_eq!(directory.store(), directory.store_path("store.1"));
        let exists = |name: &str| directory.store_path(name).exists();
        assert_eq!(["store", "store.1", "store.2", "blobs"].map(exists), [false, true, false, true]);
        fs::remove_dir(directory.store()).unwrap();
        drop(directory);
        assert!(matches!(open(), Err(Error::Corrupt { .. })), "a lost store is no empty one");
    }

    #[test]
    fn a_lost_manifest_is_damage_and_not_a_new_log() {
        let home = tempfile::tempdir().unwrap();
        drop(Directory::open(home.path(), Some(4), |_| Ok(())).unwrap());
        fs::remove_file(home.path().join("data/manifest")).unwrap();
        assert!(matches!(Directory::open(home.path(), Some(4), |_| Ok(())), Err(Error::Corrupt { .. })));
    }
}
