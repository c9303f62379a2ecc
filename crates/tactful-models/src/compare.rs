//! Two models on the same recorded decisions: how often they would show the same, how far their scores are apart,
//! how honest each is about what was answered, and what each would be worth as a policy.

use serde::Serialize;
use tactful_core::estimate::Logged;

use crate::metrics::Quality;
use crate::report::PolicyValue;

/// What was seen of two models so far.
#[derive(Debug, Default)]
pub struct Comparer {
    decisions: u64,
    agreeing: u64,
    /// Of shown actions: both probabilities.
    differences: Vec<f64>,
    answers: Vec<(f64, f64, bool)>,
    first: Vec<Logged>,
    second: Vec<Logged>,
}

/// One recorded decision as two models see it.
#[derive(Clone, Copy, Debug)]
pub struct TwoChoices {
    /// Whether both would show the same first.
    pub agree: bool,
    /// Whether the first would show what was shown first, and whether the second would.
    pub shows_recorded: (bool, bool),
    /// Chance with which the recorded action was chosen; none if that is not known.
    pub selection: Option<f64>,
    /// What came of it; none while its window is open, or if it never trains.
    pub reward: Option<f64>,
}

/// Two models compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Decisions that were looked at.
    pub decisions: u64,
    /// Share of them in which both would show the same first.
    pub agreement: f64,
    /// Mean distance of the two acceptance probabilities of what was shown.
    pub mean_difference: f64,
    /// The first model.
    pub first: Side,
    /// The second model.
    pub second: Side,
}

/// One of two models compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// How honest it is about what was answered; none without answers.
    pub quality: Option<Quality>,
    /// What it would be worth as a policy that shows what it ranks first; none without selection probabilities.
    pub value: Option<PolicyValue>,
}

impl Comparer {
    /// Looks at a decision.
    pub fn decided(&mut self, choices: TwoChoices) {
        self.decisions += 1;
        self.agreeing += u64::from(choices.agree);
        if let (Some(selection), Some(reward)) = (choices.selection, choices.reward) {
            let logged = |shows: bool| Logged { target: f64::from(u8::from(shows)), selection, reward };
            self.first.push(logged(choices.shows_recorded.0));
            self.second.push(logged(choices.shows_recorded.1));
        }
    }

    /// Looks at an action that was shown, with what both models say and, once it is known, what was answered.
    pub fn shown(&mut self, first: f64, second: f64, positive: Option<bool>) {
        self.differences.push((first - second).abs());
        self.answers.extend(positive.map(|positive| (first, second, positive)));
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> Comparison {
        let positives = self.answers.iter().filter(|(.., positive)| *positive).count() as f64;
        let rate = positives / (self.answers.len() as f64).max(1.0);
        let quality = |of: &dyn Fn(&(f64, f64, bool)) -> f64| {
            let pairs: Vec<(f64, bool)> = self.answers.iter().map(|answer| (of(answer), answer.2)).collect();
            Quality::of(&pairs, rate)
        };
        Comparison {
            decisions: self.decisions,
            agreement: self.agreeing as f64 / (self.decisions as f64).max(1.0),
            mean_difference: self.differences.iter().sum::<f64>() / (self.differences.len() as f64).max(1.0),
            first: Side { quality: quality(&|answer| answer.0), value: PolicyValue::measure(&self.first) },
            second: Side { quality: quality(&|answer| answer.1), value: PolicyValue::measure(&self.second) },
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    #[test]
    fn the_better_model_of_two_shows_in_every_figure() {
        let mut rng = Pcg64::seed_from_u64(5);
        let mut comparer = Comparer::default();
        for _ in 0..20_000 {
            // Two actions, drawn evenly; the first model always takes the better one, the second the worse.
            let shown_better = rng.gen_bool(0.5);
            let truth = if shown_better { 0.4 } else { 0.1 };
            let positive = rng.gen_bool(truth);
            comparer.decided(TwoChoices {
                agree: false,
                shows_recorded: (shown_better, !shown_better),
                selection: Some(0.5),
                reward: Some(f64::from(u8::from(positive))),
            });
            comparer.shown(truth, 0.5 - truth, Some(positive));
        }
        let found = comparer.finish();
        assert_eq!((found.decisions, found.agreement), (20_000, 0.0));
        assert!((found.mean_difference - 0.3).abs() < 1e-9);
        let (first, second) = (found.first.quality.unwrap(), found.second.quality.unwrap());
        assert!(first.auc.unwrap() > 0.65 && second.auc.unwrap() < 0.35 && first.log_loss < second.log_loss);
        assert!(first.calibration_error < 0.02 && second.calibration_error > 0.2);
        let worth = |side: PolicyValue| side.snips.unwrap().value;
        let (first, second) = (worth(found.first.value.unwrap()), worth(found.second.value.unwrap()));
        assert!((first - 0.4).abs() < 0.02 && (second - 0.1).abs() < 0.02, "{first} {second}");
    }

    #[test]
    fn without_exploration_no_number_is_given() {
        let mut comparer = Comparer::default();
        for _ in 0..500 {
            let reward = Some(1.0);
            comparer.decided(TwoChoices { agree: true, shows_recorded: (true, true), selection: Some(1.0), reward });
        }
        let value = comparer.finish().first.value.unwrap();
        assert!(value.snips.is_none() && value.warnings[0].contains("no overlap"), "{value:?}");
        assert!(Comparer::default().finish().first.quality.is_none());
    }
}
