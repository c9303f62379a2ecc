//! The limits of a challenger, each with the fewest decisions that say anything.

use super::Counted;

/// Scores that are no numbers: so many are no accident.
const NON_FINITE_MAX: f64 = 3.0;
/// Share of decisions with an action that could not be scored, more than the champion's.
const SKIPPING_SHARE_MAX: f64 = 0.01;
const SKIPPING_DECISIONS_MIN: f64 = 50.0;
/// Slowest of a hundred decisions against the champion's, and how much slower at least, in quarters of a microsecond.
const SLOWER_MAX: f64 = 4.0;
const SLOWER_QUARTERS_MIN: f64 = 800.0;
const TIMED_DECISIONS_MIN: f64 = 500.0;
/// Population stability index of the scores against the champion's: 0.25 is called a great shift.
const SHIFT_MAX: f64 = 1.0;
const SHIFT_SHOWN_MIN: f64 = 500.0;
/// Observed for predicted acceptance against the champion's.
const CALIBRATION_RATIO_MAX: f64 = 3.0;
/// Fewest successes that the champion's rate says the challenger should have, and standard errors between the two.
const CALIBRATION_EXPECTED_MIN: f64 = 30.0;
const CALIBRATION_ERRORS_MIN: f64 = 5.0;

/// Why a challenger must go, if it must.
pub(super) fn judge(champion: &Counted, challenger: &Counted) -> Option<String> {
    non_finite(challenger)
        .or_else(|| skipping(champion, challenger))
        .or_else(|| slow(champion, challenger))
        .or_else(|| shift(champion, challenger))
        .or_else(|| calibration(champion, challenger))
}

fn non_finite(challenger: &Counted) -> Option<String> {
    let (count, decisions) = (challenger.non_finite, challenger.decisions);
    (count >= NON_FINITE_MAX).then(|| format!("{count:.0} scores in {decisions:.0} decisions were no numbers"))
}

fn skipping(champion: &Counted, challenger: &Counted) -> Option<String> {
    let share = |arm: &Counted| arm.skipping / arm.decisions.max(1.0);
    let (own, other) = (share(challenger), share(champion));
    let enough = challenger.decisions >= SKIPPING_DECISIONS_MIN;
    (enough && own > other + SKIPPING_SHARE_MAX).then(|| {
        let (own, other) = (own * 100.0, other * 100.0);
        format!("{own:.1} % of its decisions could not score an action, {other:.1} % of the champion's")
    })
}

fn slow(champion: &Counted, challenger: &Counted) -> Option<String> {
    if champion.decisions.min(challenger.decisions) < TIMED_DECISIONS_MIN {
        return None;
    }
    let (own, other) = (slowest_of_a_hundred(challenger), slowest_of_a_hundred(champion));
    (own > SLOWER_MAX * other && own - other > SLOWER_QUARTERS_MIN).then(|| {
        let (own, other) = (own / 4.0, other / 4.0);
        format!("one in a hundred of its decisions takes {own:.0} us, of the champion's {other:.0} us")
    })
}

/// Upper edge of the bin with the slowest of a hundred decisions, in quarters of a microsecond.
fn slowest_of_a_hundred(arm: &Counted) -> f64 {
    let mut left = arm.decisions * 0.99;
    for (bin, count) in arm.times.iter().enumerate() {
        left -= count;
        if left <= 0.0 {
            return 2f64.powi(bin as i32 + 1);
        }
    }
    f64::INFINITY
}

fn shift(champion: &Counted, challenger: &Counted) -> Option<String> {
    if champion.shown.min(challenger.shown) < SHIFT_SHOWN_MIN {
        return None;
    }
    let index = stability_index(champion, challenger);
    (index > SHIFT_MAX).then(|| format!("its scores are spread quite otherwise than the champion's (PSI {index:.2})"))
}

/// Population stability index: sum of (p - q) ln(p / q) over the bins, each with half a row more.
fn stability_index(champion: &Counted, challenger: &Counted) -> f64 {
    let bins = champion.scores.len() as f64;
    let share = |arm: &Counted, bin: usize| (arm.scores[bin] + 0.5) / (arm.shown + 0.5 * bins);
    (0..champion.scores.len())
        .map(|bin| {
            let (p, q) = (share(challenger, bin), share(champion, bin));
            (p - q) * (p / q).ln()
        })
        .sum()
}

/// Both models wait equally long for their answers, so their ratios of observed to predicted compare.
fn calibration(champion: &Counted, challenger: &Counted) -> Option<String> {
    if champion.predicted <= 0.0 || challenger.predicted <= 0.0 || champion.positives < CALIBRATION_EXPECTED_MIN {
        return None;
    }
    let ratio = champion.positives / champion.predicted;
    let expected = challenger.predicted * ratio;
    let observed = challenger.positives;
    if expected.max(observed) < CALIBRATION_EXPECTED_MIN {
        return None;
    }
    // Poisson counts: the champion's is uncertain as well.
    let error = (expected + expected * expected / champion.positives).sqrt();
    let surprising = (observed - expected).abs() > CALIBRATION_ERRORS_MIN * error.max(1.0);
    let apart = observed > CALIBRATION_RATIO_MAX * expected || expected > CALIBRATION_RATIO_MAX * observed;
    (surprising && apart).then(|| {
        format!("{observed:.0} of its actions were accepted where {expected:.0} would be by its scores, judged as the champion's")
    })
}
