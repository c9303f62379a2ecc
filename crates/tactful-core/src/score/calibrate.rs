//! Calibration: from the probability that a scorer says to the share that was observed for it.

use crate::limits::KNOTS_MAX;
use crate::math::{logistic, logit};

/// How close to 0 and 1 a probability is taken for its logit.
const EDGE: f64 = 1e-9;

/// What follows the scorer of a head.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Calibration {
    /// Nothing: the scorer's probability is the answer.
    #[default]
    None,
    /// logistic(slope x logit(p) + intercept), after Platt (1999), on the logit of the probability.
    Platt {
        /// Factor of the logit; not negative, so that the order stays.
        slope: f64,
        /// Added to it.
        intercept: f64,
    },
    /// Straight lines between knots, level beyond the first and the last; at least one knot.
    Isotonic(Vec<Knot>),
}

/// A point of a calibration curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knot {
    /// Probability of the scorer.
    pub scored: f64,
    /// Probability that was observed.
    pub observed: f64,
}

impl Calibration {
    /// The calibrated probability.
    #[must_use]
    pub fn apply(&self, p: f64) -> f64 {
        match self {
            Self::None => p,
            Self::Platt { slope, intercept } => logistic(slope * logit(p.clamp(EDGE, 1.0 - EDGE)) + intercept),
            Self::Isotonic(knots) => interpolate(knots, p),
        }
    }

    /// What is left to do to the probability of a linear scorer whose weights hold Platt's curve.
    pub(super) fn beyond_platt(&self, p: f32) -> f32 {
        if matches!(self, Self::Isotonic(_)) { self.apply(p.into()) as f32 } else { p }
    }

    /// As recipes and reports write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Platt { .. } => "platt",
            Self::Isotonic(_) => "isotonic",
        }
    }

    /// Checks finiteness, range and order.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Platt { slope, intercept } => {
                let sound = slope.is_finite() && *slope >= 0.0 && intercept.is_finite();
                if sound { Ok(()) } else { Err("a Platt calibration that is not finite, or falls".into()) }
            }
            Self::Isotonic(knots) => check_knots(knots),
        }
    }
}

fn check_knots(knots: &[Knot]) -> Result<(), String> {
    if !(1..=KNOTS_MAX).contains(&knots.len()) {
        return Err(format!("an isotonic calibration of {} knots, not 1 to {KNOTS_MAX}", knots.len()));
    }
    let range = 0.0..=1.0;
    if knots.iter().any(|knot| !range.contains(&knot.scored) || !range.contains(&knot.observed)) {
        return Err("an isotonic calibration with a knot outside 0 to 1".into());
    }
    let rises = |pair: &[Knot]| pair[0].scored < pair[1].scored && pair[0].observed <= pair[1].observed;
    if knots.windows(2).all(rises) { Ok(()) } else { Err("an isotonic calibration that does not rise".into()) }
}

fn interpolate(knots: &[Knot], p: f64) -> f64 {
    let after = knots.partition_point(|knot| knot.scored <= p);
    match (after.checked_sub(1).map(|at| knots[at]), knots.get(after)) {
        (Some(before), Some(after)) => {
            let part = (p - before.scored) / (after.scored - before.scored);
            before.observed + part * (after.observed - before.observed)
        }
        (Some(end), None) | (None, Some(&end)) => end.observed,
        (None, None) => p,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isotonic_runs_in_straight_lines_and_is_level_beyond_its_ends() {
        let knots = [(0.2, 0.1), (0.4, 0.3), (0.8, 0.3)].map(|(scored, observed)| Knot { scored, observed });
        let calibration = Calibration::Isotonic(knots.to_vec());
        assert_eq!(calibration.check(), Ok(()));
        for (p, expected) in [(0.0, 0.1), (0.2, 0.1), (0.3, 0.2), (0.4, 0.3), (0.6, 0.3), (0.8, 0.3), (1.0, 0.3)] {
            assert!((calibration.apply(p) - expected).abs() < 1e-12, "{p}: {}", calibration.apply(p));
        }
    }

    #[test]
    fn platt_shifts_the_logit() {
        let same = Calibration::Platt { slope: 1.0, intercept: 0.0 };
        assert!((same.apply(0.3) - 0.3).abs() < 1e-12);
        let odds = Calibration::Platt { slope: 1.0, intercept: crate::math::ln(2.0) };
        assert!((odds.apply(0.5) - 2.0 / 3.0).abs() < 1e-12);
        assert!(odds.apply(0.0) >= 0.0 && odds.apply(1.0) <= 1.0);
    }

    #[test]
    fn what_falls_or_leaves_its_range_is_refused() {
        let knots = |pairs: &[(f64, f64)]| {
            Calibration::Isotonic(
                pairs.iter().map(|(scored, observed)| Knot { scored: *scored, observed: *observed }).collect(),
            )
        };
        for bad in [
            knots(&[]),
            knots(&[(0.1, 0.2), (0.1, 0.3)]),
            knots(&[(0.1, 0.4), (0.2, 0.3)]),
            knots(&[(f64::NAN, 0.4)]),
            knots(&[(0.1, 1.5)]),
            Calibration::Platt { slope: -1.0, intercept: 0.0 },
            Calibration::Platt { slope: 1.0, intercept: f64::NAN },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
