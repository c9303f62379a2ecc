//! Hillstrom's campaign, women's e-mail against none: whom does the e-mail bring to the shop who would
//! not have come without it?
//!
//! For each of 20 random halves one model is trained per arm on one half, through the public API of
//! `tactful-models`; customers of the other half are ranked by the difference of the two predictions,
//! and the ranking is measured by its Qini coefficient on visits.

mod coefficient;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use serde::Serialize;
use tactful_core::{
    layout::FieldKind,
    score::{Model, ModelInput, Scope},
};
use tactful_models::{Dataset, Recipe, train};
use tactful_proto::v1::{DecisionRow, Outcome, OutcomeType, value::Kind};

use self::coefficient::{Ranked, qini};
use super::{
    Verdict,
    hillstrom::data::{self, Arm, Customer},
    progress, rounded,
};

const RECIPE: &str = include_str!("qini/recipe.toml");
/// Random halves.
const HALVES: u64 = 20;
const SEED: u64 = 1;
/// Least mean coefficient; scikit-learn's per-arm logistic regressions reach .061 (sd .007), random scores -.003.
const MEAN_MIN: f64 = 0.055;

/// A day of the experiment; all windows have closed long before `now`.
const DECIDED_S: i64 = 1_200_000_000;
const NOW_MS: i64 = (DECIDED_S + 365 * 86_400) * 1_000;

/// What the evaluation says.
#[derive(Debug, Serialize)]
pub(super) struct QiniResult {
    qini_mean: f64,
    qini_sd: f64,
}

/// Runs the evaluation on this file.
pub(super) fn run(file: &Path, seed: Option<u64>) -> Result<QiniResult> {
    let customers: Vec<Customer> = data::read(file)?.into_iter().filter(|customer| customer.arm != Arm::Mens).collect();
    let recipe = Recipe::parse(RECIPE)?;
    let bar = progress("random halves", HALVES);
    let mut found = Vec::new();
    for half in 0..HALVES {
        let (training, held_out) = halves(&customers, seed.unwrap_or(SEED), half);
        let model = learn(&recipe, &training)?;
        let ranked = rank(&model, &held_out)?;
        found.push(qini(&ranked).context("a half lacks an arm or a visit")?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(QiniResult::of(&found))
}

/// The customers in two parts of one size, drawn anew for each number.
fn halves(customers: &[Customer], seed: u64, half: u64) -> (Vec<&Customer>, Vec<&Customer>) {
    let mut drawn: Vec<&Customer> = customers.iter().collect();
    drawn.shuffle(&mut Pcg64::new(u128::from(seed), u128::from(half)));
    let held_out = drawn.split_off(drawn.len() / 2);
    (drawn, held_out)
}

/// One head per arm.
fn learn(recipe: &Recipe, training: &[&Customer]) -> Result<Model> {
    let mut dataset = Dataset::new(recipe);
    for (at, customer) in training.iter().enumerate() {
        dataset.push(contact(at, customer))?;
    }
    Ok(train(recipe, dataset, NOW_MS, &mut |_| {})?.model)
}

/// A customer of the experiment as a row of the record.
fn contact(at: usize, customer: &Customer) -> DecisionRow {
    let visit = Outcome { r#type: OutcomeType::Accepted.into(), ..Outcome::default() };
    DecisionRow {
        decision_id: at.to_string(),
        decision_time: Some(prost_types::Timestamp { seconds: DECIDED_S, nanos: 0 }),
        subject_id: at.to_string(),
        action_id: customer.arm.action().to_owned(),
        features: customer.attributes().into_iter().collect(),
        outcomes: if customer.visited() > 0.0 { vec![visit] } else { Vec::new() },
        ..DecisionRow::default()
    }
}

/// Held-out customers with what the e-mail is predicted to change.
fn rank(model: &Model, held_out: &[&Customer]) -> Result<Vec<Ranked>> {
    let head = |arm: Arm| {
        let found = model.heads.iter().position(|head| head.scope == Scope::Action && head.id == arm.action());
        found.with_context(|| format!("no head for {}", arm.action()))
    };
    let (treated, control) = (head(Arm::Womens)?, head(Arm::Silence)?);
    let ranked = |customer: &&Customer| {
        let inputs = inputs(model, customer);
        let uplift = f64::from(model.probability(treated, &inputs)) - f64::from(model.probability(control, &inputs));
        Ranked { score: uplift, treated: customer.arm == Arm::Womens, responded: customer.visited() > 0.0 }
    };
    ensure!(!held_out.is_empty(), "no customers are held out");
    Ok(held_out.iter().map(ranked).collect())
}

/// A customer's attributes in the order of the model's inputs.
fn inputs(model: &Model, customer: &Customer) -> Vec<f32> {
    let attributes = customer.attributes();
    let read =
        |input: &ModelInput| match (attributes.get(&input.name).and_then(|value| value.kind.as_ref()), &input.kind) {
            (Some(Kind::Number(number)), _) => *number as f32,
            (Some(Kind::Text(word)), FieldKind::Category(words)) => {
                words.iter().position(|known| known == word).map_or(words.len() as f32, |at| at as f32)
            }
            _ => f32::NAN,
        };
    model.inputs.iter().map(read).collect()
}

impl QiniResult {
    fn of(found: &[f64]) -> Self {
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let variance = found.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { qini_mean: rounded(mean), qini_sd: rounded(variance.sqrt()) }
    }
}

impl Verdict for QiniResult {
    fn failure(&self) -> Option<String> {
        let mean = self.qini_mean;
        // Written so that a value that is no number fails.
        let met = mean >= MEAN_MIN;
        (!met).then(|| format!("mean Qini coefficient {mean}, at least {MEAN_MIN} is wanted"))
    }

    fn text(&self) -> String {
        format!(
            "women's e-mail against none, visits, {HALVES} random halves\n  Qini coefficient  {:.4} (sd {:.4}); 0 is chance, 1 the perfect order",
            self.qini_mean, self.qini_sd
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_bar_is_a_mean() {
        let result = QiniResult::of(&[0.05, 0.07]);
        assert_eq!((result.qini_mean, result.qini_sd, result.failure()), (0.06, 0.014142, None));
        assert!(
            QiniResult::of(&[0.05, 0.05]).failure().is_some() && QiniResult::of(&[f64::NAN; 2]).failure().is_some()
        );
        assert_eq!(serde_json::to_string(&result).unwrap(), "{\"qini_mean\":0.06,\"qini_sd\":0.014142}");
    }

    /// On the real campaign random scores rank nothing; skipped without the data.
    #[test]
    fn random_scores_on_the_campaign_are_worth_nothing() {
        let folder =
            std::env::var_os("TACTFUL_DATA").map_or_else(|| "../../shared/data".into(), std::path::PathBuf::from);
        let Ok(customers) = data::read(&folder.join("hillstrom/hillstrom.csv")) else {
            return println!("skipped: no hillstrom/hillstrom.csv in {}", folder.display());
        };
        let customers: Vec<Customer> = customers.into_iter().filter(|customer| customer.arm != Arm::Mens).collect();
        let mut rng = Pcg64::seed_from_u64(3);
        let mut found = Vec::new();
        for half in 0..HALVES {
            let (_, held_out) = halves(&customers, SEED, half);
            let random = |customer: &&Customer| Ranked {
                score: rng.gen_range(0.0..1.0),
                treated: customer.arm == Arm::Womens,
                responded: customer.visited() > 0.0,
            };
            found.push(qini(&held_out.iter().map(random).collect::<Vec<_>>()).unwrap());
        }
        let result = QiniResult::of(&found);
        assert!(result.qini_mean.abs() < 0.012 && result.failure().is_some(), "{result:?}");
    }
}
