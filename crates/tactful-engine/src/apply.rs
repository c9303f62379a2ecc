//! Catalogues that come into use: given to a running node, or by the start of one.

use std::path::PathBuf;
use std::sync::Arc;

use tactful_core::ruleset::{Alias, Challenger, Models, Ruleset};
use tactful_log::{Log, Offset};
use tactful_proto::storage::CatalogApplied;
use tactful_proto::storage::control_record::Body;

use crate::background;
use crate::catalog::{self, CatalogChange, Files, Written};
use crate::control::{self, Change, Control};
use crate::engine::Engine;
use crate::error::Error;
use crate::follower::{append_schema, check_schema, compiled, refused, written};
use crate::generation::FoldSchema;
use crate::registry::Registry;
use crate::slot::{Current, InUse, fit};

/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 1_000;
/// How often a change is checked anew because another one came in between.
pub(crate) const TRIES_MAX: usize = 8;

/// What applying a catalogue did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedCatalog {
    /// Hash of the catalogue.
    pub catalog: u64,
    /// Hash of the ruleset that now decides, or would.
    pub ruleset: u64,
    /// Whether the fold differs from the one of before.
    pub schema_changed: bool,
    /// What differs from the catalogue of before.
    pub changes: Vec<CatalogChange>,
    /// Whether it came into use by this.
    pub applied: bool,
}

impl Engine {
    /// Checks a catalogue as a whole and puts it into use on every node. Returns once this one decides by it. A
    /// dry run only checks.
    ///
    /// # Errors
    /// If it is wrong, or if the model in use does not fit it: the old one stays.
    pub async fn apply_catalog(
        &self,
        files: Vec<(PathBuf, String)>,
        note: &str,
        dry_run: bool,
    ) -> Result<AppliedCatalog, Error> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(Error::field(
                "note",
                format!("has {} bytes, at most {NOTE_BYTES_MAX} are allowed", note.len()),
            ));
        }
        let applying = async {
            let written = compiled(Files::new(files).map_err(Error::Catalog)?).await?;
            let schema = FoldSchema::of(&written.ruleset.catalog)?;
            check_schema(self.log.as_ref(), &schema)?;
            let _one_change_at_a_time = self.changing.lock().await;
            for _ in 0..TRIES_MAX {
                if let Some(applied) = self.try_apply(&written, note, dry_run).await? {
                    return Ok(applied);
                }
            }
            Err(Error::Busy)
        };
        let applied = applying.await;
        if matches!(applied, Err(Error::Catalog(_) | Error::Unfit(_) | Error::Schema(_))) {
            refused();
        }
        applied
    }

    /// None if something else came into use in between.
    async fn try_apply(&self, written: &Written, note: &str, dry_run: bool) -> Result<Option<AppliedCatalog>, Error> {
        // In this order: what decides is never older than what the control partition is known to say.
        let mut control = self.control.borrow().clone();
        let current = self.slot.load_full();
        let ruleset = self.fitted(&written.ruleset, &current, &control.registry).await?;
        let mut applied = AppliedCatalog {
            catalog: ruleset.catalog_hash(),
            ruleset: ruleset.hash(),
            schema_changed: ruleset.schema.hash() != current.schema.hash(),
            changes: catalog::changes(&current, &ruleset),
            applied: false,
        };
        if dry_run || current.catalog.written.files == written.files {
            return Ok(Some(applied));
        }
        let offset = append(self.log.as_ref(), written, &control, note, self.node).await?;
        if control.read_to(self.log.as_ref(), offset).await? == Change::Outdated {
            self.control_reached(offset).await?;
            return Ok(None);
        }
        self.control_reached(offset).await?;
        applied.applied = true;
        Ok(Some(applied))
    }

    /// The ruleset with the models in use. Those that decide or score now must fit.
    async fn fitted(&self, ruleset: &Ruleset, current: &Current, registry: &Registry) -> Result<Ruleset, Error> {
        let mut models = Models::default();
        for (alias, in_use) in registry.all_in_use() {
            let Some(artifact) = self.log.get_blob(&in_use.sha256).await? else { continue };
            let fitting = ruleset.clone();
            match (background::compute_soon(move || fit(&fitting, &artifact)).await?, alias) {
                (Ok((bank, _)), Alias::Champion) => models.champion = Some(bank),
                (Ok((bank, _)), Alias::Challenger) => {
                    models.challenger = Some(Challenger { bank, share: in_use.share })
                }
                (Err(error), alias) if current.uses(*alias) => {
                    return Err(Error::Unfit(format!("{} {error}", alias.name())));
                }
                _ => {}
            }
        }
        Ok(ruleset.with_models(models))
    }

    /// The catalogue that decides on this node.
    #[must_use]
    pub fn catalog(&self) -> CatalogInUse {
        let current = self.slot.load_full();
        let entry = &current.catalog.entry;
        CatalogInUse {
            files: current.catalog.written.files.clone(),
            catalog: current.catalog_hash(),
            ruleset: current.hash(),
            schema: current.schema.hash(),
            note: entry.note.clone(),
            applied_ms: entry.received_ms,
        }
    }
}

/// The catalogue that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogInUse {
    /// Its files.
    pub files: Files,
    /// Hash of the catalogue.
    pub catalog: u64,
    /// Hash of the ruleset.
    pub ruleset: u64,
    /// Hash of the schema.
    pub schema: u64,
    /// Why it was applied; may be empty.
    pub note: String,
    /// When, in milliseconds since 1970.
    pub applied_ms: i64,
}

/// Keeps a catalogue in the log and appends its entry, with that of a new layout before it.
async fn append(log: &dyn Log, written: &Written, control: &Control, note: &str, node: u64) -> Result<Offset, Error> {
    let files = log.put_blob(written.files.encode()).await?;
    let applied = CatalogApplied {
        files: files.to_vec(),
        catalog: written.ruleset.catalog_hash(),
        schema: written.ruleset.schema.hash(),
        model: control.registry.moved(),
        note: note.into(),
        node,
    };
    let layout = control::layout_entry(&written.ruleset, control);
    control::append(log, layout.into_iter().chain([Body::CatalogApplied(applied)]).collect()).await
}

/// What a node starts with.
pub(crate) struct Start {
    pub(crate) catalog: InUse,
    /// What entries before the first schema record are folded by.
    pub(crate) first: FoldSchema,
}

/// Chooses the catalogue of a start: the one that the log says, unless it has never seen the node's own. That one is
/// applied first, as if given to a running node.
pub(crate) async fn start(log: &dyn Log, own: Written, control: &mut Control, node: u64) -> Result<Start, Error> {
    let own = Arc::new(own);
    let schema = FoldSchema::of(&own.ruleset.catalog)?;
    check_schema(log, &schema)?;
    let sha256 = log.put_blob(own.files.encode()).await?;
    for _ in 0..TRIES_MAX {
        let newest = control.catalog.clone();
        let written = match &newest {
            Some(entry) if entry.files == sha256 => Arc::clone(&own),
            Some(entry) if control.seen.contains(&sha256) => {
                tracing::warn!(
                    "this node's own catalogue is older than the one in use, which is taken instead: \
                     `tactful catalog apply` puts the older one into use again"
                );
                Arc::new(written(log, &entry.files).await?)
            }
            _ => {
                if newest.is_some() {
                    must_fit(log, &own.ruleset, control).await?;
                }
                let offset = append(log, &own, control, "given at the start of a node", node).await?;
                control.read_to(log, offset).await?;
                if let Some(entry) = control.catalog.as_ref().filter(|entry| entry.schema_version == offset) {
                    append_schema(log, entry, &schema).await?;
                }
                continue;
            }
        };
        let Some(entry) = newest else { continue };
        control::note_layout(log, &written.ruleset, control).await?;
        let first = first(log, control, &written).await?;
        return Ok(Start { catalog: InUse { written, entry }, first });
    }
    Err(Error::Busy)
}

/// Refuses a catalogue of a node's own that the champion does not fit, if it fits the one that is in use.
async fn must_fit(log: &dyn Log, own: &Ruleset, control: &Control) -> Result<(), Error> {
    let (Some(champion), Some(entry)) = (control.registry.in_use(Alias::Champion), &control.catalog) else {
        return Ok(());
    };
    let Some(artifact) = log.get_blob(&champion.sha256).await? else { return Ok(()) };
    let Err(error) = fit(own, &artifact) else { return Ok(()) };
    let decides = match written(log, &entry.files).await {
        Ok(written) => fit(&written.ruleset, &artifact).is_ok(),
        Err(Error::Catalog(_)) => false,
        Err(error) => return Err(error),
    };
    if decides { Err(Error::Unfit(error.to_string())) } else { Ok(()) }
}

/// The schema of the catalogue that was applied first.
async fn first(log: &dyn Log, control: &Control, written: &Written) -> Result<FoldSchema, Error> {
    let sha256 = control.first_files.filter(|files| Some(files) != control.catalog.as_ref().map(|entry| &entry.files));
    let blob = match sha256 {
        Some(sha256) => log.get_blob(&sha256).await?,
        None => None,
    };
    let files = blob.as_deref().and_then(Files::decode);
    let schema = files.and_then(|files| FoldSchema::of(&catalog::definitions(files.list()).ok()?).ok());
    match schema {
        Some(schema) => Ok(schema),
        None => FoldSchema::of(&written.ruleset.catalog),
    }
}
