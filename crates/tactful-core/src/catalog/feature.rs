//! Features (what is remembered of a customer) and context fields (what a request carries).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Duration;

/// How events become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// How many events.
    Count,
    /// Exact sum in a decimal scale.
    Sum,
    /// Count in which each event's weight halves every half-life.
    DecayedCount,
    /// Sum in which each value's weight halves every half-life.
    DecayedSum,
    /// Smallest value.
    Min,
    /// Greatest value.
    Max,
    /// Value of the latest event; a category if a vocabulary is declared.
    Last,
    /// Value of the earliest event.
    First,
    /// Time since the latest event, in the declared unit.
    SinceLast,
    /// With a value: its latest truth. Without: true once the event happened.
    Flag,
    /// How many events within a sliding window of buckets.
    WindowedCount,
}

/// Unit of a `since_last`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    #[default]
    Days,
}

/// Outcome that a feature may be derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the API's OutcomeType documents them")]
pub enum OutcomeName {
    Exposed,
    Accepted,
    Rejected,
    Deferred,
    Clicked,
    Converted,
    Resolved,
    NotPresented,
}

/// A feature: a named number or category derived from events, traits or outcomes.
/// Exactly one of `event`, `trait`, `page`, `screen` and `outcome` says from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureDef {
    /// Name; rules and models read `customer.<name>`.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// How events become one number.
    pub aggregate: Aggregate,
    /// Name of a tracked event, compared after trimming and case folding.
    #[serde(default)]
    pub event: Option<String>,
    /// Name of a trait of identify events.
    #[serde(default, rename = "trait")]
    pub trait_name: Option<String>,
    /// Name of a page, `*` for any.
    #[serde(default)]
    pub page: Option<String>,
    /// Name of a screen, `*` for any.
    #[serde(default)]
    pub screen: Option<String>,
    /// An outcome.
    #[serde(default)]
    pub outcome: Option<OutcomeName>,
    /// Only outcomes of this action.
    #[serde(default)]
    pub action: Option<String>,
    /// Property that holds the value, dots for nesting; a `trait` is its own value.
    #[serde(default)]
    pub value: Option<String>,
    /// Only events whose properties equal these texts.
    #[serde(default, rename = "where")]
    pub filter: BTreeMap<String, String>,
    /// Decimal places of a `sum`, 0 to 6.
    #[serde(default)]
    pub scale: u8,
    /// Half-life of a decayed aggregate.
    #[serde(default)]
    pub half_life: Option<Duration>,
    /// Window of a `windowed_count`; must be a multiple of `buckets` seconds.
    #[serde(default)]
    pub window: Option<Duration>,
    /// Buckets of a `windowed_count`.
    #[serde(default)]
    pub buckets: Option<u32>,
    /// Words of a category; makes a `last` a category.
    #[serde(default)]
    pub vocabulary: Vec<String>,
    /// Unit of a `since_last`.
    #[serde(default)]
    pub unit: Unit,
    /// Older evidence is stale, hence missing.
    #[serde(default)]
    pub max_age: Option<Duration>,
    /// Events that arrive later than this after their time are refused for this feature.
    #[serde(default)]
    pub lateness: Option<Duration>,
    /// Purpose of the data.
    #[serde(default = "service")]
    pub purpose: String,
}

/// What values a context field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextType {
    /// A finite number.
    Number,
    /// A truth value.
    Bool,
    /// A word of the vocabulary.
    Category,
}

/// A context field; rules and models read `context.<name>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextDef {
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What values it takes.
    #[serde(rename = "type")]
    pub kind: ContextType,
    /// Words of a category.
    #[serde(default)]
    pub vocabulary: Vec<String>,
}

/// The purpose that is always there and always allowed.
pub const SERVICE: &str = "service";

pub(super) fn service() -> String {
    SERVICE.into()
}
