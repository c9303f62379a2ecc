//! Channels, placements and the holdout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelDef {
    /// Unique id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A place in a channel that shows `count` actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementDef {
    /// Unique id.
    pub id: String,
    /// Its channel.
    pub channel: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// How many actions it shows unless the request says otherwise.
    #[serde(default = "one")]
    pub count: u32,
    /// Cost of interrupting the customer here, in the unit of value: an action's priority must beat it.
    #[serde(default)]
    pub interruption_cost: f32,
    /// Content to show when nothing passes the rules.
    pub fallback: BTreeMap<String, String>,
}

/// A sticky random share of the customers whose slots are drawn uniformly from what passed the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldoutDef {
    /// Share of the customers, 0 to 1.
    pub share: f64,
    /// Salt of the hash; another salt gives another set of customers.
    #[serde(default)]
    pub salt: String,
}

fn one() -> u32 {
    1
}
