//! The archive's directory: whose it is, its files, written so that they appear whole or not at all, and a lock
//! for those who change it. Everything here blocks.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tactful_log::{Log, Offset};

use super::columns::{Contents, encode};
use super::marks::Marks;
use super::row::{Of, Row};
use super::segment::{Segment, folder};
use super::{Error, FILE_BYTES_MAX};
use crate::error;

/// File that names the archive and its log.
const ID_FILE: &str = "archive.id";
/// File that is locked by whoever changes the archive.
const LOCK_FILE: &str = "archive.lock";
/// File with the greatest fencing token of an archiver that has changed the archive.
const FENCE_FILE: &str = "archive.fence";
/// How long another process may change it before this one gives up, and the pause between two looks.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Ending of a file that is not whole yet.
const UNFINISHED: &str = ".tmp";

/// The archive of a log, in a directory of this machine or one that its nodes share.
#[derive(Debug)]
pub struct Archive {
    directory: PathBuf,
    id: u64,
}

impl Archive {
    /// The archive of this log, if it has one and this directory is it.
    ///
    /// # Errors
    /// If the log fails, or the directory cannot be read.
    pub async fn find(log: &dyn Log, directory: &Path) -> Result<Option<Arc<Self>>, error::Error> {
        let Some(marks) = Marks::load(log).await? else { return Ok(None) };
        let (directory, epoch) = (directory.to_owned(), log.epoch());
        let named = super::blocking(move || Ok((read_id(&directory)?, directory))).await?;
        let (Some(id), directory) = named else { return Ok(None) };
        let own = id == Id { archive: marks.archive_id(), log: epoch };
        Ok(own.then(|| Arc::new(Self { directory, id: id.archive })))
    }

    /// The archive of this log in this directory, made if the log has none yet.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] if the log's archive is another directory, [`Error::OtherLog`] if the directory
    /// is another log's; if the log fails, or the directory cannot be written.
    pub async fn open(log: &dyn Log, directory: &Path) -> Result<Arc<Self>, error::Error> {
        if let Some(archive) = Self::find(log, directory).await? {
            return Ok(archive);
        }
        if let Some(marks) = Marks::load(log).await? {
            return Err(Error::Elsewhere { directory: directory.into(), archive: marks.archive_id() }.into());
        }
        let (path, epoch) = (directory.to_owned(), log.epoch());
        let id = super::blocking(move || make_id(&path, epoch)).await?;
        if id.log != epoch {
            return Err(Error::OtherLog { directory: directory.into() }.into());
        }
        // Another node may have been quicker: then its marks count, which the next look finds.
        match Marks::new(id.archive).save(log).await {
            Ok(()) | Err(error::Error::Archive(Error::Fenced)) => {}
            Err(error) => return Err(error),
        }
        let found = Self::find(log, directory).await?;
        found.ok_or_else(|| Error::Elsewhere { directory: directory.into(), archive: id.archive }.into())
    }

    /// One in any directory, of no log.
    #[cfg(test)]
    pub(super) fn at(directory: &Path) -> Self {
        Self { directory: directory.into(), id: 0 }
    }

    /// Its name, drawn at random when it was made.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes all others wait who want to change the archive, on any machine, until it is dropped.
    pub(super) fn lock(&self) -> Result<File, Error> {
        lock(&self.directory)
    }

    /// As [`Archive::lock`], for the archiver with this fencing token: one that was replaced changes nothing more.
    pub(super) fn lock_as(&self, token: u64) -> Result<File, Error> {
        let lock = self.lock()?;
        let path = self.directory.join(FENCE_FILE);
        let greatest = match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse().map_err(|_| Error::damaged(&path, "it holds no number"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        if token < greatest {
            return Err(Error::Fenced);
        }
        if token > greatest {
            replace(&path, format!("{token}\n").as_bytes())?;
        }
        Ok(lock)
    }

    /// The segments of a partition by their first offset, longer ones first; and unfinished files of it.
    pub(super) fn list(&self, partition: u16) -> Result<(Vec<Segment>, Vec<PathBuf>), Error> {
        let (mut segments, mut unfinished) = (Vec::new(), Vec::new());
        for hour in entries(&self.directory.join(folder(partition)))? {
            if hour.is_dir() {
                list_hour(partition, &hour, &mut segments, &mut unfinished)?;
            }
        }
        segments.sort_unstable_by_key(Segment::order);
        Ok((segments, unfinished))
    }

    /// The segments of a partition's hour, as [`Archive::list`] has them.
    pub(super) fn list_hour(&self, partition: u16, hour: i64) -> Result<Vec<Segment>, Error> {
        let folder = Segment { partition, hour, first: 1, last: 1 }.file(&self.directory);
        let folder = folder.parent().expect("a segment lies in the folder of its hour");
        let mut segments = Vec::new();
        list_hour(partition, folder, &mut segments, &mut Vec::new())?;
        segments.sort_unstable_by_key(Segment::order);
        Ok(segments)
    }

    /// Writes a segment; answers its bytes. It replaces one of the same name.
    pub(super) fn write(&self, segment: &Segment, rows: &[Row]) -> Result<u64, Error> {
        let path = segment.file(&self.directory);
        let file = encode(segment, rows).map_err(|error| Error::Io {
            action: "encode",
            path: path.clone(),
            source: io::Error::other(error),
        })?;
        let hour = path.parent().expect("a segment lies in the folder of its hour");
        if !hour.is_dir() {
            make_folders(&self.directory, hour)?;
        }
        replace(&path, &file)?;
        Ok(file.len() as u64)
    }

    /// Opens a segment and proves it to be what was written.
    pub(super) fn open_segment(&self, segment: &Segment) -> Result<Contents, Error> {
        let path = segment.file(&self.directory);
        let bytes = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(Error::damaged(&path, format!("it has {bytes} bytes, more than any segment")));
        }
        let file = fs::read(&path).map_err(Error::io("read", &path))?;
        Contents::open(segment, &path, file)
    }

    /// The entries of a segment with their offsets.
    pub(super) fn read(&self, segment: &Segment) -> Result<Vec<(Offset, Bytes)>, Error> {
        let entries = self.open_segment(segment)?.entries();
        entries.map_err(|error| Error::damaged(&segment.file(&self.directory), error.to_string()))
    }

    /// The rows of a segment.
    pub(super) fn rows(&self, segment: &Segment) -> Result<Vec<Row>, Error> {
        let row = |(offset, payload)| match Row::of(offset, &payload) {
            Of::Row(row) => Ok(*row),
            Of::Other | Of::Unreadable => {
                let what = format!("its row of offset {offset} is no record of this version of tactful");
                Err(Error::damaged(&segment.file(&self.directory), what))
            }
        };
        self.read(segment)?.into_iter().map(row).collect()
    }

    /// Bytes of a segment's file.
    pub(super) fn bytes(&self, segment: &Segment) -> u64 {
        fs::metadata(segment.file(&self.directory)).map_or(0, |about| about.len())
    }

    /// Removes a file of the archive.
    pub(super) fn remove(path: &Path) -> Result<(), Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
            _ => Ok(()),
        }
    }
}

/// What the directory says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    archive: u64,
    log: u64,
}

fn read_id(directory: &Path) -> Result<Option<Id>, Error> {
    let path = directory.join(ID_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let id = text.trim_end().split_once(' ').and_then(|(id, log)| Some(Id { archive: number(id)?, log: number(log)? }));
    id.map(Some).ok_or_else(|| Error::damaged(&path, "it does not name an archive and its log"))
}

/// What the directory says it is, once it says something.
fn make_id(directory: &Path, log: u64) -> Result<Id, Error> {
    fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
    let _lock = lock(directory)?;
    if let Some(id) = read_id(directory)? {
        return Ok(id);
    }
    let archive = uuid::Uuid::new_v4().as_u64_pair().0;
    replace(&directory.join(ID_FILE), format!("{archive:016x} {log:016x}\n").as_bytes())?;
    Ok(Id { archive, log })
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK_FILE);
    let file = File::options().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_WAIT_MAX => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { directory: directory.into() }),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
    }
}

/// What is in a folder; nothing if there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect()),
    };
    listed.map_err(Error::io("list", folder))
}

/// What is in the folder of a partition's hour.
fn list_hour(
    partition: u16,
    folder: &Path,
    segments: &mut Vec<Segment>,
    unfinished: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hour = last(folder);
    for file in entries(folder)? {
        let name = last(&file);
        match Segment::parse(partition, &hour, &name) {
            Some(segment) => segments.push(segment),
            None if name.ends_with(UNFINISHED) => unfinished.push(file),
            None => {}
        }
    }
    Ok(())
}

/// Makes the folders down to `folder`, durably.
fn make_folders(directory: &Path, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    for above in folder.ancestors().skip(1) {
        sync(above)?;
        if above == directory {
            break;
        }
    }
    Ok(())
}

/// Puts a file in its place, whole and durable.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{:016x}{UNFINISHED}", uuid::Uuid::new_v4().as_u64_pair().0));
    let unfinished = PathBuf::from(unfinished);
    let written = File::create_new(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if let Err(error) = written {
        // It would take space that is perhaps short.
        let _ = fs::remove_file(&unfinished);
        return Err(Error::io("write", path)(error));
    }
    path.parent().map_or(Ok(()), sync)
}

/// Makes names in a folder durable.
fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}
