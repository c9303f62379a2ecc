//! An expression as a flat list of operations on two small stacks, in Kleene's three-valued logic.
//! Evaluation allocates nothing, does not recurse and skips what cannot matter any more.

use std::ops::Range;

use super::expr::{Arithmetic, Comparison, Expr, Node, Operand};
use crate::layout::FieldIx;

/// Entries of each stack of an evaluation; an expression that needs more is refused when it is parsed.
pub(super) const STACK_MAX: usize = 32;

/// A truth value of Kleene's logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// False.
    False,
    /// True.
    True,
    /// A value that was needed is missing.
    Unknown,
}

/// A compiled expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    operations: Vec<Operation>,
    /// The constants of all `OneOf`.
    values: Vec<f32>,
}

/// One operation. The common comparisons read fields directly; only arithmetic uses the stack of numbers.
#[derive(Clone, Debug, PartialEq)]
enum Operation {
    Constant(bool),
    Flag(FieldIx),
    Has(FieldIx),
    CompareConstant {
        comparison: Comparison,
        field: FieldIx,
        constant: f32,
    },
    CompareFields {
        comparison: Comparison,
        left: FieldIx,
        right: FieldIx,
    },
    PushConstant(f32),
    PushField(FieldIx),
    Negate,
    Arithmetic(Arithmetic),
    /// Compares the two topmost numbers.
    CompareTop(Comparison),
    /// Whether the topmost number is one of these constants.
    OneOf(Range<usize>),
    Not,
    And,
    Or,
    /// Goes on at `to` if the topmost truth is `truth`, which decides an `And` or an `Or`.
    SkipIf {
        truth: Truth,
        to: usize,
    },
}

impl Truth {
    /// Kleene's negation.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Unknown => Self::Unknown,
        }
    }

    /// Kleene's conjunction.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Kleene's disjunction.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl Program {
    /// Compiles an expression.
    #[must_use]
    pub fn compile(expr: &Expr) -> Self {
        Self::of(expr.root())
    }

    /// Compiles a part of an expression.
    pub(super) fn of(node: &Node) -> Self {
        let mut program = Self { operations: Vec::new(), values: Vec::new() };
        program.emit(node);
        program
    }

    /// The truth of the expression for a vector of fields (NaN = missing). No allocation.
    ///
    /// # Panics
    /// If `fields` is shorter than the layout that the expression was parsed with.
    #[must_use]
    pub fn eval(&self, fields: &[f32]) -> Truth {
        let mut truths = Stack::new(Truth::Unknown);
        let mut numbers = Stack::new(0.0_f32);
        let mut next = 0;
        while let Some(operation) = self.operations.get(next) {
            next += 1;
            match operation {
                Operation::SkipIf { truth, to } => {
                    if truths.top() == *truth {
                        next = *to;
                    }
                }
                Operation::Not => {
                    let truth = truths.pop();
                    truths.push(truth.negated());
                }
                Operation::And => {
                    let right = truths.pop();
                    let left = truths.pop();
                    truths.push(left.and(right));
                }
                Operation::Or => {
                    let right = truths.pop();
                    let left = truths.pop();
                    truths.push(left.or(right));
                }
                Operation::PushConstant(constant) => numbers.push(*constant),
                Operation::PushField(field) => numbers.push(fields[*field]),
                Operation::Negate => {
                    let number = numbers.pop();
                    numbers.push(-number);
                }
                Operation::Arithmetic(operation) => {
                    let right = numbers.pop();
                    let left = numbers.pop();
                    numbers.push(operation.apply(left, right));
                }
                test => truths.push(self.test(test, fields, &mut numbers)),
            }
        }
        truths.top()
    }

    /// The truth of an operation that asks something of numbers.
    #[inline(always)]
    fn test(&self, operation: &Operation, fields: &[f32], numbers: &mut Stack<f32>) -> Truth {
        match operation {
            Operation::Constant(truth) => Truth::from(*truth),
            Operation::Flag(field) => known(fields[*field], |value| value != 0.0),
            Operation::Has(field) => Truth::from(!fields[*field].is_nan()),
            Operation::CompareConstant { comparison, field, constant } => {
                known(fields[*field], |value| comparison.holds(value, *constant))
            }
            Operation::CompareFields { comparison, left, right } => compare(*comparison, fields[*left], fields[*right]),
            Operation::CompareTop(comparison) => {
                let right = numbers.pop();
                let left = numbers.pop();
                compare(*comparison, left, right)
            }
            Operation::OneOf(range) => known(numbers.pop(), |value| self.values[range.clone()].contains(&value)),
            Operation::PushConstant(_)
            | Operation::PushField(_)
            | Operation::Negate
            | Operation::Arithmetic(_)
            | Operation::Not
            | Operation::And
            | Operation::Or
            | Operation::SkipIf { .. } => unreachable!("evaluated by the caller"),
        }
    }

    fn emit(&mut self, node: &Node) {
        match node {
            Node::Constant(truth) => self.operations.push(Operation::Constant(*truth)),
            Node::Flag(field) => self.operations.push(Operation::Flag(*field)),
            Node::Has(field) => self.operations.push(Operation::Has(*field)),
            Node::Compare { comparison, left, right } => self.emit_comparison(*comparison, left, right),
            Node::OneOf { operand, values } => {
                self.emit_operand(operand);
                let start = self.values.len();
                self.values.extend(values.iter().map(|value| value.value()));
                self.operations.push(Operation::OneOf(start..self.values.len()));
            }
            Node::Not(inner) => {
                self.emit(inner);
                self.operations.push(Operation::Not);
            }
            Node::And(parts) => self.emit_chain(parts, &Operation::And, Truth::False),
            Node::Or(parts) => self.emit_chain(parts, &Operation::Or, Truth::True),
        }
    }

    fn emit_comparison(&mut self, comparison: Comparison, left: &Operand, right: &Operand) {
        let operation = match (left, right) {
            (Operand::Field(field), Operand::Constant(constant)) => {
                Operation::CompareConstant { comparison, field: *field, constant: constant.value() }
            }
            (Operand::Field(left), Operand::Field(right)) => {
                Operation::CompareFields { comparison, left: *left, right: *right }
            }
            _ => {
                self.emit_operand(left);
                self.emit_operand(right);
                Operation::CompareTop(comparison)
            }
        };
        self.operations.push(operation);
    }

    /// The parts in order, each combined with those before; `decided` ends the chain early.
    fn emit_chain(&mut self, parts: &[Node], combine: &Operation, decided: Truth) {
        let mut skips = Vec::with_capacity(parts.len());
        for (position, part) in parts.iter().enumerate() {
            self.emit(part);
            if position > 0 {
                self.operations.push(combine.clone());
            }
            if position + 1 < parts.len() {
                skips.push(self.operations.len());
                self.operations.push(Operation::SkipIf { truth: decided, to: 0 });
            }
        }
        let end = self.operations.len();
        for skip in skips {
            self.operations[skip] = Operation::SkipIf { truth: decided, to: end };
        }
    }

    fn emit_operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Constant(constant) => self.operations.push(Operation::PushConstant(constant.value())),
            Operand::Field(field) => self.operations.push(Operation::PushField(*field)),
            Operand::Negate(inner) => {
                self.emit_operand(inner);
                self.operations.push(Operation::Negate);
            }
            Operand::Binary { operation, left, right } => {
                self.emit_operand(left);
                self.emit_operand(right);
                self.operations.push(Operation::Arithmetic(*operation));
            }
        }
    }
}

/// A stack that cannot overflow: parsing refuses what needs more than [`STACK_MAX`] entries.
struct Stack<T> {
    entries: [T; STACK_MAX],
    height: usize,
}

impl<T: Copy> Stack<T> {
    fn new(empty: T) -> Self {
        Self { entries: [empty; STACK_MAX], height: 0 }
    }

    fn push(&mut self, entry: T) {
        self.entries[self.height] = entry;
        self.height += 1;
    }

    fn pop(&mut self) -> T {
        self.height -= 1;
        self.entries[self.height]
    }

    fn top(&self) -> T {
        self.entries[self.height - 1]
    }
}

/// A test of a number that may be missing.
#[inline(always)]
fn known(value: f32, holds: impl FnOnce(f32) -> bool) -> Truth {
    if value.is_nan() { Truth::Unknown } else { Truth::from(holds(value)) }
}

#[inline(always)]
fn compare(comparison: Comparison, left: f32, right: f32) -> Truth {
    if left.is_nan() || right.is_nan() { Truth::Unknown } else { Truth::from(comparison.holds(left, right)) }
}
