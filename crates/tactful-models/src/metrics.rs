//! How good predicted probabilities are: order (AUC), honesty (log loss, Brier score) and
//! calibration by bins. Plain functions of (probability, answer) pairs.

mod curves;

pub use curves::{Curves, RocPoint, ScoreBar, Tenth};

use serde::{Deserialize, Serialize};

/// Bins of the calibration error, of equal numbers of rows.
const BINS: usize = 10;
/// Probabilities are held this far from 0 and 1 in the log loss: the resolution of an f32 near 1.
const CLIP: f64 = 1e-7;

/// Quality of predicted probabilities on some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Rows measured.
    pub rows: u64,
    /// Positive ones.
    pub positives: u64,
    /// Chance that a positive row scores above a negative one, ties half; none with one class.
    pub auc: Option<f64>,
    /// Mean negative log likelihood, in nats.
    pub log_loss: f64,
    /// The same for predicting the training part's share of positives for every row.
    pub log_loss_baseline: f64,
    /// Mean squared error.
    pub brier: f64,
    /// Mean predicted probability.
    pub mean_predicted: f64,
    /// Mean absolute difference between predicted and observed share over the bins, by rows.
    pub calibration_error: f64,
    /// Share of positives among the tenth of rows with the highest probabilities, over that among all;
    /// none without a positive row.
    pub lift_at_10: Option<f64>,
    /// The bins, by rising probability.
    pub bins: Vec<Bin>,
}

/// One bin of the calibration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Rows in it.
    pub rows: u64,
    /// Their mean predicted probability.
    pub predicted: f64,
    /// Their share of positives.
    pub observed: f64,
}

impl Quality {
    /// Measures at least one pair; `baseline` is the share of positives in the training part.
    pub(crate) fn of(pairs: &[(f64, bool)], baseline: f64) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let mean = |loss: &dyn Fn(f64, bool) -> f64| {
            pairs.iter().map(|(p, positive)| loss(*p, *positive)).sum::<f64>() / pairs.len() as f64
        };
        let bins = bins(pairs);
        let gap = bins.iter().map(|bin| bin.rows as f64 * (bin.predicted - bin.observed).abs()).sum::<f64>();
        Some(Self {
            rows: pairs.len() as u64,
            positives: pairs.iter().filter(|(_, positive)| *positive).count() as u64,
            auc: auc(pairs),
            log_loss: mean(&log_loss),
            log_loss_baseline: mean(&|_, positive| log_loss(baseline, positive)),
            brier: mean(&|p, positive| (p - truth(positive)).powi(2)),
            mean_predicted: mean(&|p, _| p),
            calibration_error: gap / pairs.len() as f64,
            lift_at_10: curves::gain(pairs, &[0.1]).map(|gain| gain[0] / 0.1),
            bins,
        })
    }
}

/// Area under the ROC curve of (score, answer) pairs by ranks, ties counted half; none if only one
/// answer occurs. Mann and Whitney's U over the number of pairs.
#[must_use]
pub fn auc(pairs: &[(f64, bool)]) -> Option<f64> {
    let sorted = sorted(pairs);
    let positives = sorted.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut wins = 0.0;
    for tied in sorted.chunk_by(|left, right| left.0 == right.0) {
        let tied_positives = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let tied_negatives = tied.len() as f64 - tied_positives;
        wins += tied_positives * (below + tied_negatives / 2.0);
        below += tied_negatives;
    }
    Some(wins / (positives * negatives))
}

/// Bins of about equal numbers of rows. Rows of one probability stay together: to part them would
/// show their noise as miscalibration.
fn bins(pairs: &[(f64, bool)]) -> Vec<Bin> {
    let sorted = sorted(pairs);
    let size = sorted.len().div_ceil(BINS);
    let mut bins: Vec<Vec<(f64, bool)>> = vec![Vec::new()];
    for tied in sorted.chunk_by(|left, right| left.0 == right.0) {
        match bins.last_mut() {
            Some(bin) if bin.len() < size => bin.extend(tied),
            _ => bins.push(tied.to_vec()),
        }
    }
    bins.into_iter().filter(|bin| !bin.is_empty()).map(|bin| Bin::of(&bin)).collect()
}

impl Bin {
    fn of(pairs: &[(f64, bool)]) -> Self {
        let rows = pairs.len() as f64;
        Self {
            rows: pairs.len() as u64,
            predicted: pairs.iter().map(|(p, _)| p).sum::<f64>() / rows,
            observed: pairs.iter().map(|(_, positive)| truth(*positive)).sum::<f64>() / rows,
        }
    }
}

/// By score, then answer, so that sums do not depend on the order given.
fn sorted(pairs: &[(f64, bool)]) -> Vec<(f64, bool)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    sorted
}

fn truth(positive: bool) -> f64 {
    f64::from(u8::from(positive))
}

/// Negative log likelihood of an answer, in nats.
pub(crate) fn log_loss(p: f64, positive: bool) -> f64 {
    let p = p.clamp(CLIP, 1.0 - CLIP);
    if positive { -p.ln() } else { -(1.0 - p).ln() }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    /// Every pair of a positive and a negative row, compared.
    fn auc_by_pairs(pairs: &[(f64, bool)]) -> f64 {
        let of = |wanted: bool| pairs.iter().filter(move |(_, positive)| *positive == wanted);
        let mut wins = 0.0;
        for (high, _) in of(true) {
            for (low, _) in of(false) {
                wins += if high > low {
                    1.0
                } else if high == low {
                    0.5
                } else {
                    0.0
                };
            }
        }
        wins / (of(true).count() * of(false).count()) as f64
    }

    #[test]
    fn auc_equals_the_count_over_all_pairs() {
        let mut rng = Pcg64::seed_from_u64(11);
        for levels in [2, 7, 1_000_000] {
            let pairs: Vec<(f64, bool)> = (0..400)
                .map(|_| (f64::from(rng.gen_range(0..levels)) / f64::from(levels), rng.gen_bool(0.2)))
                .collect();
            let (fast, slow) = (auc(&pairs).unwrap(), auc_by_pairs(&pairs));
            assert!((fast - slow).abs() < 1e-12, "{levels} levels: {fast} and {slow}");
        }
        assert_eq!(auc(&[(0.1, true), (0.2, true)]), None);
    }

    #[test]
    fn losses_match_values_worked_out_by_hand() {
        let quality = Quality::of(&[(0.8, true), (0.4, false)], 0.5).unwrap();
        assert!((quality.log_loss - (-(0.8f64.ln()) - 0.6f64.ln()) / 2.0).abs() < 1e-12);
        assert!((quality.log_loss_baseline - 2.0f64.ln()).abs() < 1e-12);
        assert!((quality.brier - (0.04 + 0.16) / 2.0).abs() < 1e-12);
        assert!((quality.calibration_error - 0.3).abs() < 1e-12);
        assert_eq!((quality.auc, quality.positives), (Some(1.0), 1));
        assert!(Quality::of(&[(1.0, false)], 0.0).unwrap().log_loss.is_finite());
        assert_eq!(Quality::of(&[], 0.5), None);
    }

    #[test]
    fn equal_probabilities_share_a_bin() {
        let pairs: Vec<(f64, bool)> = (0..1_000).map(|at| (0.25, at % 4 == 0)).collect();
        let quality = Quality::of(&pairs, 0.25).unwrap();
        assert_eq!((quality.bins.len(), quality.calibration_error), (1, 0.0));
        let spread: Vec<(f64, bool)> = (0..1_000).map(|at| (f64::from(at) / 1_000.0, at % 2 == 0)).collect();
        assert_eq!(Quality::of(&spread, 0.5).unwrap().bins.len(), 10);
    }
}
