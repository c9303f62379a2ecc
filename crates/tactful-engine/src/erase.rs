//! What an erasure does to a partition: the row goes, and all that names the subject id in other rows; what
//! happened before and comes late stays away. Every partition meets it, in its place of the log.

use std::sync::PoisonError;

use tactful_core::state::NamesUsed;
use tactful_proto::storage::{FoldRecord, fold_record::Body};

use crate::applier::Applier;
use crate::record::time_ms;

impl Applier {
    /// Whether something happened before its subject id, or one that it names, was erased.
    pub(crate) fn is_barred(&self, record: &FoldRecord, body: &Body) -> bool {
        // What was dated ahead came before as well.
        let at_ms = time_ms(body).min(record.received_ms);
        let named = match body {
            Body::Link(link) => Some(link.other_id.as_str()),
            _ => None,
        };
        let mut ids = std::iter::once(record.subject_id.as_str()).chain(named);
        let barred = ids.find(|id| self.tombstones.bar(id, at_ms));
        if let Some(id) = barred {
            self.erased.came_back.meet(id, &self.tombstones.key().hash(id));
        }
        barred.is_some()
    }

    /// Forgets a subject id as of a time.
    pub(crate) fn erase(&mut self, subject_id: &str, erased_ms: i64) {
        self.tombstones.add(subject_id, erased_ms);
        self.erased.bar(subject_id, erased_ms);
        self.forget(subject_id, erased_ms);
        self.forget_names();
        self.replies.forget_subject(subject_id);
    }

    fn forget(&mut self, subject_id: &str, erased_ms: i64) {
        let held = self.store.partition(self.partition).generation();
        self.snapshots.taker.before_change(&held, subject_id);
        held.rows.remove(subject_id);
        self.captures.forget(subject_id);
        // Links are few: one look at every row is a matter of milliseconds.
        let names_it = |row: &tactful_core::state::Row| row.links().is_some_and(|links| links.names(subject_id));
        for chunk in held.rows.chunks() {
            let linked = chunk.iter().filter(|entry| names_it(entry.value())).map(|entry| entry.key().clone());
            for other in linked.collect::<Vec<_>>() {
                self.snapshots.taker.before_change(&held, &other);
                if let Some(mut row) = held.rows.get_mut(&other) {
                    row.value_mut().forget_link(subject_id, erased_ms);
                }
            }
        }
        self.store.links.forget(subject_id, erased_ms);
    }

    /// Forgets the names that no row uses any more, in the same place of the log on every node, since ids are given
    /// by what is there. A look at every row takes some tens of milliseconds for a million in 16 partitions.
    fn forget_names(&mut self) {
        let partition = self.store.partition(self.partition);
        let held = partition.generation();
        let mut used = NamesUsed::default();
        held.rows.chunks().iter().flatten().for_each(|entry| entry.value().note_names(&mut used));
        let mut names = partition.names.write().unwrap_or_else(PoisonError::into_inner);
        let before = names.clone();
        if names.keep(&used) {
            self.snapshots.taker.before_names_change(before);
        }
    }

    /// Forgets whoever was erased after what this partition was restored from, before anybody may ask.
    pub(crate) fn erase_missing(&mut self) {
        let missing = self.tombstones.add_missing(&self.erased.all);
        if missing.is_empty() {
            return;
        }
        let held = self.store.partition(self.partition).generation();
        let is_missing = |id: &str| missing.contains(&self.tombstones.key().hash(id));
        let rows = held.rows.chunks().iter().flatten();
        let mut found: Vec<Box<str>> = Vec::new();
        for entry in rows {
            let named = entry.value().links().into_iter().flat_map(|links| links.statements().map(|(id, ..)| id));
            found.extend(named.chain([&**entry.key()]).filter(|id| is_missing(id)).map(Box::from));
        }
        for subject_id in found {
            self.forget(&subject_id, i64::MAX);
            self.erased.came_back.meet(&subject_id, &self.tombstones.key().hash(&subject_id));
        }
        tracing::info!(partition = self.partition, erased = missing.len(), "applied erasures of after this state");
    }
}
