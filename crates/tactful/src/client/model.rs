//! `tactful model train | import | show`: a model from the record to a file, or checked and shown. Training and checking
//! are those of `tactful-models`.

mod import;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    pin::pin,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use futures_util::{Stream, TryStreamExt};
use tactful_models::{ARTIFACT_BYTES_MAX, Dataset, Recipe, Trained, artifact};
use tactful_proto::v1::DecisionRow;

pub(crate) use import::import;

use super::{done, file::NewFile, progress::Progress, rows};
use crate::{
    background,
    cli::{Global, ShowArgs, TrainArgs, VersionName},
    output::Usage,
    render::model::{ShownModel, TrainedModel},
};

/// Trains on the record of decisions and writes the model.
pub(crate) async fn train(global: &Global, args: &TrainArgs) -> Result<ExitCode> {
    let recipe = recipe(&args.recipe)?;
    // Opened first: a place that cannot be written to is better known before the work than after.
    let out = args.out.clone().unwrap_or_else(|| format!("{}.model", recipe.name).into());
    let file = NewFile::create(&out)?;
    let rows = rows::of(global, args.stopped.place().as_ref(), rows::Range::default()).await?;
    let dataset = collect(rows, &recipe, Progress::count(global.quiet)).await?;
    let trained = fit(&recipe, dataset, Progress::steps(global.quiet))?;
    file.write(&trained.artifact)?;
    if let Some(card) = &args.card {
        NewFile::create(card)?.write(tactful_models::card(&trained).as_bytes())?;
    }
    done(global, &TrainedModel { report: &trained.report, file: &out })
}

/// Checks a model file as a server would, or asks a server for a version, and shows what it holds.
pub(crate) async fn show(global: &Global, args: &ShowArgs) -> Result<ExitCode> {
    let named = args.file.to_str().filter(|name| name.contains('@') && !args.file.exists());
    if let Some(Ok(version)) = named.map(str::parse::<VersionName>) {
        return super::registry::show(global, &version).await;
    }
    let bytes = read(&args.file)?;
    let loaded = artifact::read(&bytes).with_context(|| format!("{} is no usable model", args.file.display()))?;
    done(global, &ShownModel { loaded: &loaded, bytes: bytes.len() })
}

fn recipe(path: &Path) -> Result<Recipe> {
    let text = fs::read_to_string(path).map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    Recipe::parse(&text).with_context(|| path.display().to_string())
}

/// The bytes of a model file, never more than a server takes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let missing = |error| Usage(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(missing)?;
    let mut bytes = Vec::new();
    file.take(ARTIFACT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(missing)?;
    if bytes.len() > ARTIFACT_BYTES_MAX {
        bail!("{} is no model: it is larger than {ARTIFACT_BYTES_MAX} bytes", path.display());
    }
    Ok(bytes)
}

async fn collect(
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
    fn a_file_larger_than_any_model_is_not_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("larger than"));
    }

    #[test]
    fn an_absent_file_is_wrong_usage() {
        assert!(read(Path::new("no-such.model")).unwrap_err().is::<Usage>());
        assert!(recipe(Path::new("no-such.toml")).unwrap_err().is::<Usage>());
    }
}
