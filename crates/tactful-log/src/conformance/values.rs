//! What the suite asks of everything beside the entries: blobs, keys, leases.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{SOON, TestStore, cas, finish, number};

/// A blob is found by the sha256 of its bytes, storing it twice is harmless, an unknown one is `None`.
pub async fn blobs_are_found_by_their_hash(store: &dyn TestStore) {
    let log = store.open().await;
    let abc = log.put_blob(Bytes::from_static(b"abc")).await.expect("put");
    assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf], "sha256 of abc, FIPS 180-2");
    let large = Bytes::from((0..3_000_000u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let (log, large) = (Arc::clone(&log), large.clone());
        writers.spawn(async move { log.put_blob(large).await.expect("put") });
    }
    let hashes: BTreeSet<_> = writers.join_all().await.into_iter().collect();
    assert_eq!(hashes.len(), 1);
    for hash in &hashes {
        assert_eq!(log.get_blob(hash).await.expect("get"), Some(large.clone()));
    }
    assert_eq!(log.get_blob(&abc).await.expect("get"), Some(Bytes::from_static(b"abc")));
    assert_eq!(log.get_blob(&[0; 32]).await.expect("get"), None);
}

/// A key is set only from exactly the expected value; absent and empty differ.
pub async fn keys_change_only_from_what_was_expected(store: &dyn TestStore) {
    let log = store.open().await;
    let [empty, one, two] = [Bytes::new(), Bytes::from_static(b"1"), Bytes::from_static(b"2")];
    assert_eq!(log.get_key("k").await.expect("get"), None);
    assert!(!cas(&*log, "k", Some(&empty), &one).await, "absent is not empty");
    assert!(cas(&*log, "k", None, &empty).await);
    assert_eq!(log.get_key("k").await.expect("get"), Some(empty.clone()));
    assert!(!cas(&*log, "k", None, &one).await, "empty is not absent");
    assert!(cas(&*log, "k", Some(&empty), &one).await);
    assert!(!cas(&*log, "k", Some(&two), &two).await);
    assert_eq!(log.get_key("k").await.expect("get"), Some(one));
    assert_eq!(log.get_key("k2").await.expect("get"), None);
    assert!(cas(&*log, "", None, &two).await, "a key may be empty");
}

/// Of all that expect the same value exactly one wins: a counter raised by many comes out exact.
pub async fn races_on_a_key_have_one_winner_each(store: &dyn TestStore) {
    const TASKS: u64 = 8;
    const RAISES: u64 = 10;
    let log = store.open().await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            let mut raised = 0;
            while raised < RAISES {
                let now = log.get_key("counter").await.expect("get");
                let value = now.as_deref().map_or(0, number) + 1;
                let next = Bytes::copy_from_slice(&value.to_be_bytes());
                raised += u64::from(log.compare_and_set("counter", now, next).await.expect("set"));
            }
        });
    }
    finish(tasks).await;
    let end = log.get_key("counter").await.expect("get").expect("set");
    assert_eq!(number(&end), TASKS * RAISES);
}

/// A lease has one holder at a time; its token grows with every grant, restarts included.
pub async fn a_lease_has_one_holder_and_growing_tokens(store: &dyn TestStore) {
    let log = store.open().await;
    let lease = |holder: &'static str| {
        let log = Arc::clone(&log);
        async move { log.acquire_lease("learner", holder, SOON).await.expect("acquire") }
    };
    let first = lease("a").await.expect("free");
    assert_eq!((first.name.as_str(), first.holder.as_str()), ("learner", "a"));
    assert_eq!(lease("b").await, None);
    let other = log.acquire_lease("other", "b", SOON).await.expect("acquire");
    assert!(other.is_some(), "leases of other names are apart");
    let again = lease("a").await.expect("its own holder");
    assert!(again.token > first.token);
    assert!(!log.renew_lease(&mut first.clone(), SOON).await.expect("renew"), "fenced out");
    assert!(!log.release_lease(&first).await.expect("release"), "fenced out");
    assert_eq!(lease("b").await, None, "still held");
    assert!(log.release_lease(&again).await.expect("release"));
    let second = lease("b").await.expect("free again");
    assert!(second.token > again.token);
    assert!(log.release_lease(&second).await.expect("release"));
    drop(log);
    let log = store.open().await;
    let third = log.acquire_lease("learner", "c", SOON).await.expect("acquire").expect("free");
    assert!(third.token > second.token);
}

/// A lease ends by itself, a renewal moves its end, and after its end it cannot be renewed.
pub async fn a_lease_ends_unless_renewed(store: &dyn TestStore) {
    let log = store.open().await;
    let acquire = |holder: &'static str, ttl: Duration| {
        let log = Arc::clone(&log);
        async move { log.acquire_lease("l", holder, ttl).await.expect("acquire") }
    };
    let mut lease = acquire("a", Duration::from_millis(500)).await.expect("free");
    let end = lease.expires_at;
    assert!(log.renew_lease(&mut lease, SOON * 2).await.expect("renew"), "still held half a second later");
    assert!(lease.expires_at > end);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(acquire("b", SOON).await, None, "renewed beyond its first end");
    assert!(log.renew_lease(&mut lease, Duration::from_millis(50)).await.expect("renew"), "may be shortened");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!log.renew_lease(&mut lease, SOON).await.expect("renew"), "ended");
    let next = acquire("b", SOON).await.expect("free");
    assert!(next.token > lease.token);
}
