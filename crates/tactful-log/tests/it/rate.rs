//! How fast the embedded log takes entries, and what a purge costs. Not run by default: it measures, and asserts only that all are there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tactful_log::{EmbeddedLog, Log, Options, Partition, RedisLog, RedisOptions, RedisServer};

const ENTRIES: usize = 2_000_000;
const GROUP: usize = 500;
const PAYLOAD_BYTES: usize = 200;
const APPENDERS: usize = 4;
const PURGE_ENTRIES: usize = 200_000;

/// Longest append while a purge ran.
static LONGEST_US: AtomicU64 = AtomicU64::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test -p tactful-log --release rate -- --ignored --nocapture"]
async fn append_rate() {
    let home = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(home.path(), Options::default()).unwrap());
    let started = Instant::now();
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..APPENDERS {
        let log = Arc::clone(&log);
        appenders.spawn(async move {
            for group in 0..ENTRIES / GROUP / APPENDERS {
                let partition = Partition::Data(((group + appender) % 16) as u16);
                let entries = (0..GROUP).map(|n| (partition, Bytes::from(vec![n as u8; PAYLOAD_BYTES]))).collect();
                log.append(entries).await.unwrap();
            }
        });
    }
    appenders.join_all().await;
    let seconds = started.elapsed().as_secs_f64();
    println!("{:.0} entries/s acknowledged durable, groups of {GROUP}", ENTRIES as f64 / seconds);
    let mut kept = 0;
    for partition in 0..16 {
        kept += log.tail(Partition::Data(partition)).await.unwrap();
    }
    assert_eq!(kept, ENTRIES as u64);
    let started = Instant::now();
    let (mut after, mut read) = (0, 0);
    loop {
        let entries = log.read(Partition::Data(3), after, usize::MAX).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = last.offset;
        read += entries.len();
    }
    println!("{:.0} entries/s read back", read as f64 / started.elapsed().as_secs_f64());
}

/// What a purge costs: with half of the entries trimmed, and another that finds nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test -p tactful-log purge_rate -- --ignored --nocapture"]
async fn purge_rate() {
    let (home, redis_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = RedisServer::start(redis_home.path()).unwrap();
    let options = RedisOptions { url: server.url(), partitions: 16, recent_bytes: 0 };
    let logs: [(&str, Arc<dyn Log>); 2] = [
        ("embedded", Arc::new(EmbeddedLog::open(home.path(), Options::default()).unwrap())),
        ("redis", Arc::new(RedisLog::open(&options).unwrap())),
    ];
    for (name, log) in logs {
        let partition = Partition::Data(3);
        for _ in 0..PURGE_ENTRIES / GROUP {
            let entries = (0..GROUP).map(|n| (partition, Bytes::from(vec![n as u8; PAYLOAD_BYTES]))).collect();
            log.append(entries).await.unwrap();
        }
        log.trim(partition, PURGE_ENTRIES as u64 / 2 + 50).await.unwrap();
        for round in ["half of them trimmed", "nothing trimmed since"] {
            let appending = tokio::spawn(longest_append(Arc::clone(&log)));
            tokio::time::sleep(Duration::from_millis(200)).await;
            let started = Instant::now();
            let purged = log.purge().await.unwrap();
            let took = started.elapsed();
            appending.abort();
            println!("{name}, {PURGE_ENTRIES} entries of {PAYLOAD_BYTES} bytes, {round}: {took:?}, {purged:?}");
        }
        println!("{name}: longest append meanwhile {:?}", Duration::from_micros(LONGEST_US.swap(0, Ordering::Relaxed)));
    }
}

async fn longest_append(log: Arc<dyn Log>) {
    loop {
        let started = Instant::now();
        log.append(vec![(Partition::Data(5), Bytes::from_static(b"meanwhile"))]).await.unwrap();
        LONGEST_US.fetch_max(started.elapsed().as_micros() as u64, Ordering::Relaxed);
    }
}
