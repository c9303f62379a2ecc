//! `cargo xtask soak`: a real server that is broken again and again, and a count of what it lost; and a simulated
//! one, with faults that a real machine seldom has.
//!
//! One JSON line with `--json`, progress on stderr. Exit code 1: something was lost or doubled. A seed
//! repeats the same moments, as far as the machine lets it.

mod faults;
mod kill;
mod sim;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
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
    /// Random seeds of the simulation of log and engine, or one seed again.
    Sim {
        /// How long, in minutes.
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Run this seed alone.
        #[arg(long, conflicts_with = "minutes")]
        seed: Option<u64>,
        /// Print one JSON line on stdout.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a soak; the exit code says whether its promise held.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match &options.soak {
        Soak::Faults { rows, seed, json } => tell(&faults::run(&binary()?, rows, *seed)?, *json),
        Soak::Kill { rounds, seed, json } => tell(&kill::run(&binary()?, *rounds, *seed)?, *json),
        Soak::Sim { seed: Some(seed), json, .. } => tell(&sim::one(*seed), *json),
        Soak::Sim { minutes, json, .. } => {
            let time = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes must be 0 or more")?;
            tell(&sim::many(time), *json)
        }
    }
}

/// The server to put under stress.
fn binary() -> Result<PathBuf> {
    server::build(&Workspace::locate()?)
}
