//! Synthetic decisions whose acceptance probability is known.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_models::{Dataset, Error, Recipe, Trained, train};
use tactful_proto::v1::{DecisionRow, Outcome, OutcomeType, Value, value::Kind};

/// Time of the first decision, seconds since 1970.
pub(crate) const START_S: i64 = 1_700_000_000;
/// A moment at which every window has closed, milliseconds since 1970.
pub(crate) const LATER_MS: i64 = (START_S + 1_000 * 86_400) * 1_000;

pub(crate) fn recipe(rest: &str) -> Recipe {
    Recipe::parse(&format!("name = \"acceptance\"\nkind = \"logistic\"\n{rest}")).unwrap()
}

/// Trains at a moment when every window has closed.
pub(crate) fn trained(recipe: &Recipe, rows: Vec<DecisionRow>) -> Result<Trained, Error> {
    trained_at(recipe, rows, LATER_MS)
}

pub(crate) fn trained_at(recipe: &Recipe, rows: Vec<DecisionRow>, now_ms: i64) -> Result<Trained, Error> {
    let mut dataset = Dataset::new(recipe);
    for row in rows {
        dataset.push(row)?;
    }
    train(recipe, dataset, now_ms, &mut |_| {})
}

/// One decision, a minute after the one before; accepted within the hour or silent.
pub(crate) fn row(at: usize, action: &str, group: &str, accepted: bool, features: &[(&str, Kind)]) -> DecisionRow {
    let seconds = START_S + at as i64 * 60;
    let outcome = Outcome {
        r#type: OutcomeType::Accepted.into(),
        occur_time: Some(prost_types::Timestamp { seconds: seconds + 600, nanos: 0 }),
        ..Outcome::default()
    };
    DecisionRow {
        decision_id: format!("decision-{at}"),
        decision_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        subject_id: format!("customer:{at}"),
        action_id: action.to_owned(),
        group: group.to_owned(),
        selection_probability: 0.1,
        features: features
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }))
            .collect(),
        outcomes: if accepted { vec![outcome] } else { Vec::new() },
        ..DecisionRow::default()
    }
}

/// The truth behind `customers`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    pub(crate) intercept: f64,
    /// For each year of age beyond 45.
    pub(crate) age: f64,
    /// For each unit of spend beyond 500,000: of another scale than the rest.
    pub(crate) spend: f64,
    /// app against web, and web against shop.
    pub(crate) channel: f64,
    pub(crate) loyal: f64,
}

pub(crate) const TRUTH: Truth = Truth { intercept: -0.5, age: 0.04, spend: 2e-6, channel: 0.6, loyal: 0.7 };

/// `count` decisions about one action whose acceptance follows the truth; every fifth customer's
/// tenure, which means nothing, is unknown.
pub(crate) fn customers(count: usize, action: &str, truth: Truth, seed: u64) -> Vec<DecisionRow> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count)
        .map(|at| {
            let age = rng.gen_range(18.0..72.0);
            let spend = rng.gen_range(0.0..1e6);
            let channel = rng.gen_range(0..3);
            let loyal = rng.gen_bool(0.3);
            let logit = truth.intercept
                + truth.age * (age - 45.0)
                + truth.spend * (spend - 5e5)
                + truth.channel * f64::from(1 - channel)
                + truth.loyal * f64::from(u8::from(loyal));
            let accepted = rng.gen_bool(1.0 / (1.0 + (-logit).exp()));
            let mut features = vec![
                ("customer.age", Kind::Number(age)),
                ("customer.spend", Kind::Number(spend)),
                ("customer.loyal", Kind::Flag(loyal)),
                ("context.channel", Kind::Text(["app", "web", "shop"][channel as usize].into())),
            ];
            if rng.gen_bool(0.8) {
                features.push(("customer.tenure", Kind::Number(rng.gen_range(0.0..10.0))));
            }
            row(at, action, "offers", accepted, &features)
        })
        .collect()
}
