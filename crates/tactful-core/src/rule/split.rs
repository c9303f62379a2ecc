//! A rule as the smallest tests whose conjunction says the same: an action stays if all of them hold.
//! The split is exact in Kleene's logic; what cannot be split exactly stays whole.

use super::expr::Node;
use super::mask::RuleSpec;
use super::program::Truth;

/// What a test asks of the truth of its condition. A requirement holds only if true; a block passes what is
/// not true, or, if unknown drops, only what is false; "not false" comes from negations within blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    IsTrue,
    IsFalse,
    NotTrue,
    NotFalse,
}

/// A condition and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test<'a> {
    pub(super) node: &'a Node,
    pub(super) verdict: Verdict,
}

impl Verdict {
    pub(super) fn accepts(self, truth: Truth) -> bool {
        match self {
            Self::IsTrue => truth == Truth::True,
            Self::IsFalse => truth == Truth::False,
            Self::NotTrue => truth != Truth::True,
            Self::NotFalse => truth != Truth::False,
        }
    }

    /// The same asked of the negation.
    fn negated(self) -> Self {
        match self {
            Self::IsTrue => Self::IsFalse,
            Self::IsFalse => Self::IsTrue,
            Self::NotTrue => Self::NotFalse,
            Self::NotFalse => Self::NotTrue,
        }
    }
}

/// The tests of a rule.
pub(super) fn tests(rule: &RuleSpec) -> Vec<Test<'_>> {
    let verdict = match (rule.block, rule.unknown_drops) {
        (false, _) => Verdict::IsTrue,
        (true, true) => Verdict::IsFalse,
        (true, false) => Verdict::NotTrue,
    };
    let mut tests = Vec::new();
    split(rule.expr.root(), verdict, &mut tests);
    tests
}

/// An `And` is true if all parts are, and not false if no part is false; an `Or` is false if all parts are,
/// and not true if no part is true. The other four combinations do not split.
fn split<'a>(node: &'a Node, verdict: Verdict, tests: &mut Vec<Test<'a>>) {
    match (node, verdict) {
        (Node::Not(inner), verdict) => split(inner, verdict.negated(), tests),
        (Node::And(parts), Verdict::IsTrue | Verdict::NotFalse)
        | (Node::Or(parts), Verdict::IsFalse | Verdict::NotTrue) => {
            parts.iter().for_each(|part| split(part, verdict, tests));
        }
        (node, verdict) => tests.push(Test { node, verdict }),
    }
}
