//! Consent: what was said counts from the next decision on, on every node and after every restart.

use std::sync::Arc;

use tactful_core::decide::{Basis, Explain, RequestText};
use tactful_core::state::{ConsentState, ReadingState};
use tactful_engine::{DecideCommand, Decided, Engine, Error, LinkCommand, Options};
use tactful_log::Log;
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;
use tokio::time::Instant;

use crate::fixture::{
    PATIENCE, Stop, aged, at, export, external, ingest, item, now_s, number, open, refused, ruleset_with, text,
    tracked, values,
};

const PURPOSES: &str = r#"
[[purpose]]
name = "marketing"
default = "allowed"
[[purpose]]
name = "partners"
default = "denied"
[[feature]]
name = "looks"
aggregate = "count"
event = "Product Viewed"
purpose = "marketing"
[[action]]
id = "offer"
title = "Offer"
issue = "grow"
group = "plans"
kind = "sell"
owner = "Plans"
topic = "plans"
tone = "warm"
intensity = 2
value = 90.0
start_acceptance = 0.5
purpose = "marketing"
treatment = [{ channel = "web", content = { title = "Offer" } }]
"#;

async fn node(log: &Arc<dyn Log>) -> Arc<Engine> {
    let engine = Engine::start(Arc::clone(log), ruleset_with(PURPOSES), &Options::default()).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    engine
}

fn said(subject: &str, purpose: &str, allowed: bool, message: &str) -> v1::Consent {
    v1::Consent {
        message_id: message.into(),
        subject_id: subject.into(),
        purpose: purpose.into(),
        allowed,
        source: "form".into(),
        text_version: "v2".into(),
        event_time: None,
    }
}

fn consent(consent: v1::Consent) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::Consent(consent)) }
}

fn viewed(subject: &str) -> v1::IngestItem {
    item(tracked(subject, "Product Viewed", now_s() - 60))
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn decide(engine: &Engine, subject: &str, non_personal: bool) -> Arc<Decided> {
    let placements = vec![("home", 4)];
    let text = RequestText { subject_id: subject, placements, explain: Explain::Full, ..RequestText::default() };
    let (request_id, matter_id, encoded) = ("", "", Vec::new());
    let command = DecideCommand { text, request_id, matter_id, live: true, non_personal, behind: None, encoded };
    engine.decide(&command).unwrap()
}

/// Whether a decision used what is for marketing: the feature, the action.
fn used(decided: &Decided) -> (bool, bool) {
    let field = decided.ruleset.layout.index("customer.looks").unwrap();
    let offer = decided.ruleset.action("offer").unwrap();
    let shown = decided.decision.placements[0].shown.iter().any(|shown| shown.action == offer);
    (!decided.decision.fields[field].is_nan(), shown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_withdrawal_that_was_acknowledged_holds_from_the_next_decision() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (one, two) = (node(&log).await, node(&log).await);
    let stop = Stop::default();
    let ending = stop.on_drop();
    let (busy, stopped) = (Arc::clone(&one), stop.clone());
    let traffic = tokio::spawn(async move {
        let mut turn = 0;
        while !stopped.is_set() {
            let items = (0..50).map(|n| viewed(&format!("customer:{}", (turn + n) % 9))).collect();
            busy.ingest(items).await.unwrap();
            decide(&busy, &format!("customer:{}", turn % 9), false);
            turn += 1;
        }
    });
    for round in 0..60 {
        let subject = format!("customer:{}", round % 9);
        let (setter, other) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        for allowed in [true, false] {
            let position = setter.set_consent(said(&subject, "marketing", allowed, ""), soon()).await.unwrap();
            assert_eq!(used(&decide(setter, &subject, false)), (allowed, allowed), "round {round}");
            assert_eq!(other.reach(&position, soon()).await.unwrap(), None);
            assert_eq!(used(&decide(other, &subject, false)), (allowed, allowed), "round {round} on the other node");
        }
    }
    drop(ending);
    traffic.await.unwrap();
    two.close(PATIENCE).await;
    one.close(PATIENCE).await;
    drop((one, two));
    drop(log);
    let log = open(folder.path());
    let again = node(&log).await;
    for n in 0..9 {
        assert_eq!(used(&decide(&again, &format!("customer:{n}"), false)), (false, false), "a restart keeps it");
    }
    again.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_shown_with_source_text_and_time_beside_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let lines = |subject: &str| {
        let consents = engine.context(subject).unwrap().consents;
        consents
            .into_iter()
            .map(|line| (line.purpose, line.allowed, line.state, line.time_ms.is_some()))
            .collect::<Vec<_>>()
    };
    let by_default = |purpose: &str, allowed| (purpose.to_owned(), allowed, ConsentState::Default, false);
    let defaults = [by_default("service", true), by_default("marketing", true), by_default("partners", false)];
    assert_eq!(lines("customer:1"), defaults);
    let seconds = now_s() - 100;
    let old = v1::Consent { event_time: at(seconds - 5), ..said("customer:1", "marketing", true, "m0") };
    let denied = v1::Consent { event_time: at(seconds), ..said("customer:1", "marketing", false, "m1") };
    ingest(&engine, vec![viewed("customer:1"), consent(denied.clone()), consent(old), consent(denied)]).await;
    let context = engine.context("customer:1").unwrap();
    let marketing = &context.consents[1];
    assert_eq!((marketing.allowed, marketing.state), (false, ConsentState::Recorded));
    assert_eq!((marketing.source.as_str(), marketing.text_version.as_str()), ("form", "v2"));
    assert_eq!(marketing.time_ms, Some(seconds * 1_000));
    assert_eq!(lines("customer:1")[2], defaults[2]);
    let looks = context.features.iter().find(|line| line.name == "looks").unwrap();
    assert_eq!((looks.state, looks.value.is_nan(), looks.purpose.as_str()), (ReadingState::Denied, true, "marketing"));
    let decided = decide(&engine, "customer:1", false);
    let offer = decided.ruleset.action("offer").unwrap();
    let trace = decided.decision.traces.iter().find(|trace| trace.action == offer).unwrap();
    assert_eq!(trace.detail, "the customer denied the purpose marketing");
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_made_elsewhere_is_recorded_without_what_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let made = |id: &str| {
        external(v1::ExternalDecision {
            external_decision_id: id.into(),
            subject_id: "customer:1".into(),
            action_id: "card".into(),
            selection_probability: 0.5,
            context: values([("age", number(30.0)), ("looks", number(7.0)), ("plan", text("plus"))]),
            ..v1::ExternalDecision::default()
        })
    };
    let deny = consent(said("customer:1", "marketing", false, ""));
    ingest(&engine, vec![viewed("customer:1"), made("x1"), deny, made("x2")]).await;
    let rows = export(&engine).await;
    let looks: Vec<_> =
        rows.iter().map(|row| row.features.get("customer.looks").and_then(|v| v.kind.clone())).collect();
    assert_eq!(looks, [Some(Kind::Number(7.0)), None]);
    assert!(rows.iter().all(|row| row.features.contains_key("customer.age")));
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_non_personal_answer_reads_nothing_of_the_customer_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    ingest(&engine, vec![aged("customer:1", 12.0, now_s() - 60), viewed("customer:1")]).await;
    assert_eq!(decide(&engine, "customer:1", false).decision.basis, Basis::Personal);
    let first = decide(&engine, "customer:unheard", false);
    assert_eq!((first.decision.basis, first.decision.cold_start), (Basis::NonPersonal, true));
    let (known, unknown) = (decide(&engine, "customer:1", true), decide(&engine, "customer:2", true));
    assert_eq!((known.decision.basis, known.decision.cold_start), (Basis::NonPersonal, false));
    assert_eq!(known.decision.placements, unknown.decision.placements, "the same for anybody");
    let of = |name: &str| known.decision.fields[known.ruleset.layout.index(name).unwrap()];
    assert!(of("customer.age").is_nan() && of("customer.looks") == 0.0 && of("contact.shown_24h") == 0.0);
    let rows = export(&engine).await;
    assert!(rows.iter().any(|row| row.decision_id == known.id && row.subject_id == "customer:1"));
    let text = RequestText {
        subject_id: "customer:1",
        placements: vec![("home", 1)],
        overrides: vec![("age", tactful_core::state::Value::Number(30.0))],
        ..RequestText::default()
    };
    let (request_id, matter_id, encoded) = ("", "", Vec::new());
    let command = DecideCommand { text, request_id, matter_id, live: true, non_personal: true, behind: None, encoded };
    let Err(Error::Invalid(fields)) = engine.decide(&command) else { panic!("data of the customer was taken") };
    assert_eq!(fields[0].field, "profile_overrides");
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_consent_is_refused_by_name_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let good = || said("customer:1", "marketing", true, "");
    let long = "x".repeat(129);
    let cases = [
        ("subject_id", "ID_EMPTY", "is empty", v1::Consent { subject_id: String::new(), ..good() }),
        (
            "purpose",
            "PURPOSE_UNKNOWN",
            "did you mean marketing?",
            v1::Consent { purpose: "marketting".into(), ..good() },
        ),
        ("purpose", "PURPOSE_UNKNOWN", "give marketing, partners", v1::Consent { purpose: String::new(), ..good() }),
        ("purpose", "PURPOSE_FIXED", "always allowed", v1::Consent { purpose: "service".into(), ..good() }),
        ("source", "TEXT_TOO_LONG", "at most 128", v1::Consent { source: long.clone(), ..good() }),
        ("text_version", "TEXT_TOO_LONG", "at most 128", v1::Consent { text_version: long.clone(), ..good() }),
        ("message_id", "TEXT_TOO_LONG", "at most 128", v1::Consent { message_id: long, ..good() }),
        ("event_time", "TIME_TOO_EARLY", "1980", v1::Consent { event_time: at(0), ..good() }),
        ("event_time", "TIME_TOO_LATE", "5 minutes", v1::Consent { event_time: at(now_s() + 900), ..good() }),
    ];
    for (field, reason, message, bad) in cases {
        let error = refused(&engine, consent(bad.clone())).await;
        assert_eq!((error.field.as_str(), error.reason.as_str()), (field, reason), "{error:?}");
        assert!(error.message.contains(message) && !error.message.contains("customer:1"), "{error:?}");
        let Err(Error::Invalid(fields)) = engine.set_consent(bad, soon()).await else { panic!("{field} was taken") };
        assert_eq!((fields[0].field.as_str(), fields[0].not_found), (field, reason == "PURPOSE_UNKNOWN"));
    }
    assert_eq!(engine.customers(), 0);
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_and_told_under_one_subject_id_holds_for_all_that_are_linked() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = node(&log).await;
    let fact = v1::Fact {
        subject_id: "anon:a".into(),
        key: "language".into(),
        value: Some(text("de")),
        channel: "web".into(),
        ..v1::Fact::default()
    };
    let fact = v1::IngestItem { item: Some(v1::ingest_item::Item::Fact(fact)) };
    ingest(&engine, vec![viewed("customer:1"), fact, consent(said("anon:a", "marketing", false, ""))]).await;
    assert_eq!(used(&decide(&engine, "customer:1", false)), (true, true), "nobody said that they are one");
    let link = LinkCommand {
        subject_id: "customer:1".into(),
        other_id: "anon:a".into(),
        linked: true,
        ..LinkCommand::default()
    };
    let position = engine.link(&link).await.unwrap();
    assert_eq!(engine.reach(&position, soon()).await.unwrap(), None);
    for subject in ["customer:1", "anon:a"] {
        assert_eq!(used(&decide(&engine, subject, false)), (false, false), "{subject}");
        let context = engine.context(subject).unwrap();
        assert_eq!((context.consents[1].allowed, context.consents[1].source.as_str()), (false, "form"));
        let told: Vec<_> = context.facts.iter().map(|fact| (fact.key.as_str(), fact.channel.as_str())).collect();
        assert_eq!(told, [("language", "web")]);
    }
    let position = engine.set_consent(said("customer:1", "marketing", true, ""), soon()).await.unwrap();
    assert_eq!(engine.reach(&position, soon()).await.unwrap(), None);
    assert_eq!(used(&decide(&engine, "anon:a", false)), (true, true), "the latest word of all of them");
    engine.close(PATIENCE).await;
}
