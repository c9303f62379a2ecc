//! The built binary as a user calls it: help, wrong usage, exit codes. Nothing here needs a server.

mod usage;

use std::process::{Command, Output, Stdio};

/// Runs the binary with these arguments, without a terminal and without settings of ours.
fn tactful(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tactful"));
    command.args(args).stdin(Stdio::null()).env_remove("TACTFUL_SERVER").output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The address of a port on which nothing listens: bound once and given back.
fn silent_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}
