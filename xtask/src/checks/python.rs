//! The Python client: linted, typed and tested against a real server, in a venv under the target directory.
//!
//! Without Python or a package index the step is skipped and says what would help. Nothing is installed
//! outside `target/`; what is installed is pinned by `clients/python/constraints.txt`.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Console, Outcome, execute};
use crate::workspace::Workspace;

/// Where the client lies.
const CLIENT: &str = "clients/python";
/// The oldest minor version of Python 3 for which the pinned packages exist.
const PYTHON_MINOR_MIN: u32 = 11;
/// How to get what is missing.
const INSTALL: &str = "apt-get install python3 python3-venv, then cargo xtask test --only python";

/// Lints, checks types and tests.
pub(super) fn test(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let venv = workspace.target().join("python-client");
    if let Some(outcome) = prepare(workspace, console, &venv)? {
        return Ok(outcome);
    }
    let mut build = workspace.cargo();
    build.args(["build", "-p", "tactful"]);
    let mut steps = vec![build];
    for args in [&["ruff", "check"][..], &["ruff", "format", "--check"], &["mypy"], &["pytest", "--durations=3"]] {
        steps.push(module(workspace, &venv, args));
    }
    for step in steps {
        let outcome = execute(step, console)?;
        if !matches!(outcome, Outcome::Passed(_)) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed(String::new()))
}

/// A module of the venv's Python, run where the client lies, with its caches under the target directory.
fn module(workspace: &Workspace, venv: &Path, args: &[&str]) -> Command {
    let mut command = workspace.command(python(venv));
    command.current_dir(workspace.root.join(CLIENT)).arg("-m").args(args);
    command.env("TACTFUL_BIN", workspace.target().join("debug/tactful"));
    command.env("RUFF_CACHE_DIR", venv.join("ruff")).env("MYPY_CACHE_DIR", venv.join("mypy"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTEST_ADDOPTS", "-p no:cacheprovider");
    command
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// Makes the venv what the pins say; an outcome if that is not possible here.
fn prepare(workspace: &Workspace, console: &Console, venv: &Path) -> Result<Option<Outcome>> {
    let wanted = pins(&workspace.root.join(CLIENT))?;
    let mark = venv.join("installed");
    if python(venv).exists() && fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(None);
    }
    if let Err(reason) = interpreter(workspace) {
        return Ok(Some(Outcome::Skipped(format!("{reason}: {INSTALL}"))));
    }
    let made = workspace.command("python3").args(["-m", "venv", "--clear"]).arg(venv).output();
    if !made.is_ok_and(|output| output.status.success()) {
        return Ok(Some(Outcome::Skipped(format!("python3 cannot make a venv: {INSTALL}"))));
    }
    if let Err(reason) = index(workspace, venv) {
        return Ok(Some(Outcome::Skipped(format!("the package index cannot be reached ({reason}): {INSTALL}"))));
    }
    let outcome = execute(install(workspace, venv, &["-e", ".[test]"]), console)?;
    if matches!(outcome, Outcome::Passed(_)) {
        fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))?;
        return Ok(None);
    }
    Ok(Some(outcome))
}

/// What the venv was made of.
fn pins(client: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for name in ["constraints.txt", "pyproject.toml"] {
        let path = client.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Why no Python here will do.
fn interpreter(workspace: &Workspace) -> Result<(), String> {
    let output = workspace.command("python3").arg("--version").output();
    let Ok(output) = output else { return Err("python3 is not installed".into()) };
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match minor(&said) {
        Some(minor) if minor >= PYTHON_MINOR_MIN => Ok(()),
        _ => Err(format!("{said} is older than Python 3.{PYTHON_MINOR_MIN}")),
    }
}

/// The minor version of `Python 3.11.7`.
fn minor(said: &str) -> Option<u32> {
    said.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()
}

/// Why one small pinned package cannot be had, so that a wrong pin is not taken for a missing network.
fn index(workspace: &Workspace, venv: &Path) -> Result<(), String> {
    let output = install(workspace, venv, &["--quiet", "--no-deps", "--retries=1", "iniconfig"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(text.lines().last().unwrap_or("no reason given").trim().to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn install<S: AsRef<OsStr>>(workspace: &Workspace, venv: &Path, args: &[S]) -> Command {
    let mut command = workspace.command(python(venv));
    command.current_dir(workspace.root.join(CLIENT));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt"]);
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions_are_read() {
        assert_eq!((minor("Python 3.11.7"), minor("Python 3.14.0rc1")), (Some(11), Some(14)));
        assert_eq!((minor("Python 2.7.18"), minor("")), (None, None));
    }

    #[test]
    fn other_pins_make_another_venv() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pyproject.toml"), "a").unwrap();
        assert!(pins(folder.path()).is_err());
        fs::write(folder.path().join("constraints.txt"), "grpcio==1").unwrap();
        let before = pins(folder.path()).unwrap();
        fs::write(folder.path().join("constraints.txt"), "grpcio==2").unwrap();
        assert_ne!(before, pins(folder.path()).unwrap());
    }
}
