//! Facts that customers tell of themselves, once and for every channel.

use serde::{Deserialize, Serialize};

use super::{ContextType, Duration};

/// A fact; rules and models read `fact.<key>`. Others may be told and are shown, but no rule reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactDef {
    /// Unique key.
    pub key: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What values it takes.
    pub kind: ContextType,
    /// Words of a category.
    #[serde(default)]
    pub vocabulary: Vec<String>,
    /// Purpose of the data.
    #[serde(default = "super::feature::service")]
    pub purpose: String,
    /// How long it holds after it was told; for good unless given.
    #[serde(default)]
    pub expires_after: Option<Duration>,
}
