//! What a threshold or a ranking would do: ROC points, lift by tenths and where the scores of both
//! answers lie. Rows of one score cannot be told apart, so they share their positives evenly
//! wherever a line is drawn through them.

use serde::{Deserialize, Serialize};

use super::sorted;

/// Most points of a ROC curve; between them it is drawn straight.
const ROC_POINTS_MAX: usize = 200;
/// Bars of the score histogram.
const BARS: usize = 20;

/// Curves of one set of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// By falling threshold; the corner 0, 0 is not among them. Empty if only one answer occurs.
    pub roc: Vec<RocPoint>,
    /// The rows in ten parts by falling probability. Empty without a positive row.
    pub lift: Vec<Tenth>,
    /// Equal parts from 0 to the highest probability, by rising probability.
    pub scores: Vec<ScoreBar>,
}

/// What a threshold would do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Rows of at least this probability count as positive.
    pub threshold: f64,
    /// Share of the negative rows that do.
    pub false_positive_rate: f64,
    /// Share of the positive rows that do.
    pub true_positive_rate: f64,
}

/// A tenth of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenth {
    /// Share of all rows that score at least as high: 0.1 for the first tenth.
    pub share: f64,
    /// Share of positives in this tenth.
    pub observed: f64,
    /// That share over the one among all rows.
    pub lift: f64,
    /// Share of positives among this tenth and those before it, over the one among all rows.
    pub cumulative_lift: f64,
    /// Share of all positive rows that lie in this tenth and those before it.
    pub gain: f64,
}

/// Rows whose probabilities lie next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreBar {
    /// Lowest probability.
    pub from: f64,
    /// Upper end; it belongs to the next bar, that of the last one to it.
    pub to: f64,
    /// Positive rows.
    pub positives: u64,
    /// Negative rows.
    pub negatives: u64,
}

impl Curves {
    pub(crate) fn of(pairs: &[(f64, bool)]) -> Self {
        Self { roc: roc(pairs), lift: tenths(pairs), scores: bars(pairs) }
    }
}

/// Share of the positive rows among each share of the rows with the highest scores; none without a
/// positive row.
pub(super) fn gain(pairs: &[(f64, bool)], shares: &[f64]) -> Option<Vec<f64>> {
    let total = pairs.iter().filter(|(_, positive)| *positive).count() as f64;
    if total == 0.0 {
        return None;
    }
    let ties = ties(pairs);
    Some(shares.iter().map(|share| found(&ties, share * pairs.len() as f64) / total).collect())
}

/// Positives among the first `rows` rows, a part of a tie at its average.
fn found(ties: &[Tie], rows: f64) -> f64 {
    let (mut left, mut positives) = (rows, 0.0);
    for tie in ties {
        let all = tie.positives + tie.negatives;
        positives += tie.positives * (left / all).min(1.0);
        left -= all;
        if left <= 0.0 {
            break;
        }
    }
    positives
}

/// Rows of one score.
struct Tie {
    score: f64,
    positives: f64,
    negatives: f64,
}

/// Groups of equal scores, the highest first.
fn ties(pairs: &[(f64, bool)]) -> Vec<Tie> {
    let tie = |tied: &[(f64, bool)]| {
        let positives = tied.iter().filter(|(_, positive)| *positive).count();
        Tie { score: tied[0].0, positives: positives as f64, negatives: (tied.len() - positives) as f64 }
    };
    let mut ties: Vec<Tie> = sorted(pairs).chunk_by(|left, right| left.0 == right.0).map(tie).collect();
    ties.reverse();
    ties
}

fn tenths(pairs: &[(f64, bool)]) -> Vec<Tenth> {
    let shares: Vec<f64> = (1..=10).map(|tenth| f64::from(tenth) / 10.0).collect();
    let Some(gains) = gain(pairs, &shares) else { return Vec::new() };
    let rate = pairs.iter().filter(|(_, positive)| *positive).count() as f64 / pairs.len() as f64;
    let mut before = 0.0;
    let tenth = |(share, gain): (f64, f64)| {
        let lift = (gain - before) * 10.0;
        before = gain;
        Tenth { share, observed: lift * rate, lift, cumulative_lift: gain / share, gain }
    };
    shares.into_iter().zip(gains).map(tenth).collect()
}

fn roc(pairs: &[(f64, bool)]) -> Vec<RocPoint> {
    let positives = pairs.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = pairs.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    let (mut tp, mut fp) = (0.0, 0.0);
    let point = |tie: Tie| {
        tp += tie.positives;
        fp += tie.negatives;
        RocPoint { threshold: tie.score, false_positive_rate: fp / negatives, true_positive_rate: tp / positives }
    };
    thinned(ties(pairs).into_iter().map(point).collect())
}

/// At most as many points as are kept, about equally far from each other along the curve; the last
/// one is always kept.
fn thinned(points: Vec<RocPoint>) -> Vec<RocPoint> {
    let step = 2.0 / (ROC_POINTS_MAX - 1) as f64;
    let (mut next, last) = (step, points.len().saturating_sub(1));
    let mut kept = Vec::with_capacity(ROC_POINTS_MAX);
    for (at, point) in points.into_iter().enumerate() {
        let along = point.false_positive_rate + point.true_positive_rate;
        if along >= next || at == last {
            kept.push(point);
            next = along + step;
        }
    }
    kept
}

fn bars(pairs: &[(f64, bool)]) -> Vec<ScoreBar> {
    let top = pairs.iter().map(|(p, _)| *p).fold(0.0, f64::max);
    // With all scores at 0 there is still a range to show.
    let width = if top > 0.0 { top / BARS as f64 } else { 1.0 / BARS as f64 };
    let bar = |at: usize| ScoreBar { from: at as f64 * width, to: (at + 1) as f64 * width, positives: 0, negatives: 0 };
    let mut bars: Vec<ScoreBar> = (0..BARS).map(bar).collect();
    for (p, positive) in pairs {
        let bar = &mut bars[((p / width) as usize).min(BARS - 1)];
        bar.positives += u64::from(*positive);
        bar.negatives += u64::from(!*positive);
    }
    bars
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::super::auc;
    use super::*;

    fn drawn(rows: usize, levels: u32, seed: u64) -> Vec<(f64, bool)> {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut pair = || {
            let p = f64::from(rng.gen_range(0..levels)) / f64::from(levels);
            (p, rng.gen_bool(p))
        };
        (0..rows).map(|_| pair()).collect()
    }

    #[test]
    fn the_area_below_the_roc_points_is_the_auc() {
        for (levels, error) in [(5, 1e-12), (1_000_000, 1e-3)] {
            let pairs = drawn(3_000, levels, 3);
            let points = roc(&pairs);
            assert!(points.len() <= ROC_POINTS_MAX + 1, "{}", points.len());
            let (mut area, mut x, mut y) = (0.0, 0.0, 0.0);
            for point in &points {
                area += (point.false_positive_rate - x) * (point.true_positive_rate + y) / 2.0;
                (x, y) = (point.false_positive_rate, point.true_positive_rate);
            }
            let exact = auc(&pairs).unwrap();
            assert!((area - exact).abs() < error && (x, y) == (1.0, 1.0), "{area} and {exact}");
        }
        assert!(roc(&[(0.1, true)]).is_empty());
    }

    #[test]
    fn lift_counts_positives_in_the_highest_tenths() {
        // 100 rows, the 20 positives on top, then one on the very bottom.
        let pairs: Vec<(f64, bool)> = (0..100).map(|at| (1.0 - f64::from(at) / 100.0, at < 19 || at == 99)).collect();
        let tenths = tenths(&pairs);
        let lifts: Vec<f64> = tenths.iter().map(|tenth| (tenth.lift * 1e6).round() / 1e6).collect();
        assert_eq!(lifts, [5.0, 4.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
        assert!((tenths[1].gain - 0.95).abs() < 1e-12 && (tenths[1].cumulative_lift - 4.75).abs() < 1e-12);
        assert!((tenths[9].gain - 1.0).abs() < 1e-12 && (tenths[0].observed - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rows_that_cannot_be_told_apart_have_no_lift() {
        let pairs: Vec<(f64, bool)> = (0..1_000).map(|at| (0.25, at % 4 == 0)).collect();
        assert!(tenths(&pairs).iter().all(|tenth| (tenth.lift - 1.0).abs() < 1e-9));
        assert!(tenths(&[(0.5, false)]).is_empty());
    }

    #[test]
    fn bars_hold_every_row_once() {
        let pairs = drawn(2_000, 1_000, 5);
        let bars = bars(&pairs);
        let count = |of: fn(&ScoreBar) -> u64| bars.iter().map(of).sum::<u64>();
        let positives = pairs.iter().filter(|(_, positive)| *positive).count() as u64;
        assert_eq!((count(|bar| bar.positives), count(|bar| bar.negatives)), (positives, 2_000 - positives));
        let top = pairs.iter().map(|(p, _)| *p).fold(0.0, f64::max);
        assert!((bars[BARS - 1].to - top).abs() < 1e-12 && bars[BARS - 1].positives + bars[BARS - 1].negatives > 0);
        assert_eq!(super::bars(&[(0.0, true)])[0].positives, 1);
    }
}
