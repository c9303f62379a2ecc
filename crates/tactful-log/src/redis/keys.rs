//! Names of the keys. The braces are Redis Cluster's hash tags: what belongs to a partition stays together.

use crate::Partition;

/// Format, partitions and epoch of the log: a hash.
pub(crate) const MANIFEST: &str = "tactful:manifest";

/// The stream of a partition.
pub(crate) fn stream(partition: Partition) -> String {
    format!("{{tactful:{partition}}}:log")
}

/// What a writer appended last.
pub(crate) fn writer(id: u64) -> String {
    format!("tactful:writer:{id:016x}")
}

/// A caller's small key.
pub(crate) fn value(name: &str) -> String {
    format!("tactful:key:{name}")
}

/// A lease, and the count of its tokens.
pub(crate) fn lease(name: &str) -> [String; 2] {
    [format!("tactful:lease:{name}"), format!("tactful:tokens:{name}")]
}

/// A blob by its sha256.
pub(crate) fn blob(sha256: &[u8; 32]) -> String {
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("tactful:blob:{hex}")
}
