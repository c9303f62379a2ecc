//! `tactful model report`: the report of a training shown again, its plots drawn again. A report is
//! untrusted input: it is bounded and checked before it is shown.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use tactful_models::{Report, artifact};

use super::beside::Beside;
use crate::{
    cli::{Global, ReportArgs},
    client::{done, file::NewFile},
    output::Usage,
    render::model::ShownReport,
};

/// Largest report: that of a model with as many actions as a catalogue may have.
const REPORT_BYTES_MAX: u64 = 64 << 20;

/// Shows a report, or the one that stands beside a model.
pub(crate) fn report(global: &Global, args: &ReportArgs) -> Result<ExitCode> {
    let report = find(&args.file)?;
    let plots = match &args.plots {
        Some(folder) => draw(&report, folder)?,
        None => Vec::new(),
    };
    done(global, &ShownReport { report: &report, plots })
}

fn find(file: &Path) -> Result<Report> {
    if file.extension().is_some_and(|extension| extension == "json") {
        return read(file);
    }
    let model = artifact::read(&super::read(file)?)
        .with_context(|| format!("{} is neither a report (.json) nor a usable model", file.display()))?
        .model;
    let path = Beside::of(file, None).report;
    if !path.exists() {
        bail!(Usage(format!("there is no report beside {}: {} does not exist", file.display(), path.display())));
    }
    let report = read(&path)?;
    if report.version != model.version {
        let (found, wanted) = (&report.version, &model.version);
        bail!("{} is the report of version {found}, the model is version {wanted}", path.display());
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Report> {
    let missing = |error| Usage(format!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(missing)?;
    file.take(REPORT_BYTES_MAX + 1).read_to_string(&mut text).map_err(missing)?;
    if text.len() as u64 > REPORT_BYTES_MAX {
        bail!("{} is no report: it is larger than {REPORT_BYTES_MAX} bytes", path.display());
    }
    let refused = || format!("{} is no report of a training", path.display());
    let report: Report = serde_json::from_str(&text).with_context(refused)?;
    report.check().with_context(refused)?;
    Ok(report)
}

fn draw(report: &Report, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let plots = tactful_models::plots(report)?;
    if plots.is_empty() {
        bail!("the report has nothing to draw: no test part was measured");
    }
    let mut paths = Vec::new();
    for plot in plots {
        let path = folder.join(format!("{}.{}.svg", report.model, plot.name));
        NewFile::create(&path)?.write(plot.svg.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("may.report.json");
        for text in ["", "{}", "[]", "null", "{\"format\": 1}", "\u{0}"] {
            fs::write(&path, text).unwrap();
            let refused = format!("{:#}", read(&path).unwrap_err());
            assert!(refused.contains("may.report.json is no report"), "{text}: {refused}");
        }
        assert!(read(Path::new("no-such.report.json")).unwrap_err().is::<Usage>());
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("larger than"));
    }
}
