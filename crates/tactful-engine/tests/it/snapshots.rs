//! Snapshots: a restart from them is the same as one from the whole log, what is damaged is passed over, and a
//! log that does not fit is never taken for the one that was read.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tactful_engine::{Digests, Engine, LinkCommand, Options, archive};
use tactful_log::{Log, Partition, RedisLog, RedisOptions, RedisServer};

use crate::fixture::{
    CATALOG, PATIENCE, aged, copy, decide, export, feature, ingest, item, now_s, open, order, ruleset, settle,
    start_with, tracked,
};

/// A log and a folder for snapshots beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> Arc<dyn Log> {
        open(&self.0.path().join("log"))
    }

    fn snapshots(&self) -> PathBuf {
        self.0.path().join("snapshots")
    }

    fn options(&self) -> Options {
        Options { snapshots: self.snapshots(), snapshot_every_ms: 3_600_000, ..Options::default() }
    }

    async fn start(&self) -> (Arc<dyn Log>, Arc<Engine>) {
        let log = self.log();
        let engine = start_with(&log, &self.options()).await;
        (log, engine)
    }

    /// What a start without any snapshot would come to.
    async fn replayed(&self) -> Digests {
        let log = self.log();
        let engine = start_with(&log, &Options::default()).await;
        let digests = engine.digests();
        stop(log, engine).await;
        digests
    }

    fn files(&self, partition: u16) -> Vec<PathBuf> {
        let folder = self.snapshots().join(format!("p{partition:02}"));
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "snap")).collect();
        files.sort();
        files
    }
}

async fn stop(log: Arc<dyn Log>, engine: Arc<Engine>) {
    engine.close(PATIENCE).await;
    drop(engine);
    assert_eq!(Arc::strong_count(&log), 1, "something still holds the log");
}

/// Some customers in all partitions with features, matters, contacts and repeated messages.
async fn live(engine: &Engine, round: usize) {
    let (now, mut items) = (now_s() - 1_000, Vec::new());
    for number in 0..40 {
        let customer = format!("customer:{}", (round * 13 + number) % 60);
        let second = now + (round * 7 + number) as i64;
        items.push(aged(&customer, 20.0 + number as f64, second));
        items.push(order(&customer, &format!("m{round}-{number}"), 2.5, second));
        items.push(order(&customer, &format!("m{}-{number}", round.saturating_sub(1)), 2.5, second));
        items.push(item(tracked(&customer, "Fault Reported", second)));
    }
    ingest(engine, items).await;
    for number in 0..10 {
        decide(engine, &format!("customer:{number}"));
    }
    settle(engine).await;
}

/// Trims the log as far as the newest snapshots allow; with `their_ends` the last entries that they hold go as well.
async fn trim(place: &Place, log: &Arc<dyn Log>, their_ends: bool) {
    for partition in 0..4 {
        let newest = place.files(partition).pop().expect("every partition has a snapshot");
        let offset: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        log.trim(Partition::Data(partition), offset + u64::from(their_ends)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_from_snapshots_knows_what_a_start_from_the_whole_log_does() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    engine.take_snapshots().await;
    live(&engine, 1).await;
    let before = engine.digests();
    stop(log, engine).await;
    assert_eq!(place.replayed().await, before);

    // All that a start has now are the snapshots of the stop.
    let log = place.log();
    trim(&place, &log, false).await;
    let engine = start_with(&log, &place.options()).await;
    assert_eq!(engine.digests(), before);
    // Message m1-7 was one of customer 20.
    let (now, orders) = (now_s(), feature(&engine, "customer:20", "orders"));
    let again = order("customer:20", "m1-7", 2.5, now);
    engine.ingest(vec![again, order("customer:20", "new", 2.5, now)]).await.unwrap();
    engine.applied_all().await.unwrap();
    assert_eq!(feature(&engine, "customer:20", "orders"), orders + 1.0, "what was seen before the snapshot is known");
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_from_snapshots_knows_who_belongs_together() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    let said = |subject: &str, other: &str, linked| LinkCommand {
        subject_id: subject.into(),
        other_id: other.into(),
        linked,
        ..LinkCommand::default()
    };
    for n in 0..20 {
        engine.link(&said(&format!("customer:{n}"), &format!("anon:{n}"), true)).await.unwrap();
    }
    for command in [said("customer:1", "customer:2", true), said("customer:3", "anon:3", false)] {
        engine.link(&command).await.unwrap();
    }
    settle(&engine).await;
    let ids = |engine: &Engine, id: &str| engine.context(id).unwrap().subject_ids;
    let all = |engine: &Engine| (0..20).map(|n| ids(engine, &format!("anon:{n}"))).collect::<Vec<_>>();
    let (before, customers) = (engine.digests(), all(&engine));
    assert_eq!(customers[1], ["anon:1", "anon:2", "customer:1", "customer:2"]);
    assert_eq!(customers[3], ["anon:3"]);
    stop(log, engine).await;

    let log = place.log();
    trim(&place, &log, false).await;
    let engine = start_with(&log, &place.options()).await;
    assert_eq!((engine.digests(), all(&engine)), (before, customers));
    engine.link(&said("customer:1", "customer:2", false)).await.unwrap();
    engine.applied_all().await.unwrap();
    assert_eq!(ids(&engine, "customer:2"), ["anon:2", "customer:2"]);
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_taken_while_everything_changes_is_that_of_one_moment() {
    let place = Place::new();
    let log = place.log();
    let options = Options { snapshot_every_ms: 0, ..place.options() };
    let engine = start_with(&log, &options).await;
    let writing = Arc::new(AtomicBool::new(true));
    let taking = tokio::spawn({
        let (engine, writing) = (Arc::clone(&engine), Arc::clone(&writing));
        async move {
            while writing.load(Ordering::Relaxed) {
                engine.take_snapshots().await;
            }
        }
    });
    for round in 0..30 {
        live(&engine, round).await;
    }
    writing.store(false, Ordering::Relaxed);
    taking.await.unwrap();
    let before = engine.digests();
    stop(log, engine).await;
    // Without the newest snapshot, those taken in the midst of it count, and the log after them.
    for partition in 0..4 {
        let files = place.files(partition);
        assert_eq!(files.len(), 3, "three are kept");
        std::fs::remove_file(&files[2]).unwrap();
    }
    let (log, engine) = place.start().await;
    assert_eq!(engine.digests(), before);
    stop(log, engine).await;
    assert_eq!(place.replayed().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_node_needs_and_the_archive_has_leaves_the_log() {
    let place = Place::new();
    let log = place.log();
    let options = Options { housekeeping_ms: 50, ..place.options() };
    let engine = start_with(&log, &options).await;
    for round in 0..4 {
        live(&engine, round).await;
        engine.take_snapshots().await;
    }
    let before = export(&engine).await.len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(log.read(Partition::Data(0), 0, 1).await.is_ok(), "without an archive nothing is trimmed");

    let mut archiving = archive::Options::new(place.0.path().join("archive"));
    archiving.every = Duration::from_millis(50);
    engine.start_archiver(archiving);
    let trimmed = async {
        for partition in 0..4 {
            while log.read(Partition::Data(partition), 0, 1).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trimmed).await.expect("the rest is trimmed");
    for partition in 0..4 {
        let oldest = place.files(partition).remove(0);
        let oldest: u64 = oldest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert!(log.read(Partition::Data(partition), oldest, 1).await.is_ok(), "what the oldest snapshot needs stays");
    }
    assert_eq!(export(&engine).await.len(), before, "from archive and log");
    let digests = engine.digests();
    stop(log, engine).await;
    let (log, engine) = place.start().await;
    assert_eq!(engine.digests(), digests);
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_snapshots_are_passed_over_down_to_the_log_and_then_to_a_peer() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    for round in 0..3 {
        live(&engine, round).await;
        engine.take_snapshots().await;
    }
    let before = engine.digests();
    stop(log, engine).await;
    let peer = place.0.path().join("peer");
    copy(&place.snapshots(), &peer);
    for damaged in (0..3).rev() {
        (damaged..3).for_each(|nth| damage(&place, nth));
        let (log, engine) = place.start().await;
        assert_eq!(engine.digests(), before, "file {damaged} and those after it are damaged");
        // The stop takes a new one, and those that were damaged do not count.
        stop(log, engine).await;
        assert_eq!(place.files(0).len(), damaged + 1);
        copy(&peer, &place.snapshots());
    }
    (0..3).for_each(|nth| damage(&place, nth));
    let log = place.log();
    for partition in 0..4 {
        let tail = log.tail(Partition::Data(partition)).await.unwrap();
        log.trim(Partition::Data(partition), tail).await.unwrap();
    }
    let engine = Engine::start(Arc::clone(&log), ruleset(), &place.options()).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.damaged()).await.unwrap();
    assert!(engine.readiness().damage.unwrap().contains("trimmed"), "nothing is left to start from");
    stop(log, engine).await;

    let log = place.log();
    let engine = start_with(&log, &Options { peer_snapshots: vec![peer], ..place.options() }).await;
    assert_eq!(engine.digests(), before);
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rolled_back_is_told_and_the_state_is_that_of_the_log() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    stop(log, engine).await;
    let earlier = place.replayed().await;
    copy(&place.0.path().join("log"), &place.0.path().join("older"));
    let (log, engine) = place.start().await;
    live(&engine, 1).await;
    stop(log, engine).await;

    // The copy takes the log's place, and gets other entries under the same numbers.
    std::fs::remove_dir_all(place.0.path().join("log")).unwrap();
    std::fs::rename(place.0.path().join("older"), place.0.path().join("log")).unwrap();
    let (log, engine) = place.start().await;
    assert_eq!(engine.digests(), earlier, "from the snapshot before");
    live(&engine, 5).await;
    let after = engine.digests();
    stop(log, engine).await;
    assert_eq!(place.replayed().await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_redis_that_was_deleted_between_two_starts_is_told() {
    let place = Place::new();
    std::fs::create_dir_all(place.0.path().join("redis")).unwrap();
    let server = RedisServer::start(&place.0.path().join("redis")).unwrap();
    let url = server.url();
    let open = async || {
        let options = RedisOptions { url: url.clone(), partitions: 4, recent_bytes: 1 << 20 };
        let opened = tokio::task::spawn_blocking(move || RedisLog::open(&options)).await.unwrap();
        Arc::new(opened.unwrap()) as Arc<dyn Log>
    };
    let log = open().await;
    let engine = start_with(&log, &place.options()).await;
    let mut archiving = archive::Options::new(place.0.path().join("archive"));
    archiving.every = Duration::from_millis(50);
    engine.start_archiver(archiving);
    live(&engine, 0).await;
    engine.take_snapshots().await;
    while archive::marks(log.as_ref()).await.unwrap().is_none_or(|marks| marks[0] == 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(log, engine).await;

    let mut redis = std::net::TcpStream::connect(url.strip_prefix("redis://").unwrap().trim_end_matches('/')).unwrap();
    redis.write_all(b"DEL {tactful:p00}:log\r\n").unwrap();
    let mut answer = [0; 4];
    redis.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b":1\r\n");
    let log = open().await;
    let engine = Engine::start(Arc::clone(&log), ruleset(), &place.options()).await.unwrap();
    // Not even for a moment: the other partitions may be there long before this one has been looked at.
    let told = async {
        while engine.readiness().damage.is_none() {
            assert!(!engine.readiness().caught_up, "{:?}", engine.readiness());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    assert!(!engine.readiness().caught_up, "{:?}", engine.readiness());
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_end_a_stranger_trimmed_away_is_not_believed() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    stop(log, engine).await;
    let log = place.log();
    trim(&place, &log, true).await;
    // For all that can be seen, the log was rolled back and other entries came in the place of what was trimmed.
    let engine = Engine::start(Arc::clone(&log), ruleset(), &place.options()).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.damaged()).await.unwrap();
    assert!(engine.readiness().damage.unwrap().contains("trimmed"));
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_another_log_keep_a_node_from_serving() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    stop(log, engine).await;
    std::fs::remove_dir_all(place.0.path().join("log")).unwrap();
    let log = place.log();
    let engine = Engine::start(Arc::clone(&log), ruleset(), &place.options()).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.damaged()).await.unwrap();
    let damage = engine.readiness().damage.unwrap();
    assert!(damage.contains("another log") && damage.contains("data_dir"), "{damage}");
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_made_elsewhere_that_wait_for_their_record_are_in_a_snapshot() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    for number in 0..8 {
        let decision = tactful_proto::v1::ExternalDecision {
            external_decision_id: format!("e{number}"),
            subject_id: format!("customer:{number}"),
            action_id: "help".into(),
            selection_probability: 0.5,
            ..tactful_proto::v1::ExternalDecision::default()
        };
        engine.ingest(vec![crate::fixture::external(decision)]).await.unwrap();
    }
    engine.take_snapshots().await;
    stop(log, engine).await;
    let (log, engine) = place.start().await;
    assert_eq!(export(&engine).await.len(), 8, "each once");
    stop(log, engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_holds_its_schema_and_stands_switches_in_its_midst() {
    let place = Place::new();
    let (log, engine) = place.start().await;
    live(&engine, 0).await;
    for round in 1..6 {
        // Every second time `orders` is made of something else.
        let lateness = if round % 2 == 0 { "" } else { "lateness = \"2h\"\n" };
        let text = CATALOG.replace("name = \"orders\"\n", &format!("name = \"orders\"\n{lateness}"));
        let snapshots = engine.take_snapshots();
        let applied = engine.apply_catalog(vec![("test.toml".into(), text)], "", false);
        let (_, applied) = tokio::join!(snapshots, applied);
        assert!(applied.unwrap().schema_changed, "{round}");
        live(&engine, round).await;
    }
    engine.take_snapshots().await;
    live(&engine, 6).await;
    let before = engine.digests();
    stop(log, engine).await;
    assert_eq!(place.replayed().await, before);
    // The newest of each partition fits, though its schema is not that of the node's files.
    let log = place.log();
    trim(&place, &log, false).await;
    let engine = start_with(&log, &place.options()).await;
    assert_eq!(engine.digests(), before);
    stop(log, engine).await;
}

/// Flips a bit of a file of every partition, or cuts it.
fn damage(place: &Place, nth: usize) {
    for partition in 0..4 {
        let file = place.files(partition)[nth].clone();
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        if nth == 1 {
            bytes.truncate(middle)
        } else {
            bytes[middle] ^= 1
        }
        std::fs::write(file, bytes).unwrap();
    }
}
