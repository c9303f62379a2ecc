//! Personas: latent traits that nobody can observe, and how likely people of each kind are.

use rand::Rng;
use rand_pcg::Pcg32;

use crate::topic::Topic;

/// A latent trait: about 0 on average with a spread of about 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latent {
    /// Minds every euro.
    Price,
    /// Likes technology.
    Tech,
    /// Likes the company.
    Loyalty,
    /// Waits without anger.
    Patience,
    /// Thinks ahead about money and risk.
    Prudence,
    /// Spends the evening with films and games.
    Leisure,
}

/// The latent traits of one customer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Persona([f64; 6]);

/// Share of the population and mean of price, tech, loyalty, patience, prudence, leisure.
const ARCHETYPES: [(f64, [f64; 6]); 6] = [
    // Bargain hunters.
    (0.20, [1.3, 0.1, -0.6, 0.0, 0.2, 0.1]),
    // Gadget fans.
    (0.18, [-0.5, 1.5, 0.1, -0.3, -0.5, 0.7]),
    // Families.
    (0.22, [0.3, 0.0, 0.3, -0.2, 0.4, 1.0]),
    // Prudent savers.
    (0.16, [0.4, -0.6, 0.4, 0.5, 1.5, -0.7]),
    // Quiet and loyal.
    (0.14, [-0.2, -1.0, 1.2, 0.9, 0.3, -0.6]),
    // Restless.
    (0.10, [0.0, 0.5, -1.5, -1.4, -0.8, 0.2]),
];

/// Spread of a trait within its archetype.
const SPREAD: f64 = 0.6;

impl Persona {
    /// Draws a persona.
    pub(crate) fn draw(rng: &mut Pcg32) -> Self {
        let mut left: f64 = rng.gen_range(0.0..1.0);
        let mut means = ARCHETYPES[0].1;
        for (share, candidate) in ARCHETYPES {
            means = candidate;
            left -= share;
            if left < 0.0 {
                break;
            }
        }
        Self(means.map(|mean| mean + SPREAD * normal(rng)))
    }

    /// A customer of whom nothing is special.
    pub(crate) const fn average() -> Self {
        Self([0.0; 6])
    }

    /// One trait.
    pub(crate) fn of(&self, latent: Latent) -> f64 {
        self.0[latent as usize]
    }

    /// How much a topic appeals; about 0 on average with a spread of about 1.
    pub(crate) fn interest(&self, topic: Topic) -> f64 {
        let of = |latent| self.of(latent);
        match topic {
            Topic::Devices => 0.9 * of(Latent::Tech) + 0.3 * of(Latent::Leisure) - 0.3 * of(Latent::Price),
            Topic::Fibre => 0.6 * of(Latent::Tech) + 0.5 * of(Latent::Leisure),
            Topic::Tv => 1.0 * of(Latent::Leisure) - 0.2 * of(Latent::Prudence),
            Topic::Mobile => 0.7 * of(Latent::Price) + 0.4 * of(Latent::Tech),
            Topic::Insurance => 0.9 * of(Latent::Prudence) + 0.2 * of(Latent::Loyalty),
            Topic::Credit => 0.5 * of(Latent::Tech) - 0.4 * of(Latent::Patience) - 0.3 * of(Latent::Prudence),
            Topic::Savings => 0.9 * of(Latent::Prudence) + 0.4 * of(Latent::Price),
            _ => 0.0,
        }
    }
}

/// About standard normal: the sum of twelve uniform draws less 6, the same on every machine.
pub(crate) fn normal(rng: &mut Pcg32) -> f64 {
    (0..12).map(|_| rng.gen_range(0.0..1.0)).sum::<f64>() - 6.0
}

/// Draws an index by weights, which must not all be 0.
pub(crate) fn weighted(rng: &mut Pcg32, weights: &[f64]) -> usize {
    let total: f64 = weights.iter().sum();
    let mut left = rng.gen_range(0.0..total);
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    // Rounding may leave a trifle: then the last possible one was meant.
    weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn archetypes_cover_the_population_and_interests_spread() {
        assert!((ARCHETYPES.iter().map(|(share, _)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        let mut rng = Pcg32::seed_from_u64(7);
        let people: Vec<Persona> = (0..2_000).map(|_| Persona::draw(&mut rng)).collect();
        for topic in Topic::PRODUCTS {
            let mean = people.iter().map(|p| p.interest(topic)).sum::<f64>() / 2_000.0;
            let variance = people.iter().map(|p| (p.interest(topic) - mean).powi(2)).sum::<f64>() / 2_000.0;
            assert!(mean.abs() < 0.6 && (0.3..2.5).contains(&variance), "{topic:?} {mean} {variance}");
        }
    }

    #[test]
    fn weighted_draws_follow_the_weights_and_never_take_a_zero() {
        let mut rng = Pcg32::seed_from_u64(1);
        let mut counts = [0; 3];
        (0..3_000).for_each(|_| counts[weighted(&mut rng, &[1.0, 0.0, 2.0])] += 1);
        assert_eq!(counts[1], 0);
        assert!((800..1_200).contains(&counts[0]), "{counts:?}");
    }
}
