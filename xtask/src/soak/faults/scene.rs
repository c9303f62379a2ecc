//! What every row needs: a folder, nodes and Redis in it, signals, and patience that has an end.

use std::{
    fs,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tactful_log::RedisServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::kill;
use crate::{eval::runtime, server::Server};

/// Time for anything to come true.
const EVENTUALLY_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// How much of everything a row does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Rounds of what is done again and again.
    pub(super) rounds: u32,
    /// How long a Redis is stopped.
    pub(super) stopped: Duration,
    /// How long something is written or asked.
    pub(super) busy: Duration,
    /// Events of a backlog.
    pub(super) backlog: u64,
}

impl Scale {
    /// As the matrix says.
    pub(super) const FULL: Self =
        Self { rounds: 10, stopped: Duration::from_secs(30), busy: Duration::from_secs(3), backlog: 300_000 };
    /// For the tests of every day.
    #[cfg(test)]
    pub(super) const SMALL: Self =
        Self { rounds: 2, stopped: Duration::from_secs(8), busy: Duration::from_millis(500), backlog: 5_000 };
}

/// The stage of one row; everything on it goes with it.
pub(super) struct Scene {
    folder: TempDir,
    binary: PathBuf,
    catalog: PathBuf,
    runtime: Runtime,
    pub(super) seed: u64,
    pub(super) scale: Scale,
}

impl Scene {
    pub(super) fn new(binary: &Path, seed: u64, scale: Scale) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let catalog = folder.path().join("catalog");
        fs::create_dir(&catalog)?;
        fs::write(catalog.join("catalog.toml"), kill::CATALOG)?;
        Ok(Self { folder, binary: binary.to_owned(), catalog, runtime: runtime()?, seed, scale })
    }

    /// Waits for a call.
    pub(super) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Something that goes on beside the row.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// A folder of this name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A Redis with a folder of this name.
    pub(super) fn redis(&self, name: &str) -> Result<RedisServer> {
        self.redis_with(name, &[])
    }

    /// The same with further settings, each as `--name value`.
    pub(super) fn redis_with(&self, name: &str, settings: &[&str]) -> Result<RedisServer> {
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        Ok(RedisServer::start_with(&folder, settings)?)
    }

    /// A node with a folder of this name, on a Redis at this address or else on its own log; `settings` are TOML.
    pub(super) fn node(&self, name: &str, redis: Option<SocketAddr>, settings: &str) -> Result<Server> {
        self.node_at(name, redis, settings, "127.0.0.1:0")
    }

    /// As [`Scene::node`], with health and metrics at a known address.
    pub(super) fn node_at(&self, name: &str, redis: Option<SocketAddr>, settings: &str, http: &str) -> Result<Server> {
        let config = self.path(&format!("{name}.toml"));
        let log = redis.map_or_else(String::new, |address| format!("log = \"redis://{address}\"\n"));
        fs::write(&config, log + settings)?;
        let config = config.to_str().context("the path is no Unicode")?;
        Server::start_at(&self.binary, &self.catalog, &self.path(name), (&["--config", config], &[]), http)
    }

    /// The folder of a node's snapshots.
    pub(super) fn snapshots(&self, name: &str) -> PathBuf {
        self.path(name).join("data/snapshots")
    }
}

/// Where a Redis listens.
pub(super) fn address(redis: &RedisServer) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], redis.port()))
}

/// Runs a command of Redis; gives its answer.
pub(super) fn command(redis: &RedisServer, words: &[&str]) -> Result<String> {
    let mut client = Command::new("redis-cli");
    let output = client.args(["-e", "-p", &redis.port().to_string()]).args(words).output();
    let output = output.context("redis-cli does not start; it comes with redis-server, in redis-tools")?;
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{}: {told} {}", words[0], String::from_utf8_lossy(&output.stderr));
    Ok(told)
}

/// Sends a signal, for example `-STOP`, to a process of this scene.
pub(super) fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill {name} {process}")]).status()?;
    ensure!(status.success(), "cannot signal process {process}");
    Ok(())
}

/// Looks again and again until it holds; how long that took.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < EVENTUALLY_MAX {
        if holds()? {
            return Ok(started.elapsed());
        }
        thread::sleep(POLL);
    }
    bail!("after {} s it is not yet so that {what}", EVENTUALLY_MAX.as_secs())
}

/// Waits until a node says that its log is damaged; how long that took, and what it says.
pub(super) fn until_damaged(scene: &Scene, node: &Server) -> Result<(Duration, String)> {
    let mut told = String::new();
    let took = eventually("the node tells of damage", || {
        let (status, text) = scene.wait(node.ready())?;
        told = text.lines().next().unwrap_or_default().to_owned();
        Ok(status == 503 && text.contains("the log is damaged"))
    })?;
    Ok((took, told))
}
