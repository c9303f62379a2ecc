//! The calibration of a head, learnt from predictions of rows that it was not fitted on.
//!
//! Platt's curve is a logistic regression of linfa on the logit of the prediction; the isotonic one is
//! pooled here, because linfa's keeps its knots to itself.

use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use tactful_core::math::logit;
use tactful_core::score::{Calibration, Knot};

use crate::metrics::log_loss;
use crate::recipe::CalibrationKind;

/// Fewest rows and fewest of either answer from which a curve is learnt.
const ROWS_MIN: usize = 500;
const ANSWERS_MIN: usize = 50;
/// Bins of equal numbers of rows that are pooled: a knot stands for at least a hundredth of the rows.
const BINS: usize = 100;
/// How close to 0 and 1 a prediction is taken for its logit.
const EDGE: f64 = 1e-6;

/// Whether a calibration is asked for and there is enough to learn one from.
pub(super) fn is_wanted(kind: CalibrationKind, labels: &[bool]) -> bool {
    let positives = labels.iter().filter(|label| **label).count();
    let enough = labels.len() >= ROWS_MIN && positives.min(labels.len() - positives) >= ANSWERS_MIN;
    kind != CalibrationKind::None && enough
}

/// The calibration for pairs of prediction and answer. `Auto` takes the curve with the least log loss on
/// pairs that it was not learnt from, and none unless that gains more than its standard error.
pub(super) fn choose(kind: CalibrationKind, pairs: &[(f64, bool)]) -> Calibration {
    match kind {
        CalibrationKind::None => Calibration::None,
        CalibrationKind::Platt => platt(pairs).unwrap_or_default(),
        CalibrationKind::Isotonic => isotonic(pairs),
        CalibrationKind::Auto => {
            let platt_gain = gain(pairs, |pairs| platt(pairs).unwrap_or_default());
            let isotonic_gain = gain(pairs, isotonic);
            match (platt_gain.max(isotonic_gain) > 0.0, isotonic_gain > platt_gain) {
                (false, _) => Calibration::None,
                (true, true) => isotonic(pairs),
                (true, false) => platt(pairs).unwrap_or_default(),
            }
        }
    }
}

/// What a curve gains in mean log loss on the half of the pairs that it was not learnt from, over both
/// halves; nothing if that is within its standard error.
fn gain(pairs: &[(f64, bool)], learn: impl Fn(&[(f64, bool)]) -> Calibration) -> f64 {
    let half = |wanted: usize| pairs.iter().copied().enumerate().filter(move |(at, _)| at % 2 == wanted);
    let mut gains = Vec::with_capacity(pairs.len());
    for wanted in [0, 1] {
        let learnt = learn(&half(1 - wanted).map(|(_, pair)| pair).collect::<Vec<_>>());
        gains
            .extend(half(wanted).map(|(_, (p, positive))| log_loss(p, positive) - log_loss(learnt.apply(p), positive)));
    }
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / count;
    if mean > (variance / count).sqrt() { mean } else { 0.0 }
}

/// Platt's curve; none if linfa finds no rising one.
fn platt(pairs: &[(f64, bool)]) -> Option<Calibration> {
    let scores = Array2::from_shape_fn((pairs.len(), 1), |(at, _)| logit(pairs[at].0.clamp(EDGE, 1.0 - EDGE)));
    let labels: Array1<bool> = pairs.iter().map(|(_, positive)| *positive).collect();
    let fitted = LogisticRegression::default().alpha(0.0).fit(&linfa::Dataset::new(scores, labels)).ok()?;
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let (slope, intercept) = (fitted.params()[0] * sign, fitted.intercept() * sign);
    let sound = slope.is_finite() && intercept.is_finite() && slope > 0.0;
    sound.then_some(Calibration::Platt { slope, intercept })
}

/// Neighbouring bins are pooled until the share of positives never falls (Ayer and others 1955).
fn isotonic(pairs: &[(f64, bool)]) -> Calibration {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    let rate = pairs.iter().filter(|(_, positive)| *positive).count() as f64 / pairs.len() as f64;
    // Compared as they are written: a small pool is drawn further to the rate of all than a large one, so
    // that rising shares alone would not make a rising curve.
    let rises = |before: Knot, last: Knot| before.observed < last.observed && before.scored < last.scored;
    let mut pools: Vec<Pool> = Vec::new();
    for pool in bins(&sorted) {
        pools.push(pool);
        while let [.., before, last] = &pools[..]
            && !rises(before.knot(rate), last.knot(rate))
        {
            let merged = before.merged(last);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    Calibration::Isotonic(pools.iter().map(|pool| pool.knot(rate)).collect())
}

/// Rows of about equal numbers; those of one score stay together.
fn bins(sorted: &[(f64, bool)]) -> Vec<Pool> {
    let size = sorted.len().div_ceil(BINS) as f64;
    let mut bins: Vec<Pool> = Vec::new();
    for tied in sorted.chunk_by(|left, right| left.0 == right.0) {
        let pool = Pool::of(tied);
        match bins.last_mut() {
            Some(last) if last.rows < size => *last = last.merged(&pool),
            _ => bins.push(pool),
        }
    }
    bins
}

#[derive(Clone, Copy)]
struct Pool {
    rows: f64,
    positives: f64,
    scores: f64,
}

impl Pool {
    fn of(pairs: &[(f64, bool)]) -> Self {
        Self {
            rows: pairs.len() as f64,
            positives: pairs.iter().filter(|(_, positive)| *positive).count() as f64,
            scores: pairs.iter().map(|(score, _)| score).sum(),
        }
    }

    fn merged(&self, other: &Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            positives: self.positives + other.positives,
            scores: self.scores + other.scores,
        }
    }

    /// The pool's mean score and its share, with one row of the rate of all: no pool is ever certain.
    fn knot(&self, rate: f64) -> Knot {
        Knot {
            scored: (self.scores / self.rows).clamp(0.0, 1.0),
            observed: (self.positives + rate) / (self.rows + 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    /// Predictions whose odds are the true ones to a power.
    fn pairs(power: f64) -> Vec<(f64, bool)> {
        let mut rng = Pcg64::seed_from_u64(3);
        let mut draw = || {
            let z: f64 = rng.gen_range(-4.0..2.0);
            (1.0 / (1.0 + (-z * power).exp()), rng.gen_bool(1.0 / (1.0 + (-z).exp())))
        };
        (0..20_000).map(|_| draw()).collect()
    }

    #[test]
    fn honest_predictions_are_left_alone() {
        assert_eq!(choose(CalibrationKind::Auto, &pairs(1.0)), Calibration::None);
    }

    #[test]
    fn bold_predictions_are_taken_back() {
        let chosen = choose(CalibrationKind::Auto, &pairs(3.0));
        let Calibration::Platt { slope, intercept } = chosen else { panic!("{chosen:?}") };
        assert!((slope - 1.0 / 3.0).abs() < 0.02 && intercept.abs() < 0.05, "{slope} {intercept}");
    }

    #[test]
    fn the_isotonic_curve_follows_what_no_logistic_curve_can() {
        let mut rng = Pcg64::seed_from_u64(4);
        let truth = |p: f64| if p < 0.5 { 0.1 } else { 0.4 };
        let pairs: Vec<(f64, bool)> = (0..20_000)
            .map(|_| {
                let p = rng.gen_range(0.0..1.0);
                (p, rng.gen_bool(truth(p)))
            })
            .collect();
        let chosen = choose(CalibrationKind::Auto, &pairs);
        assert!(matches!(chosen, Calibration::Isotonic(_)), "{chosen:?}");
        for p in [0.1, 0.3, 0.45, 0.55, 0.7, 0.9] {
            assert!((chosen.apply(p) - truth(p)).abs() < 0.05, "{p}: {}", chosen.apply(p));
        }
    }

    /// Whatever the scores and their ties, the curve is one that an artifact may hold.
    #[test]
    fn every_isotonic_curve_rises() {
        let mut rng = Pcg64::seed_from_u64(5);
        for round in 0..400 {
            let levels = [3, 40, 2_000][round % 3];
            let mut pair = || {
                let p = f64::from(rng.gen_range(1..levels)) / f64::from(levels);
                (p, rng.gen_bool(if p > 0.6 { 0.5 } else { 0.1 }))
            };
            let pairs: Vec<(f64, bool)> = (0..50 + round * 3).map(|_| pair()).collect();
            let Calibration::Isotonic(knots) = isotonic(&pairs) else { panic!() };
            let rises = |pair: &[Knot]| pair[0].scored < pair[1].scored && pair[0].observed < pair[1].observed;
            assert!(knots.windows(2).all(rises), "round {round}: {knots:?}");
        }
    }

    #[test]
    fn a_falling_curve_is_no_calibration() {
        let pairs: Vec<(f64, bool)> = pairs(1.0).into_iter().map(|(p, positive)| (p, !positive)).collect();
        assert_eq!(platt(&pairs), None);
        let Calibration::Isotonic(knots) = isotonic(&pairs) else { panic!() };
        assert_eq!(knots.len(), 1);
    }
}
