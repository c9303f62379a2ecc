//! How fast the embedded log takes entries. Not run by default: it measures, and asserts only that all are there.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use tactful_log::{EmbeddedLog, Log, Options, Partition};

const ENTRIES: usize = 2_000_000;
const GROUP: usize = 500;
const PAYLOAD_BYTES: usize = 200;
const APPENDERS: usize = 4;

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
