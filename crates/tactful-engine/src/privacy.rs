//! What a customer may ask for: everything that is held on a subject id, its erasure, and a look at what is left.

use std::sync::Arc;

use prost_types::Timestamp;
use tactful_core::hash;
use tactful_core::limits::ID_BYTES_MAX;
use tactful_log::Partition;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ErasedStore, Erasure, Property, Record, Tombstone};
use tactful_proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::archive::Archive;
use crate::clock::now_ms;
use crate::engine::Engine;
use crate::erasures;
use crate::error::Error;
use crate::mention::names;
use crate::record::body_ms;

/// Entries read from the log at once.
const READ_MAX: usize = 1_024;
/// Pause between two looks at how far an erasure is.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

impl Engine {
    /// Begins to erase a subject id; returns once this node knows nothing of it any more, and waits until
    /// `until` for the other nodes. The rest goes on in the background.
    ///
    /// # Errors
    /// If the id is none, the log fails, or too many erasures go on.
    pub async fn erase(&self, subject_id: &str, until: Instant) -> Result<v1::Erasure, Error> {
        check(subject_id)?;
        // What was decided so far is in the log before the record that takes it away, if the log answers.
        let _late = timeout_at(until, self.recorder.flush()).await.is_err();
        let rows = u64::from(self.store.knows(subject_id));
        let memory = ErasedStore { store: "memory".into(), removed: rows, what: "rows, on this node".into() };
        let erasure = erasures::new(&self.tombstone_key, subject_id, now_ms(), memory);
        let erasure = erasures::begin(self.log.as_ref(), erasure).await?;
        self.list_erased(erasure.tombstone.as_slice());
        let everywhere = async {
            for (partition, offset) in erasure.records.iter().enumerate() {
                self.folded(partition, *offset).await;
            }
            self.housekeeping.notify_one();
            loop {
                let receipt = self.erasure(&erasure.erasure_id).await;
                if receipt.as_ref().map_or(true, |receipt| receipt.unreadable_time.is_some()) {
                    return receipt;
                }
                sleep(LOOK).await;
            }
        };
        match timeout_at(until, everywhere).await {
            Ok(receipt) => receipt,
            Err(_) => Ok(receipt(&erasure)),
        }
    }

    /// Notes erasures outside of the log. What fails is tried again by the housekeeper.
    fn list_erased(&self, tombstones: &[Tombstone]) {
        if let Some(list) = &self.erased.list
            && let Err(error) = list.note(tombstones)
        {
            tracing::error!(%error, "cannot note an erasure outside of the log, trying again");
        }
    }

    /// How far an erasure is.
    ///
    /// # Errors
    /// If there is none with this id, or the log fails.
    pub async fn erasure(&self, erasure_id: &str) -> Result<v1::Erasure, Error> {
        let erasures = erasures::load(self.log.as_ref()).await?;
        let found = erasures.erasures.iter().find(|erasure| erasure.erasure_id == erasure_id);
        found.map(receipt).ok_or_else(|| {
            Error::missing("erasure_id", "is no erasure of this log: give the id that Erase answered, as it came")
        })
    }

    /// Looks through every store for a subject id.
    ///
    /// # Errors
    /// If the id is none, or a store cannot be read.
    pub async fn verify_erased(&self, subject_id: &str) -> Result<v1::VerifyErasedResponse, Error> {
        check(subject_id)?;
        let mut answer = v1::VerifyErasedResponse::default();
        let mut look = |store: &str, count: u64| {
            answer.stores.push(store.into());
            if count > 0 {
                answer.remnants.push(v1::Remnant { store: store.into(), count: count as i64 });
            }
        };
        look("memory of this node", u64::from(self.store.knows(subject_id)));
        look("links in memory", u64::from(self.store.links.knows(subject_id)));
        look("snapshots of this node", self.snapshots_with(subject_id).await?);
        let wanted = subject_id.to_owned();
        let found = self.log.scan(&move |bytes: &[u8]| names(bytes, &wanted)).await?;
        look("log, keys, blobs, intake and dead list", 0);
        for store in found {
            look(&store.store, store.count);
        }
        if let Some(directory) = self.archive_directory()
            && let Some(archive) = Archive::find(self.log.as_ref(), directory).await?
        {
            let (partitions, wanted) = (self.log.partitions(), subject_id.to_owned());
            let scanning = tokio::task::spawn_blocking(move || archive.scan(partitions, &[&wanted]));
            let hits = scanning.await.map_err(|_| Error::Closed)??;
            // A file that cannot be looked through may hold anything.
            look("archive", hits.iter().map(|hit| hit.rows.unwrap_or(1)).sum());
        }
        Ok(answer)
    }

    /// Files of snapshots that hold a subject id.
    async fn snapshots_with(&self, subject_id: &str) -> Result<u64, Error> {
        let Some(snapshots) = self.snapshots() else { return Ok(0) };
        let (snapshots, wanted) = (Arc::clone(snapshots), subject_id.to_owned());
        let counting = tokio::task::spawn_blocking(move || snapshots.folder().mentioning(&wanted));
        counting.await.map_err(|_| Error::Closed)?
    }

    /// Sends the records that the log holds on a subject id.
    ///
    /// # Errors
    /// If the id is none, or the log fails.
    pub async fn held(&self, subject_id: &str, records: mpsc::Sender<v1::HeldRecord>) -> Result<(), Error> {
        check(subject_id)?;
        let number = hash::partition(subject_id, self.log.partitions());
        let partition = Partition::Data(number);
        let tail = self.log.tail(partition).await?;
        let mut after = 0;
        while after < tail {
            let entries = match self.log.read(partition, after, READ_MAX).await {
                Err(tactful_log::Error::Trimmed { first }) => {
                    after = first - 1;
                    continue;
                }
                read => read?,
            };
            let Some(last) = entries.last() else { break };
            after = last.offset;
            for entry in entries {
                let Ok(record) = <Record as prost::Message>::decode(entry.payload.as_ref()) else { continue };
                if record.subject_id != subject_id {
                    continue;
                }
                if let Some(held) = held_record(number, entry.offset, record)
                    && records.send(held).await.is_err()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn check(subject_id: &str) -> Result<(), Error> {
    if subject_id.is_empty() || subject_id.len() > ID_BYTES_MAX {
        return Err(Error::field("subject_id", "must have 1 to 128 bytes"));
    }
    Ok(())
}

/// An erasure for people.
fn receipt(erasure: &Erasure) -> v1::Erasure {
    let erased_ms = erasure.tombstone.as_ref().map_or(0, |tombstone| tombstone.erased_ms);
    v1::Erasure {
        erasure_id: erasure.erasure_id.clone(),
        erased_time: timestamp(erased_ms),
        unreadable_time: timestamp(erasure.unreadable_ms),
        gone_time: timestamp(erasure.gone_ms),
        stores: erasure.stores.iter().map(erased_from).collect(),
    }
}

fn erased_from(store: &ErasedStore) -> v1::ErasedFrom {
    v1::ErasedFrom { store: store.store.clone(), removed: store.removed as i64, detail: store.what.clone() }
}

fn timestamp(ms: i64) -> Option<Timestamp> {
    (ms != 0).then(|| Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 })
}

/// A record as its subject may read it; none for what says nothing of anybody.
fn held_record(partition: u16, offset: u64, record: Record) -> Option<v1::HeldRecord> {
    let body = record.body?;
    let held = v1::HeldRecord {
        partition: partition.into(),
        offset: offset as i64,
        subject_id: record.subject_id,
        time: timestamp(body_ms(&body)),
        ..v1::HeldRecord::default()
    };
    Some(match body {
        Body::Event(event) => v1::HeldRecord {
            kind: "event".into(),
            name: event.name,
            channel: event.channel,
            source: event.source,
            matter_id: event.matter_id,
            properties: named(event.properties),
            ..held
        },
        Body::Decision(decision) => v1::HeldRecord { kind: "decision".into(), name: decision.decision_id, ..held },
        Body::Outcome(outcome) => v1::HeldRecord {
            kind: "outcome".into(),
            name: outcome.r#type().as_str_name().into(),
            channel: outcome.channel,
            ..held
        },
        Body::ExternalDecision(external) => v1::HeldRecord {
            kind: "external_decision".into(),
            name: external.action_id,
            properties: named(external.context),
            ..held
        },
        Body::Link(link) => v1::HeldRecord { kind: "link".into(), name: link.other_id, source: link.source, ..held },
        Body::Consent(consent) => {
            v1::HeldRecord { kind: "consent".into(), name: consent.purpose, source: consent.source, ..held }
        }
        Body::Fact(fact) => v1::HeldRecord {
            kind: "fact".into(),
            properties: fact.value.into_iter().map(|value| (fact.key.clone(), value)).collect(),
            name: fact.key,
            channel: fact.channel,
            source: fact.source,
            matter_id: fact.matter_id,
            ..held
        },
        Body::Schema(_) | Body::Erase(_) => return None,
    })
}

fn named(properties: Vec<Property>) -> std::collections::BTreeMap<String, v1::Value> {
    properties.into_iter().filter_map(|property| Some((property.key, property.value?))).collect()
}
