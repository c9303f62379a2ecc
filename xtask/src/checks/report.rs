//! How the checks speak: one line for each step with its duration, a summary, or one JSON line.
//!
//! Colour only on a terminal. With `--json` stdout carries nothing but that line.

use std::{
    env,
    io::{self, IsTerminal},
    os::fd::AsFd,
    process::Stdio,
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;

use super::Outcome;

/// What became of one step.
#[derive(Serialize)]
pub(crate) struct StepResult {
    step: &'static str,
    status: &'static str,
    seconds: f64,
    detail: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    ok: bool,
    seconds: f64,
    steps: &'a [StepResult],
}

impl StepResult {
    /// The result of a step that took this long.
    pub(crate) fn new(step: &'static str, outcome: Outcome, took: Duration) -> Self {
        let (status, detail) = match outcome {
            Outcome::Passed(detail) => ("passed", detail),
            Outcome::Skipped(detail) => ("skipped", detail),
            Outcome::Failed(detail) | Outcome::Stopped(detail) => ("failed", detail),
        };
        Self { step, status, seconds: (took.as_secs_f64() * 1e3).round() / 1e3, detail }
    }

    /// Whether the whole run fails for it.
    pub(crate) fn failed(&self) -> bool {
        self.status == "failed"
    }

    /// One line: status, name, duration, detail.
    fn line(&self, colour: bool) -> String {
        let status = match (colour, self.status) {
            (false, status) => format!("{status:<8}"),
            (true, "passed") => format!("\x1b[32m{:<8}\x1b[0m", self.status),
            (true, "failed") => format!("\x1b[1;31m{:<8}\x1b[0m", self.status),
            (true, status) => format!("\x1b[33m{status:<8}\x1b[0m"),
        };
        let line = format!("{status} {:<13} {:>7.1} s  {}", self.step, self.seconds, self.detail);
        line.trim_end().to_owned()
    }
}

/// Where the checks speak to.
pub(crate) struct Console {
    json: bool,
    colour: bool,
}

impl Console {
    /// Speaks on stdout, or with `json` on stderr.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        Self { json, colour: terminal && env::var_os("NO_COLOR").is_none() }
    }

    /// Announces a step.
    pub(crate) fn begin(&self, step: &str) {
        self.say(&if self.colour { format!("\x1b[1m== {step}\x1b[0m") } else { format!("== {step}") });
    }

    /// Says how a step ended.
    pub(crate) fn end(&self, result: &StepResult) {
        self.say(&result.line(self.colour));
    }

    /// Says something within a step.
    pub(crate) fn note(&self, text: &str) {
        self.say(&format!("   {text}"));
    }

    /// Where a child's stdout goes.
    pub(crate) fn child_stdout(&self) -> Result<Stdio> {
        Ok(if self.json { io::stderr().as_fd().try_clone_to_owned()?.into() } else { Stdio::inherit() })
    }

    /// All steps once more, failures last so that they are what one sees.
    pub(crate) fn summary(&self, results: &[StepResult]) -> Result<()> {
        let ok = !results.iter().any(StepResult::failed);
        let seconds = results.iter().map(|result| result.seconds).sum();
        self.say(&format!("== summary, {seconds:.1} s"));
        let (failed, fine): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.failed());
        fine.iter().chain(&failed).for_each(|result| self.say(&result.line(self.colour)));
        if self.json {
            println!("{}", serde_json::to_string(&Summary { ok, seconds, steps: results })?);
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_status_name_and_duration() {
        let took = Duration::from_millis(12_340);
        let result = StepResult::new("doc", Outcome::Failed("broken link".into()), took);
        assert!(result.failed());
        assert_eq!(result.line(false), "failed   doc              12.3 s  broken link");
        assert!(result.line(true).contains("\x1b[1;31mfailed"));
        let skipped = StepResult::new("deny", Outcome::Skipped(String::new()), took);
        assert!(!skipped.failed());
        assert!(StepResult::new("prerequisites", Outcome::Stopped("no cc".into()), took).failed());
    }
}
