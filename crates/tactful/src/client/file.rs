//! A file that appears whole or not at all: written under another name beside its place, made
//! durable, renamed. It never replaces a device or a pipe.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::output::Usage;

/// A file on its way to its place.
pub(super) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// A file that will be at `path`, replacing an ordinary file there.
    ///
    /// # Errors
    /// If something else than an ordinary file is there, or the directory cannot be written to.
    pub(super) fn create(path: &Path) -> Result<Self> {
        if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            bail!(Usage(format!("{} is no ordinary file and is not replaced", path.display())));
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = builder().tempfile_in(dir).with_context(|| format!("cannot write into {}", dir.display()))?;
        Ok(Self { file, path: path.into() })
    }

    /// Where to write.
    pub(super) fn writer(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn keep(self) -> Result<()> {
        let Self { file, path } = self;
        let failed = || format!("cannot write {}", path.display());
        file.as_file().sync_all().with_context(failed)?;
        file.persist(&path).map(|_| ()).with_context(failed)
    }

    /// Writes all of it and keeps it.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<()> {
        self.writer().write_all(bytes).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.keep()
    }
}

/// Temporary files that are readable as any new file is, not by their owner alone.
#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_kept_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let mut unfinished = NewFile::create(&path).unwrap();
        unfinished.writer().write_all(b"half").unwrap();
        drop(unfinished);
        assert!(!path.exists());
        NewFile::create(&path).unwrap().write(b"old").unwrap();
        NewFile::create(&path).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_an_ordinary_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(NewFile::create(dir.path()).err().is_some_and(|error| error.is::<Usage>()));
        let absent = NewFile::create(&dir.path().join("absent/rows.jsonl"));
        assert!(absent.err().is_some_and(|error| error.to_string().contains("cannot write into")));
    }
}
