//! Facts: told once in any channel, known in every other, until they expire or are taken back.

use std::sync::Arc;

use tactful_core::decide::{Explain, RequestText, Stage};
use tactful_core::state::{FactState, FactValue};
use tactful_engine::{DecideCommand, Decided, Engine, Options};
use tactful_log::Log;
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use crate::fixture::{
    PATIENCE, at, export, external, ingest, now_s, number, open, refused, ruleset_with, text, values,
};

const FACTS: &str = r#"
[[purpose]]
name = "marketing"
default = "allowed"
[[fact]]
key = "language"
kind = "category"
vocabulary = ["de", "en"]
[[fact]]
key = "rooms"
kind = "number"
expires_after = "1h"
[[fact]]
key = "moves"
kind = "bool"
purpose = "marketing"
[[action]]
id = "ask_rooms"
title = "How many rooms?"
issue = "care"
group = "care"
kind = "ask"
owner = "Care"
topic = "homes"
tone = "calm"
intensity = 1
value = 90.0
start_acceptance = 0.5
applicability = [{ block = "has(fact.rooms)", when_unknown = "pass", message = "told already" }]
treatment = [{ channel = "web", content = { title = "How many rooms?" } }]
"#;

async fn node(log: &Arc<dyn Log>) -> Arc<Engine> {
    let engine = Engine::start(Arc::clone(log), ruleset_with(FACTS), &Options::default()).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    engine
}

/// Told an age in seconds ago, in the agent's chat.
fn told(key: &str, value: Option<v1::Value>, age_s: i64) -> v1::Fact {
    v1::Fact {
        subject_id: "customer:1".into(),
        key: key.into(),
        value,
        event_time: at(now_s() - age_s),
        channel: "agent".into(),
        source: "chat".into(),
        ..v1::Fact::default()
    }
}

fn fact(fact: v1::Fact) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::Fact(fact)) }
}

fn flag(flag: bool) -> v1::Value {
    v1::Value { kind: Some(Kind::Flag(flag)) }
}

/// A decision on the web, and the value of a field that it read.
fn decided(engine: &Engine, field: &str) -> (Arc<Decided>, f32) {
    let text = RequestText {
        subject_id: "customer:1",
        placements: vec![("home", 1)],
        explain: Explain::Full,
        ..RequestText::default()
    };
    let (request_id, matter_id, encoded, non_personal) = ("", "", Vec::new(), false);
    let command = DecideCommand { text, request_id, matter_id, live: true, non_personal, behind: None, encoded };
    let decided = engine.decide(&command).unwrap();
    let value = decided.decision.fields[decided.ruleset.layout.index(field).unwrap()];
    (decided, value)
}

/// Where the question for the rooms left a decision.
fn asked(decided: &Decided) -> (Stage, &str) {
    let action = decided.ruleset.action("ask_rooms").unwrap();
    let trace = decided.decision.traces.iter().find(|trace| trace.action == action).unwrap();
    (trace.stage, trace.detail.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_in_one_channel_is_known_in_every_other_and_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    assert_eq!(asked(&decided(&engine, "fact.rooms").0), (Stage::Shown, "it is shown"));
    let items = vec![
        fact(told("rooms", Some(number(3.0)), 60)),
        fact(told("rooms", Some(number(2.0)), 90)),
        fact(told("language", Some(text("en")), 60)),
        fact(told("shoe_size", Some(number(43.5)), 60)),
    ];
    ingest(&engine, items).await;
    let (web, rooms) = decided(&engine, "fact.rooms");
    assert_eq!((asked(&web), rooms), ((Stage::Applicability, "told already"), 3.0));
    assert_eq!(decided(&engine, "fact.language").1, 1.0);
    let facts = engine.context("customer:1").unwrap().facts;
    let keys: Vec<_> = facts.iter().map(|fact| (fact.key.as_str(), fact.declared)).collect();
    assert_eq!(keys, [("language", true), ("rooms", true), ("shoe_size", false)]);
    let rooms = &facts[1];
    assert_eq!((&rooms.value, rooms.state), (&Some(FactValue::Number(3.0)), FactState::Present));
    assert_eq!((rooms.channel.as_str(), rooms.source.as_str(), rooms.purpose.as_str()), ("agent", "chat", "service"));
    assert_eq!(rooms.expires_s, Some(rooms.time_ms / 1_000 + 3_600));
    let made = v1::ExternalDecision {
        external_decision_id: "x1".into(),
        subject_id: "customer:1".into(),
        action_id: "card".into(),
        selection_probability: 0.5,
        ..v1::ExternalDecision::default()
    };
    let context = values([("fact.language", text("de"))]);
    let other = v1::ExternalDecision { external_decision_id: "x2".into(), context, ..made.clone() };
    ingest(&engine, vec![external(made), external(other)]).await;
    let rows = export(&engine).await;
    let read = |id: &str, name: &str| {
        let row = rows.iter().find(|row| row.decision_id == id).unwrap();
        row.features.get(name).and_then(|value| value.kind.clone())
    };
    assert_eq!(read(&web.id, "fact.rooms"), Some(Kind::Number(3.0)), "the record holds it");
    let languages = ["x1", "x2"].map(|id| read(id, "fact.language"));
    assert_eq!(languages, [Some(Kind::Text("en".into())), Some(Kind::Text("de".into()))]);
    let before = engine.digests();
    engine.close(PATIENCE).await;
    drop((web, engine));
    drop(log);
    let log = open(folder.path());
    let engine = node(&log).await;
    assert_eq!((engine.digests(), decided(&engine, "fact.rooms").1), (before, 3.0), "a restart keeps it");
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_expires_is_taken_back_and_is_denied_with_its_purpose() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let state = |key: &str| {
        let facts = engine.context("customer:1").unwrap().facts;
        facts.into_iter().find(|fact| fact.key == key).map(|fact| (fact.state, fact.value))
    };
    ingest(&engine, vec![fact(told("rooms", Some(number(3.0)), 3_700))]).await;
    assert_eq!((decided(&engine, "fact.rooms").1.is_nan(), state("rooms")), (true, Some((FactState::Expired, None))));
    let short = v1::Fact { expire_time: at(now_s() - 5), ..told("language", Some(text("de")), 60) };
    ingest(&engine, vec![fact(short)]).await;
    assert_eq!(state("language"), Some((FactState::Expired, None)));
    ingest(&engine, vec![fact(told("language", Some(text("en")), 30))]).await;
    assert_eq!((decided(&engine, "fact.language").1, state("language").unwrap().0), (1.0, FactState::Present));
    ingest(&engine, vec![fact(told("language", None, 20)), fact(told("language", Some(text("de")), 25))]).await;
    assert_eq!((decided(&engine, "fact.language").1.is_nan(), state("language")), (true, None));
    ingest(&engine, vec![fact(told("moves", Some(flag(true)), 60))]).await;
    assert_eq!(decided(&engine, "fact.moves").1, 1.0);
    let consent = v1::Consent {
        subject_id: "customer:1".into(),
        purpose: "marketing".into(),
        allowed: false,
        ..v1::Consent::default()
    };
    engine.set_consent(consent, tokio::time::Instant::now() + PATIENCE).await.unwrap();
    assert_eq!((decided(&engine, "fact.moves").1.is_nan(), state("moves")), (true, Some((FactState::Denied, None))));
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_in_another_order_and_twice_give_the_same_content() {
    let items: Vec<v1::IngestItem> = (0..60)
        .map(|n| {
            let value = if n % 7 == 0 { None } else { Some(number(f64::from(n))) };
            let (subject_id, message_id) = (format!("customer:{}", n % 5), format!("m{n}"));
            fact(v1::Fact {
                subject_id,
                message_id,
                event_time: at(1_780_000_000 + i64::from(n % 11)),
                ..told(&format!("k{}", n % 40), value, 0)
            })
        })
        .collect();
    let mut contents = Vec::new();
    for backward in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let engine = node(&log).await;
        let doubled = items.iter().flat_map(|item| [item.clone(), item.clone()]);
        let sent: Vec<_> = if backward { doubled.rev().collect() } else { items.clone() };
        ingest(&engine, sent).await;
        let digests = engine.digests();
        contents.push((digests.content, digests.customers));
        engine.close(PATIENCE).await;
    }
    assert_eq!(contents[0], contents[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_fact_is_refused_by_name_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let good = || told("language", Some(text("de")), 60);
    let long = "x".repeat(300);
    let cases = [
        ("subject_id", "ID_EMPTY", "is empty", v1::Fact { subject_id: String::new(), ..good() }),
        ("key", "ID_EMPTY", "is empty", v1::Fact { key: String::new(), ..good() }),
        ("key", "KEY_INVALID", "letters, digits and underscores", v1::Fact { key: "shoe size".into(), ..good() }),
        ("key", "KEY_INVALID", "start with no digit", v1::Fact { key: "1st".into(), ..good() }),
        ("key", "TEXT_TOO_LONG", "at most 128", v1::Fact { key: "k".repeat(129), ..good() }),
        ("value", "VALUE_INVALID", "give one of de, en", v1::Fact { value: Some(text("fr")), ..good() }),
        ("value", "VALUE_INVALID", "give one of de, en", v1::Fact { value: Some(number(1.0)), ..good() }),
        ("value", "VALUE_INVALID", "give a number", told("rooms", Some(text("three")), 60)),
        ("value", "VALUE_INVALID", "not a finite number", told("any", Some(number(f64::NAN)), 60)),
        ("value", "VALUE_INVALID", "a number that fits", told("rooms", Some(number(1e300)), 60)),
        ("value", "VALUE_INVALID", "a flag", told("moves", Some(number(1.0)), 60)),
        ("value", "TEXT_TOO_LONG", "at most 256", told("any", Some(text(&long)), 60)),
        (
            "purpose",
            "PURPOSE_UNKNOWN",
            "did you mean marketing?",
            v1::Fact { purpose: "marketng".into(), ..told("any", None, 60) },
        ),
        ("purpose", "PURPOSE_MISMATCH", "is not service, which", v1::Fact { purpose: "marketing".into(), ..good() }),
        ("channel", "CHANNEL_UNKNOWN", "web, agent", v1::Fact { channel: "fax".into(), ..good() }),
        ("source", "TEXT_TOO_LONG", "at most 128", v1::Fact { source: long.clone(), ..good() }),
        ("matter_id", "TEXT_TOO_LONG", "at most 128", v1::Fact { matter_id: long, ..good() }),
        ("event_time", "TIME_TOO_EARLY", "1980", v1::Fact { event_time: at(0), ..good() }),
        ("expire_time", "TIME_TOO_EARLY", "not after", v1::Fact { expire_time: at(now_s() - 61), ..good() }),
    ];
    for (field, reason, message, bad) in cases {
        let error = refused(&engine, fact(bad)).await;
        assert_eq!((error.field.as_str(), error.reason.as_str()), (field, reason), "{error:?}");
        assert!(error.message.contains(message) && !error.message.contains("customer:1"), "{error:?}");
        assert!(!error.message.contains("three") && !error.message.contains("fr:"), "{error:?}");
    }
    assert_eq!(engine.customers(), 0);
    engine.close(PATIENCE).await;
}
