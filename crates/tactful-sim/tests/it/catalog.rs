//! The catalogue in `catalog/`: complete, sound, and in step with the truth of the simulator.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tactful_core::catalog::{ActionDef, Aggregate, Catalog, Kind, PlacementDef};
use tactful_core::ruleset::Ruleset;

/// All files of the folder, list by list in the order of their paths.
pub(crate) fn read() -> Catalog {
    let mut merged = Catalog::default();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog")) {
        let text = fs::read_to_string(&path).expect("a file of the catalogue");
        let part: Catalog = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if !part.company.is_empty() {
            merged.company = part.company;
        }
        merged.purpose.extend(part.purpose);
        merged.feature.extend(part.feature);
        merged.fact.extend(part.fact);
        merged.context.extend(part.context);
        merged.channel.extend(part.channel);
        merged.placement.extend(part.placement);
        merged.matter.extend(part.matter);
        merged.rule.extend(part.rule);
        merged.weight.extend(part.weight);
        merged.action.extend(part.action);
        merged.holdout = merged.holdout.or(part.holdout);
    }
    merged
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the catalogue") {
        let path = entry.expect("an entry of the catalogue").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn serves(action: &ActionDef, placement: &PlacementDef) -> bool {
    action.treatment.iter().any(|treatment| {
        treatment.channel == placement.channel
            && (treatment.placements.is_empty() || treatment.placements.contains(&placement.id))
    })
}

#[test]
fn the_catalogue_is_as_wide_as_promised() {
    let catalog = read();
    assert!(catalog.action.len() >= 64, "{} actions", catalog.action.len());
    let kinds: BTreeSet<Kind> = catalog.action.iter().map(|action| action.kind).collect();
    assert_eq!(kinds.len(), 6);
    assert_eq!((catalog.channel.len(), catalog.placement.len(), catalog.feature.len()), (7, 10, 30));
    assert_eq!((catalog.context.len(), catalog.matter.len(), catalog.purpose.len()), (8, 5, 3));
    assert_eq!(catalog.fact.len(), 1);
    assert_eq!(catalog.holdout.as_ref().map(|holdout| holdout.share), Some(0.1));
    let channels: BTreeSet<&str> = catalog.placement.iter().map(|placement| placement.channel.as_str()).collect();
    assert_eq!(channels.len(), 7, "every channel has a placement");
    for placement in &catalog.placement {
        let choice = catalog.action.iter().filter(|action| serves(action, placement)).count();
        assert!(choice >= 5, "{} has {choice} actions", placement.id);
    }
}

#[test]
fn every_aggregate_is_used() {
    let catalog = read();
    for aggregate in [
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::DecayedCount,
        Aggregate::DecayedSum,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::Last,
        Aggregate::First,
        Aggregate::SinceLast,
        Aggregate::Flag,
        Aggregate::WindowedCount,
    ] {
        assert!(catalog.feature.iter().any(|feature| feature.aggregate == aggregate), "{aggregate:?}");
    }
    assert!(catalog.feature.iter().any(|f| f.aggregate == Aggregate::Last && !f.vocabulary.is_empty()));
}

#[test]
fn every_action_is_fit_to_be_shown() {
    for action in read().action {
        assert!(action.value > action.cost, "{} costs more than it brings", action.id);
        assert!(!action.reasons.is_empty(), "{} has no reason", action.id);
        assert!(!action.treatment.is_empty(), "{} has no treatment", action.id);
        assert!((0.01..=0.9).contains(&action.start_acceptance), "{}", action.id);
        assert_eq!(action.kind == Kind::Sell, action.id.starts_with("sell_"), "{}", action.id);
        for treatment in &action.treatment {
            let longest = treatment.content.values().map(String::len).max().unwrap();
            assert!(longest > 10 && longest < 200, "{} in {}: {longest} bytes", action.id, treatment.channel);
        }
    }
}

#[test]
fn the_catalogue_compiles() {
    if let Err(problems) = Ruleset::compile(&read()) {
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", text.join("\n"));
    }
}
