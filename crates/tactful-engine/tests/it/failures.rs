//! A log that stalls or fails: decisions go on, flagged and counted; what was acknowledged stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tactful_engine::{Engine, Error, LogFailure, Options};
use tactful_log::Partition;

use crate::artifacts::constant;
use crate::faulty::{FaultyLog, broken, full};
use crate::fixture::{
    PATIENCE, Running, aged, decide, export, feature, field, ingest, now_s, open, order, ruleset, settle, start, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_queue_decisions_are_unlogged_flagged_and_counted() {
    let running = Running::with(Options { recorder_queue_max: 1, ..Options::default() }).await;
    let engine = &running.engine;
    running.log.stall(true);
    let mut logged = BTreeSet::new();
    let mut unlogged = 0;
    for n in 0..20 {
        let decided = decide(engine, &format!("customer:{n}"));
        assert!(!decided.decision.placements[0].shown.is_empty() && !decided.tokens[0].is_empty());
        match decided.degraded.as_slice() {
            [] => assert!(logged.insert(decided.id.clone())),
            ["UNLOGGED"] => unlogged += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(unlogged >= 17, "one in hand, one in the queue, and one more if it was taken in between: {unlogged}");
    assert_eq!(engine.unlogged(), unlogged);
    running.log.stall(false);
    let recorded: BTreeSet<String> = export(engine).await.into_iter().map(|row| row.decision_id).collect();
    assert_eq!(recorded, logged);
    assert!(decide(engine, "customer:1").degraded.is_empty(), "it recovers");
    assert_eq!(engine.unlogged(), unlogged);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_fails_decisions_go_on_and_nothing_is_lost() {
    let running = Running::new().await;
    let engine = &running.engine;
    let now = now_s();
    ingest(engine, vec![aged("customer:1", 17.0, now - 5), order("customer:1", "m1", 3.0, now - 4)]).await;
    running.log.fail(full());
    let failed = engine.ingest(vec![order("customer:1", "m2", 4.0, now - 3)]).await.unwrap_err();
    assert!(matches!(&failed, Error::Log(log) if LogFailure::of(log) == LogFailure::Full), "{failed:?}");
    running.log.fail(broken());
    let failed = engine.ingest(vec![order("customer:1", "m2", 4.0, now - 3)]).await.unwrap_err();
    let Error::Log(failed) = failed else { panic!("{failed:?}") };
    assert_eq!(LogFailure::of(&failed), LogFailure::Unavailable);

    let mut ids = BTreeSet::new();
    until(
        || {
            let decided = decide(engine, "customer:1");
            // From memory, with the rules of the state as it is.
            assert_eq!(crate::fixture::shown(&decided, 0), "plus");
            ids.insert(decided.id.clone());
            assert!(decided.degraded.is_empty() || decided.degraded == ["LOG_UNAVAILABLE"], "{:?}", decided.degraded);
            !decided.degraded.is_empty()
        },
        "decisions are flagged",
    )
    .await;
    for _ in 0..50 {
        let decided = decide(engine, "customer:1");
        assert_eq!(decided.degraded, ["LOG_UNAVAILABLE"]);
        ids.insert(decided.id.clone());
    }
    assert_eq!(feature(engine, "customer:1", "orders"), 1.0, "what was refused has no effect");

    running.log.fail(None);
    until(|| decide(engine, "customer:2").degraded.is_empty(), "the flag goes away").await;
    ingest(engine, vec![order("customer:1", "m2", 4.0, now - 3)]).await;
    assert_eq!(feature(engine, "customer:1", "orders"), 2.0);
    let rows = export(engine).await;
    let recorded: BTreeSet<String> =
        rows.into_iter().filter(|row| row.subject_id == "customer:1").map(|row| row.decision_id).collect();
    assert_eq!((recorded, engine.unlogged()), (ids, 0));
    settle(engine).await;
    let before = engine.digests();
    assert_eq!(running.restart().await.engine.digests(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_record_and_not_for_ever() {
    let running = Running::new().await;
    let decided: Vec<_> = (0..500).map(|n| decide(&running.engine, &format!("customer:{n}"))).collect();
    // What is queued at a stop is written.
    let running = running.restart().await;
    assert_eq!(export(&running.engine).await.len(), decided.len());

    // A log that never answers holds a stop up for no longer than its bound, and is let go of.
    running.log.stall(true);
    decide(&running.engine, "customer:1");
    let started = std::time::Instant::now();
    running.engine.close(Duration::from_millis(300)).await;
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    let closed = decide(&running.engine, "customer:1");
    assert_eq!(closed.degraded, ["UNLOGGED"], "a closed engine still answers");
    let (folder, log) = (running.folder, running.log);
    drop(running.engine);
    until(|| Arc::strong_count(&log) == 1, "the closed engine lets its log go").await;
    drop(log);
    let reopened = open(folder.path());
    let engine = start(&reopened).await;
    assert_eq!(export(&engine).await.len(), decided.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_replay_is_done_decisions_are_flagged() {
    let running = Running::new().await;
    ingest(&running.engine, vec![order("customer:1", "m1", 3.0, now_s())]).await;
    let (folder, options) = running.stop().await;
    let log = Arc::new(FaultyLog::new(open(folder.path())));
    log.stall_reads(true);
    let engine = Engine::start(log.clone(), ruleset(), &options).await.unwrap();
    let readiness = engine.readiness();
    assert_eq!((readiness.applied, readiness.at_start, readiness.caught_up), (0, 4 + 1, false));
    let early = decide(&engine, "customer:1");
    assert_eq!(early.degraded, ["REPLAYING"]);
    log.stall_reads(false);
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    assert!(decide(&engine, "customer:1").degraded.is_empty());
    settle(&engine).await;
    assert_eq!(field(&engine, "customer:1", "contact.shown_24h"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_read_is_skipped_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let poison = bytes::Bytes::from_static(&[0xFF; 9]);
    log.append((0..4).map(|p| (Partition::Data(p), poison.clone())).collect()).await.unwrap();
    let engine = start(&log).await;
    ingest(&engine, vec![aged("customer:1", 44.0, now_s())]).await;
    assert_eq!(feature(&engine, "customer:1", "age"), 44.0);
    decide(&engine, "customer:1");
    settle(&engine).await;
    assert_eq!(export(&engine).await.len(), 1);
    assert_eq!(field(&engine, "customer:1", "contact.shown_24h"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_entry_that_cannot_be_read_is_passed_over_by_a_start_as_by_a_running_node() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = start(&log).await;
    log.append(vec![(Partition::Control, bytes::Bytes::from_static(&[0xFF; 9]))]).await.unwrap();
    engine.load_model(constant(0.5).into()).await.unwrap();
    engine.close(PATIENCE).await;
    drop(engine);
    let engine = start(&log).await;
    assert!(engine.ruleset().bank().is_some(), "what came after it counts");
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_takes_the_node_out_of_service_and_decisions_go_on_flagged() {
    let running = Running::new().await;
    let engine = &running.engine;
    ingest(engine, vec![aged("customer:1", 44.0, now_s() - 60)]).await;
    assert!(engine.readiness().damage.is_none());
    running.log.damage(tactful_log::Error::BeyondTail { after: 9, tail: 4 });
    // Wakes the partition's applier, which then meets the damage.
    engine.ingest(vec![aged("customer:1", 45.0, now_s() - 50)]).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.damaged()).await.unwrap();
    let damage = engine.readiness().damage.unwrap();
    assert!(damage.contains("partition p") && damage.contains("the log lost its end"), "{damage}");
    let decided = decide(engine, "customer:1");
    assert_eq!(decided.degraded, ["LOG_DAMAGED"]);
    assert!(!decided.decision.cold_start, "what was known answers");
}
