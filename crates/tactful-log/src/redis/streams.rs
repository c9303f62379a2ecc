//! Replies of streams as entries: `n-0` is entry `n`, its one field the payload.

use bytes::Bytes;
use redis::{Connection, ErrorKind, RedisError, RedisResult, Value};

use super::{keys, scripts::EXTENTS, server::typed};
use crate::{Entry, Error, Offset, Partition, READ_BYTES_MAX, READ_ENTRIES_MAX};

/// Entries fetched at once at first; more once they prove small.
const FETCH_MIN: usize = 16;

/// Where a stream begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First entry that it holds, or that it would hold next.
    pub(crate) first: Offset,
    /// Last entry that it ever had.
    pub(crate) tail: Offset,
    /// Payload of the entry that was asked for, if it is there.
    pub(crate) held: Option<Bytes>,
}

/// Epoch of the log and the extents of some partitions, each with the entry asked for (0: the last one).
pub(crate) fn extents(
    connection: &mut Connection,
    asked: impl Iterator<Item = (Partition, Offset)>,
) -> RedisResult<(Option<u64>, Vec<Extent>)> {
    let mut call = EXTENTS.key(keys::MANIFEST);
    for (partition, offset) in asked {
        call.key(keys::stream(partition)).arg(offset);
    }
    let mut answer: Vec<Value> = call.invoke(connection)?;
    if answer.is_empty() {
        return Err(unexpected());
    }
    let epoch: Option<String> = typed(answer.remove(0))?;
    let extents = answer.into_iter().map(|value| {
        let (first, tail, held): (Offset, Offset, Option<Vec<u8>>) = typed(value)?;
        Ok(Extent { first, tail, held: held.map(Bytes::from) })
    });
    Ok((epoch.and_then(|epoch| epoch.parse().ok()), extents.collect::<RedisResult<_>>()?))
}

/// Entries from `start` to `end`, not included, in order, until they are more than the bytes of one read. What the
/// stream no longer holds is left out.
pub(crate) fn range(
    connection: &mut Connection,
    partition: Partition,
    range: std::ops::Range<Offset>,
) -> RedisResult<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut next, mut bytes, mut fetch) = (range.start, 0, FETCH_MIN);
    while next < range.end && bytes <= READ_BYTES_MAX {
        let mut call = redis::cmd("XRANGE");
        call.arg(keys::stream(partition)).arg(format!("{next}-0")).arg(format!("{}-0", range.end - 1));
        let fetched = parse(call.arg("COUNT").arg(fetch).query(connection)?)?;
        let Some(last) = fetched.last() else { break };
        next = last.offset + 1;
        for entry in fetched {
            if bytes <= READ_BYTES_MAX {
                bytes += entry.payload.len();
                entries.push(entry);
            }
        }
        // As many as fit into what is left, by the mean so far.
        fetch =
            ((READ_BYTES_MAX - bytes.min(READ_BYTES_MAX)) / (bytes / entries.len()).max(1)).clamp(1, READ_ENTRIES_MAX);
    }
    Ok(entries)
}

/// Entries of several streams as XREAD answers them, by the name of the stream; an error for those of a stream that
/// somebody else wrote to.
pub(crate) fn parse_read(value: Value) -> RedisResult<Vec<(String, RedisResult<Vec<Entry>>)>> {
    let Value::Array(streams) = value else { return Ok(Vec::new()) };
    let streams = streams.into_iter().map(|stream| {
        let [key, entries] = array(stream)?;
        Ok((typed(key)?, parse(entries)))
    });
    streams.collect()
}

fn parse(value: Value) -> RedisResult<Vec<Entry>> {
    let Value::Array(entries) = value else { return Err(unexpected()) };
    entries.into_iter().map(entry).collect()
}

fn entry(value: Value) -> RedisResult<Entry> {
    let [id, fields] = array(value)?;
    let [_name, payload] = array(fields)?;
    let (Value::BulkString(id), Value::BulkString(payload)) = (id, payload) else { return Err(unexpected()) };
    let offset = std::str::from_utf8(&id).ok().and_then(|id| id.strip_suffix("-0")).and_then(|id| id.parse().ok());
    Ok(Entry { offset: offset.ok_or_else(unexpected)?, payload: payload.into() })
}

fn array<const N: usize>(value: Value) -> RedisResult<[Value; N]> {
    let Value::Array(values) = value else { return Err(unexpected()) };
    values.try_into().map_err(|_| unexpected())
}

fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "a stream holds what Tactful did not write").into()
}

/// Whether an answer was understood: none if it holds what Tactful did not write.
pub(crate) fn understood<T>(answer: RedisResult<T>) -> RedisResult<Option<T>> {
    match answer {
        Err(error) if error.kind() == ErrorKind::UnexpectedReturnType => Ok(None),
        answer => answer.map(Some),
    }
}

/// The log holds an entry of somebody else.
pub(crate) fn foreign(partition: Partition) -> Error {
    Error::Corrupt { what: format!("partition {partition} holds an entry that Tactful did not write") }
}
