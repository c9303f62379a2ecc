//! The slot that holds the ruleset, and how catalogues and models come into it: built off the hot path, then
//! swapped in by one pointer on every node that follows the control partition. A bad one never gets there.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use metrics::counter;
use tactful_core::ruleset::{Alias, Challenger, Models, Ruleset};
use tactful_core::score::Bank;
use tactful_log::Log;
use tactful_models::artifact::{self, Loaded};

use crate::background;
use crate::canary::Canary;
use crate::catalog::Written;
use crate::control::CatalogEntry;
use crate::error::Error;
use crate::options::Options;
use crate::pieces::Pieces;
use crate::registry::{ModelInUse, Registry};

/// Models that stay compiled beside those in use: what a rollback goes back to comes into place at once.
const SPARE_BANKS: usize = 4;

/// The ruleset that decides, swapped as a whole.
pub(crate) struct Slot {
    current: ArcSwap<Current>,
    /// The one before: kept until the next swap, so that no request ever frees it.
    retired: Mutex<Option<Arc<Current>>>,
    /// Models compiled for a catalogue, those asked for last at the end.
    banks: Mutex<Vec<Compiled>>,
    /// Time in which a model must score all actions for one customer.
    pub(crate) latency_max: Duration,
}

/// Models that are ready to be put in place.
type Ready = BTreeMap<Alias, (Arc<Bank>, ModelInUse)>;

/// A model compiled for a catalogue.
struct Compiled {
    sha256: [u8; 32],
    catalog: u64,
    bank: Arc<Bank>,
}

/// The ruleset that decides, with what it says in every reply and record.
#[derive(Debug)]
pub struct Current {
    ruleset: Ruleset,
    /// The same with the shadow as champion, if there is one.
    pub(crate) shadow: Option<Ruleset>,
    /// What is counted of the challenger, if there is one.
    pub(crate) canary: Option<Arc<Canary>>,
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
    /// What was counted of a challenger goes on as long as it is the same one.
    fn new(ruleset: &Ruleset, mut ready: Ready, catalog: Arc<InUse>, counted: Option<Arc<Canary>>) -> Self {
        let champion = ready.remove(&Alias::Champion).map(|(bank, _)| bank);
        let shadow = ready.remove(&Alias::Shadow).map(|(bank, _)| Models { champion: Some(bank), challenger: None });
        let (mut challenger, mut canary) = (None, None);
        if let Some((bank, in_use)) = ready.remove(&Alias::Challenger) {
            let known = counted.filter(|counted| counted.sha256 == in_use.sha256);
            canary = Some(known.unwrap_or_else(|| Arc::new(Canary::new(in_use.sha256))));
            challenger = Some(Challenger { bank, share: in_use.share });
        }
        let shadow = shadow.map(|models| ruleset.with_models(models));
        let ruleset = ruleset.with_models(Models { champion, challenger });
        Self { pieces: Pieces::new(&ruleset), ruleset, shadow, canary, catalog }
    }

    /// Whether a model stands behind an alias.
    pub(crate) fn uses(&self, alias: Alias) -> bool {
        if alias == Alias::Shadow { self.shadow.is_some() } else { self.bank_of(alias).is_some() }
    }
}

impl Deref for Current {
    type Target = Ruleset;

    fn deref(&self) -> &Ruleset {
        &self.ruleset
    }
}

impl Slot {
    /// With the models that the log says are in use. One that cannot be had or does not fit is left out loudly.
    pub(crate) async fn new(
        log: &dyn Log,
        catalog: InUse,
        registry: &Registry,
        options: &Options,
    ) -> Result<Self, Error> {
        let current = Current::new(&catalog.written.ruleset.clone(), Ready::new(), Arc::new(catalog), None);
        let slot = Self {
            current: ArcSwap::from_pointee(current),
            retired: Mutex::default(),
            banks: Mutex::default(),
            latency_max: Duration::from_micros(options.model_latency_us_max),
        };
        slot.switch_models(log, registry).await?;
        Ok(slot)
    }

    /// The current ruleset: one atomic load. Not to be held across an await.
    pub(crate) fn load(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// The current ruleset, to be kept.
    pub(crate) fn load_full(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Puts the models in place that the registry says are in use.
    pub(crate) async fn switch_models(&self, log: &dyn Log, registry: &Registry) -> Result<(), Error> {
        let current = self.load_full();
        let banks = self.banks_for(log, &current, registry).await?;
        let counted = current.canary.clone();
        let build = move || Current::new(&current, banks.clone(), Arc::clone(&current.catalog), counted.clone());
        self.swap(background::compute_soon(build).await?);
        Ok(())
    }

    /// Puts a catalogue in place, with the models in use.
    pub(crate) async fn switch_catalog(&self, log: &dyn Log, catalog: InUse, registry: &Registry) -> Result<(), Error> {
        let ruleset = catalog.written.ruleset.clone();
        let banks = self.banks_for(log, &ruleset, registry).await?;
        counter!("tactful_catalog_swap_total", "result" => "applied").increment(1);
        tracing::info!(version = format!("{:016x}", ruleset.catalog_hash()), "a catalogue came into use");
        let counted = self.load().canary.clone();
        let catalog = Arc::new(catalog);
        let build = move || Current::new(&ruleset, banks.clone(), Arc::clone(&catalog), counted.clone());
        self.swap(background::compute_soon(build).await?);
        Ok(())
    }

    /// Keeps a compiled model at hand: it will be asked for soon.
    pub(crate) fn keep(&self, sha256: [u8; 32], ruleset: &Ruleset, bank: Arc<Bank>) {
        let mut banks = self.banks.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = ruleset.catalog_hash();
        banks.retain(|known| known.catalog == catalog && known.sha256 != sha256);
        banks.push(Compiled { sha256, catalog, bank });
        let spare = banks.len().saturating_sub(Alias::ALL.len() + SPARE_BANKS);
        let freed: Vec<Compiled> = banks.drain(..spare).collect();
        drop(banks);
        background::free(freed);
    }

    /// The models in use, compiled for a catalogue. One that cannot be had or does not fit is left out loudly; of
    /// the champion the one that decides now stays if it can.
    async fn banks_for(&self, log: &dyn Log, ruleset: &Ruleset, registry: &Registry) -> Result<Ready, Error> {
        let mut banks = Ready::new();
        for (alias, in_use) in registry.all_in_use() {
            match self.bank_for(log, ruleset, in_use).await {
                Ok(bank) => {
                    banks.insert(*alias, (bank, in_use.clone()));
                }
                Err(Error::Model(reason)) => {
                    refused();
                    let (alias, name) = (alias.name(), &in_use.reference.name);
                    tracing::error!(name, alias, reason, "a model in use cannot be used with this catalogue");
                    banks.extend(self.stays(ruleset, alias).map(|bank| (Alias::Champion, (bank, in_use.clone()))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(banks)
    }

    /// The champion of now, where one that should follow it cannot.
    fn stays(&self, ruleset: &Ruleset, alias: &str) -> Option<Arc<Bank>> {
        let current = self.load_full();
        let fits = alias == Alias::Champion.name() && current.catalog_hash() == ruleset.catalog_hash();
        fits.then(|| current.models().champion.clone()).flatten()
    }

    async fn bank_for(&self, log: &dyn Log, ruleset: &Ruleset, in_use: &ModelInUse) -> Result<Arc<Bank>, Error> {
        if let Some(bank) = self.kept(&in_use.sha256, ruleset) {
            return Ok(bank);
        }
        let lost = || Error::Model("it is not in the log any more".into());
        let artifact = log.get_blob(&in_use.sha256).await?.ok_or_else(lost)?;
        let fitting = ruleset.clone();
        let (bank, loaded) = background::compute_soon(move || fit(&fitting, &artifact)).await??;
        counter!("tactful_model_swap_total", "result" => "loaded").increment(1);
        tracing::info!(name = loaded.model.name, version = loaded.model.version, "built a model");
        self.keep(in_use.sha256, ruleset, Arc::clone(&bank));
        Ok(bank)
    }

    /// A model that is compiled for a catalogue already.
    pub(crate) fn kept(&self, sha256: &[u8; 32], ruleset: &Ruleset) -> Option<Arc<Bank>> {
        let banks = self.banks.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Compiled| known.sha256 == *sha256 && known.catalog == ruleset.catalog_hash();
        banks.iter().find(same).map(|known| Arc::clone(&known.bank))
    }

    fn swap(&self, current: Current) {
        let old = self.current.swap(Arc::new(current));
        let freed = self.retired.lock().unwrap_or_else(PoisonError::into_inner).replace(old);
        // A large model takes milliseconds to free: not on a thread that may serve.
        background::free(freed);
    }
}

/// Counts a model that was not taken.
pub(crate) fn refused() {
    counter!("tactful_model_swap_total", "result" => "refused").increment(1);
}

/// Reads an artifact and compiles it for the catalogue of a ruleset.
pub(crate) fn fit(ruleset: &Ruleset, bytes: &[u8]) -> Result<(Arc<Bank>, Loaded), Error> {
    let loaded = artifact::read(bytes).map_err(|error| Error::Model(error.to_string()))?;
    let bank = ruleset.bank_for(&loaded.model).map_err(|error| Error::Model(error.to_string()))?;
    Ok((bank, loaded))
}
