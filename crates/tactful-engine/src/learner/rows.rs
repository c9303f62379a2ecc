//! Decisions that wait for their reward window to close, and the outcomes that came for them, partition by
//! partition in the order of the log.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use metrics::{counter, gauge};
use prost::Message;
use tactful_core::layout::FieldKind;
use tactful_core::score::ModelInput;
use tactful_log::{Entry, Offset, Partition};
use tactful_models::Recipe;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{DecisionBody, LayoutUsed, OutcomeBody, Record};
use tactful_proto::v1::OutcomeType;

use crate::clock::now_ms;
use crate::control::READ_MAX;
use crate::engine::Engine;
use crate::error::Error;
use crate::record::bytes_to_floats;

/// Decisions that wait at most; further ones are left out, whatever becomes of them.
const WAITING_MAX: usize = 200_000;
/// Entries before those to be learnt that are read again, so that a decision that was appended twice counts once.
const LOOK_BACK: u64 = 4_096;
/// An outcome may come this much after its window, as a part of it, but no more than so many milliseconds.
const GRACE_PART: i64 = 10;
const GRACE_MAX_MS: i64 = 10_000;

/// Decisions that wait, and how far the log is read.
pub(super) struct Rows {
    inputs: Vec<ModelInput>,
    exclude: HashSet<String>,
    partitions: Vec<PartitionRows>,
    /// By the hash of a layout, where the inputs are in it.
    layouts: HashMap<u64, Option<Arc<Vec<Place>>>>,
}

/// Where an input of the model is in a layout.
struct Place {
    field: Option<usize>,
    /// For a category the model's index of each word of the layout.
    words: Vec<f32>,
}

#[derive(Default)]
struct PartitionRows {
    read: Offset,
    /// The entry up to which everything is learnt.
    learnt: Offset,
    waiting: VecDeque<Waiting>,
    waiting_ids: HashSet<String>,
    /// By decision, of those that wait or have not come yet: an outcome may overtake its decision's record.
    outcomes: HashMap<String, Vec<OutcomeBody>>,
    /// Decisions of the outcomes, the oldest first.
    outcome_ids: VecDeque<String>,
    /// Ids of decisions met lately, the oldest first.
    met: VecDeque<String>,
    met_set: HashSet<String>,
    /// What happened up to here has been read, milliseconds since 1970.
    frontier_ms: i64,
}

struct Waiting {
    offset: Offset,
    decision_id: String,
    decided_ms: i64,
    external: bool,
    inputs: Vec<f32>,
    slots: Vec<Slot>,
}

/// A decision whose window has closed.
pub(super) struct Waited {
    pub(super) decided_ms: i64,
    pub(super) inputs: Vec<f32>,
    pub(super) slots: Vec<Slot>,
}

/// A slot of it that trains.
pub(super) struct Slot {
    pub(super) action: String,
    pub(super) group: String,
    pub(super) acceptance: f64,
    pub(super) positive: bool,
    placement: String,
}

impl Rows {
    pub(super) fn new(engine: &Engine, recipe: &Recipe, inputs: Vec<ModelInput>, offsets: &[Offset]) -> Self {
        debug_assert_eq!(offsets.len(), usize::from(engine.log.partitions()));
        let partition = |learnt: &Offset| PartitionRows {
            learnt: *learnt,
            read: learnt.saturating_sub(LOOK_BACK),
            ..PartitionRows::default()
        };
        Self {
            inputs,
            exclude: recipe.exclude_actions.iter().cloned().collect(),
            partitions: offsets.iter().map(partition).collect(),
            layouts: HashMap::new(),
        }
    }

    /// For each partition the entry up to which everything is learnt.
    pub(super) fn offsets(&self) -> Vec<Offset> {
        self.partitions.iter().map(|partition| partition.learnt).collect()
    }

    /// Reads what is new of every partition.
    pub(super) async fn read(&mut self, engine: &Engine) -> Result<(), Error> {
        for at in 0..self.partitions.len() {
            loop {
                let before = now_ms();
                let partition = Partition::Data(at as u16);
                let entries = match engine.log.read(partition, self.partitions[at].read, READ_MAX).await {
                    Err(tactful_log::Error::Trimmed { .. }) => {
                        // What waited there is gone from the log: it is not learnt from.
                        counter!("tactful_learner_left_out_total", "reason" => "trimmed").increment(1);
                        self.partitions[at].skip_to(engine.log.tail(partition).await?);
                        continue;
                    }
                    entries => entries?,
                };
                if entries.is_empty() {
                    self.partitions[at].frontier_ms = before;
                    break;
                }
                let layouts = engine.control.borrow().layouts.clone();
                entries.into_iter().for_each(|entry| self.take(at, entry, &layouts));
            }
        }
        let waiting: usize = self.partitions.iter().map(|partition| partition.waiting.len()).sum();
        gauge!("tactful_learner_waiting").set(waiting as f64);
        Ok(())
    }

    /// Decisions whose window has closed, with what became of them.
    pub(super) fn take_closed(&mut self, recipe: &Recipe) -> Vec<Waited> {
        let window_ms = i64::from(recipe.reward.window.seconds()) * 1_000;
        let grace = (window_ms / GRACE_PART).min(GRACE_MAX_MS);
        let mut closed = Vec::new();
        for partition in &mut self.partitions {
            let until = partition.frontier_ms - grace;
            while let Some(waiting) =
                partition.waiting.pop_front_if(|first| recipe.reward.window_end(first.decided_ms) <= until)
            {
                let outcomes = partition.outcomes.remove(&waiting.decision_id).unwrap_or_default();
                partition.waiting_ids.remove(&waiting.decision_id);
                partition.learnt = partition.learnt.max(waiting.offset);
                closed.push(waiting.close(recipe, &outcomes));
            }
            if partition.waiting.is_empty() {
                partition.learnt = partition.learnt.max(partition.read);
            }
        }
        closed
    }

    fn take(&mut self, at: usize, entry: Entry, layouts: &[LayoutUsed]) {
        let total: usize = self.partitions.iter().map(|partition| partition.waiting.len()).sum();
        self.partitions[at].read = entry.offset;
        let Ok(record) = Record::decode(entry.payload.as_ref()) else { return };
        match record.body {
            Some(Body::Decision(decision)) => {
                let first = self.partitions[at].meet(&decision.decision_id);
                if !first || entry.offset <= self.partitions[at].learnt {
                    return;
                }
                if total >= WAITING_MAX {
                    counter!("tactful_learner_left_out_total", "reason" => "full").increment(1);
                    return;
                }
                if let Some(waiting) = self.waiting(entry.offset, decision, layouts) {
                    self.partitions[at].waiting_ids.insert(waiting.decision_id.clone());
                    self.partitions[at].waiting.push_back(waiting);
                }
            }
            Some(Body::Outcome(outcome)) => self.partitions[at].answer(outcome),
            _ => {}
        }
    }

    /// A decision as it waits; none if it shows nothing that trains, or its fields cannot be read.
    fn waiting(&mut self, offset: Offset, decision: DecisionBody, layouts: &[LayoutUsed]) -> Option<Waiting> {
        let trains = |action: &str| !action.is_empty() && !self.exclude.contains(action);
        let slot = |chosen: tactful_proto::storage::ChosenBody| Slot {
            acceptance: f64::from(chosen.acceptance_probability),
            action: chosen.action_id,
            group: chosen.group,
            positive: false,
            placement: chosen.placement,
        };
        let chosen = decision.chosen.into_iter().filter(|chosen| trains(&chosen.action_id));
        let slots: Vec<Slot> = chosen.map(slot).collect();
        if slots.is_empty() {
            return None;
        }
        let inputs = &self.inputs;
        let places = self
            .layouts
            .entry(decision.layout)
            .or_insert_with(|| {
                let layout = layouts.iter().find(|layout| layout.hash == decision.layout)?;
                Some(Arc::new(inputs.iter().map(|input| Place::of(input, layout)).collect()))
            })
            .clone()?;
        let fields: Vec<f32> = bytes_to_floats(&decision.fields).collect();
        Some(Waiting {
            offset,
            decision_id: decision.decision_id,
            decided_ms: decision.decided_ms,
            external: decision.external,
            inputs: places.iter().map(|place| place.value(&fields)).collect(),
            slots,
        })
    }
}

impl PartitionRows {
    /// Whether a decision is met for the first time.
    fn meet(&mut self, decision_id: &str) -> bool {
        if !self.met_set.insert(decision_id.to_owned()) {
            return false;
        }
        self.met.push_back(decision_id.to_owned());
        if self.met.len() > LOOK_BACK as usize
            && let Some(oldest) = self.met.pop_front()
        {
            self.met_set.remove(&oldest);
        }
        true
    }

    /// Keeps an outcome for a decision that waits or may come; one for a decision that was learnt comes too late.
    fn answer(&mut self, outcome: OutcomeBody) {
        let is_late = self.met_set.contains(&outcome.decision_id) && !self.waiting_ids.contains(&outcome.decision_id);
        if is_late {
            return;
        }
        if self.outcome_ids.len() == WAITING_MAX
            && let Some(oldest) = self.outcome_ids.pop_front()
        {
            self.outcomes.remove(&oldest);
        }
        self.outcome_ids.push_back(outcome.decision_id.clone());
        self.outcomes.entry(outcome.decision_id.clone()).or_default().push(outcome);
    }

    fn skip_to(&mut self, tail: Offset) {
        self.waiting.clear();
        self.waiting_ids.clear();
        self.outcomes.clear();
        self.outcome_ids.clear();
        (self.read, self.learnt) = (tail, tail);
    }
}

impl Waiting {
    fn close(self, recipe: &Recipe, outcomes: &[OutcomeBody]) -> Waited {
        let answered = |slot: Slot| {
            let own = outcomes.iter().filter(|outcome| {
                self.external || (outcome.action_id == slot.action && outcome.placement == slot.placement)
            });
            let own: Vec<(OutcomeType, i64)> = own.map(|outcome| (outcome.r#type(), outcome.occurred_ms)).collect();
            let positive = recipe.reward.at_close(self.decided_ms, &own)?;
            Some(Slot { positive, ..slot })
        };
        let slots = self.slots.into_iter().filter_map(answered).collect();
        Waited { decided_ms: self.decided_ms, inputs: self.inputs, slots }
    }
}

impl Place {
    fn of(input: &ModelInput, layout: &LayoutUsed) -> Self {
        let field = layout.fields.iter().position(|field| field.name == input.name);
        let words = match (&input.kind, field) {
            (FieldKind::Category(known), Some(field)) => {
                let index = |word: &String| known.iter().position(|other| other == word).unwrap_or(known.len()) as f32;
                layout.fields[field].vocabulary.iter().map(index).collect()
            }
            _ => Vec::new(),
        };
        Self { field, words }
    }

    fn value(&self, fields: &[f32]) -> f32 {
        let value = self.field.and_then(|field| fields.get(field)).copied().unwrap_or(f32::NAN);
        if self.words.is_empty() || value.is_nan() {
            return value;
        }
        self.words.get(value as usize).copied().unwrap_or(f32::NAN)
    }
}
