//! The state of one moment, written out while it changes: chunk by chunk, and the old form of a row before a
//! change to one that is not out yet. It belongs to the applier, which alone changes rows.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tactful_core::state::{DedupImage, Names, NamesPlace, encode_row};
use tactful_proto::storage::SnapshotHeader;

use super::file::Kind;
use crate::generation::Generation;
use crate::store::PartitionRows;

/// Rows written at once: a tenth of a millisecond, since each of them lies somewhere else in memory.
const ROWS_MAX: usize = 64;
/// Names written at once.
const NAMES_MAX: usize = 4_096;
/// Old forms of rows that may wait: more means that the disk cannot keep up.
const WAITING_BYTES_MAX: usize = 256 << 20;

/// What is taken down at the moment itself: little, and at once.
pub(crate) struct Beginning {
    pub(crate) header: SnapshotHeader,
    pub(crate) dedup: DedupImage,
    /// The rows: after a switch to another schema these stay as they are.
    pub(crate) generation: Arc<Generation>,
}

/// A piece of the file.
pub(super) enum Piece {
    Block(Kind, Vec<u8>),
    /// The image encodes itself where it is written.
    Dedup(DedupImage),
    End {
        rows: u64,
    },
}

/// One snapshot on its way out.
pub(super) struct Sweep {
    next: Next,
    /// Until all chunks are out.
    generation: Option<Arc<Generation>>,
    /// Changed since the beginning, before their chunk began to go out: they are out.
    changed: HashSet<Box<str>, RandomState>,
    /// Rows of the chunk that goes out which are not out yet.
    pending: HashSet<Box<str>, RandomState>,
    /// As they were before some were forgotten, if any were since the beginning.
    names: Option<Names>,
    block: Vec<u8>,
    rows: u64,
}

/// What goes out next.
enum Next {
    Dedup(DedupImage),
    /// The rows of a chunk are to be listed.
    Chunk(usize),
    /// Those that are pending, of this chunk.
    Rows(usize),
    Names(NamesPlace),
    End,
    Nothing,
}

impl Sweep {
    pub(super) fn new(dedup: DedupImage, generation: Arc<Generation>) -> Self {
        let (next, generation) = (Next::Dedup(dedup), Some(generation));
        let (changed, pending) = (HashSet::default(), HashSet::default());
        Self { next, generation, changed, pending, names: None, block: Vec::new(), rows: 0 }
    }

    /// One short slice of work; answers a piece if that one is complete.
    pub(super) fn slice(&mut self, partition: &PartitionRows) -> Option<Piece> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Dedup(dedup) => {
                self.next = Next::Chunk(0);
                Some(Piece::Dedup(dedup))
            }
            Next::Chunk(index) => {
                self.list(index);
                self.next = Next::Rows(index);
                None
            }
            Next::Rows(index) => self.rows(index),
            Next::Names(place) => {
                let mut block = Vec::new();
                let mut encode = |names: &Names| names.encode(place, NAMES_MAX, &mut block);
                let next = match &self.names {
                    Some(before) => encode(before),
                    None => partition.read_names(encode),
                };
                self.next = next.map_or(Next::End, Next::Names);
                Some(Piece::Block(Kind::Names, block))
            }
            Next::End => Some(Piece::End { rows: self.rows }),
            Next::Nothing => None,
        }
    }

    fn list(&mut self, index: usize) {
        let Some(generation) = &self.generation else { return };
        let ids = generation.rows.chunks()[index].iter().map(|entry| entry.key().clone());
        self.pending.extend(ids.filter(|id| !self.changed.contains(id)));
    }

    /// Writes some of the pending rows; answers the piece with their chunk when that was the last of them.
    fn rows(&mut self, index: usize) -> Option<Piece> {
        let generation = self.generation.take()?;
        for subject_id in self.pending.extract_if(|_| true).take(ROWS_MAX) {
            if let Some(row) = generation.rows.get(&subject_id) {
                encode_row(&subject_id, row.value(), &mut self.block);
                self.rows += 1;
            }
        }
        let chunk_is_out = self.pending.is_empty();
        let is_last = index + 1 == generation.rows.chunks().len();
        self.next = match (chunk_is_out, is_last) {
            (false, _) => Next::Rows(index),
            (true, false) => Next::Chunk(index + 1),
            (true, true) => Next::Names(NamesPlace::default()),
        };
        self.generation = Some(generation).filter(|_| !(chunk_is_out && is_last));
        // The next chunk is about as large.
        let room = Vec::with_capacity(if chunk_is_out { self.block.len() } else { 0 });
        chunk_is_out.then(|| Piece::Block(Kind::Rows, std::mem::replace(&mut self.block, room)))
    }

    /// Is called with the names as they were before some were forgotten: rows that are out may use them.
    pub(super) fn before_names_change(&mut self, names: Names) {
        self.names.get_or_insert(names);
    }

    /// Is called before a row of a generation changes.
    pub(super) fn before_change(&mut self, changing: &Arc<Generation>, subject_id: &str) {
        let Some(generation) = self.generation.as_ref().filter(|own| Arc::ptr_eq(own, changing)) else { return };
        let chunk = generation.rows.chunk_of(subject_id);
        let (first_not_out, going_out) = match self.next {
            Next::Dedup(_) => (0, None),
            Next::Chunk(index) => (index, None),
            Next::Rows(index) => (index + 1, Some(index)),
            Next::Names(_) | Next::End | Next::Nothing => return,
        };
        let is_out = if going_out == Some(chunk) {
            !self.pending.remove(subject_id)
        } else {
            chunk < first_not_out || !self.changed.insert(subject_id.into())
        };
        if is_out {
            return;
        }
        if let Some(row) = generation.rows.get(subject_id) {
            encode_row(subject_id, row.value(), &mut self.block);
            self.rows += 1;
        }
    }

    /// Whether more waits than may.
    pub(super) fn is_behind(&self) -> bool {
        self.block.len() > WAITING_BYTES_MAX
    }

    /// Gives the rest up.
    pub(super) fn abandon(&mut self) {
        self.next = Next::Nothing;
        self.generation = None;
        (self.block, self.pending) = (Vec::new(), HashSet::default());
    }

    /// Whether rows of the beginning are still needed.
    pub(super) fn holds_rows(&self) -> bool {
        self.generation.is_some()
    }

    /// Whether all pieces are out.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }
}
