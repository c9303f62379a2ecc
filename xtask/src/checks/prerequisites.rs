//! What the checks need: a Rust toolchain with a linker, and git. The rest is optional.
//!
//! It names what is missing with the exact command that installs it, and installs nothing but redis-server.

use anyhow::{Context, Result};

use super::{Console, Outcome, redis};
use crate::workspace::Workspace;

/// Something that must or may be there.
struct Need {
    name: &'static str,
    /// Program and arguments that prove it.
    probe: &'static [&'static str],
    /// How to get it.
    install: &'static str,
    level: Level,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Nothing can be built without it.
    Build,
    /// Some step fails without it.
    Check,
    /// Some step is skipped without it.
    Optional,
}

const NEEDS: [Need; 9] = [
    Need { name: "cargo", probe: &["cargo", "--version"], install: "see https://rustup.rs", level: Level::Build },
    Need {
        name: "rustc",
        probe: &["rustc", "--version"],
        install: "rustup toolchain install stable",
        level: Level::Build,
    },
    Need {
        name: "a C compiler and linker",
        probe: &["cc", "--version"],
        install: "apt-get install build-essential (Debian, Ubuntu) or xcode-select --install (macOS)",
        level: Level::Build,
    },
    Need { name: "git", probe: &["git", "--version"], install: "apt-get install git", level: Level::Check },
    Need {
        name: "rustfmt",
        probe: &["cargo", "fmt", "--version"],
        install: "rustup component add rustfmt",
        level: Level::Check,
    },
    Need {
        name: "clippy",
        probe: &["cargo", "clippy", "--version"],
        install: "rustup component add clippy",
        level: Level::Check,
    },
    Need {
        name: "cargo-deny",
        probe: &["cargo", "deny", "--version"],
        install: "cargo install --locked cargo-deny",
        level: Level::Optional,
    },
    Need {
        name: "npm (for buf)",
        probe: &["npm", "--version"],
        install: "apt-get install npm",
        level: Level::Optional,
    },
    Need {
        name: "python3 with venv (for the Python client)",
        probe: &["python3", "-c", "import ensurepip, venv"],
        install: "apt-get install python3 python3-venv",
        level: Level::Optional,
    },
];

/// Looks for everything and says what is missing.
pub(super) fn check(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !present(workspace, need)).collect();
    if !redis::provide(console) {
        console.note(&format!("optional: redis-server: {}", redis::INSTALL));
    }
    for need in &missing {
        let level = if need.level == Level::Optional { "optional" } else { "missing" };
        console.note(&format!("{level}: {}: {}", need.name, need.install));
    }
    if let Some(reason) = too_old(workspace)? {
        return Ok(Outcome::Stopped(reason));
    }
    Ok(verdict(&missing))
}

fn verdict(missing: &[&Need]) -> Outcome {
    let names = |level: Level| {
        let names: Vec<String> =
            missing.iter().filter(|n| n.level == level).map(|n| format!("{} ({})", n.name, n.install)).collect();
        names.join(", ")
    };
    let (build, check) = (names(Level::Build), names(Level::Check));
    match (build.is_empty(), check.is_empty()) {
        (false, _) => Outcome::Stopped(format!("nothing can be built without {build}")),
        (true, false) => Outcome::Failed(format!("missing: {check}")),
        (true, true) => Outcome::Passed(String::new()),
    }
}

fn present(workspace: &Workspace, need: &Need) -> bool {
    let mut command = if need.probe[0] == "cargo" { workspace.cargo() } else { workspace.command(need.probe[0]) };
    command.args(&need.probe[1..]).output().is_ok_and(|output| output.status.success())
}

/// Why the compiler is too old for this workspace, if it is.
fn too_old(workspace: &Workspace) -> Result<Option<String>> {
    let Ok(output) = workspace.command("rustc").arg("--version").output() else { return Ok(None) };
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let text = std::fs::read_to_string(workspace.root.join("Cargo.toml"))?;
    let manifest: toml::Table = text.parse()?;
    let wanted = manifest["workspace"]["package"]["rust-version"].as_str().context("rust-version is no text")?;
    let (Some(have), Some(want)) = (said.split(' ').nth(1).and_then(minor), minor(wanted)) else { return Ok(None) };
    Ok((have < want).then(|| format!("{said} is older than {wanted}: rustup update stable")))
}

/// Major and minor version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(name: &str) -> &'static Need {
        NEEDS.iter().find(|need| need.name == name).unwrap()
    }

    #[test]
    fn only_what_builds_need_stops_the_run() {
        assert_eq!(verdict(&[need("npm (for buf)"), need("cargo-deny")]), Outcome::Passed(String::new()));
        let Outcome::Failed(reason) = verdict(&[need("clippy")]) else { panic!("clippy is needed") };
        assert!(reason.contains("rustup component add clippy"), "{reason}");
        let Outcome::Stopped(reason) = verdict(&[need("clippy"), need("rustc")]) else { panic!("rustc is needed") };
        assert!(reason.contains("rustup toolchain install stable"), "{reason}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(minor("1.100.0") > minor("1.95"));
        assert_eq!(minor("1.95.0-nightly"), Some((1, 95)));
        assert_eq!(minor("new"), None);
    }
}
