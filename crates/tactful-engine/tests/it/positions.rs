//! Read your writes: what an acknowledgement covers is known to the decision that names it, on every node.

use std::sync::Arc;
use std::time::Duration;

use tactful_engine::Error;
use tactful_log::Log;
use tokio::time::Instant;

use crate::fixture::{PATIENCE, Running, aged, feature, now_s, start};

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_known_once_its_position_is_reached_on_every_node() {
    let running = Running::new().await;
    let shared: Arc<dyn Log> = running.log.clone();
    let other = start(&shared).await;
    for round in 1..=50 {
        // Customers of several partitions in one write.
        let items = (0..20).map(|n| aged(&format!("customer:{n}"), f64::from(round), now_s() - 60 + i64::from(round)));
        let position = running.engine.ingest(items.collect()).await.unwrap().position;
        for engine in [&other, &running.engine] {
            assert_eq!(engine.reach(&position, soon()).await.unwrap(), None);
            assert!((0..20).all(|n| feature(engine, &format!("customer:{n}"), "age") == f64::from(round)), "{round}");
        }
    }
    other.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_reached_in_time_is_told() {
    let running = Running::new().await;
    let engine = &running.engine;
    running.log.stall_reads(true);
    // Those that wait for the next entry get it; from then on reads wait.
    engine.ingest(vec![aged("customer:1", 44.0, now_s() - 60)]).await.unwrap();
    let position = engine.ingest(vec![aged("customer:1", 45.0, now_s() - 50)]).await.unwrap().position;
    let asked = Instant::now();
    let until = asked + Duration::from_millis(80);
    assert_eq!(engine.reach(&position, until).await.unwrap(), Some("BEHIND_POSITION"));
    assert!(asked.elapsed() >= Duration::from_millis(80), "{:?}", asked.elapsed());
    running.log.stall_reads(false);
    assert_eq!(engine.reach(&position, soon()).await.unwrap(), None);
    assert_eq!(feature(engine, "customer:1", "age"), 45.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_other_logs_and_other_texts_are_told_apart() {
    let (running, elsewhere) = (Running::new().await, Running::new().await);
    let foreign = elsewhere.engine.ingest(vec![aged("customer:1", 44.0, now_s() - 60)]).await.unwrap().position;
    let reach = async |token: &str| running.engine.reach(token, soon()).await;
    assert_eq!(reach(&foreign).await.unwrap(), Some("POSITION_OF_ANOTHER_LOG"));
    let long = "A".repeat(100_000);
    for token in ["x", "not a token!", "AAAA", &foreign[1..], &long] {
        let Err(Error::Invalid(fields)) = reach(token).await else { panic!("{token:.20} was taken") };
        assert_eq!(fields[0].field, "min_position");
    }
    // A refused batch covers nothing, and what is not there has been reached.
    let refused = running.engine.ingest(vec![aged("", 44.0, now_s())]).await.unwrap();
    assert_eq!((refused.accepted, refused.position.as_str()), (0, ""));
}
