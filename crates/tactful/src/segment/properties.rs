//! Properties and traits as flat named values: nested names joined by dots, an array counted as
//! `name.count`, null left out. Texts are never cut: one that is too long refuses the line.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value as Json};
use tactful_core::limits::{ID_BYTES_MAX, PROPERTIES_MAX, TEXT_BYTES_MAX};
use tactful_proto::v1::{Value, value::Kind};

use super::{Refused, fields, shorten};

/// Flat properties on their way into an event.
#[derive(Default)]
pub(super) struct Properties {
    root: Cow<'static, str>,
    values: BTreeMap<String, Value>,
}

impl Properties {
    /// Flattens the object found under `root`; an absent one has no properties.
    pub(super) fn flatten(
        root: impl Into<Cow<'static, str>>,
        object: Option<&Map<String, Json>>,
    ) -> Result<Self, Refused> {
        let mut properties = Self { root: root.into(), values: BTreeMap::new() };
        if let Some(object) = object {
            properties.collect("", object)?;
        }
        Ok(properties)
    }

    /// Adds a text unless the customer's own properties have one of that name.
    pub(super) fn add(&mut self, name: &str, text: String) {
        self.values.entry(name.into()).or_insert(Value { kind: Some(Kind::Text(text)) });
    }

    /// Takes `matter_id` out: it names the matter and is no property of its own.
    pub(super) fn take_matter(&mut self) -> Result<String, Refused> {
        let field = || format!("{}.matter_id", self.root);
        let Some(value) = self.values.get("matter_id") else { return Ok(String::new()) };
        let matter = match &value.kind {
            Some(Kind::Text(text)) if text.len() <= ID_BYTES_MAX => text.clone(),
            Some(Kind::Text(text)) => {
                return Err(Refused::field(field(), format!("{} bytes long; at most {ID_BYTES_MAX}", text.len())));
            }
            Some(Kind::Number(number)) => number.to_string(),
            _ => return Err(Refused::field(field(), "must be a text, not a truth value")),
        };
        self.values.remove("matter_id");
        Ok(matter)
    }

    /// The values, if they are not too many.
    pub(super) fn into_map(self) -> Result<BTreeMap<String, Value>, Refused> {
        if self.values.len() > PROPERTIES_MAX {
            let found = self.values.len();
            return Err(Refused::field(self.root, format!("{found} properties; at most {PROPERTIES_MAX}")));
        }
        Ok(self.values)
    }

    fn collect(&mut self, prefix: &str, object: &Map<String, Json>) -> Result<(), Refused> {
        for (key, json) in object {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            // Checked on the way down, so that deep nesting cannot build names without bound.
            if name.is_empty() || name.len() > ID_BYTES_MAX {
                let field = format!("{}.{}", self.root, shorten(&name));
                return Err(Refused::field(field, format!("a name must have 1 to {ID_BYTES_MAX} bytes")));
            }
            let kind = match json {
                Json::Null => continue,
                Json::Object(inner) => {
                    self.collect(&name, inner)?;
                    continue;
                }
                Json::Array(items) => {
                    self.insert(format!("{name}.count"), Kind::Number(items.len() as f64));
                    continue;
                }
                Json::Bool(flag) => Kind::Flag(*flag),
                Json::Number(number) => Kind::Number(self.finite(&name, number)?),
                Json::String(text) => Kind::Text(self.bounded(&name, text)?),
            };
            self.insert(name, kind);
        }
        Ok(())
    }

    fn insert(&mut self, name: String, kind: Kind) {
        self.values.insert(name, Value { kind: Some(kind) });
    }

    fn finite(&self, name: &str, number: &serde_json::Number) -> Result<f64, Refused> {
        let value = number.as_f64().filter(|value| value.is_finite());
        value.ok_or_else(|| fields::mismatch(&format!("{}.{name}", self.root), "a finite number", &Json::Null))
    }

    fn bounded(&self, name: &str, text: &str) -> Result<String, Refused> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("a text of {} bytes; at most {TEXT_BYTES_MAX}", text.len());
            return Err(Refused::field(format!("{}.{name}", self.root), message));
        }
        Ok(text.into())
    }
}
