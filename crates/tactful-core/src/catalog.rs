//! The catalogue as people write it: features, facts, context, actions, placements, rules,
//! matters.
//!
//! Plain definitions with serde derives and nothing compiled. Text becomes definitions in the
//! engine (TOML); definitions become a [`crate::ruleset::Ruleset`] here in the core, all or nothing.

mod action;
mod duration;
mod fact;
mod feature;
mod matter;
mod placement;
mod problem;
mod rule;

use serde::{Deserialize, Serialize};

pub use action::{ActionDef, Kind, ReasonDef, TreatmentDef};
pub use duration::Duration;
pub use fact::FactDef;
pub use feature::{Aggregate, ContextDef, ContextType, FeatureDef, OutcomeName, SERVICE, Unit};
pub use matter::MatterDef;
pub use placement::{ChannelDef, ExplorationDef, HoldoutDef, PlacementDef};
pub use problem::{PathStep, Problem};
pub use rule::{Polarity, PurposeDef, PurposeDefault, RuleDef, Selector, Tier, TierRule, WeightDef, WhenUnknown};

/// A whole catalogue. Files of one folder are concatenated list by list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// Name of the company, for people.
    pub company: String,
    /// Purposes of data and actions; `service` is always there and always allowed.
    pub purpose: Vec<PurposeDef>,
    /// Features of a customer.
    pub feature: Vec<FeatureDef>,
    /// Facts that customers tell of themselves.
    pub fact: Vec<FactDef>,
    /// Context fields that a request may carry.
    pub context: Vec<ContextDef>,
    /// Channels.
    pub channel: Vec<ChannelDef>,
    /// Placements.
    pub placement: Vec<PlacementDef>,
    /// Types of matters.
    pub matter: Vec<MatterDef>,
    /// Rules that many actions share.
    pub rule: Vec<RuleDef>,
    /// Context weights.
    pub weight: Vec<WeightDef>,
    /// Actions.
    pub action: Vec<ActionDef>,
    /// The random holdout; none means no holdout.
    pub holdout: Option<HoldoutDef>,
    /// How choices explore; none means that the highest priorities win.
    pub exploration: Option<ExplorationDef>,
}
