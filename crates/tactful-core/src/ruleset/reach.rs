//! How high the priority of an action can get, known before any customer is: no acceptance is above 1,
//! so V x L bounds it but for the context. A ruleset keeps its actions in this order, so that a decision
//! meets first what can win, and reads what it needs of them from one end to the other.

use super::{ActionIx, Factors};

/// What no P x V x L of an action exceeds. Not negative.
pub(super) fn reach(factors: &Factors) -> f32 {
    // Above what rounding can add: four products of 2^-24 each, or of the smallest numbers.
    (factors.value * factors.lever).max(0.0) * 1.000_002 + f32::MIN_POSITIVE
}

/// For each action of the catalogue its index: those that reach highest first, equal ones as they are written.
pub(super) fn indices(factors: &[Factors]) -> Vec<ActionIx> {
    let mut order: Vec<usize> = (0..factors.len()).collect();
    order.sort_by(|a, b| reach(&factors[*b]).total_cmp(&reach(&factors[*a])));
    let mut indices = vec![0; factors.len()];
    order.into_iter().enumerate().for_each(|(index, position)| indices[position] = index);
    indices
}

/// Brings what is in the catalogue's order into that of the indices.
pub(super) fn reordered<T>(items: Vec<T>, indices: &[ActionIx]) -> Vec<T> {
    let mut placed: Vec<(ActionIx, T)> = indices.iter().copied().zip(items).collect();
    placed.sort_unstable_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors() -> [Factors; 6] {
        let of = |(value, lever)| Factors { value, lever, prior: 0.5 };
        [(5.0, 0.7), (-3.0, 2.0), (0.0, 1.0), (1e-30, 1e-12), (7.3, 1.1), (f32::MAX, 2.0)].map(of)
    }

    #[test]
    fn the_highest_come_first_and_equal_ones_as_they_are_written() {
        let indices = indices(&factors());
        assert_eq!(indices, [2, 4, 5, 3, 1, 0]);
        assert_eq!(reordered(vec!["a", "b", "c", "d", "e", "f"], &indices), ["f", "e", "a", "d", "b", "c"]);
    }

    #[test]
    fn no_product_exceeds_its_reach() {
        for factors in factors() {
            let (Factors { value, lever, .. }, reach) = (factors, reach(&factors));
            for context in [0.3, 1.0, 1.7] {
                assert!(reach >= 0.0 && 1.0 * value * context * lever <= reach * context, "{value} {lever} {context}");
            }
        }
    }
}
