//! What becomes of the lines: counts, and the first refusals in words on standard error. The rest
//! are counted only, so that a million bad lines stay readable.

use std::{cell::RefCell, time::Instant};

use tactful_proto::v1::ItemError;
use tokio::sync::Notify;

use super::{super::progress::Progress, feed::Origin};
use crate::render::ingest::{RefusedLine, Summary};

/// Refusals that are told in words.
const TOLD_MAX: usize = 20;

/// Counts of a run, shared by the side that sends and the side that is acknowledged: both run on
/// one thread and never wait while they hold it.
pub(super) struct Report {
    progress: Progress,
    started: Instant,
    stop: bool,
    summary: RefCell<Summary>,
    stopped: Notify,
}

impl Report {
    pub(super) fn new(progress: Progress, stop: bool) -> Self {
        let started = Instant::now();
        Self { progress, started, stop, summary: RefCell::default(), stopped: Notify::new() }
    }

    /// So many bytes are read, and these lines were refused on the way.
    pub(super) fn read(&self, bytes: u64, refused: Vec<RefusedLine>) {
        self.progress.set(bytes);
        refused.into_iter().for_each(|line| self.refuse(line));
    }

    /// The server acknowledged the batch of these lines.
    pub(super) fn acknowledged(&self, lines: &[Origin], accepted: i64, errors: Vec<ItemError>) {
        self.summary.borrow_mut().accepted += u64::try_from(accepted).unwrap_or(0);
        if self.stop && !errors.is_empty() {
            self.stopped.notify_one();
        }
        for error in errors {
            let origin = usize::try_from(error.index).ok().and_then(|index| lines.get(index));
            let line = origin.map_or(0, |origin| origin.line);
            let field = origin.map_or_else(|| error.field.clone(), |origin| origin.shape.field(&error.field));
            self.refuse(RefusedLine { line, field, message: error.message });
        }
        let summary = self.summary.borrow();
        self.progress.say(format!("{} accepted, {} refused", summary.accepted, summary.refused));
    }

    /// Waits until nothing more should be sent for what the server said: forever, unless it was
    /// asked to stop.
    pub(super) async fn stopped(&self) {
        self.stopped.notified().await;
    }

    /// The counts in the end.
    pub(super) fn finish(self) -> Summary {
        let mut summary = self.summary.into_inner();
        summary.seconds = self.started.elapsed().as_secs_f64();
        summary.stopped = self.stop && summary.refused > 0;
        summary
    }

    fn refuse(&self, line: RefusedLine) {
        let mut summary = self.summary.borrow_mut();
        summary.refused += 1;
        if summary.refusals.len() < TOLD_MAX {
            self.progress.note(line.text());
            summary.refusals.push(line);
        } else if summary.refused == TOLD_MAX as u64 + 1 {
            self.progress.note(format_args!("more than {TOLD_MAX} lines refused; the rest are counted only"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tactful_proto::v1::EventType;

    use super::*;
    use crate::segment::Shape;

    fn origin(line: u64) -> Origin {
        Origin { line, shape: Shape::Event(EventType::Track) }
    }

    fn refused(line: u64) -> RefusedLine {
        RefusedLine { line, field: String::new(), message: "bad".into() }
    }

    #[test]
    fn all_are_counted_and_the_first_are_told() {
        let report = Report::new(Progress::bytes(None, true), false);
        report.read(10, (1..=25).map(refused).collect());
        report.acknowledged(&[origin(30), origin(31)], 2, Vec::new());
        let summary = report.finish();
        assert_eq!((summary.accepted, summary.refused, summary.refusals.len(), summary.stopped), (2, 25, 20, false));
    }

    #[tokio::test]
    async fn a_refusal_of_the_server_is_laid_on_its_line_and_stops_if_asked() {
        for stop in [true, false] {
            let report = Report::new(Progress::bytes(None, true), stop);
            let error =
                ItemError { index: 1, field: "event_time".into(), message: "unknown".into(), ..ItemError::default() };
            report.acknowledged(&[origin(7), origin(9)], 1, vec![error]);
            let stopped = tokio::time::timeout(Duration::ZERO, report.stopped()).await;
            assert_eq!(stopped.is_ok(), stop);
            let summary = report.finish();
            assert_eq!((summary.refusals[0].line, summary.stopped), (9, stop));
            assert_eq!(summary.refusals[0].field, "timestamp", "the line's own name of the field");
        }
    }
}
