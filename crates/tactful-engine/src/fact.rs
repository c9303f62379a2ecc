//! Facts on their way in: checked against what the catalogue declares of their key, so that what is told in one
//! channel can be read in every other.

use tactful_core::layout::FieldKind;
use tactful_core::limits::TEXT_BYTES_MAX;
use tactful_core::state::FactField;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{FactBody, Record};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use crate::intake::{Intake, Refusal, listed, refusal, short, subject};
use crate::record::{Domain, message_hash, value};

/// The purpose that is always there.
const SERVICE: &str = "service";

impl Intake<'_> {
    /// The record of a fact.
    pub(crate) fn fact(&self, fact: v1::Fact) -> Result<Record, Refusal> {
        subject("subject_id", &fact.subject_id)?;
        short("message_id", &fact.message_id)?;
        check_key(&fact.key)?;
        let field = self.ruleset.schema.facts().iter().find(|field| field.key == fact.key);
        let told = fact.value.filter(|value| value.kind.is_some());
        check_value(told.as_ref(), field)?;
        let purpose = self.purpose_of(&fact.purpose, field)?;
        self.known_channel(&fact.channel)?;
        short("source", &fact.source)?;
        short("matter_id", &fact.matter_id)?;
        let event_ms = self.time("event_time", fact.event_time.as_ref())?;
        let expire_ms = expiry(fact.expire_time.as_ref(), event_ms)?;
        Ok(Record {
            message_hash: message_hash(Domain::Fact, &fact.message_id),
            subject_id: fact.subject_id,
            received_ms: self.now_ms,
            body: Some(Body::Fact(FactBody {
                key: fact.key,
                value: told,
                purpose,
                expire_ms,
                event_ms,
                channel: fact.channel,
                source: fact.source,
                matter_id: fact.matter_id,
            })),
        })
    }

    /// The purpose of its data as a record holds it: the one given, else the declared one; nothing for `service`.
    fn purpose_of(&self, given: &str, field: Option<&FactField>) -> Result<String, Refusal> {
        let purposes = self.ruleset.schema.purposes();
        let declared = field.map(|field| purposes[field.purpose].as_str());
        let purpose = match (given, declared) {
            ("", declared) => declared.unwrap_or(SERVICE),
            (given, Some(declared)) if given != declared => {
                let message = format!("is not {declared}, which the catalogue declares for this key: leave it empty");
                return Err(refusal("PURPOSE_MISMATCH", "purpose", &message));
            }
            (given, _) => given,
        };
        let known = purposes.iter().map(String::as_str);
        self.known_purpose(purpose, known.clone(), &format!("give {}", listed(known)))?;
        Ok(if purpose == SERVICE { String::new() } else { purpose.into() })
    }
}

/// A key that a catalogue could declare.
fn check_key(key: &str) -> Result<(), Refusal> {
    subject("key", key)?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if key.chars().all(is_part) && !key.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    let message = "must have letters, digits and underscores and start with no digit, for example contact_time";
    Err(refusal("KEY_INVALID", "key", message))
}

fn check_value(told: Option<&v1::Value>, field: Option<&FactField>) -> Result<(), Refusal> {
    match told.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Number(number)) if !number.is_finite() => {
            return Err(refusal("VALUE_INVALID", "value", "is not a finite number"));
        }
        Some(Kind::Text(text)) if text.len() > TEXT_BYTES_MAX => {
            let message = format!("has {} bytes, at most {TEXT_BYTES_MAX} are allowed", text.len());
            return Err(refusal("TEXT_TOO_LONG", "value", &message));
        }
        _ => {}
    }
    let (Some(told), Some(field)) = (told.and_then(value), field) else { return Ok(()) };
    if field.value(told).is_some() {
        return Ok(());
    }
    let wanted = match &field.kind {
        FieldKind::Number => "a number that fits 32 bits".into(),
        FieldKind::Bool => "a flag, true or false".into(),
        FieldKind::Category(words) => format!("one of {}", listed(words.iter().map(String::as_str))),
    };
    Err(refusal("VALUE_INVALID", "value", &format!("is not what the catalogue declares for this key: give {wanted}")))
}

/// Milliseconds of an expiry, which lies after the telling; 0 for none.
fn expiry(time: Option<&prost_types::Timestamp>, event_ms: i64) -> Result<i64, Refusal> {
    let Some(time) = time else { return Ok(0) };
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(refusal("TIME_INVALID", "expire_time", "has nanos outside 0..999,999,999"));
    }
    let ms = time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000);
    if ms <= event_ms {
        return Err(refusal("TIME_TOO_EARLY", "expire_time", "is not after the time of the telling"));
    }
    Ok(ms)
}
