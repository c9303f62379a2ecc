//! `tactful model train`: rows to a model, its report, its card and its plots.

use std::{
    fs,
    path::Path,
    pin::pin,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use futures_util::{Stream, TryStreamExt};
use tactful_engine::background;
use tactful_models::{Dataset, Recipe, Trained};
use tactful_proto::v1::DecisionRow;

use super::{beside::Beside, table};
use crate::{
    cli::{Global, TrainArgs},
    client::{done, file::NewFile, progress::Progress, rows},
    output::Usage,
    render::model::TrainedModel,
};

/// Trains on rows and writes the model with what belongs to it.
pub(crate) async fn train(global: &Global, args: &TrainArgs) -> Result<ExitCode> {
    let recipe = recipe(&args.recipe)?;
    // Opened first: a place that cannot be written to is better known before the work than after.
    let out = args.out.clone().unwrap_or_else(|| format!("{}.model", recipe.name).into());
    let file = NewFile::create(&out)?;
    let beside = Beside::of(&out, args.card.as_deref());
    let files = if args.artifact_only { None } else { Some(beside.create()?) };
    let dataset = collect(global, args, &recipe).await?;
    let trained = fit(&recipe, dataset, Progress::steps(global.quiet))?;
    file.write(&trained.artifact)?;
    let (mut card, mut report, mut plots) = (None, None, Vec::new());
    if let Some(files) = files {
        plots = beside.write(&trained.report, files)?;
        (card, report) = (Some(beside.card), Some(beside.report));
    }
    done(global, &TrainedModel { report: &trained.report, file: &out, card, report_file: report, plots })
}

fn recipe(path: &Path) -> Result<Recipe> {
    let text = fs::read_to_string(path).map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    Recipe::parse(&text).with_context(|| path.display().to_string())
}

async fn collect(global: &Global, args: &TrainArgs, recipe: &Recipe) -> Result<Dataset> {
    if let Some(data) = &args.data {
        return table::read(data, recipe, global.quiet);
    }
    if recipe.columns.is_some() {
        let recipe = args.recipe.display();
        bail!(Usage(format!("{recipe} has [columns], which are those of a table: name it with --data FILE")));
    }
    let rows = rows::of(global, args.stopped.place().as_ref(), rows::Range::default()).await?;
    of_record(rows, recipe, Progress::count(global.quiet)).await
}

/// Rows of the record of decisions.
async fn of_record(
    rows: impl Stream<Item = Result<DecisionRow>>,
    recipe: &Recipe,
    progress: Progress,
) -> Result<Dataset> {
    progress.say("rows of the record");
    let mut dataset = Dataset::new(recipe);
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await? {
        dataset.push(row)?;
        progress.set(dataset.rows_read());
    }
    Ok(dataset)
}

fn fit(recipe: &Recipe, dataset: Dataset, progress: Progress) -> Result<Trained> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let now = i64::try_from(since_1970.as_millis()).context("the clock stands beyond all calendars")?;
    // The server that it learns from may be on this machine, with customers waiting.
    background::step_back();
    let trained = tactful_models::train(recipe, dataset, now, &mut |step| {
        progress.step(step.done as u64, step.total as u64);
        progress.say(if step.id.is_empty() { "the shared head" } else { step.id });
    })?;
    Ok(trained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_recipe_is_wrong_usage() {
        assert!(recipe(Path::new("no-such.toml")).unwrap_err().is::<Usage>());
    }
}
