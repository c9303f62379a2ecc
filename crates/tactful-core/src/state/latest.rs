//! The latest statement for each key, as a bounded merge: what came later by event time replaces what came
//! before, whatever the order of arrival.
//!
//! The bound does not depend on that order either. The `MAX` keys spoken of last are kept: the place of the
//! next one is the *floor*, everything up to it is forgotten for good, and the floor only rises. It refuses to
//! know what a statement says.

use super::bytes::{Malformed, Reader, put_count};
use crate::hash;

/// What can be said again under the same key.
pub(crate) trait Statement {
    /// What it is about.
    fn key(&self) -> &str;
    /// When it was made, in Unix milliseconds.
    fn time_ms(&self) -> i64;
}

/// A time in Unix milliseconds, and a hash of the key for those of equal times.
type Place = (i64, u32);

/// The floor of what has forgotten nothing.
const NOTHING: Place = (i64::MIN, 0);

/// The latest statements of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Latest<T, const MAX: usize> {
    /// By key.
    list: Vec<T>,
    /// The place up to which everything is forgotten; boxed, since hardly any row forgets.
    floor: Option<Box<Place>>,
}

impl<T, const MAX: usize> Default for Latest<T, MAX> {
    fn default() -> Self {
        Self { list: Vec::new(), floor: None }
    }
}

impl<T, const MAX: usize> Latest<T, MAX> {
    /// The place up to which everything is forgotten.
    pub(crate) fn floor(&self) -> Place {
        self.floor.as_deref().copied().unwrap_or(NOTHING)
    }

    /// Appends it as bytes, each statement as `put` does.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
        let (time_ms, key) = self.floor();
        out.extend_from_slice(&time_ms.to_le_bytes());
        out.extend_from_slice(&key.to_le_bytes());
        put_count(out, self.list.len());
        self.list.iter().for_each(|said| put(said, out));
    }

    /// Reads it back; a statement takes at least `least` bytes.
    pub(crate) fn decode<'a>(
        bytes: &mut Reader<'a>,
        least: usize,
        read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Self, Malformed> {
        let floor = Some((bytes.i64()?, bytes.u32()?)).filter(|floor| *floor != NOTHING).map(Box::new);
        let count = bytes.count(least, MAX)?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(read(bytes)?);
        }
        Ok(Self { list, floor })
    }
}

impl<T: Statement, const MAX: usize> Latest<T, MAX> {
    /// By key.
    pub(crate) fn list(&self) -> &[T] {
        &self.list
    }

    /// Whether anything was forgotten.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.floor.is_some()
    }

    /// The latest statement of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        let place = self.list.binary_search_by(|held| held.key().cmp(key)).ok()?;
        Some(&self.list[place])
    }

    /// Merges a statement; `later(a, b)` says whether `a` replaces `b` of the same key: a total order that
    /// begins with the time.
    pub(crate) fn insert(&mut self, said: T, later: impl FnOnce(&T, &T) -> bool) {
        if place(&said) <= self.floor() {
            return;
        }
        match self.list.binary_search_by(|held| held.key().cmp(said.key())) {
            Ok(at) if later(&said, &self.list[at]) => self.list[at] = said,
            Ok(_) => {}
            Err(at) => {
                // Few are ever told: room for more would cost more than it saves.
                self.list.reserve_exact(1);
                self.list.insert(at, said);
            }
        }
        while self.list.len() > MAX {
            let oldest = self.list.iter().map(place).min();
            let floor = oldest.expect("there are more statements than the bound");
            self.floor = Some(Box::new(floor));
            self.list.retain(|held| place(held) > floor);
        }
    }
}

fn place<T: Statement>(said: &T) -> Place {
    (said.time_ms(), hash::content(said.key().as_bytes()) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Said(String, i64, u8);

    impl Statement for Said {
        fn key(&self) -> &str {
            &self.0
        }

        fn time_ms(&self) -> i64 {
            self.1
        }
    }

    fn told(said: &[(u8, i64, u8)]) -> Latest<Said, 8> {
        let mut latest = Latest::default();
        for (key, time, value) in said {
            latest.insert(Said(key.to_string(), *time, *value), |a, b| (a.1, a.2) > (b.1, b.2));
        }
        latest
    }

    #[test]
    fn the_keys_spoken_of_last_stay() {
        let mut said: Vec<_> = (0..12).map(|key| (key, 1_000 + i64::from(key), 0)).collect();
        said.push((0, 2_000, 1));
        let latest = told(&said);
        let keys: Vec<u8> = latest.list().iter().map(|said| said.0.parse().unwrap()).collect();
        assert_eq!(keys, [0, 10, 11, 5, 6, 7, 8, 9], "the first one came back when it was told again, and 4 made room");
        assert_eq!((latest.floor().0, latest.has_forgotten()), (1_004, true));
        assert_eq!((latest.get("4"), told(&said[..8]).has_forgotten()), (None, false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        // More keys than the bound and few distinct times, so that every tie is met.
        #[test]
        fn any_order_and_any_repetition_gives_the_same_statements(
            said in prop::collection::vec((0u8..20, 1_000i64..1_030, 0u8..3), 0..120), seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = said.iter().chain(said.iter().step_by(3)).copied().collect();
            shuffled.sort_by_key(|said| hash::keyed(seed, format!("{said:?}").as_bytes()));
            prop_assert_eq!(told(&shuffled), told(&said));
        }
    }
}
