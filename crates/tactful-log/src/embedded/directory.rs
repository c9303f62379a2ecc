//! The directory of an embedded log: its lock, its manifest, and its birth as a whole. It refuses a
//! directory that someone else has open, a manifest it does not understand, and another partition count.
//!
//! ```text
//! lock            held for as long as the log is open
//! data/           complete from the moment it has this name (built as data.new, synced, renamed)
//!   manifest      format, number of partitions, epoch
//!   store/        fjall
//!   blobs/        one file per blob
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{Error, unique};

const FORMAT: u32 = 1;

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
        Ok(Self { path: path.to_owned(), manifest: Manifest::parse(&text)?, _lock: lock })
    }

    /// The directory that the operator named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn manifest(&self) -> Manifest {
        self.manifest
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("data").join("store")
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
    fn a_lost_manifest_is_damage_and_not_a_new_log() {
        let home = tempfile::tempdir().unwrap();
        drop(Directory::open(home.path(), Some(4), |_| Ok(())).unwrap());
        fs::remove_file(home.path().join("data/manifest")).unwrap();
        assert!(matches!(Directory::open(home.path(), Some(4), |_| Ok(())), Err(Error::Corrupt { .. })));
    }
}
