//! The slot that holds the ruleset, and models that come into it: checked off the hot path, kept in
//! the log as blob and control entry, then swapped in by one pointer. A bad one never gets there.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use metrics::counter;
use prost::Message;
use tactful_core::ruleset::Ruleset;
use tactful_core::score::Scope;
use tactful_log::{Log, Partition};
use tactful_models::artifact::{self, Loaded};
use tactful_proto::storage::control_record::Body;
use tactful_proto::storage::{ControlRecord, LayoutField, LayoutUsed, ModelLoaded};

use crate::clock::now_ms;
use crate::engine::Engine;
use crate::error::Error;
use crate::pieces::Pieces;

/// The ruleset that decides, swapped as a whole.
pub(crate) struct Slot {
    current: ArcSwap<Current>,
}

/// The ruleset that decides, with what it says in every reply and record.
#[derive(Debug)]
pub struct Current {
    ruleset: Ruleset,
    /// Pieces of messages.
    pub pieces: Pieces,
}

impl Current {
    fn new(ruleset: Ruleset) -> Self {
        Self { pieces: Pieces::new(&ruleset), ruleset }
    }
}

impl Deref for Current {
    type Target = Ruleset;

    fn deref(&self) -> &Ruleset {
        &self.ruleset
    }
}

impl Slot {
    pub(crate) fn new(ruleset: Ruleset) -> Self {
        Self { current: ArcSwap::from_pointee(Current::new(ruleset)) }
    }

    /// The current ruleset: one atomic load. Not to be held across an await.
    pub(crate) fn load(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// The current ruleset, to be kept.
    pub(crate) fn load_full(&self) -> Arc<Current> {
        self.current.load_full()
    }

    fn swap(&self, current: Current) -> Arc<Current> {
        self.current.swap(Arc::new(current))
    }
}

/// What a load put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModel {
    /// Name in the artifact.
    pub name: String,
    /// First 16 hex digits of the artifact's sha256.
    pub version: String,
    /// Hash of the ruleset that now decides.
    pub ruleset: u64,
    /// Actions with a head of their own.
    pub action_heads: usize,
}

impl Engine {
    /// Checks an artifact and makes it the acceptance model, durably.
    ///
    /// # Errors
    /// If the artifact is bad or does not fit the catalogue: the old model stays.
    pub async fn load_model(&self, bytes: Bytes) -> Result<LoadedModel, Error> {
        // One load at a time: the control log and the slot change in the same order.
        let _turn = self.model_turn.lock().await;
        let (current, checked) = (self.ruleset(), Bytes::clone(&bytes));
        let fit = move || fit(&current, &checked).map(|(ruleset, loaded)| (Current::new(ruleset), loaded));
        let fitted = tokio::task::spawn_blocking(fit).await.map_err(|_| Error::Closed)?;
        let (ruleset, loaded) =
            fitted.inspect_err(|_| counter!("tactful_model_swap_total", "result" => "refused").increment(1))?;
        let sha256 = self.log.put_blob(bytes).await?;
        let body = Body::ModelLoaded(ModelLoaded { name: loaded.model.name.clone(), sha256: sha256.to_vec() });
        append_control(self.log.as_ref(), body).await?;
        let answer = LoadedModel {
            name: loaded.model.name.clone(),
            version: loaded.model.version.clone(),
            ruleset: ruleset.hash(),
            action_heads: loaded.model.heads.iter().filter(|head| head.scope == Scope::Action).count(),
        };
        let old = self.slot.swap(ruleset);
        // The old one is kept until the next load, so that no request ever frees it.
        self.retired.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(old);
        counter!("tactful_model_swap_total", "result" => "loaded").increment(1);
        tracing::info!(name = answer.name, version = answer.version, "loaded a model");
        Ok(answer)
    }
}

/// Reads an artifact and fits it to the catalogue.
pub(crate) fn fit(current: &Ruleset, bytes: &[u8]) -> Result<(Ruleset, Loaded), Error> {
    let loaded = artifact::read(bytes).map_err(|error| Error::Model(error.to_string()))?;
    let ruleset = current.with_model(&loaded.model).map_err(|error| Error::Model(error.to_string()))?;
    Ok((ruleset, loaded))
}

/// What the control partition says.
#[derive(Default)]
pub(crate) struct Control {
    /// sha256 of the model loaded last.
    pub(crate) model: Option<[u8; 32]>,
    /// Layouts that decisions name.
    pub(crate) layouts: Vec<LayoutUsed>,
}

/// Reads the whole control partition.
pub(crate) async fn read_control(log: &dyn Log) -> Result<Control, Error> {
    let mut control = Control::default();
    let mut after = 0;
    loop {
        let entries = log.read(Partition::Control, after, 1_024).await?;
        let Some(last) = entries.last() else { return Ok(control) };
        after = last.offset;
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

/// The ruleset with the model that the control log names last. A model that no longer fits is
/// left out loudly: priors decide until another one is loaded.
pub(crate) async fn restore(log: &dyn Log, ruleset: Ruleset, control: &Control) -> Result<Ruleset, Error> {
    let Some(sha256) = control.model else { return Ok(ruleset) };
    let Some(bytes) = log.get_blob(&sha256).await? else {
        tracing::error!("the model loaded last is not in the log any more; priors decide");
        return Ok(ruleset);
    };
    match fit(&ruleset, &bytes) {
        Ok((fitted, loaded)) => {
            tracing::info!(name = loaded.model.name, version = loaded.model.version, "restored the model");
            Ok(fitted)
        }
        Err(error) => {
            counter!("tactful_model_swap_total", "result" => "refused").increment(1);
            tracing::error!(%error, "the model loaded last does not fit this catalogue; priors decide");
            Ok(ruleset)
        }
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
            tactful_core::layout::FieldKind::Category(words) => words.clone(),
            _ => Vec::new(),
        },
    });
    append_control(log, Body::LayoutUsed(LayoutUsed { hash, fields: fields.collect() })).await
}

async fn append_control(log: &dyn Log, body: Body) -> Result<(), Error> {
    let record = ControlRecord { received_ms: now_ms(), body: Some(body) };
    log.append(vec![(Partition::Control, record.encode_to_vec().into())]).await?;
    Ok(())
}
