//! Makes what was removed from Redis physically gone: the streams are rewritten, then the append-only file, then the
//! dump, each awaited to its end. What Redis does not let a client do, and what no client can see, is left to the
//! operator and named.

use std::{
    collections::HashMap,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use redis::Connection;

use super::{Shared, intake, keys, rewrite};
use crate::{Error, Purged, bounds::every_partition};

/// How long Redis may take to write one of its files anew.
const PATIENCE: Duration = Duration::from_mins(30);
const POLL: Duration = Duration::from_millis(50);

const AOF: &str = "append-only file";
const DUMP: &str = "dump file";

/// What no client of Redis reaches.
const OUTSIDE: [&str; 3] = [
    "append-only files and dumps of the replicas of Redis",
    "backups of the directory of Redis, and append-only files or dumps that it no longer uses",
    "blocks that the file system has freed and not yet overwritten, swap and core files",
];

/// Blocks until all is done.
pub(crate) fn purge(shared: &Shared) -> Result<Purged, Error> {
    let mut purged = Purged { outside: &OUTSIDE, ..Purged::default() };
    let is_closing = || shared.is_closing();
    let (mut streams, mut kept) = (0, 0);
    let partitions = every_partition(shared.partitions).map(keys::stream);
    for stream in partitions.chain([intake::INTAKE.to_owned(), intake::DEAD.to_owned()]) {
        if let Some(entries) = rewrite::rewrite(&shared.server, &stream, &is_closing)? {
            (streams, kept) = (streams + 1, kept + entries);
        }
    }
    purged.gone(
        "streams",
        format!("{streams} streams with {kept} entries rewritten; the others hold nothing that was removed"),
    );
    let files = Files { shared, settings: Settings::read(shared) };
    files.rewrite_append_only_file(&mut purged)?;
    files.rewrite_dump(&mut purged)?;
    Ok(purged)
}

/// What Redis tells of its files; nothing where CONFIG is kept from clients.
struct Settings(Option<HashMap<String, String>>);

impl Settings {
    fn read(shared: &Shared) -> Self {
        let read = |connection: &mut Connection| {
            redis::cmd("CONFIG").arg("GET").arg(&["save", "dir", "dbfilename", "appenddirname"]).query(connection)
        };
        Self(shared.server.run_twice("ask Redis for its settings", read).ok())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.get("dir")?).join(self.get(name)?))
    }

    /// Whether there certainly is no dump and will be none: Redis is to make none, its directory is the one that is
    /// seen here, and there is none in it.
    fn lacks_dump(&self) -> bool {
        let seen_here = self.file("appenddirname").is_some_and(|directory| directory.is_dir());
        self.get("save") == Some("") && seen_here && self.file("dbfilename").is_some_and(|file| !file.exists())
    }
}

/// What Redis says of itself.
struct Info(HashMap<String, String>);

impl Info {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }
}

/// How Redis writes one of its files anew.
struct Job {
    command: &'static str,
    store: &'static str,
    /// Fields of INFO that are not 0 while it is written.
    busy: [&'static str; 2],
    /// Field of INFO that counts how often that was begun or done.
    count: &'static str,
    status: &'static str,
}

const AOF_JOB: Job = Job {
    command: "BGREWRITEAOF",
    store: AOF,
    busy: ["aof_rewrite_in_progress", "aof_rewrite_scheduled"],
    count: "aof_rewrites",
    status: "aof_last_bgrewrite_status",
};

const DUMP_JOB: Job = Job {
    command: "BGSAVE",
    store: DUMP,
    busy: ["rdb_bgsave_in_progress", "aof_rewrite_in_progress"],
    count: "rdb_saves",
    status: "rdb_last_bgsave_status",
};

struct Files<'a> {
    shared: &'a Shared,
    settings: Settings,
}

impl Files<'_> {
    fn rewrite_append_only_file(&self, purged: &mut Purged) -> Result<(), Error> {
        if self.info()?.text("aof_enabled") != "1" {
            purged.left(
                AOF,
                "Redis writes none (appendonly no); one of earlier times, if there is any, is to be removed by hand",
            );
            return Ok(());
        }
        self.run(&AOF_JOB, purged)
    }

    fn rewrite_dump(&self, purged: &mut Purged) -> Result<(), Error> {
        if self.settings.lacks_dump() {
            purged.gone(DUMP, "there is none, and Redis is set to make none");
            return Ok(());
        }
        // Where it cannot be seen whether there is one, it is written over.
        self.run(&DUMP_JOB, purged)
    }

    /// Starts a job after all that run already, since those may have begun before the removal, and awaits its end.
    fn run(&self, job: &Job, purged: &mut Purged) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.until(job, deadline, |info| job.busy.iter().all(|busy| info.number(busy) == 0))?;
            match self.start(job)? {
                Started::Yes => {}
                Started::Busy if Instant::now() >= deadline => {
                    return Err(self.refused(job, "Redis is always busy with another file: call it again"));
                }
                Started::Busy => {
                    thread::sleep(POLL);
                    continue;
                }
                Started::NotPermitted => {
                    let what = format!("this user of Redis may not call {0}: let an operator call it now", job.command);
                    purged.left(job.store, what);
                    return Ok(());
                }
            }
            let process = before.text("run_id").to_owned();
            let after = self.until(job, deadline, |info| {
                let done = job.busy.iter().all(|busy| info.number(busy) == 0);
                let ended = info.number(job.count) > before.number(job.count) || info.text(job.status) != "ok";
                (done && ended) || info.text("run_id") != process
            })?;
            if after.text("run_id") != process {
                // Redis was started anew: nobody knows how far the other process had come.
                continue;
            }
            if after.text(job.status) != "ok" {
                return Err(
                    self.refused(job, "it failed: look into the log of Redis (disk full, or no memory to fork)")
                );
            }
            purged.gone(job.store, "rewritten");
            return Ok(());
        }
    }

    fn start(&self, job: &Job) -> Result<Started, Error> {
        self.shared.server.run_twice("rewrite a file of Redis", |connection| {
            match redis::cmd(job.command).exec(connection) {
                Ok(()) => Ok(Started::Yes),
                Err(error) if is_busy(&error) => Ok(Started::Busy),
                Err(error) if is_forbidden(&error) => Ok(Started::NotPermitted),
                Err(error) => Err(error),
            }
        })
    }

    /// Asks again and again until something holds; a Redis that is away for a moment is asked again too.
    fn until(&self, job: &Job, deadline: Instant, holds: impl Fn(&Info) -> bool) -> Result<Info, Error> {
        loop {
            match self.info() {
                Ok(info) if holds(&info) => return Ok(info),
                Err(error) if Instant::now() >= deadline => return Err(error),
                _ => {}
            }
            if self.shared.is_closing() {
                return Err(Error::Closed);
            }
            if Instant::now() >= deadline {
                return Err(
                    self.refused(job, "it is not done after 30 minutes: see INFO persistence, then call it again")
                );
            }
            thread::sleep(POLL);
        }
    }

    fn info(&self) -> Result<Info, Error> {
        let ask = |connection: &mut Connection| redis::cmd("INFO").query::<String>(connection);
        let text = self.shared.server.run_twice("ask Redis how it is", ask)?;
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Ok(Info(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    fn refused(&self, job: &Job, reason: &str) -> Error {
        Error::NotPurged { what: format!("{} of {}: {reason}", job.store, self.shared.server.place()) }
    }
}

enum Started {
    Yes,
    /// Something else is being written.
    Busy,
    NotPermitted,
}

/// Whether Redis writes another of its files at the moment.
fn is_busy(error: &redis::RedisError) -> bool {
    let text = error.to_string();
    text.contains("in progress") || text.contains("child process")
}

/// Whether this user may not call it, or it was renamed away.
fn is_forbidden(error: &redis::RedisError) -> bool {
    error.code() == Some("NOPERM") || error.to_string().to_lowercase().contains("unknown command")
}
