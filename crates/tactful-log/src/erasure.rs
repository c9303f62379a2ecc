//! What an erasure asks of a log: what a purge did, what a scan found, and how an id is found in bytes whose
//! form is not known here. It refuses to decide what is to be erased.

use crate::{Error, Log, Offset, Partition, READ_ENTRIES_MAX, bounds::every_partition};

/// What a purge did to each place where a log keeps bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// In the order in which they were seen to.
    pub stores: Vec<PurgedStore>,
    /// Copies that no log can know of or reach, for people: they stay open.
    pub outside: &'static [&'static str],
}

/// One place where a log keeps bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgedStore {
    /// Which one, for instance "append-only file".
    pub store: &'static str,
    /// Whether what was removed is gone from it. If not, `detail` says what the operator has to do.
    pub gone: bool,
    /// What was done, for people.
    pub detail: String,
}

/// What a scan found in one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one, for instance "partition p07" or "keys".
    pub store: String,
    /// Things in it that matched: entries, keys, blobs.
    pub count: u64,
}

impl Purged {
    pub(crate) fn gone(&mut self, store: &'static str, detail: impl Into<String>) {
        self.stores.push(PurgedStore { store, gone: true, detail: detail.into() });
    }

    pub(crate) fn left(&mut self, store: &'static str, detail: impl Into<String>) {
        self.stores.push(PurgedStore { store, gone: false, detail: detail.into() });
    }

    /// Whether nothing of the log's own stores is left to the operator.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stores.iter().all(|store| store.gone)
    }
}

/// Adds up what matched, one store after the other; a store without a match is left out.
#[derive(Default)]
pub(crate) struct Tally(Vec<Found>);

impl Tally {
    pub(crate) fn add(&mut self, store: impl Into<String>, count: u64) {
        if count == 0 {
            return;
        }
        let store = store.into();
        match self.0.iter_mut().find(|found| found.store == store) {
            Some(found) => found.count += count,
            None => self.0.push(Found { store, count }),
        }
    }

    pub(crate) fn finish(self) -> Vec<Found> {
        self.0
    }
}

/// Looks through every readable entry of every partition, a read at a time.
pub(crate) async fn scan_partitions(
    log: &dyn Log,
    matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync),
) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for partition in every_partition(log.partitions()) {
        let count = scan_partition(log, partition, matches).await?;
        tally.add(format!("partition {partition}"), count);
    }
    Ok(tally)
}

async fn scan_partition(
    log: &dyn Log,
    partition: Partition,
    matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync),
) -> Result<u64, Error> {
    let (mut after, end): (Offset, Offset) = (0, log.tail(partition).await?);
    let mut count = 0;
    while after < end {
        let entries = match log.read(partition, after, READ_ENTRIES_MAX).await {
            Err(Error::Trimmed { first }) if first > after + 1 => {
                after = first - 1;
                continue;
            }
            read => read?,
        };
        let Some(last) = entries.last() else { break };
        after = last.offset;
        count += entries.iter().filter(|entry| matches(&entry.payload)).count() as u64;
        // A long scan shares its thread.
        tokio::task::yield_now().await;
    }
    Ok(count)
}

/// Whether bytes name this subject id as a whole word: `customer:4` is not in `customer:42`. Letters, digits, bytes
/// beyond ASCII and `:` `-` `_` `.` `@` belong to a word. In the protobuf form, where a letter may follow an id by
/// chance, an id counts as whole if its length stands before it. An id that is written with JSON escapes
/// (`customer\u003a42`) is not found, nor is one in compressed bytes.
#[must_use]
pub fn mentions(value: &[u8], subject_id: &str) -> bool {
    let id = subject_id.as_bytes();
    if id.is_empty() || id.len() > value.len() {
        return false;
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b":-_.@".contains(&byte);
    let length = varint(id.len());
    (0..=value.len() - id.len()).any(|at| {
        if value[at] != id[0] || !value[at..].starts_with(id) {
            return false;
        }
        let (before, behind) = (&value[..at], &value[at + id.len()..]);
        let is_whole =
            !before.last().is_some_and(|byte| is_word(*byte)) && !behind.first().is_some_and(|b| is_word(*b));
        is_whole || before.ends_with(&length)
    })
}

/// A length as protobuf writes it before a string.
fn varint(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_as_a_whole_word_only() {
        for whole in [
            &b"customer:4"[..],
            b"{\"userId\":\"customer:4\"}",
            b"a,customer:4,b",
            b"customer:42 customer:4",
            b"customer:4/orders",
            b"\n\x0acustomer:4\x12\x01x",
        ] {
            assert!(mentions(whole, "customer:4"), "{}", String::from_utf8_lossy(whole));
        }
        for part in [
            &b"customer:42"[..],
            b"xcustomer:4",
            b"customer:4.1",
            b"customer:4@home",
            b"-customer:4",
            b"customer:",
            b"",
            "customer:4\u{e9}".as_bytes(),
            b"customer:4_",
        ] {
            assert!(!mentions(part, "customer:4"), "{}", String::from_utf8_lossy(part));
        }
        assert!(!mentions(b"anything", ""));
    }

    #[test]
    fn in_protobuf_a_length_that_looks_like_a_letter_hides_nothing() {
        for length in [1, 9, 45, 48, 58, 64, 97, 127, 128, 300] {
            let id = "x".repeat(length);
            // Field 1 with the id, then field 7 as a string: its tag is the letter ':'.
            let message = [&[0x0a][..], &varint(length), id.as_bytes(), b"\x3a\x01y"].concat();
            assert!(mentions(&message, &id), "{length}");
            let longer = [&[0x0a][..], &varint(length + 1), id.as_bytes(), b"x"].concat();
            assert!(!mentions(&longer, &id), "{length}");
        }
    }

    #[test]
    fn a_tally_adds_up_by_store_and_leaves_out_what_is_clean() {
        let mut tally = Tally::default();
        [("keys", 2), ("blobs", 0), ("leases", 1), ("keys", 3)]
            .iter()
            .for_each(|(store, count)| tally.add(*store, *count));
        let found = tally.finish();
        let found: Vec<_> = found.iter().map(|found| (found.store.as_str(), found.count)).collect();
        assert_eq!(found, [("keys", 5), ("leases", 1)]);
    }
}
