//! How far each partition is in the archive: one key of the log, changed by compare-and-set, so that an
//! archiver that was replaced without noticing cannot move it.

use bytes::Bytes;
use prost::Message;
use tactful_log::{Log, Offset};
use tactful_proto::storage::{ArchiveGap, ArchiveMark, ArchiveMarks};

use super::Error;
use crate::error;

/// The key.
const KEY: &str = "archive:marks";
/// Gaps of which a book is kept.
const GAPS_MAX: usize = 1_024;
const _: () = assert!(
    GAPS_MAX * 32 + tactful_log::PARTITIONS_MAX as usize * 26 <= tactful_log::VALUE_BYTES_MAX,
    "marks and gaps fit into one value"
);

/// For each data partition the offset up to which everything is archived: what the log may be trimmed to. None
/// if the log has no archive.
///
/// # Errors
/// If the log fails.
pub async fn marks(log: &dyn Log) -> Result<Option<Vec<Offset>>, error::Error> {
    let marks = Marks::load(log).await?;
    Ok(marks.map(|marks| (0..log.partitions()).map(|partition| marks.of(partition).offset).collect()))
}

/// The marks as they were read or written last.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    body: ArchiveMarks,
    /// The value of the key.
    stored: Option<Bytes>,
}

impl Marks {
    /// What the log says.
    pub(super) async fn load(log: &dyn Log) -> Result<Option<Self>, error::Error> {
        let Some(stored) = log.get_key(KEY).await? else { return Ok(None) };
        let body = ArchiveMarks::decode(stored.as_ref()).map_err(|_| tactful_log::Error::Corrupt {
            what: format!("its key {KEY} is not what the archiver wrote"),
        })?;
        Ok(Some(Self { body, stored: Some(stored) }))
    }

    /// Those of a new archive, not stored yet.
    pub(super) fn new(archive_id: u64) -> Self {
        Self { body: ArchiveMarks { archive_id, ..ArchiveMarks::default() }, stored: None }
    }

    /// Stores them unless somebody else has changed them.
    pub(super) async fn save(&mut self, log: &dyn Log) -> Result<(), error::Error> {
        let value = Bytes::from(self.body.encode_to_vec());
        if !log.compare_and_set(KEY, self.stored.clone(), value.clone()).await? {
            return Err(Error::Fenced.into());
        }
        self.stored = Some(value);
        Ok(())
    }

    /// The archive that they speak of.
    pub(super) fn archive_id(&self) -> u64 {
        self.body.archive_id
    }

    /// One partition's mark.
    pub(super) fn of(&self, partition: u16) -> ArchiveMark {
        self.body.partitions.get(usize::from(partition)).copied().unwrap_or_default()
    }

    /// Moves one partition's mark, to be stored.
    pub(super) fn set(&mut self, partition: u16, mark: ArchiveMark) {
        let index = usize::from(partition);
        if self.body.partitions.len() <= index {
            self.body.partitions.resize(index + 1, ArchiveMark::default());
        }
        self.body.partitions[index] = mark;
    }

    /// Whether something is to be stored.
    pub(super) fn changed(&self) -> bool {
        self.stored.as_deref() != Some(self.body.encode_to_vec().as_slice())
    }

    /// Notes that entries after the mark were trimmed away unarchived, and moves the mark past them.
    pub(super) fn add_gap(&mut self, partition: u16, last: Offset) -> Result<(), Error> {
        let first = self.of(partition).offset + 1;
        if self.body.gaps.len() >= GAPS_MAX {
            return Err(Error::Gaps { limit: GAPS_MAX });
        }
        self.body.gaps.push(ArchiveGap { partition: partition.into(), first, last });
        self.set(partition, ArchiveMark { offset: last, covered: last });
        Ok(())
    }

    /// The offset to which nothing is missing after `after`, of what is known to be gone.
    pub(super) fn past_gaps(&self, partition: u16, mut after: Offset) -> Offset {
        for gap in self.body.gaps.iter().filter(|gap| gap.partition == u32::from(partition)) {
            // Oldest first.
            if (gap.first..=gap.last).contains(&(after + 1)) {
                after = gap.last;
            }
        }
        after
    }
}
