//! How high the priority of an action can get, known before any customer is: no acceptance is above 1,
//! so V x L bounds it but for the context.

use super::{ActionIx, Factors};

/// An action with the bound of its priority in a context of weight 1. 8 bytes, since all are walked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    /// No P x V x L is above this. Not negative.
    pub most: f32,
    action: u32,
}

impl Reach {
    /// The action.
    #[inline]
    #[must_use]
    pub fn action(self) -> ActionIx {
        self.action as ActionIx
    }
}

/// All actions, those that reach highest first.
pub(super) fn by_reach(factors: &[Factors]) -> Vec<Reach> {
    // Above what rounding can add: four products of 2^-24 each, or of the smallest numbers.
    let most = |factors: &Factors| (factors.value * factors.lever).max(0.0) * 1.000_002 + f32::MIN_POSITIVE;
    let mut reaches: Vec<Reach> =
        (0..).zip(factors).map(|(action, factors)| Reach { most: most(factors), action }).collect();
    reaches.sort_by(|a, b| b.most.total_cmp(&a.most));
    reaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_come_first_and_no_product_exceeds_its_reach() {
        let all: Vec<Factors> = [(5.0, 0.7), (-3.0, 2.0), (0.0, 1.0), (1e-30, 1e-12), (7.3, 1.1), (f32::MAX, 2.0)]
            .map(|(value, lever)| Factors { value, lever, prior: 0.5 })
            .into();
        let reaches = by_reach(&all);
        let order: Vec<ActionIx> = reaches.iter().map(|reach| reach.action()).collect();
        assert_eq!(order, [5, 4, 0, 3, 1, 2], "{reaches:?}");
        for reach in reaches {
            let (most, action) = (reach.most, reach.action());
            for context in [0.3, 1.0, 1.7] {
                let Factors { value, lever, .. } = all[action];
                assert!(most >= 0.0 && 1.0 * value * context * lever <= most * context, "{action} {context}");
            }
        }
    }
}
