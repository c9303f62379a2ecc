//! Follows the control partition and does what it says, in its order: catalogues and models come into place on
//! every node by the same entries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use prost::Message;
use tactful_log::{Log, Offset, Partition};
use tactful_proto::storage::Record;
use tactful_proto::storage::record::Body;
use tokio::sync::watch;

use crate::catalog::{Files, Written};
use crate::clock::now_ms;
use crate::control::{CatalogEntry, Change, Control, READ_MAX, note_layout};
use crate::damage::Damage;
use crate::error::Error;
use crate::generation::FoldSchema;
use crate::slot::{InUse, Slot};
use crate::store::Store;

/// Pause after the log failed to answer.
const RETRY: Duration = Duration::from_millis(200);
/// How long schema records may stay away, once all else is folded, before this node appends them for one that died.
const GRACE: Duration = Duration::from_secs(2);

/// Does on this node what the control partition says from some entry on.
pub(crate) struct Follower {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) store: Arc<Store>,
    /// How far each partition is folded; none until it knows where it starts from.
    pub(crate) folded: Vec<watch::Receiver<Option<Offset>>>,
    /// What was done.
    pub(crate) done: watch::Sender<Control>,
    pub(crate) damage: Damage,
    /// This running node.
    pub(crate) node: u64,
}

impl Follower {
    /// Follows until the engine closes, or the log turns out to be damaged.
    pub(crate) async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut settled = false;
        loop {
            let next = tokio::select! {
                next = self.next(&mut settled) => next,
                _closed = closing.wait_for(|closing| *closing) => return,
            };
            match next {
                Ok(()) => {}
                Err(Error::Closed) => return,
                Err(error) if error.is_damage() => return self.damage.report(Partition::Control, &error),
                Err(error) => {
                    counter!("tactful_log_read_errors_total").increment(1);
                    tracing::error!(%error, "cannot follow the control partition, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Does the next entries. One that failed with the log is done again, so that none is passed over.
    async fn next(&self, settled: &mut bool) -> Result<(), Error> {
        if !*settled {
            // Whoever applied the catalogue of this start may have died before its schema records.
            let newest = self.done.borrow().catalog.clone();
            if let Some(entry) = newest {
                self.reach_schema(&entry, &self.slot.load_full().catalog.written, false).await?;
            }
            *settled = true;
        }
        let after = self.done.borrow().end;
        for entry in self.log.read(Partition::Control, after, READ_MAX).await? {
            let mut control = self.done.borrow().clone();
            match control.take(&entry) {
                Change::Catalog => self.apply(&control).await?,
                Change::Models => self.slot.switch_models(self.log.as_ref(), &control.registry).await?,
                Change::Nothing => {}
                Change::Outdated => tracing::info!(offset = entry.offset, "passed over an outdated control entry"),
            }
            self.done.send_replace(control);
        }
        let after = self.done.borrow().end;
        Ok(self.log.wait(Partition::Control, after).await?)
    }

    /// Puts a catalogue in place, once every partition has its schema. One that this program cannot use is left
    /// out loudly.
    async fn apply(&self, control: &Control) -> Result<(), Error> {
        let Some(entry) = &control.catalog else { return Ok(()) };
        let written = match written(self.log.as_ref(), &entry.files).await {
            Ok(written) => Arc::new(written),
            Err(Error::Catalog(problems)) => {
                refused();
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(problem, "this program cannot use a catalogue that came into use; the old one stays");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.reach_schema(entry, &written, entry.node == self.node).await?;
        note_layout(self.log.as_ref(), &written.ruleset, control).await?;
        let catalog = InUse { written, entry: entry.clone() };
        self.slot.switch_catalog(self.log.as_ref(), catalog, &control.registry).await
    }

    /// Returns once every partition has the schema that a catalogue needs. The node to which it was given appends
    /// the records at once; another one does so when they stay away.
    async fn reach_schema(&self, entry: &CatalogEntry, written: &Written, given: bool) -> Result<(), Error> {
        if self.has_schema(entry.schema_version) {
            return Ok(());
        }
        if !given {
            let (reached, patience) = (self.schema_reached(entry.schema_version), self.patience());
            tokio::select! {
                reached = reached => return reached,
                waited = patience => waited?,
            }
            tracing::warn!("appending the schema records that another node left out");
        }
        append_schema(self.log.as_ref(), entry, &FoldSchema::of(&written.ruleset.catalog)?).await?;
        self.schema_reached(entry.schema_version).await
    }

    fn has_schema(&self, version: u64) -> bool {
        (0..self.log.partitions()).all(|partition| self.store.partition(partition).schema_version() >= version)
    }

    async fn schema_reached(&self, version: u64) -> Result<(), Error> {
        for (partition, folded) in (0..).zip(&self.folded) {
            let rows = self.store.partition(partition);
            // A partition says how far it is after it switched.
            folded.clone().wait_for(|_| rows.schema_version() >= version).await.map_err(|_| Error::Closed)?;
        }
        Ok(())
    }

    async fn patience(&self) -> Result<(), Error> {
        for (partition, folded) in (0..).zip(&self.folded) {
            let tail = self.log.tail(Partition::Data(partition)).await?;
            folded.clone().wait_for(|folded| *folded >= Some(tail)).await.map_err(|_| Error::Closed)?;
        }
        tokio::time::sleep(GRACE).await;
        Ok(())
    }
}

/// Counts a catalogue that was not taken.
pub(crate) fn refused() {
    counter!("tactful_catalog_swap_total", "result" => "refused").increment(1);
}

/// A catalogue from its blob. Compiled away from the runtime's threads.
///
/// # Errors
/// [`Error::Catalog`] if this program cannot use it.
pub(crate) async fn written(log: &dyn Log, sha256: &[u8; 32]) -> Result<Written, Error> {
    let blob = log.get_blob(sha256).await?.ok_or_else(|| Error::lost_catalog("its files are not in the log"))?;
    let files = Files::decode(&blob).ok_or_else(|| Error::lost_catalog("its blob holds no catalogue"))?;
    compiled(files).await
}

/// Compiles away from the runtime's threads.
pub(crate) async fn compiled(files: Files) -> Result<Written, Error> {
    let compiling = tokio::task::spawn_blocking(move || files.compile());
    compiling.await.map_err(|_| Error::Closed)?.map_err(Error::Catalog)
}

/// Whether the records of a schema fit into one group of the log, which is atomic.
///
/// # Errors
/// If they do not.
pub(crate) fn check_schema(log: &dyn Log, schema: &FoldSchema) -> Result<(), Error> {
    const RECORD_REST_BYTES: usize = 64;
    let most = tactful_log::GROUP_BYTES_MAX / usize::from(log.partitions());
    if schema.bytes() + RECORD_REST_BYTES <= most {
        return Ok(());
    }
    let (bytes, partitions) = (schema.bytes(), log.partitions());
    Err(Error::Schema(format!(
        "its definition of features and matters takes {bytes} bytes, with {partitions} partitions at most {most} are \
         allowed: shorten vocabularies, or use fewer features"
    )))
}

/// Appends the schema record of a catalogue to every partition, as one group. Done again, it changes nothing.
pub(crate) async fn append_schema(log: &dyn Log, entry: &CatalogEntry, schema: &FoldSchema) -> Result<(), Error> {
    let body = Some(Body::Schema(schema.body(entry.schema_version)));
    let record = Bytes::from(Record { received_ms: now_ms(), body, ..Record::default() }.encode_to_vec());
    let records = (0..log.partitions()).map(|partition| (Partition::Data(partition), record.clone()));
    log.append(records.collect()).await?;
    Ok(())
}
