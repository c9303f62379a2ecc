//! Trimming, which leaves behind what it removed last: a snapshot that ends exactly there can still be told from one
//! of a log that was rolled back. Whatever else trims the log leaves no such trace, and the snapshot is not believed.

use bytes::Bytes;
use prost::Message;
use tactful_core::hash;
use tactful_log::{Error as LogError, Log, Offset, Partition};
use tactful_proto::storage::{Trim, Trims};

use crate::error::Error;

/// Key of the log that holds them.
const KEY: &str = "trims";
/// Tries to write the key while others do.
const TRIES_MAX: usize = 16;

/// Trims data partitions through the given offsets, these included.
///
/// # Errors
/// If the log fails; what was trimmed by then is noted.
pub(crate) async fn trim(log: &dyn Log, through: &[(u16, Offset)]) -> Result<(), Error> {
    let mut last = Vec::with_capacity(through.len());
    for (partition, offset) in through {
        if let Some(anchor) = anchor(log, *partition, *offset).await? {
            last.push(Trim { partition: (*partition).into(), offset: *offset, anchor });
        }
    }
    // Before anything goes: a node that stops in between leaves a note of what is still there.
    note(log, &last).await?;
    for trim in last {
        log.trim(Partition::Data(trim.partition as u16), trim.offset + 1).await?;
    }
    Ok(())
}

/// The last entry that a partition has no more; 0 if it has all.
///
/// # Errors
/// If the log fails.
pub(crate) async fn gone(log: &dyn Log, partition: u16) -> Result<Offset, LogError> {
    match log.read(Partition::Data(partition), 0, 1).await {
        Err(LogError::Trimmed { first }) => Ok(first - 1),
        read => read.map(|_| 0),
    }
}

/// The hash of an entry; none if there is nothing to trim up to it.
async fn anchor(log: &dyn Log, partition: u16, offset: Offset) -> Result<Option<u64>, LogError> {
    let Some(before) = offset.checked_sub(1) else { return Ok(None) };
    match log.read(Partition::Data(partition), before, 1).await {
        Ok(entries) => Ok(entries.first().map(|entry| hash::content(&entry.payload))),
        Err(LogError::Trimmed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn note(log: &dyn Log, last: &[Trim]) -> Result<(), Error> {
    if last.is_empty() {
        return Ok(());
    }
    for _ in 0..TRIES_MAX {
        let found = log.get_key(KEY).await?;
        let mut trims = found.as_deref().map_or_else(Vec::new, decode);
        trims.retain(|noted| last.iter().all(|trim| trim.partition != noted.partition));
        trims.extend(last.iter().cloned());
        if log.compare_and_set(KEY, found, Bytes::from(Trims { trims }.encode_to_vec())).await? {
            return Ok(());
        }
    }
    Err(Error::Busy)
}

/// Whether the entry that was trimmed last from a partition is this one.
///
/// # Errors
/// If the log fails.
pub(crate) async fn ends_at(log: &dyn Log, partition: u16, offset: Offset, anchor: u64) -> Result<bool, LogError> {
    let noted = log.get_key(KEY).await?.as_deref().map_or_else(Vec::new, decode);
    Ok(noted.contains(&Trim { partition: partition.into(), offset, anchor }))
}

/// The entry that was trimmed last from a partition; 0 if none was.
///
/// # Errors
/// If the log fails.
pub(crate) async fn last(log: &dyn Log, partition: u16) -> Result<Offset, LogError> {
    let noted = log.get_key(KEY).await?.as_deref().map_or_else(Vec::new, decode);
    Ok(noted.iter().find(|trim| trim.partition == u32::from(partition)).map_or(0, |trim| trim.offset))
}

fn decode(value: &[u8]) -> Vec<Trim> {
    Trims::decode(value).unwrap_or_default().trims
}
