//! Tombstones: who was erased, and when, without saying who. What happened before then and comes late, from a
//! producer, a replay or an old copy, stays away.

use std::collections::BTreeMap;
use std::sync::Arc;

use tactful_log::Log;
use tactful_proto::storage::Tombstone;

use crate::engine::secret;
use crate::error::Error;

/// Key of the log under which the secret is kept.
const KEY: &str = "tombstone-key";

/// Names subject ids by a hash under the log's own secret.
#[derive(Clone)]
pub(crate) struct TombstoneKey(Arc<[u8; 32]>);

/// A subject id that nobody can read back.
pub(crate) type ErasedId = [u8; 16];

impl TombstoneKey {
    /// That of a log, made if it has none yet.
    ///
    /// # Errors
    /// If the log fails.
    pub(crate) async fn of(log: &dyn Log) -> Result<Self, Error> {
        Ok(Self::new(secret(log, KEY).await?))
    }

    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self(Arc::new(secret))
    }

    pub(crate) fn hash(&self, subject_id: &str) -> ErasedId {
        let hash = blake3::keyed_hash(&self.0, subject_id.as_bytes());
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

/// The tombstones that a partition's fold has met.
#[derive(Clone)]
pub(crate) struct Tombstones {
    key: TombstoneKey,
    erased_ms: BTreeMap<ErasedId, i64>,
}

impl Tombstones {
    pub(crate) fn new(key: TombstoneKey) -> Self {
        Self { key, erased_ms: BTreeMap::new() }
    }

    /// Nothing of before `erased_ms` counts for this id any more.
    pub(crate) fn add(&mut self, subject_id: &str, erased_ms: i64) {
        self.add_hash(self.key.hash(subject_id), erased_ms);
    }

    fn add_hash(&mut self, id: ErasedId, erased_ms: i64) {
        let latest = self.erased_ms.entry(id).or_insert(erased_ms);
        *latest = erased_ms.max(*latest);
    }

    /// Whether something of this time must stay away. Free of cost while nobody was erased.
    pub(crate) fn bar(&self, subject_id: &str, time_ms: i64) -> bool {
        if self.erased_ms.is_empty() {
            return false;
        }
        self.erased_ms.get(&self.key.hash(subject_id)).is_some_and(|erased_ms| time_ms <= *erased_ms)
    }

    /// Those of `listed` that are not among these yet are added; answers whether there were any.
    pub(crate) fn add_missing(&mut self, listed: &[Tombstone]) -> Vec<ErasedId> {
        let mut missing = Vec::new();
        for tombstone in listed {
            let Ok(id) = ErasedId::try_from(tombstone.id.as_slice()) else { continue };
            if self.erased_ms.get(&id).is_none_or(|erased_ms| *erased_ms < tombstone.erased_ms) {
                self.add_hash(id, tombstone.erased_ms);
                missing.push(id);
            }
        }
        missing
    }

    pub(crate) fn key(&self) -> &TombstoneKey {
        &self.key
    }

    pub(crate) fn list(&self) -> Vec<Tombstone> {
        let tombstones = self.erased_ms.iter();
        tombstones.map(|(id, erased_ms)| Tombstone { id: id.to_vec(), erased_ms: *erased_ms }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstones() -> Tombstones {
        Tombstones::new(TombstoneKey::new([7; 32]))
    }

    #[test]
    fn what_happened_before_stays_away_and_what_happens_after_does_not() {
        let mut tombstones = tombstones();
        assert!(!tombstones.bar("customer:1", 0), "nobody was erased");
        tombstones.add("customer:1", 1_000);
        tombstones.add("customer:1", 500);
        assert!(tombstones.bar("customer:1", 1_000) && !tombstones.bar("customer:1", 1_001));
        assert!(!tombstones.bar("customer:12", 0));
    }

    #[test]
    fn a_list_says_what_is_missing_and_names_nobody() {
        let mut known = tombstones();
        known.add("customer:1", 1_000);
        let listed = known.list();
        let mut other = tombstones();
        assert_eq!(other.add_missing(&listed), [known.key().hash("customer:1")]);
        assert!(other.add_missing(&listed).is_empty() && other.bar("customer:1", 1_000));
        let other_log = TombstoneKey::new([8; 32]);
        assert_ne!(other_log.hash("customer:1"), known.key().hash("customer:1"));
    }
}
