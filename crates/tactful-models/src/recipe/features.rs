//! Which fields a model may learn from: all, or those of a list.

use std::fmt;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer};
use tactful_core::limits::{FIELDS_MAX, ID_BYTES_MAX};

/// Which fields are inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Features {
    /// All that the rows have.
    #[default]
    All,
    /// These.
    Listed(Vec<String>),
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FeaturesVisitor)
    }
}

struct FeaturesVisitor;

impl<'de> Visitor<'de> for FeaturesVisitor {
    type Value = Features;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"all\" or a list of field names")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Features, E> {
        match text {
            "all" => Ok(Features::All),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Features, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(names)).map(Features::Listed)
    }
}

/// Checks the number of names, their lengths and that none is listed twice.
pub(super) fn check(names: &[String]) -> Result<(), String> {
    if names.len() > FIELDS_MAX {
        return Err(format!("{} fields, at most {FIELDS_MAX} are allowed", names.len()));
    }
    for (position, name) in names.iter().enumerate() {
        if name.is_empty() || name.len() > ID_BYTES_MAX {
            return Err(format!("name {} has {} bytes, not 1 to {ID_BYTES_MAX}", position + 1, name.len()));
        }
        if names[..position].contains(name) {
            return Err(format!("{name} is listed twice"));
        }
    }
    Ok(())
}
