//! Errors of the engine. Texts carry no personal data: fields and limits, never ids or values of customers.

use std::path::PathBuf;

use tactful_core::decide::FieldError;

use crate::catalog::CatalogProblem;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request has wrong fields.
    #[error("{} field(s) of the request are wrong", .0.len())]
    Invalid(Vec<FieldError>),
    /// The catalogue is wrong; nothing of it was taken.
    #[error("the catalogue has {} problem(s):\n{}", .0.len(), texts(.0).join("\n"))]
    Catalog(Vec<CatalogProblem>),
    /// The model in use does not fit the catalogue, of which nothing was taken.
    #[error("the model in use does not fit this catalogue: {0}; load a model that fits both, or keep what it reads")]
    Unfit(String),
    /// The model was refused; the old one stays.
    #[error("the model was refused: {0}")]
    Model(String),
    /// The log refused or failed.
    #[error(transparent)]
    Log(#[from] tactful_log::Error),
    /// The folder of the snapshots cannot be used.
    #[error("cannot {action} the folder of the snapshots {}: {source}", path.display())]
    Snapshots {
        /// What was being done.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file with the list of erasures cannot be used.
    #[error("the list of erasures {}: {source}", path.display())]
    EraseList {
        /// The file.
        path: PathBuf,
        /// The system's answer, or what is wrong with it.
        source: std::io::Error,
    },
    /// The archive refused or failed.
    #[error(transparent)]
    Archive(#[from] crate::archive::Error),
    /// What was asked for was trimmed from the log, and its archive is not at hand.
    #[error("what was trimmed from the log is in archive {archive:016x}, which is not at hand: name its directory")]
    ArchiveAbsent {
        /// The archive, as its file archive.id names it.
        archive: u64,
    },
    /// Too many erasures go on at once.
    #[error("{most} erasures go on already: try again when some are done")]
    TooManyErasures {
        /// The bound.
        most: usize,
    },
    /// Others changed the same thing, again and again.
    #[error("others change the same at this moment: try again")]
    Busy,
    /// More nodes follow the log than may.
    #[error("more than {most} nodes follow this log: stop those that are not needed")]
    TooManyNodes {
        /// The bound.
        most: usize,
    },
    /// A schema cannot be used by this program.
    #[error("cannot use the schema: {0}")]
    Schema(String),
    /// The engine is being shut down.
    #[error("the engine is shutting down")]
    Closed,
}

impl Error {
    /// Something that a field names is not there.
    pub(crate) fn missing(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into(), not_found: true }])
    }

    /// Whether a partition cannot be followed any further.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Log(error) => LogFailure::of(error) == LogFailure::Damaged,
            // To fold on by another schema than the log says would be wrong in silence.
            Self::Schema(_) => true,
            _ => false,
        }
    }

    /// A catalogue of the log that cannot be had.
    pub(crate) fn lost_catalog(why: &str) -> Self {
        let message = format!("the catalogue in use cannot be read: {why}");
        let hint = "look after the log's blobs, or put a catalogue into use with a new one".into();
        Self::Catalog(vec![CatalogProblem { file: "".into(), line: 0, column: 0, message, hint }])
    }

    /// One wrong field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into(), not_found: false }])
    }
}

fn texts(problems: &[CatalogProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// What kind of failure of the log a caller meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFailure {
    /// No space is left.
    Full,
    /// It cannot answer now; later it may.
    Unavailable,
    /// What it holds is not what was written.
    Damaged,
    /// It refused what it was asked.
    Refused,
}

impl LogFailure {
    /// The kind of an error of the log.
    #[must_use]
    pub fn of(error: &tactful_log::Error) -> Self {
        use tactful_log::Error as Log;
        match error {
            Log::Full { .. } | Log::OutOfMemory { .. } => Self::Full,
            Log::Io { .. } | Log::NotPurged { .. } | Log::Closed | Log::Overloaded { .. } | Log::Locked { .. } => {
                Self::Unavailable
            }
            Log::Corrupt { .. } | Log::Trimmed { .. } | Log::BeyondTail { .. } => Self::Damaged,
            Log::NotALog { .. }
            | Log::Unfit { .. }
            | Log::PartitionMismatch { .. }
            | Log::OutOfRange { .. }
            | Log::UnknownPartition { .. }
            | Log::TooLarge { .. } => Self::Refused,
        }
    }
}
