//! A number for each action, laid out as the bit sets are: a word of the set and its 64 numbers go together.

use super::ActionIx;

/// Actions of a word.
pub const WORD: usize = 64;

/// A number for each action, by words.
#[derive(Clone, Debug)]
pub struct PerAction(Vec<[f32; WORD]>);

impl PerAction {
    /// These numbers; beyond the last action stands `fill`.
    pub(super) fn new(numbers: &[f32], fill: f32) -> Self {
        let mut words = vec![[fill; WORD]; numbers.len().div_ceil(WORD)];
        words.as_flattened_mut()[..numbers.len()].copy_from_slice(numbers);
        Self(words)
    }

    /// The number of an action.
    #[must_use]
    pub fn of(&self, action: ActionIx) -> f32 {
        self.0[action / WORD][action % WORD]
    }

    /// The numbers of a word's actions.
    #[inline]
    #[must_use]
    pub fn word(&self, word: usize) -> &[f32; WORD] {
        &self.0[word]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_words_and_the_last_is_filled_up() {
        let numbers: Vec<f32> = (0..100).map(|number| number as f32).collect();
        let per_action = PerAction::new(&numbers, -1.0);
        assert_eq!(
            (per_action.of(0), per_action.of(63), per_action.of(64), per_action.of(99)),
            (0.0, 63.0, 64.0, 99.0)
        );
        assert_eq!((per_action.word(1)[0], per_action.word(1)[35], per_action.word(1)[36]), (64.0, 99.0, -1.0));
    }
}
