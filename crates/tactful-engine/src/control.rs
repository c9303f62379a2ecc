//! The control partition: catalogues, models and layouts as they came into use. What is in use follows from its
//! entries alone, in their order, so that every node comes to the same.
//!
//! A catalogue is checked with the models in use and a model with the catalogue in use, and the entry of each names
//! the entry of the other that it was checked with. If that one has changed before the entry got its place, it is
//! outdated: nobody takes it, and who appended it checks again.

use std::collections::BTreeSet;

use prost::Message;
use tactful_core::layout::FieldKind;
use tactful_core::ruleset::Ruleset;
use tactful_log::{Entry, Log, Offset, Partition};
use tactful_proto::storage::control_record::Body;
use tactful_proto::storage::{CatalogApplied, ControlRecord, LayoutField, LayoutUsed};

use crate::clock::now_ms;
use crate::error::Error;
use crate::registry::Registry;

/// Entries read from the log at once.
pub(crate) const READ_MAX: usize = 1_024;

/// What the control partition says, up to an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    /// Versions of models, and which of them are in use.
    pub(crate) registry: Registry,
    /// The catalogue applied last.
    pub(crate) catalog: Option<CatalogEntry>,
    /// Blob of the catalogue applied first: entries of before are folded by its schema.
    pub(crate) first_files: Option<[u8; 32]>,
    /// Blobs of all catalogues that were ever in use.
    pub(crate) seen: BTreeSet<[u8; 32]>,
    /// Layouts that decisions name.
    pub(crate) layouts: Vec<LayoutUsed>,
    /// Its last entry that was read.
    pub(crate) end: Offset,
}

/// A catalogue that came into use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogEntry {
    pub(crate) offset: Offset,
    /// sha256 of its files.
    pub(crate) files: [u8; 32],
    /// Hash of its schema.
    pub(crate) schema: u64,
    /// Version of the schema that partitions must have reached before it decides.
    pub(crate) schema_version: u64,
    /// Why it was applied.
    pub(crate) note: String,
    /// When, in milliseconds since 1970.
    pub(crate) received_ms: i64,
    /// The running node that took it in.
    pub(crate) node: u64,
}

/// What an entry changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that decides.
    Nothing,
    /// The models that are in use.
    Models,
    /// The catalogue.
    Catalog,
    /// Nothing, because it was checked with what is not in use any more.
    Outdated,
}

impl Control {
    /// Takes in the next entry. One that cannot be read is passed over by every node: only Tactful writes there.
    pub(crate) fn take(&mut self, entry: &Entry) -> Change {
        let offset = entry.offset;
        self.end = offset;
        let Ok(record) = ControlRecord::decode(entry.payload.as_ref()) else {
            tracing::error!(offset, "skipped a control entry that cannot be read");
            return Change::Nothing;
        };
        match record.body {
            Some(Body::ModelLoaded(loaded)) => {
                // Entries of before there were catalogues in the log name none.
                let outdated = loaded.catalog != 0 && loaded.catalog != self.catalog_offset();
                if outdated { Change::Outdated } else { self.registry.load(offset, loaded, record.received_ms) }
            }
            Some(Body::ModelPushed(pushed)) => self.registry.push(pushed, record.received_ms),
            Some(Body::AliasMoved(moved)) => {
                let outdated = moved.catalog != self.catalog_offset() || moved.moved != self.registry.moved();
                if outdated { Change::Outdated } else { self.registry.take(offset, moved, record.received_ms) }
            }
            Some(Body::CatalogApplied(applied)) => self.take_catalog(offset, applied, record.received_ms),
            Some(Body::LayoutUsed(layout)) => {
                self.layouts.push(layout);
                Change::Nothing
            }
            None => Change::Nothing,
        }
    }

    fn take_catalog(&mut self, offset: Offset, applied: CatalogApplied, received_ms: i64) -> Change {
        if applied.model != self.registry.moved() {
            return Change::Outdated;
        }
        let Ok(files) = applied.files.try_into() else { return Change::Nothing };
        let before = self.catalog.as_ref();
        if before.is_some_and(|before| before.files == files) {
            // Two nodes with the same catalogue at once: the first one counts.
            return Change::Nothing;
        }
        let folds_alike = before.filter(|before| before.schema == applied.schema);
        self.catalog = Some(CatalogEntry {
            offset,
            files,
            schema: applied.schema,
            schema_version: folds_alike.map_or(offset, |before| before.schema_version),
            note: applied.note,
            received_ms,
            node: applied.node,
        });
        self.first_files.get_or_insert(files);
        self.seen.insert(files);
        Change::Catalog
    }

    /// Entry of the catalogue in use; 0 for none.
    pub(crate) fn catalog_offset(&self) -> Offset {
        self.catalog.as_ref().map_or(0, |catalog| catalog.offset)
    }

    /// Reads on to an entry that is there; answers what that one changes.
    pub(crate) async fn read_to(&mut self, log: &dyn Log, until: Offset) -> Result<Change, Error> {
        let mut change = Change::Nothing;
        while self.end < until {
            log.wait(Partition::Control, self.end).await?;
            for entry in log.read(Partition::Control, self.end, READ_MAX).await? {
                if entry.offset > until {
                    break;
                }
                change = self.take(&entry);
            }
        }
        Ok(change)
    }
}

/// Reads the whole control partition.
pub(crate) async fn read(log: &dyn Log) -> Result<Control, Error> {
    let mut control = Control::default();
    control.read_to(log, log.tail(Partition::Control).await?).await?;
    Ok(control)
}

/// The entry that notes the layout of a ruleset, so that records can be read for ever; none if it is there already.
pub(crate) fn layout_entry(ruleset: &Ruleset, control: &Control) -> Option<Body> {
    let hash = ruleset.layout_hash;
    if control.layouts.iter().any(|layout| layout.hash == hash) {
        return None;
    }
    let fields = ruleset.layout.fields().iter().map(|field| LayoutField {
        name: field.name.clone(),
        kind: field.kind.name().into(),
        vocabulary: match &field.kind {
            FieldKind::Category(words) => words.clone(),
            _ => Vec::new(),
        },
    });
    Some(Body::LayoutUsed(LayoutUsed { hash, fields: fields.collect() }))
}

/// Notes the layout of a ruleset: another version of this program makes another one of the same catalogue.
pub(crate) async fn note_layout(log: &dyn Log, ruleset: &Ruleset, control: &Control) -> Result<(), Error> {
    match layout_entry(ruleset, control) {
        Some(body) => append(log, vec![body]).await.map(drop),
        None => Ok(()),
    }
}

/// Appends entries as one group; answers the offset of the last.
pub(crate) async fn append(log: &dyn Log, bodies: Vec<Body>) -> Result<Offset, Error> {
    let entry = |body| {
        let record = ControlRecord { received_ms: now_ms(), body: Some(body) };
        (Partition::Control, record.encode_to_vec().into())
    };
    let offsets = log.append(bodies.into_iter().map(entry).collect()).await?;
    offsets.last().copied().ok_or(Error::Closed)
}

#[cfg(test)]
mod tests {
    use tactful_proto::storage::ModelLoaded;

    use super::*;

    fn model(catalog: Offset) -> ControlRecord {
        let loaded = ModelLoaded { name: "m".into(), sha256: vec![catalog as u8; 32], catalog };
        ControlRecord { received_ms: 0, body: Some(Body::ModelLoaded(loaded)) }
    }

    fn catalog(files: u8, schema: u64, model: Offset) -> ControlRecord {
        let applied = CatalogApplied { files: vec![files; 32], schema, model, ..CatalogApplied::default() };
        ControlRecord { received_ms: 0, body: Some(Body::CatalogApplied(applied)) }
    }

    fn taken(records: Vec<ControlRecord>) -> (Control, Vec<Change>) {
        let mut control = Control::default();
        let entry = |record: ControlRecord, offset| Entry { offset, payload: record.encode_to_vec().into() };
        let changes =
            records.into_iter().zip(1..).map(|(record, offset)| control.take(&entry(record, offset))).collect();
        (control, changes)
    }

    #[test]
    fn what_was_checked_with_something_else_is_outdated() {
        let records = vec![
            model(0),
            catalog(1, 10, 0),
            catalog(1, 10, 1),
            model(2),
            model(3),
            catalog(2, 10, 1),
            catalog(2, 10, 5),
            model(3),
        ];
        use Change::{Catalog, Models, Outdated};
        let (control, changes) = taken(records);
        assert_eq!(changes, [Models, Outdated, Catalog, Outdated, Models, Outdated, Catalog, Outdated]);
        assert_eq!((control.registry.moved(), control.catalog_offset(), control.end), (5, 7, 8));
    }

    #[test]
    fn a_catalogue_needs_a_schema_of_its_own_only_if_it_folds_otherwise() {
        let (control, changes) =
            taken(vec![catalog(1, 10, 0), catalog(1, 10, 0), catalog(2, 10, 0), catalog(3, 11, 0), catalog(1, 10, 0)]);
        use Change::{Catalog, Nothing};
        assert_eq!(changes, [Catalog, Nothing, Catalog, Catalog, Catalog]);
        let last = control.catalog.unwrap();
        assert_eq!((last.offset, last.schema_version, control.first_files), (5, 5, Some([1; 32])));
        assert_eq!(control.seen.len(), 3);
        let (control, _) = taken(vec![catalog(1, 10, 0), catalog(2, 10, 0)]);
        assert_eq!(control.catalog.unwrap().schema_version, 1);
    }

    #[test]
    fn entries_of_before_there_were_catalogues_are_taken() {
        let (control, changes) = taken(vec![model(0), model(0), catalog(1, 1, 2), model(0)]);
        assert_eq!(changes, [Change::Models, Change::Models, Change::Catalog, Change::Models]);
        assert_eq!(control.registry.moved(), 4);
    }
}
