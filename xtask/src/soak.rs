//! `cargo xtask soak`: a real server that is broken again and again, and a count of what it lost.
//!
//! One JSON line with `--json`, progress on stderr. Exit code 1: something was lost or doubled. A seed
//! repeats the same moments, as far as the machine lets it.

mod faults;
mod kill;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{eval::tell, server, workspace::Workspace};

/// Options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    soak: Soak,
}

#[derive(Subcommand)]
enum Soak {
    /// The fault matrix: each fault made real, what is promised, what was seen.
    Faults {
        /// Only these rows, with commas [default: all].
        #[arg(long, value_delimiter = ',', value_name = "ROW")]
        rows: Vec<u32>,
        /// Moments and events.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON line on stdout.
        #[arg(long)]
        json: bool,
    },
    /// kill -9 of the node at random moments under ingest, for each log; then a recount.
    Kill {
        /// Kills of each log.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rounds: u32,
        /// Moments and events.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON line on stdout.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a soak; the exit code says whether its promise held.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    match &options.soak {
        Soak::Faults { rows, seed, json } => tell(&faults::run(&server::build(&workspace)?, rows, *seed)?, *json),
        Soak::Kill { rounds, seed, json } => tell(&kill::run(&server::build(&workspace)?, *rounds, *seed)?, *json),
    }
}
