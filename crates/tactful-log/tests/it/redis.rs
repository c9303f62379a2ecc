//! The conformance suite on the log in a real Redis, with much memory and with so little that everything is read
//! from Redis; and what only this one has to withstand: being shared, and a Redis that goes away or forgets.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use redis::Connection;
use tactful_log::{
    Entry, Error, Intake, Log, Offset, Partition, RedisLog, RedisOptions, RedisServer,
    conformance::{PARTITIONS, TestStore},
};
use tempfile::TempDir;
use tokio::time::timeout;

const A: Partition = Partition::Data(0);
const B: Partition = Partition::Data(1);
const STREAM_A: &str = "{tactful:p00}:log";
const SOON: Duration = Duration::from_mins(2);

/// Bytes lie in files as they are; and what was acknowledged is in the file, also where the disk is so slow that a
/// sync of every second would hold back the writes after it.
const SETTINGS: &[&str] = &["--rdbcompression", "no", "--appendfsync", "always"];

/// A redis-server that goes away with the test.
pub(crate) struct RedisStore {
    server: RedisServer,
    recent_bytes: usize,
    home: TempDir,
}

impl RedisStore {
    pub(crate) fn new(recent_bytes: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { server: RedisServer::start_with(home.path(), SETTINGS).unwrap(), recent_bytes, home }
    }

    pub(crate) fn log(&self) -> Result<RedisLog, Error> {
        let (url, recent_bytes) = (self.server.url(), self.recent_bytes);
        RedisLog::open(&RedisOptions { url, partitions: PARTITIONS, recent_bytes })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn connection(&self) -> Connection {
        redis::Client::open(self.server.url()).unwrap().get_connection().unwrap()
    }

    /// Runs a command that answers no error.
    pub(crate) fn command(&self, words: &[&str]) {
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut self.connection()).unwrap();
    }

    /// Starts Redis again where it was.
    pub(crate) fn restart(&mut self) {
        self.server.kill();
        self.server = RedisServer::start_on(self.home.path(), self.server.port(), SETTINGS).unwrap();
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.server.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

#[async_trait]
impl TestStore for RedisStore {
    async fn open(&self) -> Arc<dyn Log> {
        Arc::new(self.log().unwrap())
    }

    fn directory(&self) -> &Path {
        self.home.path()
    }

    async fn memory(&self) -> Vec<u8> {
        let mut connection = self.connection();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let dump = |key: Vec<u8>| redis::cmd("DUMP").arg(key).query::<Vec<u8>>(&mut connection).unwrap();
        keys.into_iter().flat_map(dump).collect()
    }
}

mod from_memory {
    tactful_log::conformance_suite!(super::RedisStore::new(64 << 20));
}

mod from_redis {
    tactful_log::conformance_suite!(super::RedisStore::new(0));
}

async fn append(log: &RedisLog, partition: Partition, text: String) -> Result<Offset, Error> {
    Ok(log.append(vec![(partition, Bytes::from(text))]).await?[0])
}

async fn append_all(log: &RedisLog, partition: Partition, count: usize) {
    let entries = (0..count).map(|n| (partition, Bytes::from(n.to_string())));
    log.append(entries.collect()).await.unwrap();
}

/// Reads from the start on, as an applier does, until there are so many.
async fn follow(log: &RedisLog, partition: Partition, count: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    while all.len() < count {
        let after = all.last().map_or(0, |entry| entry.offset);
        timeout(SOON, log.wait(partition, after)).await.expect("soon").unwrap();
        all.extend(log.read(partition, after, 1_000).await.unwrap());
    }
    all
}

/// The error that ends a reader, and how long it took to come.
async fn end(log: &RedisLog, partition: Partition, after: Offset) -> (Error, Duration) {
    let started = Instant::now();
    let ended = timeout(SOON, log.wait(partition, after)).await.expect("soon");
    (ended.expect_err("the partition ends"), started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_append_to_one_order_and_read_the_same() {
    let store = RedisStore::new(1 << 20);
    let (one, two) = (store.log().unwrap(), store.log().unwrap());
    assert_eq!((one.epoch(), one.partitions()), (two.epoch(), PARTITIONS));
    let write = |log: RedisLog, name: &'static str| async move {
        for n in 0..100 {
            append(&log, A, format!("{name}{n}")).await.unwrap();
        }
        log
    };
    let (one, two) = tokio::join!(write(one, "one"), write(two, "two"));
    let (read, same) = tokio::join!(follow(&one, A, 200), follow(&two, A, 200));
    assert_eq!(read, same);
    for name in ["one", "two"] {
        let own = read.iter().filter(|entry| entry.payload.starts_with(name.as_bytes()));
        let expected = (0..100).map(|n| format!("{name}{n}"));
        assert!(own.map(|entry| entry.payload.to_vec()).eq(expected.map(String::into_bytes)), "in its own order");
    }
    assert!(one.acquire_lease("learner", "one", SOON).await.unwrap().is_some());
    assert!(two.acquire_lease("learner", "two", SOON).await.unwrap().is_none(), "held by the other node");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_trimmed_is_never_skipped_silently() {
    let store = RedisStore::new(0);
    let (one, two) = (store.log().unwrap(), store.log().unwrap());
    append_all(&one, A, 20).await;
    follow(&two, A, 20).await;
    one.trim(A, 8).await.unwrap();
    assert!(matches!(two.read(A, 3, 9).await, Err(Error::Trimmed { first: 8 })));
    assert_eq!(two.read(A, 7, 99).await.unwrap().len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    const APPENDS: usize = 60;
    let mut store = RedisStore::new(1 << 20);
    let log = Arc::new(store.log().unwrap());
    let writing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for n in 0..APPENDS {
                append(&log, A, n.to_string()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        tokio::task::block_in_place(|| store.restart());
    }
    timeout(SOON, writing).await.expect("soon").unwrap();
    let texts: Vec<_> = follow(&log, A, APPENDS).await.into_iter().map(|entry| entry.payload).collect();
    assert_eq!(texts, (0..APPENDS).map(|n| Bytes::from(n.to_string())).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_redis_keeps_waiting_is_asked_again_and_takes_effect_once() {
    let store = RedisStore::new(1 << 20);
    let log = Arc::new(store.log().unwrap());
    append(&log, A, "before".into()).await.unwrap();
    store.signal("-STOP");
    let waiting = tokio::spawn({
        let log = Arc::clone(&log);
        async move { append(&log, A, "once".into()).await }
    });
    // Beyond the silence after which a connection counts as dead: the request is made a second time.
    tokio::time::sleep(Duration::from_millis(4_600)).await;
    store.signal("-CONT");
    assert_eq!(timeout(SOON, waiting).await.expect("soon").unwrap().unwrap(), 2);
    assert_eq!(append(&log, A, "after".into()).await.unwrap(), 3);
    let texts: Vec<_> = follow(&log, A, 3).await.into_iter().map(|entry| entry.payload).collect();
    assert_eq!(texts, ["before", "once", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stays_away_is_an_error_and_the_log_goes_on_when_it_is_back() {
    let mut store = RedisStore::new(1 << 20);
    let log = store.log().unwrap();
    append(&log, A, "before".into()).await.unwrap();
    store.server.kill();
    let refused = timeout(SOON, append(&log, A, "lost".into())).await.expect("soon");
    let text = refused.as_ref().unwrap_err().to_string();
    assert!(matches!(refused, Err(Error::Io { .. })) && text.contains("redis://127.0.0.1"), "{text}");
    assert_eq!(log.read(A, 0, 9).await.unwrap().len(), 1, "memory still answers");
    store.restart();
    assert_eq!(append(&log, A, "after".into()).await.unwrap(), 2);
    assert_eq!(follow(&log, A, 2).await[1].payload, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_its_tail_is_told_and_nothing_is_appended_to_it() {
    let mut store = RedisStore::new(1 << 20);
    let log = store.log().unwrap();
    append_all(&log, A, 5).await;
    append_all(&log, B, 5).await;
    // As after a failover to a replica that was behind: entries 4 and 5 are gone.
    store.command(&["DEL", STREAM_A]);
    for n in 1..=3 {
        store.command(&["XADD", STREAM_A, &format!("{n}-0"), "d", &(n - 1).to_string()]);
    }
    let refused = append(&log, A, "next".into()).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let (error, took) = end(&log, A, 5).await;
    assert!(matches!(error, Error::BeyondTail { after: 5, tail: 3 }) && took < SOON / 2, "{error} {took:?}");
    assert!(log.read(A, 0, 9).await.is_err(), "no reader goes on as if nothing had been");
    assert_eq!(append(&log, B, "elsewhere".into()).await.unwrap(), 6, "other partitions go on");
    store.restart();
    assert_eq!(append(&log, B, "still".into()).await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_other_than_before_are_told() {
    let store = RedisStore::new(1 << 20);
    let log = store.log().unwrap();
    append_all(&log, A, 5).await;
    // Until it has looked once at what it read.
    tokio::time::sleep(Duration::from_millis(2_800)).await;
    store.command(&["DEL", STREAM_A]);
    for n in 1..=7 {
        store.command(&["XADD", STREAM_A, &format!("{n}-0"), "d", "reused"]);
    }
    // On a living connection, what follows under new numbers may come before the next look finds the change.
    let started = Instant::now();
    let error = loop {
        let after = log.tail(A).await.unwrap();
        match timeout(SOON, log.wait(A, after)).await.expect("soon") {
            Ok(()) | Err(Error::BeyondTail { .. }) => {}
            Err(error) => break error,
        }
    };
    let took = started.elapsed();
    assert!(matches!(error, Error::Corrupt { .. }) && took < SOON / 2, "{error} {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_ends_every_partition_and_takes_nothing_more() {
    let store = RedisStore::new(1 << 20);
    let log = store.log().unwrap();
    append_all(&log, A, 5).await;
    store.command(&["FLUSHALL"]);
    for partition in [A, B, Partition::Control] {
        let (error, _) = end(&log, partition, log.tail(partition).await.unwrap()).await;
        assert!(matches!(error, Error::Corrupt { .. }), "{partition}: {error}");
    }
    assert!(matches!(append(&log, B, "next".into()).await, Err(Error::Corrupt { .. })));
    assert_ne!(store.log().unwrap().epoch(), log.epoch(), "opened anew it is another log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_else_wrote_to_is_damage() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    append_all(&log, A, 2).await;
    store.command(&["XADD", STREAM_A, "7-0", "d", "beyond"]);
    let (error, _) = end(&log, A, 2).await;
    assert!(matches!(error, Error::Trimmed { first: 7 }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_shape_is_damage_of_its_partition_alone() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    append_all(&log, A, 2).await;
    append_all(&log, B, 2).await;
    store.command(&["XADD", STREAM_A, "3-0", "one", "1", "two", "2"]);
    let (error, _) = end(&log, A, 2).await;
    assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("did not write"), "{error}");
    append(&log, B, "goes on".into()).await.unwrap();
    assert_eq!(follow(&log, B, 3).await[2].payload, "goes on");
    // Read from the beginning it is told as well.
    let again = store.log().unwrap();
    assert!(matches!(again.read(A, 0, 9).await, Err(Error::Corrupt { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trimmed_before_it_was_read_is_told_though_nothing_follows() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    append_all(&log, A, 3).await;
    follow(&log, A, 3).await;
    let add_and_trim = "for n = 4, 6 do redis.call('XADD', KEYS[1], n .. '-0', 'd', 'unread') end
        return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)";
    store.command(&["EVAL", add_and_trim, "1", STREAM_A]);
    let (error, _) = end(&log, A, 3).await;
    assert!(matches!(error, Error::Trimmed { first: 7 }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_and_its_intake_open_on_a_redis_that_is_full() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    let blob = log.put_blob(Bytes::from_static(b"a catalogue")).await.unwrap();
    drop(Intake::join(&store.url()).unwrap());
    store.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let again = store.log().unwrap();
    assert_eq!(again.put_blob(Bytes::from_static(b"a catalogue")).await.unwrap(), blob);
    assert!(matches!(again.put_blob(Bytes::from_static(b"another")).await, Err(Error::OutOfMemory { .. })));
    Intake::join(&store.url()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_refuses_and_reads_on() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    append_all(&log, A, 5).await;
    store.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let refused = append(&log, A, "x".repeat(1 << 20)).await;
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
    assert_eq!(log.read(A, 0, 9).await.unwrap().len(), 5);
    store.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(append(&log, A, "fits again".into()).await.unwrap(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_redis_is_refused_by_name() {
    let store = RedisStore::new(0);
    let open = |url: String, partitions| RedisLog::open(&RedisOptions { url, partitions, recent_bytes: 0 });
    let refused = |outcome: Result<RedisLog, Error>| outcome.map(drop).unwrap_err();
    drop(store.log().unwrap());
    let error = refused(open(store.server.url(), PARTITIONS + 1));
    assert!(matches!(error, Error::PartitionMismatch { stored: PARTITIONS, .. }), "{error}");
    store.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let error = refused(store.log());
    assert!(matches!(error, Error::Unfit { .. }) && error.to_string().contains("noeviction"), "{error}");
    for url in ["localhost:6379", "http://localhost", "redis://user:secret@"] {
        let error = refused(open(url.into(), PARTITIONS)).to_string();
        assert!(error.contains("redis://host:port") && !error.contains("secret"), "{error}");
    }
    let error = refused(open("redis://user:secret@127.0.0.1:1".into(), PARTITIONS)).to_string();
    assert!(error.contains("redis://127.0.0.1:1") && !error.contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn durability_is_that_of_the_append_only_file() {
    let store = RedisStore::new(0);
    let durability = || store.log().unwrap().durability();
    assert!(durability().contains("before each acknowledgement"));
    store.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    assert!(durability().contains("every second"));
    store.command(&["CONFIG", "SET", "appendonly", "no"]);
    assert!(durability().contains("memory of Redis alone"));
}
