//! Estimators against hand calculations, slow recounts, and simulations whose truth is known.

use proptest::prelude::*;

use super::*;
use crate::hash;

fn logged(rows: &[(f64, f64, f64)]) -> Vec<Logged> {
    rows.iter()
        .map(|(target, selection, reward)| Logged { target: *target, selection: *selection, reward: *reward })
        .collect()
}

#[test]
fn matches_a_hand_calculation() {
    let rows = logged(&[(1.0, 0.5, 1.0), (0.0, 0.5, 1.0), (1.0, 0.25, 0.0), (1.0, 0.5, 2.0)]);
    let estimate = inverse_propensity(rows.iter().copied());
    // Weighted rewards 2, 0, 0, 4: mean 1.5, sample variance 11/3.
    assert!((estimate.value - 1.5).abs() < 1e-12);
    assert!((estimate.standard_error - (11.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    assert_eq!(estimate.rows, 4);
    // Weights 2, 0, 4, 2: value 6 / 8; squares (2 x .25)^2 + (4 x .75)^2 + (2 x 1.25)^2 = 15.5.
    let estimate = self_normalised(rows.iter().copied());
    assert!((estimate.value - 0.75).abs() < 1e-12);
    assert!((estimate.standard_error - 15.5f64.sqrt() / 8.0).abs() < 1e-12);
    let overlap = Overlap::of(rows.iter().copied());
    assert_eq!((overlap.matched, overlap.explored, overlap.largest_weight), (3, 4, 4.0));
    assert!((overlap.effective_rows - 64.0 / 24.0).abs() < 1e-12 && (overlap.largest_share - 0.5).abs() < 1e-12);
    // Differences 1, -1, 0, 2.
    assert!((difference(rows.into_iter()).value - 0.5).abs() < 1e-12);
}

#[test]
fn no_rows_say_nothing() {
    let rows = logged(&[(1.0, 0.0, 1.0), (1.0, f64::NAN, 1.0)]);
    let estimate = inverse_propensity(rows.iter().copied());
    assert_eq!(estimate.rows, 0);
    assert!(estimate.standard_error.is_nan());
    let estimate = self_normalised(rows.iter().copied());
    assert!(estimate.rows == 0 && estimate.value.is_nan());
    assert_eq!(Overlap::of(rows.into_iter()).weaknesses(), [Weakness::NoExploration]);
}

/// A number from 0 up to 1, the same for the same place.
fn uniform(place: u64) -> f64 {
    (hash::keyed(7, &place.to_le_bytes()) >> 11) as f64 / (1u64 << 53) as f64
}

/// Three actions drawn by a policy that depends on the customer, with acceptance that does too; the
/// other policy takes the last action for half of the customers, else the first. Returns the record
/// and the truth.
fn simulated(run: u64, rows: u64) -> (Vec<Logged>, f64) {
    let mut truth = 0.0;
    let record = (0..rows)
        .map(|row| {
            let draw = |part: u64| uniform((run * rows + row) * 4 + part);
            let keen = draw(0);
            let chances = [0.2 + 0.3 * keen, 0.5 - 0.2 * keen, 0.3 - 0.1 * keen];
            let accepts = [0.1 + 0.1 * keen, 0.3, 0.1 + 0.5 * keen];
            let wanted = if keen > 0.5 { 2 } else { 0 };
            truth += accepts[wanted] / rows as f64;
            let at = draw(1);
            let action = if at < chances[0] {
                0
            } else if at < chances[0] + chances[1] {
                1
            } else {
                2
            };
            let reward = if draw(2) < accepts[action] { 1.0 } else { 0.0 };
            Logged { target: if action == wanted { 1.0 } else { 0.0 }, selection: chances[action], reward }
        })
        .collect();
    (record, truth)
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    const RUNS: u64 = 300;
    let (mut held, mut warned) = ([0, 0], 0);
    let (mut errors, mut widths) = ([0.0; 2], [0.0; 2]);
    for run in 0..RUNS {
        let (record, truth) = simulated(run, 2_000);
        let rows = || record.iter().copied();
        for (at, estimate) in [inverse_propensity(rows()), self_normalised(rows())].into_iter().enumerate() {
            let (low, high) = estimate.interval();
            held[at] += u64::from(low <= truth && truth <= high);
            errors[at] += (estimate.value - truth) / RUNS as f64;
            widths[at] += estimate.standard_error / RUNS as f64;
        }
        warned += usize::from(!Overlap::of(rows()).weaknesses().is_empty());
    }
    // The policy covers the other one: a mean weight three errors off is chance, one in 370.
    assert!(warned <= 4, "{warned} of {RUNS}");
    // 95 % of 300 is 285; three standard deviations are 11.
    assert!(held.iter().all(|held| (274..=296).contains(held)), "{held:?} of {RUNS}");
    assert!(errors.iter().all(|error| error.abs() < 0.003), "{errors:?}");
    assert!(widths[1] < widths[0], "self-normalised is less noisy here: {widths:?}");
}

#[test]
fn a_record_that_does_not_bear_an_estimate_says_so() {
    let of = |rows: &[(f64, f64, f64)], times: usize| Overlap::of(logged(rows).repeat(times).into_iter()).weaknesses();
    assert_eq!(of(&[(1.0, 1.0, 1.0), (0.0, 1.0, 0.0)], 500), [Weakness::NoExploration]);
    let even = [(1.0, 0.5, 1.0), (0.0, 0.5, 0.0)];
    assert_eq!(of(&even, 500), []);
    assert!(matches!(of(&even, 20)[..], [Weakness::FewRows(rows)] if (rows - 20.0).abs() < 1e-9));
    // What the other policy wants was hardly ever chosen.
    let never = [(0.0, 0.5, 1.0), (0.0, 0.5, 0.0), (1.0, 0.9, 0.0)];
    assert!(matches!(of(&never, 500)[..], [Weakness::Weights(mean)] if mean < 0.5));
    let mut rows = even.repeat(500);
    rows.extend(vec![(0.0, 1.0, 0.0); 100]);
    assert!(of(&rows, 1).iter().any(|weakness| matches!(weakness, Weakness::Unsupported(share) if *share > 0.09)));
    rows.push((1.0, 0.001, 1.0));
    assert!(of(&rows, 1).iter().any(|weakness| matches!(weakness, Weakness::OneRow(share) if *share > 0.4)));
}

fn rows() -> impl Strategy<Value = Vec<Logged>> {
    let row = (0.0..=1.0f64, 0.01..=1.0f64, -5.0..5.0f64);
    let row = row.prop_map(|(target, selection, reward)| Logged { target, selection, reward });
    prop::collection::vec(row, 2..60)
}

proptest! {
    #[test]
    fn estimates_equal_slow_recounts(rows in rows()) {
        let count = rows.len() as f64;
        let weights: Vec<f64> = rows.iter().map(|row| row.target / row.selection).collect();
        let scored: Vec<f64> = rows.iter().zip(&weights).map(|(row, weight)| weight * row.reward).collect();
        let mean = scored.iter().sum::<f64>() / count;
        let variance = scored.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let ips = inverse_propensity(rows.iter().copied());
        prop_assert!((ips.value - mean).abs() < 1e-9 && (ips.standard_error - (variance / count).sqrt()).abs() < 1e-9);
        let sum: f64 = weights.iter().sum();
        prop_assume!(sum > 1e-6);
        let snips = self_normalised(rows.iter().copied());
        prop_assert!((snips.value - scored.iter().sum::<f64>() / sum).abs() < 1e-9);
        // The linearised error is that of the residuals' mean, over the mean weight.
        let residuals: Vec<f64> = rows.iter().zip(&weights).map(|(row, weight)| weight * (row.reward - snips.value)).collect();
        let spread = residuals.iter().map(|residual| residual * residual).sum::<f64>().sqrt();
        prop_assert!((snips.standard_error - spread / sum).abs() < 1e-9);
        let overlap = Overlap::of(rows.iter().copied());
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        prop_assert!((overlap.effective_rows - sum * sum / squares).abs() < 1e-6);
        prop_assert!(overlap.effective_rows <= count + 1e-6 && overlap.largest_share >= 1.0 / count - 1e-9);
    }

    #[test]
    fn a_constant_reward_is_itself_and_a_shift_shifts(rows in rows(), shift in -3.0..3.0f64) {
        prop_assume!(rows.iter().map(|row| row.target).sum::<f64>() > 1e-3);
        let constant = rows.iter().map(|row| Logged { reward: shift, ..*row });
        prop_assert!((self_normalised(constant).value - shift).abs() < 1e-9);
        let before = self_normalised(rows.iter().copied()).value;
        let shifted = rows.iter().map(|row| Logged { reward: row.reward + shift, ..*row });
        prop_assert!((self_normalised(shifted).value - before - shift).abs() < 1e-9);
    }

    #[test]
    fn the_recorded_policy_is_worth_what_it_got(rows in rows()) {
        let same: Vec<Logged> = rows.iter().map(|row| Logged { target: row.selection, ..*row }).collect();
        let mean = same.iter().map(|row| row.reward).sum::<f64>() / same.len() as f64;
        prop_assert!((inverse_propensity(same.iter().copied()).value - mean).abs() < 1e-9);
        prop_assert!((self_normalised(same.iter().copied()).value - mean).abs() < 1e-9);
        prop_assert!(difference(same.into_iter()).value.abs() < 1e-9);
    }
}
