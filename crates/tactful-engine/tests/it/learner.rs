//! Learning online: every decision counts once, whatever dies; a poisoned stream is stopped; operators have the
//! last word.

use std::sync::Arc;

use tactful_core::ruleset::Alias;
use tactful_engine::{Engine, MoveCommand, Reference};
use tactful_log::Log;
use tactful_models::Recipe;
use tactful_proto::storage::MoveCause;
use tactful_proto::v1;

use crate::artifacts::{card, constant};
use crate::fixture::{Running, at, external, ingest, now_s, number, outcome, start, until, values};

/// Windows of a second, a version each second.
fn recipe() -> Recipe {
    Recipe::parse(
        "name = \"acceptance\"\nkind = \"ftrl\"\n[ftrl]\nlearning_rate = 0.3\n[reward]\nwindow = \"1s\"\n\
         [online]\npublish_every = \"1s\"\n",
    )
    .unwrap()
}

/// Decisions about an action made elsewhere a day ago, each with its answer.
async fn answered(engine: &Engine, action: &str, numbers: std::ops::Range<usize>, accepts: impl Fn(usize) -> bool) {
    let then = now_s() - 86_400;
    let mut items = Vec::new();
    for n in numbers {
        let (subject, id) = (format!("customer:{n}"), format!("{action}{n}"));
        items.push(external(v1::ExternalDecision {
            external_decision_id: id.clone(),
            subject_id: subject.clone(),
            action_id: action.into(),
            decision_time: at(then),
            selection_probability: 1.0,
            context: values([("age", number(30.0))]),
            ..v1::ExternalDecision::default()
        }));
        if accepts(n) {
            items.push(outcome(v1::OutcomeReport {
                subject_id: subject,
                external_decision_id: id,
                r#type: v1::OutcomeType::Accepted.into(),
                occur_time: at(then),
                ..v1::OutcomeReport::default()
            }));
        }
    }
    ingest(engine, items).await;
}

/// Rows and positives of the champion's head for an action.
async fn learnt(engine: &Engine, action: &str) -> (u64, u64) {
    let champion = engine.models().in_use.get(&Alias::Champion).map(|champion| champion.reference.clone());
    let (_, loaded) = engine.model(&champion.unwrap()).await.unwrap();
    let head = loaded.model.heads.iter().find(|head| head.id == action);
    head.map_or((0, 0), |head| (head.rows, head.positives))
}

async fn comes_to(engine: &Engine, action: &str, expected: (u64, u64)) {
    for _ in 0..600 {
        if learnt(engine, action).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{:?} instead of {expected:?}", learnt(engine, action).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_counts_once_whoever_dies_while_learning() {
    let running = Running::new().await;
    running.engine.load_model(constant(0.0).into()).await.unwrap();
    running.engine.start_learner(recipe());
    // What was there before it began is not learnt from.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    answered(&running.engine, "plus", 0..120, |n| n % 4 == 0).await;
    comes_to(&running.engine, "plus", (120, 30)).await;
    answered(&running.engine, "plus", 120..200, |n| n % 4 == 0).await;
    // As a crash: between what it learns, what it keeps and what it publishes, wherever that hits.
    running.engine.abort().await;
    let shared: Arc<dyn Log> = running.log.clone();
    let (first, second) = (start(&shared).await, start(&shared).await);
    first.start_learner(recipe());
    second.start_learner(recipe());
    answered(&second, "plus", 200..300, |n| n % 4 == 0).await;
    comes_to(&first, "plus", (300, 75)).await;
    first.abort().await;
    answered(&second, "plus", 300..400, |n| n % 4 == 0).await;
    comes_to(&second, "plus", (400, 100)).await;
    let moves = second.models().moves;
    assert!(moves.iter().skip(1).all(|moved| moved.cause == MoveCause::Learner), "{moves:?}");
    second.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_stream_is_stopped_until_an_operator_says_otherwise() {
    let running = Running::new().await;
    // One in five accepts, says a head of a thousand rows.
    running.engine.load_model(card(-1.386_294_4, 1_000).into()).await.unwrap();
    running.engine.start_learner(recipe());
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    answered(&running.engine, "card", 0..400, |n| n % 5 == 0).await;
    comes_to(&running.engine, "card", (1_400, 90)).await;
    let is_stopped = |engine: &Engine| engine.models().moves.last().unwrap().cause == MoveCause::GuardRail;
    answered(&running.engine, "card", 400..900, |_| true).await;
    until(|| is_stopped(&running.engine), "it stops").await;
    let stop = running.engine.models().moves.last().unwrap().clone();
    assert!(stop.note.contains("learning stopped") && stop.note.contains("are positive"), "{}", stop.note);
    // It stays so through a restart, and nothing more is published.
    let running = running.restart().await;
    running.engine.start_learner(recipe());
    answered(&running.engine, "card", 900..1_000, |_| true).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(running.engine.models().moves.last(), Some(&stop));
    let (rows, positives) = learnt(&running.engine, "card").await;
    assert!(rows <= 1_400 && positives < 150, "the version in use knows nothing of it: {rows} {positives}");
    // An operator puts a version into use: learning begins anew from there.
    let to = Some(Reference { name: "acceptance".into(), version: 1 });
    let (alias, cause, note) = (Alias::Champion, MoveCause::Caller, String::new());
    let command = MoveCommand { alias, to, share: 1.0, cause, note, follows: None };
    running.engine.move_alias(&command).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    answered(&running.engine, "card", 1_000..1_100, |n| n % 5 == 0).await;
    comes_to(&running.engine, "card", (1_100, 30)).await;
}
