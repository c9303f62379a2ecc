//! The typed form of an expression: names are field indices, words are vocabulary indices, constants
//! are folded. It refuses nothing: what is ill typed never gets this far.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{ExprError, check, syntax};
use crate::layout::{FieldIx, Layout};

/// A boolean expression over the fields of a layout, checked and folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expr {
    root: Node,
}

/// A condition. Every form but [`Node::Has`] and [`Node::Constant`] is unknown where a number that it
/// needs is NaN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// Always this.
    Constant(bool),
    /// The truth of a bool field: not 0.
    Flag(FieldIx),
    /// Whether a field is there; never unknown.
    Has(FieldIx),
    /// A comparison of two numbers; a lone constant stands right.
    Compare {
        /// How they are compared.
        comparison: Comparison,
        /// Left side.
        left: Operand,
        /// Right side.
        right: Operand,
    },
    /// Whether a number equals one of several constants (sorted, each once).
    OneOf {
        /// The number.
        operand: Operand,
        /// The constants.
        values: Vec<Constant>,
    },
    /// Negation.
    Not(Box<Node>),
    /// True if all are, false if one is. At least two parts, none of them an `And`.
    And(Vec<Node>),
    /// True if one is, false if all are. At least two parts, none of them an `Or`.
    Or(Vec<Node>),
}

/// A number. Categories are their vocabulary index, bools 0 or 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand {
    /// A constant.
    Constant(Constant),
    /// A field.
    Field(FieldIx),
    /// Its negative.
    Negate(Box<Operand>),
    /// Arithmetic of two numbers in f32, rounded at each step.
    Binary {
        /// The operation.
        operation: Arithmetic,
        /// Left side.
        left: Box<Operand>,
        /// Right side.
        right: Box<Operand>,
    },
}

/// A finite constant, rounded once to f32; equal if the bits are, so that expressions can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Constant(f32);

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; division by 0 is infinite, or missing if 0 is divided.
    Divide,
}

impl Expr {
    /// Parses and checks a boolean expression over the layout's fields.
    ///
    /// Number literals are rounded once to f32, the precision of the fields; an integer that f32 cannot
    /// hold is refused.
    ///
    /// # Errors
    /// The first thing that is wrong, with its byte offset and a hint.
    pub fn parse(source: &str, layout: &Layout) -> Result<Self, ExprError> {
        let parsed = syntax::parse(source)?;
        check::check(&parsed, layout).map(|root| Self { root })
    }

    /// The condition.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The fields that it reads, after folding.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<FieldIx> {
        let mut fields = BTreeSet::new();
        self.root.collect_fields(&mut fields);
        fields
    }
}

impl Constant {
    /// A constant; `None` if the value is not finite.
    #[must_use]
    pub fn new(value: f32) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// The constant of a vocabulary index, which is exact: a vocabulary is bounded far below 2^24.
    pub(super) fn word(index: usize) -> Self {
        Self(index as f32)
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> f32 {
        self.0
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Constant {}

impl PartialOrd for Constant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Constant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Comparison {
    /// The result for two numbers that are not NaN.
    #[must_use]
    pub fn holds(self, left: f32, right: f32) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
        }
    }

    /// The comparison with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }

    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }
}

impl Arithmetic {
    /// The result in f32; NaN counts as missing.
    #[must_use]
    pub fn apply(self, left: f32, right: f32) -> f32 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
        }
    }
}

impl Node {
    /// Negation; constants and double negations are folded.
    pub(super) fn not(node: Self) -> Self {
        match node {
            Self::Constant(truth) => Self::Constant(!truth),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Conjunction; nested ones are flattened, constants folded (false && unknown is false).
    pub(super) fn and(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Constant(false), _) | (_, Self::Constant(false)) => Self::Constant(false),
            (Self::Constant(true), other) | (other, Self::Constant(true)) => other,
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), part) => {
                parts.push(part);
                Self::And(parts)
            }
            (part, Self::And(mut parts)) => {
                parts.insert(0, part);
                Self::And(parts)
            }
            (left, right) => Self::And(vec![left, right]),
        }
    }

    /// Disjunction; nested ones are flattened, constants folded (true || unknown is true).
    pub(super) fn or(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Constant(true), _) | (_, Self::Constant(true)) => Self::Constant(true),
            (Self::Constant(false), other) | (other, Self::Constant(false)) => other,
            (Self::Or(mut parts), Self::Or(more)) => {
                parts.extend(more);
                Self::Or(parts)
            }
            (Self::Or(mut parts), part) => {
                parts.push(part);
                Self::Or(parts)
            }
            (part, Self::Or(mut parts)) => {
                parts.insert(0, part);
                Self::Or(parts)
            }
            (left, right) => Self::Or(vec![left, right]),
        }
    }

    pub(super) fn collect_fields(&self, fields: &mut BTreeSet<FieldIx>) {
        match self {
            Self::Constant(_) => {}
            Self::Flag(field) | Self::Has(field) => {
                fields.insert(*field);
            }
            Self::Compare { left, right, .. } => {
                left.collect_fields(fields);
                right.collect_fields(fields);
            }
            Self::OneOf { operand, .. } => operand.collect_fields(fields),
            Self::Not(inner) => inner.collect_fields(fields),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect_fields(fields)),
        }
    }

    /// Of a condition over one field: collects the values between which its truth cannot change.
    /// False if they are not known, because there is arithmetic on the field.
    pub(super) fn collect_breakpoints(&self, breakpoints: &mut Vec<f32>) -> bool {
        match self {
            Self::Constant(_) | Self::Has(_) => true,
            Self::Flag(_) => {
                breakpoints.push(0.0);
                true
            }
            Self::Compare { left: Operand::Field(_), right: Operand::Constant(constant), .. } => {
                breakpoints.push(constant.value());
                true
            }
            // Over one field, both are the same field: only missing or not matters.
            Self::Compare { left: Operand::Field(_), right: Operand::Field(_), .. } => true,
            Self::OneOf { operand: Operand::Field(_), values } => {
                breakpoints.extend(values.iter().map(|value| value.value()));
                true
            }
            Self::Compare { .. } | Self::OneOf { .. } => false,
            Self::Not(inner) => inner.collect_breakpoints(breakpoints),
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| part.collect_breakpoints(breakpoints)),
        }
    }

    /// Entries that the stacks of a program need to evaluate it.
    pub(super) fn stack_need(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Flag(_) | Self::Has(_) => 1,
            Self::Compare { left, right, .. } => left.stack_need().max(1 + right.stack_need()),
            Self::OneOf { operand, .. } => operand.stack_need(),
            Self::Not(inner) => inner.stack_need(),
            Self::And(parts) | Self::Or(parts) => 1 + parts.iter().map(Self::stack_need).max().unwrap_or(0),
        }
    }
}

impl Operand {
    fn collect_fields(&self, fields: &mut BTreeSet<FieldIx>) {
        match self {
            Self::Constant(_) => {}
            Self::Field(field) => {
                fields.insert(*field);
            }
            Self::Negate(inner) => inner.collect_fields(fields),
            Self::Binary { left, right, .. } => {
                left.collect_fields(fields);
                right.collect_fields(fields);
            }
        }
    }

    fn stack_need(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Field(_) => 1,
            Self::Negate(inner) => inner.stack_need(),
            Self::Binary { left, right, .. } => left.stack_need().max(1 + right.stack_need()),
        }
    }
}
