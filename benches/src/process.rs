//! A server as a child process on cores of its own: started, waited for, asked to stop.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tonic::transport::{Channel, Endpoint};

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);

/// A running server. Dropped without [`Process::stop`], it is killed.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts a program, on one core if one is named, and waits until a line of its standard output
    /// names `grpc=ADDRESS`. Its standard error goes to `log`.
    pub(crate) fn start(program: &Path, arguments: &[String], core: Option<usize>, log: &Path) -> Result<Self> {
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        match ready(&mut child) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                let said = std::fs::read_to_string(log).unwrap_or_default();
                Err(error.context(format!("{} is not ready: {said}", program.display())))
            }
        }
    }

    /// Its process id: taskset becomes the program that it starts.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Address for connections.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Channel> {
        let endpoint = Endpoint::from_shared(self.url())?.tcp_nodelay(true);
        endpoint.connect().await.with_context(|| format!("cannot connect to {}", self.url()))
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        // `kill` is part of every POSIX shell, and signals by number need no further crate.
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(status.success(), "cannot signal the server");
        let started = Instant::now();
        while started.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("the server did not stop within {} s", STOP_MAX.as_secs())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself in between.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads standard output until a line names the address; the rest is read and dropped.
fn ready(child: &mut Child) -> Result<SocketAddr> {
    let stdout = child.stdout.take().context("standard output is not piped")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = parse_ready(&line) {
                // Nobody listens any more once it came.
                let _ = sender.send(address);
            }
        }
    });
    receiver.recv_timeout(START_MAX).context("it did not say where it listens")
}

fn parse_ready(line: &str) -> Option<SocketAddr> {
    line.split_whitespace().find_map(|word| word.strip_prefix("grpc="))?.parse().ok()
}

/// Keeps this process, and every thread that it starts from now on, on one core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let id = std::process::id().to_string();
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", &core.to_string(), &id]).stdout(Stdio::null());
    let status = command.status().context("taskset does not start: it is part of util-linux")?;
    ensure!(status.success(), "cannot stay on core {core}");
    Ok(())
}

/// The program that this process runs.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program has no path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_read() {
        let address = parse_ready("tactful ready grpc=127.0.0.1:7000 http=127.0.0.1:7001").unwrap();
        assert_eq!(address.port(), 7_000);
        assert_eq!(parse_ready("something else"), None);
    }

    #[test]
    fn a_server_is_started_and_stopped_and_one_that_ends_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let shell = |script: &str| vec!["-c".to_owned(), script.to_owned()];
        let log = folder.path().join("log");
        let serving = shell("trap 'exit 0' TERM; echo ready grpc=127.0.0.1:1; while :; do sleep 0.05; done");
        let process = Process::start(Path::new("sh"), &serving, None, &log).unwrap();
        assert_eq!(process.url(), "http://127.0.0.1:1");
        process.stop().unwrap();
        let ended = Process::start(Path::new("sh"), &shell("echo no disk >&2"), None, &log);
        assert!(format!("{:#}", ended.err().unwrap()).contains("no disk"));
    }
}
