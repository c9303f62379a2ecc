//! What can go wrong with the archive. Texts name files and offsets, never what a segment holds.

use std::io;
use std::path::{Path, PathBuf};

/// Why the archive refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system failed a read or a write.
    #[error("archive cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of the archive is not what was written.
    #[error("archive file {} is damaged: {what}; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A segment is not there.
    #[error(
        "archive {} lacks the entries {first} to {last} of partition {partition}: a segment was lost; restore it from a copy",
        directory.display()
    )]
    Missing {
        /// The archive.
        directory: PathBuf,
        /// Data partition.
        partition: u16,
        /// First offset that no segment covers.
        first: u64,
        /// Last offset that no segment covers.
        last: u64,
    },
    /// The directory is not the archive of this log.
    #[error(
        "{} is not archive {archive:016x} of this log: set `archive` to the directory that its nodes share",
        directory.display()
    )]
    Elsewhere {
        /// The directory asked for.
        directory: PathBuf,
        /// The archive that the log names.
        archive: u64,
    },
    /// The directory holds the archive of another log.
    #[error("{} holds the archive of another log: set `archive` to a directory of its own", directory.display())]
    OtherLog {
        /// The directory asked for.
        directory: PathBuf,
    },
    /// Another process has been writing for long.
    #[error("archive {} is being written by another process: try again", directory.display())]
    Locked {
        /// The archive.
        directory: PathBuf,
    },
    /// More was trimmed away unarchived than is kept book of.
    #[error("more than {limit} gaps: the log is trimmed before it is archived; let nothing but Tactful trim it")]
    Gaps {
        /// The bound.
        limit: usize,
    },
    /// Another node has taken the role of the archiver.
    #[error("another node has become the archiver")]
    Fenced,
}

impl Error {
    /// A failure of the system with this file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// A damaged file.
    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Whether a file that was there a moment ago is there no more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
