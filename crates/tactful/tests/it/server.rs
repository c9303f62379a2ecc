//! A real server as a child process, on ports of the system's choice. It ends with its test, however
//! that ends.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    json,
    process::{self, Call},
    shipped_catalog,
};

/// How long a server may take to be ready.
const READY_MAX: Duration = Duration::from_mins(2);
/// How long any condition may take to come true.
const SOON: Duration = Duration::from_mins(2);

/// A running server.
pub(crate) struct Server {
    child: Child,
    ready: String,
    grpc: String,
    http: String,
    log: PathBuf,
    /// What is read from standard output after the ready line.
    _stdout: thread::JoinHandle<()>,
}

/// A server that is to be started.
pub(crate) struct Setup {
    command: Command,
    log: PathBuf,
}

impl Setup {
    /// With the shipped catalogue, on the data of this home.
    pub(crate) fn new(home: &Home) -> Self {
        Self::with_catalog(home, &shipped_catalog())
    }

    pub(crate) fn with_catalog(home: &Home, catalog: &Path) -> Self {
        let mut command = process::command(&["serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(home.data()).arg("--catalog").arg(catalog);
        // A short drain, so that no test waits for connections that stay open.
        command.env("TACTFUL__SERVER__DRAIN_MS_MAX", "3000");
        Self { command, log: home.path().join("server.log") }
    }

    /// With a further argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits for its ready line.
    pub(crate) fn start(mut self) -> Server {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = self.command.spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (sender, ready) = mpsc::channel();
        let stdout = thread::spawn(move || {
            for line in lines.by_ref().map_while(Result::ok) {
                // The test may be over.
                let _over = sender.send(line);
            }
        });
        let line = ready.recv_timeout(READY_MAX).unwrap_or_else(|_| {
            process::end(&mut child);
            panic!("the server did not get ready:\n{}", fs::read_to_string(&self.log).unwrap_or_default())
        });
        let (grpc, http) = (address(&line, "grpc"), address(&line, "http"));
        Server { child, ready: line, grpc, http, log: self.log, _stdout: stdout }
    }
}

/// An address of the ready line, which is text or JSON.
fn address(line: &str, name: &str) -> String {
    let found = match serde_json::from_str::<Value>(line) {
        Ok(json) => json[name].as_str().map(ToOwned::to_owned),
        Err(_) => {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(ToOwned::to_owned)
        }
    };
    found.unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// A directory for one server's data and a test's files.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the server's data is.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A file of the test with this text.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a writable directory");
        path.to_str().expect("a readable path").to_owned()
    }

    /// The path of a file of the test.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a readable path").to_owned()
    }
}

impl Server {
    /// A server with the shipped catalogue.
    pub(crate) fn start(home: &Home) -> Self {
        Setup::new(home).start()
    }

    /// The line that said that it is ready.
    pub(crate) fn ready(&self) -> &str {
        &self.ready
    }

    /// Host and port of gRPC.
    pub(crate) fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Host and port of HTTP.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// A client command against this server.
    pub(crate) fn call(&self, args: &[&str]) -> Call {
        Call::new(args).env("TACTFUL_SERVER", &self.grpc)
    }

    /// Runs a client command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.call(args).output()
    }

    /// Ingests these lines and returns the summary; whether all were taken is up to the test.
    pub(crate) fn ingest(&self, lines: &str) -> Value {
        json(&self.call(&["ingest", "-", "--json"]).input(lines).output())
    }

    /// Ingests these lines, all of which must be taken.
    #[track_caller]
    pub(crate) fn take(&self, lines: &str) {
        let records = || self.digest()["records"].as_u64().expect("a count");
        let (before, given) = (records(), count(lines));
        let summary = self.ingest(lines);
        assert_eq!((&summary["refused"], summary["accepted"].as_u64()), (&0.into(), Some(given)), "{summary}");
        // What is acknowledged is durable; it shows in memory within milliseconds.
        eventually("the events are applied", || records() >= before + given);
    }

    /// The digests of all rows, with the counts behind them.
    pub(crate) fn digest(&self) -> Value {
        serde_json::from_str(&self.get("/digest")).expect("digests are JSON")
    }

    /// A metric without labels, if it is there.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let page = self.get("/metrics");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The body of a page that answers.
    pub(crate) fn get(&self, page: &str) -> String {
        let (head, body) = self.page(page);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body
    }

    /// Head and body of a page, whatever its status.
    pub(crate) fn page(&self, page: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.http).expect("HTTP answers");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        write!(stream, "GET {page} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        process::end(&mut self.child);
    }

    /// Asks it to drain, and returns how it ended and how long that took.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        let status = process::wait(&mut self.child, SOON);
        let status = status.unwrap_or_else(|| panic!("it did not end:\n{}", self.logged()));
        (status, started.elapsed())
    }

    /// Ends it in order.
    pub(crate) fn stop(self) {
        let log = self.log.clone();
        let (status, _) = self.terminate();
        assert!(status.success(), "{status}\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    /// What it wrote to standard error.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::end(&mut self.child);
        if thread::panicking() {
            eprintln!("--- the server's log\n{}", self.logged());
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "not within {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn count(lines: &str) -> u64 {
    lines.lines().filter(|line| !line.trim().is_empty()).count() as u64
}
