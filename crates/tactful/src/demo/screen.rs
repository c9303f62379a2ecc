//! What the demo shows: a live status in a terminal, plain lines anywhere else, and the summary.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::learn::Learnt;
use super::tally::{Group, Phase, Tally};
use crate::output;

/// Where things are shown.
pub(super) struct Screen {
    live: Option<(MultiProgress, ProgressBar, [ProgressBar; 3])>,
    quiet: bool,
}

impl Screen {
    /// A live status on a terminal, plain lines elsewhere, nothing if quiet.
    pub(super) fn new(quiet: bool, seconds: u64) -> Self {
        let live = (!quiet && io::stdout().is_terminal()).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let style = |template| ProgressStyle::with_template(template).expect("the template is a sound constant");
            let bar = all.add(ProgressBar::new(seconds).with_style(style("{pos:>3} s {bar:40} {len} s")));
            let lines = [(); 3].map(|()| all.add(ProgressBar::new_spinner().with_style(style("{msg}"))));
            (all, bar, lines)
        });
        Self { live, quiet }
    }

    /// Whether the status is drawn in place.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Shows lines that stay. An error if nobody reads them any more.
    pub(super) fn say(&self, lines: &[String]) -> io::Result<()> {
        match &self.live {
            _ if self.quiet => Ok(()),
            Some((all, _, _)) => lines.iter().try_for_each(|line| all.println(line)),
            None => output::print(&(lines.join("\n") + "\n")),
        }
    }

    /// Shows how it stands.
    pub(super) fn status(&self, elapsed: Duration, tally: &Tally, recent_per_s: f64) -> io::Result<()> {
        let lines = status_lines(tally, recent_per_s);
        match &self.live {
            Some((_, bar, places)) => {
                bar.set_position(elapsed.as_secs());
                places.iter().zip(lines).for_each(|(place, line)| place.set_message(line));
                Ok(())
            }
            None => self.say(&[format!("[{:>3} s] {}", elapsed.as_secs(), lines.join(" | "))]),
        }
    }

    /// Takes the live status away, so that the summary stands alone.
    pub(super) fn finish(&self) {
        if let Some((all, _, _)) = &self.live {
            drop(all.clear());
        }
    }
}

fn status_lines(tally: &Tally, recent_per_s: f64) -> [String; 3] {
    let phase = if tally.learnt { &tally.after } else { &tally.before };
    let model = if tally.learnt { "learnt model" } else { "priors" };
    [
        format!("{:.0} decisions/s, {} so far, {} errors", recent_per_s, tally.decisions(), tally.errors),
        format!("latency p50 {}, p99 {}", micros(tally.latency(0.5)), micros(tally.latency(0.99))),
        format!(
            "acceptance with {model}: engine {}, random holdout {}",
            percent(phase.engine.acceptance()),
            percent(phase.holdout.acceptance())
        ),
    ]
}

/// The end of the demo in words.
pub(super) fn summary(tally: &Tally, elapsed: Duration, learnt: Option<&Learnt>) -> Vec<String> {
    let seconds = elapsed.as_secs_f64();
    let mut lines = vec![
        String::new(),
        format!(
            "{} decisions in {seconds:.0} s ({:.0}/s), {} of them silence; {} events and answers, {} errors",
            tally.decisions(),
            tally.decisions() as f64 / seconds,
            tally.silent,
            tally.events,
            tally.errors
        ),
        format!(
            "latency as the caller sees it: p50 {}, p99 {}, p99.9 {}",
            micros(tally.latency(0.5)),
            micros(tally.latency(0.99)),
            micros(tally.latency(0.999))
        ),
        String::new(),
        format!("{:<26}{:>12}{:>12}{:>12}{:>18}", "", "decisions", "seen", "accepted", "value/decision"),
    ];
    lines.extend(phase_lines("start acceptance", &tally.before));
    lines.extend(phase_lines("learnt model", &tally.after));
    if let Some(learnt) = learnt {
        let auc = learnt.report.test.as_ref().and_then(|quality| quality.auc);
        let auc = auc.map_or_else(String::new, |auc| format!(", AUC {auc:.3} on its latest fifth"));
        lines.push(String::new());
        lines.push(format!(
            "model {}, {}, was trained from the record and loaded in {:.1} s{auc}",
            learnt.version,
            learnt.heads(),
            learnt.took.as_secs_f64()
        ));
    }
    lines
}

fn phase_lines(name: &str, phase: &Phase) -> Vec<String> {
    let line = |who: &str, group: &Group| {
        let value = group.value_per_decision().map_or_else(|| "-".into(), |value| format!("{value:.2}"));
        format!(
            "{:<26}{:>12}{:>12}{:>12}{:>18}",
            format!("{name}, {who}"),
            group.decisions,
            group.seen,
            percent(group.acceptance()),
            value
        )
    };
    if phase.engine.decisions == 0 {
        return Vec::new();
    }
    vec![line("engine", &phase.engine), line("holdout", &phase.holdout)]
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0))
}

fn micros(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros < 10_000 { format!("{micros} us") } else { format!("{:.1} ms", duration.as_secs_f64() * 1e3) }
}
