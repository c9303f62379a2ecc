//! What became of an ingested file.

use serde_json::{Value, json};

use crate::output::Render;

/// Shortest run that is told a rate, in seconds.
const RATE_SECONDS_MIN: f64 = 0.1;

/// A line that was refused, by this program or by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedLine {
    /// Number of the line, from 1.
    pub(crate) line: u64,
    /// Field at fault; empty if the line as a whole is.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl RefusedLine {
    /// In one line for standard error.
    pub(crate) fn text(&self) -> String {
        let Self { line, field, message } = self;
        if field.is_empty() { format!("line {line}: {message}") } else { format!("line {line}: {field}: {message}") }
    }
}

/// Counts of a whole run.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// Items that the server acknowledged as durable.
    pub(crate) accepted: u64,
    /// Lines that were refused.
    pub(crate) refused: u64,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// True if it stopped at the first refusal.
    pub(crate) stopped: bool,
    /// The first refusals.
    pub(crate) refusals: Vec<RefusedLine>,
}

impl Summary {
    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { (self.accepted as f64 / self.seconds).round() } else { 0.0 }
    }
}

impl Render for Summary {
    fn json(&self) -> Value {
        let refusals = self.refusals.iter();
        let refusals = refusals.map(|r| json!({ "line": r.line, "field": r.field, "message": r.message }));
        json!({
            "accepted": self.accepted,
            "refused": self.refused,
            "seconds": self.seconds,
            "events_per_s": self.rate(),
            "stopped": self.stopped,
            "refusals": refusals.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let Self { accepted, refused, seconds, .. } = self;
        let stopped = if self.stopped { "; stopped at the first refusal" } else { "" };
        // The rate of a short run says how long it takes to connect, and nothing else.
        let took = match seconds {
            ..RATE_SECONDS_MIN => format!("{:.0} ms", seconds * 1e3),
            _ => format!("{seconds:.1} s ({}/s)", self.rate()),
        };
        format!("{accepted} accepted, {refused} refused in {took}{stopped}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_and_rates() {
        let refusal = RefusedLine { line: 3, field: "event".into(), message: "missing".into() };
        assert_eq!(refusal.text(), "line 3: event: missing");
        let summary = Summary { accepted: 1_000, refused: 1, seconds: 0.5, stopped: false, refusals: vec![refusal] };
        assert_eq!(summary.text(), "1000 accepted, 1 refused in 0.5 s (2000/s)\n");
        let short = Summary { accepted: 4, seconds: 0.008, ..Summary::default() };
        assert_eq!(short.text(), "4 accepted, 0 refused in 8 ms\n");
        assert_eq!(summary.json()["refusals"][0]["line"], 3);
        assert_eq!(Summary::default().json()["events_per_s"], 0.0);
    }
}
