//! What the suite asks of entries: order, gaplessness, limits, waiting, trimming, reopening.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{task::JoinSet, time::timeout};

use super::{
    A, A_WHILE, B, PARTITIONS, SOON, TestStore, append, assert_too_large, cas, every_partition, finish, read, read_all,
    tail, texts,
};
use crate::{
    BLOB_BYTES_MAX, ENTRY_BYTES_MAX, Error, GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, LEASE_TTL_MAX, NAME_BYTES_MAX, Offset,
    Partition, READ_BYTES_MAX, READ_ENTRIES_MAX, VALUE_BYTES_MAX,
};

/// Offsets start at 1 and have no gaps, entries come back in the order and with the bytes given.
pub async fn offsets_are_gapless_and_order_is_kept(store: &dyn TestStore) {
    let log = store.open().await;
    assert_eq!(log.partitions(), PARTITIONS);
    assert_eq!(tail(&*log, A).await, 0);
    assert_eq!(read(&*log, A, 0, 10).await, []);
    let payloads = [&b""[..], b"one", &[0, 255, 10, 13]];
    let offsets = log.append(payloads.iter().map(|p| (A, Bytes::from_static(p))).collect()).await;
    assert_eq!(offsets.expect("append"), [1, 2, 3]);
    assert_eq!(append(&*log, A, "four").await, 4);
    assert_eq!(tail(&*log, A).await, 4);
    let entries = read(&*log, A, 0, 10).await;
    let read_back: Vec<_> = entries.iter().map(|entry| (entry.offset, &*entry.payload)).collect();
    assert_eq!(read_back, [(1, payloads[0]), (2, payloads[1]), (3, payloads[2]), (4, b"four")]);
}

/// Each partition, the control partition too, has its own offsets and entries.
pub async fn partitions_are_apart(store: &dyn TestStore) {
    let log = store.open().await;
    for round in 1..=3 {
        for partition in every_partition() {
            assert_eq!(append(&*log, partition, &partition.to_string()).await, round);
        }
    }
    for partition in every_partition() {
        let entries = read(&*log, partition, 0, 10).await;
        assert_eq!(entries.len(), 3);
        assert!(entries.iter().all(|entry| entry.payload == partition.to_string()), "{partition}");
    }
}

/// Appending nothing succeeds and changes nothing.
pub async fn an_empty_append_does_nothing(store: &dyn TestStore) {
    let log = store.open().await;
    assert_eq!(log.append(vec![]).await.expect("append"), [] as [Offset; 0]);
    for partition in every_partition() {
        assert_eq!(tail(&*log, partition).await, 0);
    }
}

/// One group may touch any partitions in any order; its offsets come back in the order given.
pub async fn a_group_spans_partitions(store: &dyn TestStore) {
    let log = store.open().await;
    append(&*log, B, "earlier").await;
    let group = [(B, "b2"), (A, "a1"), (Partition::Control, "c1"), (B, "b3"), (A, "a2")];
    let offsets = log.append(group.iter().map(|&(p, text)| (p, Bytes::from(text))).collect()).await;
    assert_eq!(offsets.expect("append"), [2, 1, 1, 3, 2]);
    assert_eq!(texts(&read(&*log, A, 0, 10).await), ["a1", "a2"]);
    assert_eq!(texts(&read(&*log, B, 1, 10).await), ["b2", "b3"]);
    assert_eq!(texts(&read(&*log, Partition::Control, 0, 10).await), ["c1"]);
}

/// A read returns at most its limit and the trait's bounds, and reading on reaches every entry once.
pub async fn reads_keep_to_their_limits(store: &dyn TestStore) {
    let log = store.open().await;
    let count = READ_ENTRIES_MAX + 100;
    log.append((0..count).map(|n| (A, Bytes::from(n.to_string()))).collect()).await.expect("append");
    assert_eq!(read(&*log, A, 0, 0).await, []);
    assert_eq!(texts(&read(&*log, A, 7, 3).await), ["7", "8", "9"]);
    assert_eq!(read(&*log, A, 0, usize::MAX).await.len(), READ_ENTRIES_MAX);
    assert_eq!(read_all(&*log, A).await.len(), count);

    let large = Bytes::from(vec![7; ENTRY_BYTES_MAX]);
    for _ in 0..3 {
        log.append(vec![(B, large.clone()); 3]).await.expect("append");
    }
    let first = read(&*log, B, 0, 100).await;
    let bytes: usize = first.iter().map(|entry| entry.payload.len()).sum();
    assert!(!first.is_empty() && bytes <= READ_BYTES_MAX + ENTRY_BYTES_MAX, "{bytes}");
    assert_eq!(read_all(&*log, B).await.len(), 9);
}

/// Groups of many appenders never interleave within a partition, and nothing is lost or doubled.
pub async fn concurrent_appenders_share_one_order(store: &dyn TestStore) {
    const APPENDERS: usize = 8;
    const GROUPS: usize = 25;
    const GROUP: usize = 4;
    let log = store.open().await;
    let mut appenders = JoinSet::new();
    for appender in 0..APPENDERS {
        let log = Arc::clone(&log);
        appenders.spawn(async move {
            for group in 0..GROUPS {
                let entries = (0..GROUP).map(|n| (A, Bytes::from(format!("{appender}/{group}/{n}")))).collect();
                let offsets = log.append(entries).await.expect("append");
                assert!(offsets.is_sorted_by(|a, b| a + 1 == *b), "{offsets:?}");
                let entry = read(&*log, A, offsets[0] - 1, 1).await;
                assert_eq!(texts(&entry), [format!("{appender}/{group}/0")], "readable once acknowledged");
            }
        });
    }
    finish(appenders).await;
    let entries = read_all(&*log, A).await;
    assert_eq!(entries.len(), APPENDERS * GROUPS * GROUP);
    let mut next = [0; APPENDERS];
    for group in entries.chunks(GROUP) {
        let appender: usize = texts(group)[0].split('/').next().and_then(|a| a.parse().ok()).expect("own payload");
        let expected: Vec<_> = (0..GROUP).map(|n| format!("{appender}/{}/{n}", next[appender])).collect();
        assert_eq!(texts(group), expected, "whole, and in the order of its appender");
        next[appender] += 1;
    }
}

/// `wait` returns at once if there is more, else with the next entry, and not before.
pub async fn waiting_ends_with_the_next_entry(store: &dyn TestStore) {
    let log = store.open().await;
    append(&*log, A, "one").await;
    timeout(SOON, log.wait(A, 0)).await.expect("soon").expect("wait");
    append(&*log, B, "elsewhere").await;
    assert!(timeout(A_WHILE, log.wait(A, 1)).await.is_err(), "nothing new in this partition");
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let log = Arc::clone(&log);
        waiting.spawn(async move {
            log.wait(A, 1).await.expect("wait");
            assert_eq!(texts(&read(&*log, A, 1, 1).await), ["two"], "readable when woken");
        });
    }
    tokio::time::sleep(A_WHILE).await;
    append(&*log, A, "two").await;
    finish(waiting).await;
}

/// A reader that is ahead of the log is told so, since it would wait for ever and then skip entries.
pub async fn a_reader_past_the_end_is_told(store: &dyn TestStore) {
    let log = store.open().await;
    append(&*log, A, "one").await;
    for after in [2, Offset::MAX] {
        assert!(matches!(log.read(A, after, 1).await, Err(Error::BeyondTail { tail: 1, .. })));
        let waited = timeout(SOON, log.wait(A, after)).await.expect("soon");
        assert!(matches!(waited, Err(Error::BeyondTail { tail: 1, .. })));
    }
    assert_eq!(read(&*log, A, 1, 1).await, []);
}

/// Reading what was trimmed is an error that names the first entry kept, also after reopening.
pub async fn trimmed_entries_are_never_skipped_silently(store: &dyn TestStore) {
    let mut log = store.open().await;
    log.append((1..=20).map(|n| (A, Bytes::from(n.to_string()))).collect()).await.expect("append");
    append(&*log, B, "other").await;
    log.trim(A, 8).await.expect("trim");
    log.trim(A, 5).await.expect("trimming less than before is no error");
    for reopened in [false, true] {
        if reopened {
            drop(log);
            log = store.open().await;
        }
        for after in [0, 5, 6] {
            assert!(matches!(log.read(A, after, 1).await, Err(Error::Trimmed { first: 8 })), "{after}");
        }
        assert_eq!(texts(&read(&*log, A, 7, 2).await), ["8", "9"]);
        assert_eq!(read(&*log, A, 7, 100).await.len(), 13);
        assert_eq!(tail(&*log, A).await, 20);
        assert_eq!(texts(&read(&*log, B, 0, 2).await), ["other"]);
    }
}

/// Trimming takes at most what is there, and the next entry's offset goes on from it, also after reopening.
pub async fn trimming_everything_keeps_the_offsets(store: &dyn TestStore) {
    let log = store.open().await;
    log.append(vec![(A, Bytes::from_static(b"x")); 5]).await.expect("append");
    log.trim(A, Offset::MAX).await.expect("trim");
    assert_eq!(read(&*log, A, 5, 1).await, []);
    drop(log);
    let log = store.open().await;
    assert_eq!(tail(&*log, A).await, 5);
    assert!(matches!(log.read(A, 4, 1).await, Err(Error::Trimmed { first: 6 })));
    assert_eq!(append(&*log, A, "six").await, 6);
    assert_eq!(texts(&read(&*log, A, 5, 1).await), ["six"]);
}

/// Every bound is inclusive; beyond it the error names the thing and the limit, and nothing is kept.
pub async fn too_large_is_refused_by_name(store: &dyn TestStore) {
    let log = store.open().await;
    let bytes = |len: usize| Bytes::from(vec![b'x'; len]);
    log.append(vec![(A, bytes(ENTRY_BYTES_MAX))]).await.expect("the largest entry fits");
    let refused = log.append(vec![(A, Bytes::from("fits")), (A, bytes(ENTRY_BYTES_MAX + 1))]).await;
    assert_too_large(refused, ENTRY_BYTES_MAX);
    let entries = GROUP_BYTES_MAX / ENTRY_BYTES_MAX + 1;
    assert_too_large(log.append(vec![(A, bytes(ENTRY_BYTES_MAX)); entries]).await, GROUP_BYTES_MAX);
    assert_too_large(log.append(vec![(A, Bytes::new()); GROUP_ENTRIES_MAX + 1]).await, GROUP_ENTRIES_MAX);
    assert_eq!(tail(&*log, A).await, 1);
    let long = "k".repeat(NAME_BYTES_MAX + 1);
    assert_too_large(log.compare_and_set(&long, None, bytes(1)).await, NAME_BYTES_MAX);
    assert_too_large(log.get_key(&long).await, NAME_BYTES_MAX);
    assert_too_large(log.compare_and_set("key", None, bytes(VALUE_BYTES_MAX + 1)).await, VALUE_BYTES_MAX);
    assert_eq!(log.get_key("key").await.expect("get"), None);
    assert_too_large(log.acquire_lease(&long, "a", SOON).await, NAME_BYTES_MAX);
    assert_too_large(log.acquire_lease("lease", "a", LEASE_TTL_MAX * 2).await, LEASE_TTL_MAX.as_secs() as usize);
    assert_too_large(log.put_blob(bytes(BLOB_BYTES_MAX + 1)).await, BLOB_BYTES_MAX);
}

/// A partition that the log does not have is refused by every call, and a group with one is refused whole.
pub async fn unknown_partitions_are_refused(store: &dyn TestStore) {
    let log = store.open().await;
    let unknown = Partition::Data(PARTITIONS);
    let refused = |error: Error| {
        assert!(matches!(error, Error::UnknownPartition { partitions: PARTITIONS, .. }), "{error}");
    };
    refused(log.append(vec![(A, Bytes::new()), (unknown, Bytes::new())]).await.expect_err("append"));
    refused(log.read(unknown, 0, 1).await.expect_err("read"));
    refused(log.wait(unknown, 0).await.expect_err("wait"));
    refused(log.tail(unknown).await.expect_err("tail"));
    refused(log.trim(unknown, 1).await.expect_err("trim"));
    assert_eq!(tail(&*log, A).await, 0);
}

/// After reopening, everything acknowledged is there, and offsets go on.
pub async fn reopening_keeps_everything(store: &dyn TestStore) {
    let log = store.open().await;
    let (epoch, count) = (log.epoch(), 1_000);
    assert!(!log.durability().is_empty());
    for n in 0..count / 100 {
        let entries = (0..100).map(|m| (A, Bytes::from((n * 100 + m).to_string()))).collect();
        log.append(entries).await.expect("append");
    }
    append(&*log, Partition::Control, "control").await;
    let blob = log.put_blob(Bytes::from_static(b"blob")).await.expect("put");
    assert!(cas(&*log, "key", None, &Bytes::from_static(b"value")).await);
    drop(log);

    let log = store.open().await;
    assert_eq!((log.epoch(), log.partitions()), (epoch, PARTITIONS));
    let entries = read_all(&*log, A).await;
    assert_eq!(texts(&entries), (0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(texts(&read(&*log, Partition::Control, 0, 2).await), ["control"]);
    assert_eq!(log.get_blob(&blob).await.expect("get"), Some(Bytes::from_static(b"blob")));
    assert_eq!(log.get_key("key").await.expect("get"), Some(Bytes::from_static(b"value")));
    assert_eq!(append(&*log, A, "next").await, count + 1);
    timeout(SOON, log.wait(A, count)).await.expect("soon").expect("wait");
    assert_eq!(texts(&read(&*log, A, count - 1, 9).await), ["999", "next"], "a read across the restart");
}
