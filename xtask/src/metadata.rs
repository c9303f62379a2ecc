//! What `cargo metadata` says of the workspace and its dependencies, cut down to what the checks read.

use std::{collections::BTreeSet, process::Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The resolved packages.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Every package, ours and foreign.
    pub(crate) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    /// Name.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// SPDX expression, if it states one.
    pub(crate) license: Option<String>,
    /// Where it comes from; nothing for a path.
    pub(crate) source: Option<String>,
    /// What it asks for.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// Name of the package.
    pub(crate) name: String,
    /// `dev`, `build`, or nothing for a normal one.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, for the host's platform only, so that packages of other platforms need not be fetched.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let host = host(workspace)?;
        let args = ["metadata", "--format-version", "1", "--filter-platform", &host];
        let output = workspace.cargo().args(args).stderr(Stdio::inherit()).output().context("cargo does not start")?;
        ensure!(output.status.success(), "cargo metadata ended with {}", output.status);
        serde_json::from_slice(&output.stdout).context("cargo metadata gave something unexpected")
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages of others.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !self.workspace_members.contains(&package.id))
    }
}

/// Target triple of this machine.
fn host(workspace: &Workspace) -> Result<String> {
    let output = workspace.command("rustc").arg("-vV").output().context("rustc does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc -vV names no host")?.to_owned())
}
