//! Progress on standard error: a bar where the end is known, a spinner where it is not, nothing at
//! all without a terminal or when asked to be quiet.

use std::{fmt, io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// A bar or spinner.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Bytes of a file of known length, or of a stream without one.
    pub(crate) fn bytes(total: Option<u64>, quiet: bool) -> Self {
        let template = match total {
            Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {msg}",
        };
        Self::new(total, template, quiet)
    }

    /// Things without a known number, by this name.
    pub(crate) fn count(quiet: bool) -> Self {
        Self::new(None, "{spinner} {human_pos} {msg}", quiet)
    }

    /// Steps of work, their number told along the way.
    pub(crate) fn steps(quiet: bool) -> Self {
        Self::new(Some(0), "{bar:30} {pos}/{len} {msg}", quiet)
    }

    fn new(total: Option<u64>, template: &str, quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(template).expect("the templates above are well formed"));
        if shown && total.is_none() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar }
    }

    pub(crate) fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    pub(crate) fn step(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Prints a line on standard error without tearing the bar.
    pub(crate) fn note(&self, line: impl fmt::Display) {
        self.bar.suspend(|| output::note(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
