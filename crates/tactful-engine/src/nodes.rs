//! The nodes of a log: each says in one key how far back it may still need the log. What one of them has not
//! said for long does not count any more: it comes back by a peer's snapshot.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tactful_log::{Log, Offset};
use tactful_proto::storage::{Node, Nodes};

use crate::error::Error;

/// Key of the log that holds them.
const KEY: &str = "nodes";
/// Nodes of one log at most: the key stays below a megabyte.
const NODES_MAX: usize = 64;
/// Tries to write the key while others do.
const TRIES_MAX: usize = 16;

/// Says what this node may need, and forgets those that have been silent for `absent`. Answers all that count.
///
/// # Errors
/// If the log fails, or there are too many nodes.
pub(crate) async fn report(log: &dyn Log, own: Node, absent: Duration) -> Result<Vec<Node>, Error> {
    for _ in 0..TRIES_MAX {
        let found = log.get_key(KEY).await?;
        let mut nodes = found.as_deref().map_or_else(Vec::new, decode);
        let oldest_ms = own.seen_ms - i64::try_from(absent.as_millis()).unwrap_or(i64::MAX);
        nodes.retain(|node| node.id != own.id && node.seen_ms >= oldest_ms);
        if nodes.len() >= NODES_MAX {
            return Err(Error::TooManyNodes { most: NODES_MAX });
        }
        nodes.push(own.clone());
        let value = Bytes::from(Nodes { nodes: nodes.clone() }.encode_to_vec());
        if log.compare_and_set(KEY, found, value).await? {
            return Ok(nodes);
        }
    }
    // The others were quicker; the next turn comes soon.
    Ok(log.get_key(KEY).await?.as_deref().map_or_else(Vec::new, decode))
}

fn decode(value: &[u8]) -> Vec<Node> {
    Nodes::decode(value).unwrap_or_default().nodes
}

/// Up to where all nodes can do without a partition of the log.
pub(crate) fn needless(nodes: &[Node], partition: u16) -> Offset {
    let oldest = nodes.iter().map(|node| node.oldest.get(usize::from(partition)).copied().unwrap_or_default());
    oldest.min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, seen_ms: i64, oldest: &[Offset]) -> Node {
        Node { id, seen_ms, oldest: oldest.to_vec(), applied: Vec::new() }
    }

    #[tokio::test]
    async fn each_says_its_own_and_who_is_silent_for_long_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let log = tactful_log::EmbeddedLog::open(folder.path(), tactful_log::Options::default()).unwrap();
        let hour = Duration::from_hours(1);
        report(&log, node(1, 1_000, &[5, 9]), hour).await.unwrap();
        let both = report(&log, node(2, 2_000, &[7, 0]), hour).await.unwrap();
        assert_eq!((both.len(), needless(&both, 0), needless(&both, 1), needless(&both, 2)), (2, 5, 0, 0));
        let again = report(&log, node(2, 3_000, &[8, 8]), hour).await.unwrap();
        assert_eq!((again.len(), needless(&again, 0), needless(&again, 1)), (2, 5, 8));
        let later = report(&log, node(2, 3_700_000, &[8, 8]), hour).await.unwrap();
        assert_eq!((later.len(), needless(&later, 0)), (1, 8));
        assert_eq!(needless(&[], 0), 0, "nobody said that it can do without anything");
    }
}
