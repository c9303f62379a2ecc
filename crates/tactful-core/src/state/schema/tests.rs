//! What the schema refuses, with paths, and what its hash depends on.

use super::super::oracle;
use super::*;

const OK_FEATURE: &str = "[[feature]]\nname = \"a\"\naggregate = \"count\"\nevent = \"E\"\n";
const OK_MATTER: &str = "[[matter]]\ntype = \"m\"\nopens_on = [\"E\"]\n";

fn problems(text: &str) -> Vec<String> {
    let catalog: Catalog = toml::from_str(text).unwrap();
    Schema::compile(&catalog).err().into_iter().flatten().map(|problem| problem.to_string()).collect()
}

#[test]
fn the_test_catalogue_compiles() {
    let schema = Schema::compile(&oracle::catalog()).unwrap();
    let count = schema.features().len();
    // Two windowed counts of 7 and 6 buckets take 2 + 1 slots each.
    assert_eq!(schema.slot_count(), count + 4);
    assert_eq!(schema.fields().len(), schema.field_count());
    assert_eq!(schema.fields()[0].name, "customer.orders");
    let derived: Vec<_> = schema.fields()[count..].iter().map(|field| field.name.clone()).collect();
    assert_eq!(derived[..3], ["matter.open", "matter.fault.open", "matter.fault.days_open"]);
    assert_eq!(derived[6], "matter.browsing.reopenings");
    assert_eq!(derived[7..12], CONTACT_FIELDS.map(|field| format!("contact.{field}")));
    assert_eq!(derived[12..], ["fact.language", "fact.rooms"]);
    let purposes = [0, count, count + 12, count + 13, count + 14].map(|field| schema.field_purpose(field));
    assert_eq!(purposes, [Some(0), None, Some(1), Some(0), None]);
    assert_eq!(schema.purposes(), ["service", "marketing", "insight"]);
    assert_eq!((schema.purpose("insight"), schema.purpose("nope"), schema.default_purposes()), (Some(2), None, 0b101));
}

#[test]
fn derivations_are_plain_words() {
    let schema = Schema::compile(&oracle::catalog()).unwrap();
    let derivation = |name: &str| {
        let feature = schema.features().iter().find(|feature| feature.name == name).unwrap();
        feature.derivation.clone()
    };
    assert_eq!(derivation("revenue"), "sum of revenue of event \"order completed\"");
    assert_eq!(
        derivation("orders_gold"),
        "number of event \"Order Completed\" where express = \"true\" and plan = \"gold\""
    );
    assert_eq!(derivation("plan"), "latest plan of event \"Order Completed\"; stale after 4m");
    assert_eq!(derivation("screens"), "number of any screen in the last 1m");
    assert_eq!(derivation("accepted_help"), "whether there was outcome \"accepted\" of action \"help\"");
    assert_eq!(derivation("age"), "latest trait \"age\"");
    assert_eq!(derivation("converted_value"), "sum of value of outcome \"converted\"");
}

#[test]
fn wrong_facts_are_refused_with_their_place() {
    let fact = |text: &str| problems(&format!("[[fact]]\n{text}")).join("\n");
    for (text, problem) in [
        ("key = \"a b\"\nkind = \"bool\"", "fact[0].key: \"a b\" is not a valid name"),
        ("key = \"a\"\nkind = \"category\"", "fact[0].vocabulary: the fact \"a\" and its vocabulary do not fit"),
        ("key = \"a\"\nkind = \"number\"\nvocabulary = [\"x\"]", "its vocabulary do not fit (hint: a category has"),
        (
            "key = \"a\"\nkind = \"category\"\nvocabulary = [\"x\", \"x\"]",
            "fact[0].vocabulary[1]: \"x\" is listed twice",
        ),
        ("key = \"a\"\nkind = \"category\"\nvocabulary = [\"\"]", "fact[0].vocabulary[0]: a word has 1 to 256 bytes"),
        (
            "key = \"a\"\nkind = \"bool\"\npurpose = \"servce\"",
            "fact[0].purpose: unknown purpose \"servce\" (hint: did you mean",
        ),
    ] {
        assert!(fact(text).contains(problem), "{text}: {}", fact(text));
    }
    let twice = "[[fact]]\nkey = \"a\"\nkind = \"bool\"\n".repeat(2);
    assert_eq!(problems(&twice), ["fact[1].key: \"a\" is declared twice (hint: rename or remove one)"]);
    let many: String = (0..33).map(|n| format!("[[fact]]\nkey = \"f{n}\"\nkind = \"bool\"\n")).collect();
    assert_eq!(problems(&many), ["fact: 33 facts, at most 32 are kept of a customer"]);
    assert!(toml::from_str::<Catalog>("[[fact]]\nkey = \"a\"\nkind = \"bool\"\nexpires_after = \"soon\"").is_err());
}

const WRONG_FEATURES: &[(&str, &str)] = &[
    ("name = \"1a\"\naggregate = \"count\"\nevent = \"E\"", "feature[0].name: \"1a\" is not a valid name"),
    ("name = \"a-b\"\naggregate = \"count\"\nevent = \"E\"", "feature[0].name: \"a-b\" is not"),
    ("name = \"\"\naggregate = \"count\"\nevent = \"E\"", "feature[0].name: \"\" is not"),
    ("name = \"in\"\naggregate = \"count\"\nevent = \"E\"", "feature[0].name: \"in\" is a word of the rule language"),
    ("name = \"a\"\naggregate = \"count\"", "feature[0].name: \"a\" has no source"),
    (
        "name = \"a\"\naggregate = \"count\"\nevent = \"E\"\npage = \"P\"",
        "feature[0].page: more than one source: event, page",
    ),
    ("name = \"a\"\naggregate = \"count\"\nevent = \" \"", "feature[0].event: event is empty"),
    ("name = \"a\"\naggregate = \"count\"\nevent = \"*\"", "feature[0].event: \"*\" is not an event name"),
    ("name = \"a\"\naggregate = \"sum\"\nevent = \"E\"", "feature[0].value: a sum needs a value"),
    ("name = \"a\"\naggregate = \"count\"\nevent = \"E\"\nvalue = \"v\"", "feature[0].value: a count takes no value"),
    ("name = \"a\"\naggregate = \"last\"\ntrait = \"t\"\nvalue = \"v\"", "feature[0].value: a trait is its own value"),
    (
        "name = \"a\"\naggregate = \"sum\"\noutcome = \"converted\"\nvalue = \"v\"",
        "feature[0].value: an outcome has no property",
    ),
    (
        "name = \"a\"\naggregate = \"count\"\nevent = \"E\"\naction = \"x\"",
        "feature[0].action: action goes with outcome alone",
    ),
    (
        "name = \"a\"\naggregate = \"count\"\noutcome = \"clicked\"\naction = \"x\"",
        "feature[0].action: unknown action \"x\"",
    ),
    (
        "name = \"a\"\naggregate = \"count\"\noutcome = \"clicked\"\nwhere = { k = \"v\" }",
        "feature[0].where: an outcome has no properties",
    ),
    (
        "name = \"a\"\naggregate = \"decayed_count\"\nevent = \"E\"",
        "feature[0].half_life: a decayed_count needs half_life",
    ),
    (
        "name = \"a\"\naggregate = \"count\"\nevent = \"E\"\nhalf_life = \"1d\"",
        "feature[0].half_life: a count takes no half_life",
    ),
    (
        "name = \"a\"\naggregate = \"windowed_count\"\nevent = \"E\"\nbuckets = 2",
        "feature[0].window: a windowed_count needs window",
    ),
    (
        "name = \"a\"\naggregate = \"windowed_count\"\nevent = \"E\"\nwindow = \"1d\"",
        "feature[0].buckets: a windowed_count needs buckets",
    ),
    (
        "name = \"a\"\naggregate = \"windowed_count\"\nevent = \"E\"\nwindow = \"1d\"\nbuckets = 97",
        "feature[0].buckets: buckets is 97",
    ),
    (
        "name = \"a\"\naggregate = \"windowed_count\"\nevent = \"E\"\nwindow = \"1d\"\nbuckets = 0",
        "feature[0].buckets: buckets is 0",
    ),
    (
        "name = \"a\"\naggregate = \"windowed_count\"\nevent = \"E\"\nwindow = \"61s\"\nbuckets = 2",
        "feature[0].window: 2 buckets do not divide 61 s",
    ),
    ("name = \"a\"\naggregate = \"count\"\nevent = \"E\"\nscale = 2", "feature[0].scale: a count takes no scale"),
    (
        "name = \"a\"\naggregate = \"sum\"\nevent = \"E\"\nvalue = \"v\"\nscale = 7",
        "feature[0].scale: scale is 7, at most 6",
    ),
    ("name = \"a\"\naggregate = \"count\"\nevent = \"E\"\nunit = \"hours\"", "feature[0].unit: a count takes no unit"),
    (
        "name = \"a\"\naggregate = \"count\"\nevent = \"E\"\nmax_age = \"1d\"",
        "feature[0].max_age: a count keeps no time",
    ),
    (
        "name = \"a\"\naggregate = \"max\"\nevent = \"E\"\nvalue = \"v\"\nvocabulary = [\"x\"]",
        "feature[0].vocabulary: a max takes no vocabulary",
    ),
    (
        "name = \"a\"\naggregate = \"last\"\nevent = \"E\"\nvalue = \"v\"\nvocabulary = [\"x\", \"x\"]",
        "feature[0].vocabulary[1]: \"x\" comes twice",
    ),
    (
        "name = \"a\"\naggregate = \"last\"\nevent = \"E\"\nvalue = \"v\"\nvocabulary = [\"\"]",
        "feature[0].vocabulary[0]: a word has 0 bytes",
    ),
    (
        "name = \"a\"\naggregate = \"count\"\nevent = \"E\"\npurpose = \"servise\"",
        "feature[0].purpose: unknown purpose \"servise\" (hint: did you mean \"service\"?)",
    ),
];

#[test]
fn each_wrong_feature_is_refused_at_its_key() {
    for (feature, expected) in WRONG_FEATURES {
        let found = problems(&format!("[[feature]]\n{feature}\n"));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{feature}\ngave {found:?}\nnot {expected}");
    }
}

#[test]
fn each_wrong_purpose_or_matter_is_refused_at_its_key() {
    let cases = [
        ("[[purpose]]\nname = \"\"\ndefault = \"denied\"\n".to_owned(), "purpose[0].name: name is empty"),
        (
            "[[purpose]]\nname = \"service\"\ndefault = \"denied\"\n".into(),
            "purpose[0].default: the purpose service is always allowed",
        ),
        ("[[purpose]]\nname = \"p\"\ndefault = \"denied\"\n".repeat(2), "purpose[1].name: \"p\" is declared twice"),
        (OK_FEATURE.repeat(2), "feature[1].name: \"a\" is declared twice"),
        (OK_MATTER.repeat(2), "matter[1].type: \"m\" is declared twice"),
        (OK_MATTER.replace("\"m\"", "\"a b\""), "matter[0].type: \"a b\" is not a valid name"),
        (OK_MATTER.replace("\"m\"", "\"open\""), "matter[0].type: \"open\" is the field of all open matters"),
        (OK_MATTER.replace("\"E\"", ""), "matter[0].opens_on: nothing opens a \"m\""),
        (OK_MATTER.replace("\"E\"", "\"E\", \" \""), "matter[0].opens_on[1]: an event name is empty"),
        (format!("{OK_MATTER}resolves_on = [\" e\"]\n"), "matter[0].resolves_on[0]: \" e\" is listed twice"),
        (
            OK_FEATURE.replace("\"a\"", &format!("\"{}\"", "a".repeat(129))),
            "feature[0].name: name has 129 bytes, at most 128",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}\ngave {found:?}\nnot {expected}");
    }
}

#[test]
fn bounds_hold_and_all_problems_are_told_at_once() {
    let many = |count: usize, text: &str, name: &str| -> String {
        (0..count).map(|number| text.replace(&format!("\"{name}\""), &format!("\"n{number}\""))).collect()
    };
    assert_eq!(problems(&many(512, OK_FEATURE, "a")), Vec::<String>::new());
    assert_eq!(problems(&many(513, OK_FEATURE, "a")), ["feature: 513 features, at most 512 are allowed"]);
    let purpose = "[[purpose]]\nname = \"p\"\ndefault = \"allowed\"\n";
    assert_eq!(problems(&many(63, purpose, "p")), Vec::<String>::new());
    assert_eq!(problems(&many(64, purpose, "p")), ["purpose: 64 purposes beside service, at most 63 are allowed"]);
    assert_eq!(problems(&many(400, OK_MATTER, "m")).len(), 1);
    let wide = OK_FEATURE.replace("count", "windowed_count") + "window = \"96h\"\nbuckets = 96\n";
    assert_eq!(problems(&many(82, &wide, "a")), ["feature: the features take 2050 slots, at most 2048 are allowed"]);
    let wrong = "[[feature]]\nname = \"1\"\naggregate = \"sum\"\npurpose = \"x\"\nscale = 9\n";
    assert_eq!(problems(&format!("{wrong}{}", OK_MATTER.replace("\"E\"", ""))).len(), 6);
}

#[test]
fn the_hash_changes_with_the_fold_and_not_with_the_reading() {
    let hash = |text: &str| Schema::compile(&toml::from_str(text).unwrap()).unwrap().hash();
    let purpose = "[[purpose]]\nname = \"p\"\ndefault = \"allowed\"\n";
    let base = format!("{purpose}{OK_FEATURE}{OK_MATTER}");
    let first = hash(&base);
    for (from, to) in [
        ("event = \"E\"", "event = \"F\""),
        ("event = \"E\"", "page = \"E\""),
        ("name = \"a\"", "name = \"b\""),
        ("count", "since_last"),
        ("event = \"E\"", "event = \"E\"\nlateness = \"1h\""),
        ("event = \"E\"", "event = \"E\"\nwhere = { k = \"v\" }"),
        ("opens_on = [\"E\"]", "opens_on = [\"E\", \"F\"]"),
        ("opens_on = [\"E\"]", "opens_on = [\"E\"]\ncontacts_on = [\"F\"]"),
    ] {
        assert_ne!(hash(&base.replace(from, to)), first, "{to}");
    }
    for (from, to) in [
        ("event = \"E\"", "event = \" e \""),
        ("event = \"E\"", "event = \"E\"\npurpose = \"p\""),
        ("event = \"E\"", "event = \"E\"\ndescription = \"d\""),
        ("opens_on = [\"E\"]", "opens_on = [\"E\"]\nconfirm_after = \"1h\"\nresolve_after_silence = \"1h\""),
        ("opens_on = [\"E\"]", "opens_on = [\"E\"]\nsession_gap = \"1h\""),
    ] {
        assert_eq!(hash(&base.replace(from, to)), first, "{to}");
    }
    let since = |rest: &str| hash(&OK_FEATURE.replace("\"count\"", &format!("\"since_last\"\n{rest}")));
    assert_eq!(since("unit = \"hours\""), since("max_age = \"1h\""));
}

#[test]
fn a_definition_folds_as_its_catalogue_and_holds_nothing_else() {
    let catalog = oracle::catalog();
    let definition = Definition::of(&catalog);
    let (of_catalog, of_definition) = (Schema::compile(&catalog).unwrap(), Schema::of(&definition).unwrap());
    assert_eq!(of_definition.hash(), of_catalog.hash());
    assert_eq!(of_definition.slot_count(), of_catalog.slot_count());
    // As text and back.
    let text = toml::to_string(&definition).unwrap();
    let read: Definition = toml::from_str(&text).unwrap();
    assert_eq!(read, definition);
    assert_eq!(toml::to_string(&read).unwrap(), text);
    // What is only read makes no other definition.
    let mut other = catalog.clone();
    other.feature[0].description = "in other words".into();
    other.feature[0].event = Some("ORDER COMPLETED".into());
    other.feature[0].purpose = "insight".into();
    other.matter[0].confirm_after = crate::catalog::Duration::from_seconds(5);
    other.matter[0].opens_on.reverse();
    other.action.clear();
    assert_eq!(Definition::of(&other), definition);
    other.feature[0].event = Some("Other".into());
    assert_ne!(Definition::of(&other), definition);
}

#[test]
fn a_page_called_star_with_blanks_stays_that_page() {
    let page =
        |name: &str| toml::from_str(&OK_FEATURE.replace("event = \"E\"", &format!("page = \"{name}\""))).unwrap();
    for name in ["*", " * ", "Home"] {
        let catalog: Catalog = page(name);
        let again = Schema::of(&Definition::of(&catalog)).unwrap();
        assert_eq!(again.hash(), Schema::compile(&catalog).unwrap().hash(), "{name:?}");
    }
}

#[test]
fn a_broken_definition_is_refused() {
    let mut definition = Definition::of(&oracle::catalog());
    definition.feature[1].name = definition.feature[0].name.clone();
    assert!(Schema::of(&definition).unwrap_err()[0].to_string().starts_with("feature[1].name"));
}
