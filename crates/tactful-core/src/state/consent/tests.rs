//! Consents against a slow obvious reading of everything that was said, and decisions that never use what is denied.

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::decide::{Basis, Decision, Explain, Request, RequestText, Stage, decide};
use crate::hash;
use crate::ruleset::Ruleset;
use crate::state::{
    ConsentGiven, CustomerView, Dedup, Entry, Event, EventKind, Names, ReadingState, Value, apply, digest,
};

const START_MS: i64 = 1_780_000_000_000;

const CATALOG: &str = r#"
company = "Test"
purpose = [{ name = "marketing", default = "allowed" }, { name = "insight", default = "denied" }, { name = "partners", default = "denied" }]
channel = [{ id = "web" }]
placement = [{ id = "home", channel = "web", count = 3, fallback = { title = "Welcome" } }]
feature = [
  { name = "age", aggregate = "last", trait = "age" },
  { name = "looks", aggregate = "count", page = "*", purpose = "marketing" },
  { name = "mood", aggregate = "last", trait = "mood", purpose = "insight" },
]
"#;

/// Something said: purpose, time in steps of 250 ms, allowed, source, text version.
type Said = (usize, u8, bool, u8, u8);

const PURPOSES: [&str; 5] = ["service", "marketing", "insight", "partners", "of another catalogue"];

fn said() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec((0..PURPOSES.len(), 0u8..12, any::<bool>(), 0u8..3, 0u8..3), 0..30)
}

fn ruleset() -> Ruleset {
    let action = |id: &str, purpose: &str, rule: &str| {
        format!(
            "[[action]]\nid = {id:?}\ntitle = {id:?}\nissue = \"i\"\ngroup = \"g\"\nkind = \"sell\"\nowner = \"o\"\n\
             topic = \"t\"\ntone = \"n\"\nintensity = 1\nvalue = 10.0\nstart_acceptance = 0.5\npurpose = {purpose:?}\n\
             {rule}\ntreatment = [{{ channel = \"web\", content = {{ title = {id:?} }} }}]\n"
        )
    };
    let actions = [
        action("help", "service", ""),
        action("offer", "marketing", ""),
        action("deal", "partners", ""),
        action("cheer", "service", "eligibility = [\"customer.mood < 3.0 || customer.looks > 2.0\"]"),
    ];
    let catalog: Catalog = toml::from_str(&format!("{CATALOG}\n{}", actions.join("\n"))).unwrap();
    Ruleset::compile(&catalog).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn time_ms(step: u8) -> i64 {
    START_MS + i64::from(step) * 250
}

fn say(schema: &Schema, names: &mut Names, row: &mut Row, said: &Said) {
    let (purpose, step, allowed, source, version) = *said;
    let given = ConsentGiven {
        purpose: PURPOSES[purpose],
        allowed,
        source: &format!("source {source}"),
        text_version: &format!("v{version}"),
        time_ms: time_ms(step),
    };
    assert!(!apply(schema, names, row, &Entry::Consent(given), 0).out_of_range);
}

fn row_of<'a>(schema: &Schema, said: impl IntoIterator<Item = &'a Said>) -> (Names, Row) {
    let (mut names, mut row) = (Names::new(), Row::new(schema));
    said.into_iter().for_each(|said| say(schema, &mut names, &mut row, said));
    (names, row)
}

/// Whether a purpose is allowed, by everything that was said.
fn oracle(schema: &Schema, all: &[Said], purpose: usize) -> bool {
    let of_it = || all.iter().filter(|said| said.0 == purpose);
    match of_it().map(|said| said.1).max() {
        Some(latest) if purpose > 0 => of_it().filter(|said| said.1 == latest).all(|said| said.2),
        _ => schema.default_purposes() >> purpose & 1 == 1,
    }
}

fn seen(schema: &Schema, names: &mut Names, row: &mut Row, mood: Option<f64>, pages: usize) {
    for page in 0..pages {
        let kind = EventKind::Page;
        let time_ms = START_MS - 1_000 * page as i64;
        let event = Event { kind, name: "Home", time_ms, channel: "", matter_id: "", properties: &[] };
        apply(schema, names, row, &Entry::Event(event), 0);
    }
    let properties: Vec<_> = mood.map(|mood| ("mood", Value::Number(mood))).into_iter().collect();
    let kind = EventKind::Identify;
    let event = Event { kind, name: "", time_ms: START_MS, channel: "", matter_id: "", properties: &properties };
    apply(schema, names, row, &Entry::Event(event), 0);
}

fn decided(ruleset: &Ruleset, view: &CustomerView, overrides: Vec<(&str, Value<'_>)>) -> Decision {
    let explain = Explain::Full;
    let placements = vec![("home", 4)];
    let text = RequestText { subject_id: "c", placements, overrides, explain, ..RequestText::default() };
    decide(ruleset, view, &Request::resolve(ruleset, &text).unwrap(), START_MS, 7)
}

fn shown<'a>(ruleset: &'a Ruleset, decision: &Decision) -> Vec<&'a str> {
    let shown = decision.placements.iter().flat_map(|placement| &placement.shown);
    shown.map(|shown| ruleset.actions[shown.action].id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_with_duplicates_gives_the_same_consents_and_the_same_view(said in said(), seed in any::<u64>()) {
        let ruleset = ruleset();
        let schema = &ruleset.schema;
        let (names, row) = row_of(schema, &said);
        let mut sent: Vec<_> = said.iter().enumerate().chain(said.iter().enumerate().step_by(2)).collect();
        sent.sort_by_key(|(index, said)| hash::keyed(seed, format!("{index} {said:?}").as_bytes()));
        let mut dedup = Dedup::new(1_000, 1_000);
        let fresh = sent.iter().filter(|(index, _)| dedup.insert(*index as u64 + 1, 0)).map(|(_, said)| *said);
        let (names_again, again) = row_of(schema, fresh);
        prop_assert_eq!(consents(schema, &[&row]), consents(schema, &[&again]));
        prop_assert_eq!(digest(schema, &names, "c", &row).content, digest(schema, &names_again, "c", &again).content);
        let views = [&row, &again].map(|row| CustomerView::read(schema, &[row], START_MS));
        prop_assert_eq!((views[0].purposes, views[0].recorded), (views[1].purposes, views[1].recorded));
    }

    #[test]
    fn the_latest_word_over_all_rows_decides_and_of_equals_the_denial(said in said(), split in 0usize..30) {
        let ruleset = ruleset();
        let schema = &ruleset.schema;
        let (left, right) = said.split_at(split.min(said.len()));
        let ((_, whole), (_, left), (_, right)) = (row_of(schema, &said), row_of(schema, left), row_of(schema, right));
        for rows in [&[&whole][..], &[&left, &right], &[&right, &left]] {
            let view = CustomerView::read(schema, rows, START_MS);
            for purpose in 0..schema.purposes().len() {
                let allowed = view.purposes >> purpose & 1 == 1;
                prop_assert_eq!(allowed, oracle(schema, &said, purpose), "{}", &schema.purposes()[purpose]);
                let reading = &consents(schema, rows)[purpose];
                let recorded = said.iter().any(|said| said.0 == purpose) && purpose > 0;
                prop_assert_eq!(reading.allowed, allowed);
                prop_assert_eq!((view.recorded >> purpose & 1 == 1, reading.time_ms.is_some()), (recorded, recorded));
            }
        }
    }

    // What the customer denies makes no difference at all: not stored, not overridden, not in a rule, a score or a reason.
    #[test]
    fn a_decision_never_uses_a_denied_feature(
        said in said(), mood in prop::option::of(0.0f64..6.0), pages in 0usize..5, other in 0.0f64..6.0,
    ) {
        let ruleset = ruleset();
        let schema = &ruleset.schema;
        let (mut names, mut row) = row_of(schema, &said);
        let (mut names_without, mut without) = row_of(schema, &said);
        let (looks, moods) = (oracle(schema, &said, 1), oracle(schema, &said, 2));
        seen(schema, &mut names, &mut row, mood, pages);
        seen(schema, &mut names_without, &mut without, mood.filter(|_| moods), if looks { pages } else { 0 });
        let views = [&row, &without].map(|row| CustomerView::read(schema, &[row], START_MS));
        let overrides = if moods { Vec::new() } else { vec![("mood", Value::Number(other))] };
        let (with, without) = (decided(&ruleset, &views[0], overrides), decided(&ruleset, &views[1], Vec::new()));
        prop_assert_eq!(format!("{with:?}"), format!("{without:?}"));
        for trace in &with.traces {
            let purpose = ruleset.actions[trace.action].purpose;
            prop_assert_eq!(trace.stage == Stage::Purpose, !oracle(schema, &said, purpose));
        }
    }
}

#[test]
fn a_purpose_is_denied_by_the_customer_or_by_default_and_the_trace_says_which() {
    let ruleset = ruleset();
    let schema = &ruleset.schema;
    let (mut names, mut row) = row_of(schema, &[(1, 3, false, 0, 1)]);
    seen(schema, &mut names, &mut row, Some(1.0), 3);
    let view = CustomerView::read(schema, &[&row], START_MS);
    assert_eq!((view.purposes, view.recorded), (0b1, 0b10));
    assert_eq!(view.readings(schema, START_MS)[1].state, ReadingState::Denied);
    let decision = decided(&ruleset, &view, Vec::new());
    assert_eq!(shown(&ruleset, &decision), ["help"]);
    let detail = |id: &str| {
        let trace = decision.traces.iter().find(|trace| ruleset.actions[trace.action].id == id).unwrap();
        trace.detail.as_str()
    };
    assert_eq!(detail("offer"), "the customer denied the purpose marketing");
    assert_eq!(detail("deal"), "the purpose partners is denied until the customer allows it");
    say(schema, &mut names, &mut row, &(2, 3, true, 0, 1));
    say(schema, &mut names, &mut row, &(1, 4, true, 0, 1));
    let view = CustomerView::read(schema, &[&row], START_MS);
    assert_eq!(shown(&ruleset, &decided(&ruleset, &view, Vec::new())), ["help", "offer", "cheer"]);
    say(schema, &mut names, &mut row, &(0, 9, false, 0, 1));
    assert_eq!(CustomerView::read(schema, &[&row], START_MS).purposes & 1, 1, "service is always allowed");
}

#[test]
fn an_answer_is_personal_once_anything_of_the_customer_was_read() {
    let ruleset = ruleset();
    let schema = &ruleset.schema;
    let basis = |row: &Row, overrides: Vec<(&str, Value<'_>)>| {
        decided(&ruleset, &CustomerView::read(schema, &[row], START_MS), overrides).basis
    };
    let unknown = CustomerView::unknown(schema);
    assert_eq!(decided(&ruleset, &unknown, Vec::new()).basis, Basis::NonPersonal);
    assert_eq!(decided(&ruleset, &unknown, vec![("age", Value::Number(30.0))]).basis, Basis::Personal);
    let (mut names, mut row) = row_of(schema, &[(1, 0, false, 0, 0)]);
    assert_eq!(basis(&row, Vec::new()), Basis::NonPersonal, "a word on consent is no data to decide on");
    seen(schema, &mut names, &mut row, Some(1.0), 3);
    assert_eq!(basis(&row, Vec::new()), Basis::NonPersonal, "all that is known is denied");
    assert_eq!(basis(&row, vec![("mood", Value::Number(1.0))]), Basis::NonPersonal, "and so is what takes its place");
    say(schema, &mut names, &mut row, &(2, 1, true, 0, 0));
    assert_eq!(basis(&row, Vec::new()), Basis::Personal);
}

#[test]
fn beyond_the_bound_a_forgotten_purpose_is_denied() {
    let ruleset = ruleset();
    let schema = &ruleset.schema;
    let (mut names, mut row) = row_of(schema, &[(1, 0, true, 0, 0)]);
    for number in 0..CONSENTS_MAX as i64 {
        let purpose = format!("old {number}");
        let time_ms = START_MS + 10_000 + number;
        let given = ConsentGiven { purpose: &purpose, allowed: true, source: "", text_version: "", time_ms };
        apply(schema, &mut names, &mut row, &Entry::Consent(given), 0);
    }
    assert_eq!(row.consents().unwrap().list().len(), CONSENTS_MAX);
    assert_eq!(CustomerView::read(schema, &[&row], START_MS).purposes, 1);
    assert_eq!(consents(schema, &[&row])[1].state, ConsentState::Forgotten);
    say(schema, &mut names, &mut row, &(1, 200, true, 0, 0));
    assert_eq!(CustomerView::read(schema, &[&row], START_MS).purposes, 0b11);
}
