//! Actions: what the company can do, and their treatments for each channel.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::TierRule;

/// What an action is for the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Helps with something the customer needs.
    Serve,
    /// Tells something worth knowing.
    Inform,
    /// Asks for something, feedback included.
    Ask,
    /// Leads to the right place or person.
    Route,
    /// Keeps a customer who might leave.
    Retain,
    /// Offers something to buy.
    Sell,
}

impl Kind {
    /// Name in catalogues and replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Inform => "inform",
            Self::Ask => "ask",
            Self::Route => "route",
            Self::Retain => "retain",
            Self::Sell => "sell",
        }
    }
}

/// An action in its hierarchy `issue / group / id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionDef {
    /// Unique id; `none` is taken by "no action".
    pub id: String,
    /// For people.
    pub title: String,
    /// Issue: the top of the hierarchy.
    pub issue: String,
    /// Group: its middle; models back off to it.
    pub group: String,
    /// What it is for the customer.
    pub kind: Kind,
    /// Department that answers for it.
    pub owner: String,
    /// What it is about.
    pub topic: String,
    /// How it sounds.
    pub tone: String,
    /// How much attention it demands, 1 (a line of text) to 5 (a call).
    pub intensity: u8,
    /// Purpose that must be allowed.
    #[serde(default = "super::feature::service")]
    pub purpose: String,
    /// Value of an acceptance, in the catalogue's unit of value.
    pub value: f32,
    /// Cost of an acceptance, in the same unit; V = value - cost.
    #[serde(default)]
    pub cost: f32,
    /// Lever L of the business, above 0.
    #[serde(default = "one")]
    pub lever: f32,
    /// Acceptance probability until a model has learnt better, 0 to 1.
    pub start_acceptance: f32,
    /// Model that must score it; none takes the acceptance model or the start acceptance.
    #[serde(default)]
    pub model: Option<String>,
    /// First moment at which it may be shown, RFC 3339.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// First moment at which it may no longer be shown, RFC 3339.
    #[serde(default)]
    pub valid_until: Option<String>,
    /// Legal or similarly significant effect: a recommendation for a human, never automatic.
    #[serde(default)]
    pub significant_effect: bool,
    /// May we?
    #[serde(default)]
    pub eligibility: Vec<TierRule>,
    /// Does it make sense now?
    #[serde(default)]
    pub applicability: Vec<TierRule>,
    /// Is it good for this customer?
    #[serde(default)]
    pub suitability: Vec<TierRule>,
    /// Reasons in plain words.
    #[serde(default)]
    pub reasons: Vec<ReasonDef>,
    /// Its content for each channel; an action without one for a channel is no candidate there.
    pub treatment: Vec<TreatmentDef>,
}

/// A reason in plain words: either the text alone, or a table `{ text = "...", when = "..." }`.
/// `{customer.x}` is replaced; a reason with a missing field, or whose condition is not true, is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReasonDef {
    /// The text.
    pub text: String,
    /// Condition; none for always.
    pub when: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonTable {
    text: String,
    when: Option<String>,
}

impl<'de> Deserialize<'de> for ReasonDef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ReasonDef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table with text and when")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ReasonDef, E> {
                Ok(ReasonDef { text: text.into(), when: None })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ReasonDef, A::Error> {
                let table = ReasonTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(ReasonDef { text: table.text, when: table.when })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The content of an action for one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreatmentDef {
    /// Channel.
    pub channel: String,
    /// Only in these placements of the channel; empty for all.
    #[serde(default)]
    pub placements: Vec<String>,
    /// Key to text, for example title, body, button.
    pub content: BTreeMap<String, String>,
}

fn one() -> f32 {
    1.0
}
