//! The load generator as a command: reads options, runs the plan, prints the report.
//!
//! Progress goes to stderr, the report to stdout.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: its output is its purpose")]

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use loadtest::{DecideCall, Load, Plan, Progress, Report, Subjects, Target, decide_requests, run};
use tactful_proto::v1::{DecideRequest, Mode};

/// Loads a Tactful server with Decide requests and reports latency from the intended send time.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  loadtest --rate 2000 --seconds 10 --placement web_home_hero
  loadtest --closed --connections 4 --streams 64 --placement web_home_hero --json
  loadtest --rate 5000 --subjects-file ids.txt --placement web_home_hero --server-pid 4711")]
struct Options {
    /// Address of the server's gRPC listener.
    #[arg(long, default_value = "http://127.0.0.1:7411")]
    target: String,
    /// Allow a server that is not on this machine.
    #[arg(long)]
    allow_remote: bool,
    /// Requests per second of the open loop, over all connections.
    #[arg(long, default_value_t = 1_000.0, conflicts_with = "closed")]
    rate: f64,
    /// Closed loop instead: each stream sends again when it has its answer. Finds the peak rate.
    #[arg(long)]
    closed: bool,
    /// Requests in flight on each connection of a closed loop.
    #[arg(long, default_value_t = 64)]
    streams: usize,
    /// Most requests in flight on one thread of an open loop.
    #[arg(long, default_value_t = 10_000)]
    in_flight_max: usize,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Threads of the generator; in an open loop each keeps a core busy.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds of warm-up, sent but not measured.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds after which a request without an answer counts as unfinished.
    #[arg(long, default_value_t = 5.0)]
    timeout: f64,
    /// Placement to fill; may be given several times.
    #[arg(long = "placement", required = true)]
    placements: Vec<String>,
    /// Actions for each placement; 0 takes the catalogue's number.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=20))]
    count: i32,
    /// Decide for this many customers ...
    #[arg(long, default_value_t = 10_000)]
    subjects: u64,
    /// ... whose subject ids are this and a number from 0.
    #[arg(long, default_value = "customer:")]
    subject_prefix: String,
    /// Decide for the subject ids in this file instead, one a line.
    #[arg(long, conflicts_with = "subjects")]
    subjects_file: Option<PathBuf>,
    /// Whether the decisions are recorded.
    #[arg(long, value_enum, default_value_t = DecideMode::Live)]
    mode: DecideMode,
    /// Process id of the server: its CPU time per request is reported.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Print the report as one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum DecideMode {
    Live,
    Test,
}

impl Options {
    fn plan(&self) -> Result<Plan> {
        let load = match self.closed {
            true => Load::Closed { streams: self.streams },
            false => Load::Open { rate: self.rate, in_flight_max: self.in_flight_max },
        };
        Ok(Plan {
            target: Target::parse(&self.target, self.allow_remote)?,
            load,
            connections: self.connections,
            threads: self.threads,
            warm_up: Duration::try_from_secs_f64(self.warm_up)?,
            duration: Duration::try_from_secs_f64(self.seconds)?,
            timeout: Duration::try_from_secs_f64(self.timeout)?,
            server_pid: self.server_pid,
        })
    }

    fn requests(&self) -> Result<Arc<[DecideRequest]>> {
        let subjects = match &self.subjects_file {
            Some(path) => Subjects::File(path.clone()),
            None => Subjects::Numbered { prefix: self.subject_prefix.clone(), count: self.subjects },
        };
        let mode = match self.mode {
            DecideMode::Live => Mode::Live,
            DecideMode::Test => Mode::Test,
        };
        Ok(decide_requests(&subjects.ids()?, &self.placements, self.count, mode).into())
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match load(&options) {
        Ok(report) if options.json => match serde_json::to_string(&report) {
            Ok(line) => println!("{line}"),
            Err(error) => return fail(&error.into()),
        },
        Ok(report) => println!("{report}"),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

fn load(options: &Options) -> Result<Report> {
    let (plan, requests) = (options.plan()?, options.requests()?);
    run(&plan, |channel| DecideCall::new(channel, Arc::clone(&requests)), show)
}

fn show(progress: Progress) {
    let Progress { elapsed, sent, answered, failed } = progress;
    eprintln!("{:>5.0} s  sent {sent}  answered {answered}  failed {failed}", elapsed.as_secs_f64());
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn options_become_a_plan() {
        let options =
            Options::parse_from(["loadtest", "--closed", "--streams", "8", "--placement", "p", "--seconds", "0.5"]);
        let plan = options.plan().unwrap();
        assert_eq!(plan.load, Load::Closed { streams: 8 });
        assert_eq!(plan.duration, Duration::from_millis(500));
        assert!(plan.check().is_ok());
        assert_eq!(options.requests().unwrap().len(), 10_000);
        assert!(Options::parse_from(["loadtest", "--placement", "p", "--seconds=-1"]).plan().is_err());
    }
}
