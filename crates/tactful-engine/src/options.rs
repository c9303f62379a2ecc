//! What an operator may set about the engine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bounds of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Decisions that may wait to be recorded; beyond, they are served unlogged, flagged and counted.
    pub recorder_queue_max: usize,
    /// Answers kept for retries with the same request_id.
    pub replies_max: usize,
    /// How long an answer is kept for retries, in milliseconds.
    pub replies_age_ms_max: i64,
    /// How long a message id is remembered, in milliseconds of log time.
    pub dedup_horizon_ms: i64,
    /// Message ids remembered for each partition before the horizon counts.
    pub dedup_ids_min: usize,
    /// Folder of this node's snapshots. Empty: none, for an engine by itself; `snapshots` in `data_dir`, for a server.
    pub snapshots: PathBuf,
    /// File with the list of erasures, outside of what a backup of the log takes back. Empty: none, for an engine by
    /// itself; `erase-list` in `data_dir`, for a server.
    pub erase_list: PathBuf,
    /// Least time between two snapshots of a partition, in milliseconds.
    pub snapshot_every_ms: u64,
    /// Pause between two rounds of housekeeping: saying what this node needs of the log, and trimming the rest.
    pub housekeeping_ms: u64,
    /// A node that was silent for longer is not waited for by trimming; it comes back by a peer's snapshot.
    pub node_absent_ms_max: u64,
    /// Time in which a model must score all actions of the catalogue for one customer, in microseconds.
    pub model_latency_us_max: u64,
    /// Folders of other nodes' snapshots, for a node whose log no longer holds what it lacks.
    pub peer_snapshots: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            recorder_queue_max: 65_536,
            replies_max: 65_536,
            replies_age_ms_max: 300_000,
            dedup_horizon_ms: 86_400_000,
            dedup_ids_min: 1_000_000,
            snapshots: PathBuf::new(),
            erase_list: PathBuf::new(),
            snapshot_every_ms: 60_000,
            housekeeping_ms: 10_000,
            node_absent_ms_max: 3_600_000,
            model_latency_us_max: 2_000,
            peer_snapshots: Vec::new(),
        }
    }
}
