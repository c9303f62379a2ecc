//! A switch in the middle of a history: what is unchanged must not notice, what is new must know nothing older.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Aggregate, Catalog, Duration, FeatureDef};
use crate::hash;
use crate::limits::INTERACTIONS_MAX;
use crate::state::oracle::{self, Given};
use crate::state::properties::{SPAN_S, START_S, entries, fed};
use crate::state::{Feature, MatterReading, Names, interactions, matters};

/// The catalogue of the oracle otherwise: in another order, some features and types gone, some defined
/// otherwise, one new.
fn changed(seed: u64) -> Catalog {
    let mut catalog = oracle::catalog();
    let draw = |text: &str| hash::keyed(seed, text.as_bytes());
    catalog.feature.retain(|feature| draw(&feature.name) % 5 != 0);
    for feature in catalog.feature.iter_mut().filter(|feature| draw(&feature.name) % 5 == 1) {
        redefine(feature);
    }
    let new = FeatureDef { name: "new".into(), ..oracle::catalog().feature[0].clone() };
    catalog.feature.push(new);
    catalog.feature.sort_by_key(|feature| draw(&feature.name));
    catalog.matter.retain(|matter| draw(&matter.kind) % 3 != 0);
    catalog.matter.sort_by_key(|matter| draw(&matter.kind));
    catalog
}

/// Another fold under the same name; and what is only read is other, too.
fn redefine(feature: &mut FeatureDef) {
    feature.description = "defined otherwise".into();
    match feature.lateness {
        Some(_) => feature.lateness = None,
        None => feature.lateness = Some(Duration::from_seconds(40)),
    }
}

fn slots<'a>(schema: &Schema, row: &'a Row, name: &str) -> &'a [Slot] {
    find(schema, name).expect("a feature").slots(&row.slots)
}

fn find<'a>(schema: &'a Schema, name: &str) -> Option<&'a Feature> {
    schema.features().iter().find(|feature| feature.name == name)
}

/// Folds what comes after a switch into the row.
fn fed_on(schema: &Schema, (mut names, row): (Names, Row), entries: &[Given]) -> (Names, Row) {
    let mut row = row;
    for entry in entries {
        entry.apply(schema, &mut names, &mut row);
    }
    (names, row)
}

fn readings(schema: &Schema, names: &Names, row: &Row, kept: &Schema) -> Vec<MatterReading> {
    let mut readings = matters(schema, row, names, (START_S + SPAN_S) * 1_000);
    readings.retain(|reading| kept.matter_types().iter().any(|kind| kind.name == reading.kind));
    readings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_unchanged_goes_on_and_what_is_new_starts_empty(
        before in entries(),
        after in entries(),
        seed in any::<u64>(),
    ) {
        let (old, new) = (Schema::compile(&oracle::catalog()).unwrap(), Schema::compile(&changed(seed)).unwrap());
        let (names, row) = fed(&old, &before);
        let switched = fed_on(&new, (names, Migration::new(&old, &new).row(&row)), &after);
        let unmoved = fed(&old, before.iter().chain(&after));
        let (_, late) = fed(&new, &after);
        for feature in new.features() {
            let same = find(&old, &feature.name).filter(|held| held.stored_form == feature.stored_form);
            let expected = match same {
                Some(_) => slots(&old, &unmoved.1, &feature.name),
                None => slots(&new, &late, &feature.name),
            };
            prop_assert_eq!(slots(&new, &switched.1, &feature.name), expected, "{}", &feature.name);
        }
        prop_assert_eq!(
            readings(&new, &switched.0, &switched.1, &new),
            readings(&old, &unmoved.0, &unmoved.1, &new)
        );
        prop_assert_eq!(switched.1.contacts(), unmoved.1.contacts());
        let told = |schema: &Schema, (names, row): &(Names, Row)| -> Vec<_> {
            let lines = interactions(schema, row, names).into_iter();
            let mut told: Vec<_> =
                lines.map(|line| (line.time_s, line.kind, line.name.to_owned(), line.channel.to_owned())).collect();
            // Within one second their order depends on their matters, of which some are gone: also which of the
            // oldest second a full timeline keeps.
            told.sort_unstable();
            let oldest = told.first().map(|line| line.0).filter(|_| told.len() == INTERACTIONS_MAX);
            told.retain(|line| Some(line.0) != oldest);
            told
        };
        prop_assert_eq!(told(&new, &switched), told(&old, &unmoved));
    }

    #[test]
    fn a_switch_to_the_same_schema_changes_nothing(entries in entries()) {
        let schema = Schema::compile(&oracle::catalog()).unwrap();
        let (_, row) = fed(&schema, &entries);
        prop_assert_eq!(Migration::new(&schema, &schema).row(&row), row);
    }

    #[test]
    fn a_way_there_and_back_loses_only_what_was_gone_between(before in entries(), seed in any::<u64>()) {
        let (old, new) = (Schema::compile(&oracle::catalog()).unwrap(), Schema::compile(&changed(seed)).unwrap());
        let (_, row) = fed(&old, &before);
        let back = Migration::new(&new, &old).row(&Migration::new(&old, &new).row(&row));
        for feature in old.features() {
            let kept = find(&new, &feature.name).is_some_and(|held| held.stored_form == feature.stored_form);
            let nothing = vec![0; feature.rule.width()];
            let expected = if kept { feature.slots(&row.slots) } else { nothing.as_slice() };
            prop_assert_eq!(feature.slots(&back.slots), expected, "{}", &feature.name);
        }
    }
}

#[test]
fn a_feature_that_is_only_read_otherwise_is_the_same() {
    let mut catalog = oracle::catalog();
    let old = Schema::compile(&catalog).unwrap();
    for feature in &mut catalog.feature {
        feature.description = "in other words".into();
        feature.purpose = "service".into();
        if feature.aggregate == Aggregate::Last {
            feature.max_age = Some(Duration::from_seconds(7));
        }
    }
    let new = Schema::compile(&catalog).unwrap();
    assert_eq!(Migration::new(&old, &new), Migration::new(&old, &old));
}
