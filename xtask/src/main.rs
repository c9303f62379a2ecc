//! `cargo xtask`: every check, every evaluation on real data and every benchmark, behind one door.
//!
//! It drives cargo, the built binary and the public API. It holds no logic of Tactful's own, and
//! nothing that runs in production depends on it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: its output is its purpose")]

mod bench;
mod checks;
mod eval;
mod metadata;
mod server;
mod soak;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks, evaluations and benchmarks of Tactful.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check, exactly as CI does.
    Test(checks::Options),
    /// Evaluate a real server on real data.
    Eval(eval::Options),
    /// Measure speed.
    Bench(bench::Options),
    /// Break things for a while and count what is lost.
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test(options) => checks::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
