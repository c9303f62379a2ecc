//! Linked subject ids are one customer: through restarts, with either half, on two nodes, and while everything
//! else goes on.

use std::sync::Arc;

use prost::Message;
use tactful_core::hash;
use tactful_core::limits::LINKED_IDS_MAX;
use tactful_core::state::MatterState;
use tactful_engine::{Engine, Error, LinkCommand};
use tactful_log::{Log, Partition, RedisLog, RedisOptions, RedisServer};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{LinkBody, Record};
use tactful_proto::v1;
use tokio::time::Instant;

use crate::fixture::{
    Ask, PATIENCE, Running, Stop, aged, at, decide, export, external, feature, field, ingest, item, now_s, order,
    refused, settle, start, tracked, until,
};

fn ids(engine: &Engine, subject: &str) -> Vec<String> {
    engine.context(subject).unwrap().subject_ids
}

fn statement(subject: &str, other: &str, seconds: i64, linked: bool) -> LinkCommand {
    LinkCommand {
        subject_id: subject.into(),
        other_id: other.into(),
        event_time: at(seconds),
        linked,
        ..LinkCommand::default()
    }
}

async fn link(engine: &Engine, subject: &str, other: &str, seconds: i64) {
    engine.link(&statement(subject, other, seconds, true)).await.unwrap();
    settle(engine).await;
}

async fn unlink(engine: &Engine, subject: &str, other: &str, seconds: i64) {
    engine.link(&statement(subject, other, seconds, false)).await.unwrap();
    settle(engine).await;
}

fn identified(subject: &str, anonymous: &str, seconds: i64) -> v1::IngestItem {
    item(v1::Event {
        message_id: format!("identify:{subject}:{anonymous}:{seconds}"),
        subject_id: subject.into(),
        r#type: v1::EventType::Identify.into(),
        event_time: at(seconds),
        anonymous_id: anonymous.into(),
        ..v1::Event::default()
    })
}

fn aliased(subject: &str, previous: &str, seconds: i64) -> v1::IngestItem {
    item(v1::Event {
        subject_id: subject.into(),
        r#type: v1::EventType::Alias.into(),
        event_time: at(seconds),
        previous_id: previous.into(),
        ..v1::Event::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_visitor_did_before_the_login_counts_in_the_next_decision_of_another_channel() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let fault = |name: &str, seconds| v1::Event { matter_id: "fault:7".into(), ..tracked("anon:af31", name, seconds) };
    let orders = vec![order("anon:af31", "m1", 20.0, now - 90), item(fault("Fault Reported", now - 80))];
    ingest(engine, orders).await;
    decide(engine, "anon:af31");
    ingest(engine, vec![order("customer:1", "m2", 5.0, now - 70), aged("customer:1", 44.0, now - 60)]).await;
    assert_eq!(feature(engine, "customer:1", "orders"), 1.0, "nobody knows yet");

    let accepted = engine.ingest(vec![identified("customer:1", "af31", now - 50)]).await.unwrap();
    assert_eq!((accepted.accepted, accepted.errors.len()), (1, 0), "one item, however many entries");
    assert_eq!(engine.reach(&accepted.position, Instant::now() + PATIENCE).await.unwrap(), None);
    let desk = Ask { placements: vec![("desk", 2)], ..Ask::home("customer:1") }.decide(engine).unwrap();
    let read = |name: &str| desk.decision.fields[desk.ruleset.layout.index(name).unwrap()];
    assert_eq!((read("customer.orders"), read("customer.spend"), read("customer.age")), (2.0, 25.0, 44.0));
    assert_eq!((read("contact.shown_24h"), read("matter.open")), (1.0, 1.0), "what was shown to the visitor counts");
    assert!(!desk.decision.cold_start && desk.degraded.is_empty(), "{:?}", desk.degraded);

    // The call ends the matter that the visit began.
    let fixed =
        v1::Event { subject_id: "customer:1".into(), channel: "agent".into(), ..fault("Fault Fixed", now - 20) };
    ingest(engine, vec![item(fixed)]).await;
    let context = engine.context("customer:1").unwrap();
    assert_eq!(
        (context.subject_ids, context.subject_ids_truncated),
        (vec!["anon:af31".into(), "customer:1".into()], false)
    );
    let matters: Vec<_> = context.open_matters.iter().map(|m| (m.id.as_str(), m.state, m.channel.as_str())).collect();
    assert_eq!(matters, [("fault:7", MatterState::Resolved, "agent")]);
    let timeline: Vec<_> = context.timeline.iter().map(|entry| entry.name.as_str()).collect();
    let told = ["Fault Fixed", "identify", "identify", "Order Placed", "Fault Reported", "Order Placed"];
    let events: Vec<_> = timeline.iter().filter(|name| **name != "decision").copied().collect();
    assert_eq!(events, told);
    assert!(context.timeline.is_sorted_by(|one, next| one.time_s >= next.time_s));
    // Whoever is asked for, it is the same customer.
    assert_eq!(feature(engine, "anon:af31", "spend"), 25.0);
    assert_eq!(field(engine, "anon:af31", "customer.age"), 44.0);
    assert_eq!(ids(engine, "anon:af31"), ids(engine, "customer:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_said_of_a_customer_and_a_visitor_links_them() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let items = vec![
        aliased("customer:1", "customer:2", now - 90),
        identified("customer:1", "", now - 90),
        aliased("anon:a", "device:x", now - 90),
        identified("anon:a", "device:x", now - 90),
        aliased("customer:3", "anon:c", now - 90),
        aliased("anon:d", "customer:4", now - 90),
    ];
    ingest(engine, items).await;
    for alone in ["customer:1", "customer:2", "anon:a", "device:x"] {
        assert_eq!(ids(engine, alone), [alone]);
    }
    assert_eq!(ids(engine, "customer:3"), ["anon:c", "customer:3"]);
    assert_eq!(ids(engine, "customer:4"), ["anon:d", "customer:4"]);
    // A shared device is that of its latest customer, and joins nobody.
    ingest(engine, vec![identified("customer:5", "device:s", now - 40), order("customer:5", "", 1.0, now - 40)]).await;
    ingest(engine, vec![identified("customer:6", "device:s", now - 30)]).await;
    assert_eq!(ids(engine, "customer:5"), ["customer:5"]);
    assert_eq!(ids(engine, "device:s"), ["customer:6", "device:s"]);
    assert_eq!(feature(engine, "customer:6", "orders"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_unlinked_and_linked_again_by_event_time_in_any_order() {
    let now = now_s();
    let said = [(now - 50, true), (now - 40, false), (now - 30, true), (now - 30, true)];
    let mut content = Vec::new();
    for order_of in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let running = Running::new().await;
        ingest(&running.engine, vec![aged("customer:2", 44.0, now - 90)]).await;
        for at in order_of {
            let (seconds, linked) = said[at];
            let command = statement("customer:1", "customer:2", seconds, linked);
            running.engine.link(&LinkCommand { message_id: format!("m{seconds}"), ..command }).await.unwrap();
        }
        settle(&running.engine).await;
        assert_eq!(ids(&running.engine, "customer:1"), ["customer:1", "customer:2"]);
        assert_eq!(feature(&running.engine, "customer:1", "age"), 44.0);
        content.push(running.engine.digests().content);
        unlink(&running.engine, "customer:2", "customer:1", now - 30).await;
        assert_eq!(ids(&running.engine, "customer:1"), ["customer:1"], "at equal times they are kept apart");
        assert_eq!(feature(&running.engine, "customer:2", "age"), 44.0, "each keeps its own");
        assert!(!content.contains(&running.engine.digests().content));
    }
    assert!(content.iter().all(|one| *one == content[0]), "{content:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_the_same_customers() {
    let running = Running::new().await;
    let now = now_s();
    for n in 0..30 {
        let (customer, visitor) = (format!("customer:{n}"), format!("anon:{n}"));
        ingest(&running.engine, vec![order(&visitor, "", 1.0, now - 90), identified(&customer, &visitor, now - 80)])
            .await;
    }
    link(&running.engine, "customer:3", "customer:4", now - 50).await;
    unlink(&running.engine, "customer:5", "anon:5", now - 50).await;
    let seen = |engine: &Engine| (0..30).map(|n| ids(engine, &format!("anon:{n}"))).collect::<Vec<_>>();
    let (before, customers) = (running.engine.digests(), seen(&running.engine));
    assert_eq!(customers[3], ["anon:3", "anon:4", "customer:3", "customer:4"]);
    assert_eq!(customers[5], ["anon:5"]);
    let running = running.restart().await;
    assert_eq!(running.engine.digests(), before);
    assert_eq!(seen(&running.engine), customers);
    assert_eq!(feature(&running.engine, "customer:4", "orders"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_half_alone_links_both_ids() {
    let running = Running::new().await;
    let now = now_s();
    for (n, own) in [("1", true), ("2", false)] {
        let (customer, visitor) = (format!("customer:{n}"), format!("anon:{n}"));
        ingest(&running.engine, vec![order(&visitor, "", 1.0, now - 90)]).await;
        let (subject_id, other_id) = if own { (customer, visitor) } else { (visitor, customer) };
        let partition = Partition::Data(hash::partition(&subject_id, running.log.partitions()));
        let body = LinkBody { other_id, event_ms: (now - 50) * 1_000, linked: true, ..LinkBody::default() };
        let record = Record { message_hash: 0, subject_id, received_ms: now * 1_000, body: Some(Body::Link(body)) };
        running.log.append(vec![(partition, record.encode_to_vec().into())]).await.unwrap();
        settle(&running.engine).await;
        assert_eq!(ids(&running.engine, &format!("anon:{n}")), [format!("anon:{n}"), format!("customer:{n}")]);
        assert_eq!(feature(&running.engine, &format!("customer:{n}"), "orders"), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_forty_ids_the_same_32_are_read_and_the_answer_says_so() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let customers: Vec<String> = (10..50).map(|n| format!("customer:{n}")).collect();
    ingest(engine, customers.iter().map(|id| order(id, "", 1.0, now - 90)).collect()).await;
    for pair in customers.windows(2) {
        engine.link(&statement(&pair[0], &pair[1], now - 50, true)).await.unwrap();
    }
    settle(engine).await;
    for id in &customers {
        let context = engine.context(id).unwrap();
        assert_eq!(
            (context.subject_ids.as_slice(), context.subject_ids_truncated),
            (&customers[..LINKED_IDS_MAX], true)
        );
        let decided = Ask { live: false, ..Ask::home(id) }.decide(engine).unwrap();
        assert_eq!(decided.degraded, ["TOO_MANY_IDS"]);
        assert_eq!(field(engine, id, "customer.orders"), LINKED_IDS_MAX as f32);
    }
    assert!(decide(engine, "customer:alone").degraded.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_made_elsewhere_is_recorded_with_what_all_ids_know() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    ingest(engine, vec![order("anon:a", "m1", 5.0, now - 90), identified("customer:1", "anon:a", now - 80)]).await;
    let made = v1::ExternalDecision {
        external_decision_id: "x1".into(),
        subject_id: "customer:1".into(),
        action_id: "card".into(),
        decision_time: at(now - 50),
        selection_probability: 0.5,
        ..v1::ExternalDecision::default()
    };
    ingest(engine, vec![external(made)]).await;
    let rows = export(engine).await;
    assert_eq!(rows[0].features["customer.orders"], crate::fixture::number(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_statements_are_refused_and_name_their_field() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let good = || statement("customer:1", "anon:a", now, true);
    let long = "x".repeat(129);
    let cases = [
        ("subject_id", "is empty", LinkCommand { subject_id: String::new(), ..good() }),
        ("subject_id", "at most 128", LinkCommand { subject_id: long.clone(), ..good() }),
        ("other_subject_id", "is empty", LinkCommand { other_id: String::new(), ..good() }),
        ("other_subject_id", "the subject_id itself", LinkCommand { other_id: "customer:1".into(), ..good() }),
        ("other_subject_id", "link each of them with", LinkCommand { subject_id: "device:x".into(), ..good() }),
        ("message_id", "at most 128", LinkCommand { message_id: long.clone(), ..good() }),
        ("source", "at most 128", LinkCommand { source: long.clone(), ..good() }),
        ("event_time", "5 minutes ahead", LinkCommand { event_time: at(4_102_444_800), ..good() }),
        ("event_time", "before 1980", LinkCommand { event_time: at(0), ..good() }),
    ];
    for (field, message, command) in cases {
        let Err(Error::Invalid(fields)) = engine.link(&command).await else { panic!("{command:?} was taken") };
        assert_eq!((fields[0].field.as_str(), fields.len()), (field, 1), "{fields:?}");
        assert!(fields[0].message.contains(message) && !fields[0].message.contains("anon:a"), "{fields:?}");
    }
    let several = LinkCommand { subject_id: String::new(), source: long.clone(), event_time: at(0), ..good() };
    let Err(Error::Invalid(fields)) = engine.link(&several).await else { panic!("it was taken") };
    assert_eq!(fields.len(), 3, "{fields:?}");
    // Of an event: too long with its prefix, or not an identify.
    let mut event = v1::Event { anonymous_id: "a".repeat(124), ..v1::Event::default() };
    (event.subject_id, event.r#type) = ("customer:1".into(), v1::EventType::Identify.into());
    let error = refused(engine, item(event.clone())).await;
    assert_eq!((error.field.as_str(), error.reason.as_str()), ("anonymous_id", "TEXT_TOO_LONG"));
    event.r#type = v1::EventType::Page.into();
    let error = refused(engine, item(event)).await;
    assert_eq!((error.field.as_str(), error.reason.as_str()), ("anonymous_id", "ANONYMOUS_ID_UNEXPECTED"));
    assert_eq!(engine.customers(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn linking_reading_and_folding_go_on_together() {
    let running = Running::new().await;
    let now = now_s();
    let stop = Stop::default();
    let stopping = stop.on_drop();
    let readers: Vec<_> = (0..2)
        .map(|reader| {
            let (engine, stop) = (Arc::clone(&running.engine), stop.clone());
            std::thread::spawn(move || {
                let mut read = 0;
                while !stop.is_set() {
                    let subject = format!("customer:{}", (read + reader) % 8);
                    Ask { live: false, ..Ask::home(&subject) }.decide(&engine).unwrap();
                    engine.context(&subject).unwrap();
                    read += 1;
                }
                read
            })
        })
        .collect();
    for round in 0..40_i64 {
        let customers: Vec<String> = (0..8).map(|n| format!("customer:{n}")).collect();
        let items = customers.iter().map(|id| order(id, "", 1.0, now - 90)).collect();
        running.engine.ingest(items).await.unwrap();
        for pair in customers.windows(2) {
            let linked = round % 2 == 1;
            running.engine.link(&statement(&pair[0], &pair[1], now - 50 + round, linked)).await.unwrap();
        }
    }
    settle(&running.engine).await;
    drop(stopping);
    assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    assert_eq!(ids(&running.engine, "customer:0").len(), 8);
    assert_eq!(feature(&running.engine, "customer:7", "orders"), 320.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_redis_know_the_same_customers() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path()).expect("redis-server");
    let open = || -> Arc<dyn Log> {
        Arc::new(RedisLog::open(&RedisOptions { url: redis.url(), partitions: 4, recent_bytes: 1 << 20 }).unwrap())
    };
    let [one, other] = [start(&open()).await, start(&open()).await];
    let now = now_s();
    ingest(&one, vec![order("anon:a", "m1", 5.0, now - 90), identified("customer:1", "anon:a", now - 80)]).await;
    other.link(&statement("customer:1", "customer:2", now - 60, true)).await.unwrap();
    // What one node was told the next decision on the other knows, if it names the acknowledgement.
    let position = other.link(&statement("customer:2", "device:x", now - 50, true)).await.unwrap();
    assert_eq!(one.reach(&position, Instant::now() + PATIENCE).await.unwrap(), None);
    let all = ["anon:a", "customer:1", "customer:2", "device:x"];
    assert_eq!(ids(&one, "device:x"), all);
    let position = one.link(&statement("customer:1", "customer:2", now - 40, false)).await.unwrap();
    assert_eq!(other.reach(&position, Instant::now() + PATIENCE).await.unwrap(), None);
    // The order and the link were acknowledged by positions that nobody waited for.
    let know = |engine: &Engine| {
        ids(engine, "customer:1") == ["anon:a", "customer:1"] && feature(engine, "customer:1", "orders") == 1.0
    };
    until(|| know(&one) && know(&other) && one.digests() == other.digests(), "both know the same").await;
    for engine in [&one, &other] {
        assert_eq!(ids(engine, "device:x"), ["customer:2", "device:x"]);
        assert_eq!(feature(engine, "customer:2", "orders"), 0.0);
    }
    one.close(PATIENCE).await;
    other.close(PATIENCE).await;
}
