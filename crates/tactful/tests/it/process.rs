//! One call of the binary: arguments, environment and input in, output and exit code out, within a
//! bound of time. A call that takes longer is ended and fails its test.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long any one call may take; none comes near it on a machine that is not stuck.
const CALL_MAX: Duration = Duration::from_mins(2);
/// How often a process is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads the first line and closes the pipe, as `head -n 1` does; answers the line, and how the program took it.
pub(crate) fn first_line(mut command: Command) -> (String, Option<i32>, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let (mut line, mut told) = (String::new(), String::new());
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let status = wait(&mut child, CALL_MAX);
    end(&mut child);
    child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    (line, status.and_then(|status| status.code()), told)
}

/// A call on its way.
pub(crate) struct Call {
    command: Command,
    input: Vec<u8>,
}

impl Call {
    pub(crate) fn new(args: &[&str]) -> Self {
        Self { command: command(args), input: Vec::new() }
    }

    /// In this directory.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// With this environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With this on standard input.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs to the end.
    pub(crate) fn output(mut self) -> Output {
        self.command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut running = Running::start(self.command);
        let feeding = running.stdin().map(|mut stdin| {
            let input = std::mem::take(&mut self.input);
            // A program that has seen enough closes its input early.
            thread::spawn(move || drop(stdin.write_all(&input)))
        });
        let output = running.finish();
        if let Some(feeding) = feeding {
            feeding.join().expect("the input was fed");
        }
        output
    }

    /// Starts it with an input that the test writes as it goes.
    pub(crate) fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped());
        Running::start(self.command)
    }
}

/// A call that runs beside the test. Dropped before its end, it is ended.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        Self { child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// The other end of its standard input, once.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be ended");
    }

    /// Waits for its end.
    pub(crate) fn finish(&mut self) -> Output {
        let status = wait(&mut self.child, CALL_MAX).unwrap_or_else(|| panic!("a call took longer than {CALL_MAX:?}"));
        let read = |stream: &mut Option<JoinHandle<Vec<u8>>>| stream.take().expect("once").join().expect("read");
        Output { status, stdout: read(&mut self.stdout), stderr: read(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The binary with these arguments, without a terminal and without settings of ours.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TACTFUL") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

/// How it ended; none if it still runs after this time.
pub(crate) fn wait(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + most;
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Ends a child that may have ended already, and leaves no zombie.
pub(crate) fn end(child: &mut Child) {
    // One that has ended cannot be ended again.
    let _ended = child.kill();
    let _reaped = child.wait();
}

/// Reads a stream to its end beside the test, so that no pipe fills up.
fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a readable pipe");
        bytes
    })
}
