//! What foreign producers XADD to `tactful:intake`, and what of it could not be read. Entries are shared out to the
//! nodes by a consumer group, at least once: one that a node took and did not settle is given to another after a
//! while. Those that cannot be read move to `tactful:dead` with the reason and their bytes, and from there back.
//! It knows nothing of what an entry says.

use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::counter;
use redis::{Connection, ErrorKind, RedisError, RedisResult, Value};

use super::{
    scripts,
    server::{Server, typed},
    sweep::{self, ErasedEntries},
};
use crate::{Error, unique};

pub(crate) const INTAKE: &str = "tactful:intake";
pub(crate) const DEAD: &str = "tactful:dead";
pub(crate) const GROUP: &str = "tactful";
/// Entries taken at once.
const TAKE_MAX: usize = 500;
/// Fields of an entry that are kept in the dead list: those beyond are of no event anyway, and a script takes no more
/// than some thousands.
const FIELDS_MAX: usize = 1_000;
/// Time for which Redis holds a call that finds nothing.
const BLOCK: Duration = Duration::from_millis(500);
/// An entry that was taken and not settled for so long is given to whoever asks.
const IDLE_MS: u64 = 10_000;
/// Pause between two looks for such entries.
const CLAIM_PACE: Duration = Duration::from_secs(5);
/// A consumer that has nothing and was not heard of for so long is forgotten.
const CONSUMER_IDLE_MS: u64 = 24 * 60 * 60 * 1_000;
/// Entries of the dead list; beyond it the oldest go.
const DEAD_MAX: usize = 100_000;
/// Entries of the dead list that are read at once.
const LIST_MAX: usize = 1_000;

/// An entry with its fields as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeEntry {
    /// Its id in the stream.
    pub id: String,
    /// Names and values.
    pub fields: Vec<(Bytes, Bytes)>,
}

/// An entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadEntry {
    /// Its id in the dead list, which begins with the time it came there, in milliseconds since 1970.
    pub id: String,
    /// Why it could not be read.
    pub reason: String,
    /// As it was.
    pub original: IntakeEntry,
}

/// One node's share of the intake. Its calls block; it belongs to one thread.
pub struct Intake {
    server: Server,
    connection: Option<Connection>,
    consumer: String,
    claimed: Option<Instant>,
}

/// The dead list. Its calls block.
pub struct DeadList {
    server: Server,
}

impl Intake {
    /// Joins the group, making it if there is none.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::Io`].
    pub fn join(url: &str) -> Result<Self, Error> {
        let server = Server::new(url)?;
        server.run_twice("join the intake", |connection| match forget_consumers(connection) {
            // A Redis that is full refuses to make even what is there.
            Err(error) if is_missing(&error) => make_group(connection),
            joined => joined,
        })?;
        Ok(Self { server, connection: None, consumer: format!("{:016x}", unique::number()), claimed: None })
    }

    /// The next entries; none if nothing came for a moment. Those that somebody took and did not settle come first.
    ///
    /// # Errors
    /// [`Error::Io`]: ask again.
    pub fn take(&mut self) -> Result<Vec<IntakeEntry>, Error> {
        let outcome = match self.fetch() {
            // Somebody deleted the intake, or its group.
            Err(error) if is_missing(&error) => {
                self.connection = None;
                self.server.run_twice("join the intake", make_group)?;
                self.fetch()
            }
            outcome => outcome,
        };
        outcome.map_err(|error| {
            // What a broken connection still answers belongs to no later call.
            self.connection = None;
            self.server.fault("take in entries", &error)
        })
    }

    /// Settles entries that were taken: those that are durable elsewhere, and those that cannot be read, with the reason.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::OutOfMemory`]: they come again.
    pub fn settle(&mut self, done: &[IntakeEntry], dead: &[(IntakeEntry, String)]) -> Result<(), Error> {
        if done.is_empty() && dead.is_empty() {
            return Ok(());
        }
        let mut settle = redis::pipe();
        settle.atomic();
        for (entry, reason) in dead {
            let mut bury = scripts::BURY.key(INTAKE);
            bury.key(DEAD).arg(&entry.id).arg(DEAD_MAX).arg("reason").arg(reason).arg("entry").arg(&entry.id);
            for (name, value) in entry.fields.iter().take(FIELDS_MAX) {
                bury.arg(&name[..]).arg(&value[..]);
            }
            settle.invoke_script(&bury).ignore();
        }
        let ids: Vec<&str> =
            done.iter().chain(dead.iter().map(|(entry, _)| entry)).map(|entry| entry.id.as_str()).collect();
        settle.cmd("XACK").arg(INTAKE).arg(GROUP).arg(&ids).ignore();
        settle.cmd("XDEL").arg(INTAKE).arg(&ids).ignore();
        self.server.run_twice("settle entries", |connection| {
            if !dead.is_empty() {
                // A pipeline cannot send the text of a script that Redis does not know.
                scripts::BURY.prepare_invoke().load(connection)?;
            }
            settle.exec(connection)
        })?;
        counter!("tactful_intake_taken_total").increment(done.len() as u64);
        counter!("tactful_intake_dead_total").increment(dead.len() as u64);
        Ok(())
    }

    /// Removes from the intake and the dead list the entries with a field that matches, also those that a node took
    /// and has not settled. Their bytes are gone from the files after [`crate::Log::purge`] only.
    ///
    /// # Errors
    /// [`Error::Io`]: some may be removed; ask again.
    pub fn erase(&self, matches: impl Fn(&[u8]) -> bool) -> Result<ErasedEntries, Error> {
        sweep::erase(&self.server, &matches)
    }

    fn fetch(&mut self) -> RedisResult<Vec<IntakeEntry>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.server.connect(BLOCK)?),
        };
        if self.claimed.is_none_or(|claimed| claimed.elapsed() >= CLAIM_PACE) {
            let mut claim = redis::cmd("XAUTOCLAIM");
            claim.arg(INTAKE).arg(GROUP).arg(&self.consumer).arg(IDLE_MS).arg("0-0").arg("COUNT").arg(TAKE_MAX);
            let mut answer: Vec<Value> = claim.query(connection)?;
            if answer.len() < 2 {
                return Err(unexpected());
            }
            let claimed = entries(answer.swap_remove(1))?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
            self.claimed = Some(Instant::now());
        }
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(TAKE_MAX);
        read.arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS").arg(INTAKE).arg(">");
        match read.query(connection)? {
            Value::Array(mut streams) if !streams.is_empty() => {
                let [_name, taken]: [Value; 2] =
                    typed::<Vec<Value>>(streams.swap_remove(0))?.try_into().map_err(|_| unexpected())?;
                entries(taken)
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl DeadList {
    /// The dead list of a Redis.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the address is none.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self { server: Server::new(url)? })
    }

    /// Entries after the one with this id (`None`: from the oldest on), oldest first; empty at the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn after(&self, id: Option<&str>) -> Result<Vec<DeadEntry>, Error> {
        let start = id.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let read = |connection: &mut Connection| {
            let found =
                redis::cmd("XRANGE").arg(DEAD).arg(&start).arg("+").arg("COUNT").arg(LIST_MAX).query(connection)?;
            entries(found)?.into_iter().map(dead).collect::<RedisResult<Vec<_>>>()
        };
        self.server.run_twice("read the dead list", read)
    }

    /// Moves an entry back to the intake; false if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::OutOfMemory`].
    pub fn retry(&self, id: &str) -> Result<bool, Error> {
        let find = |connection: &mut Connection| {
            let found = redis::cmd("XRANGE").arg(DEAD).arg(id).arg(id).query(connection)?;
            entries(found)?.pop().map(dead).transpose()
        };
        let Some(entry) = self.server.run_twice("read the dead list", find)? else { return Ok(false) };
        let mut retry = redis::pipe();
        let add = retry.atomic().cmd("XADD").arg(INTAKE).arg("*");
        for (name, value) in &entry.original.fields {
            add.arg(&name[..]).arg(&value[..]);
        }
        retry.ignore().cmd("XDEL").arg(DEAD).arg(id).ignore();
        self.server.run("retry an entry", |connection| retry.exec(connection))?;
        Ok(true)
    }

    /// As [`Intake::erase`]: removes from both the entries with a field that matches, also those that a node took
    /// and has not settled. Their bytes are gone from the files after [`crate::Log::purge`] only.
    ///
    /// # Errors
    /// [`Error::Io`]: some may be removed; ask again.
    pub fn erase(&self, matches: impl Fn(&[u8]) -> bool) -> Result<ErasedEntries, Error> {
        sweep::erase(&self.server, &matches)
    }
}

/// Forgets consumers of processes that are long gone and owe nothing.
/// Whether there is no intake, or no group of it.
fn is_missing(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP") || error.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn make_group(connection: &mut Connection) -> RedisResult<()> {
    let mut make = redis::cmd("XGROUP");
    match make.arg("CREATE").arg(INTAKE).arg(GROUP).arg("0").arg("MKSTREAM").exec(connection) {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        made => made,
    }
}

fn forget_consumers(connection: &mut Connection) -> RedisResult<()> {
    let consumers: Vec<std::collections::HashMap<String, Value>> =
        redis::cmd("XINFO").arg("CONSUMERS").arg(INTAKE).arg(GROUP).query(connection)?;
    for mut consumer in consumers {
        let mut number = |name: &str| consumer.remove(name).map_or(Ok(0), typed::<u64>);
        let (pending, idle_ms) = (number("pending")?, number("idle")?);
        if pending == 0 && idle_ms > CONSUMER_IDLE_MS {
            let name: String = consumer.remove("name").map_or_else(|| Err(unexpected()), typed)?;
            redis::cmd("XGROUP").arg("DELCONSUMER").arg(INTAKE).arg(GROUP).arg(name).exec(connection)?;
        }
    }
    Ok(())
}

pub(crate) fn entries(value: Value) -> RedisResult<Vec<IntakeEntry>> {
    typed::<Vec<Value>>(value)?.into_iter().map(entry).collect()
}

fn entry(value: Value) -> RedisResult<IntakeEntry> {
    let (id, fields): (String, Vec<Vec<u8>>) = typed(value)?;
    let fields = fields.as_chunks::<2>().0.iter().map(|[name, value]| (name.clone().into(), value.clone().into()));
    Ok(IntakeEntry { id, fields: fields.collect() })
}

/// The reason and the former id stand before the fields as they came.
fn dead(entry: IntakeEntry) -> RedisResult<DeadEntry> {
    let IntakeEntry { id, mut fields } = entry;
    if fields.len() < 2 {
        return Err(unexpected());
    }
    let original = fields.split_off(2);
    let text = |at: usize| String::from_utf8_lossy(&fields[at].1).into_owned();
    Ok(DeadEntry { id, reason: text(0), original: IntakeEntry { id: text(1), fields: original } })
}

fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the intake holds what no producer can have written").into()
}
