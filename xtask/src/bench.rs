//! `cargo xtask bench`: builds what is measured with the optimisation of `[profile.bench]`, and has the
//! `benches` program measure it.
//!
//! The binaries go where release builds go and take the place of `target/release/tactful`; the next
//! `cargo build --release` puts its own back, without compiling anything again.

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use crate::workspace::Workspace;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Microseconds of an in-process decision with 100, 1,000 and 10,000 actions.
    Decide(Customers),
    /// A real server against a bare echo of the same sizes: CPU, peak rate, tail latency.
    Serve(Customers),
    /// Events per second over gRPC into a real server, each acknowledged durable.
    Ingest(Common),
    /// Models pushed and promoted under constant load: what decisions notice, and how soon a version is live.
    Swap(Swap),
    /// What customers take in memory, what their snapshots cost, and how soon a restart knows them again.
    State(Customers),
}

/// Options of the benchmarks that have customers.
#[derive(Args)]
struct Customers {
    #[command(flatten)]
    common: Common,
    /// Customers in memory [default: 1000000, 50000 for serve].
    #[arg(long, value_name = "N")]
    customers: Option<u32>,
}

/// Options of the swaps.
#[derive(Args)]
struct Swap {
    /// Swaps in all, a multiple of 5 [default: 1000]. Turns without swaps take as long again: 34 minutes at one a second.
    #[arg(long, value_name = "N")]
    swaps: Option<u32>,
    /// Swaps a second [default: 1].
    #[arg(long, value_name = "N")]
    swaps_per_second: Option<f64>,
    /// Decisions a second [default: 1000].
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Print one JSON line on stdout.
    #[arg(long)]
    json: bool,
}

/// Options that most benchmarks have.
#[derive(Args)]
struct Common {
    /// Seconds of each measurement [default: 5].
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Print one JSON line on stdout.
    #[arg(long)]
    json: bool,
}

/// Builds, measures, and passes on the exit code.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    build(&workspace)?;
    let folder = workspace.target().join("release");
    let mut command = workspace.command(folder.join("benches"));
    command.args(arguments(&options.what, &folder.join("tactful")));
    let status = command.status().context("the benchmark does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Both packages in one call: the features of shared dependencies are then those of one build.
fn build(workspace: &Workspace) -> Result<()> {
    eprintln!("building with the profile `bench`");
    let mut command: Command = workspace.cargo();
    command.args(["build", "--profile", "bench", "--package", "tactful", "--package", "benches"]);
    let status = command.stdout(Stdio::null()).status().context("cargo does not start")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

/// What the `benches` program is called with.
fn arguments(what: &What, tactful: &Path) -> Vec<String> {
    let name = match what {
        What::Decide(_) => "decide",
        What::Serve(_) => "serve",
        What::Ingest(_) => "ingest",
        What::Swap(_) => "swap",
        What::State(_) => "state",
    };
    let mut arguments = vec![name.to_owned()];
    if matches!(what, What::Serve(_) | What::Ingest(_) | What::Swap(_)) {
        arguments.extend(["--tactful".to_owned(), tactful.to_string_lossy().into_owned()]);
    }
    let json = match what {
        What::Decide(options) | What::Serve(options) | What::State(options) => {
            arguments.extend(options.common.seconds.map(|seconds| format!("--seconds={seconds}")));
            arguments.extend(options.customers.map(|customers| format!("--customers={customers}")));
            options.common.json
        }
        What::Ingest(common) => {
            arguments.extend(common.seconds.map(|seconds| format!("--seconds={seconds}")));
            common.json
        }
        What::Swap(options) => {
            arguments.extend(options.swaps.map(|swaps| format!("--swaps={swaps}")));
            arguments.extend(options.swaps_per_second.map(|rate| format!("--swaps-per-second={rate}")));
            arguments.extend(options.rate.map(|rate| format!("--rate={rate}")));
            options.json
        }
    };
    arguments.extend(json.then(|| "--json".to_owned()));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_passed_on() {
        let common = || Common { seconds: Some(0.5), json: true };
        let decide = What::Decide(Customers { common: common(), customers: Some(9) });
        assert_eq!(arguments(&decide, Path::new("t")), ["decide", "--seconds=0.5", "--customers=9", "--json"]);
        let ingest = What::Ingest(common());
        assert_eq!(arguments(&ingest, Path::new("t")), ["ingest", "--tactful", "t", "--seconds=0.5", "--json"]);
        let swap = What::Swap(Swap { swaps: Some(20), swaps_per_second: Some(2.5), rate: None, json: true });
        let expected = ["swap", "--tactful", "t", "--swaps=20", "--swaps-per-second=2.5", "--json"];
        assert_eq!(arguments(&swap, Path::new("t")), expected);
        let state = What::State(Customers { common: common(), customers: Some(9) });
        assert_eq!(arguments(&state, Path::new("t")), ["state", "--seconds=0.5", "--customers=9", "--json"]);
    }
}
