//! The record of decisions, one row per decision and slot, joined with its outcomes. It needs the
//! log and the archive alone, so a stopped server's directory can be read as well as a running one.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use prost_types::Timestamp;
use tactful_core::ruleset::NO_ACTION;
use tactful_log::{Log, Partition};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ChosenBody, DecisionBody, LayoutField, LayoutUsed, OutcomeBody, Record, ShadowBody};
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
/// Ends early without error if the receiver is gone. Memory: the outcomes of one partition, and a page of rows.
///
/// # Errors
/// If the log or the archive fails or holds something that cannot be read, and [`Error::ArchiveAbsent`] if what
/// was trimmed from the log is in an archive elsewhere.
pub async fn export(
    log: Arc<dyn Log>,
    archive: Option<PathBuf>,
    range: (i64, i64),
    rows: mpsc::Sender<Vec<v1::DecisionRow>>,
) -> Result<(), Error> {
    let mut pages = Pages { rows, page: Vec::with_capacity(ROWS_MAX) };
    visit(log.as_ref(), archive, range, &mut pages).await
}

/// A decision with its outcomes, in the order of their times.
pub(crate) struct Joined {
    pub(crate) subject_id: String,
    pub(crate) decision: DecisionBody,
    pub(crate) outcomes: Vec<OutcomeBody>,
}

/// Who looks at all decisions.
pub(crate) trait Visitor: Send {
    /// Takes the next decision; false if no more are wanted.
    fn take(&mut self, joined: Joined, layouts: &[LayoutUsed]) -> impl Future<Output = bool> + Send;

    /// Is told that a partition ends here; false if no more are wanted.
    fn end_partition(&mut self) -> impl Future<Output = bool> + Send;
}

/// Shows all decisions made in `start_ms..end_ms` with their outcomes, partition by partition in log order. Memory:
/// the outcomes of one partition, the hashes of its message ids, and one segment of the archive.
///
/// # Errors
/// As [`export`].
pub(crate) async fn visit(
    log: &dyn Log,
    archive: Option<PathBuf>,
    range: (i64, i64),
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    let layouts = control::read(log).await?.layouts;
    let tombstones = erasures::of_log(log).await?;
    let archive = match archive {
        Some(directory) => Archive::find(log, &directory).await?,
        None => None,
    };
    for partition in 0..log.partitions() {
        let tail = log.tail(Partition::Data(partition)).await?;
        let mut joiner = Joiner { tombstones: &tombstones, outcomes: HashMap::new(), seen: HashSet::new(), range };
        let mut scan = Scan::new(log, archive.as_ref(), partition, tail).await?;
        while let Some(records) = scan.next().await? {
            records.into_iter().for_each(|record| joiner.collect(record));
        }
        let mut scan = Scan::new(log, archive.as_ref(), partition, tail).await?;
        while let Some(records) = scan.next().await? {
            for joined in records.into_iter().filter_map(|record| joiner.join(record)).collect::<Vec<_>>() {
                if !visitor.take(joined, &layouts).await {
                    return Ok(());
                }
            }
        }
        if !visitor.end_partition().await {
            return Ok(());
        }
    }
    Ok(())
}

/// Outcomes by whether the decision was external, its subject, and its id.
type Outcomes = HashMap<(bool, String, String), Vec<OutcomeBody>>;

/// Brings the decisions of one partition together with their outcomes.
struct Joiner<'a> {
    /// Who was erased: nothing of them is told, though it may not be gone yet.
    tombstones: &'a Tombstones,
    outcomes: Outcomes,
    /// Message hashes met so far.
    seen: HashSet<u64>,
    range: (i64, i64),
}

impl Joiner<'_> {
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

    fn join(&mut self, record: Record) -> Option<Joined> {
        let Some(Body::Decision(decision)) = record.body else { return None };
        let is_erased = self.tombstones.bar(&record.subject_id, decision.decided_ms);
        if is_erased
            || !(self.range.0..self.range.1).contains(&decision.decided_ms)
            || !self.is_first(record.message_hash)
        {
            return None;
        }
        let key = (decision.external, record.subject_id, decision.decision_id.clone());
        let mut outcomes = self.outcomes.remove(&key).unwrap_or_default();
        outcomes.sort_by_key(|outcome| (outcome.occurred_ms, outcome.r#type));
        Some(Joined { subject_id: key.1, decision, outcomes })
    }
}

/// Rows on their way to whoever exports them.
struct Pages {
    rows: mpsc::Sender<Vec<v1::DecisionRow>>,
    page: Vec<v1::DecisionRow>,
}

impl Visitor for Pages {
    async fn take(&mut self, joined: Joined, layouts: &[LayoutUsed]) -> bool {
        let Joined { subject_id, decision, outcomes } = joined;
        let features = features(&decision, layouts);
        self.page.extend(decision.chosen.iter().enumerate().map(|(at, chosen)| v1::DecisionRow {
            features: features.clone(),
            outcomes: outcomes_of(&decision, chosen, &outcomes),
            ..row(&subject_id, &decision, (at, chosen))
        }));
        self.page.len() < ROWS_MAX || self.flush().await
    }

    async fn end_partition(&mut self) -> bool {
        self.flush().await
    }
}

impl Pages {
    /// Hands over the rows so far; false if nobody takes them any more.
    async fn flush(&mut self) -> bool {
        let page = std::mem::replace(&mut self.page, Vec::with_capacity(ROWS_MAX));
        page.is_empty() || self.rows.send(page).await.is_ok()
    }
}

fn features(decision: &DecisionBody, layouts: &[LayoutUsed]) -> std::collections::BTreeMap<String, v1::Value> {
    let Some(layout) = layouts.iter().find(|layout| layout.hash == decision.layout) else {
        tracing::warn!("a decision names a field layout that the log does not hold");
        return std::collections::BTreeMap::new();
    };
    let values = layout.fields.iter().zip(bytes_to_floats(&decision.fields));
    values.filter_map(|(field, value)| Some((field.name.clone(), wire_value(field, value)?))).collect()
}

/// One slot of a decision, without what the record of other messages adds.
fn row(subject_id: &str, decision: &DecisionBody, (at, chosen): (usize, &ChosenBody)) -> v1::DecisionRow {
    let shadow = decision.shadow.clone().unwrap_or_default();
    v1::DecisionRow {
        shadow_acceptance_probability: shadow_acceptance(&shadow, decision, at),
        shadow_action_id: shadow_action(&shadow, chosen),
        shadow_model_version: shadow.model_version,
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

/// What the shadow says of a slot's action: it has a number for each action that was shown, and none for silence.
fn shadow_acceptance(shadow: &ShadowBody, decision: &DecisionBody, at: usize) -> f32 {
    let is_action = |chosen: &ChosenBody| chosen.action_id != NO_ACTION;
    let before = decision.chosen[..at].iter().filter(|chosen| is_action(chosen)).count();
    let own = shadow.shown.get(before).filter(|_| is_action(&decision.chosen[at]));
    own.copied().unwrap_or_default()
}

/// What the shadow would have shown first in the placement of a slot.
fn shadow_action(shadow: &ShadowBody, chosen: &ChosenBody) -> String {
    if shadow.model_version.is_empty() {
        return String::new();
    }
    let first = shadow.chosen.iter().find(|choice| choice.placement == chosen.placement && choice.slot == 0);
    first.map_or_else(|| NO_ACTION.to_owned(), |choice| choice.action_id.clone())
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
