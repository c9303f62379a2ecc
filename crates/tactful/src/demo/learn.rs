//! The loop closes: the record of decisions comes back over the API, a model is trained from it,
//! checked, kept in a file with its card and report beside it, pushed to the running server and promoted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::TryStreamExt;
use tactful_engine::background;
use tactful_models::{Dataset, Recipe, Report, Trained};
use tonic::transport::Channel;

use crate::cli::Global;
use crate::client::{model, registry, rows};

/// What the retraining brought.
pub(super) struct Learnt {
    pub(super) report: Report,
    /// What replies and records call the model.
    pub(super) version: String,
    pub(super) file: PathBuf,
    pub(super) took: Duration,
}

impl Learnt {
    /// What has a head of its own, in words.
    pub(super) fn heads(&self) -> String {
        match self.report.action_heads() {
            0 => "no action with a head of its own yet, all share one".into(),
            1 => "1 action with a head of its own".into(),
            count => format!("{count} actions with heads of their own"),
        }
    }
}

/// Trains once from everything recorded so far and loads the model. Reading the record and training take
/// a while: beside the customers, not in their way.
pub(super) async fn retrain(global: Global, channel: Channel, data_dir: PathBuf) -> Result<Learnt> {
    let started = Instant::now();
    let file = data_dir.join("acceptance.model");
    let kept = file.clone();
    let trained = background::compute(move || {
        let trained = train(&global)?;
        model::write_all(&kept, &trained)?;
        Ok::<_, anyhow::Error>(trained)
    })
    .await??;
    let pushed = registry::push_champion(channel, trained.artifact).await?;
    let version = pushed.version.map(|version| version.id).unwrap_or_default();
    Ok(Learnt { report: trained.report, version, file, took: started.elapsed() })
}

fn train(global: &Global) -> Result<Trained> {
    let recipe = Recipe::parse(super::assets::RECIPE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dataset = runtime.block_on(collect(global, &recipe))?;
    Ok(tactful_models::train(&recipe, dataset, super::drive::now_ms(), &mut |_| {})?)
}

async fn collect(global: &Global, recipe: &Recipe) -> Result<Dataset> {
    let mut dataset = Dataset::new(recipe);
    let mut rows = rows::of(global, None, rows::Range::default()).await?;
    while let Some(row) = rows.try_next().await? {
        dataset.push(row)?;
    }
    Ok(dataset)
}
