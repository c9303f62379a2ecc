//! The Python environment in which other libraries train: made once under the target folder, from pinned
//! requirements. Nothing is installed anywhere else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::workspace::Workspace;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const SCRIPT: &str = include_str!("libraries.py");
/// Written last: an environment without it was not finished.
const READY: &str = "ready";

/// An environment with all requirements.
pub(super) struct Python {
    program: PathBuf,
}

/// The environment of these requirements, made if it is not there.
pub(super) fn environment(workspace: &Workspace) -> Result<Python> {
    let digest = Sha256::digest(REQUIREMENTS);
    let folder =
        workspace.target().join("python").join(format!("bank-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]));
    let program = folder.join("bin").join("python");
    if !folder.join(READY).is_file() {
        make(&folder, &program)?;
    }
    Ok(Python { program })
}

fn make(folder: &Path, program: &Path) -> Result<()> {
    eprintln!(
        "making a Python environment with scikit-learn, LightGBM, XGBoost and ONNX in {}: once",
        folder.display()
    );
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder).stdin(Stdio::null()).output();
    let made =
        made.context("python3 does not start; install Python 3.11 or newer (apt-get install python3 python3-venv)")?;
    ensure!(made.status.success(), "python3 -m venv failed (apt-get install python3-venv):\n{}", tail(&made));
    // Clearing took it away.
    fs::write(&requirements, REQUIREMENTS)?;
    let installed = Command::new(program)
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--only-binary=:all:", "-r"])
        .arg(&requirements)
        .stdin(Stdio::null())
        .output()
        .context("the new environment does not start")?;
    if !installed.status.success() {
        bail!(
            "pip could not install the pinned libraries; it needs Python 3.11 or newer and a package registry (PyPI, or \
             another one by PIP_INDEX_URL):\n{}",
            tail(&installed)
        );
    }
    fs::write(folder.join(READY), "").context("the environment could not be marked as finished")
}

impl Python {
    /// Splits the data and trains the other libraries; what they are is in `libraries.py`.
    pub(super) fn train_libraries(&self, data: &Path, seed: u64, folder: &Path) -> Result<()> {
        let script = folder.join("libraries.py");
        fs::write(&script, SCRIPT)?;
        // numpy takes no greater seed.
        let seed = u32::try_from(seed).context("--seed must be below 4294967296 here")?;
        let mut command = Command::new(&self.program);
        command.arg(&script).arg(data).arg(seed.to_string()).arg(folder).stdin(Stdio::null());
        let output = command.output().context("the Python environment does not start; delete it to make it anew")?;
        ensure!(output.status.success(), "the other libraries failed ({}):\n{}", output.status, tail(&output));
        Ok(())
    }
}

/// The last lines of what a program said.
fn tail(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned() {
        let pinned =
            |line: &str| line.split_once("==").is_some_and(|(name, version)| !name.is_empty() && !version.is_empty());
        assert!(REQUIREMENTS.lines().count() > 5 && REQUIREMENTS.lines().all(pinned), "{REQUIREMENTS}");
    }

    #[test]
    fn what_went_wrong_is_told_by_its_last_lines() {
        let said = (0..20).map(|line| format!("line {line}\n")).collect::<String>();
        let output = Output { status: Default::default(), stdout: said.into_bytes(), stderr: b"the end\n".to_vec() };
        let told = tail(&output);
        assert!(told.starts_with("line 9\n") && told.ends_with("the end"), "{told}");
    }
}
