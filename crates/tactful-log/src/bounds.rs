//! What every log refuses before it does anything: arguments beyond their bounds, partitions that are not there.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    ENTRY_BYTES_MAX, Error, GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, LEASE_TTL_MAX, NAME_BYTES_MAX, PARTITIONS_MAX,
    Partition, VALUE_BYTES_MAX,
};

/// The data partitions in order, then the control partition.
pub(crate) fn every_partition(partitions: u16) -> impl Iterator<Item = Partition> {
    (0..partitions).map(Partition::Data).chain([Partition::Control])
}

/// Place of a partition in [`every_partition`].
pub(crate) fn index(partition: Partition, partitions: u16) -> Result<usize, Error> {
    match partition {
        Partition::Control => Ok(usize::from(partitions)),
        Partition::Data(number) if number < partitions => Ok(usize::from(number)),
        Partition::Data(_) => Err(Error::UnknownPartition { partition, partitions }),
    }
}

/// Payload bytes of a group that may be appended.
pub(crate) fn group(entries: &[(Partition, Bytes)], partitions: u16) -> Result<usize, Error> {
    Error::if_too_large("entries in a group", entries.len(), GROUP_ENTRIES_MAX)?;
    let mut bytes = 0;
    for (partition, payload) in entries {
        index(*partition, partitions)?;
        Error::if_too_large("payload bytes of an entry", payload.len(), ENTRY_BYTES_MAX)?;
        bytes += payload.len();
    }
    Error::if_too_large("payload bytes of a group", bytes, GROUP_BYTES_MAX)?;
    Ok(bytes)
}

pub(crate) fn name(name: &str) -> Result<(), Error> {
    Error::if_too_large("name bytes", name.len(), NAME_BYTES_MAX)
}

/// Length of the longer of the values of a compare-and-set.
pub(crate) fn values(expected: Option<&Bytes>, value: &Bytes) -> Result<usize, Error> {
    let longer = value.len().max(expected.map_or(0, Bytes::len));
    Error::if_too_large("value bytes", longer, VALUE_BYTES_MAX)?;
    Ok(longer)
}

pub(crate) fn ttl(ttl: Duration) -> Result<(), Error> {
    let seconds = usize::try_from(ttl.as_secs()).unwrap_or(usize::MAX);
    Error::if_too_large("lease seconds", seconds, LEASE_TTL_MAX.as_secs() as usize)
}

pub(crate) fn partitions(partitions: u16) -> Result<(), Error> {
    range("number of partitions", partitions.into(), (1, PARTITIONS_MAX.into()))
}

pub(crate) fn range(what: &'static str, value: u64, (least, most): (u64, u64)) -> Result<(), Error> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Error::OutOfRange { what, value, least, most }) }
}
