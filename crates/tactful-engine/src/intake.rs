//! Takes in events, decisions made elsewhere and outcomes: checks each, routes it to its partition,
//! and acknowledges what is durable. A bad item is refused by itself; the others go on.

use bytes::Bytes;
use metrics::counter;
use prost::Message;
use prost_types::Timestamp;
use tactful_core::decide::FieldError;
use tactful_core::hash;
use tactful_core::limits::{EVENT_AHEAD_MAX_S, EVENT_TIME_MIN_S, ID_BYTES_MAX, PROPERTIES_MAX, TEXT_BYTES_MAX};
use tactful_core::ruleset::{NO_ACTION, Ruleset};
use tactful_core::state::anonymous_subject;
use tactful_log::Partition;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{EventBody, ExternalDecisionBody, OutcomeBody, Property, Record};
use tactful_proto::v1;

use crate::capture::known_field;
use crate::clock::now_ms;
use crate::decide::field_value;
use crate::engine::Engine;
use crate::error::Error;
use crate::identity::implied;
use crate::record::{Domain, message_hash, value};

/// Longest code for the reason of an outcome, in bytes.
const REASON_BYTES_MAX: usize = 64;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Items that are durable.
    pub accepted: u64,
    /// Items refused, with position, field and fix.
    pub errors: Vec<v1::ItemError>,
    /// Token of what is durable, for [`Engine::reach`]; empty if nothing is.
    pub position: String,
}

/// Why one item is refused: upper-case code, field, and the way to mend it.
#[derive(Clone)]
pub(crate) struct Refusal {
    reason: &'static str,
    field: String,
    message: String,
}

impl Engine {
    /// Takes in a batch; returns once what it accepts is durable.
    ///
    /// # Errors
    /// If the log refuses: then nothing of the batch is acknowledged.
    pub async fn ingest(&self, items: Vec<v1::IngestItem>) -> Result<Accepted, Error> {
        let mut answer = Accepted::default();
        let mut entries = Vec::with_capacity(items.len());
        {
            let ruleset = self.slot.load();
            let intake = Intake { engine: self, ruleset: &ruleset, now_ms: now_ms() };
            for (index, item) in items.into_iter().enumerate() {
                match intake.record(item) {
                    Ok(record) => {
                        answer.accepted += 1;
                        entries.extend(self.admitted(record));
                    }
                    Err(refusal) => answer.errors.push(refusal.into_error(index)),
                }
            }
        }
        if !entries.is_empty() {
            answer.position = self.append(entries).await?;
        }
        counter!("tactful_events_ingested_total").increment(answer.accepted);
        counter!("tactful_events_rejected_total").increment(answer.errors.len() as u64);
        Ok(answer)
    }

    /// Appends entries as one group; answers their position once they are durable.
    pub(crate) async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<String, Error> {
        let partitions: Vec<Partition> = entries.iter().map(|(partition, _)| *partition).collect();
        let offsets = self.log.append(entries).await?;
        Ok(self.position(partitions.into_iter().zip(offsets)))
    }

    /// The entries of a record and of the link that it implies; none if all of it is of somebody who was erased since.
    fn admitted(&self, mut record: Record) -> impl Iterator<Item = (Partition, Bytes)> {
        let own = self.erased.admit(&mut record).then_some(record);
        let halves = own.as_ref().and_then(implied).into_iter().flatten();
        own.into_iter().chain(halves).map(|record| self.entry(&record))
    }

    pub(crate) fn entry(&self, record: &Record) -> (Partition, Bytes) {
        let partition = hash::partition(&record.subject_id, self.log.partitions());
        (Partition::Data(partition), record.encode_to_vec().into())
    }
}

/// One batch being checked.
pub(crate) struct Intake<'a> {
    engine: &'a Engine,
    pub(crate) ruleset: &'a Ruleset,
    pub(crate) now_ms: i64,
}

impl Intake<'_> {
    fn record(&self, item: v1::IngestItem) -> Result<Record, Refusal> {
        match item.item {
            Some(v1::ingest_item::Item::Event(event)) => self.event(event),
            Some(v1::ingest_item::Item::ExternalDecision(decision)) => self.external_decision(decision),
            Some(v1::ingest_item::Item::Outcome(outcome)) => self.outcome(outcome),
            Some(v1::ingest_item::Item::Consent(consent)) => self.consent(consent),
            Some(v1::ingest_item::Item::Fact(fact)) => self.fact(fact),
            None => {
                let message = "is not set: give an event, a decision, an outcome, a fact or a consent";
                Err(refusal("ITEM_EMPTY", "item", message))
            }
        }
    }

    fn event(&self, event: v1::Event) -> Result<Record, Refusal> {
        let kind = event.r#type();
        subject("subject_id", &event.subject_id)?;
        if kind == v1::EventType::Unspecified {
            return Err(refusal(
                "EVENT_TYPE_MISSING",
                "type",
                "is not set: give identify, track, page, screen, group or alias",
            ));
        }
        if kind == v1::EventType::Track && event.name.trim().is_empty() {
            return Err(refusal("EVENT_NAME_MISSING", "name", "is empty: a tracked event has a name"));
        }
        if kind == v1::EventType::Alias {
            subject("previous_id", &event.previous_id)?;
        }
        short("previous_id", &event.previous_id)?;
        let anonymous_id = anonymous_id(kind, &event.anonymous_id)?;
        short("message_id", &event.message_id)?;
        short("name", &event.name)?;
        self.known_channel(&event.channel)?;
        short("source", &event.source)?;
        short("matter_id", &event.matter_id)?;
        let event_ms = self.time("event_time", event.event_time.as_ref())?;
        Ok(Record {
            message_hash: message_hash(Domain::Event, &event.message_id),
            subject_id: event.subject_id,
            received_ms: self.now_ms,
            body: Some(Body::Event(EventBody {
                r#type: kind.into(),
                name: event.name,
                event_ms,
                channel: event.channel,
                source: event.source,
                matter_id: event.matter_id,
                properties: named_values("properties", event.properties)?,
                previous_id: event.previous_id,
                anonymous_id,
            })),
        })
    }

    /// A channel of the catalogue, or none.
    pub(crate) fn known_channel(&self, channel: &str) -> Result<(), Refusal> {
        let channels = self.ruleset.catalog.channel.iter().map(|channel| channel.id.as_str());
        if channel.is_empty() || channels.clone().any(|known| known == channel) {
            return Ok(());
        }
        let message = format!("is no channel of the catalogue: leave it empty or give {}", listed(channels));
        Err(refusal("CHANNEL_UNKNOWN", "channel", &message))
    }

    /// An action of the catalogue, or a deliberate silence.
    fn known_action(&self, action: &str) -> Result<(), Refusal> {
        if action == NO_ACTION || self.ruleset.action(action).is_some() {
            return Ok(());
        }
        let known = self.ruleset.actions.iter().map(|action| action.id.as_str());
        let hint = meant(action, known, "name an action of the catalogue, or none");
        Err(refusal("ACTION_UNKNOWN", "action_id", &format!("is no action of the catalogue: {hint}")))
    }

    /// A placement of the catalogue, or none.
    fn known_placement(&self, placement: &str) -> Result<(), Refusal> {
        if placement.is_empty() || self.ruleset.placement(placement).is_some() {
            return Ok(());
        }
        let known = self.ruleset.placements.iter().map(|placement| placement.id.as_str());
        let hint = meant(placement, known, "name a placement of the catalogue, or leave it empty");
        Err(refusal("PLACEMENT_UNKNOWN", "placement", &format!("is no placement of the catalogue: {hint}")))
    }

    fn external_decision(&self, decision: v1::ExternalDecision) -> Result<Record, Refusal> {
        subject("subject_id", &decision.subject_id)?;
        subject("external_decision_id", &decision.external_decision_id)?;
        short("placement", &decision.placement)?;
        short("action_id", &decision.action_id)?;
        self.known_action(&decision.action_id)?;
        self.known_placement(&decision.placement)?;
        let probability = decision.selection_probability;
        if !(probability > 0.0 && probability <= 1.0) {
            let message = format!("is {probability}: give the chance of the choice, above 0 and at most 1");
            return Err(refusal("PROBABILITY_INVALID", "selection_probability", &message));
        }
        let decided_ms = self.time("decision_time", decision.decision_time.as_ref())?;
        let context = named_values("context", decision.context)?;
        self.known_fields(&context)?;
        Ok(Record {
            message_hash: message_hash(Domain::ExternalDecision, &decision.external_decision_id),
            subject_id: decision.subject_id,
            received_ms: self.now_ms,
            body: Some(Body::ExternalDecision(ExternalDecisionBody {
                external_decision_id: decision.external_decision_id,
                action_id: decision.action_id,
                placement: decision.placement,
                decided_ms,
                selection_probability: probability,
                context,
            })),
        })
    }

    fn known_fields(&self, context: &[Property]) -> Result<(), Refusal> {
        let layout = &self.ruleset.layout;
        for property in context {
            let path = format!("context[{:?}]", property.key);
            let Some(field) = known_field(layout, &property.key) else {
                let hint = layout.nearest(&format!("context.{}", property.key));
                let hint = hint.map_or_else(String::new, |near| format!(": did you mean {near}?"));
                return Err(refusal("FIELD_UNKNOWN", &path, &format!("is no field of the catalogue{hint}")));
            };
            let kind = &layout.fields()[field].kind;
            let fits = property.value.as_ref().and_then(value).and_then(|value| field_value(kind, value));
            if fits.is_none() {
                return Err(refusal(
                    "VALUE_INVALID",
                    &path,
                    &format!("is no {} that the catalogue allows here", kind.name()),
                ));
            }
        }
        Ok(())
    }

    fn outcome(&self, report: v1::OutcomeReport) -> Result<Record, Refusal> {
        let kind = report.r#type();
        subject("subject_id", &report.subject_id)?;
        short("message_id", &report.message_id)?;
        bounded("reason_code", &report.reason_code, REASON_BYTES_MAX)?;
        if kind == v1::OutcomeType::Unspecified {
            return Err(refusal("OUTCOME_TYPE_MISSING", "type", "is not set: say what the answer was"));
        }
        if !report.value.is_finite() {
            return Err(refusal("VALUE_INVALID", "value", "is not a finite number"));
        }
        let occurred_ms = self.time("occur_time", report.occur_time.as_ref())?;
        let base = OutcomeBody {
            r#type: kind.into(),
            value: report.value,
            occurred_ms,
            reason_code: report.reason_code,
            ..OutcomeBody::default()
        };
        let body = match (report.outcome_token.as_str(), report.external_decision_id.as_str()) {
            ("", "") => {
                return Err(refusal(
                    "TOKEN_MISSING",
                    "outcome_token",
                    "is empty: return the token of the shown action",
                ));
            }
            ("", external) => {
                subject("external_decision_id", external)?;
                OutcomeBody { decision_id: report.external_decision_id, external: true, ..base }
            }
            (token, "") => self.attributed(base, &report.subject_id, token)?,
            _ => {
                return Err(refusal(
                    "TOKEN_AMBIGUOUS",
                    "outcome_token",
                    "comes with external_decision_id: give one of them",
                ));
            }
        };
        Ok(Record {
            message_hash: message_hash(Domain::Outcome, &report.message_id),
            subject_id: report.subject_id,
            received_ms: self.now_ms,
            body: Some(Body::Outcome(body)),
        })
    }

    fn attributed(&self, base: OutcomeBody, subject_id: &str, token: &str) -> Result<OutcomeBody, Refusal> {
        let Some(token) = self.engine.tokens.open(subject_id, token) else {
            let message =
                "is not a token of this server for this subject: return it unchanged, with the same subject_id";
            return Err(refusal("TOKEN_INVALID", "outcome_token", message));
        };
        if let Some(canary) = &self.engine.slot.load().canary {
            canary.answered(token.challenger, base.r#type());
        }
        let placement = self.ruleset.placement(&token.placement).map(|index| &self.ruleset.placements[index]);
        Ok(OutcomeBody {
            decision_id: token.decision_id,
            action_id: token.action_id,
            channel: placement.map_or_else(String::new, |placement| placement.channel.clone()),
            placement: token.placement,
            selection_probability: token.selection_probability,
            ruleset: token.ruleset,
            ..base
        })
    }

    pub(crate) fn time(&self, field: &'static str, time: Option<&Timestamp>) -> Result<i64, Refusal> {
        event_ms(field, time, self.now_ms)
    }
}

/// Milliseconds of a time within the allowed span; the node's clock if it is not given.
pub(crate) fn event_ms(field: &str, time: Option<&Timestamp>, now_ms: i64) -> Result<i64, Refusal> {
    let Some(time) = time else { return Ok(now_ms) };
    let now_s = now_ms.div_euclid(1_000);
    if time.seconds < EVENT_TIME_MIN_S {
        return Err(refusal("TIME_TOO_EARLY", field, "lies before 1980-01-01"));
    }
    if time.seconds > now_s + EVENT_AHEAD_MAX_S {
        return Err(refusal("TIME_TOO_LATE", field, "lies more than 5 minutes ahead of the server's clock"));
    }
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(refusal("TIME_INVALID", field, "has nanos outside 0..999,999,999"));
    }
    Ok(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000)
}

/// The subject id of the visitor or device of an identify; empty if it names none.
fn anonymous_id(kind: v1::EventType, id: &str) -> Result<String, Refusal> {
    if id.is_empty() {
        return Ok(String::new());
    }
    if kind != v1::EventType::Identify {
        let message = "comes with an event that is no identify: only that says who a visitor is, leave it out";
        return Err(refusal("ANONYMOUS_ID_UNEXPECTED", "anonymous_id", message));
    }
    let id = anonymous_subject(id);
    short("anonymous_id", &id)?;
    Ok(id.into_owned())
}

pub(crate) fn refusal(reason: &'static str, field: &str, message: &str) -> Refusal {
    Refusal { reason, field: field.into(), message: message.into() }
}

impl Refusal {
    fn into_error(self, index: usize) -> v1::ItemError {
        v1::ItemError { index: index as i64, reason: self.reason.into(), field: self.field, message: self.message }
    }
}

impl From<Refusal> for FieldError {
    fn from(refusal: Refusal) -> Self {
        Self { field: refusal.field, message: refusal.message, not_found: false }
    }
}

/// The name that a mistyped one stands for, or else what to do.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    tactful_core::layout::nearest(name, known).map_or_else(|| otherwise.into(), |near| format!("did you mean {near}?"))
}

pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// An id that must be there.
pub(crate) fn subject(field: &str, id: &str) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(refusal("ID_EMPTY", field, "is empty"));
    }
    short(field, id)
}

/// A text that may be empty.
pub(crate) fn short(field: &str, text: &str) -> Result<(), Refusal> {
    bounded(field, text, ID_BYTES_MAX)
}

fn bounded(field: &str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.len() > most {
        return Err(refusal("TEXT_TOO_LONG", field, &format!("has {} bytes, at most {most} are allowed", text.len())));
    }
    Ok(())
}

/// Properties in key order, each checked.
fn named_values(field: &str, values: std::collections::BTreeMap<String, v1::Value>) -> Result<Vec<Property>, Refusal> {
    if values.len() > PROPERTIES_MAX {
        let message = format!("has {} entries, at most {PROPERTIES_MAX} are allowed", values.len());
        return Err(refusal("PROPERTIES_TOO_MANY", field, &message));
    }
    let mut properties = Vec::with_capacity(values.len());
    for (key, value) in values {
        short(field, &key)?;
        match &value.kind {
            Some(v1::value::Kind::Number(number)) if !number.is_finite() => {
                return Err(refusal("VALUE_INVALID", &format!("{field}[{key:?}]"), "is not a finite number"));
            }
            Some(v1::value::Kind::Text(text)) if text.len() > TEXT_BYTES_MAX => {
                let message = format!("has {} bytes, at most {TEXT_BYTES_MAX} are allowed", text.len());
                return Err(refusal("TEXT_TOO_LONG", &format!("{field}[{key:?}]"), &message));
            }
            _ => properties.push(Property { key, value: Some(value) }),
        }
    }
    Ok(properties)
}
