//! The demo's catalogue and recipe, compiled in, so that the demo runs from any folder.

use std::path::PathBuf;

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

#[cfg(test)]
mod tests {
    use super::*;

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
