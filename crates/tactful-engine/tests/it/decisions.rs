//! Decisions on live state: recorded with what they were made on, answered by tokens, idempotent by
//! request id, without a trace in mode TEST.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message;
use tactful_engine::{Error, Options};
use tactful_log::{Log, Partition};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ChosenBody, Record};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use crate::fixture::{
    Ask, Running, aged, answer, decide, export, field, ingest, item, now_s, order, refused, settle, shown, text,
    tracked, values,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_recorded_with_features_probabilities_and_outcomes() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    let plan = v1::Event { r#type: v1::EventType::Identify.into(), ..tracked("customer:1", "", now - 60) };
    ingest(
        engine,
        vec![
            aged("customer:1", 44.0, now - 60),
            item(v1::Event { properties: values([("plan", text("plus"))]), ..plan }),
            order("customer:1", "m1", 12.5, now - 30),
        ],
    )
    .await;
    let ask = Ask { placements: vec![("home", 0), ("desk", 0)], ..Ask::home("customer:1") };
    let decided = ask.decide(engine).unwrap();
    // Priorities: card 6, plus 2, help 1.5. The best goes first, none comes twice.
    assert_eq!((shown(&decided, 0), decided.decision.placements[1].shown.len()), ("card", 2));
    assert!(!decided.decision.cold_start && decided.degraded.is_empty());
    let all: Vec<&String> = decided.tokens.iter().collect();
    assert_eq!(all.len(), 3);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3, "every slot has a token of its own");

    let (card, second) = (&decided.tokens[0], &decided.tokens[1]);
    ingest(
        engine,
        vec![
            answer("customer:1", card, v1::OutcomeType::Accepted, "o2"),
            answer("customer:1", card, v1::OutcomeType::Exposed, "o1"),
            answer("customer:1", card, v1::OutcomeType::Exposed, "o1"),
            answer("customer:1", second, v1::OutcomeType::Rejected, "o3"),
        ],
    )
    .await;
    let rows = export(engine).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.decision_id == decided.id && row.subject_id == "customer:1" && !row.external));
    let kinds = |row: &v1::DecisionRow| row.outcomes.iter().map(v1::Outcome::r#type).collect::<Vec<_>>();
    assert_eq!(
        (rows[0].action_id.as_str(), rows[0].placement.as_str(), rows[0].channel.as_str()),
        ("card", "home", "web")
    );
    assert_eq!(kinds(&rows[0]), [v1::OutcomeType::Exposed, v1::OutcomeType::Accepted]);
    assert_eq!(kinds(&rows[1]), [v1::OutcomeType::Rejected]);
    assert!(kinds(&rows[2]).is_empty());
    assert_eq!((rows[1].slot, rows[2].slot, rows[2].channel.as_str()), (0, 1, "agent"));
    assert_eq!((rows[0].selection_probability, rows[0].acceptance_probability), (1.0, 0.2));
    assert_eq!((rows[0].priority, rows[0].group.as_str()), (6.0, "cards"));
    assert_eq!(rows[0].selection(), v1::Selection::Best);
    assert_eq!(rows[0].ruleset_version, format!("{:016x}", decided.ruleset.hash()));
    let kind = |name: &str| rows[0].features.get(name).and_then(|value| value.kind.clone());
    assert_eq!(kind("customer.age"), Some(Kind::Number(44.0)));
    assert_eq!(kind("customer.plan"), Some(Kind::Text("plus".into())));
    assert_eq!(kind("customer.spend"), Some(Kind::Number(12.5)));
    assert_eq!(kind("context.hour"), None, "missing values are left out");

    // The range is half open, in milliseconds of the decision.
    let (sender, mut pages) = tokio::sync::mpsc::channel(4);
    engine.export((decided.now_ms + 1, i64::MAX), sender).await.unwrap();
    assert!(pages.recv().await.is_none());
    let (sender, mut pages) = tokio::sync::mpsc::channel(4);
    engine.export((decided.now_ms, decided.now_ms + 1), sender).await.unwrap();
    assert_eq!(pages.recv().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_holds_all_that_the_decision_was_made_on() {
    let running = Running::new().await;
    let engine = &running.engine;
    ingest(engine, vec![aged("customer:1", 44.0, now_s() - 60)]).await;
    let candidates = vec!["card", "plus", "help"];
    let ask = Ask { placements: vec![("home", 0), ("desk", 0)], candidates, ..Ask::home("customer:1") };
    let decided = ask.decide(engine).unwrap();
    // An export waits until what was decided before is in the log.
    export(engine).await;
    let partition = Partition::Data(tactful_core::hash::partition("customer:1", running.log.partitions()));
    let last = running.log.read(partition, 0, 100).await.unwrap().pop().unwrap();
    let record = Record::decode(last.payload).unwrap();
    assert_eq!((record.subject_id.as_str(), record.received_ms), ("customer:1", decided.now_ms));
    let Some(Body::Decision(body)) = record.body else { panic!("not a decision") };
    let ruleset = &decided.ruleset;
    assert_eq!((&body.decision_id, body.decided_ms), (&decided.id, decided.now_ms));
    assert_eq!((body.ruleset, body.layout, body.external), (ruleset.hash(), ruleset.layout_hash, false));
    assert_eq!(v1::DecideRequest::decode(&*body.request).unwrap().candidate_actions, ask.candidates);
    assert_eq!(body.fields, decided.decision.field_bytes());
    assert_ne!(body.purposes, 0);
    let slots = ruleset.schema.slot_count();
    let set: u32 = body.packed_slots[..slots.div_ceil(8)].iter().map(|byte| byte.count_ones()).sum();
    assert!(set > 0 && body.packed_slots.len() == slots.div_ceil(8) + 8 * set as usize, "{set} of {slots} slots");
    let mut expected = Vec::new();
    for placement in &decided.decision.placements {
        let place = &ruleset.placements[placement.placement];
        expected.extend(placement.shown.iter().map(|shown| ChosenBody {
            action_id: ruleset.actions[shown.action].id.clone(),
            placement: place.id.clone(),
            channel: place.channel.clone(),
            slot: shown.slot as u32,
            selection_probability: shown.selection_probability,
            acceptance_probability: shown.scored.acceptance,
            priority: shown.scored.priority,
            group: ruleset.actions[shown.action].group.clone(),
        }));
    }
    assert_eq!(body.chosen, expected);
    assert_eq!(body.chosen.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_customer_is_a_cold_start_and_counts_from_then_on() {
    let running = Running::new().await;
    let engine = &running.engine;
    let first = decide(engine, "anon:new");
    assert!(first.decision.cold_start);
    assert_eq!(shown(&first, 0), "card");
    settle(engine).await;
    assert_eq!(field(engine, "anon:new", "contact.shown_24h"), 1.0);
    let second = decide(engine, "anon:new");
    assert!(!second.decision.cold_start, "the first decision is known of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_attributed_even_without_the_decisions_record() {
    let running = Running::new().await;
    let engine = &running.engine;
    // A request beyond what a record holds is served unlogged.
    let filler = ["z".repeat(128)];
    let candidates = std::iter::repeat_n(filler[0].as_str(), 9_000).chain(["card"]).collect();
    let ask = Ask { candidates, ..Ask::home("customer:1") };
    let decided = ask.decide(engine).unwrap();
    assert_eq!((decided.degraded.as_slice(), engine.unlogged()), (["UNLOGGED"].as_slice(), 1));
    assert_eq!(shown(&decided, 0), "card");
    ingest(engine, vec![answer("customer:1", &decided.tokens[0], v1::OutcomeType::Accepted, "o1")]).await;
    assert!(export(engine).await.is_empty());
    let timeline = engine.context("customer:1").unwrap().timeline;
    assert_eq!(timeline.len(), 1);
    assert_eq!((timeline[0].action.as_str(), timeline[0].channel.as_str()), ("card", "web"));
    assert_eq!(field(engine, "customer:1", "contact.accepted_30d"), 1.0);
    // It stands in nobody's way.
    assert!(decide(engine, "customer:1").degraded.is_empty());
    assert_eq!(export(engine).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_long_requests_are_all_recorded() {
    let running = Running::new().await;
    let engine = &running.engine;
    let filler = "z".repeat(100);
    let candidates: Vec<&str> = std::iter::repeat_n(filler.as_str(), 4_000).chain(["card"]).collect();
    // Held back, they come as one group, far larger than what the log takes at once.
    running.log.stall(true);
    for n in 0..60 {
        let subject = format!("customer:{n}");
        let decided = Ask { candidates: candidates.clone(), ..Ask::home(&subject) }.decide(engine).unwrap();
        assert!(decided.degraded.is_empty(), "{:?}", decided.degraded);
    }
    running.log.stall(false);
    assert_eq!(export(engine).await.len(), 60);
    assert_eq!(engine.unlogged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_subject_alone_and_unchanged() {
    let running = Running::new().await;
    let engine = &running.engine;
    let token = decide(engine, "customer:1").tokens[0].clone();
    let stolen = refused(engine, answer("customer:2", &token, v1::OutcomeType::Accepted, "")).await;
    assert_eq!((stolen.reason.as_str(), stolen.field.as_str()), ("TOKEN_INVALID", "outcome_token"));
    assert!(!stolen.message.contains("customer:") && !stolen.message.contains(&token));
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = if forged == token { format!("{}B", &token[..token.len() - 1]) } else { forged };
    for bad in [forged.as_str(), &token[1..], "nonsense", &"x".repeat(100_000)] {
        let error = refused(engine, answer("customer:1", bad, v1::OutcomeType::Accepted, "")).await;
        assert_eq!(error.reason, "TOKEN_INVALID");
    }
    settle(engine).await;
    assert_eq!(field(engine, "customer:1", "contact.accepted_30d"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_request_gets_the_same_answer_and_one_record() {
    let running = Running::new().await;
    let engine = &running.engine;
    let ask = |subject| Ask { request_id: "r1", ..Ask::home(subject) };
    let first = ask("customer:1").decide(engine).unwrap();
    settle(engine).await;
    let again = ask("customer:1").decide(engine).unwrap();
    assert_eq!((&first.id, &first.tokens), (&again.id, &again.tokens));
    let other = ask("customer:2").decide(engine).unwrap();
    assert_ne!(other.id, first.id, "the same request id of another subject is another request");

    // Many at once get one answer.
    let retries: Vec<_> = (0..16)
        .map(|_| {
            let engine = Arc::clone(engine);
            tokio::task::spawn_blocking(move || {
                Ask { request_id: "r2", ..Ask::home("customer:3") }.decide(&engine).unwrap().id.clone()
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for retry in retries {
        ids.insert(retry.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let recorded: Vec<String> = export(engine).await.into_iter().map(|row| row.decision_id).collect();
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_for_retries_are_bounded_in_number_and_age() {
    let few = Running::with(Options { replies_max: 2, ..Options::default() }).await;
    let id = |running: &Running, request_id| {
        let decided = Ask { request_id, ..Ask::home("customer:1") }.decide(&running.engine).unwrap();
        decided.id.clone()
    };
    let ids = ["r1", "r2", "r3", "r4"].map(|request_id| id(&few, request_id));
    assert_eq!(id(&few, "r4"), ids[3]);
    assert_ne!(id(&few, "r1"), ids[0], "the oldest was forgotten");
    let short = Running::with(Options { replies_age_ms_max: 20, ..Options::default() }).await;
    let first = id(&short, "r1");
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_ne!(id(&short, "r1"), first, "its time was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_what_if_leaves_no_trace() {
    let running = Running::new().await;
    let engine = &running.engine;
    let before = engine.digests();
    let ask = Ask { live: false, request_id: "r1", ..Ask::home("customer:1") };
    let tested = ask.decide(engine).unwrap();
    assert_eq!(shown(&tested, 0), "card");
    assert!(tested.id.is_empty() && tested.tokens.is_empty());
    settle(engine).await;
    assert!(export(engine).await.is_empty());
    assert_eq!(engine.digests(), before);
    // Its request id is not taken.
    let live = Ask { request_id: "r1", ..Ask::home("customer:1") }.decide(engine).unwrap();
    assert!(!live.id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_name_their_fields() {
    let running = Running::new().await;
    let engine = &running.engine;
    let fields = |ask: Ask<'_>| match ask.decide(engine) {
        Err(Error::Invalid(fields)) => fields.into_iter().map(|field| field.field).collect::<Vec<_>>(),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(fields(Ask::home("")), ["subject_id"]);
    assert_eq!(fields(Ask { placements: Vec::new(), ..Ask::home("c") }), ["placements"]);
    assert_eq!(fields(Ask { placements: vec![("hom", 0)], ..Ask::home("c") }), ["placements[0].placement"]);
    assert_eq!(fields(Ask { placements: vec![("home", -1)], ..Ask::home("c") }), ["placements[0].count"]);
    assert_eq!(fields(Ask { candidates: vec!["card"; 100_000], ..Ask::home("c") }), ["candidate_actions"]);
    // A name of a megabyte is refused before anything is compared with it.
    let endless = "p".repeat(1 << 20);
    let started = std::time::Instant::now();
    assert_eq!(fields(Ask { placements: vec![(&endless, 0)], ..Ask::home("c") }), ["placements[0].placement"]);
    assert!(started.elapsed().as_secs() < 3, "{:?}", started.elapsed());
    assert_eq!(export(engine).await.len(), 0);
}
