//! Erasing from a real Redis: streams are rewritten under everybody's hands, the intake and the dead list too, and
//! the files that Redis writes hold nothing of it afterwards.

use std::time::Duration;

use bytes::Bytes;
use tactful_log::{
    DeadList, ErasedEntries, Intake, IntakeEntry, Log, Partition, RedisLog, RedisOptions,
    conformance::{PARTITIONS, TestStore, canary, traces},
    mentions,
};
use tokio::time::timeout;

use crate::redis::RedisStore;

const A: Partition = Partition::Data(0);
const SOON: Duration = Duration::from_mins(2);

fn payload(n: u64) -> Bytes {
    Bytes::from([n.to_string().as_bytes(), b" ", &canary(&n.to_string())].concat())
}

fn canaries(numbers: std::ops::Range<u64>) -> Vec<[u8; 32]> {
    numbers.map(|n| canary(&n.to_string())).collect()
}

async fn append(log: &RedisLog, numbers: std::ops::Range<u64>) {
    let first = numbers.start;
    let entries = numbers.map(|n| (A, payload(n))).collect();
    assert_eq!(log.append(entries).await.unwrap()[0], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_on_another_node_go_on_and_forget_what_was_trimmed() {
    let mut store = RedisStore::new(64 << 20);
    let (one, two) = (store.log().unwrap(), store.log().unwrap());
    append(&one, 1..5_001).await;
    let mut seen = 0;
    while seen < 5_000 {
        timeout(SOON, two.wait(A, seen)).await.unwrap().unwrap();
        seen = two.tail(A).await.unwrap();
    }
    one.trim(A, 2_051).await.unwrap();
    // The other node waits for what comes next while the stream is put in place anew.
    let following = tokio::spawn(async move {
        let mut next = 5_001;
        while next < 6_001 {
            timeout(SOON, two.wait(A, next - 1)).await.unwrap().unwrap();
            for entry in two.read(A, next - 1, 100).await.unwrap() {
                assert_eq!((entry.offset, entry.payload), (next, payload(next)));
                next += 1;
            }
        }
        two
    });
    let (purged, ()) = tokio::join!(one.purge(), async {
        for n in 0..100 {
            append(&one, 5_001 + n * 10..5_011 + n * 10).await;
        }
    });
    let purged = purged.unwrap();
    assert_eq!(traces(&store, &canaries(1..2_051)).await, 0, "{purged:?}");
    assert_eq!(traces(&store, &canaries(2_051..6_001)).await, 3_950);
    let two = following.await.unwrap();
    let started = std::time::Instant::now();
    while two.read(A, 0, 1).await.is_ok() {
        assert!(started.elapsed() < SOON, "the other node still has it in memory");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    append(&two, 6_001..6_002).await;
    drop((one, two));
    tokio::task::block_in_place(|| store.restart());
    let log = store.log().unwrap();
    assert_eq!(log.tail(A).await.unwrap(), 6_001);
    let mut next = 2_051;
    while next < 6_002 {
        for entry in log.read(A, next - 1, 1_000).await.unwrap() {
            assert_eq!((entry.offset, entry.payload), (next, payload(next)));
            next += 1;
        }
    }
    assert_eq!(traces(&store, &canaries(1..2_051)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_written_over_and_a_copy_that_a_purge_left_is_found_and_removed() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    append(&log, 1..301).await;
    store.command(&["SAVE"]);
    store.command(&["COPY", "{tactful:p00}:log", "{tactful:p00}:log:purge"]);
    log.trim(A, 151).await.unwrap();
    let removed = canaries(1..151);
    let found = log.scan(&|bytes| bytes.windows(32).any(|window| window == removed[7])).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].store.as_str(), found[0].count), ("interrupted purge", 1));
    assert!(store.directory().join("dump.rdb").exists());
    let purged = log.purge().await.unwrap();
    let dump = purged.stores.iter().find(|store| store.store == "dump file").unwrap();
    assert!(dump.gone && dump.detail == "rewritten", "{purged:?}");
    assert_eq!(traces(&store, &removed).await, 0, "{purged:?}");
    assert_eq!(traces(&store, &canaries(151..301)).await, 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forbids_is_left_to_the_operator_by_name() {
    let store = RedisStore::new(0);
    let rights = "ACL SETUSER app on >secret ~* &* +@all -bgrewriteaof -bgsave -config";
    store.command(&rights.split(' ').collect::<Vec<_>>());
    let url = store.url().replace("redis://", "redis://app:secret@");
    let log = RedisLog::open(&RedisOptions { url, partitions: PARTITIONS, recent_bytes: 0 }).unwrap();
    append(&log, 1..301).await;
    log.trim(A, 151).await.unwrap();
    let memory = store.memory().await;
    let is_there = |memory: &[u8], canary: &[u8; 32]| memory.windows(32).any(|bytes| bytes == canary);
    assert!(canaries(1..151).iter().any(|canary| is_there(&memory, canary)), "an exact trim leaves bytes in a node");
    let purged = log.purge().await.unwrap();
    let left = |name: &str| purged.stores.iter().find(|store| store.store == name && !store.gone).unwrap();
    assert!(left("append-only file").detail.contains("BGREWRITEAOF"), "{purged:?}");
    assert!(left("dump file").detail.contains("BGSAVE"), "{purged:?}");
    assert!(!purged.is_complete());
    let memory = store.memory().await;
    assert!(!canaries(1..151).iter().any(|canary| is_there(&memory, canary)), "the streams are done all the same");
}

fn json(id: &str, n: u64) -> String {
    let canary: String = canary(&format!("{id} {n}")).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"userId\":\"{id}\",\"n\":{n},\"text\":\"{canary}\"}}")
}

/// Those that were not taken before: what is owed for long is given out again.
fn fresh(entries: Vec<IntakeEntry>, before: &[IntakeEntry]) -> Vec<IntakeEntry> {
    entries.into_iter().filter(|entry| before.iter().all(|other| other.id != entry.id)).collect()
}

fn text(entry: &IntakeEntry) -> String {
    String::from_utf8(entry.fields[0].1.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_redis_dies_once_and_not_after_it_was_erased() {
    let store = RedisStore::new(0);
    let mut intake = Intake::join(&store.url()).unwrap();
    for n in 0..3 {
        store.command(&["XADD", "tactful:intake", "*", "json", &json("customer:4", n)]);
    }
    let taken = intake.take().unwrap();
    let dead: Vec<_> = taken.iter().map(|entry| (entry.clone(), "unreadable".to_owned())).collect();
    let list = DeadList::new(&store.url()).unwrap();
    for _ in 0..2 {
        intake.settle(&[], &dead[..2]).unwrap();
        assert_eq!(list.after(None).unwrap().len(), 2, "as another node does that had them too");
    }
    assert_eq!(intake.erase(|_| true).unwrap(), ErasedEntries { intake: 1, dead: 2 });
    intake.settle(&[], &dead).unwrap();
    assert_eq!(list.after(None).unwrap(), []);
    assert_eq!(pending(&store), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intake_that_was_deleted_in_redis_is_made_anew() {
    let store = RedisStore::new(0);
    let mut intake = Intake::join(&store.url()).unwrap();
    store.command(&["DEL", "tactful:intake"]);
    store.command(&["XADD", "tactful:intake", "*", "json", &json("customer:4", 1)]);
    let mut taken = Vec::new();
    while taken.is_empty() {
        taken = intake.take().unwrap();
    }
    assert!(text(&taken[0]).contains("customer:4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_intake_and_the_dead_list_of_redis_lose_one_customer_and_nothing_else() {
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    let mut intake = Intake::join(&store.url()).unwrap();
    let add = |id: &str, n: u64| store.command(&["XADD", "tactful:intake", "*", "json", &json(id, n)]);
    for n in 0..40 {
        add(["customer:4", "customer:42"][n as usize % 2], n);
    }
    // All are taken; of each customer some are settled, some dead, some owed.
    let taken = intake.take().unwrap();
    assert_eq!(taken.len(), 40);
    let dead: Vec<_> = taken[10..20].iter().map(|entry| (entry.clone(), "unreadable".to_owned())).collect();
    intake.settle(&taken[..10], &dead).unwrap();
    // And some are not taken yet.
    for n in 40..50 {
        add(["customer:4", "customer:42"][n as usize % 2], n);
    }
    let erased = intake.erase(|bytes| mentions(bytes, "customer:4")).unwrap();
    assert_eq!(erased, ErasedEntries { intake: 15, dead: 5 });
    let list = DeadList::new(&store.url()).unwrap();
    assert_eq!(list.erase(|bytes| mentions(bytes, "customer:4")).unwrap(), ErasedEntries::default());
    // A node waits for the next entry while the stream is put in place anew.
    let mut waiting = Intake::join(&store.url()).unwrap();
    let mut rest = Vec::new();
    while rest.len() < 5 {
        rest.extend(fresh(waiting.take().unwrap(), &taken));
    }
    let waiter = std::thread::spawn(move || {
        loop {
            // A call may end with the stream that it waited on; it is asked again.
            match waiting.take() {
                Ok(entries) if entries.iter().all(|entry| !text(entry).contains("customer:7")) => {}
                Ok(entries) => return (waiting, entries),
                Err(error) => assert!(error.to_string().contains("UNBLOCKED"), "{error}"),
            }
        }
    });
    let purged = log.purge().await.unwrap();
    add("customer:7", 50);
    let (mut waiting, next) = waiter.join().unwrap();
    assert!(text(&next[0]).contains("customer:7"), "{next:?}");
    let files = |numbers: std::ops::Range<u64>| {
        let bytes: Vec<u8> = std::fs::read_dir(store.directory().join("appendonlydir"))
            .unwrap()
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
        let has = |id: &str, n: u64| {
            let text = json(id, n);
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        numbers.filter(|n| has(["customer:4", "customer:42"][*n as usize % 2], *n)).collect::<Vec<_>>()
    };
    // What was settled is gone as well; what is left is the other customer's, dead or owed.
    assert_eq!(files(0..50), (10..50).filter(|n| n % 2 == 1).collect::<Vec<_>>(), "{purged:?}");
    assert_eq!(list.after(None).unwrap().len(), 5);
    let owed: Vec<String> = pending(&store);
    let expected = taken[20..].iter().filter(|entry| !mentions(&entry.fields[0].1, "customer:4"));
    let expected: Vec<String> = expected.chain(&rest).chain(&next).map(|entry| entry.id.clone()).collect();
    assert_eq!(owed, expected, "what was taken and not settled is still owed, under its id");
    waiting.settle(&next, &[]).unwrap();
    assert_eq!(list.erase(|bytes| mentions(bytes, "customer:42")).unwrap(), ErasedEntries { intake: 15, dead: 5 });
    assert_eq!(pending(&store), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intake_of_redis_that_is_worked_off_during_purges_loses_and_doubles_nothing() {
    const ENTRIES: u64 = 12_000;
    let store = RedisStore::new(0);
    let log = store.log().unwrap();
    let mut intake = Intake::join(&store.url()).unwrap();
    let mut add = ::redis::pipe();
    for n in 0..ENTRIES {
        add.cmd("XADD").arg("tactful:intake").arg("*").arg("n").arg(n).ignore();
    }
    add.exec(&mut store.connection()).unwrap();
    let settled = intake.take().unwrap();
    intake.settle(&settled, &[]).unwrap();
    let first = settled.len();
    let worker = std::thread::spawn(move || {
        let mut ids: Vec<String> = settled.into_iter().map(|entry| entry.id).collect();
        let started = std::time::Instant::now();
        while ids.len() < ENTRIES as usize {
            assert!(started.elapsed() < 4 * SOON, "only {} of {ENTRIES} came", ids.len());
            let taken = match intake.take() {
                Ok(taken) => taken,
                Err(error) if error.to_string().contains("UNBLOCKED") => continue,
                Err(error) => panic!("{error}"),
            };
            // Some stay owed for a while, so that the stream has holes.
            let (now, later) = taken.split_at(taken.len() / 2);
            intake.settle(later, &[]).unwrap();
            intake.settle(now, &[]).unwrap();
            ids.extend(taken.into_iter().map(|entry| entry.id));
        }
        ids
    });
    while !worker.is_finished() {
        log.purge().await.unwrap();
    }
    let mut ids = worker.join().unwrap();
    assert!(first < ids.len() && ids.len() == ENTRIES as usize, "{}", ids.len());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ENTRIES as usize, "each was taken once");
    let left: u64 = ::redis::cmd("XLEN").arg("tactful:intake").query(&mut store.connection()).unwrap();
    assert_eq!((left, pending(&store).len()), (0, 0));
}

fn pending(store: &RedisStore) -> Vec<String> {
    let mut call = ::redis::cmd("XPENDING");
    call.arg("tactful:intake").arg("tactful").arg("-").arg("+").arg(1_000);
    let owed: Vec<(String, String, u64, u64)> = call.query(&mut store.connection()).unwrap();
    owed.into_iter().map(|(id, ..)| id).collect()
}
