//! The suite that every [`Log`] passes: for tests, in this crate and in those of other implementations.
//! It asks only for what the trait promises, and refuses to look at how an implementation keeps it.
//!
//! ```ignore
//! mod redis { tactful_log::conformance_suite!(super::RedisStore::new()); }
//! ```

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{task::JoinSet, time::timeout};

use crate::{Entry, Error, Log, Offset, Partition};

mod entries;
mod erasure;
mod values;

pub use entries::*;
pub use erasure::*;
pub use values::*;

/// Data partitions of the logs under test.
pub const PARTITIONS: u16 = 4;

/// What must happen soon is given this long.
const SOON: Duration = Duration::from_secs(20);
/// What must not happen is given this long to happen.
const A_WHILE: Duration = Duration::from_millis(100);

const A: Partition = Partition::Data(0);
const B: Partition = Partition::Data(3);

/// A store for one test, empty at first.
#[async_trait]
pub trait TestStore: Send + Sync {
    /// Opens the store with [`PARTITIONS`] partitions, or opens it again after every earlier handle was dropped.
    async fn open(&self) -> Arc<dyn Log>;

    /// The directory of all files that the store is kept in, uncompressed.
    fn directory(&self) -> &Path;

    /// What is kept in memory in a form that gets into files, such as the values of a server.
    async fn memory(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Makes one test of each case. The argument is an expression for a fresh [`TestStore`]; the crate needs tokio's macros.
#[macro_export]
macro_rules! conformance_suite {
    ($store:expr) => {
        $crate::conformance_suite! { @tests $store;
            offsets_are_gapless_and_order_is_kept,
            partitions_are_apart,
            an_empty_append_does_nothing,
            a_group_spans_partitions,
            reads_keep_to_their_limits,
            concurrent_appenders_share_one_order,
            waiting_ends_with_the_next_entry,
            a_reader_past_the_end_is_told,
            trimmed_entries_are_never_skipped_silently,
            trimming_everything_keeps_the_offsets,
            too_large_is_refused_by_name,
            unknown_partitions_are_refused,
            blobs_are_found_by_their_hash,
            keys_change_only_from_what_was_expected,
            races_on_a_key_have_one_winner_each,
            a_lease_has_one_holder_and_growing_tokens,
            a_lease_ends_unless_renewed,
            reopening_keeps_everything,
            what_was_removed_is_gone_after_a_purge,
            a_purge_during_appends_and_trims_loses_nothing,
            a_scan_counts_what_is_left
        }
    };
    (@tests $store:expr; $($case:ident),*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$case(&$store).await;
            }
        )*
    };
}

async fn append(log: &dyn Log, partition: Partition, text: &str) -> Offset {
    log.append(vec![(partition, Bytes::copy_from_slice(text.as_bytes()))]).await.expect("append")[0]
}

async fn tail(log: &dyn Log, partition: Partition) -> Offset {
    log.tail(partition).await.expect("tail")
}

async fn read(log: &dyn Log, partition: Partition, after: Offset, limit: usize) -> Vec<Entry> {
    let entries = log.read(partition, after, limit).await.expect("read");
    assert!(entries.len() <= limit);
    let offsets = entries.iter().map(|entry| entry.offset);
    assert!(offsets.eq((after + 1..).take(entries.len())), "a gap after {after}");
    entries
}

async fn read_all(log: &dyn Log, partition: Partition) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |entry| entry.offset);
        let more = read(log, partition, after, usize::MAX).await;
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

async fn cas(log: &dyn Log, key: &str, expected: Option<&Bytes>, value: &Bytes) -> bool {
    log.compare_and_set(key, expected.cloned(), value.clone()).await.expect("compare and set")
}

async fn finish(mut tasks: JoinSet<()>) {
    while let Some(done) = timeout(SOON, tasks.join_next()).await.expect("soon") {
        done.expect("a task of the test");
    }
}

fn every_partition() -> impl Iterator<Item = Partition> {
    (0..PARTITIONS).map(Partition::Data).chain([Partition::Control])
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.payload).into_owned()).collect()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}

fn assert_too_large<T>(outcome: Result<T, Error>, bound: usize) {
    match outcome {
        Err(error @ Error::TooLarge { limit, .. }) => {
            assert_eq!(limit, bound);
            assert!(error.to_string().contains(&bound.to_string()), "{error}");
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("beyond {bound} was accepted"),
    }
}
