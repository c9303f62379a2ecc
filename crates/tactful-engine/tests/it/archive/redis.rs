//! Several nodes on one Redis share an archive: one writes, all read, and another takes over.

use std::sync::Arc;

use tactful_engine::Engine;
use tactful_log::{Log, RedisLog, RedisOptions, RedisServer};

use super::{archived, often, traffic, trim};
use crate::fixture::{PATIENCE, export, start};

/// A node on a shared Redis, on a runtime of its own.
async fn node(url: &str) -> (tokio::runtime::Runtime, Arc<dyn Log>, Arc<Engine>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = RedisOptions { url: url.into(), partitions: 4, recent_bytes: 8 << 20 };
    let log: Arc<dyn Log> = Arc::new(RedisLog::open(&options).unwrap());
    let opened = Arc::clone(&log);
    let engine = runtime.spawn(async move { start(&opened).await }).await.unwrap();
    (runtime, log, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_redis_share_an_archive_and_one_takes_over_from_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let redis_folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let redis = RedisServer::start(redis_folder.path()).unwrap();
    let (first_runtime, first_log, first) = node(&redis.url()).await;
    let (second_runtime, second_log, second) = node(&redis.url()).await;
    first.start_archiver(often(&directory));
    traffic(&first, 0, 8).await;
    archived(first_log.as_ref()).await;
    second.start_archiver(often(&directory));
    traffic(&second, 8, 12).await;
    archived(second_log.as_ref()).await;
    let (one, two) = (export(&first).await, export(&second).await);
    assert_eq!((one.len(), &one), (24, &two), "the same from either");
    // The first one ends without a word.
    first_runtime.shutdown_background();
    drop((first, first_log));
    traffic(&second, 12, 16).await;
    archived(second_log.as_ref()).await;
    // Each node appends the captured form of a decision made elsewhere: rows of the archive, as of the log.
    let expected = export(&second).await;
    assert_eq!(expected.len(), 32);
    trim(second_log.as_ref()).await;
    assert_eq!(export(&second).await, expected);
    second.close(PATIENCE).await;
    second_runtime.shutdown_background();
}
