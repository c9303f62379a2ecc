//! Names kept once: event names, channels, actions and sources become 16-bit ids, so that an interaction
//! takes 16 bytes.
//!
//! One `Names` per partition; ids follow the order of the log. Each table holds 65,535 texts; what
//! comes beyond shares one id and reads as "(other)". It refuses to hold ids of customers or matters.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A map by text with a fixed hash: the same on every machine.
pub(crate) type TextMap<V> = HashMap<Box<str>, V, BuildHasherDefault<TextHasher>>;

const OTHER: u16 = u16::MAX;
const OTHER_TEXT: &str = "(other)";

/// The names of a partition.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names of events, pages and screens.
    pub(crate) events: Table,
    /// Channels.
    pub(crate) channels: Table,
    /// Actions.
    pub(crate) actions: Table,
    /// Sources of facts.
    pub(crate) sources: Table,
}

impl Names {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many names are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len() + self.channels.len() + self.actions.len() + self.sources.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Texts of one kind. Tables are apart so that a flood of page names cannot push out the channels.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    ids: TextMap<u16>,
    texts: Vec<Box<str>>,
}

impl Default for Table {
    /// The empty text alone, as id 0.
    fn default() -> Self {
        Self { ids: TextMap::default(), texts: vec![Box::from("")] }
    }
}

impl Table {
    /// Id of a text, given to it now if it is new. One look-up; allocates for a new text alone.
    pub(crate) fn intern(&mut self, text: &str) -> u16 {
        if text.is_empty() {
            return 0;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u16::try_from(self.texts.len()).unwrap_or(OTHER);
        if id != OTHER {
            self.ids.insert(text.into(), id);
            self.texts.push(text.into());
        }
        id
    }

    /// Id of a text that may have none.
    pub(crate) fn id(&self, text: &str) -> u16 {
        if text.is_empty() { 0 } else { self.ids.get(text).copied().unwrap_or(OTHER) }
    }

    /// Text of an id.
    pub(crate) fn text(&self, id: u16) -> &str {
        self.texts.get(usize::from(id)).map_or(OTHER_TEXT, |text| text)
    }

    /// The texts in the order of their ids, from 1.
    pub(crate) fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts[1..].iter().map(|text| &**text)
    }

    fn len(&self) -> usize {
        self.texts.len() - 1
    }
}

/// xxh3 behind the standard interface.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    // A text ends with one byte that says nothing when whole texts are the keys.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id_and_a_full_table_shares_one() {
        let mut table = Table::default();
        assert_eq!((table.intern("a"), table.intern("b"), table.intern("a"), table.intern("")), (1, 2, 1, 0));
        for number in 0..70_000 {
            table.intern(&format!("name {number}"));
        }
        assert_eq!(table.texts.len(), 65_535);
        let late = table.intern("too late");
        assert_eq!((late, table.text(late), table.text(2), table.text(0)), (OTHER, "(other)", "b", ""));
        assert_eq!(table.intern("a"), 1);
    }
}
