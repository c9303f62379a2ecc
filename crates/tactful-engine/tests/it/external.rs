//! Decisions made elsewhere: captured at their place in the log, for their time, exactly once, and
//! joined with their outcomes.

use std::sync::Arc;

use prost::Message;
use tactful_core::hash;
use tactful_log::{Log, Partition};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ExternalDecisionBody, Property, Record};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use crate::fixture::{
    Running, aged, at, export, external, field, ingest, now_s, number, open, order, outcome, refused, settle, start,
    text, values,
};

fn made(subject: &str, id: &str, action: &str, seconds: i64) -> v1::ExternalDecision {
    v1::ExternalDecision {
        external_decision_id: id.into(),
        subject_id: subject.into(),
        action_id: action.into(),
        decision_time: at(seconds),
        selection_probability: 0.25,
        ..v1::ExternalDecision::default()
    }
}

fn report(subject: &str, decision: &str, message: &str) -> v1::OutcomeReport {
    v1::OutcomeReport {
        subject_id: subject.into(),
        external_decision_id: decision.into(),
        r#type: v1::OutcomeType::Converted.into(),
        value: 12.0,
        reason_code: "SPRING".into(),
        message_id: message.into(),
        ..v1::OutcomeReport::default()
    }
}

fn kind(row: &v1::DecisionRow, name: &str) -> Option<Kind> {
    row.features.get(name).and_then(|value| value.kind.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_is_that_of_the_decisions_place_and_time() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let context = values([("age", number(30.0)), ("customer.plan", text("plus")), ("hour", number(7.0))]);
    let decision =
        v1::ExternalDecision { context, placement: "home".into(), ..made("customer:1", "x1", "card", now - 50) };
    // One batch: the order in it is the order in the log.
    ingest(
        engine,
        vec![
            aged("customer:1", 44.0, now - 200),
            order("customer:1", "m1", 10.0, now - 90),
            external(decision),
            order("customer:1", "m2", 10.0, now - 40),
            external(made("customer:1", "x2", "none", now - 30)),
        ],
    )
    .await;
    let rows = export(engine).await;
    assert_eq!(rows.len(), 2);
    let first = &rows[0];
    assert!(first.external && first.ruleset_version.is_empty());
    assert_eq!((first.decision_id.as_str(), first.action_id.as_str(), first.group.as_str()), ("x1", "card", "cards"));
    assert_eq!((first.placement.as_str(), first.channel.as_str()), ("home", "web"));
    assert_eq!((first.selection_probability, first.decision_time), (0.25, at(now - 50)));
    assert_eq!(first.selection(), v1::Selection::Unspecified);
    assert_eq!(kind(first, "customer.orders"), Some(Kind::Number(1.0)), "what comes later in the log is not in it");
    assert_eq!(kind(first, "customer.since_order"), Some(Kind::Number(40.0)), "as of the decision's time");
    assert_eq!(kind(first, "customer.age"), Some(Kind::Number(30.0)), "the context wins over what is stored");
    assert_eq!(kind(first, "customer.plan"), Some(Kind::Text("plus".into())));
    assert_eq!(kind(first, "context.hour"), Some(Kind::Number(7.0)));
    let second = &rows[1];
    assert_eq!((second.action_id.as_str(), second.group.as_str()), ("none", ""));
    assert_eq!(kind(second, "customer.age"), Some(Kind::Number(44.0)));
    assert_eq!(kind(second, "customer.orders"), Some(Kind::Number(2.0)));
    assert_eq!(kind(second, "customer.since_order"), Some(Kind::Number(10.0)));
    // An action counts as a contact once, a silence never.
    assert_eq!(field(engine, "customer:1", "contact.shown_24h"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_join_by_subject_and_the_callers_id() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    // The outcome may come first: sources are not in step.
    ingest(engine, vec![outcome(report("customer:1", "x1", "o1"))]).await;
    ingest(engine, vec![external(made("customer:1", "x1", "card", now - 50))]).await;
    ingest(
        engine,
        vec![
            external(made("customer:1", "x1", "card", now - 50)),
            outcome(report("customer:1", "x1", "o1")),
            outcome(report("customer:1", "other", "o2")),
        ],
    )
    .await;
    // The same decision id under other subjects, of which at least one shares the partition.
    for n in 2..12 {
        ingest(engine, vec![outcome(report(&format!("customer:{n}"), "x1", &format!("p{n}")))]).await;
    }
    let rows = export(engine).await;
    assert_eq!(rows.len(), 1);
    let outcomes: Vec<_> = rows[0].outcomes.iter().map(|o| (o.r#type(), o.value, o.reason_code.as_str())).collect();
    assert_eq!(outcomes, [(v1::OutcomeType::Converted, 12.0, "SPRING")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_capture_is_mended_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_s();
    let subject = "customer:1";
    {
        let log = open(folder.path());
        let engine = start(&log).await;
        ingest(&engine, vec![aged(subject, 44.0, now - 90)]).await;
        engine.close(crate::fixture::PATIENCE).await;
        // The process ends here: the external decision is durable, its captured form is not.
        let body = ExternalDecisionBody {
            external_decision_id: "x1".into(),
            action_id: "plus".into(),
            decided_ms: (now - 50) * 1_000,
            selection_probability: 0.5,
            context: vec![Property { key: "hour".into(), value: Some(number(9.0)) }],
            ..ExternalDecisionBody::default()
        };
        let record = Record {
            message_hash: 4_711,
            subject_id: subject.into(),
            received_ms: now * 1_000,
            body: Some(Body::ExternalDecision(body)),
        };
        let partition = Partition::Data(hash::partition(subject, log.partitions()));
        let later = order(subject, "m1", 5.0, now - 20);
        log.append(vec![(partition, record.encode_to_vec().into())]).await.unwrap();
        let engine = start(&log).await;
        ingest(&engine, vec![later]).await;
        check(&engine).await;
        engine.close(crate::fixture::PATIENCE).await;
    }
    for _ in 0..2 {
        let log = open(folder.path());
        let engine = start(&log).await;
        settle(&engine).await;
        check(&engine).await;
        let entries = log.read(Partition::Data(hash::partition(subject, 4)), 0, 100).await.unwrap();
        assert_eq!(entries.len(), 5, "schema, event, external decision, captured form, order");
        engine.close(crate::fixture::PATIENCE).await;
    }

    async fn check(engine: &Arc<tactful_engine::Engine>) {
        let rows = export(engine).await;
        assert_eq!(rows.len(), 1, "captured exactly once");
        assert_eq!((rows[0].decision_id.as_str(), rows[0].action_id.as_str()), ("x1", "plus"));
        assert_eq!(kind(&rows[0], "customer.age"), Some(Kind::Number(44.0)));
        assert_eq!(kind(&rows[0], "context.hour"), Some(Kind::Number(9.0)));
        assert_eq!(kind(&rows[0], "customer.orders"), Some(Kind::Number(0.0)), "of its place in the log");
        assert_eq!(field(engine, "customer:1", "contact.shown_24h"), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_form_that_came_twice_is_exported_once() {
    let running = Running::new().await;
    ingest(&running.engine, vec![external(made("customer:1", "x1", "card", now_s() - 5))]).await;
    crate::fixture::decide(&running.engine, "customer:1");
    settle(&running.engine).await;
    // A retried append that had come through after all.
    let partition = Partition::Data(hash::partition("customer:1", 4));
    let entries = running.log.read(partition, 0, 100).await.unwrap();
    assert_eq!(entries.len(), 4, "the schema, and three of the customer");
    running.log.append(entries.into_iter().map(|entry| (partition, entry.payload)).collect()).await.unwrap();
    settle(&running.engine).await;
    assert_eq!(export(&running.engine).await.len(), 2);
    assert_eq!(field(&running.engine, "customer:1", "contact.shown_24h"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ones_are_refused_and_name_their_field() {
    let running = Running::new().await;
    let now = now_s();
    let good = || made("customer:1", "x1", "card", now);
    let long = "x".repeat(129);
    let of = |name: &str, value| v1::ExternalDecision { context: values([(name, value)]), ..good() };
    for (field, reason, decision) in [
        ("subject_id", "ID_EMPTY", v1::ExternalDecision { subject_id: String::new(), ..good() }),
        ("external_decision_id", "ID_EMPTY", v1::ExternalDecision { external_decision_id: String::new(), ..good() }),
        ("placement", "TEXT_TOO_LONG", v1::ExternalDecision { placement: long.clone(), ..good() }),
        ("placement", "PLACEMENT_UNKNOWN", v1::ExternalDecision { placement: "hom".into(), ..good() }),
        ("action_id", "TEXT_TOO_LONG", v1::ExternalDecision { action_id: long.clone(), ..good() }),
        ("action_id", "ACTION_UNKNOWN", v1::ExternalDecision { action_id: "cardd".into(), ..good() }),
        ("selection_probability", "PROBABILITY_INVALID", v1::ExternalDecision { selection_probability: 0.0, ..good() }),
        ("selection_probability", "PROBABILITY_INVALID", v1::ExternalDecision { selection_probability: 1.1, ..good() }),
        (
            "selection_probability",
            "PROBABILITY_INVALID",
            v1::ExternalDecision { selection_probability: f64::NAN, ..good() },
        ),
        ("decision_time", "TIME_TOO_EARLY", v1::ExternalDecision { decision_time: at(0), ..good() }),
        ("context[\"agee\"]", "FIELD_UNKNOWN", of("agee", number(1.0))),
        ("context[\"age\"]", "VALUE_INVALID", of("age", number(f64::NAN))),
        ("context[\"age\"]", "VALUE_INVALID", of("age", number(1e300))),
        ("context[\"age\"]", "VALUE_INVALID", of("age", text("old"))),
        ("context[\"plan\"]", "VALUE_INVALID", of("plan", text("gold"))),
        ("context[\"age\"]", "VALUE_INVALID", of("age", v1::Value { kind: None })),
    ] {
        let error = refused(&running.engine, external(decision)).await;
        assert_eq!((error.field.as_str(), error.reason.as_str()), (field, reason), "{error:?}");
    }
    let typo = refused(&running.engine, external(v1::ExternalDecision { action_id: "cardd".into(), ..good() })).await;
    assert!(typo.message.contains("did you mean card?"), "{typo:?}");
    let typo = refused(&running.engine, external(of("agee", number(1.0)))).await;
    assert!(typo.message.contains("customer.age") || typo.message.contains("did you mean"), "{typo:?}");
}
