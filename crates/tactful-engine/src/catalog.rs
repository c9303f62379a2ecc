//! The catalogue from a folder of TOML files: read as a whole, checked as a whole, refused as a
//! whole with file, line, column and a hint.

mod changes;
mod files;
mod position;

use std::fmt;
use std::path::{Path, PathBuf};

use tactful_core::catalog::Catalog;
use tactful_core::ruleset::Ruleset;

use files::{FILE_BYTES_MAX, FILES_MAX};
use position::Source;

pub use changes::{CatalogChange, Change, changes};
pub use files::{Files, Written, slashed};

/// Something wrong with a catalogue, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogProblem {
    /// File, relative to the folder.
    pub file: PathBuf,
    /// Line from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it; may be empty.
    pub hint: String,
}

impl fmt::Display for CatalogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// Reads and compiles every `*.toml` below a folder, in the order of their paths.
///
/// # Errors
/// Every problem found.
pub fn load(folder: &Path) -> Result<Written, Vec<CatalogProblem>> {
    Files::new(read(folder)?)?.compile()
}

/// Compiles a catalogue given as (path, text).
///
/// # Errors
/// Every problem found.
pub fn compile(texts: &[(PathBuf, String)]) -> Result<Ruleset, Vec<CatalogProblem>> {
    let sources = parse(texts)?;
    let catalog = merge(&sources)?;
    Ruleset::compile(&catalog)
        .map_err(|found| found.iter().map(|problem| position::locate(&sources, problem)).collect())
}

/// The definitions of a catalogue as written, without checking how they fit together.
///
/// # Errors
/// If a file cannot be read as one.
pub(crate) fn definitions(texts: &[(PathBuf, String)]) -> Result<Catalog, Vec<CatalogProblem>> {
    merge(&parse(texts)?)
}

fn parse(texts: &[(PathBuf, String)]) -> Result<Vec<Source<'_>>, Vec<CatalogProblem>> {
    let mut sources = Vec::with_capacity(texts.len());
    let mut problems = Vec::new();
    for (path, text) in texts {
        match Source::parse(path, text) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

fn read(folder: &Path) -> Result<Vec<(PathBuf, String)>, Vec<CatalogProblem>> {
    let whole = |file: &Path, message: String, hint: &str| {
        vec![CatalogProblem { file: file.into(), line: 0, column: 0, message, hint: hint.into() }]
    };
    let mut paths = Vec::new();
    collect(folder, &mut paths, 0).map_err(|error| {
        whole(folder, format!("cannot read the folder: {error}"), "give the folder of the TOML files")
    })?;
    paths.sort();
    if paths.is_empty() || paths.len() > FILES_MAX {
        let message = format!("{} TOML files, a catalogue has 1 to {FILES_MAX}", paths.len());
        return Err(whole(folder, message, "give the folder of the TOML files"));
    }
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_path_buf();
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if size > FILE_BYTES_MAX as u64 {
            return Err(whole(&name, format!("{size} bytes, at most {FILE_BYTES_MAX} are allowed"), "split the file"));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| whole(&name, format!("cannot read the file: {error}"), "write it as UTF-8 text"))?;
        texts.push((name, text));
    }
    Ok(texts)
}

/// The TOML files below a folder, not deeper than four levels.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    const DEPTH_MAX: usize = 4;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth < DEPTH_MAX {
            collect(&path, paths, depth + 1)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Concatenates the files list by list; what may be there only once must not come twice.
fn merge(sources: &[Source<'_>]) -> Result<Catalog, Vec<CatalogProblem>> {
    let mut whole = Catalog::default();
    let mut problems = Vec::new();
    for source in sources {
        let part = source.catalog.clone();
        if !part.company.is_empty() && !whole.company.is_empty() {
            problems.push(source.problem_at("company", "company is given twice"));
        }
        if part.holdout.is_some() && whole.holdout.is_some() {
            problems.push(source.problem_at("holdout", "holdout is given twice"));
        }
        if part.exploration.is_some() && whole.exploration.is_some() {
            problems.push(source.problem_at("exploration", "exploration is given twice"));
        }
        if !part.company.is_empty() {
            whole.company = part.company;
        }
        whole.holdout = part.holdout.or(whole.holdout);
        whole.exploration = part.exploration.or(whole.exploration);
        whole.purpose.extend(part.purpose);
        whole.feature.extend(part.feature);
        whole.fact.extend(part.fact);
        whole.context.extend(part.context);
        whole.channel.extend(part.channel);
        whole.placement.extend(part.placement);
        whole.matter.extend(part.matter);
        whole.rule.extend(part.rule);
        whole.weight.extend(part.weight);
        whole.action.extend(part.action);
    }
    if problems.is_empty() { Ok(whole) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
