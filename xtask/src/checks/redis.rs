//! redis-server for the tests on Redis: found, installed where that needs no question, else named.

use std::process::{Command, Stdio};

use super::{Console, Outcome, execute};
use crate::workspace::Workspace;

/// How to get it.
pub(super) const INSTALL: &str = "apt-get install redis-server (Debian, Ubuntu) or brew install redis (macOS)";

/// Makes sure that it is there if that is possible; says whether it is.
pub(super) fn provide(console: &Console) -> bool {
    is_there("redis-server") || (is_root() && is_there("apt-get") && install(console) && is_there("redis-server"))
}

/// All tests; without redis-server all but those that need one, which say so in their names.
pub(super) fn test(workspace: &Workspace, console: &Console) -> anyhow::Result<Outcome> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if is_there("redis-server") {
        return execute(command, console);
    }
    command.args(["--", "--skip", "redis"]);
    Ok(match execute(command, console)? {
        Outcome::Passed(_) => Outcome::Passed(format!("all but those on Redis, which is missing: {INSTALL}")),
        other => other,
    })
}

/// Debian's package, without starting its service.
fn install(console: &Console) -> bool {
    console.note("installing redis-server");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        succeeds(command)
    };
    apt(&["update", "-qq"]) && apt(&["install", "-y", "-qq", "--no-install-recommends", "redis-server"])
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    succeeds(command)
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
