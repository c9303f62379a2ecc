//! One decision on live state: view, decide, identify, seal, record. No lock is held across an
//! await, and nothing here waits.

mod record;

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use tactful_core::decide::{Basis, ContextValue, Decision, Explain, Request, RequestText, Shown, decide};
use tactful_core::layout::FieldKind;
use tactful_core::limits::{COUNT_MAX, FIELDS_MAX, ID_BYTES_MAX, PLACEMENTS_MAX, SLOTS_MAX};
use tactful_core::ruleset::{Alias, PlacementIx};
use tactful_core::state::{CustomerView, Value};
use tactful_proto::storage::OutcomeToken;

use crate::clock::now_ms;
use crate::engine::Engine;
use crate::error::Error;
use crate::shadow::Shadowed;
use crate::slot::Current;
use crate::store::Seen;

/// Longest request that a record holds.
const REQUEST_BYTES_MAX: usize = 512 << 10;
/// Most bytes of one chosen slot: four ids and numbers.
const CHOSEN_BYTES_MAX: usize = 4 * ID_BYTES_MAX + 64;
/// Beside request and view: ids, hashes, versions.
const RECORD_REST_BYTES: usize = 8 * ID_BYTES_MAX;
const _: () = assert!(
    REQUEST_BYTES_MAX
        + 9 * SLOTS_MAX
        + 4 * FIELDS_MAX
        + PLACEMENTS_MAX * COUNT_MAX * CHOSEN_BYTES_MAX
        + RECORD_REST_BYTES
        <= tactful_log::ENTRY_BYTES_MAX,
    "every record fits into an entry of the log"
);

/// After so long without a word from the log, what is known may be old.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// A request for a decision.
#[derive(Debug)]
pub struct DecideCommand<'a> {
    /// The request with its names.
    pub text: RequestText<'a>,
    /// Id for retries; empty for none.
    pub request_id: &'a str,
    /// Matter; empty for none.
    pub matter_id: &'a str,
    /// False for a what-if without side effects.
    pub live: bool,
    /// True for an answer for which nothing of the customer is read.
    pub non_personal: bool,
    /// Why a position that the caller named was not reached: see [`Engine::reach`].
    pub behind: Option<&'static str>,
    /// The request as it came without the subject id, for the record.
    pub encoded: Vec<u8>,
}

/// A decision with everything a reply needs.
#[derive(Debug)]
pub struct Decided {
    /// UUIDv7; empty for a what-if.
    pub id: String,
    /// The decision.
    pub decision: Decision,
    /// The ruleset that made it.
    pub ruleset: Arc<Current>,
    /// Outcome tokens of all that is shown, in its order; empty for a what-if.
    pub tokens: Vec<String>,
    /// `now` of the decision, milliseconds since 1970.
    pub now_ms: i64,
    /// Latest event time folded into the customer's partition, milliseconds since 1970; 0 if none.
    pub watermark_ms: i64,
    /// Upper-case codes of what was missing.
    pub degraded: Vec<&'static str>,
}

impl Engine {
    /// Decides for one customer.
    ///
    /// # Errors
    /// If fields of the request are wrong.
    pub fn decide(&self, command: &DecideCommand<'_>) -> Result<Arc<Decided>, Error> {
        check_names(&command.text)?;
        if command.non_personal && !command.text.overrides.is_empty() {
            return Err(Error::field("profile_overrides", "goes against non_personal: leave one of them out"));
        }
        let ruleset = self.slot.load_full();
        let request = Request::resolve(&ruleset, &command.text).map_err(Error::Invalid)?;
        let now_ms = now_ms();
        let make = || Arc::new(self.decide_now(ruleset, &request, command, now_ms));
        if command.request_id.is_empty() || !command.live {
            return Ok(make());
        }
        Ok(self.replies.get_or_decide((command.text.subject_id, command.request_id), now_ms, make))
    }

    fn decide_now(
        &self,
        ruleset: Arc<Current>,
        request: &Request,
        command: &DecideCommand<'_>,
        now_ms: i64,
    ) -> Decided {
        let subject_id = request.subject_id.as_str();
        let Seen { view, truncated } = if command.non_personal {
            Seen { view: CustomerView::unknown(&ruleset.schema).of(subject_id), truncated: false }
        } else {
            self.store.view(&ruleset.schema, subject_id, now_ms)
        };
        let seed = self.tokens.next_seed();
        let started = ruleset.canary.as_ref().map(|_| Instant::now());
        let mut decision = decide(&ruleset, &view, request, now_ms, seed);
        if let (Some(canary), Some(started)) = (&ruleset.canary, started) {
            canary.decided(&decision, started.elapsed());
        }
        // What was not looked at is not unknown.
        decision.cold_start &= !command.non_personal;
        let mut decided = Decided {
            id: String::new(),
            tokens: Vec::new(),
            now_ms,
            watermark_ms: self.store.of(subject_id).watermark_ms(),
            degraded: self.degraded(command.behind),
            decision,
            ruleset,
        };
        if truncated {
            decided.degraded.push("TOO_MANY_IDS");
        }
        if command.live {
            decided.id = self.tokens.decision_id(subject_id, now_ms);
            decided.tokens = self.seal(subject_id, &decided);
            if !self.record(&decided, view, request, command, seed) {
                decided.degraded.push("UNLOGGED");
            }
            count(&decided);
        }
        decided
    }

    /// Queues the record of a decision. False if it is unlogged: the queue is full, or the request is
    /// too long for an entry of the log.
    fn record(
        &self,
        decided: &Decided,
        view: CustomerView,
        request: &Request,
        command: &DecideCommand<'_>,
        seed: u64,
    ) -> bool {
        if command.encoded.len() > REQUEST_BYTES_MAX {
            self.recorder.leave_out();
            return false;
        }
        let subject_id = command.text.subject_id;
        let record = record::encode(decided, &view, command, seed);
        if decided.ruleset.shadow.is_none() {
            return self.recorder.record(subject_id, record);
        }
        let shadowed = Shadowed {
            current: Arc::clone(&decided.ruleset),
            view,
            request: Request { explain: Explain::None, ..request.clone() },
            now_ms: decided.now_ms,
            seed,
            placements: decided.decision.placements.clone(),
            partition: self.recorder.partition(subject_id),
            record,
        };
        match self.shadows.hand_over(shadowed) {
            Ok(()) => true,
            Err(record) => self.recorder.record(subject_id, record),
        }
    }

    /// What is missing right now.
    fn degraded(&self, behind: Option<&'static str>) -> Vec<&'static str> {
        let mut codes: Vec<_> = behind.into_iter().collect();
        if !self.is_caught_up() {
            codes.push("REPLAYING");
        }
        if self.recorder.failing() || self.log.silence() > SILENCE_MAX {
            codes.push("LOG_UNAVAILABLE");
        }
        if self.damage.is_found() {
            codes.push("LOG_DAMAGED");
        }
        codes
    }

    fn seal(&self, subject_id: &str, decided: &Decided) -> Vec<String> {
        let mut sealer = self.tokens.sealer(subject_id);
        let challenger = decided.decision.alias == Alias::Challenger;
        let mut rest = OutcomeToken { decision_id: decided.id.clone(), challenger, ..OutcomeToken::default() };
        let mut tokens = Vec::with_capacity(decided.shown().count());
        for (placement, shown) in decided.shown() {
            rest.selection_probability = shown.selection_probability;
            tokens.push(sealer.seal(&decided.ruleset.pieces.token(shown.action, placement), &rest));
        }
        tokens
    }
}

impl Decided {
    /// All that is shown, with its placement.
    fn shown(&self) -> impl Iterator<Item = (PlacementIx, &Shown)> {
        let placements = self.decision.placements.iter();
        placements.flat_map(|placement| placement.shown.iter().map(|shown| (placement.placement, shown)))
    }
}

/// Refuses names longer than any id before they are looked for, since the search for what was meant
/// takes time by their length.
fn check_names(text: &RequestText<'_>) -> Result<(), Error> {
    let values = |field: &'static str, values: &[ContextValue<'_>]| match values.iter().find(|(name, _)| is_long(name))
    {
        Some((name, _)) => Err(name_too_long(field.into(), name)),
        None => Ok(()),
    };
    if let Some(at) = text.placements.iter().position(|(id, _)| is_long(id)) {
        return Err(name_too_long(format!("placements[{at}].placement"), text.placements[at].0));
    }
    values("context", &text.context)?;
    values("profile_overrides", &text.overrides)
}

fn is_long(name: &str) -> bool {
    name.len() > ID_BYTES_MAX
}

fn name_too_long(field: String, name: &str) -> Error {
    Error::field(field, format!("has a name of {} bytes, at most {ID_BYTES_MAX} are allowed", name.len()))
}

fn count(decided: &Decided) {
    let shown = decided.decision.placements.iter().any(|placement| !placement.shown.is_empty());
    // Literal labels: the counter is found without an allocation.
    match (shown, decided.decision.basis) {
        (false, _) => counter!("tactful_decisions_total", "outcome" => "empty").increment(1),
        (true, Basis::Personal) => counter!("tactful_decisions_total", "outcome" => "personalised").increment(1),
        (true, Basis::NonPersonal) => counter!("tactful_decisions_total", "outcome" => "non_personal").increment(1),
    }
    if !decided.degraded.is_empty() {
        counter!("tactful_decisions_degraded_total").increment(1);
    }
}

/// A value as a field of this kind holds it; none if it does not fit.
pub(crate) fn field_value(kind: &FieldKind, value: Value<'_>) -> Option<f32> {
    match (kind, value) {
        (FieldKind::Number, Value::Number(number)) => Some(number as f32).filter(|number| number.is_finite()),
        (FieldKind::Number | FieldKind::Bool, Value::Flag(flag)) => Some(f32::from(u8::from(flag))),
        (FieldKind::Category(words), Value::Text(text)) => {
            words.iter().position(|word| word == text).map(|at| at as f32)
        }
        _ => None,
    }
}
