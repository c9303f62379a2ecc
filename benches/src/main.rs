//! Takes one measurement and prints it: readable lines, or one JSON line with `--json`. Progress goes
//! to standard error. `cargo xtask bench` builds this with optimisation and calls it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: its output is its purpose")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use benches::decide::{SIZES, Setting};
use benches::{echo, ingest, serve, state, swap};
use clap::{Args, Parser};
use serde::Serialize;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Tactful.
#[derive(Parser)]
#[command(disable_help_subcommand = true)]
enum Command {
    /// Microseconds of an in-process decision with 100, 1,000 and 10,000 actions.
    Decide {
        #[command(flatten)]
        common: Common,
        /// Customers in memory.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        customers: u32,
        /// Actions of the catalogue, instead of all three sizes.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        actions: Option<u16>,
    },
    /// A real server against a bare echo: CPU, peak, tail latency.
    Serve {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        server: ServerArgs,
        /// Customers in memory.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
        customers: u32,
    },
    /// Events per second into a real server, acknowledged durable.
    Ingest {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// What customers take in memory, what their snapshots cost, and how soon a restart knows them again.
    State {
        #[command(flatten)]
        common: Common,
        /// Customers in memory.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        customers: u32,
    },
    /// Models pushed and promoted under constant load: what decisions notice, and how soon a version is live.
    Swap {
        /// Print one JSON line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// Swaps in all, a multiple of 5. Turns without swaps take as long again: at one a second 34 minutes for 1,000.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=9_000))]
        swaps: u32,
        /// Swaps a second.
        #[arg(long, default_value_t = 1.0)]
        swaps_per_second: f64,
        /// Decisions a second.
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// The restart of `state`.
    #[command(hide = true)]
    Restart(RestartArgs),
    /// The echo server of `serve`.
    #[command(hide = true)]
    Echo(EchoArgs),
}

#[derive(Args)]
struct Common {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ServerArgs {
    /// The `tactful` binary.
    #[arg(long)]
    tactful: PathBuf,
}

#[derive(Args)]
struct EchoArgs {
    /// Bytes of each reply.
    #[arg(long)]
    reply_bytes: usize,
}

#[derive(Args)]
struct RestartArgs {
    /// What `state` left.
    #[arg(long)]
    folder: PathBuf,
    /// What to measure.
    #[arg(long, value_enum, default_value_t = state::Part::All)]
    part: state::Part,
}

impl Common {
    fn window(&self) -> Result<Duration> {
        ensure!((0.05..=3_600.0).contains(&self.seconds), "--seconds {} is not 0.05 to 3600", self.seconds);
        Ok(Duration::from_secs_f64(self.seconds))
    }

    fn print(&self, figures: &impl Serialize) -> Result<()> {
        print(figures, self.json)
    }
}

/// Prints figures line by line, or as one line of JSON.
fn print(figures: &impl Serialize, json: bool) -> Result<()> {
    match serde_json::to_value(figures)? {
        figures if json => println!("{figures}"),
        serde_json::Value::Object(figures) => {
            figures.iter().for_each(|(name, figure)| println!("{name:<24} {figure}"));
        }
        figure => println!("{figure}"),
    }
    Ok(())
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Decide { common, customers, actions } => decide(&common, customers as usize, actions),
        Command::Serve { common, server, customers } => {
            common.print(&serve::measure(&server.tactful, common.window()?, customers as usize)?)
        }
        Command::Ingest { common, server } => common.print(&ingest::measure(&server.tactful, common.window()?)?),
        Command::State { common, customers } => {
            common.print(&state::measure(&std::env::current_exe()?, common.window()?, customers as usize)?)
        }
        Command::Swap { json, server, swaps, swaps_per_second, rate } => {
            let positive = |rate: f64| rate.is_finite() && rate > 0.0;
            ensure!(positive(swaps_per_second) && positive(rate), "--swaps-per-second and --rate must be positive");
            print(&swap::measure(&server.tactful, swap::Setup { swaps, swaps_per_s: swaps_per_second, rate })?, json)
        }
        Command::Restart(args) => {
            println!("{}", serde_json::to_string(&state::restart(&args.folder, args.part)?)?);
            Ok(())
        }
        Command::Echo(args) => echo::serve(args.reply_bytes, |address| println!("echo ready grpc={address}")),
    }
}

/// Medians by number of actions; the spread goes to standard error.
fn decide(common: &Common, customers: usize, actions: Option<u16>) -> Result<()> {
    let sizes = actions.map_or(SIZES.to_vec(), |actions| vec![usize::from(actions)]);
    eprintln!("making {customers} customers");
    let mut setting = Setting::new(sizes[0], customers);
    let mut medians = BTreeMap::new();
    for actions in sizes {
        setting = setting.with_actions(actions);
        let cost = setting.measure(common.window()?)?;
        eprintln!(
            "{actions:>6} actions: {:.2} us, a tenth below {:.2}, a tenth above {:.2}, CPU {:.2}; {:.0} % eligible, {:.0} events/s",
            cost.median_us,
            cost.p10_us,
            cost.p90_us,
            cost.cpu_us,
            cost.eligible * 100.0,
            cost.events_per_s
        );
        medians.insert(actions, (cost.median_us * 1e3).round() / 1e3);
    }
    common.print(&serde_json::json!({ "actions": medians }))
}
