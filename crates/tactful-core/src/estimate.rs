//! Off-policy estimators: what another policy would have been worth on recorded decisions.

use crate::math::sqrt;

/// An estimate with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean value per decision.
    pub value: f64,
    /// Standard error of the mean; NaN with fewer than two rows.
    pub standard_error: f64,
    /// Rows, matched or not.
    pub rows: u64,
}

/// Inverse propensity scoring (Horvitz and Thompson 1952): the mean of
/// `reward * target_probability / selection_probability` over all rows.
/// Each row is (target probability of the logged action, its selection probability, reward).
/// Rows whose selection probability is not above 0 carry no information and are left out.
#[must_use]
pub fn inverse_propensity(rows: impl Iterator<Item = (f64, f64, f64)>) -> Estimate {
    let (mut count, mut mean, mut squares) = (0u64, 0.0, 0.0);
    for (target, selection, reward) in rows.filter(|(_, selection, _)| *selection > 0.0) {
        let weighted = reward * target / selection;
        count += 1;
        // Welford's update: stable for long logs.
        let delta = weighted - mean;
        mean += delta / count as f64;
        squares += delta * (weighted - mean);
    }
    let variance = if count > 1 { squares / (count - 1) as f64 } else { f64::NAN };
    Estimate { value: mean, standard_error: sqrt(variance / count as f64), rows: count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_hand_calculation() {
        let rows = [(1.0, 0.5, 1.0), (0.0, 0.5, 1.0), (1.0, 0.25, 0.0), (1.0, 0.5, 2.0)];
        let estimate = inverse_propensity(rows.into_iter());
        // Weighted rewards 2, 0, 0, 4: mean 1.5, sample variance 11/3.
        assert!((estimate.value - 1.5).abs() < 1e-12);
        assert!((estimate.standard_error - (11.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(estimate.rows, 4);
    }

    #[test]
    fn no_rows_say_nothing() {
        let estimate = inverse_propensity(std::iter::once((1.0, 0.0, 1.0)));
        assert_eq!(estimate.rows, 0);
        assert!(estimate.standard_error.is_nan());
    }
}
