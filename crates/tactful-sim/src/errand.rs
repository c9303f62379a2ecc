//! Errands: why a customer gets in touch, where, and about what.

use rand::Rng;
use rand_pcg::Pcg32;

use crate::customer::Customer;
use crate::persona::{Latent, weighted};
use crate::topic::{MatterKind, Product, Topic};

/// The goal of a visit; the words of `context.intent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    Browse,
    Buy,
    Fix,
    Complain,
    Pay,
    Track,
    Manage,
    Move,
    Cancel,
}

/// A channel of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Web,
    App,
    Agent,
    Email,
    Voice,
    Bot,
    Shop,
}

impl Errand {
    const ALL: [Self; 9] = [
        Self::Browse,
        Self::Buy,
        Self::Fix,
        Self::Complain,
        Self::Pay,
        Self::Track,
        Self::Manage,
        Self::Move,
        Self::Cancel,
    ];

    /// Word in the catalogue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Browse => "browse",
            Self::Buy => "buy",
            Self::Fix => "fix",
            Self::Complain => "complain",
            Self::Pay => "pay",
            Self::Track => "track",
            Self::Manage => "manage",
            Self::Move => "move",
            Self::Cancel => "cancel",
        }
    }

    /// Draws what a customer is about next.
    pub(crate) fn draw(customer: &Customer, rng: &mut Pcg32) -> Self {
        let open = |kind, yes: f64, no: f64| if customer.is_open(kind) { yes } else { no };
        let impatience = (1.0 - 0.4 * customer.persona.of(Latent::Patience)).clamp(0.2, 2.5);
        let fault = if customer.has(Product::Fibre) { 0.5 } else { 0.1 };
        let ending = if customer.contract_months_left <= 3.0 { 3.0 } else { 1.0 };
        let disloyal = (1.0 - 0.6 * customer.persona.of(Latent::Loyalty)).clamp(0.1, 3.0);
        let weights = [
            5.0,
            1.8,
            open(MatterKind::Fault, 3.0 * impatience, fault),
            open(MatterKind::Complaint, 2.0 * impatience, 0.2 * impatience),
            open(MatterKind::Billing, 1.5, 0.7),
            open(MatterKind::Order, 2.0 * impatience, 0.0),
            0.8,
            open(MatterKind::Move, 1.0, 0.15),
            0.12 * ending * disloyal,
        ];
        Self::ALL[weighted(rng, &weights)]
    }

    /// Draws what the visit is about.
    pub(crate) fn topic(self, customer: &Customer, rng: &mut Pcg32) -> Topic {
        match self {
            Self::Browse | Self::Buy => {
                let weights = Topic::PRODUCTS.map(|topic| (0.9 * customer.persona.interest(topic)).exp());
                Topic::PRODUCTS[weighted(rng, &weights)]
            }
            Self::Fix => Topic::Fault,
            Self::Complain => Topic::Complaint,
            Self::Pay => Topic::Billing,
            Self::Track => Topic::Order,
            Self::Manage | Self::Cancel => Topic::Account,
            Self::Move => Topic::Move,
        }
    }

    /// Draws the channel in which the customer gets in touch.
    pub(crate) fn channel(self, customer: &Customer, rng: &mut Pcg32) -> Channel {
        // Web, app, agent, email, voice, bot, shop.
        let mut weights = match self {
            Self::Browse => [4.0, 3.0, 0.0, 1.6, 0.0, 0.4, 0.8],
            Self::Buy => [4.0, 1.5, 0.5, 0.0, 0.0, 0.3, 1.8],
            Self::Fix => [1.5, 1.2, 2.5, 0.3, 1.6, 1.6, 0.4],
            Self::Complain => [0.8, 0.4, 3.0, 0.5, 0.8, 0.8, 0.8],
            Self::Pay => [2.5, 2.0, 1.2, 0.8, 0.6, 0.8, 0.2],
            Self::Track => [2.0, 2.5, 0.8, 0.8, 0.6, 1.0, 0.2],
            Self::Manage => [2.5, 2.5, 0.8, 0.2, 0.2, 0.8, 0.6],
            Self::Move => [2.0, 1.0, 1.5, 0.5, 0.4, 0.6, 0.6],
            Self::Cancel => [1.5, 0.6, 2.5, 0.0, 0.6, 0.5, 0.6],
        };
        let tech = customer.persona.of(Latent::Tech);
        weights[1] *= if customer.uses_app { 1.5 } else { 0.05 };
        weights[2] *= (1.0 - 0.3 * tech).max(0.2);
        weights[5] *= (1.0 + 0.4 * tech).max(0.2);
        Channel::ALL[weighted(rng, &weights)]
    }
}

impl Channel {
    const ALL: [Self; 7] = [Self::Web, Self::App, Self::Agent, Self::Email, Self::Voice, Self::Bot, Self::Shop];

    /// Id in the catalogue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::App => "app",
            Self::Agent => "agent",
            Self::Email => "email",
            Self::Voice => "voice",
            Self::Bot => "bot",
            Self::Shop => "shop",
        }
    }

    /// The system that sends events from there.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Web => "website",
            Self::App => "mobile_app",
            Self::Agent => "contact_centre",
            Self::Email => "mailer",
            Self::Voice => "voice_assistant",
            Self::Bot => "chat_bot",
            Self::Shop => "point_of_sale",
        }
    }

    /// How many decisions a visit asks for.
    pub(crate) fn steps(self, rng: &mut Pcg32) -> u32 {
        match self {
            Self::Email | Self::Voice => 1,
            Self::Shop => rng.gen_range(1..=2),
            Self::Web | Self::App | Self::Agent | Self::Bot => rng.gen_range(1..=4),
        }
    }

    /// Draws the device in the customer's hands; the words of `context.device`.
    pub(crate) fn device(self, rng: &mut Pcg32) -> &'static str {
        match self {
            Self::Web | Self::Email | Self::Bot => ["desktop", "phone", "tablet"][weighted(rng, &[3.0, 4.0, 1.0])],
            Self::App => ["phone", "tablet"][weighted(rng, &[5.0, 1.0])],
            Self::Agent | Self::Voice => "phone",
            Self::Shop => "none",
        }
    }
}
