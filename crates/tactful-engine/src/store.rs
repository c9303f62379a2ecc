//! Customer rows in memory: for each partition a generation of rows under one schema, the names that its
//! interactions use, and how far its fold has come.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use tactful_core::hash;
use tactful_core::state::{CustomerView, Digest, Linked, Names, Row, Schema, digest};
use tactful_proto::storage::SchemaBody;

use crate::generation::{FoldSchema, Generation, RowRef};
use crate::links::LinkGraph;
use crate::rows::Rows;

/// All rows.
pub(crate) struct Store {
    partitions: Vec<PartitionRows>,
    pub(crate) links: LinkGraph,
}

/// A customer as of now.
pub(crate) struct Seen {
    pub(crate) view: CustomerView,
    /// Whether the customer has more subject ids than were read.
    pub(crate) truncated: bool,
}

/// Rows of one partition.
pub(crate) struct PartitionRows {
    /// The rows with their schema: swapped as a whole by the applier alone, see [`Generation`].
    generation: ArcSwap<Generation>,
    /// Version of the schema that the fold reached last.
    schema_version: AtomicU64,
    pub(crate) names: RwLock<Names>,
    /// Offset of the last record that took effect.
    pub(crate) applied: AtomicU64,
    /// Latest event time folded, milliseconds since 1970; 0 if none.
    pub(crate) watermark_ms: AtomicI64,
}

impl Store {
    /// No rows yet; `first` is what entries before the first schema record are folded by.
    pub(crate) fn new(partitions: u16, first: &FoldSchema) -> Self {
        let partitions = (0..partitions).map(|_| PartitionRows::new(first.clone(), partitions)).collect();
        Self { partitions, links: LinkGraph::new() }
    }

    /// The partition of a subject id.
    pub(crate) fn of(&self, subject_id: &str) -> &PartitionRows {
        let index = hash::partition(subject_id, self.partitions.len() as u16);
        &self.partitions[usize::from(index)]
    }

    pub(crate) fn partition(&self, index: u16) -> &PartitionRows {
        &self.partitions[usize::from(index)]
    }

    /// The view of a customer as of now. For an id that is linked with none one look-up, the row copied out under
    /// its shard's lock, and one more in the links if there are any.
    pub(crate) fn view(&self, schema: &Schema, subject_id: &str, now_ms: i64) -> Seen {
        if let Some(linked) = self.links.customer(subject_id) {
            return self.view_of(schema, &linked, now_ms);
        }
        let generation = self.of(subject_id).generation();
        let view = match generation.get(schema, subject_id) {
            Some(row) => CustomerView::read(schema, &[&row], now_ms),
            None => CustomerView::unknown(schema),
        };
        Seen { view: view.of(subject_id), truncated: false }
    }

    /// Linked rows read as one. They are copied one at a time: while a guard waits for another an applier
    /// could wait for both.
    fn view_of(&self, schema: &Schema, linked: &Linked, now_ms: i64) -> Seen {
        let row = |id: &str| self.of(id).generation().get(schema, id).map(RowRef::into_owned);
        let rows: Vec<Row> = linked.ids.iter().filter_map(|id| row(id)).collect();
        let view = CustomerView::read(schema, &rows.iter().collect::<Vec<_>>(), now_ms).of(&linked.ids[0]);
        Seen { view, truncated: linked.truncated }
    }

    /// Digest of all rows of which anything is known, and their number. Walks everything: for checks, not for the
    /// decision path. Each partition by its own schema.
    ///
    /// Blank rows are left out: one that knew nothing but a link to somebody since erased stays where the link was
    /// seen, and never comes to be where the log is folded after the erasure.
    pub(crate) fn digest(&self) -> (Digest, u64) {
        let (mut whole, mut known) = (Digest::default(), 0);
        for partition in &self.partitions {
            let generation = partition.generation.load_full();
            partition.read_names(|names| {
                for entry in generation.rows.chunks().iter().flatten().filter(|entry| !entry.value().is_blank()) {
                    whole += digest(generation.schema(), names, entry.key(), entry.value());
                    known += 1;
                }
            });
        }
        (whole, known)
    }

    /// Whether there is a row of a subject id.
    pub(crate) fn knows(&self, subject_id: &str) -> bool {
        self.of(subject_id).generation().rows.get(subject_id).is_some()
    }

    /// The last entry of each partition that took effect.
    pub(crate) fn applied(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.applied.load(Ordering::Acquire)).collect()
    }

    /// Number of rows.
    pub(crate) fn customers(&self) -> usize {
        self.partitions.iter().map(|partition| partition.generation().rows.len()).sum()
    }
}

impl PartitionRows {
    fn new(first: FoldSchema, partitions: u16) -> Self {
        Self {
            generation: ArcSwap::from_pointee(Generation::new(first, Rows::new(partitions))),
            schema_version: AtomicU64::new(0),
            names: RwLock::new(Names::default()),
            applied: AtomicU64::new(0),
            watermark_ms: AtomicI64::new(0),
        }
    }

    /// The rows as they are now: one atomic load. Not to be held across an await: the one before is freed by
    /// the applier once nobody looks at it any more.
    pub(crate) fn generation(&self) -> Guard<Arc<Generation>> {
        self.generation.load()
    }

    /// Goes on with other rows, which follow this version of the schema; answers those before. The applier alone
    /// does this.
    pub(crate) fn replace(&self, generation: Generation, version: u64) -> Arc<Generation> {
        let old = self.generation.swap(Arc::new(generation));
        self.reach_schema(version);
        old
    }

    /// The schema of the rows as a record holds it.
    pub(crate) fn schema_body(&self) -> SchemaBody {
        self.generation().fold().body(self.schema_version())
    }

    /// The newest schema that the fold has met; 0 before the first.
    pub(crate) fn schema_version(&self) -> u64 {
        self.schema_version.load(Ordering::Acquire)
    }

    pub(crate) fn reach_schema(&self, version: u64) {
        self.schema_version.store(version, Ordering::Release);
    }

    /// Looks at the names, and within at rows: the lock order is names before rows, as in the
    /// applier. A panic elsewhere leaves them whole: interning only appends.
    pub(crate) fn read_names<T>(&self, look: impl FnOnce(&Names) -> T) -> T {
        look(&self.names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names as they were; before any row is folded.
    pub(crate) fn put_names(&self, names: Names) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    pub(crate) fn watermark_ms(&self) -> i64 {
        self.watermark_ms.load(Ordering::Relaxed)
    }
}
