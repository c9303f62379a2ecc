//! The way to Redis: connections with a bound on every silence, what its settings promise, and its errors in
//! words for an operator, without credentials.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use redis::{Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult};

use crate::Error;

/// After so long without an answer a connection counts as dead.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Time for a connection to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a Redis that cannot be reached is waited for at the start, and the pause between two attempts.
const START_MAX: Duration = Duration::from_secs(5);
const START_PAUSE: Duration = Duration::from_millis(100);
/// Connections kept for the next call.
const IDLE_MAX: usize = 16;

/// A Redis, and idle connections to it.
pub(crate) struct Server {
    client: redis::Client,
    /// Its address without credentials.
    place: String,
    idle: Mutex<Vec<Connection>>,
}

/// What a Redis promises of an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// No append-only file.
    None,
    /// Synced once a second.
    EverySecond,
    /// Synced before each answer.
    Always,
    /// Left to the operating system, or not told.
    Unknown,
}

impl Server {
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let bad = |reason: &dyn std::fmt::Display| Error::Unfit {
            what: format!("no address of a Redis: {reason}; write redis://host:port, with user:password@ if need be"),
        };
        let info = url.into_connection_info().map_err(|error| bad(&error))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}/{}", info.redis_settings().db()),
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            _ => return Err(bad(&"TLS is not built in")),
        };
        let client = redis::Client::open(info).map_err(|error| bad(&error))?;
        Ok(Self { client, place, idle: Mutex::default() })
    }

    /// Its address, for people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A connection of its own. A call that blocks may keep silent for `patience` longer than others.
    pub(crate) fn connect(&self, patience: Duration) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(CONNECT_MAX)?;
        connection.set_read_timeout(Some(SILENCE_MAX + patience))?;
        connection.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(connection)
    }

    /// Waits until Redis answers: a moment for one that cannot be reached, and as long as it takes for one that is
    /// still loading its data.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        let started = Instant::now();
        let mut told = false;
        loop {
            let answer =
                self.connect(Duration::ZERO).and_then(|mut connection| redis::cmd("PING").exec(&mut connection));
            let Err(error) = answer else { return Ok(()) };
            let loading = error.code() == Some("LOADING");
            let waits = loading || (error.is_io_error() && started.elapsed() < START_MAX);
            if !waits {
                return Err(self.fault("reach Redis", &error));
            }
            if loading && !std::mem::replace(&mut told, true) {
                tracing::info!(place = self.place, "waiting until Redis has loaded its data");
            }
            thread::sleep(START_PAUSE);
        }
    }

    /// Runs a call on an idle connection, or a new one. May block for as long as a silence may last.
    pub(crate) fn run<T>(
        &self,
        action: &'static str,
        call: impl Fn(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, Error> {
        let idle = self.idle().pop();
        let connected = idle.map_or_else(|| self.connect(Duration::ZERO), Ok);
        let answered = connected.and_then(|mut connection| {
            let answer = call(&mut connection)?;
            let mut idle = self.idle();
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
            Ok(answer)
        });
        answered.map_err(|error| {
            // What one connection met, those that lay idle will meet as well.
            self.idle().clear();
            self.fault(action, &error)
        })
    }

    /// As [`Server::run`] for a call that may safely be made twice: a connection that died while it lay idle
    /// goes unnoticed.
    pub(crate) fn run_twice<T>(
        &self,
        action: &'static str,
        call: impl Fn(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, Error> {
        self.run(action, &call).or_else(|_| self.run(action, &call))
    }

    /// What an error of Redis means.
    pub(crate) fn fault(&self, action: &'static str, error: &RedisError) -> Error {
        if error.code() == Some("OOM") {
            return Error::OutOfMemory { place: self.place.clone() };
        }
        // The library's own words: they name the failure, never what was sent.
        let source = io::Error::other(format!("{}: {error}", self.place));
        Error::Io { action, source: Arc::new(source) }
    }

    /// Refuses a Redis that would drop entries by itself, and tells what it promises.
    pub(crate) fn check(&self) -> Result<Durability, Error> {
        let info: String =
            self.run_twice("ask Redis for its settings", |connection| redis::cmd("INFO").query(connection))?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        if let Some(policy) = field("maxmemory_policy")
            && policy != "noeviction"
        {
            let what = format!(
                "{} has maxmemory-policy {policy}, which drops whole streams when memory runs short: set it to noeviction",
                self.place
            );
            return Err(Error::Unfit { what });
        }
        if field("aof_enabled") != Some("1") {
            return Ok(Durability::None);
        }
        // A hosted Redis may keep its configuration to itself.
        let told = self.run_twice("ask Redis for its settings", |connection| {
            redis::cmd("CONFIG").arg("GET").arg("appendfsync").query::<Vec<String>>(connection)
        });
        Ok(match told.ok().and_then(|told| told.into_iter().nth(1)).as_deref() {
            Some("always") => Durability::Always,
            Some("everysec") => Durability::EverySecond,
            _ => Durability::Unknown,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Durability {
    /// In words for an operator.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None => {
                "in the memory of Redis alone, without an append-only file: a crash of Redis loses all since its last dump"
            }
            Self::EverySecond => {
                "append-only file of Redis, synced every second: survives a crash of Redis, unless its disk is so slow \
                 that it holds back writes, for up to two seconds; a crash of its machine loses about the last second"
            }
            Self::Always => {
                "append-only file of Redis, synced before each acknowledgement: survives a crash of Redis, and of its \
                 machine as far as the disk honours a sync"
            }
            Self::Unknown => {
                "append-only file of Redis, synced when its system does: survives a crash of Redis; how much a crash of \
                 its machine loses is not known here"
            }
        }
    }
}

/// Whether another attempt on a new connection may succeed: Redis is away, or not ready yet.
pub(crate) fn is_passing(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("LOADING" | "BUSY" | "MASTERDOWN"))
}

/// A reply in a type that the caller knows.
pub(crate) fn typed<T: FromRedisValue>(value: redis::Value) -> RedisResult<T> {
    Ok(redis::from_redis_value(value)?)
}
