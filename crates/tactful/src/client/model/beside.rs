//! The files that stand beside a model: its card, its report and the plots of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tactful_models::{Plot, PlotLink, Report, Trained};

use crate::{client::file::NewFile, output::Usage};

/// The paths beside one model.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// Path of the model without `.model`.
    stem: PathBuf,
    /// The card.
    pub(super) card: PathBuf,
    /// The report.
    pub(super) report: PathBuf,
}

impl Beside {
    /// What stands beside a model file; the card may be told to be elsewhere.
    pub(super) fn of(model: &Path, card: Option<&Path>) -> Self {
        let stem = if model.extension().is_some_and(|extension| extension == "model") {
            model.with_extension("")
        } else {
            model.to_path_buf()
        };
        let card = card.map_or_else(|| with(&stem, "md"), Path::to_path_buf);
        Self { card, report: with(&stem, "report.json"), stem }
    }

    /// Writes the report, the plots and the card, and returns the paths of the plots.
    pub(super) fn write(&self, report: &Report, files: Files) -> Result<Vec<PathBuf>> {
        let Files { card, report: report_file } = files;
        report_file.write(&json(report)?)?;
        let mut paths = Vec::new();
        let mut links = Vec::new();
        for plot in tactful_models::plots(report)? {
            let path = with(&self.stem, &format!("{}.svg", plot.name));
            NewFile::create(&path)?.write(plot.svg.as_bytes())?;
            links.push(self.link(&plot, &path)?);
            paths.push(path);
        }
        card.write(tactful_models::card(report, &links).as_bytes())?;
        Ok(paths)
    }

    /// Opens what can be opened before the work, so that a place that cannot be written to is known then.
    pub(super) fn create(&self) -> Result<Files> {
        if self.card == self.report || self.card == with(&self.stem, "model") {
            bail!(Usage(format!("{} is where another file goes: name the card otherwise", self.card.display())));
        }
        Ok(Files { card: NewFile::create(&self.card)?, report: NewFile::create(&self.report)? })
    }

    /// A plot as the card links it: by its name beside it, else by its whole path.
    fn link(&self, plot: &Plot, path: &Path) -> Result<PlotLink> {
        let target = if self.card.parent() == path.parent() {
            path.file_name().map(PathBuf::from)
        } else {
            Some(std::path::absolute(path).with_context(|| format!("cannot name {}", path.display()))?)
        };
        let link = target.unwrap_or_default().to_string_lossy().into_owned();
        Ok(PlotLink { title: plot.title.to_owned(), link })
    }
}

/// Writes a model to a file, and its card, its report and its plots beside it.
pub(crate) fn write_all(model: &Path, trained: &Trained) -> Result<()> {
    let beside = Beside::of(model, None);
    let files = beside.create()?;
    NewFile::create(model)?.write(&trained.artifact)?;
    beside.write(&trained.report, files)?;
    Ok(())
}

/// Files that are on their way to their places.
pub(super) struct Files {
    card: NewFile,
    report: NewFile,
}

/// A report as its file holds it.
pub(super) fn json(report: &Report) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(report).context("the report has a number that JSON does not know")?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// `stem` with a dot and more behind it, whatever dots it has itself.
fn with(stem: &Path, extension: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_model() {
        let beside = Beside::of(Path::new("models/may.v2.model"), None);
        assert_eq!(beside.card, Path::new("models/may.v2.md"));
        assert_eq!(beside.report, Path::new("models/may.v2.report.json"));
        let beside = Beside::of(Path::new("may.bin"), Some(Path::new("cards/may.md")));
        assert_eq!(
            (beside.report.as_path(), beside.card.as_path()),
            (Path::new("may.bin.report.json"), Path::new("cards/may.md"))
        );
    }

    #[test]
    fn a_card_does_not_take_the_place_of_the_model() {
        let clash = Beside::of(Path::new("may.model"), Some(Path::new("may.model")));
        assert!(clash.create().err().is_some_and(|error| error.is::<Usage>()));
    }
}
