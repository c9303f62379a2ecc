//! The catalogue loader on good, bad and mangled texts.

use super::*;

const BASE: &str = r#"
company = "Test"
[[channel]]
id = "web"
[[placement]]
id = "home"
channel = "web"
fallback = { title = "Welcome" }
[[feature]]
name = "age"
aggregate = "last"
trait = "age"
"#;

const ACTION: &str = r#"
[[action]]
id = "card"
title = "Card"
issue = "grow"
group = "cards"
kind = "sell"
owner = "Cards"
topic = "credit"
tone = "warm"
intensity = 2
value = 30.0
start_acceptance = 0.02
eligibility = ["customer.age >= 18"]
treatment = [{ channel = "web", content = { title = "A card" } }]
"#;

fn compiled(action: &str) -> Result<Ruleset, Vec<CatalogProblem>> {
    compile(&[("base.toml".into(), BASE.into()), ("actions.toml".into(), action.into())])
}

fn problem(from: &str, to: &str) -> CatalogProblem {
    assert!(ACTION.contains(from), "{from}");
    let problems = compiled(&ACTION.replace(from, to)).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

#[test]
fn a_good_catalogue_compiles() {
    let ruleset = compiled(ACTION).unwrap();
    assert_eq!(ruleset.actions.len(), 1);
    assert_eq!(ruleset.hash(), compiled(ACTION).unwrap().hash());
    assert_ne!(ruleset.hash(), compiled(&ACTION.replace("30.0", "31.0")).unwrap().hash());
}

#[test]
fn problems_name_file_line_column_and_the_fix() {
    let unknown_field = problem("customer.age", "customer.agee");
    assert_eq!((unknown_field.file.to_str(), unknown_field.line, unknown_field.column), (Some("actions.toml"), 14, 17));
    assert!(unknown_field.hint.contains("customer.age"), "{unknown_field}");

    let unknown_key = problem("owner =", "ownr =");
    assert_eq!(unknown_key.line, 8);
    assert!(unknown_key.hint.contains("owner"), "{unknown_key}");

    let channel = problem("channel = \"web\"", "channel = \"wob\"");
    assert_eq!(channel.line, 15);
    assert!(channel.hint.contains("web"), "{channel}");

    let probability = problem("start_acceptance = 0.02", "start_acceptance = 2");
    assert_eq!((probability.line, probability.column), (13, 20));

    let syntax = problem("intensity = 2", "intensity = ");
    assert_eq!(syntax.line, 11);

    let dates = problem(
        "value = 30.0",
        "value = 30.0\nvalid_from = \"2026-02-01T00:00:00Z\"\nvalid_until = \"2026-01-01T00:00:00Z\"",
    );
    assert!(dates.message.contains("ends before it begins"), "{dates}");

    let twice = compiled(&format!("{ACTION}{ACTION}")).unwrap_err();
    assert!(twice[0].message.contains("already"), "{twice:?}");
    assert_eq!(twice[0].line, 18, "{twice:?}");
}

#[test]
fn every_problem_is_found_at_once() {
    let problems =
        compiled(&ACTION.replace("= 0.02", "= 2").replace("\"sell\"", "\"sell\"\nlever = 0").replace("= 2\n", "= 9\n"));
    assert!(problems.unwrap_err().len() >= 2);
}

#[test]
fn a_cycle_of_typos_is_refused_without_panic() {
    for at in (0..ACTION.len()).filter(|at| ACTION.is_char_boundary(*at)) {
        let mut text = ACTION.to_owned();
        text.replace_range(at..(at + 3).min(ACTION.len()), "#\"");
        let _outcome = compiled(&text);
        let _outcome = compiled(&ACTION[..at]);
    }
}

#[test]
fn an_empty_or_absent_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path()).unwrap_err()[0].message.contains("0 TOML files"));
    assert!(load(&folder.path().join("absent")).unwrap_err()[0].message.contains("cannot read the folder"));
}

#[test]
fn holdout_and_exploration_come_from_any_file_and_only_once() {
    let with = |more: &str| compiled(&format!("{ACTION}\n{more}"));
    let ruleset = with("[holdout]\nshare = 0.1\n[exploration]\nfloor = 0.03").unwrap();
    assert_eq!(ruleset.catalog.exploration.map(|exploration| exploration.floor), Some(0.03));
    assert_eq!(ruleset.catalog.holdout.as_ref().map(|holdout| holdout.share), Some(0.1));
    for section in ["[holdout]\nshare = 0.1", "[exploration]"] {
        let twice =
            [("a.toml".into(), format!("{BASE}\n{section}")), ("b.toml".into(), format!("{ACTION}\n{section}"))];
        let problems = compile(&twice.map(|(path, text): (PathBuf, String)| (path, text))).unwrap_err();
        assert!(problems[0].message.contains("is given twice"), "{problems:?}");
    }
}
