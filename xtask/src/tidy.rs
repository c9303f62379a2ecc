//! Tidy: the rules of this repository that no compiler checks, each a small function.
//!
//! Crate edges, licences, sizes, headers, left-over markers, machine paths, inherited lints and the
//! reason for each dependency, and the tests that documents name. It only reads, and names the place and the rule of every finding.

mod documents;
mod edges;
mod manifests;
mod scanner;
mod sources;
mod supply;

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{metadata::Metadata, workspace::Workspace};

/// What tidy found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Broken rules, as `path:line: text`.
    pub(crate) failures: Vec<String>,
    /// What should be looked at.
    pub(crate) warnings: Vec<String>,
    /// How many files were read.
    pub(crate) files: usize,
}

/// Text files by path relative to the root.
type Texts = BTreeMap<PathBuf, String>;

/// Checks the whole workspace.
pub(crate) fn run(workspace: &Workspace) -> Result<Findings> {
    let texts = read_texts(workspace)?;
    let metadata = Metadata::read(workspace)?;
    let mut findings = Findings { files: texts.len(), ..Findings::default() };
    edges::check(&metadata, &mut findings);
    let policy = texts.get(&PathBuf::from("deny.toml")).context("deny.toml is missing")?;
    supply::check(&metadata, policy, &mut findings)?;
    manifests::check(&texts, &mut findings)?;
    sources::check(&texts, &mut findings);
    documents::check(&texts, &mut findings);
    Ok(findings)
}

/// Every file of the workspace that is text; binary ones hold nothing to check.
fn read_texts(workspace: &Workspace) -> Result<Texts> {
    let mut texts = Texts::new();
    for path in workspace.files()? {
        let bytes = fs::read(workspace.root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every package of the tree is judged by the same table, so an unjudged crate cannot slip in.
    #[test]
    fn the_table_of_edges_knows_every_member() {
        let workspace = Workspace::locate().unwrap();
        let metadata = Metadata::read(&workspace).unwrap();
        let unknown: Vec<_> = metadata.members().filter(|p| edges::allowed(&p.name).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(metadata.foreign().count() > 50);
    }
}
