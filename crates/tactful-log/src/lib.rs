//! The event log: everything that must survive is an entry here, and all state is a fold over it.
//! This crate has the trait, its real implementations and the conformance suite that each of them
//! passes. Payloads are opaque bytes: it knows no record, no schema and no customer, it never
//! deduplicates, and it never skips an entry silently.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

mod bounds;
pub mod conformance;
mod embedded;
mod erasure;
mod error;
mod queue;
mod redis;
mod slots;
mod tail;
mod unique;

pub use embedded::{EmbeddedLog, Options};
pub use erasure::{Found, Purged, PurgedStore, mentions};
pub use error::Error;
pub use redis::{DeadEntry, DeadList, ErasedEntries, Intake, IntakeEntry, RedisLog, RedisOptions, RedisServer};

/// Data partitions of one log at most: one per hash slot of the partition function.
pub const PARTITIONS_MAX: u16 = 16_384;
/// Longest payload of one entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;
/// Entries of one atomic group.
pub const GROUP_ENTRIES_MAX: usize = 65_536;
/// Payload bytes of one atomic group.
pub const GROUP_BYTES_MAX: usize = 16 << 20;
/// Entries that one read returns at most, whatever its `limit`.
pub const READ_ENTRIES_MAX: usize = 4_096;
/// Payload bytes after which one read stops; it returns at least one entry.
pub const READ_BYTES_MAX: usize = 4 << 20;
/// Longest name of a key, a lease or a lease's holder, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Longest value of a key, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Largest blob, in bytes.
pub const BLOB_BYTES_MAX: usize = 64 << 20;
/// Longest life of a lease between renewals.
pub const LEASE_TTL_MAX: Duration = Duration::from_hours(24);

const _: () = assert!(ENTRY_BYTES_MAX <= GROUP_BYTES_MAX, "every entry fits into a group");
const _: () = assert!(ENTRY_BYTES_MAX <= READ_BYTES_MAX, "a read overshoots its bound by less than itself");

/// One totally ordered sequence of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// Catalogue versions, model versions, alias moves: every node applies them in order.
    Control,
    /// The entries of the subject ids that hash to this number, below [`Log::partitions`].
    Data(u16),
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Control => f.write_str("control"),
            Self::Data(number) => write!(f, "p{number:02}"),
        }
    }
}

/// Place of an entry in its partition. The first entry is 1, the next one 2, without gaps;
/// 0 means before everything.
pub type Offset = u64;

/// One entry as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the partition.
    pub offset: Offset,
    /// What was appended, byte for byte.
    pub payload: Bytes,
}

/// A held lease. Whoever guards a resource compares tokens: a greater one has fenced out all smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Fencing token, strictly increasing per name for the life of the log, restarts included.
    pub token: u64,
    /// When it ends unless renewed, on this process's monotonic clock, never later than the log's
    /// own view. A holder stops a margin before it.
    pub expires_at: Instant,
}

/// Whether some bytes are what is looked for.
pub type Matches = std::sync::Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// An event log with a fixed number of data partitions, one control partition, and beside them blobs,
/// small keys and leases.
///
/// Futures may be dropped at any time: what they had already handed over still happens.
///
/// After an error other than [`Error::TooLarge`], [`Error::UnknownPartition`] and [`Error::Overloaded`]
/// a write was not made as far as this process can see, yet if the process or the machine dies before
/// its next successful write, it may still come to light, whole. Writers make retries idempotent.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Number of data partitions, as written in the log's manifest when it was created.
    fn partitions(&self) -> u16;

    /// Identity of this log, drawn at random when it was created: positions of another epoch mean nothing here.
    fn epoch(&self) -> u64;

    /// What "durable" really means here, in words for an operator.
    fn durability(&self) -> &'static str;

    /// How long nothing has been heard of the log, where it is somewhere else: what others append meanwhile is
    /// not known here. Zero for a log of this machine. No lock, no allocation.
    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    /// Appends all entries as one atomic group: all of them survive or none. Returns their offsets, in
    /// the order given, once they are durable. Within a partition the order is the order given; a group
    /// appended after another was acknowledged comes after it. A slow log makes the caller wait.
    /// A payload is kept in memory for a while: let it own its allocation rather than slice a large buffer.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`ENTRY_BYTES_MAX`], [`GROUP_ENTRIES_MAX`] or [`GROUP_BYTES_MAX`],
    /// [`Error::UnknownPartition`], [`Error::Full`], [`Error::Io`], [`Error::Overloaded`], [`Error::Closed`].
    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error>;

    /// At most `limit` entries after `after`, in order and without gaps; empty if there are none yet.
    /// Fewer than `limit` come at [`READ_ENTRIES_MAX`] or [`READ_BYTES_MAX`]: read on until empty.
    ///
    /// # Errors
    /// [`Error::Trimmed`] if the entry right after `after` was trimmed away, [`Error::BeyondTail`] if `after`
    /// lies past the end (the log lost its tail, or it is another log), [`Error::Corrupt`] if an entry is
    /// missing or damaged, [`Error::UnknownPartition`], [`Error::Io`].
    async fn read(&self, partition: Partition, after: Offset, limit: usize) -> Result<Vec<Entry>, Error>;

    /// Returns once an entry beyond `after` can be read.
    ///
    /// # Errors
    /// [`Error::BeyondTail`], [`Error::UnknownPartition`], [`Error::Closed`].
    async fn wait(&self, partition: Partition, after: Offset) -> Result<(), Error>;

    /// Offset of the last entry, 0 before the first one. Trimming leaves it as it is.
    ///
    /// # Errors
    /// [`Error::UnknownPartition`].
    async fn tail(&self, partition: Partition) -> Result<Offset, Error>;

    /// Removes the entries with an offset smaller than `below`, at most all there are. From then on reading
    /// them is [`Error::Trimmed`], also after a restart; their space is freed in the background.
    ///
    /// # Errors
    /// [`Error::UnknownPartition`], [`Error::Full`], [`Error::Io`], [`Error::Overloaded`], [`Error::Closed`].
    async fn trim(&self, partition: Partition, below: Offset) -> Result<(), Error>;

    /// Makes what was removed before this call physically gone from the log's own files, and returns once it is:
    /// entries that were trimmed, values that were replaced. Trimming alone frees space some time; until then, and
    /// longer, the bytes are there for whoever reads the files. Reading and appending go on meanwhile, with pauses.
    /// What it cannot reach it names in its answer. It costs as much as writing all that is kept once more.
    ///
    /// # Errors
    /// [`Error::NotPurged`] with what to do, [`Error::Full`], [`Error::OutOfMemory`], [`Error::Io`],
    /// [`Error::Overloaded`], [`Error::Closed`]. Some stores may be purged then; call it again.
    async fn purge(&self) -> Result<Purged, Error>;

    /// Counts in every store what matches: payloads of readable entries, names and values of keys, blobs, leases. A
    /// piece at a time, so that memory is bounded, and as of no single moment. Stores without a match are left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`], [`Error::Overloaded`], [`Error::Closed`].
    async fn scan(&self, matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync)) -> Result<Vec<Found>, Error>;

    /// Removes what waits beside the log to be taken in, and what could not be, where a value matches. Its bytes are
    /// gone after the next [`Log::purge`]. A log that nobody else writes to has neither.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Closed`]: some may be removed; ask again.
    async fn erase_beside(&self, _matches: Matches) -> Result<ErasedEntries, Error> {
        Ok(ErasedEntries::default())
    }

    /// Stores `bytes` durably under their sha256 and returns it. Storing the same bytes again is free.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`BLOB_BYTES_MAX`], [`Error::Full`], [`Error::Io`], [`Error::Overloaded`].
    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], Error>;

    /// The blob with this sha256, verified while it is read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if what is stored does not hash to it, [`Error::Io`].
    async fn get_blob(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error>;

    /// Value of a small key.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`NAME_BYTES_MAX`], [`Error::Overloaded`], [`Error::Corrupt`], and [`Error::Full`]
    /// or [`Error::Io`] while the store is out of order.
    async fn get_key(&self, key: &str) -> Result<Option<Bytes>, Error>;

    /// Sets `key` to `value`, durably, if its value is `expected` (`None`: absent) at that moment; says whether it did.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`NAME_BYTES_MAX`] or [`VALUE_BYTES_MAX`], [`Error::Full`], [`Error::Io`],
    /// [`Error::Overloaded`], [`Error::Closed`].
    async fn compare_and_set(&self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error>;

    /// Takes the lease `name` for `ttl`; `None` while someone else holds it. The same holder gets it anew,
    /// with a greater token, so that its own earlier life is fenced out too.
    ///
    /// # Errors
    /// As [`Log::compare_and_set`], and [`Error::TooLarge`] beyond [`LEASE_TTL_MAX`].
    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error>;

    /// Extends a lease to `ttl` from now and moves its `expires_at`; false, and no change, if it ended or was taken over.
    ///
    /// # Errors
    /// As [`Log::acquire_lease`].
    async fn renew_lease(&self, lease: &mut Lease, ttl: Duration) -> Result<bool, Error>;

    /// Gives a lease back before its end; false if it was no longer held.
    ///
    /// # Errors
    /// As [`Log::acquire_lease`].
    async fn release_lease(&self, lease: &Lease) -> Result<bool, Error>;
}
