//! Metrics: one recorder for the process, rendered for Prometheus. Buckets reach down to 5
//! microseconds, since a decision is done before the usual ones begin.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const SECONDS: [f64; 13] = [5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1];

/// The process's metrics, installed at the first call.
///
/// # Panics
/// If another metrics recorder was installed in this process.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .expect("the buckets are not empty")
            .install_recorder()
            .expect("tactful installs the process's only metrics recorder");
        describe();
        handle
    })
}

/// Drains what histograms have gathered until `stopped`: without it they grow until somebody asks.
pub(crate) async fn upkeep(stopped: impl Future<Output = ()>) {
    const EVERY: Duration = Duration::from_secs(5);
    let handle = metrics();
    let mut stopped = std::pin::pin!(stopped);
    while tokio::time::timeout(EVERY, stopped.as_mut()).await.is_err() {
        handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!("tactful_decisions_total", "Live decisions by outcome: personalised, non_personal or empty.");
    describe_counter!("tactful_decisions_degraded_total", "Decisions made while something was missing.");
    describe_counter!("tactful_decisions_unlogged_total", "Decisions served without a record.");
    describe_histogram!("tactful_decision_duration_seconds", "Time from decoded request to reply.");
    describe_counter!("tactful_events_ingested_total", "Items durably taken in.");
    describe_counter!("tactful_events_rejected_total", "Items refused.");
    describe_counter!("tactful_events_duplicate_total", "Records dropped as repeats.");
    describe_counter!("tactful_events_poisoned_total", "Log entries that could not be read.");
    describe_counter!("tactful_records_applied_total", "Records folded into rows.");
    describe_counter!("tactful_features_late_total", "Features that refused an event as too late.");
    describe_gauge!("tactful_customers", "Customers in memory.");
    describe_gauge!("tactful_recorder_queue", "Decisions waiting to be recorded.");
    describe_counter!("tactful_log_append_errors_total", "Appends that the log refused.");
    describe_counter!("tactful_log_read_errors_total", "Reads that the log refused.");
    describe_gauge!("tactful_archive_archiver", "1 on the node that archives.");
    describe_gauge!("tactful_archive_lag_entries", "Log entries behind the archive's marks.");
    describe_gauge!("tactful_archive_lag_seconds", "Age of the oldest log entry behind the archive's marks.");
    describe_gauge!("tactful_archive_segments", "Segments of the archive.");
    describe_gauge!("tactful_archive_bytes", "Bytes of the archive's segments.");
    describe_counter!("tactful_archive_rows_total", "Decisions and outcomes archived.");
    describe_counter!("tactful_archive_errors_total", "Attempts to archive that failed.");
    describe_counter!("tactful_archive_lost_entries_total", "Log entries trimmed away before they were archived.");
    describe_counter!("tactful_model_swap_total", "Models loaded or refused.");
    describe_counter!("tactful_requests_shed_total", "Requests refused for overload.");
    describe_counter!("tactful_deadline_exceeded_total", "Calls whose deadline passed.");
    describe_counter!("tactful_panics_total", "Handlers that panicked.");
    describe_counter!("tactful_accept_errors_total", "Connections that could not be accepted.");
}
