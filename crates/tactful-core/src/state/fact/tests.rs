//! Facts against a slow obvious reading of everything that was told.

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::decide::{Explain, Request, RequestText, Stage, decide};
use crate::hash;
use crate::rule::{Expr, Program, Truth};
use crate::ruleset::Ruleset;
use crate::state::{ConsentGiven, CustomerView, Entry, FactTold, apply, digest};

const START_S: i64 = 1_780_000_000;

const CATALOG: &str = r#"
company = "Test"
purpose = [{ name = "marketing", default = "allowed" }]
channel = [{ id = "web" }, { id = "chat" }]
placement = [{ id = "home", channel = "web", count = 3, fallback = { title = "Welcome" } }]
fact = [
  { key = "language", kind = "category", vocabulary = ["de", "en"] },
  { key = "rooms", kind = "number", expires_after = "10m" },
  { key = "moves", kind = "bool", purpose = "marketing" },
]
[[action]]
id = "ask_rooms"
title = "How many rooms?"
issue = "i"
group = "g"
kind = "ask"
owner = "o"
topic = "t"
tone = "n"
intensity = 1
value = 10.0
start_acceptance = 0.5
applicability = [{ block = "has(fact.rooms)", when_unknown = "pass", message = "told already" }]
treatment = [{ channel = "web", content = { title = "How many rooms?" } }]
"#;

const KEYS: [&str; 4] = ["language", "rooms", "moves", "undeclared"];

/// Key, second, value, expiry after that, channel.
type Telling = (usize, u8, Option<Told>, Option<u8>, u8);

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Told {
    Flag(bool),
    Number(f64),
    Text(&'static str),
}

fn borrowed(told: &Told) -> Value<'_> {
    match told {
        Told::Flag(flag) => Value::Flag(*flag),
        Told::Number(number) => Value::Number(*number),
        Told::Text(text) => Value::Text(text),
    }
}

fn telling() -> impl Strategy<Value = Telling> {
    let told = prop_oneof![
        any::<bool>().prop_map(Told::Flag),
        prop::sample::select(vec![0.0, -0.0, 1.0, 2.5, 1e300, -7.0]).prop_map(Told::Number),
        prop::sample::select(vec!["de", "en", "fr", ""]).prop_map(Told::Text),
    ];
    let value = prop::option::weighted(0.8, told);
    (0..KEYS.len(), 0u8..20, value, prop::option::weighted(0.3, 1u8..30), 0u8..3)
}

fn ruleset() -> Ruleset {
    let catalog: Catalog = toml::from_str(CATALOG).unwrap();
    Ruleset::compile(&catalog).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn tell(schema: &Schema, names: &mut Names, row: &mut Row, telling: &Telling) {
    let (key, second, value, expires, channel) = telling;
    let time_ms = (START_S + i64::from(*second)) * 1_000;
    let told = FactTold {
        key: KEYS[*key],
        value: value.as_ref().map(borrowed),
        purpose: "",
        expires_ms: expires.map(|seconds| time_ms + i64::from(seconds) * 1_000),
        time_ms,
        channel: ["", "web", "chat"][usize::from(*channel)],
        source: "form",
    };
    assert_eq!(apply(schema, names, row, &Entry::Fact(told), 0).unusable, 0);
}

fn row_of<'a>(schema: &Schema, tellings: impl IntoIterator<Item = &'a Telling>) -> (Names, Row) {
    let (mut names, mut row) = (Names::new(), Row::new(schema));
    tellings.into_iter().for_each(|telling| tell(schema, &mut names, &mut row, telling));
    (names, row)
}

fn facts(schema: &Schema, rows: &[(&Row, &Names)], purposes: u64, now_ms: i64) -> Vec<FactReading> {
    let mut joined = JoinedFacts::default();
    rows.iter().for_each(|(row, names)| joined.add(row, names));
    joined.readings(schema, purposes, now_ms)
}

fn field(ruleset: &Ruleset, rows: &[&Row], now_s: i64, name: &str) -> f32 {
    let view = CustomerView::read(&ruleset.schema, rows, now_s * 1_000);
    let mut fields = vec![0.0; ruleset.schema.field_count()];
    view.write_fields(&ruleset.schema, now_s * 1_000, &mut fields);
    fields[ruleset.layout.index(name).unwrap()]
}

/// The value of a declared fact as of now; none if it must read as missing or if tellings of one second disagree.
fn oracle(all: &[Telling], key: usize, now_s: i64) -> Option<Option<f32>> {
    let second = all.iter().filter(|telling| telling.0 == key).map(|telling| telling.1).max();
    let Some(second) = second else { return Some(None) };
    let mut last: Vec<_> = all.iter().filter(|telling| (telling.0, telling.1) == (key, second)).collect();
    if last.iter().any(|telling| telling.2.is_none()) {
        return Some(None);
    }
    last.dedup_by(|a, b| (a.2, a.3) == (b.2, b.3));
    let [(_, _, Some(told), expires, _)] = last[..] else { return None };
    let age_s = now_s - START_S - i64::from(second);
    let expired = expires.is_some_and(|after| age_s >= i64::from(after)) || (key == 1 && age_s >= 600);
    let value = match (key, told) {
        (0, Told::Text(text)) => ["de", "en"].iter().position(|word| word == text).map(|at| at as f32),
        (1, Told::Number(number)) => Some(*number as f32 + 0.0).filter(|number| number.is_finite()),
        (2, Told::Flag(flag)) => Some(f32::from(u8::from(*flag))),
        _ => None,
    };
    Some(value.filter(|_| !expired))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn declared_facts_agree_with_the_oracle_as_of_any_now_over_any_rows(
        tellings in prop::collection::vec(telling(), 0..20), split in 0usize..20, ahead in 20i64..700,
    ) {
        let ruleset = ruleset();
        let now_s = START_S + ahead;
        let (left, right) = tellings.split_at(split.min(tellings.len()));
        let [(_, whole), (_, left), (_, right)] = [&tellings[..], left, right].map(|part| row_of(&ruleset.schema, part));
        for (key, name) in ["fact.language", "fact.rooms", "fact.moves"].into_iter().enumerate() {
            let value = field(&ruleset, &[&whole], now_s, name);
            for rows in [[&left, &right], [&right, &left]] {
                prop_assert_eq!(field(&ruleset, &rows, now_s, name).to_bits(), value.to_bits());
            }
            if let Some(expected) = oracle(&tellings, key, now_s) {
                prop_assert_eq!(value.to_bits(), expected.unwrap_or(f32::NAN).to_bits(), "{}", name);
            }
        }
    }

    #[test]
    fn any_order_with_repeats_gives_the_same_facts(tellings in prop::collection::vec(telling(), 0..40), seed in any::<u64>()) {
        let ruleset = ruleset();
        let schema = &ruleset.schema;
        let (names, row) = row_of(schema, &tellings);
        let mut sent: Vec<_> = tellings.iter().chain(tellings.iter().step_by(3)).collect();
        sent.sort_by_key(|telling| hash::keyed(seed, format!("{telling:?}").as_bytes()));
        let (names_again, again) = row_of(schema, sent);
        prop_assert_eq!(digest(schema, &names, "c", &row).content, digest(schema, &names_again, "c", &again).content);
        let now_ms = (START_S + 25) * 1_000;
        let read = |row, names| facts(schema, &[(row, names)], u64::MAX, now_ms);
        prop_assert_eq!(read(&row, &names), read(&again, &names_again));
    }
}

#[test]
fn beyond_the_bound_the_keys_told_last_stay() {
    let ruleset = ruleset();
    let (mut names, mut row) = (Names::new(), Row::new(&ruleset.schema));
    for number in 0..40 {
        let (key, time_ms) = (format!("k{number}"), START_S * 1_000 + number);
        let value = Some(Value::Flag(true));
        let told = FactTold { key: &key, value, purpose: "", expires_ms: None, time_ms, channel: "", source: "" };
        apply(&ruleset.schema, &mut names, &mut row, &Entry::Fact(told), 0);
    }
    let told = facts(&ruleset.schema, &[(&row, &names)], u64::MAX, START_S * 1_000);
    assert_eq!(
        (told.len(), told.iter().any(|fact| fact.key == "k7"), told.iter().any(|fact| fact.key == "k8")),
        (32, false, true)
    );
}

#[test]
fn a_reading_says_who_told_what_where_and_until_when() {
    let ruleset = ruleset();
    let schema = &ruleset.schema;
    let (mut names, mut row) = row_of(
        schema,
        &[
            (1, 5, Some(Told::Number(3.0)), None, 2),
            (3, 6, Some(Told::Text("x")), Some(9), 1),
            (0, 7, Some(Told::Text("de")), None, 0),
            (0, 8, None, None, 0),
        ],
    );
    let at = |row: &Row, names: &Names, purposes, seconds| {
        facts(schema, &[(row, names)], purposes, (START_S + seconds) * 1_000)
    };
    let now = at(&row, &names, 0b11, 10);
    assert_eq!(
        now.iter().map(|fact| fact.key.as_str()).collect::<Vec<_>>(),
        ["rooms", "undeclared"],
        "what was taken back is gone"
    );
    let rooms = FactReading {
        key: "rooms".into(),
        value: Some(FactValue::Number(3.0)),
        state: FactState::Present,
        declared: true,
        channel: "chat".into(),
        source: "form".into(),
        purpose: "service".into(),
        time_ms: (START_S + 5) * 1_000,
        expires_s: Some(START_S + 605),
    };
    assert_eq!(now[0], rooms);
    assert_eq!((now[1].declared, now[1].expires_s, now[1].channel.as_str()), (false, Some(START_S + 15), "web"));
    let later = at(&row, &names, 0b11, 15);
    assert_eq!((later[0].state, later[1].state, &later[1].value), (FactState::Present, FactState::Expired, &None));
    assert_eq!(at(&row, &names, 0b11, 605)[0].state, FactState::Expired);
    assert!(at(&row, &names, 0b11, -300).is_empty(), "a question about the past does not see it");
    tell(schema, &mut names, &mut row, &(2, 9, Some(Told::Flag(true)), None, 0));
    let denied = at(&row, &names, 0b01, 10);
    assert_eq!((denied[0].key.as_str(), denied[0].state, &denied[0].value), ("moves", FactState::Denied, &None));
    let not_finite = FactTold {
        key: "rooms",
        value: Some(Value::Number(f64::NAN)),
        purpose: "",
        expires_ms: None,
        time_ms: START_S * 1_000,
        channel: "",
        source: "",
    };
    assert_eq!(apply(schema, &mut names, &mut row, &Entry::Fact(not_finite), 0).unusable, 1);
}

#[test]
fn a_fact_needs_the_purpose_it_was_told_for_and_the_declared_one() {
    let ruleset = ruleset();
    let schema = &ruleset.schema;
    let (mut names, mut row) = row_of(schema, &[(2, 1, Some(Told::Flag(true)), None, 0)]);
    let tell_for = |row: &mut Row, names: &mut Names, purpose| {
        let (value, time_ms) = (Some(Value::Number(2.0)), (START_S + 2) * 1_000);
        let told = FactTold { key: "rooms", value, purpose, expires_ms: None, time_ms, channel: "", source: "" };
        apply(schema, names, row, &Entry::Fact(told), 0);
    };
    tell_for(&mut row, &mut names, "marketing");
    let now_s = START_S + 9;
    assert_eq!(
        (field(&ruleset, &[&row], now_s, "fact.moves"), field(&ruleset, &[&row], now_s, "fact.rooms")),
        (1.0, 2.0)
    );
    let denied =
        ConsentGiven { purpose: "marketing", allowed: false, source: "", text_version: "", time_ms: START_S * 1_000 };
    apply(schema, &mut names, &mut row, &Entry::Consent(denied), 0);
    assert!(field(&ruleset, &[&row], now_s, "fact.moves").is_nan(), "its declared purpose is denied");
    assert!(field(&ruleset, &[&row], now_s, "fact.rooms").is_nan(), "what it was told for is denied");
    let (mut names, mut former) = row_of(schema, &[]);
    tell_for(&mut former, &mut names, "of a former catalogue");
    assert!(field(&ruleset, &[&former], now_s, "fact.rooms").is_nan(), "nobody can have allowed that");
    assert_eq!(facts(schema, &[(&former, &names)], u64::MAX, now_s * 1_000)[0].purpose, "of a former catalogue");
}

#[test]
fn rules_read_declared_facts_and_say_how_to_declare_others() {
    let ruleset = ruleset();
    let (_, row) =
        row_of(&ruleset.schema, &[(1, 1, Some(Told::Number(3.0)), None, 2), (0, 1, Some(Told::Text("en")), None, 2)]);
    let view = CustomerView::read(&ruleset.schema, &[&row], (START_S + 9) * 1_000);
    let mut fields = vec![f32::NAN; ruleset.layout.fields().len()];
    view.write_fields(&ruleset.schema, (START_S + 9) * 1_000, &mut fields);
    let holds = |source: &str| Program::compile(&Expr::parse(source, &ruleset.layout).unwrap()).eval(&fields);
    assert_eq!(holds("fact.language == 'en' && fact.rooms >= 3.0"), Truth::True);
    assert_eq!((holds("fact.moves"), holds("has(fact.moves)")), (Truth::Unknown, Truth::False));
    let error = Expr::parse("fact.shoe_size_in_the_catalogue > 40.0", &ruleset.layout).unwrap_err();
    assert_eq!(error.message, "unknown field fact.shoe_size_in_the_catalogue");
    assert!(error.hint.contains("[[fact]] with key = \"shoe_size_in_the_catalogue\""), "{}", error.hint);
    assert!(
        Expr::parse("fact.langage == 'en'", &ruleset.layout).unwrap_err().hint.contains("did you mean fact.language?")
    );
}

#[test]
fn what_was_told_is_not_asked_again_unless_a_request_says_otherwise() {
    let ruleset = ruleset();
    let (_, row) = row_of(&ruleset.schema, &[(1, 1, Some(Told::Number(3.0)), None, 2)]);
    let stage = |row: &Row, seconds: i64, overrides: Vec<(&str, Value<'_>)>| {
        let now_ms = (START_S + seconds) * 1_000;
        let (placements, explain) = (vec![("home", 1)], Explain::Full);
        let text = RequestText { subject_id: "c", placements, overrides, explain, ..RequestText::default() };
        let view = CustomerView::read(&ruleset.schema, &[row], now_ms);
        decide(&ruleset, &view, &Request::resolve(&ruleset, &text).unwrap(), now_ms, 7).traces[0].stage
    };
    assert_eq!(stage(&row, 9, Vec::new()), Stage::Applicability);
    assert_eq!(stage(&row, 601, Vec::new()), Stage::Shown, "it expired");
    assert_eq!(stage(&Row::new(&ruleset.schema), 9, Vec::new()), Stage::Shown);
    let what_if = vec![("fact.rooms", Value::Number(2.0))];
    assert_eq!(stage(&Row::new(&ruleset.schema), 9, what_if), Stage::Applicability);
}
