//! What the suite asks of an erasure: after a purge no file has a byte of what was removed, and everything else is as
//! it was. What is looked for are hashes: bytes that nothing else has and that no compression shortens.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{A, B, PARTITIONS, TestStore, append, cas, every_partition, finish, tail};
use crate::{Error, Log, Offset, Partition, mentions};

/// Bytes at the beginning of a canary that are looked for.
const LOOKED_FOR: usize = 16;

/// Bytes that are in nothing but what is made from them.
#[must_use]
pub fn canary(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

/// How many of these canaries are in the files of a store or in what it keeps in memory.
pub async fn traces(store: &dyn TestStore, canaries: &[[u8; 32]]) -> usize {
    let mut looked_for: HashSet<[u8; LOOKED_FOR]> = HashSet::new();
    let mut first_two = vec![false; 1 << 16];
    for canary in canaries {
        let (head, _) = canary.split_first_chunk().expect("it is longer");
        looked_for.insert(*head);
        first_two[usize::from(u16::from_be_bytes([head[0], head[1]]))] = true;
    }
    let mut found = HashSet::new();
    let mut look = |bytes: &[u8]| {
        for window in bytes.windows(LOOKED_FOR) {
            let likely = first_two[usize::from(u16::from_be_bytes([window[0], window[1]]))];
            let window: [u8; LOOKED_FOR] = window.try_into().expect("as long");
            if likely && looked_for.contains(&window) {
                found.insert(window);
            }
        }
    };
    look(&store.memory().await);
    for_each_file(store.directory(), &mut look);
    found.len()
}

fn for_each_file(directory: &Path, see: &mut dyn FnMut(&[u8])) {
    for file in fs::read_dir(directory).expect("a directory") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            for_each_file(&path, see);
        } else {
            // It may have been removed meanwhile.
            see(&fs::read(&path).unwrap_or_default());
        }
    }
}

fn payload(partition: Partition, n: u64) -> Bytes {
    let canary = canary(&format!("{partition} {n}"));
    Bytes::from([format!("entry {n} ").as_bytes(), &canary, &[b'.'; 60]].concat())
}

fn canaries(partition: Partition, numbers: std::ops::RangeInclusive<u64>) -> Vec<[u8; 32]> {
    numbers.map(|n| canary(&format!("{partition} {n}"))).collect()
}

async fn check(log: &dyn Log, partition: Partition, first: Offset, last: Offset) {
    assert_eq!(tail(log, partition).await, last, "{partition}");
    if first > 1 {
        assert!(matches!(log.read(partition, 0, 1).await, Err(Error::Trimmed { first: found }) if found == first));
    }
    let mut next = first;
    while next <= last {
        for entry in log.read(partition, next - 1, usize::MAX).await.expect("read") {
            assert_eq!((entry.offset, &entry.payload), (next, &payload(partition, next)), "{partition}");
            next += 1;
        }
    }
}

/// After a purge no file holds what was trimmed or replaced before it, which before the purge they do; what was kept is
/// whole, offsets go on, and so it is after reopening.
pub async fn what_was_removed_is_gone_after_a_purge(store: &dyn TestStore) {
    const COUNT: u64 = 330;
    // In the midst of what a store keeps together, all, none, and the first alone.
    let firsts = [(A, 151), (B, COUNT + 1), (Partition::Data(1), 1), (Partition::Control, 2)];
    let log = store.open().await;
    for (partition, _) in firsts {
        log.append((1..=COUNT).map(|n| (partition, payload(partition, n))).collect()).await.expect("append");
    }
    let values = ["old", "older", "kept"].map(|name| Bytes::copy_from_slice(&canary(name)));
    let blob = log.put_blob(Bytes::copy_from_slice(&canary("blob"))).await.expect("put");
    assert!(cas(&*log, "key", None, &values[0]).await && cas(&*log, "key", Some(&values[0]), &values[1]).await);
    assert!(cas(&*log, "key", Some(&values[1]), &values[2]).await);
    for (partition, first) in firsts {
        log.trim(partition, first).await.expect("trim");
    }
    let mut removed: Vec<_> = firsts.iter().flat_map(|(p, first)| canaries(*p, 1..=first - 1)).collect();
    removed.extend([canary("old"), canary("older")]);
    let mut kept: Vec<_> = firsts.iter().flat_map(|(p, first)| canaries(*p, *first..=COUNT)).collect();
    kept.extend([canary("kept"), canary("blob")]);
    assert_eq!(traces(store, &kept).await, kept.len(), "what is there is found");
    assert!(traces(store, &removed).await > 0, "to trim and to replace is not to erase");

    let purged = log.purge().await.expect("purge");
    assert!(purged.stores.iter().any(|store| store.gone), "{purged:?}");
    assert_eq!(traces(store, &removed).await, 0, "{purged:?}");
    assert_eq!(traces(store, &kept).await, kept.len());
    for (partition, first) in firsts {
        check(&*log, partition, first, COUNT).await;
        let next = log.append(vec![(partition, payload(partition, COUNT + 1))]).await.expect("append");
        assert_eq!(next, [COUNT + 1]);
    }
    assert_eq!(log.get_key("key").await.expect("get"), Some(values[2].clone()));
    assert!(log.get_blob(&blob).await.expect("get").is_some());
    log.purge().await.expect("a second purge");
    drop(log);
    let log = store.open().await;
    for (partition, first) in firsts {
        check(&*log, partition, first, COUNT + 1).await;
    }
    assert_eq!(log.get_key("key").await.expect("get"), Some(values[2].clone()));
    assert_eq!(traces(store, &removed).await, 0);
}

/// Appends, trims and compare-and-sets go on while the log is purged; nothing is lost, doubled or brought back.
pub async fn a_purge_during_appends_and_trims_loses_nothing(store: &dyn TestStore) {
    const GROUPS: u64 = 120;
    const GROUP: u64 = 20;
    let log = store.open().await;
    let mut tasks = JoinSet::new();
    for partition in [A, B, Partition::Control] {
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            for group in 0..GROUPS {
                let entries = (1..=GROUP).map(|n| (partition, payload(partition, group * GROUP + n))).collect();
                let offsets = log.append(entries).await.expect("append");
                assert_eq!(offsets[0], group * GROUP + 1, "{partition}");
                if partition == A && group % 10 == 9 {
                    log.trim(A, offsets[0] - 7).await.expect("trim");
                }
                let value = |n: u64| Bytes::from(n.to_string());
                let before = group.checked_sub(1).map(value);
                let name = partition.to_string();
                assert!(log.compare_and_set(&name, before, value(group)).await.expect("set"), "{partition} {group}");
            }
        });
    }
    let purging = Arc::clone(&log);
    tasks.spawn(async move {
        for _ in 0..4 {
            purging.purge().await.expect("purge");
        }
    });
    finish(tasks).await;
    let last = GROUPS * GROUP;
    let first = (GROUPS - 1) * GROUP + 1 - 7;
    log.purge().await.expect("purge");
    assert_eq!(traces(store, &canaries(A, 1..=first - 1)).await, 0);
    drop(log);
    let log = store.open().await;
    for (partition, first) in [(A, first), (B, 1), (Partition::Control, 1)] {
        check(&*log, partition, first, last).await;
        let value = log.get_key(&partition.to_string()).await.expect("get");
        assert_eq!(value, Some(Bytes::from((GROUPS - 1).to_string())));
    }
}

/// A scan counts what matches in every store, and nothing that was removed.
pub async fn a_scan_counts_what_is_left(store: &dyn TestStore) {
    let log = store.open().await;
    let id = "customer:4";
    let matches = move |bytes: &[u8]| mentions(bytes, id);
    for partition in every_partition() {
        for text in ["customer:4 came", "customer:42 came", "{\"userId\":\"customer:4\"}"] {
            append(&*log, partition, text).await;
        }
    }
    log.trim(A, 2).await.expect("trim");
    log.trim(B, Offset::MAX).await.expect("trim");
    let text = Bytes::from_static;
    assert!(cas(&*log, "k", None, &text(b"for customer:4")).await);
    assert!(cas(&*log, "customer:4", None, &text(b"")).await);
    assert!(cas(&*log, "other", None, &text(b"customer:4")).await);
    assert!(cas(&*log, "other", Some(&text(b"customer:4")), &text(b"nobody")).await);
    log.put_blob(text(b"about customer:4")).await.expect("put");
    log.put_blob(text(b"about customer:42")).await.expect("put");
    let found = log.scan(&matches).await.expect("scan");
    let count = |store: &str| found.iter().find(|found| found.store == store).map_or(0, |found| found.count);
    for partition in every_partition() {
        let expected = if partition == A {
            1
        } else if partition == B {
            0
        } else {
            2
        };
        assert_eq!(count(&format!("partition {partition}")), expected, "{found:?}");
    }
    assert_eq!((count("keys"), count("blobs")), (2, 1), "{found:?}");
    assert_eq!(found.len(), usize::from(PARTITIONS) + 2, "{found:?}");
    assert_eq!(log.scan(&|_| false).await.expect("scan"), []);
}
