//! Rules in their tiers, context weights and purposes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::Kind;

/// Tiers in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// May we?
    Eligibility,
    /// Does it make sense now?
    Applicability,
    /// Is it good for this customer?
    Suitability,
}

/// Whether a rule's expression must hold or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// The action stays only if the expression is true; unknown drops it.
    Require(String),
    /// The action is dropped if the expression is true.
    Block(String, WhenUnknown),
}

/// What a blocking rule does when its expression is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// Drops the action.
    Block,
    /// Lets it pass.
    Pass,
}

/// A rule of one action: either the required expression alone, or a table
/// `{ block = "...", when_unknown = "pass", message = "..." }` or `{ require = "...", message = "..." }`.
#[derive(Clone, Debug, PartialEq)]
pub struct TierRule {
    /// Expression and polarity.
    pub polarity: Polarity,
    /// Why, in plain words; may be empty.
    pub message: String,
}

/// A rule that many actions share. Exactly one of `require` and `block`; `block` needs `when_unknown`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDef {
    /// Unique id.
    pub id: String,
    /// Tier.
    pub tier: Tier,
    /// Must be true.
    #[serde(default)]
    pub require: Option<String>,
    /// Must not be true.
    #[serde(default)]
    pub block: Option<String>,
    /// What `block` does when it is unknown.
    #[serde(default)]
    pub when_unknown: Option<WhenUnknown>,
    /// Why, in plain words.
    #[serde(default)]
    pub message: String,
    /// Which actions.
    #[serde(default)]
    pub applies_to: Selector,
}

/// A context weight: multiplies C of the selected actions while its condition is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightDef {
    /// Unique id.
    pub id: String,
    /// Condition.
    pub when: String,
    /// Factor, above 0.
    pub factor: f32,
    /// Why, in plain words.
    #[serde(default)]
    pub message: String,
    /// Which actions.
    #[serde(default)]
    pub applies_to: Selector,
}

/// Selects actions: those that match every non-empty list. All lists empty: every action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Ids.
    pub actions: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Issues.
    pub issues: Vec<String>,
    /// Kinds.
    pub kinds: Vec<Kind>,
    /// Topics.
    pub topics: Vec<String>,
}

/// Whether a purpose is allowed until the customer says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurposeDefault {
    /// Allowed.
    Allowed,
    /// Denied.
    Denied,
}

/// A purpose of data and actions. At most 63 beside `service`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeDef {
    /// Unique name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Until the customer's consent record exists.
    pub default: PurposeDefault,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierRuleTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    require: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when_unknown: Option<WhenUnknown>,
    #[serde(default)]
    message: String,
}

impl Polarity {
    /// The polarity of a table's keys.
    ///
    /// # Errors
    /// Says which key is missing or too many.
    pub fn from_keys(
        require: Option<String>,
        block: Option<String>,
        when_unknown: Option<WhenUnknown>,
    ) -> Result<Self, &'static str> {
        match (require, block, when_unknown) {
            (Some(expression), None, None) => Ok(Self::Require(expression)),
            (Some(_), None, Some(_)) => Err("when_unknown goes with block: an unknown require never holds"),
            (None, Some(expression), Some(unknown)) => Ok(Self::Block(expression, unknown)),
            (None, Some(_), None) => Err("block needs when_unknown = \"block\" or \"pass\""),
            (Some(_), Some(_), _) => Err("give require or block, not both"),
            (None, None, _) => Err("give require or block"),
        }
    }
}

impl<'de> Deserialize<'de> for TierRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = TierRule;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a table with require or block")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TierRule, E> {
                Ok(TierRule { polarity: Polarity::Require(text.into()), message: String::new() })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TierRule, A::Error> {
                let table = TierRuleTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let polarity =
                    Polarity::from_keys(table.require, table.block, table.when_unknown).map_err(de::Error::custom)?;
                Ok(TierRule { polarity, message: table.message })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for TierRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (require, block, when_unknown) = match &self.polarity {
            Polarity::Require(expression) => (Some(expression.clone()), None, None),
            Polarity::Block(expression, unknown) => (None, Some(expression.clone()), Some(*unknown)),
        };
        TierRuleTable { require, block, when_unknown, message: self.message.clone() }.serialize(serializer)
    }
}
