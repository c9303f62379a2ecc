//! The state of one moment, written out while it changes: chunk by chunk, and the old form of a row before a
//! change to one that is not out yet. It belongs to the applier, which alone changes rows.

use std::collections::HashSet;
use std::sync::PoisonError;

use foldhash::fast::RandomState;
use tactful_core::state::{DedupImage, NamesPlace, encode_row};
use tactful_proto::storage::SnapshotHeader;

use super::file::Kind;
use crate::store::PartitionRows;

/// Names written at once.
const NAMES_MAX: usize = 4_096;
/// Old forms of rows that may wait: more means that the disk cannot keep up.
const WAITING_BYTES_MAX: usize = 256 << 20;

/// What is taken down at the moment itself: little, and at once.
pub(crate) struct Beginning {
    pub(crate) header: SnapshotHeader,
    pub(crate) dedup: DedupImage,
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
    /// Changed since the beginning while their chunk was not out yet: they are.
    changed: HashSet<Box<str>, RandomState>,
    block: Vec<u8>,
    rows: u64,
}

/// What goes out next.
enum Next {
    Dedup(DedupImage),
    Chunk(usize),
    Names(NamesPlace),
    End,
    Nothing,
}

impl Sweep {
    pub(super) fn new(dedup: DedupImage) -> Self {
        Self { next: Next::Dedup(dedup), changed: HashSet::default(), block: Vec::new(), rows: 0 }
    }

    /// The next piece; none once all are out. One short slice of work.
    pub(super) fn slice(&mut self, partition: &PartitionRows) -> Option<Piece> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Dedup(dedup) => {
                self.next = Next::Chunk(0);
                Some(Piece::Dedup(dedup))
            }
            Next::Chunk(index) => Some(self.chunk(partition, index)),
            Next::Names(place) => {
                let mut block = Vec::new();
                let names = partition.names.read().unwrap_or_else(PoisonError::into_inner);
                self.next = names.encode(place, NAMES_MAX, &mut block).map_or(Next::End, Next::Names);
                Some(Piece::Block(Kind::Names, block))
            }
            Next::End => Some(Piece::End { rows: self.rows }),
            Next::Nothing => None,
        }
    }

    fn chunk(&mut self, partition: &PartitionRows, index: usize) -> Piece {
        let chunks = partition.rows.chunks();
        let unchanged = chunks[index].iter().filter(|entry| !self.changed.contains(entry.key()));
        for entry in unchanged {
            encode_row(entry.key(), entry.value(), &mut self.block);
            self.rows += 1;
        }
        self.next = if index + 1 < chunks.len() { Next::Chunk(index + 1) } else { Next::Names(NamesPlace::default()) };
        // The next chunk is about as large.
        let room = Vec::with_capacity(self.block.len());
        Piece::Block(Kind::Rows, std::mem::replace(&mut self.block, room))
    }

    /// Is called before a row changes.
    pub(super) fn before_change(&mut self, partition: &PartitionRows, subject_id: &str) {
        let first_not_out = match self.next {
            Next::Dedup(_) => 0,
            Next::Chunk(index) => index,
            Next::Names(_) | Next::End | Next::Nothing => return,
        };
        if partition.rows.chunk_of(subject_id) < first_not_out || !self.changed.insert(subject_id.into()) {
            return;
        }
        if let Some(row) = partition.rows.get(subject_id) {
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
        self.block = Vec::new();
    }

    /// Whether all pieces are out.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }
}
