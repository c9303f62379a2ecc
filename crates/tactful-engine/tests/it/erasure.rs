//! Erasure: unreadable at once, gone from every file afterwards, and nothing brings it back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tactful_engine::{Engine, LinkCommand, Options, archive};
use tactful_log::{Log, Partition, RedisLog, RedisOptions, RedisServer};
use tactful_proto::v1;
use tokio::time::Instant;

use crate::fixture::{
    PATIENCE, aged, answer, copy, decide, export, feature, ingest, now_s, open, order, settle, start_with, text, until,
    values,
};

/// An id and a value that are found nowhere else.
const CANARY: &str = "customer:canary-7f3a";
const VALUE: &str = "kanarienvogel-9c1e";

fn options(folder: &Path) -> Options {
    Options { snapshots: folder.join("snapshots"), housekeeping_ms: 100, ..Options::default() }
}

async fn started(log: &Arc<dyn Log>, folder: &Path) -> Arc<Engine> {
    let engine = start_with(log, &options(folder)).await;
    archive_into(&engine, folder);
    engine
}

fn archive_into(engine: &Engine, folder: &Path) {
    let mut archiving = archive::Options::new(folder.join("archive"));
    archiving.every = Duration::from_millis(100);
    engine.start_archiver(archiving);
}

/// The canary does everything that leaves a trace; others do too.
async fn live(engine: &Engine) {
    let now = now_s() - 100;
    let event = v1::Event {
        message_id: format!("m-{VALUE}"),
        subject_id: CANARY.into(),
        r#type: v1::EventType::Track.into(),
        name: "Order Placed".into(),
        properties: values([("total", crate::fixture::number(3.0)), ("note", text(VALUE))]),
        event_time: crate::fixture::at(now),
        ..v1::Event::default()
    };
    let named = v1::Event { name: format!("Account of {VALUE}"), message_id: String::new(), ..event.clone() };
    let mut items = vec![crate::fixture::item(event), crate::fixture::item(named), aged(CANARY, 33.0, now)];
    items.extend((0..40).map(|n| order(&format!("customer:{n}"), &format!("o{n}"), 2.0, now)));
    ingest(engine, items).await;
    for (one, other) in [(CANARY, "anon:visitor"), ("customer:1", CANARY)] {
        let link =
            LinkCommand { subject_id: one.into(), other_id: other.into(), linked: true, ..LinkCommand::default() };
        engine.link(&link).await.unwrap();
    }
    for subject in [CANARY, "customer:2"] {
        let decided = decide(engine, subject);
        ingest(engine, vec![answer(subject, &decided.tokens[0], v1::OutcomeType::Accepted, &format!("a {subject}"))])
            .await;
    }
    settle(engine).await;
    engine.take_snapshots().await;
}

/// Files below a folder that hold some bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if let Ok(content) = std::fs::read(&path)
            && content.windows(bytes.len()).any(|window| window == bytes)
        {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found
}

async fn gone(engine: &Engine, erasure_id: &str) -> v1::Erasure {
    let looking = async {
        loop {
            let erasure = engine.erasure(erasure_id).await.unwrap();
            if erasure.gone_time.is_some() {
                return erasure;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(3 * PATIENCE, looking).await.expect("it goes on to its end")
}

/// Erases the canary and looks everywhere.
async fn erase(engine: &Engine, folder: &Path) {
    assert!(!holding(folder, CANARY.as_bytes()).is_empty(), "a scan that finds nothing before would mean nothing");
    assert!(!engine.verify_erased(CANARY).await.unwrap().remnants.is_empty());
    let erasure = engine.erase(CANARY, Instant::now() + PATIENCE).await.unwrap();
    assert!(erasure.unreadable_time.is_some());
    let context = engine.context(CANARY).unwrap();
    assert!(!context.known && context.timeline.is_empty() && context.subject_ids == [CANARY]);
    assert!(!engine.context("customer:1").unwrap().subject_ids.contains(&CANARY.to_owned()));
    assert!(export(engine).await.iter().all(|row| row.subject_id != CANARY), "not in an export either");

    let receipt = gone(engine, &erasure.erasure_id).await;
    let stores: Vec<&str> = receipt.stores.iter().map(|store| store.store.as_str()).collect();
    for store in ["memory", "snapshots", "archive", "log", "intake", "dead list", "backups"] {
        assert!(stores.contains(&store), "{store} in {stores:?}");
    }
    let left = engine.verify_erased(CANARY).await.unwrap();
    assert!(left.remnants.is_empty(), "{left:?}");
    assert_eq!(holding(folder, CANARY.as_bytes()), Vec::<String>::new());
    assert_eq!(holding(folder, VALUE.as_bytes()), Vec::<String>::new());
    assert_eq!(feature(engine, "customer:2", "orders"), 1.0, "the others are as they were");
    assert_eq!(export(engine).await.len(), 1);

    // What comes late stays away, what happens now begins anew.
    let late = order(CANARY, "late", 5.0, now_s() - 50);
    ingest(engine, vec![late]).await;
    let late = LinkCommand {
        subject_id: CANARY.into(),
        other_id: "customer:3".into(),
        linked: true,
        event_time: crate::fixture::at(now_s() - 50),
        ..LinkCommand::default()
    };
    engine.link(&late).await.unwrap();
    assert!(!engine.context(CANARY).unwrap().known);
    assert_eq!(holding(folder, CANARY.as_bytes()), Vec::<String>::new(), "it does not even get in");
    ingest(engine, vec![order(CANARY, "new", 5.0, now_s() + 1)]).await;
    assert_eq!(feature(engine, CANARY, "orders"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_subject_is_in_no_file_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    let engine = started(&log, folder.path()).await;
    live(&engine).await;
    let kept = tempfile::tempdir().unwrap();
    let backup: Vec<_> = (0..4).map(|partition| format!("p{partition:02}")).collect();
    for partition in &backup {
        for file in std::fs::read_dir(folder.path().join("snapshots").join(partition)).unwrap() {
            let file = file.unwrap();
            std::fs::create_dir_all(kept.path().join(partition)).unwrap();
            std::fs::copy(file.path(), kept.path().join(partition).join(file.file_name())).unwrap();
        }
    }
    erase(&engine, folder.path()).await;
    engine.close(PATIENCE).await;
    drop(engine);

    // Older snapshots are put back from a backup: they do not fit the log any more.
    for partition in &backup {
        let place = folder.path().join("snapshots").join(partition);
        for file in std::fs::read_dir(&place).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        for file in std::fs::read_dir(kept.path().join(partition)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), place.join(file.file_name())).unwrap();
        }
    }
    let restored = Engine::start(Arc::clone(&log), crate::fixture::ruleset(), &options(folder.path())).await.unwrap();
    tokio::time::timeout(PATIENCE, restored.damaged()).await.unwrap();
    assert_eq!(feature(&restored, CANARY, "orders"), 0.0);
    until(|| holding(folder.path(), VALUE.as_bytes()).is_empty(), "files of before the erasure go").await;
    restored.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_archive_leaves_erasures_to_one_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    let snapshots = folder.path().join("snapshots of another");
    let without = start_with(&log, &Options { snapshots, ..options(folder.path()) }).await;
    // It has kept house by now, if it ever would.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let engine = started(&log, folder.path()).await;
    live(&engine).await;
    erase(&engine, folder.path()).await;
    for engine in [without, engine] {
        engine.close(PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_before_an_erasure_is_rid_of_it_before_anybody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    // Without an archive nothing is trimmed, so that the log still holds what was erased.
    let engine = start_with(&log, &options(folder.path())).await;
    live(&engine).await;
    engine.erase(CANARY, Instant::now() + PATIENCE).await.unwrap();
    engine.close(PATIENCE).await;
    drop(engine);
    // Without snapshots the whole log is replayed, the canary's events included.
    let replayed = start_with(&log, &Options::default()).await;
    assert!(!replayed.context(CANARY).unwrap().known);
    assert_eq!(feature(&replayed, "customer:2", "orders"), 1.0);
    replayed.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_right_after_an_erasure_finds_its_snapshot_at_the_end_of_what_was_trimmed() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    let engine = started(&log, folder.path()).await;
    live(&engine).await;
    let erasure = engine.erase(CANARY, Instant::now() + PATIENCE).await.unwrap();
    gone(&engine, &erasure.erasure_id).await;
    let digests = engine.digests();
    engine.close(PATIENCE).await;
    drop(engine);
    assert!(log.read(Partition::Data(0), 0, 1).await.is_err(), "nothing of before is left to fold");
    let engine = started(&log, folder.path()).await;
    assert_eq!(engine.digests(), digests);
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_outlives_stores_that_are_taken_back_to_before_it() {
    const STORES: [&str; 3] = ["log", "snapshots", "archive"];
    let folder = tempfile::tempdir().unwrap();
    let options = Options { erase_list: folder.path().join("erase-list"), ..options(folder.path()) };
    let start = async || {
        let log = open(&folder.path().join("log"));
        let engine = start_with(&log, &options).await;
        archive_into(&engine, folder.path());
        engine
    };
    let engine = start().await;
    live(&engine).await;
    engine.close(PATIENCE).await;
    drop(engine);
    let backup = tempfile::tempdir().unwrap();
    STORES.iter().for_each(|store| copy(&folder.path().join(store), &backup.path().join(store)));
    let engine = start().await;
    erase(&engine, folder.path()).await;
    engine.close(PATIENCE).await;
    drop(engine);

    for store in STORES {
        std::fs::remove_dir_all(folder.path().join(store)).unwrap();
        copy(&backup.path().join(store), &folder.path().join(store));
    }
    assert!(!holding(folder.path(), CANARY.as_bytes()).is_empty());
    let engine = start().await;
    assert!(!engine.context(CANARY).unwrap().known, "before anybody may ask");
    assert_eq!(feature(&engine, "customer:2", "orders"), 1.0);
    // The erasure begins anew by itself, and comes to its end.
    let looking = async {
        while !engine.verify_erased(CANARY).await.unwrap().remnants.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(3 * PATIENCE, looking).await.expect("nothing is left in the end");
    assert_eq!(holding(folder.path(), CANARY.as_bytes()), Vec::<String>::new());
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_on_redis_reaches_its_files_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("redis")).unwrap();
    let server = RedisServer::start(&folder.path().join("redis")).unwrap();
    let options = RedisOptions { url: server.url(), partitions: 4, recent_bytes: 1 << 20 };
    let log: Arc<dyn Log> =
        Arc::new(tokio::task::spawn_blocking(move || RedisLog::open(&options)).await.unwrap().unwrap());
    let engine = started(&log, folder.path()).await;
    live(&engine).await;
    erase(&engine, folder.path()).await;
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasures_of_nobody_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let engine = start_with(&log, &Options::default()).await;
    let refused = engine.erase("", Instant::now() + PATIENCE).await.unwrap_err();
    assert!(format!("{refused:?}").contains("subject_id"), "{refused:?}");
    let unknown = engine.erasure("no such").await.unwrap_err();
    assert!(format!("{unknown:?}").contains("the id that Erase answered"), "{unknown:?}");
    engine.close(PATIENCE).await;
}
