//! The Qini coefficient of a ranking of customers by predicted uplift.
//!
//! Qini curve (Radcliffe, "Using control groups to target on predicted lift", 2007): of the `k` highest
//! ranked customers, responses of the treated less those of the controls, scaled to as many treated:
//! `Q(k) = Yt(k) - Yc(k) * Nt(k) / Nc(k)`. A random order follows the straight line to its end.
//! The coefficient is the area between curve and line over the same area for the perfect order, which
//! has all treated responders first and all controls who responded last, so that harm counts: the
//! definition of scikit-uplift's `qini_auc_score` with `negative_effect=True`. 1 is perfect, 0 chance.
//! By it scikit-learn's per-arm logistic regressions reach .063 (sd .008) on random halves of the
//! campaign and random scores -.001, which are the baselines that the bar comes from.

/// A customer of the experiment with a score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    /// Predicted uplift; greater comes first.
    pub(super) score: f64,
    /// Whether the customer was treated.
    pub(super) treated: bool,
    /// Whether the customer responded.
    pub(super) responded: bool,
}

/// The coefficient; none without both arms and a response, where it is not defined.
pub(super) fn qini(ranked: &[Ranked]) -> Option<f64> {
    let perfect = |row: &Ranked| Ranked {
        score: match (row.responded, row.treated) {
            (true, true) => 1.0,
            (false, _) => 0.0,
            (true, false) => -1.0,
        },
        ..*row
    };
    let best = area(&ranked.iter().map(perfect).collect::<Vec<_>>());
    let both = ranked.iter().any(|row| row.treated) && ranked.iter().any(|row| !row.treated);
    (both && best > 0.0).then(|| area(ranked) / best)
}

/// Area between the Qini curve and the straight line to its end. Customers of one score come at once.
fn area(ranked: &[Ranked]) -> f64 {
    let mut sorted = ranked.to_vec();
    sorted.sort_by(|left, right| right.score.total_cmp(&left.score));
    let (mut counts, mut last, mut area) = (Counts::default(), (0.0, 0.0), 0.0);
    for tied in sorted.chunk_by(|left, right| left.score == right.score) {
        tied.iter().for_each(|row| counts.add(row));
        let next = (counts.treated + counts.control, counts.gain());
        area += (next.0 - last.0) * (next.1 + last.1) / 2.0;
        last = next;
    }
    area - last.0 * last.1 / 2.0
}

#[derive(Default)]
struct Counts {
    treated: f64,
    control: f64,
    treated_responses: f64,
    control_responses: f64,
}

impl Counts {
    fn add(&mut self, row: &Ranked) {
        let (count, responses) = if row.treated {
            (&mut self.treated, &mut self.treated_responses)
        } else {
            (&mut self.control, &mut self.control_responses)
        };
        *count += 1.0;
        *responses += f64::from(u8::from(row.responded));
    }

    fn gain(&self) -> f64 {
        let scale = if self.control > 0.0 { self.treated / self.control } else { 0.0 };
        self.treated_responses - self.control_responses * scale
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    fn row(score: f64, treated: bool, responded: bool) -> Ranked {
        Ranked { score, treated, responded }
    }

    #[test]
    fn matches_a_hand_calculation() {
        // Curve: 0, 1, 1, 1, 1 - 1 * 2 / 2 = 0; line: level at 0. Area 0.5 + 1 + 1 + 0.5 = 3, which is perfect.
        let ranked = [row(4.0, true, true), row(3.0, false, false), row(2.0, true, false), row(1.0, false, true)];
        assert!((area(&ranked) - 3.0).abs() < 1e-12);
        assert!((qini(&ranked).unwrap() - 1.0).abs() < 1e-12);
        // Upside down: 0, 0 (no treated yet), -1, -1 / 2, 0.
        let reversed = ranked.map(|row| Ranked { score: -row.score, ..row });
        assert!((area(&reversed) + 1.5).abs() < 1e-12, "{}", area(&reversed));
        let tied = ranked.map(|row| Ranked { score: 0.0, ..row });
        assert_eq!(qini(&tied), Some(0.0), "who cannot be told apart is ranked by nothing");
    }

    #[test]
    fn one_arm_or_no_response_has_no_coefficient() {
        assert_eq!(qini(&[]), None);
        assert_eq!(qini(&[row(1.0, true, true), row(0.0, true, false)]), None);
        assert_eq!(qini(&[row(1.0, true, false), row(0.0, false, false)]), None);
    }

    /// The e-mail helps those with a high trait: (score, customer).
    fn drawn(seed: u64, score: impl Fn(f64, f64) -> f64) -> Vec<Ranked> {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut customer = || {
            let (keen, noise): (f64, f64) = (rng.gen_range(0.0..1.0), rng.gen_range(0.0..1.0));
            let treated = rng.gen_bool(0.5);
            let chance = 0.1 + if treated { 0.3 * keen } else { 0.0 };
            row(score(keen, noise), treated, rng.gen_bool(chance))
        };
        (0..10_000).map(|_| customer()).collect()
    }

    #[test]
    fn a_true_ranking_gains_and_random_scores_gain_nothing() {
        let mean =
            |score: fn(f64, f64) -> f64| (0..20).map(|seed| qini(&drawn(seed, score)).unwrap()).sum::<f64>() / 20.0;
        let (truth, random, upside_down) = (mean(|keen, _| keen), mean(|_, noise| noise), mean(|keen, _| -keen));
        assert!(truth > 0.1 && upside_down < -0.1, "{truth} {upside_down}");
        assert!(random.abs() < 0.01, "{random}");
    }
}
