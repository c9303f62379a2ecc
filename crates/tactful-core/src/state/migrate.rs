//! From one schema to another: what of a row stands under both is carried over, what is new starts empty.
//!
//! A feature is the same if its name and everything that its slots depend on are; matters go with the name of
//! their type; timeline and contacts belong to no schema. It refuses to guess: a feature defined otherwise
//! starts anew, since its old slots mean something else.

use std::collections::BTreeMap;
use std::ops::Range;

use super::row::Side;
use super::{Row, Schema, Slot};

/// The way of rows from one schema to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Slots that are carried over: where they were, where they go.
    carried: Vec<(Range<usize>, usize)>,
    slot_count: usize,
    /// For each type of matter its new number; none if it is gone.
    kinds: Vec<Option<u16>>,
}

impl Migration {
    /// Cost: one look-up for each feature.
    #[must_use]
    pub fn new(from: &Schema, to: &Schema) -> Self {
        let places: BTreeMap<_, _> =
            from.features().iter().map(|feature| (feature.stored_form, feature.offset)).collect();
        let carried = to.features().iter().filter_map(|feature| {
            let start = *places.get(&feature.stored_form)?;
            Some((start..start + feature.rule.width(), feature.offset))
        });
        let number = |name: &str| to.matter_types().iter().position(|kind| kind.name == name).map(|at| at as u16);
        Self {
            carried: carried.collect(),
            slot_count: to.slot_count(),
            kinds: from.matter_types().iter().map(|kind| number(&kind.name)).collect(),
        }
    }

    /// The row under the new schema.
    #[must_use]
    pub fn row(&self, row: &Row) -> Row {
        let mut slots: Box<[Slot]> = vec![0; self.slot_count].into_boxed_slice();
        for (from, to) in &self.carried {
            slots[*to..*to + from.len()].copy_from_slice(&row.slots[from.clone()]);
        }
        let side = row
            .side
            .as_deref()
            .map(|side| Box::new(Side { matters: side.matters.renumbered(&self.kinds), ..side.clone() }));
        Row { slots, side }
    }
}

#[cfg(test)]
mod tests;
