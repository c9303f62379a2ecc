//! Frees what was removed from a stream for good. Redis keeps up to a hundred entries in one node, and an exact trim
//! or an XDEL only marks an entry in a node that others still live in: its bytes stay in memory, in DUMP, in the dump
//! file and in the rewritten append-only file (seen with 7.0.15). So the entries that are left are copied, under their
//! ids, to a stream beside it, step by step, and the last step puts the copy in the stream's place as a whole. Whoever
//! reads by id, appends, or takes entries in a consumer group goes on undisturbed.

use std::{
    cell::Cell,
    sync::LazyLock,
    time::{Duration, Instant},
};

use redis::{Connection, RedisResult, Script};

use super::server::{Server, is_passing};
use crate::Error;

/// Entries and payload bytes of one step. Redis does nothing else meanwhile.
const STEP_ENTRIES: u64 = 2_048;
const STEP_BYTES: u64 = 1 << 20;
/// How much larger steps may become while a stream grows faster than it is copied.
const GROWTH_MAX: u64 = 8;
/// How long one stream may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Pause before a step is asked for again after Redis did not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Shared by the scripts: what is known of a stream (nil if there is none), and its first id.
const ABOUT: &str = "
local function about(key)
  local info = redis.pcall('XINFO', 'STREAM', key)
  if info.err then return nil end
  local found = {}
  for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
  return found
end
";

/// Begins: forgets a copy that somebody left. Keys: the stream, its copy. Answers how many entries the stream has if
/// entries were ever removed from it, and 0 if there is nothing to free: as many as were added, or none at all.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    let body = "
redis.call('UNLINK', KEYS[2])
local source = about(KEYS[1])
if not source or source['length'] == source['entries-added'] then return 0 end
return source['length']
";
    Script::new(&[ABOUT, body].concat())
});

/// One step. Keys: the stream, its copy. Arguments: entries and bytes at most. Every entry behind the copy's last one
/// is copied, so that the copy holds all that the stream holds, and perhaps some that were removed since. Answers
/// `more` if the step was too short, `sift` if removed entries have to be taken out first, `done` once the
/// copy took the stream's place, with its consumer groups and what they owe. Steps of several callers add up.
static STEP: LazyLock<Script> = LazyLock::new(|| {
    let body = "
local source, copy = about(KEYS[1]), about(KEYS[2])
local entries_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2])
if not source or source['length'] == 0 or (not copy and source['length'] == source['entries-added']) then
  redis.call('UNLINK', KEYS[2])
  return 'done'
end
local from, entries, bytes = copy and '(' .. copy['last-generated-id'] or '-', 0, 0
while true do
  local batch = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 16)
  if #batch == 0 then break end
  if entries >= entries_max or bytes >= bytes_max then return 'more' end
  for _, entry in ipairs(batch) do
    if #entry[2] > 7000 then return redis.error_reply('WIDE entry') end
    redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    entries, from = entries + 1, '(' .. entry[1]
  end
end
redis.call('XTRIM', KEYS[2], 'MINID', '=', redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1])
if redis.call('XLEN', KEYS[2]) ~= source['length'] then
  if redis.call('XLEN', KEYS[2]) > entries_max then return 'sift' end
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    if #redis.call('XRANGE', KEYS[1], entry[1], entry[1]) == 0 then redis.call('XDEL', KEYS[2], entry[1]) end
  end
end
redis.call('XSETID', KEYS[2], source['last-generated-id'])
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local found = {}
  for i = 1, #group, 2 do found[group[i]] = group[i + 1] end
  local name = found['name']
  if found['pending'] > 20000 then return redis.error_reply('OWED entries') end
  redis.call('XGROUP', 'CREATE', KEYS[2], name, found['last-delivered-id'])
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], name)) do
    redis.call('XGROUP', 'CREATECONSUMER', KEYS[2], name, consumer[2])
  end
  if found['pending'] > 0 then
    for _, owed in ipairs(redis.call('XPENDING', KEYS[1], name, '-', '+', found['pending'])) do
      redis.call('XCLAIM', KEYS[2], name, owed[2], 0, owed[1], 'IDLE', owed[3], 'RETRYCOUNT', owed[4], 'FORCE', 'JUSTID')
    end
  end
end
redis.call('RENAME', KEYS[2], KEYS[1])
return 'done'
";
    Script::new(&[ABOUT, body].concat())
});

/// Takes entries out of the copy that are not in the stream any more. Keys: the stream, its copy. Arguments: where to
/// begin, entries at most. Answers where to go on, empty at the end.
static SIFT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
local at = ''
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', ARGV[2])) do
  if #redis.call('XRANGE', KEYS[1], entry[1], entry[1]) == 0 then redis.call('XDEL', KEYS[2], entry[1]) end
  at = '(' .. entry[1]
end
return at
",
    )
});

/// The stream beside a stream while it is rewritten.
pub(crate) fn copy_of(stream: &str) -> String {
    format!("{stream}:purge")
}

/// Rewrites a stream if entries were ever removed from it; says how many were kept then. Blocks.
pub(crate) fn rewrite(server: &Server, stream: &str, is_closing: &dyn Fn() -> bool) -> Result<Option<u64>, Error> {
    let rewrite = Rewrite { server, stream, copy: copy_of(stream), deadline: Instant::now() + PATIENCE, is_closing };
    let begin = |connection: &mut Connection| BEGIN.key(stream).key(&rewrite.copy).invoke::<u64>(connection);
    let kept = rewrite.ask(begin)?;
    if kept == 0 {
        return Ok(None);
    }
    rewrite.run(kept).inspect_err(|_| {
        // Best effort: the next purge begins with it.
        let forget = |connection: &mut Connection| redis::cmd("UNLINK").arg(&rewrite.copy).exec(connection);
        let _kept = server.run("forget a copy", forget);
    })?;
    Ok(Some(kept))
}

struct Rewrite<'a> {
    server: &'a Server,
    stream: &'a str,
    copy: String,
    deadline: Instant,
    is_closing: &'a dyn Fn() -> bool,
}

impl Rewrite<'_> {
    fn run(&self, kept: u64) -> Result<(), Error> {
        let (mut steps, enough) = (0, kept / STEP_ENTRIES + 64);
        loop {
            steps += 1;
            let growth = (1 + steps / enough).min(GROWTH_MAX);
            let step = |connection: &mut Connection| {
                let mut call = STEP.key(self.stream);
                call.key(&self.copy).arg(STEP_ENTRIES * growth).arg(STEP_BYTES * growth).invoke::<String>(connection)
            };
            match self.ask(step)?.as_str() {
                "done" => return Ok(()),
                "sift" => self.sift()?,
                _ => {}
            }
        }
    }

    fn sift(&self) -> Result<(), Error> {
        let mut at = "-".to_owned();
        while !at.is_empty() {
            let sift = |connection: &mut Connection| {
                let mut call = SIFT.key(self.stream);
                call.key(&self.copy).arg(&at).arg(STEP_ENTRIES).invoke::<String>(connection)
            };
            at = self.ask(sift)?;
        }
        Ok(())
    }

    /// Asks until Redis answers: every step may be made twice.
    fn ask<T>(&self, call: impl Fn(&mut Connection) -> RedisResult<T>) -> Result<T, Error> {
        loop {
            if (self.is_closing)() {
                return Err(Error::Closed);
            }
            if Instant::now() >= self.deadline {
                return Err(
                    self.refused("it grew faster than it could be copied, or Redis did not answer: call it again")
                );
            }
            let passing = Cell::new(false);
            let answer = self.server.run("rewrite a stream", |connection| match call(connection) {
                Err(error) if error.code() == Some("WIDE") => Ok(Err("an entry has more than 3,500 fields: remove it")),
                Err(error) if error.code() == Some("OWED") => {
                    Ok(Err("more than 20,000 entries are taken and not settled: wait until the nodes have caught up"))
                }
                answer => answer.inspect_err(|error| passing.set(is_passing(error))).map(Ok),
            });
            match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(reason)) => return Err(self.refused(reason)),
                Err(_) if passing.get() => std::thread::sleep(RETRY_PAUSE),
                Err(error) => return Err(error),
            }
        }
    }

    fn refused(&self, reason: &str) -> Error {
        Error::NotPurged { what: format!("stream {} at {}: {reason}", self.stream, self.server.place()) }
    }
}
