//! The record of decisions, one row per decision and slot, joined with its outcomes. It needs the
//! log and the archive alone, so a stopped server's directory can be read as well as a running one.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use prost_types::Timestamp;
use tactful_log::{Log, Partition};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ChosenBody, DecisionBody, LayoutField, LayoutUsed, OutcomeBody, Record};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;
use tokio::sync::mpsc;

use crate::archive::{Archive, Scan};
use crate::control;
use crate::erasures;
use crate::error::Error;
use crate::record::bytes_to_floats;
use crate::tombstones::Tombstones;

/// Rows handed over at once: a fraction of a millisecond of encoding, since the thread that does it also
/// decides.
const ROWS_MAX: usize = 32;

/// Sends the rows of all decisions made in `start_ms..end_ms`, partition by partition in log order: those
/// that are archived from the archive, if this directory is the log's, the others from the log.
/// Ends early without error if the receiver is gone. Memory: the outcomes of one partition, the hashes of its
/// message ids, and one segment of the archive.
///
/// # Errors
/// If the log or the archive fails or holds something that cannot be read, and [`Error::ArchiveAbsent`] if what
/// was trimmed from the log is in an archive elsewhere.
pub async fn export(
    log: Arc<dyn Log>,
    archive: Option<PathBuf>,
    (start_ms, end_ms): (i64, i64),
    rows: mpsc::Sender<Vec<v1::DecisionRow>>,
) -> Result<(), Error> {
    let layouts = control::read(log.as_ref()).await?.layouts;
    let tombstones = erasures::of_log(log.as_ref()).await?;
    let archive = match archive {
        Some(directory) => Archive::find(log.as_ref(), &directory).await?,
        None => None,
    };
    for partition in 0..log.partitions() {
        let tail = log.tail(Partition::Data(partition)).await?;
        let mut exporter = Exporter {
            partition,
            layouts: &layouts,
            tombstones: &tombstones,
            outcomes: HashMap::new(),
            seen: HashSet::new(),
            range: (start_ms, end_ms),
            rows: &rows,
            page: Vec::with_capacity(ROWS_MAX),
        };
        let mut scan = Scan::new(log.as_ref(), archive.as_ref(), partition, tail).await?;
        while let Some(records) = scan.next().await? {
            records.into_iter().for_each(|record| exporter.collect(record));
        }
        let mut scan = Scan::new(log.as_ref(), archive.as_ref(), partition, tail).await?;
        while let Some(records) = scan.next().await? {
            for record in records {
                exporter.emit(record);
                if exporter.page.len() >= ROWS_MAX && !exporter.flush().await {
                    return Ok(());
                }
            }
        }
        if !exporter.flush().await {
            return Ok(());
        }
    }
    Ok(())
}

/// Outcomes by whether the decision was external, its subject, and its id.
type Outcomes = HashMap<(bool, String, String), Vec<OutcomeBody>>;

struct Exporter<'a> {
    partition: u16,
    layouts: &'a [LayoutUsed],
    /// Who was erased: nothing of them is told, though it may not be gone yet.
    tombstones: &'a Tombstones,
    outcomes: Outcomes,
    /// Message hashes met so far.
    seen: HashSet<u64>,
    range: (i64, i64),
    rows: &'a mpsc::Sender<Vec<v1::DecisionRow>>,
    page: Vec<v1::DecisionRow>,
}

impl Exporter<'_> {
    /// Whether a message is met for the first time: a retried one takes effect once, as in the fold.
    fn is_first(&mut self, message_hash: u64) -> bool {
        message_hash == 0 || self.seen.insert(message_hash)
    }

    fn collect(&mut self, record: Record) {
        if let Some(Body::Outcome(outcome)) = record.body
            && self.is_first(record.message_hash)
        {
            let key = (outcome.external, record.subject_id, outcome.decision_id.clone());
            self.outcomes.entry(key).or_default().push(outcome);
        }
    }

    fn emit(&mut self, record: Record) {
        let Some(Body::Decision(decision)) = record.body else { return };
        let is_erased = self.tombstones.bar(&record.subject_id, decision.decided_ms);
        if is_erased
            || !(self.range.0..self.range.1).contains(&decision.decided_ms)
            || !self.is_first(record.message_hash)
        {
            return;
        }
        let features = self.features(&decision);
        let key = (decision.external, record.subject_id, decision.decision_id.clone());
        let mut reports = self.outcomes.remove(&key).unwrap_or_default();
        reports.sort_by_key(|outcome| (outcome.occurred_ms, outcome.r#type));
        let subject_id = key.1;
        self.page.extend(decision.chosen.iter().map(|chosen| v1::DecisionRow {
            features: features.clone(),
            outcomes: outcomes_of(&decision, chosen, &reports),
            ..row(&subject_id, &decision, chosen)
        }));
    }

    /// Hands over the rows so far; false if nobody takes them any more.
    async fn flush(&mut self) -> bool {
        let page = std::mem::replace(&mut self.page, Vec::with_capacity(ROWS_MAX));
        page.is_empty() || self.rows.send(page).await.is_ok()
    }

    fn features(&self, decision: &DecisionBody) -> std::collections::BTreeMap<String, v1::Value> {
        let Some(layout) = self.layouts.iter().find(|layout| layout.hash == decision.layout) else {
            tracing::warn!(partition = self.partition, "a decision names a field layout that the log does not hold");
            return std::collections::BTreeMap::new();
        };
        let values = layout.fields.iter().zip(bytes_to_floats(&decision.fields));
        values.filter_map(|(field, value)| Some((field.name.clone(), wire_value(field, value)?))).collect()
    }
}

/// One slot of a decision, without what the record of other messages adds.
fn row(subject_id: &str, decision: &DecisionBody, chosen: &ChosenBody) -> v1::DecisionRow {
    v1::DecisionRow {
        decision_id: decision.decision_id.clone(),
        decision_time: Some(timestamp(decision.decided_ms)),
        subject_id: subject_id.into(),
        placement: chosen.placement.clone(),
        channel: chosen.channel.clone(),
        slot: chosen.slot as i32,
        action_id: chosen.action_id.clone(),
        selection_probability: chosen.selection_probability,
        acceptance_probability: chosen.acceptance_probability,
        priority: chosen.priority,
        selection: decision.selection,
        ruleset_version: if decision.external { String::new() } else { format!("{:016x}", decision.ruleset) },
        model_version: decision.model_version.clone(),
        external: decision.external,
        group: chosen.group.clone(),
        ..v1::DecisionRow::default()
    }
}

/// The outcomes of one slot: of its action in its placement, or of the decision if it was external.
fn outcomes_of(decision: &DecisionBody, chosen: &ChosenBody, reports: &[OutcomeBody]) -> Vec<v1::Outcome> {
    let own = |outcome: &&OutcomeBody| {
        decision.external || (outcome.action_id == chosen.action_id && outcome.placement == chosen.placement)
    };
    let wire = |outcome: &OutcomeBody| v1::Outcome {
        r#type: outcome.r#type,
        value: outcome.value,
        occur_time: Some(timestamp(outcome.occurred_ms)),
        reason_code: outcome.reason_code.clone(),
    };
    reports.iter().filter(own).map(wire).collect()
}

/// A field's value on the wire; none if it is missing.
fn wire_value(field: &LayoutField, value: f32) -> Option<v1::Value> {
    if value.is_nan() {
        return None;
    }
    let kind = match field.kind.as_str() {
        "bool" => Kind::Flag(value != 0.0),
        "category" => Kind::Text(field.vocabulary.get(value as usize)?.clone()),
        _ => Kind::Number(f64::from(value)),
    };
    Some(v1::Value { kind: Some(kind) })
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 }
}
