//! What can go wrong with a log, in words for an operator. No payload, key or subject id ever gets
//! into a text, only sizes, offsets and the log's own directory.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Offset, Partition};

/// Why the log refused or failed. Cheap to clone: one failed commit answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The operating system failed a read or a write.
    #[error("log cannot {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// No space is left. Appends succeed again by themselves soon after there is some.
    #[error("disk is full under {}: nothing of this write was kept, free some space and try again", path.display())]
    Full {
        /// The log's directory.
        path: PathBuf,
    },
    /// Redis has no memory left for an entry. Appends succeed again once there is some.
    #[error("{place} is out of memory: nothing of this write was kept; raise its maxmemory, or trim the log")]
    OutOfMemory {
        /// Address of the Redis.
        place: String,
    },
    /// What is to hold the log would not keep it.
    #[error("{what}")]
    Unfit {
        /// What is wrong, and how to mend it.
        what: String,
    },
    /// What was removed could not be made gone from the log's files.
    #[error("what was removed is not gone from the log's files yet: {what}")]
    NotPurged {
        /// What stands in the way, and what to do.
        what: String,
    },
    /// Another process, or this one, has the directory open.
    #[error(
        "log directory {} is in use by another process: stop the server that runs on it, read from that server instead, or choose another directory",
        path.display()
    )]
    Locked {
        /// The log's directory.
        path: PathBuf,
    },
    /// The directory is to be read but holds no log.
    #[error("no log in {}: is this the right directory", path.display())]
    NotALog {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The reader stands before the first kept entry.
    #[error("entries were trimmed away: the first one kept is {first}")]
    Trimmed {
        /// Offset of the first entry that can still be read.
        first: Offset,
    },
    /// The reader stands past the last entry: the log lost its tail, or this is another log.
    #[error("offset {after} lies past the last entry {tail}: the log lost its end or is another log")]
    BeyondTail {
        /// Where the reader stands.
        after: Offset,
        /// Offset of the last entry.
        tail: Offset,
    },
    /// What is stored is not what was written.
    #[error("log is damaged: {what}")]
    Corrupt {
        /// What was found, and where.
        what: String,
    },
    /// The log was created with another number of data partitions.
    #[error("log in {} has {stored} partitions, not {asked}: their number is fixed when a log is created", path.display())]
    PartitionMismatch {
        /// The log's directory.
        path: PathBuf,
        /// Partitions of the log.
        stored: u16,
        /// Partitions asked for.
        asked: u16,
    },
    /// A setting or an argument is outside its range.
    #[error("{what} is {value}, must be {least} to {most}")]
    OutOfRange {
        /// Which setting or argument.
        what: &'static str,
        /// What was given.
        value: u64,
        /// The smallest that is accepted.
        least: u64,
        /// The greatest that is accepted.
        most: u64,
    },
    /// There is no such partition.
    #[error("partition {partition} does not exist: the log has {partitions} data partitions")]
    UnknownPartition {
        /// The partition asked for.
        partition: Partition,
        /// Data partitions of the log.
        partitions: u16,
    },
    /// One thing exceeds its bound.
    #[error("{what} of {size} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// Too many callers wait already.
    #[error("log is overloaded: no more than {limit} {what} may wait for it")]
    Overloaded {
        /// What waits, callers or bytes.
        what: &'static str,
        /// How many may wait.
        limit: usize,
    },
    /// The log was closed, or its writer ended.
    #[error("log is closed")]
    Closed,
}

impl Error {
    /// Sorts a failure of the system: a disk without space is something an operator can mend at once.
    pub(crate) fn io(action: &'static str, directory: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: directory.to_owned() },
            _ => Self::Io { action, source: Arc::new(source) },
        }
    }

    /// Refuses what exceeds its bound.
    pub(crate) fn if_too_large(what: &'static str, size: usize, limit: usize) -> Result<(), Self> {
        if size > limit { Err(Self::TooLarge { what, size, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_and_named() {
        let full = Error::io("append", Path::new("/data/log"), io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Error::Full { .. }));
        assert!(full.to_string().contains("/data/log"), "{full}");
        let other = Error::io("append", Path::new("/data/log"), io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(other.to_string(), "log cannot append: permission denied");
    }

    #[test]
    fn a_bound_is_inclusive_and_named() {
        assert!(Error::if_too_large("payload bytes", 8, 8).is_ok());
        let refused = Error::if_too_large("payload bytes", 9, 8).unwrap_err();
        assert_eq!(refused.to_string(), "payload bytes of 9 exceeds the limit of 8");
    }
}
