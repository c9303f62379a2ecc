//! Erasures: asked for, unreadable everywhere, gone from every store. Each is kept in one key of the log until
//! it is done, with the subject id, and as a receipt without it afterwards. Whatever node stops in between,
//! another one goes on.

use std::sync::Arc;

use bytes::Bytes;
use metrics::counter;
use prost::Message;
use tactful_core::hash;
use tactful_log::{Log, Offset, Partition, PurgedStore};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{EraseBody, ErasedStore, Erasure, Erasures, Node, Record, Tombstone};

use crate::archive::{self, Archive};
use crate::clock::now_ms;
use crate::error::Error;
use crate::mention::names;
use crate::record::{Domain, message_hash};
use crate::tombstones::{TombstoneKey, Tombstones};
use crate::trims;

/// Key of the log that holds them.
const KEY: &str = "erasures";
/// Bytes of the receipts kept, about a thousand, and of the erasures that may go on at once, each with two
/// offsets for each partition: together they stay below the bound of a key.
const RECEIPTS_BYTES_MAX: usize = 512 << 10;
const GOING_ON_BYTES_MAX: usize = 256 << 10;
/// Erasures that may go on at once, however small.
const GOING_ON_MAX: usize = 256;
/// Bytes of an erasure that goes on beside its offsets, and of an offset.
const GOING_ON_BYTES: usize = 512;
const OFFSET_BYTES: usize = 10;
/// What a receipt says of an erasure that began anew.
const AGAIN: &str = "begun anew: the log was restored from a copy of before";
/// Tries to write the key while others do.
const TRIES_MAX: usize = 16;
/// What a node decided before it heard of an erasure is in the log after so long, in milliseconds.
const SETTLED_MS: i64 = 1_000;

/// All erasures of a log, oldest first.
///
/// # Errors
/// If the log fails.
pub(crate) async fn load(log: &dyn Log) -> Result<Erasures, Error> {
    Ok(log.get_key(KEY).await?.as_deref().map_or_else(Erasures::default, decode))
}

fn decode(value: &[u8]) -> Erasures {
    Erasures::decode(value).unwrap_or_default()
}

/// Who was erased: what a node applies to a state of before.
///
/// # Errors
/// If the log fails.
pub(crate) async fn tombstones(log: &dyn Log) -> Result<Vec<Tombstone>, Error> {
    Ok(load(log).await?.erasures.into_iter().filter_map(|erasure| erasure.tombstone).collect())
}

/// The tombstones of a log, whoever runs on it.
///
/// # Errors
/// If the log fails.
pub(crate) async fn of_log(log: &dyn Log) -> Result<Tombstones, Error> {
    let mut all = Tombstones::new(TombstoneKey::of(log).await?);
    all.add_missing(&tombstones(log).await?);
    Ok(all)
}

/// Changes the list, whoever else does at the same time.
async fn update(log: &dyn Log, change: impl Fn(&mut Erasures) -> Result<(), Error>) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        let found = log.get_key(KEY).await?;
        let mut erasures = found.as_deref().map_or_else(Erasures::default, decode);
        change(&mut erasures)?;
        drop_oldest(&mut erasures.erasures);
        if log.compare_and_set(KEY, found, erasures.encode_to_vec().into()).await? {
            return Ok(());
        }
    }
    Err(Error::Busy)
}

/// Lets the oldest receipts go that there is no room for.
fn drop_oldest(erasures: &mut Vec<Erasure>) {
    let mut room = RECEIPTS_BYTES_MAX;
    let mut newest: Vec<_> = std::mem::take(erasures).into_iter().rev().collect();
    newest.retain(|erasure| {
        if is_done(erasure) {
            let rest = room.checked_sub(erasure.encoded_len());
            room = rest.unwrap_or(0);
            return rest.is_some();
        }
        true
    });
    erasures.extend(newest.into_iter().rev());
}

async fn update_one(log: &dyn Log, id: &str, change: impl Fn(&mut Erasure)) -> Result<(), Error> {
    update(log, |all| {
        all.erasures.iter_mut().filter(|erasure| erasure.erasure_id == id).for_each(&change);
        Ok(())
    })
    .await
}

/// How many may go on at once in a log of so many partitions.
fn going_on_max(partitions: u16) -> usize {
    let each = GOING_ON_BYTES + 2 * OFFSET_BYTES * usize::from(partitions);
    (GOING_ON_BYTES_MAX / each).clamp(1, GOING_ON_MAX)
}

fn is_done(erasure: &Erasure) -> bool {
    erasure.gone_ms != 0
}

/// An erasure of a subject id as of a time.
pub(crate) fn new(key: &TombstoneKey, subject_id: &str, erased_ms: i64, store: ErasedStore) -> Erasure {
    Erasure {
        erasure_id: uuid::Uuid::new_v4().to_string(),
        tombstone: Some(Tombstone { id: key.hash(subject_id).to_vec(), erased_ms }),
        subject_id: subject_id.into(),
        stores: vec![store],
        ..Erasure::default()
    }
}

/// Begins an erasure anew after the log was taken back to before it, unless another node has done so.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn begin_anew(
    log: &dyn Log,
    key: &TombstoneKey,
    subject_id: &str,
    erased_ms: i64,
) -> Result<(), Error> {
    let store = ErasedStore { store: "list of erasures".into(), removed: 0, what: AGAIN.into() };
    let erasure = new(key, subject_id, erased_ms, store);
    if load(log).await?.erasures.iter().all(|known| known.tombstone != erasure.tombstone) {
        begin(log, erasure).await?;
    }
    Ok(())
}

/// Begins an erasure: from its record on, nothing of the subject id is known in any partition.
///
/// # Errors
/// If the log fails, or too many go on.
pub(crate) async fn begin(log: &dyn Log, mut erasure: Erasure) -> Result<Erasure, Error> {
    let most = going_on_max(log.partitions());
    update(log, |all| {
        if all.erasures.iter().filter(|erasure| !is_done(erasure)).count() >= most {
            return Err(Error::TooManyErasures { most });
        }
        all.erasures.push(erasure.clone());
        Ok(())
    })
    .await?;
    erasure.records = record(log, &erasure).await?;
    Ok(erasure)
}

/// Appends the record of an erasure to every partition, as one group; again, it takes effect once.
async fn record(log: &dyn Log, erasure: &Erasure) -> Result<Vec<Offset>, Error> {
    let erased_ms = erasure.tombstone.as_ref().map_or(0, |tombstone| tombstone.erased_ms);
    let record = Record {
        message_hash: message_hash(Domain::Erase, &erasure.erasure_id),
        subject_id: erasure.subject_id.clone(),
        received_ms: now_ms(),
        body: Some(Body::Erase(EraseBody { erasure_id: erasure.erasure_id.clone(), erased_ms })),
    };
    let payload = Bytes::from(record.encode_to_vec());
    let group = (0..log.partitions()).map(|partition| (Partition::Data(partition), payload.clone())).collect();
    let records = log.append(group).await?;
    update_one(log, &erasure.erasure_id, |erasure| erasure.records.clone_from(&records)).await?;
    Ok(records)
}

/// For each partition, the entry that all snapshots must be beyond.
pub(crate) fn required(all: &Erasures, partitions: u16) -> Vec<Offset> {
    let mut required = vec![0; usize::from(partitions)];
    raise(&mut required, &all.through);
    all.erasures.iter().for_each(|erasure| raise(&mut required, &erasure.targets));
    required
}

fn raise(offsets: &mut Vec<Offset>, least: &[Offset]) {
    offsets.resize(offsets.len().max(least.len()), 0);
    offsets.iter_mut().zip(least).for_each(|(offset, least)| *offset = (*offset).max(*least));
}

fn all_beyond(reached: &[Offset], offsets: &[Offset]) -> bool {
    reached.len() == offsets.len() && reached.iter().zip(offsets).all(|(reached, offset)| reached >= offset)
}

/// Notes which erasures every live node has folded, and what has to go because of them. Any node may.
pub(crate) async fn note_unreadable(log: &dyn Log, all: &Erasures, nodes: &[Node]) -> Result<(), Error> {
    let now_ms = now_ms();
    for erasure in all.erasures.iter().filter(|erasure| !is_done(erasure) && !erasure.records.is_empty()) {
        if erasure.unreadable_ms == 0 && nodes.iter().all(|node| all_beyond(&node.applied, &erasure.records)) {
            update_one(log, &erasure.erasure_id, |erasure| {
                if erasure.unreadable_ms == 0 {
                    erasure.unreadable_ms = now_ms;
                }
            })
            .await?;
        }
    }
    Ok(())
}

/// What drives erasures to their end, on one node at a time.
pub(crate) struct Eraser<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) archive: Arc<Archive>,
}

impl Eraser<'_> {
    /// Takes every erasure as far as it can go now.
    pub(crate) async fn advance(&self, nodes: &[Node]) -> Result<(), Error> {
        let going_on: Vec<_> = load(self.log).await?.erasures.into_iter().filter(|erasure| !is_done(erasure)).collect();
        let mut ready = Vec::new();
        for erasure in going_on {
            if erasure.records.is_empty() {
                // The node that began it stopped in between.
                record(self.log, &erasure).await?;
            } else if erasure.unreadable_ms != 0 && erasure.targets.is_empty() {
                self.aim(&erasure).await?;
            } else if !erasure.targets.is_empty() && self.is_beyond(&erasure, nodes).await? {
                ready.push(erasure);
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        for erasure in ready.iter().filter(|erasure| !erasure.subject_id.is_empty()) {
            self.remove(erasure).await?;
        }
        self.purge(&ready).await
    }

    /// Once nothing of before is under way any more, all up to here has to go.
    async fn aim(&self, erasure: &Erasure) -> Result<(), Error> {
        if now_ms() - erasure.unreadable_ms < SETTLED_MS {
            return Ok(());
        }
        let mut targets = Vec::with_capacity(usize::from(self.log.partitions()));
        for partition in 0..self.log.partitions() {
            targets.push(self.log.tail(Partition::Data(partition)).await?);
        }
        update_one(self.log, &erasure.erasure_id, |erasure| erasure.targets.clone_from(&targets)).await
    }

    /// Whether no node and no archive needs the log before the targets any more.
    async fn is_beyond(&self, erasure: &Erasure, nodes: &[Node]) -> Result<bool, Error> {
        let archived = archive::marks(self.log).await?.unwrap_or_default();
        let beyond = nodes.iter().all(|node| all_beyond(&node.oldest, &erasure.targets));
        Ok(beyond && all_beyond(&archived, &erasure.targets))
    }

    /// Removes what names the subject id from archive, log and intake; then forgets the id itself.
    async fn remove(&self, erasure: &Erasure) -> Result<(), Error> {
        let (subject_id, partitions) = (erasure.subject_id.clone(), self.log.partitions());
        let archive = Arc::clone(&self.archive);
        let removing = move || archive.erase(hash::partition(&subject_id, partitions), &[&subject_id]);
        let archived = tokio::task::spawn_blocking(removing).await.map_err(|_| Error::Closed)??;
        let through: Vec<_> = (0..).zip(erasure.targets.iter().copied()).collect();
        let mut trimmed = 0;
        for (partition, target) in &through {
            trimmed += target.saturating_sub(trims::gone(self.log, *partition).await?);
        }
        trims::trim(self.log, &through).await?;
        let subject_id = erasure.subject_id.clone();
        let beside = self.log.erase_beside(Arc::new(move |value: &[u8]| names(value, &subject_id))).await?;
        update_one(self.log, &erasure.erasure_id, |erasure| {
            erasure.subject_id.clear();
            let mut add = |store: &str, removed, what: &str| {
                erasure.stores.push(ErasedStore { store: store.into(), removed, what: what.into() });
            };
            add("snapshots", 0, "all from before the erasure are gone from every live node");
            add("archive", archived.rows, "rows");
            archived.unreadable.iter().for_each(|file| add("archive", 0, &format!("{file} cannot be read: OPEN")));
            add("log", trimmed, "entries trimmed, those of other customers with them");
            add("intake", beside.intake, "entries");
            add("dead list", beside.dead, "entries");
            add(
                "backups",
                0,
                "OPEN: copies outside of Tactful are not reached; a restore applies the list of erasures",
            );
        })
        .await
    }

    /// Makes it physical, and says so.
    async fn purge(&self, erasures: &[Erasure]) -> Result<(), Error> {
        let purged = self.log.purge().await?;
        let ids: Vec<_> = erasures.iter().map(|erasure| &erasure.erasure_id).collect();
        let gone_ms = now_ms();
        update(self.log, |all| {
            // Another node may have come to the end of some.
            let going_on = |erasure: &&mut Erasure| !is_done(erasure) && ids.contains(&&erasure.erasure_id);
            for erasure in all.erasures.iter_mut().filter(going_on) {
                erasure.stores.extend(purged.stores.iter().map(purged_from));
                erasure.stores.extend(purged.outside.iter().map(outside_from));
                erasure.gone_ms = gone_ms;
                erasure.records.clear();
                raise(&mut all.through, &std::mem::take(&mut erasure.targets));
            }
            Ok(())
        })
        .await?;
        counter!("tactful_erasures_total").increment(erasures.len() as u64);
        Ok(())
    }
}

fn purged_from(store: &PurgedStore) -> ErasedStore {
    let open = if store.gone { "" } else { "OPEN: " };
    ErasedStore { store: store.store.into(), removed: 0, what: format!("{open}{}", store.detail) }
}

fn outside_from(what: &&str) -> ErasedStore {
    ErasedStore { store: "outside".into(), removed: 0, what: format!("OPEN: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_has_room_for_all_that_may_go_on_and_keeps_the_newest_receipts() {
        let going_on = |partitions: u16| {
            let offsets = vec![u64::MAX; partitions.into()];
            let store = ErasedStore { store: "list of erasures".into(), removed: u64::MAX, what: AGAIN.into() };
            let (records, targets) = (offsets.clone(), offsets);
            let mut erasure = new(&TombstoneKey::new([1; 32]), &"x".repeat(128), i64::MAX, store);
            (erasure.records, erasure.targets, erasure.unreadable_ms) = (records, targets, i64::MAX);
            erasure
        };
        for partitions in [1, 16, 256, 4_096] {
            let erasures = Erasures {
                erasures: vec![going_on(partitions); going_on_max(partitions)],
                through: vec![u64::MAX; partitions.into()],
            };
            let bytes = erasures.encoded_len() + RECEIPTS_BYTES_MAX;
            assert!(bytes < tactful_log::VALUE_BYTES_MAX, "{bytes} bytes with {partitions} partitions");
        }
        let done = |number: i64| Erasure { gone_ms: number, ..going_on(16) };
        let mut all: Vec<_> = std::iter::once(going_on(16)).chain((1..5_000).map(done)).collect();
        drop_oldest(&mut all);
        assert!(!is_done(&all[0]), "what goes on stays");
        assert!(all.len() > 500 && all.len() < 4_000, "{}", all.len());
        assert!(all[1..].iter().map(|erasure| erasure.gone_ms).eq(5_001 - all.len() as i64..5_000), "the newest");
    }
}
