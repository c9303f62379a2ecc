//! A real server as a child process: built, started on free ports, asked for its digests, stopped.
//!
//! It speaks to the process by its public face alone: arguments, the line on stdout, SIGTERM, HTTP.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::transport::{Channel, Endpoint};

use crate::workspace::Workspace;

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
const REPLY_MAX: Duration = Duration::from_secs(30);
const REPLY_BYTES_MAX: u64 = 1 << 20;
const SETTLE_MAX: Duration = Duration::from_secs(300);
const SETTLE_POLL: Duration = Duration::from_millis(250);
/// So many equal answers in a row mean that nothing is under way any more.
const SETTLE_POLLS: u32 = 3;
/// As many if the count of records does not reach what was sent.
const SETTLE_POLLS_SHORT: u32 = 40;

/// The digests of a server's state, as its HTTP listener gives them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Digests {
    /// Over what does not depend on the order of events; equal under permutation and repetition.
    pub(crate) content: String,
    /// Over everything; equal at equal offsets.
    pub(crate) state: String,
    /// Records applied.
    pub(crate) records: u64,
}

/// Metrics of a server by name, those that differ by labels alone summed; and by name with labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    fn parse(text: &str) -> Self {
        let mut metrics = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value = value.parse().unwrap_or(0.0);
            let plain = name.split('{').next().unwrap_or(name);
            *metrics.entry(plain.to_owned()).or_default() += value;
            if plain != name {
                metrics.insert(name.to_owned(), value);
            }
        }
        Self(metrics)
    }

    /// A counter; 0 if it never counted.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default() as u64
    }
}

/// Builds the release binary and gives its path.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("building the release binary");
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--package", "tactful"]);
    let status = command.stdout(Stdio::null()).status().context("cargo does not start")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(workspace.target().join("release/tactful"))
}

/// A running server. Dropped without [`Server::stop`], it is killed.
pub(crate) struct Server {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts a server on free loopback ports with the data directory `folder/data`, and waits until it
    /// is ready.
    pub(crate) fn start(binary: &Path, catalog: &Path, folder: &Path) -> Result<Self> {
        Self::start_with(binary, catalog, folder, &[], &[])
    }

    /// As [`Server::start`], with further arguments, and settings by environment variable.
    pub(crate) fn start_with(
        binary: &Path,
        catalog: &Path,
        folder: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_at(binary, catalog, folder, (arguments, settings), "127.0.0.1:0")
    }

    /// As [`Server::start_with`], with health and metrics at an address that is known beforehand.
    pub(crate) fn start_at(
        binary: &Path,
        catalog: &Path,
        folder: &Path,
        (arguments, settings): (&[&str], &[(&str, &str)]),
        http: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join("server.log");
        let mut command = Command::new(binary);
        command.arg("serve").args(arguments).arg("--catalog").arg(catalog).arg("--data-dir").arg(folder.join("data"));
        command.args(["--grpc-listen", "127.0.0.1:0", "--http-listen", http]);
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut child = command.spawn().with_context(|| format!("{} does not start", binary.display()))?;
        match ready(&mut child) {
            Ok((grpc, http)) => Ok(Self { child, grpc, http, log }),
            Err(error) => {
                // Either may fail only because the process has ended already.
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context(format!("the server is not ready; its log ends with:\n{}", tail(&log))))
            }
        }
    }

    /// Address for `--server` and for channels.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Status and text of `/readyz`.
    pub(crate) async fn ready(&self) -> Result<(u16, String)> {
        readyz(self.http).await
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Channel> {
        connect(&self.url()).await
    }

    /// Waits until at least `records` are applied and nothing changes any more.
    pub(crate) async fn settle(&self, records: u64) -> Result<Digests> {
        let started = Instant::now();
        let (mut last, mut equal) = (self.digests().await?, 0);
        while started.elapsed() < SETTLE_MAX {
            sleep(SETTLE_POLL).await;
            let now = self.digests().await?;
            equal = if now == last { equal + 1 } else { 0 };
            let wanted = if now.records >= records { SETTLE_POLLS } else { SETTLE_POLLS_SHORT };
            if equal >= wanted {
                return Ok(now);
            }
            last = now;
        }
        bail!("the server still changes after {} s: {last:?}", SETTLE_MAX.as_secs())
    }

    /// Its metrics as of now.
    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let body = timeout(REPLY_MAX, get(self.http, "/metrics")).await.context("GET /metrics took too long")??;
        Ok(Metrics::parse(&body))
    }

    /// Its digests as of now.
    pub(crate) async fn digests(&self) -> Result<Digests> {
        let body = timeout(REPLY_MAX, get(self.http, "/digest")).await.context("GET /digest took too long")??;
        serde_json::from_str(&body).with_context(|| format!("GET /digest gave {body}"))
    }

    /// Asks it to drain and waits; kills it if it takes too long, which is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        // `kill` is part of every POSIX shell, and signals by number need no further crate.
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(kill.success(), "cannot signal the server");
        let started = Instant::now();
        while started.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}; its log ends with:\n{}", tail(&self.log));
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server did not stop within {} s; its log ends with:\n{}", STOP_MAX.as_secs(), tail(&self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself in between.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A connection to a server's gRPC listener.
pub(crate) async fn connect(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect_timeout(Duration::from_secs(5));
    endpoint.connect().await.with_context(|| format!("cannot connect to {url}"))
}

/// Reads stdout until the server says where it listens; the rest of stdout is read and dropped.
fn ready(child: &mut Child) -> Result<(SocketAddr, SocketAddr)> {
    let stdout = child.stdout.take().context("stdout is not piped")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(addresses) = parse_ready(&line) {
                // Nobody listens any more once it came.
                let _ = sender.send(addresses);
            }
        }
    });
    receiver.recv_timeout(START_MAX).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => anyhow::anyhow!("it did not say so within {} s", START_MAX.as_secs()),
        mpsc::RecvTimeoutError::Disconnected => anyhow::anyhow!("it ended"),
    })
}

/// `tactful ready grpc=127.0.0.1:PORT http=127.0.0.1:PORT`
fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.strip_prefix("tactful ready ")?.split_whitespace();
    let grpc = words.next()?.strip_prefix("grpc=")?.parse().ok()?;
    let http = words.next()?.strip_prefix("http=")?.parse().ok()?;
    Some((grpc, http))
}

/// Status and text of a server's `/readyz`.
pub(crate) async fn readyz(http: SocketAddr) -> Result<(u16, String)> {
    let (status, body) = timeout(REPLY_MAX, fetch(http, "/readyz")).await.context("GET /readyz took too long")??;
    Ok((status.parse().context("a status is a number")?, body))
}

/// The body of a GET that is answered well.
async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let (status, body) = fetch(address, path).await?;
    ensure!(status == "200", "GET {path} gave status {status}: {body}");
    Ok(body)
}

/// Status and body of a GET. HTTP/1.0, so that the reply is never chunked and ends with the connection.
async fn fetch(address: SocketAddr, path: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(REPLY_BYTES_MAX).read_to_end(&mut reply).await?;
    let reply = String::from_utf8(reply).context("the reply is no UTF-8")?;
    let (head, body) = reply.split_once("\r\n\r\n").context("the reply has no body")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status.to_owned(), body.to_owned()))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for the binary: the same contract, nothing behind it.
    fn script(folder: &Path, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("stand-in.sh");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_ready_line_is_read_exactly() {
        let (grpc, http) = parse_ready("tactful ready grpc=127.0.0.1:7000 http=127.0.0.1:7001").unwrap();
        assert_eq!((grpc.port(), http.port()), (7000, 7001));
        for other in ["", "tactful ready", "tactful ready grpc=x http=y", "ready grpc=127.0.0.1:1 http=127.0.0.1:2"] {
            assert!(parse_ready(other).is_none(), "{other}");
        }
    }

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let metrics = Metrics::parse("# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\n\nb 7\n");
        assert_eq!(["a", "b", "c", "a{x=\"2\"}"].map(|name| metrics.count(name)), [5, 7, 0, 3]);
    }

    #[test]
    fn a_server_is_started_with_its_arguments_and_stopped_by_sigterm() {
        let folder = tempfile::tempdir().unwrap();
        let body = "echo \"$@\" > \"$(dirname \"$0\")/arguments\"\n\
            trap 'exit 0' TERM\n\
            echo noise\n\
            echo tactful ready grpc=127.0.0.1:1 http=127.0.0.1:2\n\
            while :; do sleep 0.05; done";
        let binary = script(folder.path(), body);
        let server = Server::start(&binary, Path::new("cat"), &folder.path().join("run")).unwrap();
        assert_eq!(server.url(), "http://127.0.0.1:1");
        server.stop().unwrap();
        let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
        assert!(arguments.starts_with("serve --catalog cat --data-dir "), "{arguments}");
        assert!(arguments.trim_end().ends_with("--grpc-listen 127.0.0.1:0 --http-listen 127.0.0.1:0"), "{arguments}");
    }

    #[test]
    fn a_server_that_ends_early_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let binary = script(folder.path(), "echo catalogue is broken >&2\nexit 1");
        let Err(error) = Server::start(&binary, Path::new("cat"), folder.path()) else { panic!("it ended") };
        assert!(format!("{error:#}").contains("catalogue is broken"), "{error:#}");
    }

    /// Answers each connection with the next reply, the last one for ever.
    async fn http_replies(replies: Vec<String>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut replies = replies.into_iter().peekable();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let reply = replies.next_if(|_| true).unwrap_or_default();
                if replies.peek().is_none() {
                    replies = vec![reply.clone()].into_iter().peekable();
                }
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn settling_waits_for_the_records_and_for_silence() {
        let reply = |records: u64| {
            format!("HTTP/1.0 200 OK\r\n\r\n{{\"content\":\"c{records}\",\"state\":\"s\",\"records\":{records}}}")
        };
        let http = http_replies([1, 1, 1, 1, 1, 7, 9].map(reply).to_vec()).await;
        let child = Command::new("true").spawn().unwrap();
        let server = Server { child, grpc: http, http, log: PathBuf::new() };
        let digests = server.settle(8).await.unwrap();
        assert_eq!((digests.records, digests.content.as_str()), (9, "c9"));
    }

    #[tokio::test]
    async fn a_refused_request_is_an_error() {
        let address = http_replies(vec!["HTTP/1.0 404 Not Found\r\n\r\nno".into()]).await;
        assert!(get(address, "/digest").await.unwrap_err().to_string().contains("404"));
    }
}
