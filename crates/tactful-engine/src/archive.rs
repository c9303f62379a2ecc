//! The archive: decisions, exposures and outcomes of the log as Parquet files, so that the log may be
//! trimmed and data scientists may read them. One node at a time writes it, under a lease; a key of the
//! log says how far it is. Whatever can fail in between leaves it whole: a segment appears under its name
//! once it is durable, the mark moves after it, and what lies beyond the mark is written again.
//!
//! It never changes the log, and never reads a damaged segment without saying so.

mod archiver;
mod columns;
mod directory;
mod erase;
mod error;
mod marks;
mod merge;
mod row;
mod scan;
mod segment;
mod takeover;

use std::path::PathBuf;
use std::time::Duration;

pub use directory::Archive;
pub use erase::{Erased, Hit};
pub use error::Error;
pub use marks::marks;

pub(crate) use archiver::Archiver;
pub(crate) use scan::Scan;

/// Rows of one segment.
pub const SEGMENT_ROWS_MAX: usize = 65_536;
/// Payload bytes after which a segment is full; it may hold one entry more.
pub const SEGMENT_BYTES_MAX: usize = 32 << 20;
/// A segment file that is larger was not written here.
const FILE_BYTES_MAX: u64 = 256 << 20;
const _: () = assert!((SEGMENT_BYTES_MAX + tactful_log::ENTRY_BYTES_MAX) as u64 * 4 <= FILE_BYTES_MAX);

/// Where and how often a node archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its directory, shared by all nodes that may write it.
    pub directory: PathBuf,
    /// How often what is new is written out.
    pub every: Duration,
    /// How long the role of the archiver outlives a node that died with it.
    pub lease: Duration,
}

impl Options {
    /// The usual ones for a directory: every minute, and a lease of half a minute.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), every: Duration::from_secs(60), lease: Duration::from_secs(30) }
    }
}

/// Runs what blocks beside the runtime's own work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, crate::error::Error> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| crate::error::Error::Closed)??)
}
