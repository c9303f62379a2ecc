//! Who may open a directory, and how: one at a time, with the partitions that it has, and damage is told.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use bytes::Bytes;
use tactful_log::{EmbeddedLog, Error, Log, Options, PARTITIONS_MAX, Partition, conformance::TestStore};

use crate::embedded::{DirectoryStore, roomy};

const HOLD: &str = "TACTFUL_LOG_TEST_HOLD";
const A: Partition = Partition::Data(0);

fn refusal(opened: Result<EmbeddedLog, Error>) -> Error {
    opened.err().expect("should be refused")
}

#[test]
fn a_directory_is_open_only_once_in_a_process() {
    let home = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(home.path(), roomy()).unwrap();
    for second in [EmbeddedLog::open(home.path(), roomy()), EmbeddedLog::open_existing(home.path())] {
        let refused = refusal(second);
        assert!(matches!(&refused, Error::Locked { path } if path == home.path()), "{refused}");
        assert!(refused.to_string().contains(&home.path().display().to_string()), "{refused}");
    }
    drop(log);
    EmbeddedLog::open(home.path(), roomy()).unwrap();
}

/// Not a test of its own: another process that holds a log open until its input ends.
#[test]
#[ignore = "run by another_process_is_told_that_the_directory_is_in_use"]
fn holds_a_log() {
    let home = std::env::var_os(HOLD).expect("started by its parent");
    let _log = EmbeddedLog::open(home, roomy()).unwrap();
    println!("open");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn another_process_is_told_that_the_directory_is_in_use() {
    let home = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opening::holds_a_log", "--ignored", "--nocapture"])
        .env(HOLD, home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("open")), "the other process has it open");
    assert!(matches!(EmbeddedLog::open(home.path(), roomy()), Err(Error::Locked { .. })));
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(lines.any(|line| line.contains("test result: ok")), "it closed the log without a failure");
    holder.wait().unwrap();
    EmbeddedLog::open(home.path(), roomy()).unwrap();
}

#[tokio::test]
async fn the_partition_count_is_fixed_at_creation() {
    let home = tempfile::tempdir().unwrap();
    for partitions in [0, PARTITIONS_MAX + 1] {
        let refused = refusal(EmbeddedLog::open(home.path(), Options { partitions, ..roomy() }));
        assert!(matches!(refused, Error::OutOfRange { most: 16_384, .. }), "{refused}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "a refused count creates nothing");
    let log = EmbeddedLog::open(home.path(), Options::default()).unwrap();
    assert_eq!(log.partitions(), 16);
    drop(log);
    let refused = refusal(EmbeddedLog::open(home.path(), Options { partitions: 8, ..Options::default() }));
    assert!(matches!(refused, Error::PartitionMismatch { stored: 16, asked: 8, .. }), "{refused}");
    assert_eq!(EmbeddedLog::open_existing(home.path()).unwrap().partitions(), 16);
}

#[test]
fn the_largest_partition_count_works() {
    let home = tempfile::tempdir().unwrap();
    let options = Options { partitions: PARTITIONS_MAX, ..Options::default() };
    let log = EmbeddedLog::open(home.path(), options).unwrap();
    assert_eq!(log.partitions(), PARTITIONS_MAX);
}

#[test]
fn reading_where_there_is_no_log_creates_none() {
    let home = tempfile::tempdir().unwrap();
    for path in [home.path().to_owned(), home.path().join("absent")] {
        let refused = refusal(EmbeddedLog::open_existing(&path));
        assert!(matches!(&refused, Error::NotALog { path: named } if *named == path), "{refused}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    let file = home.path().join("file");
    fs::write(&file, b"not a directory").unwrap();
    assert!(matches!(EmbeddedLog::open(&file, roomy()), Err(Error::Io { .. })));
}

#[tokio::test]
async fn a_damaged_journal_loses_nothing_silently() {
    let store = DirectoryStore::new(roomy());
    let log = store.open().await;
    for n in 0..100 {
        log.append(vec![(A, Bytes::from(vec![n; 100]))]).await.unwrap();
    }
    drop(log);
    let journal = store.path().join("data/store/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    // Inside the payload of an entry in the middle.
    let middle = bytes.windows(100).position(|window| window == [50; 100]).unwrap();
    bytes[middle + 10] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let refused = refusal(EmbeddedLog::open(store.path(), roomy()));
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
}
