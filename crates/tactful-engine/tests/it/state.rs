//! Events in, rows out: values, states, timeline, matters, duplicates, restarts, refused items.

use tactful_core::state::{InteractionKind, MatterState, ReadingState};
use tactful_proto::v1;

use crate::fixture::{
    Ask, Running, aged, answer, at, decide, external, feature, field, ingest, item, now_s, number, order, outcome,
    refused, settle, text, tracked, values,
};

#[tokio::test(flavor = "multi_thread")]
async fn events_become_values_states_timeline_and_matters() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let report = v1::Event { matter_id: "fault:7".into(), ..tracked("customer:1", "Fault Reported", now - 50) };
    ingest(
        engine,
        vec![
            aged("customer:1", 44.0, now - 400),
            order("customer:1", "m1", 19.99, now - 300),
            order("customer:1", "m2", 0.01, now - 200),
            item(report),
        ],
    )
    .await;

    let context = engine.context("customer:1").unwrap();
    assert!(context.known);
    let line = |name: &str| context.features.iter().find(|line| line.name == name).unwrap();
    assert_eq!((line("age").value, line("age").state), (44.0, ReadingState::Present));
    assert_eq!(line("age").evidence_s.map(i64::from), Some(now - 400));
    assert_eq!(line("plan").state, ReadingState::Missing);
    assert_eq!((line("orders").value, line("orders").state), (2.0, ReadingState::Present));
    assert_eq!(line("spend").value, 20.0);
    assert!(line("since_order").value >= 200.0);
    assert!(line("spend").derivation.contains("sum of total"), "{}", line("spend").derivation);
    assert_eq!(line("spend").purpose, "service");
    assert_eq!(context.watermark_ms, (now - 50) * 1_000);

    let names: Vec<&str> = context.timeline.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["Fault Reported", "Order Placed", "Order Placed", "identify"]);
    assert!(context.timeline.iter().all(|entry| entry.kind == InteractionKind::Event));
    assert_eq!((context.timeline[0].channel.as_str(), context.timeline[0].matter_id.as_str()), ("web", "fault:7"));
    let matters: Vec<_> = context.open_matters.iter().map(|m| (m.id.as_str(), m.kind.as_str(), m.state)).collect();
    assert_eq!(matters, [("fault:7", "fault", MatterState::Open)]);

    let fixed = v1::Event { matter_id: "fault:7".into(), ..tracked("customer:1", "Fault Fixed", now - 20) };
    ingest(engine, vec![item(fixed)]).await;
    assert_eq!(engine.context("customer:1").unwrap().open_matters[0].state, MatterState::Resolved);

    let day = 86_400;
    let old = ["Fault Reported", "Fault Fixed"].map(|name| (name, now - 40 * day));
    let later = [("Fault Reported", now - 38 * day), ("Fault Fixed", now - 38 * day + 60)];
    let items = old.into_iter().chain(later).map(|(name, time)| item(tracked("customer:2", name, time))).collect();
    ingest(engine, items).await;
    let settled = engine.context("customer:2").unwrap();
    let matter = &settled.confirmed_matters[0];
    assert!(settled.open_matters.is_empty() && settled.confirmed_matters.len() == 1);
    assert_eq!((matter.id.as_str(), matter.reopenings, matter.sessions), ("fault", 1, 2));
    assert_eq!(i64::from(matter.updated_s), now - 38 * day + 60);

    let unknown = engine.context("customer:unheard").unwrap();
    assert!(!unknown.known && unknown.timeline.is_empty() && unknown.open_matters.is_empty());
    assert_eq!(engine.customers(), 2, "a question makes no row");
    assert!(engine.context("").is_err() && engine.context(&"x".repeat(129)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_takes_effect_once() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    ingest(engine, vec![order("customer:1", "m1", 5.0, now - 9), order("customer:1", "m1", 5.0, now - 9)]).await;
    ingest(engine, vec![order("customer:1", "m1", 5.0, now - 9), order("customer:1", "m2", 7.0, now - 8)]).await;
    assert_eq!((feature(engine, "customer:1", "orders"), feature(engine, "customer:1", "spend")), (2.0, 12.0));
    // Without an id nothing is taken for a repeat.
    ingest(engine, vec![order("customer:2", "", 5.0, now - 9), order("customer:2", "", 5.0, now - 9)]).await;
    assert_eq!(feature(engine, "customer:2", "orders"), 2.0);
    // The same id of another kind of message is another message.
    let elsewhere = v1::ExternalDecision {
        external_decision_id: "m1".into(),
        subject_id: "customer:1".into(),
        action_id: "card".into(),
        selection_probability: 0.5,
        ..v1::ExternalDecision::default()
    };
    ingest(engine, vec![external(elsewhere)]).await;
    assert_eq!(field(engine, "customer:1", "contact.shown_24h"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_events_in_another_order_give_the_same_content() {
    let now = now_s();
    let events: Vec<v1::IngestItem> = (0..120)
        .map(|n| order(&format!("customer:{}", n % 17), &format!("m{n}"), f64::from(n), now - 500 + i64::from(n) * 3))
        .collect();
    let forward = Running::new().await;
    ingest(&forward.engine, events.clone()).await;
    let backward = Running::new().await;
    let doubled = events.iter().rev().flat_map(|event| [event.clone(), event.clone()]).collect();
    ingest(&backward.engine, doubled).await;
    let (one, other) = (forward.engine.digests(), backward.engine.digests());
    assert_eq!((one.content, one.customers), (other.content, other.customers));
    let more = order("customer:3", "further", 1.0, now - 5);
    ingest(&backward.engine, vec![more]).await;
    assert_ne!(one.content, backward.engine.digests().content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replays_to_the_same_state() {
    let mut running = Running::new().await;
    let now = now_s();
    for batch in 0..10 {
        let events = (0..40).map(|n| {
            let subject = format!("customer:{}", n % 13);
            order(&subject, &format!("m{batch}-{n}"), 1.25 * f64::from(n), now - 900 + i64::from(batch * 40 + n))
        });
        ingest(&running.engine, events.collect()).await;
    }
    let mut shown = 0.0;
    for n in 0..13 {
        let subject = format!("customer:{n}");
        let ask = Ask { placements: vec![("home", 1), ("desk", 2)], ..Ask::home(&subject) };
        let decided = ask.decide(&running.engine).unwrap();
        assert!(decided.degraded.is_empty(), "{:?}", decided.degraded);
        let tokens: Vec<&String> = decided.tokens.iter().collect();
        shown += tokens.len() as f32;
        let report = answer(&subject, tokens[0], v1::OutcomeType::Rejected, &format!("outcome:{n}"));
        ingest(&running.engine, vec![report]).await;
    }
    let shown_now = |running: &Running| {
        (0..13).map(|n| field(&running.engine, &format!("customer:{n}"), "contact.shown_24h")).sum::<f32>()
    };
    assert_eq!((shown, shown_now(&running)), (39.0, 39.0));
    let before = running.engine.digests();
    assert_eq!(before.customers, 13);
    assert_eq!(before.records, 400 + 13 + 13 + 4, "and the schema of each partition");
    for _ in 0..2 {
        running = running.restart().await;
        let readiness = running.engine.readiness();
        assert!(readiness.caught_up && readiness.applied == before.records && readiness.at_start == before.records);
        assert_eq!(running.engine.digests(), before);
        assert_eq!(shown_now(&running), 39.0, "decisions are in the contact counters again");
        assert_eq!(field(&running.engine, "customer:5", "contact.rejected_30d"), 1.0);
    }
    // A message of before the restart is still known.
    ingest(&running.engine, vec![order("customer:0", "m0-0", 1.0, now - 3)]).await;
    assert_eq!(running.engine.digests().content, before.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_before_a_restart_is_still_good() {
    let running = Running::new().await;
    let decided = decide(&running.engine, "customer:1");
    let running = running.restart().await;
    let report = answer("customer:1", &decided.tokens[0], v1::OutcomeType::Accepted, "o1");
    ingest(&running.engine, vec![report]).await;
    assert_eq!(field(&running.engine, "customer:1", "contact.accepted_30d"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_refused_and_name_their_field() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let good = || tracked("customer:1", "Order Placed", now);
    let long = "x".repeat(129);
    let stamp = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let bad_events = [
        ("subject_id", "ID_EMPTY", v1::Event { subject_id: String::new(), ..good() }),
        ("subject_id", "TEXT_TOO_LONG", v1::Event { subject_id: long.clone(), ..good() }),
        ("message_id", "TEXT_TOO_LONG", v1::Event { message_id: long.clone(), ..good() }),
        ("matter_id", "TEXT_TOO_LONG", v1::Event { matter_id: long.clone(), ..good() }),
        ("channel", "CHANNEL_UNKNOWN", v1::Event { channel: "wob".into(), ..good() }),
        ("type", "EVENT_TYPE_MISSING", v1::Event { r#type: 0, ..good() }),
        ("type", "EVENT_TYPE_MISSING", v1::Event { r#type: 99, ..good() }),
        ("name", "EVENT_NAME_MISSING", v1::Event { name: " ".into(), ..good() }),
        ("event_time", "TIME_TOO_EARLY", v1::Event { event_time: at(-2_208_988_800), ..good() }),
        ("event_time", "TIME_TOO_EARLY", v1::Event { event_time: at(i64::MIN), ..good() }),
        ("event_time", "TIME_TOO_LATE", v1::Event { event_time: at(4_102_444_800), ..good() }),
        ("event_time", "TIME_TOO_LATE", v1::Event { event_time: at(i64::MAX), ..good() }),
        ("event_time", "TIME_INVALID", v1::Event { event_time: stamp(now, -1), ..good() }),
        ("previous_id", "ID_EMPTY", v1::Event { r#type: v1::EventType::Alias.into(), ..good() }),
        (
            "properties[\"total\"]",
            "VALUE_INVALID",
            v1::Event { properties: values([("total", number(f64::NAN))]), ..good() },
        ),
        (
            "properties[\"total\"]",
            "VALUE_INVALID",
            v1::Event { properties: values([("total", number(f64::INFINITY))]), ..good() },
        ),
        (
            "properties[\"note\"]",
            "TEXT_TOO_LONG",
            v1::Event { properties: values([("note", text(&"y".repeat(257)))]), ..good() },
        ),
        (
            "properties",
            "PROPERTIES_TOO_MANY",
            v1::Event { properties: (0..65).map(|n| (format!("p{n}"), number(1.0))).collect(), ..good() },
        ),
    ];
    for (field, reason, event) in bad_events {
        let error = refused(engine, item(event)).await;
        assert_eq!((error.field.as_str(), error.reason.as_str(), error.index), (field, reason, 0), "{error:?}");
        assert!(!error.message.is_empty() && !error.message.contains("customer:1"), "{error:?}");
    }
    assert_eq!(refused(engine, v1::IngestItem { item: None }).await.reason, "ITEM_EMPTY");
    assert_eq!(engine.customers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_outcomes_are_refused_and_name_their_field() {
    let running = Running::new().await;
    let engine = &running.engine;
    let report = || v1::OutcomeReport {
        subject_id: "customer:1".into(),
        external_decision_id: "x".into(),
        r#type: v1::OutcomeType::Accepted.into(),
        ..v1::OutcomeReport::default()
    };
    let bad_reports = [
        ("type", "OUTCOME_TYPE_MISSING", v1::OutcomeReport { r#type: 0, ..report() }),
        ("value", "VALUE_INVALID", v1::OutcomeReport { value: f64::NAN, ..report() }),
        ("reason_code", "TEXT_TOO_LONG", v1::OutcomeReport { reason_code: "r".repeat(65), ..report() }),
        ("outcome_token", "TOKEN_MISSING", v1::OutcomeReport { external_decision_id: String::new(), ..report() }),
        ("outcome_token", "TOKEN_AMBIGUOUS", v1::OutcomeReport { outcome_token: "t".into(), ..report() }),
        ("occur_time", "TIME_TOO_LATE", v1::OutcomeReport { occur_time: at(4_102_444_800), ..report() }),
    ];
    for (field, reason, report) in bad_reports {
        let error = refused(engine, outcome(report)).await;
        assert_eq!((error.field.as_str(), error.reason.as_str()), (field, reason), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_items_beside_bad_ones_go_on() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let mixed = vec![
        order("customer:1", "m1", 1.0, now),
        item(tracked("", "Order Placed", now)),
        order("customer:1", "m2", 1.0, now),
    ];
    let accepted = engine.ingest(mixed).await.unwrap();
    assert_eq!((accepted.accepted, accepted.errors.len(), accepted.errors[0].index), (2, 1, 1));
    settle(engine).await;
    assert_eq!(feature(engine, "customer:1", "orders"), 2.0);
    assert_eq!(engine.customers(), 1);
}
