//! What a figure was measured on: without it a figure means nothing.

use std::{fs, process::Command};

use serde::Serialize;

/// The machine and the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Release of the kernel; empty if unknown.
    pub kernel: String,
    /// Model of the CPU; empty if unknown.
    pub cpu: String,
    /// Commit of the working directory, `+` behind it if files are changed; empty if unknown.
    pub commit: String,
}

impl Machine {
    /// Reads the facts of this machine.
    #[must_use]
    pub fn read() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            cpu: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            commit: commit().unwrap_or_default(),
        }
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(String::new, |(_, name)| name.trim().to_owned())
}

fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|files| !files.is_empty());
    Some(format!("{commit}{}", if changed { "+" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_model_name_counts() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: Fast CPU @ 3 GHz\nmodel name\t: Other\n"),
            "Fast CPU @ 3 GHz"
        );
        assert_eq!(cpu_model("processor : 0\n"), "");
    }

    #[test]
    fn this_machine_has_cores() {
        assert!(Machine::read().cores >= 1);
    }
}
