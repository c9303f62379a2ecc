//! Off-policy estimators: what another policy would have been worth on recorded decisions.
//!
//! They hold if the recorded selection probabilities are true, if nothing that moved both the choice
//! and the reward went unrecorded, and if the recorded policy could have chosen whatever the other
//! one chooses. [`Overlap`] says how far the record can bear the last.

use crate::math::sqrt;

/// Standard errors of a two-sided 95 % interval of a normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;
/// Fewest effective rows that carry an estimate.
pub const EFFECTIVE_ROWS_MIN: f64 = 100.0;
/// Greatest share of all weight that one row may have.
pub const LARGEST_SHARE_MAX: f64 = 0.1;
/// Greatest share of decisions in which the record cannot have the other policy's choice.
pub const UNSUPPORTED_MAX: f64 = 0.05;

/// One recorded decision as the other policy sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logged {
    /// Chance with which the other policy chooses the recorded action.
    pub target: f64,
    /// Chance with which the recorded policy chose it. Rows in which it is not above 0 carry no
    /// information and are left out.
    pub selection: f64,
    /// What came of it.
    pub reward: f64,
}

/// An estimate with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean value per decision; NaN where there is nothing to estimate from.
    pub value: f64,
    /// Standard error of the mean; NaN with fewer than two rows.
    pub standard_error: f64,
    /// Rows, matched or not.
    pub rows: u64,
}

/// How much of the record speaks for the other policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Rows with a selection probability.
    pub rows: u64,
    /// Rows whose recorded action the other policy might choose.
    pub matched: u64,
    /// Rows of equal weight that would say as much: (sum of weights)^2 over the sum of their squares
    /// (Kish 1965).
    pub effective_rows: f64,
    /// Mean weight: about 1 where the record covers the other policy, less where it does not.
    pub mean_weight: f64,
    /// Standard error of the mean weight.
    pub mean_weight_error: f64,
    /// Greatest weight of a row.
    pub largest_weight: f64,
    /// Share of all weight that this row has.
    pub largest_share: f64,
    /// Share of decisions in which the record was certain of another action.
    pub unsupported: f64,
    /// Rows in which the recorded policy might have chosen otherwise.
    pub explored: u64,
}

/// Why the record does not bear an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weakness {
    /// Every choice was certain: nothing is known of any other.
    NoExploration,
    /// Fewer effective rows than [`EFFECTIVE_ROWS_MIN`].
    FewRows(f64),
    /// One row has more than [`LARGEST_SHARE_MAX`] of all weight.
    OneRow(f64),
    /// More than [`UNSUPPORTED_MAX`] of the decisions were certain of another action.
    Unsupported(f64),
    /// The mean weight is not 1 by more than three standard errors: the other policy chooses what was
    /// never chosen, or the selection probabilities are not true.
    Weights(f64),
}

impl Logged {
    fn weight(self) -> f64 {
        self.target / self.selection
    }
}

impl Estimate {
    /// 95 % interval by the normal distribution: for a hundred effective rows and more.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        (self.value - Z_95 * self.standard_error, self.value + Z_95 * self.standard_error)
    }
}

/// Inverse propensity scoring (Horvitz and Thompson 1952): the mean of `weight * reward` over all
/// rows, a weight being target over selection probability. Its standard error is that of a mean.
#[must_use]
pub fn inverse_propensity(rows: impl Iterator<Item = Logged>) -> Estimate {
    let mut moments = Moments::default();
    usable(rows).for_each(|row| moments.add(row.weight() * row.reward));
    Estimate { value: moments.mean, standard_error: moments.standard_error(), rows: moments.count }
}

/// What the other policy is worth more than the recorded one: the mean of `(weight - 1) * reward`,
/// row by row, so that what both share cancels out.
#[must_use]
pub fn difference(rows: impl Iterator<Item = Logged>) -> Estimate {
    let mut moments = Moments::default();
    usable(rows).for_each(|row| moments.add((row.weight() - 1.0) * row.reward));
    Estimate { value: moments.mean, standard_error: moments.standard_error(), rows: moments.count }
}

/// Self-normalised inverse propensity scoring (Hajek 1971; Swaminathan and Joachims 2015): the sum of
/// `weight * reward` over the sum of weights. A little biased, far less noisy, and unmoved by a
/// constant added to all rewards. Its standard error is that of a ratio by linearisation:
/// sqrt(sum of weight^2 * (reward - value)^2) / sum of weights (Owen, "Monte Carlo theory, methods and
/// examples", 2013, equation 9.9).
#[must_use]
pub fn self_normalised(rows: impl Iterator<Item = Logged> + Clone) -> Estimate {
    let (mut count, mut weights, mut rewards) = (0, 0.0, 0.0);
    for row in usable(rows.clone()) {
        count += 1;
        weights += row.weight();
        rewards += row.weight() * row.reward;
    }
    let value = rewards / weights;
    let squares: f64 = usable(rows).map(|row| square(row.weight() * (row.reward - value))).sum();
    let standard_error = if count > 1 { sqrt(squares) / weights } else { f64::NAN };
    Estimate { value, standard_error, rows: count }
}

impl Overlap {
    /// Measures it.
    #[must_use]
    pub fn of(rows: impl Iterator<Item = Logged>) -> Self {
        let (mut matched, mut explored, mut unsupported) = (0, 0, 0.0);
        let (mut squares, mut largest, mut moments) = (0.0, 0.0_f64, Moments::default());
        for row in usable(rows) {
            let weight = row.weight();
            moments.add(weight);
            squares += square(weight);
            largest = largest.max(weight);
            matched += u64::from(weight > 0.0);
            if row.selection < 1.0 {
                explored += 1;
            } else {
                unsupported += 1.0 - row.target;
            }
        }
        let rows = moments.count as f64;
        let sum = moments.mean * rows;
        let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        Self {
            rows: moments.count,
            matched,
            effective_rows: over(square(sum), squares),
            mean_weight: moments.mean,
            mean_weight_error: moments.standard_error(),
            largest_weight: largest,
            largest_share: over(largest, sum),
            unsupported: over(unsupported, rows),
            explored,
        }
    }

    /// All that speaks against an estimate; nothing if the record bears it.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Weakness> {
        if self.explored == 0 {
            return vec![Weakness::NoExploration];
        }
        let off = (self.mean_weight - 1.0).abs();
        [
            (self.effective_rows < EFFECTIVE_ROWS_MIN).then_some(Weakness::FewRows(self.effective_rows)),
            (self.largest_share > LARGEST_SHARE_MAX).then_some(Weakness::OneRow(self.largest_share)),
            (self.unsupported > UNSUPPORTED_MAX).then_some(Weakness::Unsupported(self.unsupported)),
            (off > 3.0 * self.mean_weight_error).then_some(Weakness::Weights(self.mean_weight)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Rows that carry information.
fn usable(rows: impl Iterator<Item = Logged>) -> impl Iterator<Item = Logged> {
    rows.filter(|row| row.selection > 0.0)
}

fn square(value: f64) -> f64 {
    value * value
}

/// Mean and variance by Welford's update: stable for long logs.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    fn standard_error(&self) -> f64 {
        if self.count < 2 {
            return f64::NAN;
        }
        let variance = self.squares / (self.count - 1) as f64;
        sqrt(variance / self.count as f64)
    }
}

#[cfg(test)]
mod tests;
