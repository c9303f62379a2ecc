//! Generations of a partition's rows: a schema, and the rows folded under it. At a schema record the applier
//! makes the next one beside the present one, which goes on answering, and swaps the pointer. Until the old
//! one is freed the rows of this one partition take twice their memory.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use dashmap::mapref::one::Ref;
use tactful_core::state::{Definition, Migration, Row, Schema};
use tactful_proto::storage::SchemaBody;

use crate::error::Error;
use crate::rows::Rows;
use crate::store::PartitionRows;

/// Longest definition of a schema record, in bytes: with the rest of it, an entry of the log holds it.
pub(crate) const DEFINITION_BYTES_MAX: usize = 512 << 10;
const _: () = assert!(DEFINITION_BYTES_MAX + 1_024 <= tactful_log::ENTRY_BYTES_MAX);
/// How often, and after what pause, it is looked whether readers have left an old generation.
const LOOKS_MAX: u32 = 1_000;
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// A schema with the definition that the log holds of it.
#[derive(Clone, Debug)]
pub(crate) struct FoldSchema {
    schema: Arc<Schema>,
    definition: Arc<str>,
}

/// Rows under one schema.
pub(crate) struct Generation {
    fold: FoldSchema,
    pub(crate) rows: Rows,
}

/// A row under the schema that was asked for.
pub(crate) enum RowRef<'a> {
    /// As it is held.
    Held(Ref<'a, Box<str>, Row>),
    /// Held under another schema.
    Projected(Row),
}

impl RowRef<'_> {
    /// The row by itself.
    pub(crate) fn into_owned(self) -> Row {
        match self {
            Self::Held(row) => row.value().clone(),
            Self::Projected(row) => row,
        }
    }
}

impl Deref for RowRef<'_> {
    type Target = Row;

    fn deref(&self) -> &Row {
        match self {
            Self::Held(row) => row.value(),
            Self::Projected(row) => row,
        }
    }
}

impl FoldSchema {
    /// The fold part of a catalogue.
    ///
    /// # Errors
    /// If it is too long for the log.
    pub(crate) fn of(catalog: &tactful_core::catalog::Catalog) -> Result<Self, Error> {
        Self::from_text(&toml::to_string(&Definition::of(catalog)).map_err(|error| unfit(&error.to_string()))?)
    }

    /// What a schema record says.
    ///
    /// # Errors
    /// If it is no definition that this program can read.
    pub(crate) fn from_record(body: &SchemaBody) -> Result<Self, Error> {
        let text = std::str::from_utf8(&body.definition).map_err(|error| unfit(&error.to_string()))?;
        Self::from_text(text)
    }

    fn from_text(text: &str) -> Result<Self, Error> {
        if text.len() > DEFINITION_BYTES_MAX {
            return Err(unfit(&format!("{} bytes, at most {DEFINITION_BYTES_MAX} are allowed", text.len())));
        }
        let definition: Definition = toml::from_str(text).map_err(|error| unfit(error.message()))?;
        let schema = Schema::of(&definition).map_err(|problems| unfit(&problems[0].to_string()))?;
        Ok(Self { schema: Arc::new(schema), definition: text.into() })
    }

    /// The body of a schema record.
    pub(crate) fn body(&self, version: u64) -> SchemaBody {
        SchemaBody { hash: self.schema.hash(), definition: self.definition.as_bytes().to_vec(), version }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.schema.hash()
    }

    /// Bytes of its definition.
    pub(crate) fn bytes(&self) -> usize {
        self.definition.len()
    }
}

fn unfit(why: &str) -> Error {
    Error::Schema(why.into())
}

impl Generation {
    /// Rows that were folded by this schema; none at the beginning.
    pub(crate) fn new(fold: FoldSchema, rows: Rows) -> Self {
        Self { fold, rows }
    }

    pub(crate) fn fold(&self) -> &FoldSchema {
        &self.fold
    }

    /// What its rows are folded by.
    pub(crate) fn schema(&self) -> &Schema {
        &self.fold.schema
    }

    /// The row of a subject id under a schema. One look-up and one comparison if that is the generation's own;
    /// else a projection: what is not held reads as untouched.
    pub(crate) fn get(&self, schema: &Schema, subject_id: &str) -> Option<RowRef<'_>> {
        let row = self.rows.get(subject_id)?;
        if self.fold.schema.hash() == schema.hash() {
            return Some(RowRef::Held(row));
        }
        Some(RowRef::Projected(Migration::new(&self.fold.schema, schema).row(&row)))
    }

    /// The same rows under another schema.
    fn migrated(&self, fold: FoldSchema) -> Self {
        let migration = Migration::new(&self.fold.schema, &fold.schema);
        Self::new(fold, self.rows.map(|row| migration.row(row)))
    }
}

/// Takes a partition to what a schema record says. Blocks for about a microsecond a row; only the applier may
/// call it, since nobody else must write rows meanwhile. A version that the partition has had changes nothing.
/// With `are_kept` somebody goes on with the old rows and frees them.
///
/// # Errors
/// If this program cannot read the schema.
pub(crate) fn switch(partition: &PartitionRows, body: &SchemaBody, are_kept: bool) -> Result<(), Error> {
    if body.version <= partition.schema_version() {
        return Ok(());
    }
    let fold = FoldSchema::from_record(body)?;
    let current = Arc::clone(&partition.generation());
    if fold.hash() != current.fold.hash() {
        let next = current.migrated(fold);
        drop(current);
        let old = partition.replace(next, body.version);
        if !are_kept {
            free(old);
        }
    } else {
        partition.reach_schema(body.version);
    }
    Ok(())
}

/// Frees an old generation here, once all readers have left it: the last of them would free it otherwise, and
/// a decision must not take that long.
fn free(old: Arc<Generation>) {
    for _ in 0..LOOKS_MAX {
        if Arc::strong_count(&old) == 1 {
            break;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
    drop(old);
}
