//! `cargo xtask test`: the one front door for every check. CI runs exactly this.
//!
//! Every step runs, whatever became of the one before, and the failures are listed at the end. Only
//! without a working toolchain does it stop at once. It installs nothing into the user's toolchain, and
//! beside it redis-server alone, where that needs no question.

mod buf;
mod prerequisites;
mod python;
mod redis;
mod report;

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use self::report::{Console, StepResult};
use crate::{tidy, workspace::Workspace};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave this step out; may be given several times.
    #[arg(long, value_name = "STEP")]
    skip: Vec<Step>,
    /// Print one JSON line on stdout; everything else goes to stderr.
    #[arg(long)]
    json: bool,
}

/// The steps in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// What the checks need, with the command that installs it.
    Prerequisites,
    /// cargo fmt.
    Fmt,
    /// cargo clippy, warnings denied.
    Clippy,
    /// Crate edges, sizes, headers, licences and the other rules of this repository.
    Tidy,
    /// cargo test, the benches' smoke runs included.
    Tests,
    /// cargo doc, warnings denied.
    Doc,
    /// cargo deny: bans, licences, sources.
    Deny,
    /// buf: lint of the protos, and what they promised before.
    Buf,
    /// The Python client: ruff, mypy, pytest against a real server.
    Python,
}

/// How a step ended, each with what there is to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Passed(String),
    /// Something is wrong.
    Failed(String),
    /// It could not run here, and why.
    Skipped(String),
    /// Nothing else can run.
    Stopped(String),
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Prerequisites => "prerequisites",
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Tests => "tests",
            Self::Doc => "doc",
            Self::Deny => "deny",
            Self::Buf => "buf",
            Self::Python => "python",
        }
    }

    fn run(self, workspace: &Workspace, console: &Console) -> Result<Outcome> {
        let cargo = |args: &[&str]| {
            let mut command = workspace.cargo();
            command.args(args);
            command
        };
        match self {
            Self::Prerequisites => prerequisites::check(workspace, console),
            Self::Fmt => execute(cargo(&["fmt", "--all", "--check"]), console),
            Self::Clippy => {
                execute(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]), console)
            }
            Self::Tidy => check_rules(workspace, console),
            Self::Tests => redis::test(workspace, console),
            Self::Doc => {
                let mut command = cargo(&["doc", "--no-deps", "--workspace"]);
                command.env("RUSTDOCFLAGS", "-D warnings");
                execute(command, console)
            }
            Self::Deny => deny(workspace, console),
            Self::Buf => buf::check(workspace, console),
            Self::Python => python::test(workspace, console),
        }
    }
}

impl Options {
    fn selected(&self) -> Vec<Step> {
        let wanted = |step: &Step| (self.only.is_empty() || self.only.contains(step)) && !self.skip.contains(step);
        Step::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// Runs the selected steps; the exit code says whether all passed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let console = Console::new(options.json);
    let mut results = Vec::new();
    for step in options.selected() {
        console.begin(step.name());
        let started = Instant::now();
        let outcome = step.run(&workspace, &console).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        let stop = matches!(outcome, Outcome::Stopped(_));
        results.push(StepResult::new(step.name(), outcome, started.elapsed()));
        console.end(&results[results.len() - 1]);
        if stop {
            break;
        }
    }
    console.summary(&results)?;
    Ok(if results.iter().any(StepResult::failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs a command whose output the user sees.
fn execute(mut command: Command, console: &Console) -> Result<Outcome> {
    let line = spelled(&command);
    console.note(&line);
    let status =
        command.stdout(console.child_stdout()?).status().with_context(|| format!("`{line}` does not start"))?;
    Ok(match status.success() {
        true => Outcome::Passed(String::new()),
        false => Outcome::Failed(format!("`{line}` ended with {status}")),
    })
}

/// The command as one would type it.
fn spelled(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Tidy: warnings are shown, failures fail.
fn check_rules(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let findings = tidy::run(workspace)?;
    findings.warnings.iter().for_each(|warning| console.note(&format!("warning: {warning}")));
    findings.failures.iter().for_each(|failure| console.note(failure));
    let counts = format!("{} files, {} warnings", findings.files, findings.warnings.len());
    Ok(match findings.failures.len() {
        0 => Outcome::Passed(counts),
        n => Outcome::Failed(format!("{n} broken rules in {counts}")),
    })
}

/// cargo-deny where it is installed. Tidy checks the same lists without it; advisories need a
/// database from the network and are left to a scheduled job.
fn deny(workspace: &Workspace, console: &Console) -> Result<Outcome> {
    let probe = workspace.cargo().args(["deny", "--version"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return Ok(Outcome::Skipped("cargo-deny is not installed: cargo install --locked cargo-deny".into()));
    }
    let mut command = workspace.cargo();
    command.args(["deny", "check", "bans", "licenses", "sources"]);
    execute(command, console)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &[Step], skip: &[Step]) -> Options {
        Options { only: only.to_vec(), skip: skip.to_vec(), json: false }
    }

    #[test]
    fn steps_keep_their_order_and_obey_the_options() {
        assert_eq!(options(&[], &[]).selected().len(), 9);
        assert_eq!(options(&[Step::Doc, Step::Fmt], &[]).selected(), [Step::Fmt, Step::Doc]);
        assert_eq!(options(&[Step::Doc, Step::Fmt], &[Step::Fmt]).selected(), [Step::Doc]);
        assert!(!options(&[], &[Step::Tests]).selected().contains(&Step::Tests));
    }

    #[test]
    fn commands_are_spelled_without_their_folder() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["fmt", "--all"]);
        assert_eq!(spelled(&command), "cargo fmt --all");
    }

    #[test]
    fn a_failing_command_names_itself() {
        let console = Console::new(true);
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let Outcome::Failed(reason) = execute(command, &console).unwrap() else { panic!("it must fail") };
        assert!(reason.contains("sh -c exit 3") && reason.contains('3'), "{reason}");
    }
}
