//! Which actions compete: the caller's list, purposes, validity and the rules, as bit sets.

use super::Request;
use crate::ruleset::{ActionIx, Ruleset, WORD};

/// The actions that passed everything but scoring.
pub(super) struct Candidates {
    /// For each placement of the request, one bit for each action.
    pub(super) placements: Vec<Vec<u64>>,
    /// The union of the placements.
    pub(super) any: Vec<u64>,
}

/// Everything before scoring. A word operation for 64 actions a stage.
pub(super) fn eligible(ruleset: &Ruleset, purposes: u64, request: &Request, fields: &[f32], now_ms: i64) -> Candidates {
    let mut passed = listed(ruleset, request);
    for (purpose, mask) in ruleset.purpose_masks.iter().enumerate() {
        if purposes & (1 << purpose) == 0 {
            passed.iter_mut().zip(mask).for_each(|(word, needs)| *word &= !needs);
        }
    }
    for (action, from, until) in &ruleset.validity {
        if !(*from..*until).contains(&now_ms) {
            clear(&mut passed, *action);
        }
    }
    ruleset.masks.eligible(fields, &mut passed);
    let placements: Vec<Vec<u64>> =
        request.placements.iter().map(|(placement, _)| and(&passed, &ruleset.placements[*placement].actions)).collect();
    let mut any = vec![0; passed.len()];
    for mask in &placements {
        any.iter_mut().zip(mask).for_each(|(word, bits)| *word |= bits);
    }
    Candidates { placements, any }
}

/// Actions that the caller lets compete.
fn listed(ruleset: &Ruleset, request: &Request) -> Vec<u64> {
    let mut mask = match &request.candidates {
        Some(mask) => mask.clone(),
        None => vec![u64::MAX; ruleset.words()],
    };
    request.excluded.iter().for_each(|action| clear(&mut mask, *action));
    mask
}

fn and(left: &[u64], right: &[u64]) -> Vec<u64> {
    left.iter().zip(right).map(|(a, b)| a & b).collect()
}

/// Clears an action's bit.
pub(super) fn clear(mask: &mut [u64], action: ActionIx) {
    mask[action / WORD] &= !(1 << (action % WORD));
}

/// Whether an action's bit is set.
#[inline(always)]
pub(super) fn contains(mask: &[u64], action: ActionIx) -> bool {
    mask[action / WORD] & (1 << (action % WORD)) != 0
}

/// An iterator over the actions of a bit set.
pub(super) struct Actions<'a> {
    words: std::slice::Iter<'a, u64>,
    /// What is left of the word that was taken last.
    bits: u64,
    /// One beyond the highest action that this word can hold.
    end: ActionIx,
}

/// The actions of a bit set in ascending order.
pub(super) fn actions(mask: &[u64]) -> Actions<'_> {
    Actions { words: mask.iter(), bits: 0, end: 0 }
}

impl Iterator for Actions<'_> {
    type Item = ActionIx;

    #[inline]
    fn next(&mut self) -> Option<ActionIx> {
        while self.bits == 0 {
            self.bits = *self.words.next()?;
            self.end += WORD;
        }
        let action = self.end - WORD + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(action)
    }
}
