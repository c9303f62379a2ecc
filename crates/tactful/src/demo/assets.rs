//! The demo's catalogue and recipe, compiled in, so that the demo runs from any folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Recipe of the model that the demo trains.
pub(super) const RECIPE: &str = include_str!("../../../../models/demo.toml");

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../catalog/", $name)))),*]
    };
}

const CATALOG: [(&str, &str); 12] = files![
    "actions/ask.toml",
    "actions/inform.toml",
    "actions/retain.toml",
    "actions/route.toml",
    "actions/sell.toml",
    "actions/serve.toml",
    "catalog.toml",
    "features.toml",
    "matters.toml",
    "placements.toml",
    "rules.toml",
    "weights.toml",
];

/// Path and text of each file of the catalogue.
pub(super) fn catalog() -> Vec<(PathBuf, String)> {
    CATALOG.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect()
}

/// Writes the catalogue into a folder, for the server that goes on with the demo's data, and for
/// whoever wants to change it.
pub(super) fn write_catalog(folder: &Path) -> Result<()> {
    for (name, text) in CATALOG {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, text));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_catalogue_is_the_compiled_one() {
        let folder = tempfile::tempdir().unwrap();
        write_catalog(folder.path()).unwrap();
        let written = tactful_engine::catalog::load(folder.path()).unwrap();
        assert_eq!(written.files, tactful_engine::catalog::Files::new(catalog()).unwrap(), "the same to every log");
    }

    #[test]
    fn every_file_of_the_catalogue_is_compiled_in() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
        let count = |folder: PathBuf| {
            let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            names.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).count()
        };
        assert_eq!(count(folder.clone()) + count(folder.join("actions")), CATALOG.len());
    }
}
