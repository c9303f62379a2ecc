//! The numbers of an expression: constants with their folding, fields, arithmetic. It knows no truth values.
//!
//! Integers and decimals are kept apart until they meet a field, so that an integer which f32 cannot hold is
//! refused rather than rounded, and so that integer division is not mistaken for CEL's, which truncates.

use super::ExprError;
use super::expr::{Arithmetic, Constant, Operand};

/// A number while the expression is checked.
#[derive(Clone, Debug)]
pub(super) enum Number {
    /// An integer constant.
    Integer(i64),
    /// A constant with a fraction.
    Decimal(f64),
    /// What depends on a field.
    Variable(Operand),
}

impl Number {
    /// Itself as an operand of f32, constants rounded once.
    ///
    /// # Errors
    /// A constant that f32 cannot hold.
    pub(super) fn operand(self, offset: usize) -> Result<Operand, ExprError> {
        match self {
            Self::Variable(operand) => Ok(operand),
            constant => constant.constant(offset).map(Operand::Constant),
        }
    }

    /// Itself as a constant of f32.
    ///
    /// # Errors
    /// What depends on a field, or what f32 cannot hold.
    pub(super) fn constant(self, offset: usize) -> Result<Constant, ExprError> {
        match self {
            Self::Integer(integer) => exact(integer, offset),
            Self::Decimal(decimal) => Constant::new(decimal as f32).ok_or_else(|| {
                ExprError::new(offset, format!("{decimal:e} does not fit a number"), "numbers are f32, up to 3.4e38")
            }),
            Self::Variable(_) => {
                let hint = "write several comparisons joined by ||";
                Err(ExprError::new(offset, "a list holds literals only", hint))
            }
        }
    }

    /// Its negative.
    ///
    /// # Errors
    /// An integer that overflows.
    pub(super) fn negated(self, offset: usize) -> Result<Self, ExprError> {
        match self {
            Self::Integer(integer) => {
                integer.checked_neg().map(Self::Integer).ok_or_else(|| overflow(offset, "-", integer, None))
            }
            Self::Decimal(decimal) => Ok(Self::Decimal(-decimal)),
            Self::Variable(operand) => Ok(Self::Variable(Operand::Negate(Box::new(operand)))),
        }
    }

    /// Arithmetic of two numbers; constants are folded.
    ///
    /// # Errors
    /// What overflows, what divides by the constant 0, and integers that do not divide evenly.
    pub(super) fn combine(
        operation: Arithmetic,
        (left, left_offset): (Self, usize),
        (right, right_offset): (Self, usize),
    ) -> Result<Self, ExprError> {
        if operation == Arithmetic::Divide && right.is_zero() {
            return Err(ExprError::new(right_offset, "division by 0", ""));
        }
        match (left, right) {
            (Self::Integer(left), Self::Integer(right)) => integers(operation, left, right, left_offset),
            (Self::Variable(left), right) => {
                let right = right.operand(right_offset)?;
                Ok(Self::Variable(Operand::Binary { operation, left: Box::new(left), right: Box::new(right) }))
            }
            (left, Self::Variable(right)) => {
                let left = left.operand(left_offset)?;
                Ok(Self::Variable(Operand::Binary { operation, left: Box::new(left), right: Box::new(right) }))
            }
            (left, right) => decimals(operation, left.decimal(), right.decimal(), left_offset),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Integer(integer) => *integer == 0,
            Self::Decimal(decimal) => *decimal == 0.0,
            Self::Variable(_) => false,
        }
    }

    /// A constant in f64.
    fn decimal(&self) -> f64 {
        match self {
            Self::Integer(integer) => *integer as f64,
            Self::Decimal(decimal) => *decimal,
            Self::Variable(_) => f64::NAN,
        }
    }
}

/// An integer as the f32 that equals it.
fn exact(integer: i64, offset: usize) -> Result<Constant, ExprError> {
    let rounded = integer as f32;
    if rounded as i128 == i128::from(integer) {
        return Constant::new(rounded).ok_or_else(|| overflow(offset, "", integer, None));
    }
    let message = format!("the integer {integer} is not exact: numbers are f32, exact up to 16777216 (2^24)");
    let hint = format!("write {rounded:?} for the nearest number, or count in greater units");
    Err(ExprError::new(offset, message, hint))
}

fn integers(operation: Arithmetic, left: i64, right: i64, offset: usize) -> Result<Number, ExprError> {
    let (sign, result) = match operation {
        Arithmetic::Add => ("+", left.checked_add(right)),
        Arithmetic::Subtract => ("-", left.checked_sub(right)),
        Arithmetic::Multiply => ("*", left.checked_mul(right)),
        Arithmetic::Divide if left.checked_rem(right).is_some_and(|rest| rest != 0) => {
            let message = format!("{left} / {right} is a division of integers that leaves a rest");
            let hint = format!("write {left}.0 / {right}.0 for the exact quotient");
            return Err(ExprError::new(offset, message, hint));
        }
        Arithmetic::Divide => ("/", left.checked_div(right)),
    };
    result.map(Number::Integer).ok_or_else(|| overflow(offset, sign, left, Some(right)))
}

fn decimals(operation: Arithmetic, left: f64, right: f64, offset: usize) -> Result<Number, ExprError> {
    let result = match operation {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
    };
    if result.is_finite() {
        return Ok(Number::Decimal(result));
    }
    Err(ExprError::new(offset, "the result of the arithmetic on constants is not finite", ""))
}

fn overflow(offset: usize, sign: &str, left: i64, right: Option<i64>) -> ExprError {
    let message = match right {
        Some(right) => format!("{left} {sign} {right} overflows"),
        None => format!("{sign}{left} overflows"),
    };
    ExprError::new(offset, message, "")
}
