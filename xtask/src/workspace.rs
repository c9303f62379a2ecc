//! Where the workspace lies, which files belong to it, and how to call cargo in it.
//!
//! It reads; it never writes into the tree.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The checked-out workspace.
pub(crate) struct Workspace {
    /// Absolute path of the folder that holds the root `Cargo.toml`.
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// The workspace that this tool was built from, wherever it is called.
    pub(crate) fn locate() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("the tool's folder has no parent")?.to_path_buf();
        ensure!(root.join("Cargo.toml").is_file(), "no Cargo.toml in {}", root.display());
        Ok(Self { root })
    }

    /// A command that runs at the root, with the environment that the user gave.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // `cargo run` describes this package to us; passed on, that would make build scripts that
        // watch these variables run again.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        command
    }

    /// Cargo, the one that started this tool.
    pub(crate) fn cargo(&self) -> Command {
        self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// The one target directory.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |path| self.root.join(path))
    }

    /// Paths, relative to the root, of all files that are tracked or would be.
    pub(crate) fn files(&self) -> Result<BTreeSet<PathBuf>> {
        let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let output = self.command("git").args(args).stderr(Stdio::inherit()).output().context("git does not start")?;
        ensure!(output.status.success(), "git ls-files ended with {}", output.status);
        let names = String::from_utf8(output.stdout).context("git ls-files gave a name that is no UTF-8")?;
        let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        // A file that was deleted and not yet staged is still listed.
        Ok(paths.filter(|path| self.root.join(path).is_file()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_belongs_to_the_workspace() {
        let workspace = Workspace::locate().unwrap();
        assert!(workspace.files().unwrap().contains(Path::new("xtask/src/workspace.rs")));
    }
}
