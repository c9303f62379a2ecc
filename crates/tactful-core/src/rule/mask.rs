//! All rules of all actions at once. Each rule is split into tests; a test that reads one field can change
//! its answer only at the constants it compares with, so these breakpoints cut the field's values into
//! classes, and each class has one bitmap of the actions that survive all tests on that field. Eligibility is
//! then one binary search and one AND of bitmaps per field, whatever the number of rules.
//!
//! Tests that read several fields, or do arithmetic, are evaluated one by one, each distinct one once. The
//! index does not say which rule dropped an action: that is [`passes`](super::passes).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::expr::{Expr, Node};
use super::program::{Program, Truth};
use super::split::{Test, Verdict, tests};
use crate::layout::FieldIx;

/// Words of all bitmaps of an index, 64 MiB. Tests beyond it are evaluated one by one: the same answer, slower.
/// 16,384 actions (256 words) still have room for 32,768 classes.
const MASK_WORDS_MAX: usize = 1 << 23;

/// One rule as the masks see it.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// The condition.
    pub expr: Expr,
    /// False: the action stays only if the condition is true. True: it is dropped if the condition is true.
    pub block: bool,
    /// Of a block: whether unknown drops. An unknown requirement always drops.
    pub unknown_drops: bool,
    /// Indices of the actions that it guards.
    pub actions: Vec<usize>,
}

/// The rules of all actions, compiled to bitmaps.
#[derive(Clone, Debug)]
pub struct MaskIndex {
    /// Bits of the actions that no constant rule drops; no bit beyond the last action.
    always: Vec<u64>,
    columns: Vec<Column>,
    breakpoints: Vec<f32>,
    /// Bitmaps of all classes of all columns, `words()` each.
    masks: Vec<u64>,
    checks: Vec<Check>,
    /// Guarded actions of all checks: word and bits.
    guards: Vec<(usize, u64)>,
}

/// The bitmaps of one field. With breakpoints b0 < b1 < ... its classes are: below b0, b0, between b0 and b1,
/// b1, ..., above the last, missing.
#[derive(Clone, Debug)]
struct Column {
    field: FieldIx,
    breakpoints: Range<usize>,
    /// Where the first class's bitmap starts.
    masks: usize,
}

/// A test that is evaluated one by one, and the actions that it drops if it fails.
#[derive(Clone, Debug)]
struct Check {
    program: Program,
    verdict: Verdict,
    guards: Range<usize>,
}

/// Distinct tests with the actions that they guard.
type Guarded<'a> = BTreeMap<Test<'a>, BTreeSet<usize>>;

impl MaskIndex {
    /// Compiles the rules of `action_count` actions. Off the hot path: time and memory grow with the actions
    /// times the distinct constants per field.
    ///
    /// # Panics
    /// If a rule guards an action that does not exist.
    #[must_use]
    pub fn build(action_count: usize, rules: &[RuleSpec]) -> Self {
        Self::build_within(MASK_WORDS_MAX, action_count, rules)
    }

    /// Words of a bitmap: one bit for each action.
    #[must_use]
    pub fn words(&self) -> usize {
        self.always.len()
    }

    /// Clears in `out` (`words()` long, bit = still eligible) every action that a rule drops for this vector
    /// of fields (NaN = missing). Cost: a binary search and an AND per field that rules read, an evaluation
    /// per distinct test over several fields; no allocation.
    ///
    /// # Panics
    /// If `out` is not `words()` long, or `fields` is shorter than the layout of the expressions.
    pub fn eligible(&self, fields: &[f32], out: &mut [u64]) {
        assert_eq!(out.len(), self.words(), "one bit for each action");
        intersect(out, &self.always);
        for column in &self.columns {
            let class = class_of(&self.breakpoints[column.breakpoints.clone()], fields[column.field]);
            let start = column.masks + class * self.words();
            intersect(out, &self.masks[start..start + self.words()]);
        }
        for check in &self.checks {
            let guards = &self.guards[check.guards.clone()];
            // An evaluation costs more than this look: skip it if all are dropped already.
            let alive = guards.iter().any(|(word, bits)| out[*word] & bits != 0);
            if alive && !check.verdict.accepts(check.program.eval(fields)) {
                guards.iter().for_each(|(word, bits)| out[*word] &= !bits);
            }
        }
    }

    /// As [`Self::build`] with at most `budget` words of bitmaps.
    fn build_within(budget: usize, action_count: usize, rules: &[RuleSpec]) -> Self {
        let mut index = Self {
            always: full(action_count),
            columns: Vec::new(),
            breakpoints: Vec::new(),
            masks: Vec::new(),
            checks: Vec::new(),
            guards: Vec::new(),
        };
        let mut by_field: BTreeMap<FieldIx, Guarded> = BTreeMap::new();
        let mut rest: Guarded = BTreeMap::new();
        for (test, actions) in guarded(action_count, rules) {
            if let Node::Constant(truth) = test.node {
                if !test.verdict.accepts(Truth::from(*truth)) {
                    actions.iter().for_each(|action| clear(&mut index.always, *action));
                }
            } else if let Some(field) = only_field(test.node) {
                by_field.entry(field).or_default().insert(test, actions);
            } else {
                rest.insert(test, actions);
            }
        }
        for (field, tests) in by_field {
            let beyond = index.add_column(budget, field, tests);
            rest.extend(beyond);
        }
        for (test, actions) in &rest {
            index.add_check(test, actions);
        }
        index
    }

    /// Adds the bitmaps of one field; returns the tests that the budget leaves out.
    fn add_column<'a>(&mut self, budget: usize, field: FieldIx, tests: Guarded<'a>) -> Guarded<'a> {
        let classes_max = (budget - self.masks.len()) / self.words().max(1);
        let (kept, breakpoints, beyond) = within(classes_max, tests);
        if kept.is_empty() {
            return beyond;
        }
        let start = self.masks.len();
        let classes = class_count(breakpoints.len());
        let everyone = vec![u64::MAX; self.words()];
        (0..classes).for_each(|_| self.masks.extend_from_slice(&everyone));
        let words = self.words();
        for (test, actions) in &kept {
            for class in failing_classes(field, test, &breakpoints) {
                let mask = &mut self.masks[start + class * words..][..words];
                actions.iter().for_each(|action| clear(mask, *action));
            }
        }
        let first = self.breakpoints.len();
        self.breakpoints.extend(breakpoints);
        self.columns.push(Column { field, breakpoints: first..self.breakpoints.len(), masks: start });
        beyond
    }

    fn add_check(&mut self, test: &Test, actions: &BTreeSet<usize>) {
        let first = self.guards.len();
        for action in actions {
            let (word, bit) = (action / 64, 1 << (action % 64));
            match self.guards[first..].last_mut() {
                Some((last, bits)) if *last == word => *bits |= bit,
                _ => self.guards.push((word, bit)),
            }
        }
        let program = Program::of(test.node);
        self.checks.push(Check { program, verdict: test.verdict, guards: first..self.guards.len() });
    }
}

/// The distinct tests of all rules.
fn guarded(action_count: usize, rules: &[RuleSpec]) -> Guarded<'_> {
    let mut guarded: Guarded = BTreeMap::new();
    for rule in rules {
        assert!(rule.actions.iter().all(|action| *action < action_count), "a rule guards actions that exist");
        if rule.actions.is_empty() {
            continue;
        }
        for test in tests(rule) {
            guarded.entry(test).or_default().extend(&rule.actions);
        }
    }
    guarded
}

/// The field of a condition over one field whose breakpoints are known.
fn only_field(node: &Node) -> Option<FieldIx> {
    let mut fields = BTreeSet::new();
    node.collect_fields(&mut fields);
    let breakpoints_known = node.collect_breakpoints(&mut Vec::new());
    (fields.len() == 1 && breakpoints_known).then(|| fields.first().copied()).flatten()
}

/// The tests whose breakpoints together give at most `classes_max` classes, these breakpoints in order, and
/// the other tests.
fn within(classes_max: usize, tests: Guarded<'_>) -> (Guarded<'_>, Vec<f32>, Guarded<'_>) {
    let mut breakpoints: BTreeMap<u32, f32> = BTreeMap::new();
    let (mut kept, mut beyond) = (Guarded::new(), Guarded::new());
    for (test, actions) in tests {
        let own = own_breakpoints(test.node);
        let added = own.iter().filter(|value| !breakpoints.contains_key(&value.to_bits())).count();
        if class_count(breakpoints.len() + added) > classes_max {
            beyond.insert(test, actions);
        } else {
            breakpoints.extend(own.into_iter().map(|value| (value.to_bits(), value)));
            kept.insert(test, actions);
        }
    }
    let mut sorted: Vec<f32> = breakpoints.into_values().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    (kept, sorted, beyond)
}

/// The breakpoints of a condition in order, each once. The two zeros are one value.
fn own_breakpoints(node: &Node) -> Vec<f32> {
    let mut breakpoints = Vec::new();
    node.collect_breakpoints(&mut breakpoints);
    breakpoints.iter_mut().for_each(|value| *value += 0.0);
    breakpoints.sort_unstable_by(f32::total_cmp);
    breakpoints.dedup();
    breakpoints
}

/// Classes of a column: a value or an interval each, and missing.
fn class_count(breakpoints: usize) -> usize {
    2 * breakpoints + 2
}

/// Breakpoints up to which counting all of them, several at a time, beats a search step by step.
const COUNTED_MAX: usize = 64;

/// The class of a value. No allocation.
#[inline(always)]
fn class_of(breakpoints: &[f32], value: f32) -> usize {
    if value.is_nan() {
        return class_count(breakpoints.len()) - 1;
    }
    let below = if breakpoints.len() <= COUNTED_MAX {
        breakpoints.iter().map(|breakpoint| u32::from(*breakpoint < value)).sum::<u32>() as usize
    } else {
        breakpoints.partition_point(|breakpoint| *breakpoint < value)
    };
    let exact = breakpoints.get(below).is_some_and(|breakpoint| *breakpoint == value);
    2 * below + usize::from(exact)
}

/// The classes of a column's breakpoints in which a test fails. The test is evaluated only once in each
/// class of its own breakpoints, which are some of the column's.
fn failing_classes(field: FieldIx, test: &Test, breakpoints: &[f32]) -> Vec<usize> {
    let program = Program::of(test.node);
    let mut vector = vec![f32::NAN; field + 1];
    let mut fails = |value: f32| {
        vector[field] = value;
        !test.verdict.accepts(program.eval(&vector))
    };
    let own = own_breakpoints(test.node);
    let mut failing = Vec::new();
    let mut start = 0;
    let mut inside = f32::NEG_INFINITY;
    for breakpoint in &own {
        let at = class_of(breakpoints, *breakpoint);
        // No number lies between neighbours: `inside` is then the breakpoint, and the class is never asked.
        if inside < *breakpoint && fails(inside) {
            failing.extend(start..at);
        }
        if fails(*breakpoint) {
            failing.push(at);
        }
        start = at + 1;
        inside = breakpoint.next_up();
    }
    let missing = class_count(breakpoints.len()) - 1;
    if fails(f32::INFINITY) {
        failing.extend(start..missing);
    }
    if fails(f32::NAN) {
        failing.push(missing);
    }
    failing
}

/// A bitmap of `count` ones.
fn full(count: usize) -> Vec<u64> {
    let mut words = vec![u64::MAX; count.div_ceil(64)];
    if let Some(last) = words.last_mut().filter(|_| !count.is_multiple_of(64)) {
        *last = (1 << (count % 64)) - 1;
    }
    words
}

fn clear(mask: &mut [u64], action: usize) {
    mask[action / 64] &= !(1 << (action % 64));
}

#[inline(always)]
fn intersect(out: &mut [u64], mask: &[u64]) {
    out.iter_mut().zip(mask).for_each(|(out, mask)| *out &= mask);
}

#[cfg(test)]
mod tests_of_masks {
    use super::*;
    use crate::layout::{Field, FieldKind, Layout};
    use crate::rule::passes;

    fn layout() -> Layout {
        let number = |name: &str| Field { name: name.into(), kind: FieldKind::Number };
        Layout::new(vec![number("customer.age"), number("customer.spend")])
    }

    fn rule(source: &str, block: bool, unknown_drops: bool, actions: &[usize]) -> RuleSpec {
        RuleSpec { expr: Expr::parse(source, &layout()).unwrap(), block, unknown_drops, actions: actions.to_vec() }
    }

    /// Compares with the single rules for every interesting value, and returns the index.
    fn agree(budget: usize, action_count: usize, rules: &[RuleSpec]) -> MaskIndex {
        let index = MaskIndex::build_within(budget, action_count, rules);
        let interesting = [f32::NAN, f32::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0, 1.0_f32.next_up(), 2.0, f32::INFINITY];
        for age in interesting {
            for spend in interesting {
                let mut out = vec![u64::MAX; index.words()];
                index.eligible(&[age, spend], &mut out);
                for action in 0..action_count {
                    let stays = rules.iter().filter(|rule| rule.actions.contains(&action)).all(|rule| {
                        passes(&Program::compile(&rule.expr), rule.block, rule.unknown_drops, &[age, spend])
                    });
                    assert_eq!(out[action / 64] >> (action % 64) & 1 == 1, stays, "{action} at {age} {spend}");
                }
            }
        }
        index
    }

    #[test]
    fn single_fields_become_columns_and_the_rest_distinct_checks() {
        let rules = [
            rule("customer.age > 1 && customer.spend <= 0", false, false, &[0, 69]),
            rule("customer.age >= 1 || customer.spend == 2", true, true, &[1]),
            rule("!(customer.age >= 1 && customer.spend == 2)", true, false, &[2]),
            rule("customer.age < customer.spend", true, false, &[3]),
            rule("customer.age < customer.spend", true, false, &[4, 5, 64]),
            rule("customer.age * 2 > 1", false, false, &[6]),
            rule("customer.age == 1 || customer.age == 2 || !has(customer.age)", false, false, &[7]),
            rule("false", false, false, &[8]),
            rule("true", false, false, &[9]),
        ];
        let index = agree(MASK_WORDS_MAX, 70, &rules);
        assert_eq!(index.columns.len(), 2);
        assert_eq!(index.checks.len(), 2, "equal expressions are one check");
        assert_eq!(index.always[0], !(1 << 8));
        assert_eq!(index.always[1], (1 << 6) - 1, "no bit beyond the last action");
    }

    #[test]
    fn beyond_the_budget_the_answer_stays_the_same() {
        let rules: Vec<RuleSpec> = (0..6)
            .map(|action| {
                rule(&format!("customer.age > {}.5 || customer.age == 1", action % 3), false, false, &[action])
            })
            .collect();
        let unlimited = agree(MASK_WORDS_MAX, 6, &rules);
        assert_eq!((unlimited.columns.len(), unlimited.checks.len()), (1, 0));
        let tight = agree(6, 6, &rules);
        assert_eq!((tight.columns.len(), tight.checks.len()), (1, 2));
        let none = agree(0, 6, &rules);
        assert_eq!((none.columns.len(), none.checks.len()), (0, 3));
    }

    #[test]
    fn without_rules_or_actions_nothing_is_dropped() {
        let mut out = [u64::MAX];
        MaskIndex::build(3, &[]).eligible(&[], &mut out);
        assert_eq!(out, [0b111]);
        MaskIndex::build(0, &[]).eligible(&[], &mut []);
    }
}
