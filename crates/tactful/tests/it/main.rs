//! The built binary as its users call it: every command as a child process, servers on ports of the
//! system's choice and directories of their own. Everything is bounded in time, and each test ends
//! only the processes that it started.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests, which the test exemption does not reach"
)]

mod archive;
mod catalog;
mod consent;
mod crash;
mod decide;
mod demo;
mod disk;
mod events;
mod fact;
mod import;
mod ingest;
mod model;
mod privacy;
mod process;
mod record;
mod redis;
mod serve;
mod server;
mod settings;
mod usage;

use std::{path::PathBuf, process::Output};

use process::Call;

/// The demo's catalogue, as it is shipped.
fn shipped_catalog() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog")
}

/// Runs the binary with these arguments, without a terminal and without settings of ours.
fn tactful(args: &[&str]) -> Output {
    Call::new(args).output()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// What a command that must succeed printed.
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

/// What a command that must fail with this code said on standard error.
fn failed(code: i32, output: &Output) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
    stderr(output)
}

/// The JSON that a command printed, whatever its exit code.
fn json(output: &Output) -> serde_json::Value {
    let text = stdout(output);
    serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem} in {text:?}\n{}", stderr(output)))
}

/// Fails unless each part is in the text.
#[track_caller]
fn assert_told(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

/// The address of a port on which nothing listens: bound once and given back.
fn silent_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}
