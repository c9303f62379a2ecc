//! Our own models of the bank's customers: trained from decisions, scored by the core.

use std::time::Instant;

use anyhow::{Context, Result};
use tactful_core::score::Model;
use tactful_models::{Dataset, Recipe, artifact, train as train_model};

use super::rows::Bank;
use crate::eval::progress;

/// All rows train one shared head: scikit-learn's split keeps the test part apart. All else is as it
/// comes, the growth of trees above all.
const RECIPE: &str = "\
name = \"bank\"
min_rows_per_action = 1000000
test_share = 0.0
[reward]
positive = [\"accepted\"]
window = \"1h\"
negative_when = \"window_closed\"
";
/// Milliseconds since 1970 at which every window has closed.
const LATER_MS: i64 = 2_000_000_000_000;

/// A trained model.
pub(super) struct Ours {
    pub(super) artifact: Vec<u8>,
    pub(super) fit_s: f64,
    model: Model,
}

/// Trains a kind of model on the training part.
pub(super) fn train(kind: &str, bank: &Bank) -> Result<Ours> {
    let recipe = Recipe::parse(&format!("kind = \"{kind}\"\n{RECIPE}"))?;
    let mut dataset = Dataset::new(&recipe);
    for row in bank.decisions() {
        dataset.push(row)?;
    }
    let bar = progress(&format!("{kind} by linfa"), 1);
    let started = Instant::now();
    let trained = train_model(&recipe, dataset, LATER_MS, &mut |step| {
        bar.set_length(step.total as u64);
        bar.set_position(step.done as u64);
    })
    .with_context(|| format!("the {kind} model"))?;
    let fit_s = started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    // Scored is what a server would read.
    let model = artifact::read(&trained.artifact)?.model;
    Ok(Ours { artifact: trained.artifact, fit_s, model })
}

impl Ours {
    /// Probability and answer of every customer of the test part.
    pub(super) fn scored(&self, bank: &Bank) -> Result<Vec<(f64, bool)>> {
        let score = |customer: &super::rows::Customer| {
            let inputs = customer.inputs(&self.model.inputs)?;
            Ok((f64::from(self.model.probability(0, &inputs)), customer.answer()))
        };
        bank.test().iter().map(score).collect()
    }
}
