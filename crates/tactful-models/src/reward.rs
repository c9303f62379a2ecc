//! The reward rule: what a decision's outcomes say about it. A silent decision is a failure only
//! once its window has closed, which depends on the caller's `now`; no clock is read here.

use serde::{Deserialize, Serialize};
use tactful_core::catalog::{Duration, OutcomeName};
use tactful_proto::v1::{DecisionRow, OutcomeType};

/// What counts as success and as failure.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardRule {
    /// Outcomes that count as success.
    pub positive: Vec<OutcomeName>,
    /// Attribution window after the decision.
    pub window: Duration,
    /// What makes a failure.
    pub negative_when: NegativeWhen,
    /// Leave out rows with an open window even if the customer has answered.
    pub wait_for_window: bool,
    /// Only decisions that were really shown train.
    pub require_exposure: bool,
}

/// What makes a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeWhen {
    /// The window closed without a success, or the customer rejected within it.
    WindowClosed,
}

/// Rows that did not train, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Their window is still open.
    pub window_open: u64,
    /// The action was reported as not presented.
    pub not_presented: u64,
    /// No exposure was recorded and the recipe requires one.
    pub not_exposed: u64,
    /// The recipe excludes their action.
    pub excluded_action: u64,
    /// They name no action or no time.
    pub incomplete: u64,
    /// Their column of answers holds none.
    #[serde(default)]
    pub no_answer: u64,
}

/// What is known of a decision's success, whatever the time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Positive,
    Rejected,
    Silent,
    /// Stated by the row itself, so that no window matters.
    Known(bool),
}

/// A row's label at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) positive: bool,
    /// Known before the window closed.
    pub(crate) early: bool,
}

impl Default for RewardRule {
    fn default() -> Self {
        Self {
            positive: vec![OutcomeName::Accepted, OutcomeName::Converted, OutcomeName::Resolved],
            window: Duration::from_seconds(7 * 86_400),
            negative_when: NegativeWhen::WindowClosed,
            wait_for_window: false,
            require_exposure: false,
        }
    }
}

impl LeftOut {
    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.window_open
            + self.not_presented
            + self.not_exposed
            + self.excluded_action
            + self.incomplete
            + self.no_answer
    }

    /// The reasons that occurred, in words with their counts.
    #[must_use]
    pub fn reasons(&self) -> Vec<(&'static str, u64)> {
        [
            ("window still open", self.window_open),
            ("not presented", self.not_presented),
            ("no exposure", self.not_exposed),
            ("excluded action", self.excluded_action),
            ("no action or no time", self.incomplete),
            ("no answer", self.no_answer),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }
}

impl RewardRule {
    /// Reads the outcomes of a row decided at `decided_ms`; counts and returns none if it never trains.
    pub(crate) fn answer(&self, row: &DecisionRow, decided_ms: i64, left_out: &mut LeftOut) -> Option<Answer> {
        let all: Vec<OutcomeType> = row.outcomes.iter().map(|outcome| outcome.r#type()).collect();
        if all.contains(&OutcomeType::NotPresented) {
            left_out.not_presented += 1;
            return None;
        }
        if self.require_exposure && !all.iter().any(|outcome| shows_exposure(*outcome)) {
            left_out.not_exposed += 1;
            return None;
        }
        let end = self.window_end(decided_ms);
        // An outcome dated before its decision is a matter of clocks: it was still given to this decision.
        let within =
            row.outcomes.iter().filter(|outcome| outcome.occur_time.as_ref().is_none_or(|at| millis(at) <= end));
        let mut answer = Answer::Silent;
        for outcome in within.map(|outcome| outcome.r#type()) {
            if self.positive.iter().any(|name| outcome_type(*name) == outcome) {
                return Some(Answer::Positive);
            }
            if outcome == OutcomeType::Rejected {
                answer = Answer::Rejected;
            }
        }
        Some(answer)
    }

    /// What a decision of this time came to, told once its window has closed; none if it never trains. Outcomes are
    /// given as (type, when, milliseconds since 1970).
    #[must_use]
    pub fn at_close(&self, decided_ms: i64, outcomes: &[(OutcomeType, i64)]) -> Option<bool> {
        let outcome = |(kind, at): &(OutcomeType, i64)| tactful_proto::v1::Outcome {
            r#type: (*kind).into(),
            occur_time: Some(prost_types::Timestamp {
                seconds: at.div_euclid(1_000),
                nanos: (at.rem_euclid(1_000) * 1_000_000) as i32,
            }),
            ..Default::default()
        };
        let row = DecisionRow { outcomes: outcomes.iter().map(outcome).collect(), ..DecisionRow::default() };
        let answer = self.answer(&row, decided_ms, &mut LeftOut::default())?;
        Some(answer == Answer::Positive)
    }

    /// The label of an answer at `now_ms`; none while it is not known.
    pub(crate) fn label(&self, answer: Answer, decided_ms: i64, now_ms: i64) -> Option<Label> {
        if let Answer::Known(positive) = answer {
            return Some(Label { positive, early: false });
        }
        let open = self.window_end(decided_ms) > now_ms;
        if open && (self.wait_for_window || answer == Answer::Silent) {
            return None;
        }
        Some(Label { positive: answer == Answer::Positive, early: open })
    }

    /// When the window of a decision closes, milliseconds since 1970.
    #[must_use]
    pub fn window_end(&self, decided_ms: i64) -> i64 {
        decided_ms.saturating_add(i64::from(self.window.seconds()) * 1_000)
    }
}

/// Milliseconds since 1970 of a timestamp, saturating.
pub(crate) fn millis(time: &prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000)
}

/// What a customer can only do with something that was shown.
fn shows_exposure(outcome: OutcomeType) -> bool {
    use OutcomeType::{Accepted, Clicked, Deferred, Exposed, Rejected};
    matches!(outcome, Exposed | Accepted | Clicked | Deferred | Rejected)
}

fn outcome_type(name: OutcomeName) -> OutcomeType {
    match name {
        OutcomeName::Exposed => OutcomeType::Exposed,
        OutcomeName::Accepted => OutcomeType::Accepted,
        OutcomeName::Rejected => OutcomeType::Rejected,
        OutcomeName::Deferred => OutcomeType::Deferred,
        OutcomeName::Clicked => OutcomeType::Clicked,
        OutcomeName::Converted => OutcomeType::Converted,
        OutcomeName::Resolved => OutcomeType::Resolved,
        OutcomeName::NotPresented => OutcomeType::NotPresented,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tactful_proto::v1::Outcome;

    const DAY_MS: i64 = 86_400_000;

    fn answer(rule: &RewardRule, outcomes: &[(OutcomeType, i64)]) -> (Option<Answer>, LeftOut) {
        let outcomes = outcomes
            .iter()
            .map(|(kind, day)| Outcome {
                r#type: (*kind).into(),
                occur_time: Some(prost_types::Timestamp { seconds: day * 86_400, nanos: 0 }),
                ..Outcome::default()
            })
            .collect();
        let mut left_out = LeftOut::default();
        let row = DecisionRow { outcomes, ..DecisionRow::default() };
        (rule.answer(&row, 0, &mut left_out), left_out)
    }

    #[test]
    fn success_counts_only_within_the_window() {
        let rule = RewardRule::default();
        assert_eq!(answer(&rule, &[(OutcomeType::Accepted, 7)]).0, Some(Answer::Positive));
        assert_eq!(answer(&rule, &[(OutcomeType::Accepted, 8)]).0, Some(Answer::Silent));
        assert_eq!(answer(&rule, &[(OutcomeType::Clicked, 1)]).0, Some(Answer::Silent));
        let both = [(OutcomeType::Rejected, 1), (OutcomeType::Converted, 2)];
        assert_eq!(answer(&rule, &both).0, Some(Answer::Positive));
        assert_eq!(answer(&rule, &both[..1]).0, Some(Answer::Rejected));
    }

    #[test]
    fn silence_is_a_failure_only_when_the_window_has_closed() {
        let rule = RewardRule::default();
        assert_eq!(rule.label(Answer::Silent, 0, 7 * DAY_MS - 1), None);
        assert_eq!(rule.label(Answer::Silent, 0, 7 * DAY_MS), Some(Label { positive: false, early: false }));
        assert_eq!(rule.label(Answer::Rejected, 0, 0), Some(Label { positive: false, early: true }));
        assert_eq!(rule.label(Answer::Positive, 0, 0), Some(Label { positive: true, early: true }));
        let waits = RewardRule { wait_for_window: true, ..rule };
        assert_eq!(waits.label(Answer::Positive, 0, 0), None);
        assert_eq!(waits.label(Answer::Rejected, i64::MAX, 0), None);
    }

    #[test]
    fn what_was_not_presented_or_not_shown_does_not_train() {
        let rule = RewardRule::default();
        let (none, left_out) = answer(&rule, &[(OutcomeType::NotPresented, 1), (OutcomeType::Accepted, 1)]);
        assert_eq!((none, left_out.not_presented), (None, 1));
        let strict = RewardRule { require_exposure: true, ..rule };
        let (none, left_out) = answer(&strict, &[(OutcomeType::Converted, 1)]);
        assert_eq!((none, left_out.not_exposed, left_out.total()), (None, 1, 1));
        assert_eq!(answer(&strict, &[(OutcomeType::Exposed, 1)]).0, Some(Answer::Silent));
    }
}
