//! `buf lint` of the protos, with buf from npm kept under the target directory.
//!
//! Without npm or network the step is skipped and says so; nothing is installed outside `target/`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Console, Outcome, execute};
use crate::workspace::Workspace;

const PACKAGE: &str = "@bufbuild/buf@1.75.0";
const VERSION: &str = "1.75.0";

/// Lints all protos by the rules of `buf.yaml`.
pub(super) fn lint(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let folder = workspace.target().join(format!("buf-{VERSION}"));
    match install(workspace, &folder)? {
        Ok(buf) => {
            let mut command = workspace.command(buf);
            command.arg("lint");
            execute(command, console)
        }
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

/// The installed program, or the reason why there is none.
fn install(workspace: &Workspace, folder: &Path) -> Result<std::result::Result<PathBuf, String>> {
    let program = folder.join("node_modules/.bin/buf");
    if program.exists() {
        return Ok(Ok(program));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let output = workspace
        .command("npm")
        .arg("install")
        .arg("--prefix")
        .arg(folder)
        // The binary comes as an optional dependency: no script needs to run.
        .args(["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .args(["--fetch-retries=1", "--fetch-timeout=30000", PACKAGE])
        .output();
    Ok(match output {
        Err(error) => Err(format!("npm does not start ({error}): apt-get install npm")),
        Ok(output) if output.status.success() && program.exists() => Ok(program),
        Ok(output) => Err(format!("npm cannot install {PACKAGE}: {}", reason(&output.stderr))),
    })
}

/// The line of npm's complaint that says most.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = || text.lines().map(|line| line.trim_start_matches("npm error").trim()).filter(|l| !l.is_empty());
    let telling = lines().find(|line| line.contains("failed")).or_else(|| lines().next());
    telling.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_telling_line() {
        let stderr =
            b"npm error code ECONNREFUSED\nnpm error FetchError: request to http://x failed, reason: connect\n";
        assert_eq!(reason(stderr), "FetchError: request to http://x failed, reason: connect");
        assert_eq!(reason(b"npm error code EACCES\n"), "code EACCES");
        assert_eq!(reason(b""), "no reason given");
    }
}
