//! The slot that holds the ruleset, and models and catalogues that come into it: checked off the hot path,
//! kept in the log as blob and control entry, then swapped in by one pointer on every node that follows the
//! control partition. A bad one never gets there.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use metrics::counter;
use tactful_core::ruleset::Ruleset;
use tactful_core::score::Scope;
use tactful_log::Log;
use tactful_models::artifact::{self, Loaded};
use tactful_proto::storage::ModelLoaded;
use tactful_proto::storage::control_record::Body;

use crate::apply::TRIES_MAX;
use crate::catalog::Written;
use crate::control::{self, CatalogEntry, Change, Control};
use crate::engine::Engine;
use crate::error::Error;
use crate::pieces::Pieces;

/// The ruleset that decides, swapped as a whole.
pub(crate) struct Slot {
    current: ArcSwap<Current>,
    /// The one before: kept until the next swap, so that no request ever frees it.
    retired: Mutex<Option<Arc<Current>>>,
}

/// The ruleset that decides, with what it says in every reply and record.
#[derive(Debug)]
pub struct Current {
    ruleset: Ruleset,
    /// Pieces of messages.
    pub pieces: Pieces,
    /// The catalogue of the ruleset.
    pub(crate) catalog: Arc<InUse>,
}

/// A catalogue in use, with its entry in the control partition.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(crate) written: Arc<Written>,
    pub(crate) entry: CatalogEntry,
}

impl Current {
    fn new(ruleset: Ruleset, catalog: Arc<InUse>) -> Self {
        Self { pieces: Pieces::new(&ruleset), ruleset, catalog }
    }
}

impl Deref for Current {
    type Target = Ruleset;

    fn deref(&self) -> &Ruleset {
        &self.ruleset
    }
}

impl Slot {
    pub(crate) fn new(ruleset: Ruleset, catalog: InUse) -> Self {
        let current = Current::new(ruleset, Arc::new(catalog));
        Self { current: ArcSwap::from_pointee(current), retired: Mutex::default() }
    }

    /// The current ruleset: one atomic load. Not to be held across an await.
    pub(crate) fn load(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// The current ruleset, to be kept.
    pub(crate) fn load_full(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Fits an artifact to the current catalogue and puts it in place, unless it is there already.
    pub(crate) async fn switch_model(self: &Arc<Self>, artifact: Bytes) -> Result<(), Error> {
        let slot = Arc::clone(self);
        let switching = move || {
            let current = slot.load_full();
            let (ruleset, loaded) = fit(&current, &artifact)?;
            counter!("tactful_model_swap_total", "result" => "loaded").increment(1);
            if ruleset.hash() == current.hash() {
                return Ok(());
            }
            slot.swap(Current::new(ruleset, Arc::clone(&current.catalog)));
            tracing::info!(name = loaded.model.name, version = loaded.model.version, "loaded a model");
            Ok(())
        };
        tokio::task::spawn_blocking(switching).await.map_err(|_| Error::Closed)?
    }

    /// Puts a catalogue in place, with the model in use. If that does not fit on this node, priors decide, loudly.
    pub(crate) async fn switch_catalog(self: &Arc<Self>, catalog: InUse, artifact: Option<Bytes>) -> Result<(), Error> {
        let slot = Arc::clone(self);
        let switching = move || {
            let mut ruleset = catalog.written.ruleset.clone();
            match artifact.map(|artifact| fit(&ruleset, &artifact)) {
                None => {}
                Some(Ok((fitted, _))) => ruleset = fitted,
                Some(Err(error)) => {
                    refused();
                    tracing::error!(%error, "the model in use does not fit the catalogue that came into use; priors decide");
                }
            }
            counter!("tactful_catalog_swap_total", "result" => "applied").increment(1);
            tracing::info!(version = format!("{:016x}", ruleset.catalog_hash()), "a catalogue came into use");
            slot.swap(Current::new(ruleset, Arc::new(catalog)));
        };
        tokio::task::spawn_blocking(switching).await.map_err(|_| Error::Closed)
    }

    fn swap(&self, current: Current) {
        let old = self.current.swap(Arc::new(current));
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).replace(old);
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
        let sha256 = self.log.put_blob(Bytes::clone(&bytes)).await?;
        let _one_change_at_a_time = self.changing.lock().await;
        for _ in 0..TRIES_MAX {
            if let Some(loaded) = self.try_load(&bytes, sha256).await? {
                return Ok(loaded);
            }
        }
        Err(Error::Busy)
    }

    /// None if another catalogue came into use in between.
    async fn try_load(&self, bytes: &Bytes, sha256: [u8; 32]) -> Result<Option<LoadedModel>, Error> {
        // In this order: what decides is never older than what the control partition is known to say.
        let mut control = self.control.borrow().clone();
        let (current, checked) = (self.ruleset(), Bytes::clone(bytes));
        let fitted = tokio::task::spawn_blocking(move || fit(&current, &checked)).await.map_err(|_| Error::Closed)?;
        let (ruleset, loaded) = fitted.inspect_err(|_| refused())?;
        let name = loaded.model.name.clone();
        let body = ModelLoaded { name: name.clone(), sha256: sha256.to_vec(), catalog: control.catalog_offset() };
        let offset = control::append(self.log.as_ref(), vec![Body::ModelLoaded(body)]).await?;
        // It comes into place where every node puts it: by its entry, in the order of the control partition.
        let change = control.read_to(self.log.as_ref(), offset).await?;
        self.control_reached(offset).await?;
        let loaded = LoadedModel {
            name,
            version: loaded.model.version.clone(),
            ruleset: ruleset.hash(),
            action_heads: loaded.model.heads.iter().filter(|head| head.scope == Scope::Action).count(),
        };
        Ok((change != Change::Outdated).then_some(loaded))
    }
}

/// Counts a model that was not taken.
pub(crate) fn refused() {
    counter!("tactful_model_swap_total", "result" => "refused").increment(1);
}

/// Reads an artifact and fits it to the catalogue.
pub(crate) fn fit(current: &Ruleset, bytes: &[u8]) -> Result<(Ruleset, Loaded), Error> {
    let loaded = artifact::read(bytes).map_err(|error| Error::Model(error.to_string()))?;
    let ruleset = current.with_model(&loaded.model).map_err(|error| Error::Model(error.to_string()))?;
    Ok((ruleset, loaded))
}

/// The ruleset with the model that the control log names last. A model that no longer fits is
/// left out loudly: priors decide until another one is loaded.
pub(crate) async fn restore(log: &dyn Log, ruleset: Ruleset, control: &Control) -> Result<Ruleset, Error> {
    let Some(model) = &control.model else { return Ok(ruleset) };
    let Some(bytes) = log.get_blob(&model.sha256).await? else {
        tracing::error!("the model loaded last is not in the log any more; priors decide");
        return Ok(ruleset);
    };
    match fit(&ruleset, &bytes) {
        Ok((fitted, loaded)) => {
            tracing::info!(name = loaded.model.name, version = loaded.model.version, "restored the model");
            Ok(fitted)
        }
        Err(error) => {
            refused();
            tracing::error!(%error, "the model loaded last does not fit this catalogue; priors decide");
            Ok(ruleset)
        }
    }
}
