//! Visits: one contact of one customer in one channel, and what a decision is told of it.

use std::collections::BTreeMap;

use rand::Rng;
use rand_pcg::Pcg32;
use tactful_proto::v1;

use crate::customer::Customer;
use crate::errand::{Channel, Errand};
use crate::events::{flag, number, text};
use crate::persona::{Latent, normal};
use crate::topic::{MatterKind, Topic};

/// One contact.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) errand: Errand,
    pub(crate) topic: Topic,
    pub(crate) channel: Channel,
    /// -1 (angry) to 1 (delighted).
    pub(crate) sentiment: f64,
    /// Decisions asked for so far.
    pub(crate) step: u32,
    /// Decisions that it asks for in all.
    pub(crate) steps: u32,
    /// Actions that the customer has answered in this visit: the caller does not show them again.
    pub(crate) answered: Vec<String>,
    device: &'static str,
    waiting_minutes: f64,
    /// Value of the basket in euros.
    pub(crate) basket: f64,
    signed_in: bool,
    /// Whether the customer says what the visit is about; a letter or message just arrives.
    stated: bool,
    push: bool,
}

impl Visit {
    /// Draws the next visit of a customer.
    pub(crate) fn draw(customer: &Customer, rng: &mut Pcg32) -> Self {
        let errand = Errand::draw(customer, rng);
        let topic = errand.topic(customer, rng);
        let channel = errand.channel(customer, rng);
        let push = channel == Channel::App && rng.gen_bool(0.12);
        let steps = if push { 1 } else { channel.steps(rng) };
        Self {
            errand,
            topic,
            channel,
            sentiment: sentiment(customer, errand, rng),
            step: 0,
            steps,
            answered: Vec::new(),
            device: channel.device(rng),
            waiting_minutes: waiting(channel, rng),
            basket: if errand == Errand::Buy {
                rng.gen_range(topic.prices().0..topic.prices().1.max(1.0)).round()
            } else {
                0.0
            },
            signed_in: channel != Channel::Bot && (channel != Channel::Web || rng.gen_bool(0.75)),
            stated: channel != Channel::Email && !push && (errand != Errand::Browse || rng.gen_bool(0.7)),
            push,
        }
    }

    /// Whether it has asked for all its decisions.
    pub(crate) fn is_over(&self) -> bool {
        self.step >= self.steps
    }

    /// Whether the present step is the last.
    pub(crate) fn is_last_step(&self) -> bool {
        self.step + 1 >= self.steps
    }

    /// The places to fill at the present step.
    pub(crate) fn placements(&self) -> Vec<v1::PlacementRequest> {
        let names: &[&str] = match self.channel {
            Channel::Web if self.errand == Errand::Buy && self.is_last_step() => &["web_checkout"],
            Channel::Web if matches!(self.errand, Errand::Browse | Errand::Buy) => &["web_home"],
            Channel::Web if self.step == 0 => &["web_home", "web_account"],
            Channel::Web => &["web_account"],
            Channel::App if self.push => &["app_push"],
            Channel::App => &["app_home"],
            Channel::Agent => &["agent_desktop"],
            Channel::Email => &["email_weekly"],
            Channel::Voice => &["voice_greeting"],
            Channel::Bot => &["bot_reply"],
            Channel::Shop => &["shop_counter"],
        };
        names.iter().map(|name| v1::PlacementRequest { placement: (*name).into(), count: 0 }).collect()
    }

    /// What the caller tells of the visit at a time.
    pub(crate) fn context(&self, now_ms: i64) -> BTreeMap<String, v1::Value> {
        let hour = now_ms.div_euclid(3_600_000).rem_euclid(24);
        let mut context = BTreeMap::from([
            ("device".to_owned(), text(self.device)),
            ("hour_of_day".to_owned(), number(hour as f64)),
            ("basket_value".to_owned(), number(self.basket)),
            ("signed_in".to_owned(), flag(self.signed_in)),
        ]);
        if self.stated {
            context.insert("intent".into(), text(self.errand.name()));
            context.insert("topic".into(), text(self.topic.name()));
        }
        if matches!(self.channel, Channel::Agent | Channel::Voice | Channel::Bot | Channel::Shop) {
            context.insert("sentiment".into(), number(self.sentiment));
            context.insert("waiting_minutes".into(), number(self.waiting_minutes));
        }
        context
    }

    /// The kind of matter that the visit is about, if any.
    pub(crate) fn matter_kind(&self) -> Option<MatterKind> {
        match self.errand {
            Errand::Fix => Some(MatterKind::Fault),
            Errand::Complain => Some(MatterKind::Complaint),
            Errand::Track => Some(MatterKind::Order),
            Errand::Pay => Some(MatterKind::Billing),
            Errand::Move => Some(MatterKind::Move),
            Errand::Browse | Errand::Buy | Errand::Manage | Errand::Cancel => None,
        }
    }
}

fn sentiment(customer: &Customer, errand: Errand, rng: &mut Pcg32) -> f64 {
    let errand = match errand {
        Errand::Complain => -0.7,
        Errand::Cancel => -0.4,
        Errand::Fix => -0.3,
        Errand::Pay | Errand::Track => -0.05,
        _ => 0.15,
    };
    let of = |latent| customer.persona.of(latent);
    let sentiment = errand + 0.12 * of(Latent::Patience) + 0.12 * of(Latent::Loyalty) + 0.15 * normal(rng);
    (sentiment.clamp(-1.0, 1.0) * 100.0).round() / 100.0
}

fn waiting(channel: Channel, rng: &mut Pcg32) -> f64 {
    match channel {
        Channel::Agent => rng.gen_range(0_u32..12).into(),
        Channel::Shop => rng.gen_range(0_u32..8).into(),
        _ => 0.0,
    }
}
