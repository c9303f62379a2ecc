//! Channels, placements, the holdout and exploration.

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

/// Thompson sampling: among the actions that could be best, one is shown as often as draws from what is known of
/// the models say that it is. So a new action finds its audience, and what is logged has exact probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplorationDef {
    /// Share of the choices that is spread evenly over the actions that could be worth showing, 0 to 1.
    #[serde(default = "floor")]
    pub floor: f64,
    /// What the standard deviations of the draws are multiplied by, above 0 and at most 2. Less than 1 explores less than
    /// what is known would have it, which loses less (Chapelle and Li 2011, section 4: posterior reshaping).
    #[serde(default = "width")]
    pub width: f64,
    /// Draws for each action.
    #[serde(default = "draws")]
    pub draws: usize,
    /// Actions that are drawn for: those that could be best, beside the slots to be filled.
    #[serde(default = "candidates")]
    pub candidates: usize,
}

fn floor() -> f64 {
    0.02
}

fn width() -> f64 {
    0.5
}

fn draws() -> usize {
    32
}

fn candidates() -> usize {
    8
}

fn one() -> u32 {
    1
}
