//! Scores of a shadow: what it would have decided, found off the request's path and recorded with the decision.
//!
//! The decision path hands over what it decided on; a task decides once more with the shadow in the champion's place,
//! adds that to the encoded record, and passes it on to the recorder. When the task has too much to do, records go
//! without, counted.

use std::sync::Arc;

use bytes::Bytes;
use metrics::counter;
use prost::Message;
use tactful_core::decide::{Decision, PlacementDecision, Request, Shown, decide};
use tactful_core::ruleset::Ruleset;
use tactful_core::score::Source;
use tactful_core::state::CustomerView;
use tactful_log::Partition;
use tactful_proto::put_bytes;
use tactful_proto::storage::{DecisionBody, ShadowBody, ShadowChoice};
use tokio::sync::{mpsc, oneshot};

use crate::recorder::Queued;
use crate::slot::Current;

/// Decisions that may wait for their shadow.
const QUEUE_MAX: usize = 4_096;
/// Field of `Record` that holds the decision.
const DECISION: u32 = 5;

/// What a shadow decides on.
pub(crate) struct Shadowed {
    /// With a shadow.
    pub(crate) current: Arc<Current>,
    pub(crate) view: CustomerView,
    pub(crate) request: Request,
    pub(crate) now_ms: i64,
    pub(crate) seed: u64,
    /// What was decided.
    pub(crate) placements: Vec<PlacementDecision>,
    pub(crate) partition: Partition,
    /// The encoded record.
    pub(crate) record: Vec<u8>,
}

#[allow(clippy::large_enum_variant, reason = "nearly all are decisions, and a box would cost each an allocation")]
enum Job {
    Decided(Shadowed),
    Flush(oneshot::Sender<()>),
}

/// The decision path's end.
pub(crate) struct Shadows {
    jobs: mpsc::Sender<Job>,
}

/// The task that decides once more.
pub(crate) struct ShadowTask {
    jobs: mpsc::Receiver<Job>,
    records: mpsc::Sender<Queued>,
}

impl Shadows {
    /// A shadow's queue, and the task that feeds the recorder.
    pub(crate) fn new(records: mpsc::Sender<Queued>) -> (Self, ShadowTask) {
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        (Self { jobs: sender }, ShadowTask { jobs, records })
    }

    /// Hands a decision over. If the task has too much to do, the record comes back.
    pub(crate) fn hand_over(&self, shadowed: Shadowed) -> Result<(), Vec<u8>> {
        self.jobs.try_send(Job::Decided(shadowed)).map_err(|refused| {
            counter!("tactful_shadow_left_out_total").increment(1);
            match refused.into_inner() {
                Job::Decided(shadowed) => shadowed.record,
                Job::Flush(_) => Vec::new(),
            }
        })
    }

    /// Returns once everything that was handed over before is with the recorder, or the task has ended.
    pub(crate) async fn flush(&self) {
        let (sender, done) = oneshot::channel();
        if self.jobs.send(Job::Flush(sender)).await.is_ok() {
            let _ended = done.await.is_err();
        }
    }
}

impl ShadowTask {
    /// Works until nobody hands anything over any more.
    pub(crate) async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            match job {
                Job::Decided(shadowed) => {
                    let (partition, record) = (shadowed.partition, with_shadow(shadowed));
                    if self.records.send(Queued::Record(partition, record)).await.is_err() {
                        return;
                    }
                }
                // Whoever asked may have gone away.
                Job::Flush(waiting) => drop(waiting.send(())),
            }
        }
    }
}

/// The record with what the shadow would have decided: a second piece of its decision, which readers join to the first.
fn with_shadow(shadowed: Shadowed) -> Bytes {
    let Shadowed { current, view, request, now_ms, seed, placements, mut record, .. } = shadowed;
    let Some(shadow) = &current.shadow else { return record.into() };
    let other = decide(shadow, &view, &request, now_ms, seed);
    let body = DecisionBody { shadow: Some(body(shadow, &placements, &other)), ..DecisionBody::default() };
    put_bytes(DECISION, &body.encode_to_vec(), &mut record);
    counter!("tactful_shadow_decisions_total").increment(1);
    record.into()
}

fn body(shadow: &Ruleset, decided: &[PlacementDecision], other: &Decision) -> ShadowBody {
    let choice = |(placement, shown): (usize, &Shown)| ShadowChoice {
        action_id: shadow.actions[shown.action].id.clone(),
        placement: shadow.placements[placement].id.clone(),
        slot: shown.slot as u32,
        acceptance_probability: shown.scored.acceptance,
    };
    let chosen = other.placements.iter().flat_map(|place| place.shown.iter().map(|shown| (place.placement, shown)));
    let shown: Vec<usize> = decided.iter().flat_map(|place| &place.shown).map(|shown| shown.action).collect();
    ShadowBody {
        model_version: shadow.bank().map_or_else(String::new, |bank| bank.version().into()),
        chosen: chosen.map(choice).collect(),
        shown: acceptances(shadow, &shown, &other.fields),
    }
}

/// What the shadow says of the actions that were shown.
fn acceptances(shadow: &Ruleset, shown: &[usize], fields: &[f32]) -> Vec<f32> {
    let Some(bank) = shadow.bank() else { return Vec::new() };
    let mut out = vec![[0.0; 4]; shown.len().div_ceil(4)];
    bank.probabilities(shown, &bank.encode(fields), &mut out);
    let own = |(action, p): (&usize, f32)| {
        if bank.source(*action) == Source::Prior { shadow.factors[*action].prior } else { p }
    };
    shown.iter().zip(out.into_flattened()).map(own).collect()
}
