//! Everything at once: nothing waits for ever, and what comes out is what went in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::artifacts::constant;
use crate::fixture::{Ask, PATIENCE, Running, Stop, decide, export, feature, now_s, order, settle};

const SUBJECTS: usize = 50;
const BATCHES: usize = 40;
const BATCH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_events_reads_and_swaps_go_on_together() {
    let running = Running::new().await;
    let whole = tokio::time::timeout(PATIENCE, together(&running)).await;
    let decided = whole.expect("nothing waits for ever");
    let orders: f64 = (0..SUBJECTS).map(|n| feature(&running.engine, &format!("customer:{n}"), "orders")).sum();
    assert_eq!(orders, (2 * BATCHES * BATCH) as f64);
    assert_eq!(export(&running.engine).await.len() as u64 + running.engine.unlogged(), decided);
    let before = running.engine.digests();
    assert_eq!(running.restart().await.engine.digests(), before);
}

/// Returns how many decisions were made.
async fn together(running: &Running) -> u64 {
    let engine = &running.engine;
    let now = now_s();
    let stop = Stop::default();
    let stopping = stop.on_drop();
    let decided = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for worker in 0..2 {
        let (engine, stop, decided) = (Arc::clone(engine), stop.clone(), Arc::clone(&decided));
        readers.push(tokio::spawn(async move {
            let mut turn = worker;
            while !stop.is_set() {
                let subject = format!("customer:{}", turn % SUBJECTS);
                let retry = format!("r{}", turn % 7);
                decide(&engine, &subject);
                Ask { request_id: &retry, live: false, ..Ask::home(&subject) }.decide(&engine).unwrap();
                decided.fetch_add(1, Ordering::Relaxed);
                turn += 1;
                tokio::task::yield_now().await;
            }
        }));
    }
    let (reading, stopped) = (Arc::clone(engine), stop.clone());
    readers.push(tokio::task::spawn_blocking(move || {
        let mut turn = 0;
        while !stopped.is_set() {
            let context = reading.context(&format!("customer:{}", turn % SUBJECTS)).unwrap();
            assert!(context.timeline.len() <= 50);
            let digests = reading.digests();
            assert!(digests.customers <= SUBJECTS as u64);
            turn += 1;
        }
    }));
    let swapping = async {
        for turn in 0..10_u8 {
            engine.load_model(constant(f32::from(turn)).into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let writing = |writer: usize| async move {
        for batch in 0..BATCHES {
            let events = (0..BATCH).map(|n| {
                let subject = format!("customer:{}", (batch + n) % SUBJECTS);
                order(&subject, &format!("w{writer}-{batch}-{n}"), 1.0, now - n as i64)
            });
            let accepted = engine.ingest(events.collect()).await.unwrap();
            assert_eq!(accepted.accepted, BATCH as u64);
        }
    };
    tokio::join!(swapping, writing(0), writing(1));
    drop(stopping);
    for reader in readers {
        reader.await.unwrap();
    }
    settle(engine).await;
    decided.load(Ordering::Relaxed)
}
