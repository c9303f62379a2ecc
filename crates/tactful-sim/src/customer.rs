//! One simulated customer: who they are, what they have, what they are about.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use tactful_core::hash;

use crate::persona::{Latent, Persona, normal};
use crate::topic::{MatterKind, Product};
use crate::visit::Visit;

/// Time in which a refusal loses half its weight, in milliseconds.
const REFUSAL_HALF_LIFE_MS: f64 = 1_800_000.0;

/// A matter that the customer tries to get done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matter {
    pub(crate) kind: MatterKind,
    pub(crate) id: String,
    pub(crate) open: bool,
}

/// One customer.
pub(crate) struct Customer {
    /// Subject id.
    pub(crate) subject_id: String,
    pub(crate) persona: Persona,
    pub(crate) age: f64,
    pub(crate) tenure_months: f64,
    pub(crate) segment: &'static str,
    pub(crate) monthly_spend: f64,
    pub(crate) contract_months_left: f64,
    /// GB that a burst of use takes.
    pub(crate) data_appetite: f64,
    pub(crate) payments_missed: u32,
    pub(crate) uses_app: bool,
    /// Gave a bad mark in a survey.
    pub(crate) unhappy: bool,
    products: [bool; 6],
    /// At most one matter of each kind: a new one takes the place of the solved one before.
    pub(crate) matters: Vec<Matter>,
    /// The present or latest visit.
    pub(crate) visit: Option<Visit>,
    /// Drives what the customer does of their own accord.
    pub(crate) rng: Pcg32,
    refusals: (f64, i64),
    messages: u64,
    answers: u64,
    seed: u64,
}

impl Customer {
    /// Draws customer number `number`, from 1.
    pub(crate) fn draw(seed: u64, number: usize) -> Self {
        let subject_id = format!("customer:{number:06}");
        let seed = hash::keyed(seed, subject_id.as_bytes());
        let mut rng = Pcg32::seed_from_u64(seed);
        let persona = Persona::draw(&mut rng);
        let of = |latent| persona.of(latent);
        let age =
            (46.0 - 7.0 * of(Latent::Tech) + 6.0 * of(Latent::Prudence) + 10.0 * normal(&mut rng)).clamp(16.0, 92.0);
        let tenure = (40.0 + 24.0 * of(Latent::Loyalty) + 18.0 * normal(&mut rng)).clamp(1.0, 180.0);
        let products = Self::products(&persona, age, &mut rng);
        let owned = products.iter().filter(|has| **has).count() as f64;
        let spend = 12.0 + 14.0 * owned - 7.0 * of(Latent::Price) + 6.0 * normal(&mut rng);
        let missed = f64::from(u8::from(rng.gen_bool(0.12))) + f64::from(u8::from(rng.gen_bool(0.05)));
        Self {
            age: age.round(),
            tenure_months: tenure.round(),
            segment: segment(&persona, age),
            monthly_spend: spend.clamp(9.0, 140.0).round(),
            contract_months_left: f64::from(rng.gen_range(0_u32..24)),
            data_appetite: (1.6 + 0.7 * of(Latent::Tech) + 0.5 * of(Latent::Leisure) + 0.4 * normal(&mut rng))
                .clamp(0.1, 8.0),
            payments_missed: if of(Latent::Prudence) > 1.0 { 0 } else { missed as u32 },
            uses_app: rng.gen_bool((0.5 + 0.2 * of(Latent::Tech)).clamp(0.05, 0.95)),
            unhappy: false,
            products,
            matters: Vec::new(),
            visit: None,
            rng,
            refusals: (0.0, 0),
            messages: 0,
            answers: 0,
            seed,
            subject_id,
            persona,
        }
    }

    fn products(persona: &Persona, age: f64, rng: &mut Pcg32) -> [bool; 6] {
        let of = |latent| persona.of(latent);
        let adult = f64::from(u8::from(age >= 18.0));
        let fibre = 0.5 + 0.12 * of(Latent::Leisure);
        let chance = |rng: &mut Pcg32, p: f64| rng.gen_bool(p.clamp(0.0, 0.97));
        let has_fibre = chance(rng, fibre);
        [
            chance(rng, 0.8 + 0.05 * of(Latent::Tech)),
            has_fibre,
            has_fibre && chance(rng, 0.4 + 0.15 * of(Latent::Leisure)),
            chance(rng, 0.2 + 0.1 * of(Latent::Prudence)),
            chance(rng, adult * (0.2 - 0.05 * of(Latent::Prudence))),
            chance(rng, adult * (0.2 + 0.1 * of(Latent::Prudence))),
        ]
    }

    /// Whether the customer has a product.
    pub(crate) fn has(&self, product: Product) -> bool {
        self.products[product.index()]
    }

    /// Gives the customer a product.
    pub(crate) fn take(&mut self, product: Product) {
        self.products[product.index()] = true;
    }

    /// The latest matter of a kind.
    pub(crate) fn matter(&self, kind: MatterKind) -> Option<&Matter> {
        self.matters.iter().find(|matter| matter.kind == kind)
    }

    /// Whether a matter of a kind is open.
    pub(crate) fn is_open(&self, kind: MatterKind) -> bool {
        self.matter(kind).is_some_and(|matter| matter.open)
    }

    /// Refusals so far, each counting half after half an hour.
    pub(crate) fn rejections(&self, now_ms: i64) -> f64 {
        let (count, at_ms) = self.refusals;
        count * (-((now_ms - at_ms).max(0) as f64) / REFUSAL_HALF_LIFE_MS).exp2()
    }

    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, now_ms: i64) {
        self.refusals = (self.rejections(now_ms) + 1.0, now_ms);
    }

    /// What the customer answers to "how likely are you to recommend us", 0 to 10.
    pub(crate) fn score(&mut self) -> f64 {
        let score = 6.5 + 1.8 * self.persona.of(Latent::Loyalty) + normal(&mut self.rng);
        let score = score.clamp(0.0, 10.0).round();
        self.unhappy = score <= 5.0;
        score
    }

    /// Number of the next message about this customer.
    pub(crate) fn next_message(&mut self) -> u64 {
        self.messages += 1;
        self.messages
    }

    /// Randomness of the next answer: its own stream, so that an answer does not depend on what the
    /// customer does meanwhile, nor on the order in which others answer.
    pub(crate) fn next_answer(&mut self) -> Pcg32 {
        self.answers += 1;
        Pcg32::seed_from_u64(hash::keyed(self.seed, &self.answers.to_le_bytes()))
    }
}

fn segment(persona: &Persona, age: f64) -> &'static str {
    if age >= 62.0 {
        "senior"
    } else if persona.of(Latent::Leisure) > 0.6 && age >= 26.0 {
        "family"
    } else if persona.of(Latent::Price) < -0.2 {
        "premium"
    } else {
        "starter"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_fade_and_customers_are_reproducible() {
        let (mut one, two) = (Customer::draw(3, 8), Customer::draw(3, 8));
        assert_eq!((one.persona, one.age, one.products), (two.persona, two.age, two.products));
        assert_ne!(one.persona, Customer::draw(4, 8).persona);
        one.refuse(1_000);
        assert!((one.rejections(1_000 + 1_800_000) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn only_fibre_carries_tv_and_only_adults_have_credit() {
        for customer in (1..=3_000).map(|number| Customer::draw(5, number)) {
            assert!(customer.has(Product::Fibre) || !customer.has(Product::Tv));
            assert!(customer.age >= 17.5 || !customer.has(Product::CreditCard));
        }
    }
}
