//! Typed access to the fields of one JSON object; every complaint names the field.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tactful_core::limits::{ID_BYTES_MAX, TEXT_BYTES_MAX};
use tactful_proto::v1::{self, value::Kind};

use super::{Refused, shorten, unknown};

/// The fields of a line.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self { object }
    }

    /// A field that is there; `null` is as good as absent.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A name or word of at most 128 bytes.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Refused> {
        self.long_text(name, ID_BYTES_MAX)
    }

    /// A text of at most this many bytes.
    pub(super) fn long_text(&self, name: &str, bytes_max: usize) -> Result<Option<&'a str>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => bounded(name, text, bytes_max).map(|()| Some(text.as_str())),
            Some(other) => Err(mismatch(name, "a text", other)),
        }
    }

    /// A name or word that must be there and not empty.
    pub(super) fn required(&self, name: &str, what: &str) -> Result<&'a str, Refused> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(Refused::field(name, format!("empty; {what}"))),
            None => Err(Refused::field(name, format!("missing; {what}"))),
        }
    }

    /// An id: a text, or a whole number as many systems send it.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, Refused> {
        match self.get(name) {
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            Some(Value::String(text)) if text.is_empty() => Err(Refused::field(name, "empty; leave it out or fill it")),
            Some(Value::String(text)) => bounded(name, text, ID_BYTES_MAX).map(|()| Some(text.clone())),
            Some(other) => Err(mismatch(name, "a text or a whole number", other)),
            None => Ok(None),
        }
    }

    /// An id that must be there.
    pub(super) fn required_id(&self, name: &str, what: &str) -> Result<String, Refused> {
        self.id(name)?.ok_or_else(|| Refused::field(name, format!("missing; {what}")))
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => Err(mismatch(name, "a number", other)),
        }
    }

    /// A truth value.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(mismatch(name, "true or false", other)),
        }
    }

    /// A value that must be given; `null` gives none.
    pub(super) fn value_or_null(&self, name: &str, what: &str) -> Result<Option<v1::Value>, Refused> {
        let kind = match self.object.get(name) {
            None => return Err(Refused::field(name, format!("missing; {what}"))),
            Some(Value::Null) => return Ok(None),
            Some(Value::Bool(flag)) => Kind::Flag(*flag),
            Some(Value::Number(number)) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
            Some(Value::String(text)) => bounded(name, text, TEXT_BYTES_MAX).map(|()| Kind::Text(text.clone()))?,
            Some(other) => return Err(mismatch(name, "a number, a text, true, false or null", other)),
        };
        Ok(Some(v1::Value { kind: Some(kind) }))
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(mismatch(name, "an object", other)),
        }
    }

    /// The first of these times that is there.
    pub(super) fn time(&self, names: &[&str]) -> Result<Option<prost_types::Timestamp>, Refused> {
        let Some((name, value)) = names.iter().find_map(|name| Some((*name, self.get(name)?))) else {
            return Ok(None);
        };
        let Value::String(text) = value else { return Err(mismatch(name, "a text like 2026-05-01T10:00:00Z", value)) };
        let time: Timestamp = text.parse().map_err(|_| {
            let text = shorten(text);
            Refused::field(name, format!("`{text}` is no ISO 8601 time with its zone, like 2026-05-01T10:00:00Z"))
        })?;
        Ok(Some(protobuf_time(time)))
    }

    /// Refuses a field that is not in this list, as a typo in one of our own line types would be.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refused> {
        match self.object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Refused::field(shorten(name), unknown(name, known))),
            None => Ok(()),
        }
    }
}

/// A time as messages carry it: seconds rounded down, nanoseconds never negative.
pub(crate) fn protobuf_time(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        return prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 };
    }
    prost_types::Timestamp { seconds, nanos }
}

fn bounded(name: &str, text: &str, bytes_max: usize) -> Result<(), Refused> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Refused::field(name, format!("{} bytes long; at most {bytes_max}", text.len())))
}

/// A value of the wrong kind.
pub(super) fn mismatch(name: &str, wanted: &str, found: &Value) -> Refused {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Refused::field(name, format!("must be {wanted}, not {kind}"))
}
