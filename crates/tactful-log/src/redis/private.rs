//! A Redis of one's own, for the demo and for tests: a real redis-server on a free loopback port, with its
//! append-only file in a given directory.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// Time for it to answer.
const START_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// Ports tried: another process may take one between the look and the start.
const ATTEMPTS: usize = 5;

/// A running redis-server. Dropped, it is killed; what it acknowledged is in its directory.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl RedisServer {
    /// Starts one that keeps its files in this directory, and waits until it answers. Blocks.
    ///
    /// # Errors
    /// [`Error::Unfit`] if redis-server is not installed, [`Error::Io`] if it does not start.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_with(directory, &[])
    }

    /// As [`RedisServer::start`], with further settings, each as `--name value`.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_with(directory: &Path, settings: &[&str]) -> Result<Self, Error> {
        let mut outcome = Err(failed("no free port"));
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(io_error)?;
            let port = listener.local_addr().map_err(io_error)?.port();
            drop(listener);
            outcome = Self::start_on(directory, port, settings);
            if matches!(outcome, Ok(_) | Err(Error::Unfit { .. })) {
                break;
            }
        }
        outcome
    }

    /// As [`RedisServer::start_with`], on a given port.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_on(directory: &Path, port: u16, settings: &[&str]) -> Result<Self, Error> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.arg("--dir").arg(directory).args(settings);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                Error::Unfit { what: "redis-server is not installed: apt-get install redis-server".to_owned() }
            }
            _ => io_error(source),
        })?;
        let mut server = Self { child, port, directory: directory.to_owned() };
        server.answering()?;
        Ok(server)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn answering(&mut self) -> Result<(), Error> {
        let client = redis::Client::open(self.url()).map_err(|error| failed(&error.to_string()))?;
        let started = Instant::now();
        while started.elapsed() < START_MAX {
            if let Some(status) = self.child.try_wait().map_err(io_error)? {
                return Err(failed(&format!("it ended with {status}")));
            }
            let answer = client.get_connection_with_timeout(POLL * 10).and_then(|mut connection| {
                // It is not ready while it loads its file.
                redis::cmd("PING").exec(&mut connection)
            });
            if answer.is_ok() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(failed("it does not answer"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn failed(reason: &str) -> Error {
    io_error(io::Error::other(reason.to_owned()))
}

fn io_error(source: io::Error) -> Error {
    Error::Io { action: "start redis-server", source: Arc::new(source) }
}
