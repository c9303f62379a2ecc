//! The truth: how likely a customer is to accept an action now.
//!
//! Logistic in latent traits, in what the contact is about, in open matters and in how often the
//! customer has refused lately. Nothing of it is ever sent.

mod effect;
mod table;

use tactful_core::catalog::Kind;
use tactful_core::hash;

pub(crate) use effect::Effect;
pub(crate) use table::{ActionTruth, Source};

use crate::customer::Customer;
use crate::errand::Errand;
use crate::persona::{Latent, Persona};
use crate::topic::{MatterKind, Topic};

/// Bounds of every probability: nobody is certain.
const PROBABILITY: std::ops::RangeInclusive<f64> = 0.004..=0.95;
/// Spread that the seed adds to each action's logit.
const SEEDED: f64 = 0.2;

/// The truth of one world.
pub(crate) struct Truth {
    seed: u64,
    source: Source,
}

impl Truth {
    /// The truth of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, source: Source::new() }
    }

    /// What is true of an action; one that the table does not know is made up from its id and the seed.
    pub(crate) fn of(&self, action_id: &str) -> ActionTruth {
        self.source.get(action_id).copied().unwrap_or_else(|| self.made_up(action_id))
    }

    /// Probability that this customer accepts this action at a time, milliseconds since 1970.
    pub(crate) fn acceptance(&self, customer: &Customer, action_id: &str, now_ms: i64) -> f64 {
        let action = self.of(action_id);
        let logit = action.base
            + SEEDED * self.variation(action_id, "base")
            + taste(&action, &customer.persona)
            + moment(&action, customer)
            + mood(&action, customer, now_ms)
            + fit(&action, customer);
        probability(logit)
    }

    /// Probability for a customer of whom nothing is known.
    pub(crate) fn average(&self, action_id: &str) -> f64 {
        let action = self.of(action_id);
        probability(action.base + SEEDED * self.variation(action_id, "base") + taste(&action, &Persona::average()))
    }

    fn made_up(&self, action_id: &str) -> ActionTruth {
        let kind = [Kind::Serve, Kind::Inform, Kind::Ask, Kind::Route, Kind::Retain, Kind::Sell]
            .into_iter()
            .find(|kind| action_id.starts_with(kind.name()))
            .unwrap_or(Kind::Inform);
        let topic = Topic::ALL.into_iter().find(|topic| action_id.contains(topic.name())).unwrap_or(Topic::Account);
        let base = if kind == Kind::Sell { -2.4 } else { -1.6 };
        ActionTruth {
            id: "",
            kind,
            topic,
            base: base + 0.8 * self.variation(action_id, "unknown"),
            loadings: &[],
            needs: &[],
            effect: Effect::None,
        }
    }

    /// A number from -1 to 1 that the seed and the action fix.
    fn variation(&self, action_id: &str, what: &str) -> f64 {
        let bits = hash::keyed(self.seed, format!("{what}/{action_id}").as_bytes());
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn probability(logit: f64) -> f64 {
    (1.0 / (1.0 + (-logit).exp())).clamp(*PROBABILITY.start(), *PROBABILITY.end())
}

/// What the latent traits add.
fn taste(action: &ActionTruth, persona: &Persona) -> f64 {
    let strength = match action.kind {
        Kind::Sell => 0.9,
        Kind::Retain | Kind::Inform | Kind::Ask => 0.45,
        Kind::Serve | Kind::Route => 0.2,
    };
    let loadings: f64 = action.loadings.iter().map(|(latent, weight)| weight * persona.of(*latent)).sum();
    let loyal = if matches!(action.kind, Kind::Ask | Kind::Retain) { 0.35 * persona.of(Latent::Loyalty) } else { 0.0 };
    strength * persona.interest(action.topic) + loadings + loyal
}

/// What the present contact adds: a stated goal beats any taste.
fn moment(action: &ActionTruth, customer: &Customer) -> f64 {
    let Some(visit) = &customer.visit else { return 0.0 };
    let about = if visit.topic == action.topic { 1.5 } else { 0.0 };
    let goal = match (visit.errand, action.kind) {
        (Errand::Buy, Kind::Sell) if visit.topic == action.topic => 0.7,
        (Errand::Cancel, Kind::Retain) => 0.5,
        (Errand::Browse | Errand::Manage, _) | (Errand::Buy, Kind::Sell) => 0.0,
        // Who came for something else has no ear for this.
        _ if visit.topic != action.topic => {
            if matches!(action.kind, Kind::Sell | Kind::Ask) {
                -1.2
            } else {
                -0.7
            }
        }
        _ => 0.0,
    };
    about + goal
}

/// What temper and tiredness add.
fn mood(action: &ActionTruth, customer: &Customer, now_ms: i64) -> f64 {
    let sentiment = customer.visit.as_ref().map_or(0.0, |visit| visit.sentiment);
    let weight = match action.kind {
        Kind::Sell | Kind::Ask => 0.8,
        Kind::Inform | Kind::Retain => 0.4,
        Kind::Serve | Kind::Route => 0.0,
    };
    let troubled = customer.is_open(MatterKind::Fault) || customer.is_open(MatterKind::Complaint);
    let trouble = if troubled && action.kind == Kind::Sell { -1.5 } else { 0.0 };
    weight * sentiment + trouble - (0.12 * customer.rejections(now_ms)).min(0.8)
}

/// An action that does not fit this customer at all is hardly ever accepted.
fn fit(action: &ActionTruth, customer: &Customer) -> f64 {
    if action.needs.iter().all(|need| need.holds(customer)) { 0.0 } else { -3.5 }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tactful_core::catalog::Catalog;

    use super::*;

    #[test]
    fn the_table_and_the_catalogue_name_the_same_actions() {
        let truth = Truth::new(1);
        let mut known = 0;
        for file in ["serve", "inform", "ask", "route", "retain", "sell"] {
            let path = format!("{}/../../catalog/actions/{file}.toml", env!("CARGO_MANIFEST_DIR"));
            let catalog: Catalog = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            for def in catalog.action {
                let action = truth.of(&def.id);
                assert_eq!((action.id, action.kind), (def.id.as_str(), def.kind));
                assert_eq!(action.topic.name(), def.topic, "{}", def.id);
                known += 1;
            }
        }
        assert_eq!(known, truth.source.iter().count(), "the table has rows of actions that are gone");
    }

    #[test]
    fn many_guesses_of_the_catalogue_are_well_off() {
        let truth = Truth::new(1);
        for (id, guess, too_high) in [("keep_loyalty_discount", 0.40, true), ("ask_paperless", 0.12, false)] {
            assert_eq!(truth.average(id) < guess, too_high, "{id}: {}", truth.average(id));
        }
    }

    #[test]
    fn an_unknown_action_gets_a_truth_of_its_own_from_the_seed() {
        let (one, two) = (Truth::new(1), Truth::new(2));
        assert_eq!(one.average("sell_new_tv"), Truth::new(1).average("sell_new_tv"));
        assert_ne!(one.average("sell_new_tv"), two.average("sell_new_tv"));
        assert_eq!((one.of("sell_new_tv").kind, one.of("sell_new_tv").topic), (Kind::Sell, Topic::Tv));
    }

    #[test]
    fn help_with_the_matter_at_hand_is_welcome_and_offers_are_not() {
        let mut customer = Customer::draw(1, 1);
        let truth = Truth::new(1);
        let calm = truth.acceptance(&customer, "sell_tablet", 0);
        assert!(truth.acceptance(&customer, "fault_repair_status", 0) < 0.1);
        crate::matters::open(&mut customer, MatterKind::Fault, "fault-1".into());
        assert!(truth.acceptance(&customer, "fault_repair_status", 0) > 0.2);
        assert!(truth.acceptance(&customer, "sell_tablet", 0) < calm);
    }
}
