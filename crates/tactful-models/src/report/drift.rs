//! How far the test part, which is the latest, is from the training part: the share of positives, and
//! the population of every input by its population stability index (PSI).
//!
//! PSI is the sum of (q - p) ln(q / p) over the bins of an input, p and q being the shares of training
//! and test rows (Siddiqi, "Credit Risk Scorecards", 2006; the symmetric divergence of Jeffreys 1946).

use serde::{Deserialize, Serialize};
use tactful_core::layout::FieldKind;

use crate::metrics::Quality;
use crate::table::Table;

/// Standard errors between the positive rates of the two parts that count as a drift.
const RATE_DRIFT_MIN: f64 = 3.0;
/// Least PSI that counts as a drift, between the usual marks of 0.1 (some) and 0.25 (much).
const PSI_MIN: f64 = 0.2;
/// Bins of a number: tenths of the training part, and one for missing values.
const NUMBER_BINS: usize = 10;
/// Rows added to each bin, so that an empty one does not make the index infinite.
const PRIOR_ROWS: f64 = 0.5;

/// The positive rates of the two parts compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Positive rate of the training part.
    pub train_rate: f64,
    /// Positive rate of the test part.
    pub test_rate: f64,
    /// Difference in standard errors; its sign is that of test less training.
    pub standard_errors: f64,
    /// Whether it is beyond chance.
    pub drifted: bool,
}

/// How far the population of one input has moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputDrift {
    /// Population stability index, missing values as a bin of their own.
    pub psi: f64,
    /// Above this it is a drift: 0.2, or more where so few rows would reach that by chance.
    pub threshold: f64,
    /// Whether it is above.
    pub drifted: bool,
    /// Share of training rows without a value.
    pub missing_train: f64,
    /// Share of test rows without a value.
    pub missing_test: f64,
}

impl Drift {
    /// Compares the training part with the measured test part.
    pub(crate) fn between(positives: u64, rows: u64, test: &Quality) -> Self {
        let train_rate = positives as f64 / rows as f64;
        let test_rate = test.positives as f64 / test.rows as f64;
        let pooled = (positives + test.positives) as f64 / (rows + test.rows) as f64;
        let error = (pooled * (1.0 - pooled) * (1.0 / rows as f64 + 1.0 / test.rows as f64)).sqrt();
        let standard_errors = if error > 0.0 { (test_rate - train_rate) / error } else { 0.0 };
        Self { train_rate, test_rate, standard_errors, drifted: standard_errors.abs() > RATE_DRIFT_MIN }
    }
}

impl InputDrift {
    /// Compares the two parts of a table in one input; none without a test part.
    pub(crate) fn of(table: &Table, input: usize) -> Option<Self> {
        let (train, test) = table.input(input).split_at(table.train);
        if test.is_empty() {
            return None;
        }
        let edges = edges(&table.inputs[input].kind, train);
        let (before, after) = (Counts::of(train, &edges), Counts::of(test, &edges));
        let psi = psi(&before.bins, &after.bins);
        let threshold = PSI_MIN.max(by_chance(before.bins.len(), train.len(), test.len()));
        let (missing_train, missing_test) = (before.missing_share(), after.missing_share());
        Some(Self { psi, threshold, drifted: psi > threshold, missing_train, missing_test })
    }
}

/// Lower ends of all bins but the first, rising.
fn edges(kind: &FieldKind, train: &[f32]) -> Vec<f32> {
    match kind {
        // One bin for each word and one for all that training did not know.
        FieldKind::Category(words) => (1..=words.len()).map(|word| word as f32).collect(),
        FieldKind::Bool => vec![1.0],
        FieldKind::Number => {
            let mut values: Vec<f32> = train.iter().copied().filter(|value| !value.is_nan()).collect();
            values.sort_by(f32::total_cmp);
            let mut edges: Vec<f32> =
                (1..NUMBER_BINS).filter_map(|bin| values.get(bin * values.len() / NUMBER_BINS).copied()).collect();
            edges.dedup();
            edges.retain(|edge| Some(edge) != values.first());
            edges
        }
    }
}

/// Rows by bin; the last bin holds the missing ones.
struct Counts {
    bins: Vec<f64>,
}

impl Counts {
    fn of(values: &[f32], edges: &[f32]) -> Self {
        let mut bins = vec![0.0; edges.len() + 2];
        for value in values {
            let bin = if value.is_nan() { edges.len() + 1 } else { edges.partition_point(|edge| edge <= value) };
            bins[bin] += 1.0;
        }
        Self { bins }
    }

    fn missing_share(&self) -> f64 {
        self.bins.last().copied().unwrap_or(0.0) / self.bins.iter().sum::<f64>()
    }
}

fn psi(before: &[f64], after: &[f64]) -> f64 {
    let total = |bins: &[f64]| bins.iter().map(|rows| rows + PRIOR_ROWS).sum::<f64>();
    let (all_before, all_after) = (total(before), total(after));
    let part = |(p, q): (&f64, &f64)| {
        let (p, q) = ((p + PRIOR_ROWS) / all_before, (q + PRIOR_ROWS) / all_after);
        (q - p) * (q / p).ln()
    };
    before.iter().zip(after).map(part).sum()
}

/// What samples of one population stay below, with a chance of about one in a thousand to be above:
/// PSI over (1/n + 1/m) is then about chi-square with one degree of freedom less than there are bins
/// (Yurdakul 2018), whose quantile is that of Wilson and Hilferty (1931).
fn by_chance(bins: usize, train: usize, test: usize) -> f64 {
    const ONE_IN_A_THOUSAND: f64 = 3.09;
    let freedom = bins.saturating_sub(1).max(1) as f64;
    let part = 2.0 / (9.0 * freedom);
    let quantile = freedom * (1.0 - part + ONE_IN_A_THOUSAND * part.sqrt()).powi(3);
    quantile * (1.0 / train as f64 + 1.0 / test as f64)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    #[test]
    fn a_drift_is_a_difference_beyond_chance() {
        let quality = |positives: usize| {
            Quality::of(&(0..1_000).map(|at| (0.5, at < positives)).collect::<Vec<_>>(), 0.1).unwrap()
        };
        assert!(!Drift::between(400, 4_000, &quality(110)).drifted);
        let drift = Drift::between(400, 4_000, &quality(200));
        assert!(drift.drifted && drift.standard_errors > 8.0, "{drift:?}");
        assert!(!Drift::between(4_000, 4_000, &quality(1_000)).drifted);
    }

    #[test]
    fn psi_is_what_a_hand_gives() {
        // Shares .5, .5 become .8, .2; the rows added weigh nothing among a million.
        let found = psi(&[5e5, 5e5], &[8e5, 2e5]);
        let by_hand = 0.3 * (0.8f64 / 0.5).ln() - 0.3 * (0.2f64 / 0.5).ln();
        assert!((found - by_hand).abs() < 1e-5, "{found} and {by_hand}");
        assert!(psi(&[100.0, 0.0], &[0.0, 100.0]).is_finite());
    }

    #[test]
    fn missing_values_and_new_words_have_bins_of_their_own() {
        let words = FieldKind::Category(vec!["a".into(), "b".into()]);
        let edges = edges(&words, &[0.0, 1.0]);
        let counts = Counts::of(&[0.0, 1.0, 1.0, 2.0, f32::NAN], &edges);
        assert_eq!(counts.bins, [1.0, 2.0, 1.0, 1.0]);
        assert!((counts.missing_share() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn one_population_stays_below_the_threshold_of_its_size() {
        let mut rng = Pcg64::seed_from_u64(9);
        let mut above = 0;
        for _ in 0..300 {
            let mut draw = |rows: usize| (0..rows).map(|_| rng.gen_range(0.0..1.0)).collect::<Vec<f32>>();
            let (train, test) = (draw(400), draw(60));
            let edges = edges(&FieldKind::Number, &train);
            assert_eq!(edges.len(), NUMBER_BINS - 1);
            let (before, after) = (Counts::of(&train, &edges), Counts::of(&test, &edges));
            above += usize::from(psi(&before.bins, &after.bins) > by_chance(11, 400, 60).max(PSI_MIN));
        }
        assert!(above <= 3, "{above} of 300");
    }

    #[test]
    fn a_number_that_hardly_varies_has_few_bins() {
        let values: Vec<f32> = (0..100).map(|at| if at < 95 { 999.0 } else { 3.0 }).collect();
        assert_eq!(edges(&FieldKind::Number, &values), [999.0]);
    }
}
