//! `cargo xtask eval`: real data against a real server, over its public API and commands only.
//!
//! Each evaluation starts the release binary as a child process, feeds it, asks it, and compares
//! with a computation of its own; `bank` measures models and needs no server. One JSON line with `--json`, progress on stderr. Exit code 1: the
//! bar was not met; 2: the data are absent.

mod bank;
mod bpi;
mod cdnow;
mod contexts;
mod hillstrom;
mod ingest;
mod learner;
mod order;
mod qini;
mod starbucks;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{server, workspace::Workspace};

/// Options of `cargo xtask eval`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    set: Set,
}

#[derive(Subcommand)]
enum Set {
    /// 41,188 customers of a bank: our models against each other, and imports against the libraries that made them.
    Bank(Common),
    /// 64,000 customers of a randomised e-mail campaign: learn from one half, decide for the other.
    Hillstrom(Common),
    /// The same campaign: how well per-arm models rank customers by what an e-mail changes, over 20 random halves.
    Qini(Common),
    /// 69,659 purchases: features and digests against a recount, in order and shuffled with repeats.
    Cdnow(Common),
    /// 72,413 work events of loan applications: matters against a recount, in order and shuffled with repeats.
    Bpi(Common),
    /// 306,534 lines of a foreign producer through Redis by a declared mapping: customers against a recount.
    Starbucks(Common),
    /// Simulated customers of known truth: how soon a new action finds its audience, and whether poison is stopped.
    Learner(LearnerOptions),
}

/// Options of `cargo xtask eval learner`.
#[derive(Args)]
struct LearnerOptions {
    /// Action of the shipped catalogue that is new
    #[arg(long, value_name = "ACTION", default_value = "scam_warning")]
    scenario: String,
    /// Seed of the simulated customers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON line on stdout
    #[arg(long)]
    json: bool,
}

/// Options that every evaluation has.
#[derive(Args)]
pub(crate) struct Common {
    /// Folder that holds `hillstrom/`, `cdnow/` and the others [default: ../shared/data].
    #[arg(long, value_name = "DIR", env = "TACTFUL_DATA")]
    data: Option<PathBuf>,
    /// Another split or shuffle than the default one.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON line on stdout.
    #[arg(long)]
    json: bool,
}

/// The data are not there.
const ABSENT: u8 = 2;

/// The result of an evaluation or a soak.
pub(crate) trait Verdict: Serialize {
    /// What did not meet the bar, if anything.
    fn failure(&self) -> Option<String>;
    /// The result for people.
    fn text(&self) -> String;
}

/// Runs an evaluation; the exit code says whether its bar was met.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    match &options.set {
        Set::Bank(common) => with_data(&workspace, common, "bank_marketing/bank-additional-full.csv", |file| {
            bank::run(&workspace, file, common.seed)
        }),
        Set::Hillstrom(common) => with_data(&workspace, common, "hillstrom/hillstrom.csv", |file| {
            hillstrom::run(&workspace, file, common.seed)
        }),
        Set::Qini(common) => {
            with_data(&workspace, common, "hillstrom/hillstrom.csv", |file| qini::run(file, common.seed))
        }
        Set::Cdnow(common) => {
            with_data(&workspace, common, "cdnow/CDNOW_master.txt", |file| cdnow::run(&workspace, file, common.seed))
        }
        Set::Bpi(common) => with_data(&workspace, common, "bpi12_w/bpi_12_w.csv", |file| {
            bpi::run(&server::build(&workspace)?, file, common.seed)
        }),
        Set::Starbucks(common) => with_data(&workspace, common, "starbucks_offers/transcript.json", |file| {
            starbucks::run(&server::build(&workspace)?, file, common.seed)
        }),
        Set::Learner(options) => tell(&learner::run(&workspace, &options.scenario, options.seed)?, options.json),
    }
}

fn with_data<V: Verdict>(
    workspace: &Workspace,
    common: &Common,
    name: &str,
    evaluate: impl FnOnce(&Path) -> Result<V>,
) -> Result<ExitCode> {
    let folder = common.data.clone().unwrap_or_else(|| workspace.root.join("../shared/data"));
    let file = folder.join(name);
    if !file.is_file() {
        eprintln!("no data: {} does not exist; name the folder with --data or TACTFUL_DATA", file.display());
        return Ok(ExitCode::from(ABSENT));
    }
    tell(&evaluate(&file)?, common.json)
}

/// Prints a result; the exit code says whether its bar was met.
pub(crate) fn tell(verdict: &impl Verdict, json: bool) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(verdict)?);
    } else {
        println!("{}", verdict.text());
    }
    Ok(match verdict.failure() {
        None => ExitCode::SUCCESS,
        Some(reason) => {
            eprintln!("the bar is not met: {reason}");
            ExitCode::FAILURE
        }
    })
}

/// Runs a command of the binary; what it says is shown on stderr.
fn run_command(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("the binary does not start")?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    eprint!("{said}");
    Ok(())
}

/// The runtime of an evaluation's clients.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start a runtime")
}

/// A progress bar on stderr; without a terminal just the line that says what begins.
pub(crate) fn progress(what: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if bar.is_hidden() {
        eprintln!("{what}: {length}");
    }
    let style = ProgressStyle::with_template("{msg:<34} {bar:30} {human_pos:>7}/{human_len} {per_sec}");
    bar.set_style(style.expect("a constant template"));
    bar.set_message(what.to_owned());
    bar
}

/// Rounds to 6 decimals, so that lines stay readable.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bar(bool);

    impl Serialize for Bar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            serializer.serialize_bool(self.0)
        }
    }

    impl Verdict for Bar {
        fn failure(&self) -> Option<String> {
            (!self.0).then(|| "false".to_owned())
        }
        fn text(&self) -> String {
            self.0.to_string()
        }
    }

    fn code(data: &Path, met: bool) -> String {
        let common = Common { data: Some(data.to_path_buf()), seed: None, json: true };
        let workspace = Workspace::locate().unwrap();
        format!("{:?}", with_data(&workspace, &common, "set.csv", |_| Ok(Bar(met))).unwrap())
    }

    #[test]
    fn exit_codes_tell_absent_data_from_a_missed_bar() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code(folder.path(), true), format!("{:?}", ExitCode::from(2)));
        std::fs::write(folder.path().join("set.csv"), "").unwrap();
        assert_eq!(code(folder.path(), true), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code(folder.path(), false), format!("{:?}", ExitCode::from(1)));
    }
}
