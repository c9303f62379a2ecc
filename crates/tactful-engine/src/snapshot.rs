//! Snapshots: the whole state of one partition at one offset of the log, in a file, so that a restart
//! replays minutes instead of years, and the log before them may be trimmed.
//!
//! The applier writes its rows out itself, a chunk between two batches, and the old form of a row before it
//! changes one that is not out yet: what is written is the state of the beginning, and nobody waits for
//! longer than a chunk takes. A thread beside it checks, writes and syncs. A snapshot counts once its file
//! has its name; the last three are kept, and one that does not read back is passed over, loudly.

mod file;
mod folder;
mod restore;
mod sweep;
mod taker;

pub(crate) use folder::Folder;
pub(crate) use restore::{Places, restore};
pub(crate) use sweep::Beginning;
pub(crate) use taker::{Shared, Taker};

/// Snapshots kept of each partition.
const KEPT: usize = 3;
