//! Goes through all that Redis holds of a log, a piece at a time: to count what matches, and to remove it from the
//! intake and the dead list, the two stores whose entries are removed one by one.

use bytes::Bytes;
use redis::{Connection, RedisResult};

use super::{
    Shared, get,
    intake::{self, IntakeEntry},
    keys,
    rewrite::copy_of,
    server::Server,
};
use crate::{Error, bounds::every_partition};

/// Entries of the intake or the dead list looked at in one call.
const PAGE: usize = 256;
/// Keys that one call looks through.
const KEYS_PAGE: usize = 1_000;

/// How many entries were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedEntries {
    /// From the intake, those that a node had taken included.
    pub intake: u64,
    /// From the dead list.
    pub dead: u64,
}

/// Removes from the intake and from the dead list every entry with a value that matches, also those that a node has
/// taken: it finds them settled. What comes in meanwhile may be missed.
pub(crate) fn erase(server: &Server, matches: &dyn Fn(&[u8]) -> bool) -> Result<ErasedEntries, Error> {
    Ok(ErasedEntries {
        intake: erase_from(server, intake::INTAKE, true, matches)?,
        dead: erase_from(server, intake::DEAD, false, matches)?,
    })
}

fn erase_from(server: &Server, stream: &str, grouped: bool, matches: &dyn Fn(&[u8]) -> bool) -> Result<u64, Error> {
    let mut erased = 0;
    for_each_page(server, stream, &mut |page| {
        let found: Vec<&str> =
            page.iter().filter(|entry| matching(entry, matches)).map(|entry| entry.id.as_str()).collect();
        if found.is_empty() {
            return Ok(());
        }
        let remove = |connection: &mut Connection| {
            let mut remove = redis::pipe();
            remove.atomic();
            if grouped {
                remove.cmd("XACK").arg(stream).arg(intake::GROUP).arg(&found).ignore();
            }
            remove.cmd("XDEL").arg(stream).arg(&found).ignore();
            remove.exec(connection)
        };
        server.run_twice("erase entries", remove)?;
        erased += found.len() as u64;
        Ok(())
    })?;
    Ok(erased)
}

fn matching(entry: &IntakeEntry, matches: &dyn Fn(&[u8]) -> bool) -> bool {
    entry.fields.iter().any(|(name, value)| matches(value) || matches(name))
}

/// Entries that a stream has now, in order, a page at a time.
fn for_each_page(
    server: &Server,
    stream: &str,
    see: &mut dyn FnMut(&[IntakeEntry]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut start = "-".to_owned();
    loop {
        let page = page(server, stream, &start)?;
        let Some(last) = page.last() else { return Ok(()) };
        start = format!("({}", last.id);
        see(&page)?;
    }
}

fn page(server: &Server, stream: &str, start: &str) -> Result<Vec<IntakeEntry>, Error> {
    let read = |connection: &mut Connection| {
        intake::entries(redis::cmd("XRANGE").arg(stream).arg(start).arg("+").arg("COUNT").arg(PAGE).query(connection)?)
    };
    server.run_twice("read a stream", read)
}

/// One thing that may match.
pub(crate) struct Item {
    pub(crate) store: &'static str,
    /// Names and values that belong to it.
    pub(crate) parts: Vec<Bytes>,
}

/// Where a look through everything but the partitions stands.
pub(crate) enum Cursor {
    /// In a stream (its place among [`streams`]), behind an id.
    Stream(usize, String),
    /// In the keys, by the cursor of SCAN.
    Keys(u64),
    /// At keys that were found, and then at SCAN's cursor, 0 at the end.
    Values(Vec<String>, u64),
    End,
}

impl Cursor {
    pub(crate) fn start() -> Self {
        Self::Stream(0, "-".to_owned())
    }
}

/// The streams beside the partitions: intake, dead list, and copies that an interrupted purge left.
fn streams(partitions: u16) -> Vec<(&'static str, String)> {
    let own = [("intake", intake::INTAKE.to_owned()), ("dead list", intake::DEAD.to_owned())];
    let copies = every_partition(partitions).map(keys::stream).chain(own.iter().map(|(_, stream)| stream.clone()));
    let copies: Vec<_> = copies.map(|stream| ("interrupted purge", copy_of(&stream))).collect();
    own.into_iter().chain(copies).collect()
}

/// The next few things, and where to go on.
pub(crate) fn next(shared: &Shared, cursor: Cursor) -> Result<(Vec<Item>, Cursor), Error> {
    match cursor {
        Cursor::Stream(at, start) => {
            let streams = streams(shared.partitions);
            let Some((store, stream)) = streams.get(at) else { return Ok((Vec::new(), Cursor::Keys(0))) };
            let page = page(&shared.server, stream, &start)?;
            let next = page
                .last()
                .map_or(Cursor::Stream(at + 1, "-".to_owned()), |last| Cursor::Stream(at, format!("({}", last.id)));
            let item = |entry: IntakeEntry| {
                let parts = entry.fields.into_iter().flat_map(|(name, value)| [name, value]).collect();
                Item { store, parts }
            };
            Ok((page.into_iter().map(item).collect(), next))
        }
        Cursor::Keys(at) => {
            let scan = |connection: &mut Connection| {
                let mut scan = redis::cmd("SCAN");
                scan.arg(at).arg("MATCH").arg("tactful:*").arg("COUNT").arg(KEYS_PAGE).query(connection)
            };
            let (next, found): (u64, Vec<String>) = shared.server.run_twice("list the keys", scan)?;
            Ok((Vec::new(), Cursor::Values(found, next)))
        }
        Cursor::Values(mut found, next) => match found.pop() {
            Some(key) => Ok((item(shared, key)?.into_iter().collect(), Cursor::Values(found, next))),
            None if next == 0 => Ok((Vec::new(), Cursor::End)),
            None => Ok((Vec::new(), Cursor::Keys(next))),
        },
        Cursor::End => Ok((Vec::new(), Cursor::End)),
    }
}

/// A key with its value, unless it is a stream or went away.
fn item(shared: &Shared, key: String) -> Result<Option<Item>, Error> {
    let store = match key.split(':').nth(1) {
        Some("key") => "keys",
        Some("blob") => "blobs",
        Some("lease" | "tokens") => "leases",
        Some("writer") => "writers",
        _ => "other keys",
    };
    let kind = |connection: &mut Connection| redis::cmd("TYPE").arg(&key).query::<String>(connection);
    let mut parts = match shared.server.run_twice("read a key", kind)?.as_str() {
        "string" => get(shared, "read a key", &key)?.into_iter().collect(),
        "hash" => {
            let read = |connection: &mut Connection| hash(connection, &key);
            shared.server.run_twice("read a key", read)?
        }
        _ => return Ok(None),
    };
    // The name that its owner gave it, as a word of its own.
    parts.extend(key.splitn(3, ':').nth(2).map(|name| Bytes::copy_from_slice(name.as_bytes())));
    Ok(Some(Item { store, parts }))
}

fn hash(connection: &mut Connection, key: &str) -> RedisResult<Vec<Bytes>> {
    let fields: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL").arg(key).query(connection)?;
    Ok(fields.into_iter().flat_map(|(name, value)| [Bytes::from(name), Bytes::from(value)]).collect())
}
