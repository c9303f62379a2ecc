//! The control partition: models and layouts as they came into use. Every node follows it and does what it
//! says in its order, so that all of them decide by the same ruleset.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use prost::Message;
use tactful_core::layout::FieldKind;
use tactful_core::ruleset::Ruleset;
use tactful_log::{Log, Offset, Partition};
use tactful_proto::storage::control_record::Body;
use tactful_proto::storage::{ControlRecord, LayoutField, LayoutUsed, ModelLoaded};
use tokio::sync::watch;

use crate::clock::now_ms;
use crate::damage::Damage;
use crate::error::{Error, LogFailure};
use crate::model::{self, Slot};

/// Entries read from the log at once.
const READ_MAX: usize = 1_024;
/// Pause after the log failed to answer.
const RETRY: Duration = Duration::from_millis(200);

/// What the control partition says.
#[derive(Default)]
pub(crate) struct Control {
    /// sha256 of the model loaded last.
    pub(crate) model: Option<[u8; 32]>,
    /// Layouts that decisions name.
    pub(crate) layouts: Vec<LayoutUsed>,
    /// Its last entry that was read.
    pub(crate) end: Offset,
}

/// Reads the whole control partition.
pub(crate) async fn read(log: &dyn Log) -> Result<Control, Error> {
    let mut control = Control::default();
    loop {
        let entries = log.read(Partition::Control, control.end, READ_MAX).await?;
        let Some(last) = entries.last() else { return Ok(control) };
        control.end = last.offset;
        for entry in &entries {
            let record = ControlRecord::decode(entry.payload.as_ref())
                .map_err(|_| Error::Record { partition: u16::MAX, offset: entry.offset })?;
            match record.body {
                Some(Body::ModelLoaded(loaded)) => control.model = loaded.sha256.try_into().ok(),
                Some(Body::LayoutUsed(layout)) => control.layouts.push(layout),
                None => {}
            }
        }
    }
}

/// Does on this node what the control partition says from some entry on.
pub(crate) struct Follower {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) slot: Arc<Slot>,
    /// The last entry that was done.
    pub(crate) progress: watch::Sender<Offset>,
    pub(crate) damage: Damage,
}

impl Follower {
    /// Follows until the engine closes, or the log turns out to be damaged.
    pub(crate) async fn run(self, mut closing: watch::Receiver<bool>) {
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                _closed = closing.wait_for(|closing| *closing) => return,
            };
            if let Err(Error::Log(error)) = &next
                && LogFailure::of(error) == LogFailure::Damaged
            {
                return self.damage.report(Partition::Control, error);
            }
            if let Err(error) = next {
                counter!("tactful_log_read_errors_total").increment(1);
                tracing::error!(%error, "cannot follow the control partition, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Does the next entries. One that failed with the log is done again, so that none is passed over.
    async fn next(&self) -> Result<(), Error> {
        let after = *self.progress.borrow();
        for entry in self.log.read(Partition::Control, after, READ_MAX).await? {
            match ControlRecord::decode(entry.payload.as_ref()).map(|record| record.body) {
                Ok(Some(Body::ModelLoaded(loaded))) => self.load(&loaded).await?,
                Ok(_) => {}
                Err(_) => tracing::error!(offset = entry.offset, "skipped a control entry that cannot be read"),
            }
            self.progress.send_replace(entry.offset);
        }
        let after = *self.progress.borrow();
        Ok(self.log.wait(Partition::Control, after).await?)
    }

    /// Puts a model in place. One that does not fit this node's catalogue is left out loudly.
    async fn load(&self, loaded: &ModelLoaded) -> Result<(), Error> {
        let Some(artifact) = self.artifact(loaded).await? else {
            tracing::error!(name = loaded.name, "a model that came into use is not in the log");
            return Ok(());
        };
        match self.slot.switch(artifact).await {
            Err(Error::Model(reason)) => {
                model::refused();
                tracing::error!(name = loaded.name, reason, "a model that came into use does not fit this catalogue");
                Ok(())
            }
            switched => switched,
        }
    }

    async fn artifact(&self, loaded: &ModelLoaded) -> Result<Option<Bytes>, Error> {
        let Ok(sha256) = <[u8; 32]>::try_from(loaded.sha256.as_slice()) else { return Ok(None) };
        Ok(self.log.get_blob(&sha256).await?)
    }
}

/// Notes the layout of this ruleset once, so that records can be read for ever.
pub(crate) async fn note_layout(log: &dyn Log, ruleset: &Ruleset, control: &Control) -> Result<(), Error> {
    let hash = ruleset.layout_hash;
    if control.layouts.iter().any(|layout| layout.hash == hash) {
        return Ok(());
    }
    let fields = ruleset.layout.fields().iter().map(|field| LayoutField {
        name: field.name.clone(),
        kind: field.kind.name().into(),
        vocabulary: match &field.kind {
            FieldKind::Category(words) => words.clone(),
            _ => Vec::new(),
        },
    });
    append(log, Body::LayoutUsed(LayoutUsed { hash, fields: fields.collect() })).await.map(drop)
}

/// Appends an entry; answers its offset.
pub(crate) async fn append(log: &dyn Log, body: Body) -> Result<Offset, Error> {
    let record = ControlRecord { received_ms: now_ms(), body: Some(body) };
    let offsets = log.append(vec![(Partition::Control, record.encode_to_vec().into())]).await?;
    offsets.first().copied().ok_or(Error::Closed)
}
