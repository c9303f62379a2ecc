//! `buf` looks at the protos: are they well made, and does everything that was promised to callers still hold? The
//! promise is the committed descriptor. It comes from npm and is kept under the target directory.
//!
//! Without npm or network the step is skipped and says so; nothing is installed outside `target/`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Console, Outcome, execute};
use crate::workspace::Workspace;

const PACKAGE: &str = "@bufbuild/buf@1.75.0";
const VERSION: &str = "1.75.0";
/// The API as it was promised last.
const BASELINE: &str = "proto/baseline.binpb";

/// Lints all protos by the rules of `buf.yaml`, and holds them against the baseline, which must be that of today.
pub(super) fn check(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let folder = workspace.target().join(format!("buf-{VERSION}"));
    let buf = match install(workspace, &folder)? {
        Ok(buf) => buf,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let today = folder.join("today.binpb");
    let built = today.to_str().context("the target directory has no plain name")?;
    let steps: [&[&str]; 3] =
        [&["lint"], &["breaking", "--against", BASELINE], &["build", "--exclude-source-info", "-o", built]];
    for arguments in steps {
        let mut command = workspace.command(&buf);
        command.args(arguments);
        match execute(command, console)? {
            Outcome::Passed(_) => {}
            other => return Ok(other),
        }
    }
    is_todays(&workspace.root.join(BASELINE), &today)
}

/// What is new in the API is promised as well: the baseline must say so.
fn is_todays(baseline: &Path, today: &Path) -> Result<Outcome> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    Ok(match read(baseline)? == read(today)? {
        true => Outcome::Passed(String::new()),
        false => Outcome::Failed(format!(
            "the protos have more than {BASELINE} says, and break nothing: cp {} {BASELINE}",
            today.display()
        )),
    })
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
    fn a_baseline_of_before_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (baseline, today) = (folder.path().join("baseline"), folder.path().join("today"));
        std::fs::write(&baseline, "a").unwrap();
        std::fs::write(&today, "a").unwrap();
        assert!(matches!(is_todays(&baseline, &today).unwrap(), Outcome::Passed(_)));
        std::fs::write(&today, "ab").unwrap();
        let Outcome::Failed(reason) = is_todays(&baseline, &today).unwrap() else { panic!() };
        assert!(reason.contains("cp "), "{reason}");
        assert!(is_todays(&folder.path().join("none"), &today).is_err());
    }

    #[test]
    fn the_reason_is_the_telling_line() {
        let stderr =
            b"npm error code ECONNREFUSED\nnpm error FetchError: request to http://x failed, reason: connect\n";
        assert_eq!(reason(stderr), "FetchError: request to http://x failed, reason: connect");
        assert_eq!(reason(b"npm error code EACCES\n"), "code EACCES");
        assert_eq!(reason(b""), "no reason given");
    }
}
