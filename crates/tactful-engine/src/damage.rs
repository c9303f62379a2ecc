//! Damage of the log: entries lost, trimmed away unread, or other than before. It is told once and loudly, and
//! from then on this node is not ready: what it knows goes on answering, flagged, but nothing new comes in.

use std::fmt::Display;
use std::sync::Arc;

use metrics::{counter, gauge};
use tactful_log::Partition;
use tokio::sync::watch;

/// What was found damaged first, shared by all who read the log.
#[derive(Clone)]
pub(crate) struct Damage(Arc<watch::Sender<Option<String>>>);

impl Damage {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// A partition cannot be followed any further.
    pub(crate) fn report(&self, partition: Partition, error: &impl Display) {
        counter!("tactful_log_damage_total").increment(1);
        gauge!("tactful_partitions_lost").increment(1.0);
        let first = self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| format!("partition {partition}: {error}"));
            is_first
        });
        if first {
            tracing::error!(%partition, %error, "the log is damaged: this node is not ready until it is started again");
        } else {
            tracing::warn!(%partition, %error, "this partition is damaged too");
        }
    }

    /// What was found first.
    pub(crate) fn found(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Whether there is any. One short lock.
    pub(crate) fn is_found(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns once there is any.
    pub(crate) async fn wait(&self) {
        // The sender lives as long as this.
        let _closed = self.0.subscribe().wait_for(Option::is_some).await.is_err();
    }
}
