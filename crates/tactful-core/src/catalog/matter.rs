//! Types of matters: what customers try to get done, and the events that drive it.

use serde::{Deserialize, Serialize};

use super::Duration;

/// A type of matter. Event names are compared after trimming and case folding.
/// An event that names no matter drives the customer's matter whose id is the type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatterDef {
    /// Unique type, for example `fault`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Events that open it or show that somebody works on it.
    pub opens_on: Vec<String>,
    /// Events after which it waits for the company.
    #[serde(default)]
    pub waits_on_company: Vec<String>,
    /// Events after which it waits for the customer.
    #[serde(default)]
    pub waits_on_customer: Vec<String>,
    /// Events that hand it to another channel or team.
    #[serde(default)]
    pub hands_off_on: Vec<String>,
    /// Events that declare it resolved.
    #[serde(default)]
    pub resolves_on: Vec<String>,
    /// Contacts about it, which reopen it once it was declared resolved.
    #[serde(default)]
    pub contacts_on: Vec<String>,
    /// Window without contact after which a declared resolution is confirmed.
    #[serde(default = "week")]
    pub confirm_after: Duration,
    /// Silence that counts as a resolution, instead of an event.
    #[serde(default)]
    pub resolve_after_silence: Option<Duration>,
    /// Silence that ends a session: what follows after a longer one begins the next.
    #[serde(default = "day")]
    pub session_gap: Duration,
}

impl MatterDef {
    /// Window of confirmation unless a definition names one.
    pub const CONFIRM_AFTER: Duration = Duration::from_seconds(7 * 86_400);
    /// Silence that ends a session unless a definition names one.
    pub const SESSION_GAP: Duration = Duration::from_seconds(86_400);
}

fn week() -> Duration {
    MatterDef::CONFIRM_AFTER
}

fn day() -> Duration {
    MatterDef::SESSION_GAP
}
