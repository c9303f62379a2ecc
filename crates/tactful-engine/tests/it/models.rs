//! Models come and go while decisions go on: the loop from the record to the next model, restarts,
//! bad artifacts, and swaps under load.

use std::sync::Arc;

use tactful_core::math::sigmoid;
use tactful_core::ruleset::Alias;
use tactful_core::score::Source;
use tactful_engine::{Decided, Engine, Error, MoveCommand};
use tactful_log::Log;
use tactful_models::{Dataset, Recipe, train};
use tactful_proto::storage::MoveCause;
use tactful_proto::v1;

use crate::artifacts::{artifact, constant, overflowing};
use crate::faulty::broken;
use crate::fixture::{
    Ask, PATIENCE, Running, Stop, aged, at, decide, export, external, ingest, now_s, number, order, outcome, start,
    until, values,
};

fn version(decided: &Decided) -> Option<&str> {
    decided.ruleset.bank().map(|bank| bank.version())
}

fn acceptance(decided: &Decided) -> f32 {
    decided.decision.placements[0].shown[0].scored.acceptance
}

/// Recommendations made elsewhere 30 days ago: older customers accepted the card, younger ones did not.
async fn history(engine: &Engine) {
    let then = now_s() - 30 * 86_400;
    for batch in 0..4 {
        let mut items = Vec::new();
        for n in 0..100_i64 {
            let at_s = then + batch * 100 + n;
            let (subject, id) = (format!("customer:{batch}-{n}"), format!("x{batch}-{n}"));
            let age = 20.0 + (n % 50) as f64;
            items.push(external(v1::ExternalDecision {
                external_decision_id: id.clone(),
                subject_id: subject.clone(),
                action_id: "card".into(),
                decision_time: at(at_s),
                selection_probability: 1.0,
                context: values([("age", number(age))]),
                ..v1::ExternalDecision::default()
            }));
            // Every tenth goes against the rule, so that the classes overlap.
            if (age > 45.0) != (n % 10 == 0) {
                items.push(outcome(v1::OutcomeReport {
                    subject_id: subject,
                    external_decision_id: id,
                    r#type: v1::OutcomeType::Accepted.into(),
                    occur_time: at(at_s + 60),
                    ..v1::OutcomeReport::default()
                }));
            }
        }
        ingest(engine, items).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_trained_from_the_record_decides() {
    let running = Running::new().await;
    let engine = &running.engine;
    history(engine).await;
    let rows = export(engine).await;
    assert_eq!(rows.len(), 400);
    let recipe = Recipe::parse(
        "name = \"acceptance\"\nkind = \"logistic\"\nfeatures = [\"customer.age\"]\nmin_rows_per_action = 50\n",
    )
    .unwrap();
    let mut dataset = Dataset::new(&recipe);
    rows.into_iter().for_each(|row| dataset.push(row).unwrap());
    let trained = train(&recipe, dataset, now_s() * 1_000, &mut |_| {}).unwrap();

    let now = now_s();
    ingest(engine, vec![aged("old", 65.0, now), aged("young", 21.0, now)]).await;
    let card = |subject| Ask { candidates: vec!["card"], ..Ask::home(subject) }.decide(engine).unwrap();
    let prior = card("old");
    assert_eq!((acceptance(&prior), version(&prior)), (0.2, None));
    let loaded = engine.load_model(trained.artifact.clone().into()).await.unwrap();
    assert_eq!((loaded.name.as_str(), loaded.action_heads), ("acceptance", 1));
    assert_eq!(loaded.version, trained.model.version);
    assert_eq!(loaded.ruleset, engine.ruleset().hash());
    assert_ne!(prior.ruleset.hash(), loaded.ruleset);
    let (old, young) = (card("old"), card("young"));
    assert_eq!(old.decision.placements[0].shown[0].scored.source, Source::Action);
    assert_eq!(version(&old), Some(loaded.version.as_str()));
    assert!(acceptance(&old) > 0.7 && acceptance(&young) < 0.3, "{} {}", acceptance(&old), acceptance(&young));

    // The record says which model decided.
    let rows = export(engine).await;
    let row = rows.iter().find(|row| row.decision_id == old.id).unwrap();
    assert_eq!((row.model_version.as_str(), row.acceptance_probability), (loaded.version.as_str(), acceptance(&old)));

    // A restart decides with it again, by the same ruleset.
    let running = running.restart().await;
    let again = Ask { candidates: vec!["card"], ..Ask::home("old") }.decide(&running.engine).unwrap();
    assert_eq!((acceptance(&again), again.ruleset.hash()), (acceptance(&old), loaded.ruleset));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_artifact_never_replaces_a_good_one() {
    let running = Running::new().await;
    let engine = &running.engine;
    let good = constant(0.5);
    let loaded = engine.load_model(good.clone().into()).await.unwrap();
    let unmoved = |engine: &Engine| {
        assert_eq!(engine.ruleset().hash(), loaded.ruleset);
        let decided = decide(engine, "customer:1");
        assert_eq!((version(&decided), acceptance(&decided)), (Some(loaded.version.as_str()), sigmoid(0.5)));
    };
    for length in (0..good.len()).step_by(7) {
        let truncated = engine.load_model(good[..length].to_vec().into()).await;
        assert!(matches!(truncated, Err(Error::Model(_))), "{length} bytes: {truncated:?}");
    }
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        let refused = engine.load_model(flipped.into()).await;
        assert!(matches!(refused, Err(Error::Model(_))), "byte {at}: {refused:?}");
    }
    unmoved(engine);
    for (input, kind) in [("customer.height", "number"), ("customer.age", "bool"), ("context.page", "number")] {
        let refused = engine.load_model(artifact(0.5, (input, kind)).into()).await.unwrap_err();
        assert!(matches!(&refused, Error::Model(reason) if reason.contains(input)), "{refused:?}");
    }
    unmoved(engine);

    // A log that cannot keep it: refused as well, and a restart knows the old one.
    running.log.fail(broken());
    assert!(matches!(engine.load_model(constant(2.0).into()).await, Err(Error::Log(_))));
    unmoved(engine);
    running.log.fail(None);
    let running = running.restart().await;
    unmoved(&running.engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_loaded_last_is_the_one_that_a_restart_brings_back() {
    let running = Running::new().await;
    running.engine.load_model(constant(1.0).into()).await.unwrap();
    let last = running.engine.load_model(constant(2.0).into()).await.unwrap();
    // Its blob may be shared with an earlier load.
    running.engine.load_model(constant(1.0).into()).await.unwrap();
    running.engine.load_model(constant(2.0).into()).await.unwrap();
    let running = running.restart().await;
    let decided = decide(&running.engine, "customer:1");
    assert_eq!((decided.ruleset.hash(), acceptance(&decided)), (last.ruleset, sigmoid(2.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_one_node_loads_is_that_of_every_node() {
    let running = Running::new().await;
    let shared: Arc<dyn Log> = running.log.clone();
    let other = start(&shared).await;
    for logit in [1.0, 2.0, 1.0] {
        let loaded = running.engine.load_model(constant(logit).into()).await.unwrap();
        assert_eq!(running.engine.ruleset().hash(), loaded.ruleset, "in place once it is answered");
        until(|| other.ruleset().hash() == loaded.ruleset, "the other node follows").await;
    }
    let shown = |engine: &Engine| decide(engine, "customer:1").decision.placements[0].shown.clone();
    assert_eq!(shown(&other), shown(&running.engine));
    let last = other.load_model(constant(3.0).into()).await.unwrap();
    until(|| running.engine.ruleset().hash() == last.ruleset, "and the other way round").await;
    other.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_decision_mixes_models() {
    let running = Running::new().await;
    let engine = &running.engine;
    let (one, other) = (constant(-1.0), constant(1.0));
    let first = engine.load_model(one.clone().into()).await.unwrap();
    let second = engine.load_model(other.clone().into()).await.unwrap();
    assert_ne!((&first.version, first.ruleset), (&second.version, second.ruleset));
    let expected = [(first, sigmoid(-1.0)), (second, sigmoid(1.0))];
    let stop = Stop::default();
    let stopping = stop.on_drop();
    let deciders: Vec<_> = (0..3)
        .map(|worker| {
            let (engine, stop, expected) = (Arc::clone(engine), stop.clone(), expected.clone());
            tokio::task::spawn_blocking(move || {
                let subject = format!("customer:{worker}");
                let mut seen = [0_usize; 2];
                while !stop.is_set() {
                    let ask = Ask { placements: vec![("home", 3), ("desk", 3)], ..Ask::home(&subject) };
                    let decided = ask.decide(&engine).unwrap();
                    let which = expected.iter().position(|(m, _)| m.ruleset == decided.ruleset.hash()).unwrap();
                    let (model, score) = &expected[which];
                    assert_eq!(version(&decided), Some(model.version.as_str()));
                    let shown: Vec<_> = decided.decision.placements.iter().flat_map(|place| &place.shown).collect();
                    assert_eq!(shown.len(), 3, "all actions, in one of the places each");
                    assert!(shown.iter().all(|shown| shown.scored.acceptance == *score), "{shown:?}");
                    seen[which] += 1;
                }
                seen
            })
        })
        .collect();
    for swap in 0..60 {
        let artifact = if swap % 2 == 0 { one.clone() } else { other.clone() };
        tokio::time::timeout(PATIENCE, engine.load_model(artifact.into())).await.unwrap().unwrap();
    }
    drop(stopping);
    let mut seen = [0, 0];
    for decider in deciders {
        let own = decider.await.unwrap();
        seen = [seen[0] + own[0], seen[1] + own[1]];
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both decided: {seen:?}");
    // What is recorded agrees with itself as well.
    for row in export(engine).await.into_iter().filter(|row| row.action_id != "none") {
        let (_, score) = expected.iter().find(|(model, _)| model.version == row.model_version).unwrap();
        assert_eq!(row.acceptance_probability, *score);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_whose_scores_are_no_numbers_fails_no_request_and_goes() {
    let running = Running::new().await;
    let engine = &running.engine;
    engine.load_model(constant(0.5).into()).await.unwrap();
    let pushed = engine.push_model(overflowing().into(), "").await.unwrap();
    let (alias, to, cause, note) = (Alias::Challenger, Some(pushed.reference), MoveCause::Caller, String::new());
    engine.move_alias(&MoveCommand { alias, to, share: 1.0, cause, note, follows: None }).await.unwrap();
    let now = now_s();
    ingest(engine, vec![aged("old", 65.0, now), order("old", "m1", 1.0, now), order("old", "m2", 1.0, now)]).await;
    for _ in 0..3 {
        let decided = decide(engine, "old");
        assert!(decided.decision.placements[0].shown.is_empty() && !decided.decision.skipped.is_empty());
    }
    until(|| !engine.models().in_use.contains_key(&Alias::Challenger), "a guard-rail takes it away").await;
    let last = engine.models().moves.last().cloned().unwrap();
    assert_eq!(last.cause, MoveCause::GuardRail);
    assert_eq!(acceptance(&decide(engine, "old")), sigmoid(0.5));
}
