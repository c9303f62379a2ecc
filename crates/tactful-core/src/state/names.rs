//! Names kept once: event names, channels, actions and sources become 16-bit ids, so that an interaction
//! takes 16 bytes.
//!
//! One `Names` per partition; ids follow the order of the log. Each table holds 65,535 texts; what
//! comes beyond shares one id and reads as "(other)". It refuses to hold ids of customers or matters; what a producer
//! put into a name all the same is forgotten with its customer, and its id stays empty for good.

use std::collections::{HashMap, HashSet};
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

    /// Forgets the names that are not used; the others keep their ids. Answers whether there were any.
    pub fn keep(&mut self, used: &NamesUsed) -> bool {
        let tables = [&mut self.events, &mut self.channels, &mut self.actions, &mut self.sources];
        let used = [&used.events, &used.channels, &used.actions, &used.sources];
        tables.into_iter().zip(used).map(|(table, used)| table.keep(used)).sum::<usize>() > 0
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The names that some rows use, by their ids.
#[derive(Clone, Debug, Default)]
pub struct NamesUsed {
    pub(crate) events: HashSet<u16>,
    pub(crate) channels: HashSet<u16>,
    pub(crate) actions: HashSet<u16>,
    pub(crate) sources: HashSet<u16>,
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

    /// Gives the next id to nothing: its text was forgotten.
    pub(crate) fn skip(&mut self) {
        self.texts.push(Box::from(""));
    }

    fn keep(&mut self, used: &HashSet<u16>) -> usize {
        let before = self.ids.len();
        self.ids.retain(|_, id| used.contains(id));
        for (id, text) in (0..=OTHER).zip(&mut self.texts) {
            if !used.contains(&id) {
                *text = Box::from("");
            }
        }
        before - self.ids.len()
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

    #[test]
    fn a_name_that_nobody_uses_is_forgotten_and_its_id_stays_empty() {
        let mut names = Names::new();
        for name in ["a", "b", "c"] {
            names.events.intern(name);
        }
        names.channels.intern("web");
        let used = NamesUsed { events: [1, 3].into(), channels: [1].into(), ..NamesUsed::default() };
        assert!(names.keep(&used) && !names.keep(&used), "once");
        assert_eq!([1, 2, 3].map(|id| names.events.text(id)), ["a", "", "c"]);
        assert_eq!((names.channels.text(1), names.events.intern("b")), ("web", 4), "met again it is new");
        let (mut bytes, mut place) = (Vec::new(), Some(crate::state::NamesPlace::default()));
        while let Some(from) = place {
            place = names.encode(from, 2, &mut bytes);
        }
        let mut read = Names::decode(&mut [crate::state::Reader::new(&bytes)]).unwrap();
        assert_eq!([1, 2, 3, 4].map(|id| read.events.text(id)), ["a", "", "c", "b"]);
        assert_eq!((read.events.intern("d"), names.events.intern("d")), (5, 5));
    }
}
