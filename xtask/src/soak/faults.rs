//! The fault matrix: each fault is made real on a real redis-server and real nodes, and what was seen is held against
//! what is promised. A row that cannot be run here does not hold, and says why.

mod intake;
mod load;
mod loss;
mod nodes;
mod outage;
mod scene;
mod snapshots;

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use self::scene::{Scale, Scene};
use crate::eval::Verdict;

/// One fault of the matrix.
struct Row {
    row: u32,
    fault: &'static str,
    promised: &'static str,
    run: fn(&Scene) -> Result<Seen>,
}

/// What a row showed.
struct Seen {
    what: String,
    holds: bool,
}

const ROWS: [Row; 23] = [
    Row {
        row: 1,
        fault: "kill -9 of the node under ingest",
        promised: "every acknowledged event counts once after the restart",
        run: nodes::killed,
    },
    Row {
        row: 2,
        fault: "kill -9 while snapshots are written",
        promised: "an older snapshot and the log give the same state; a file that is not whole is never read",
        run: snapshots::killed_while_written,
    },
    Row {
        row: 3,
        fault: "snapshots cut or with a flipped bit",
        promised: "each is seen and counted, an older one is used, the state is equal",
        run: snapshots::damaged,
    },
    Row {
        row: 4,
        fault: "all snapshots bad",
        promised: "the whole log is folded; if it was trimmed the node does not serve",
        run: snapshots::all_bad,
    },
    Row {
        row: 5,
        fault: "disk full while snapshots are written",
        promised: "calls go on, the failure is counted, no torn file is left",
        run: snapshots::disk_full,
    },
    Row {
        row: 6,
        fault: "restart with a backlog",
        promised: "not ready until it has caught up",
        run: snapshots::backlog,
    },
    Row {
        row: 7,
        fault: "kill -9 of Redis and restart on its append-only file",
        promised: "the node goes on by itself, every acknowledged event counts once",
        run: outage::redis_killed,
    },
    Row {
        row: 8,
        fault: "Redis stopped (SIGSTOP)",
        promised: "decisions go on from memory without an error, flagged LOG_UNAVAILABLE; nothing acknowledged is lost",
        run: outage::redis_stopped,
    },
    Row {
        row: 9,
        fault: "silent connections to Redis (no reset)",
        promised: "a new connection within 5 s of silence, nothing lost or doubled",
        run: outage::blackhole,
    },
    Row {
        row: 10,
        fault: "Redis slow by 200 ms each way",
        promised: "decisions do not wait for it, the queue of records stays within its bound",
        run: outage::slow,
    },
    Row {
        row: 11,
        fault: "Redis gone until the queue of records is full",
        promised: "decisions are served unlogged, flagged and counted exactly; memory stays bounded",
        run: outage::queue_full,
    },
    Row {
        row: 12,
        fault: "failover that loses the tail",
        promised: "told within 10 s, not ready, nothing appended; a restart folds what is left, a repeat fills the gap",
        run: loss::failover,
    },
    Row {
        row: 13,
        fault: "entry ids reused after a failover",
        promised: "told, not ready; after a restart the digest equals that of a fresh fold",
        run: loss::ids_reused,
    },
    Row {
        row: 14,
        fault: "stream trimmed past a reader",
        promised: "the gap is told, not skipped; the node starts again from a peer's snapshot",
        run: loss::trimmed,
    },
    Row {
        row: 15,
        fault: "stream deleted, Redis flushed",
        promised: "told within 10 s, not taken for silence",
        run: loss::deleted,
    },
    Row {
        row: 16,
        fault: "Redis out of memory (noeviction)",
        promised: "events are refused with RESOURCE_EXHAUSTED, decisions go on, nothing acknowledged is lost",
        run: loss::out_of_memory,
    },
    Row {
        row: 17,
        fault: "every event three times, shuffled",
        promised: "counts once: the content equals that of each once in order",
        run: nodes::repeated,
    },
    Row {
        row: 18,
        fault: "late, future and impossible times",
        promised: "late ones count by event time; beyond 5 minutes ahead or before 1980 refused with the reason",
        run: intake::late_and_future,
    },
    Row {
        row: 19,
        fault: "poison in the intake and in the log",
        promised: "dead list with the exact count, reading goes on, the node lives",
        run: intake::poison,
    },
    Row {
        row: 20,
        fault: "half of all events are one customer's",
        promised: "others' events are visible as soon as under an even load",
        run: nodes::hot_customer,
    },
    Row {
        row: 21,
        fault: "two nodes written to at once",
        promised: "equal state digests at equal offsets",
        run: nodes::two_nodes,
    },
    Row {
        row: 22,
        fault: "Redis stopped in the midst of appends, which are asked again",
        promised: "one effect for each event",
        run: outage::ambiguous,
    },
    Row {
        row: 23,
        fault: "a storm of retries of Decide",
        promised: "one decision id and one record for each request id",
        run: nodes::retried,
    },
];

/// The line that the soak prints.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FaultsResult {
    faults: Vec<FaultResult>,
    /// Promises that did not hold.
    failed: usize,
}

/// One fault as it went.
#[derive(Clone, Debug, Serialize)]
struct FaultResult {
    row: u32,
    fault: &'static str,
    promised: &'static str,
    seen: String,
    holds: bool,
}

/// Runs these rows, or all.
pub(super) fn run(binary: &Path, rows: &[u32], seed: u64) -> Result<FaultsResult> {
    run_at(binary, rows, seed, Scale::FULL)
}

fn run_at(binary: &Path, rows: &[u32], seed: u64, scale: Scale) -> Result<FaultsResult> {
    if let Some(unknown) = rows.iter().find(|row| !ROWS.iter().any(|known| known.row == **row)) {
        let last = ROWS.len();
        ensure!(false, "--rows: {unknown} is no row of the matrix; give numbers from 1 to {last} with commas");
    }
    let mut faults = Vec::new();
    for row in ROWS.iter().filter(|row| rows.is_empty() || rows.contains(&row.row)) {
        eprintln!("row {}: {}", row.row, row.fault);
        let started = Instant::now();
        let seen = Scene::new(binary, seed, scale).and_then(|scene| (row.run)(&scene));
        let seen = seen.unwrap_or_else(|error| Seen { what: format!("could not be shown: {error:#}"), holds: false });
        let verdict = if seen.holds { "holds" } else { "DOES NOT HOLD" };
        eprintln!("    {verdict} after {:.0} s: {}", started.elapsed().as_secs_f64(), seen.what);
        let Row { row, fault, promised, .. } = *row;
        faults.push(FaultResult { row, fault, promised, seen: seen.what, holds: seen.holds });
    }
    let failed = faults.iter().filter(|fault| !fault.holds).count();
    Ok(FaultsResult { faults, failed })
}

impl Verdict for FaultsResult {
    fn failure(&self) -> Option<String> {
        let rows: Vec<String> =
            self.faults.iter().filter(|fault| !fault.holds).map(|fault| fault.row.to_string()).collect();
        let rows = rows.join(", ");
        (self.failed > 0 || self.faults.is_empty()).then(|| format!("rows that do not hold: {rows}"))
    }

    fn text(&self) -> String {
        let line = |fault: &FaultResult| {
            let verdict = if fault.holds { "holds" } else { "FAILS" };
            format!("{:>2}  {verdict}  {}: {}", fault.row, fault.fault, fault.seen)
        };
        self.faults.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    /// Those that take seconds, on the binary that `cargo test --workspace` builds.
    fn small(rows: &[u32]) {
        let binary = Workspace::locate().unwrap().target().join("debug/tactful");
        if !binary.is_file() {
            return eprintln!("skipped: {} is not built", binary.display());
        }
        let result = run_at(&binary, rows, 3, Scale::SMALL).unwrap();
        assert_eq!((result.failure(), result.faults.len()), (None, rows.len()), "{result:#?}");
    }

    #[test]
    fn nodes_that_die_share_and_repeat_on_redis_hold_their_promises() {
        small(&[1, 17, 21, 23]);
    }

    #[test]
    fn outages_of_redis_hold_their_promises() {
        small(&[7, 11]);
    }

    #[test]
    fn losses_of_redis_are_told() {
        small(&[12, 13, 15, 16]);
    }

    #[test]
    fn what_redis_brings_in_is_taken_or_refused_as_promised() {
        small(&[18, 19]);
    }

    #[test]
    fn damaged_snapshots_of_a_log_on_redis_and_on_disk_are_told() {
        small(&[2, 3, 4]);
    }

    #[test]
    fn the_rows_are_those_of_the_matrix() {
        assert!(ROWS.iter().map(|row| row.row).eq(1..=23));
        let error = run_at(Path::new("none"), &[7, 24], 1, Scale::SMALL).unwrap_err().to_string();
        assert!(error.contains("24 is no row of the matrix"), "{error}");
    }

    #[test]
    fn a_row_that_cannot_be_run_does_not_hold() {
        let result = run_at(Path::new("/no/such/binary"), &[3], 1, Scale::SMALL).unwrap();
        assert_eq!((result.failed, result.faults[0].row), (1, 3));
        assert!(result.faults[0].seen.starts_with("could not be shown"), "{result:?}");
        let line = serde_json::to_string(&result).unwrap();
        assert!(
            line.starts_with(r#"{"faults":[{"row":3,"fault":"#) && line.ends_with(r#""holds":false}],"failed":1}"#)
        );
        assert!(result.failure().is_some());
    }
}
