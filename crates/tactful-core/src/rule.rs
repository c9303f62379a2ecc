//! Rules: boolean expressions in CEL over the fields of a [`Layout`](crate::layout::Layout), compiled
//! twice. [`Program`] evaluates one expression as a flat list of operations; [`MaskIndex`] answers a
//! whole set of rules for all actions at once by one bitmap per interval of each field. Both follow
//! Kleene's logic: a field that is NaN is missing, and a comparison with it is unknown.
//!
//! A rule knows nothing of tiers, messages or time windows, and an expression can neither call
//! functions nor loop: its cost is bounded by its length.

mod check;
mod error;
mod expr;
mod mask;
mod operand;
mod program;
mod split;
mod syntax;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use error::ExprError;
pub use expr::{Arithmetic, Comparison, Constant, Expr, Node, Operand};
pub use mask::{MaskIndex, RuleSpec};
pub use program::{Program, Truth};

/// What a single rule says of a vector of fields (NaN = missing): true if the action stays.
///
/// A requirement (`block` false) holds only if it is true. A block drops if it is true, and also if it is
/// unknown and `unknown_drops`. This is the slow, obvious path: [`MaskIndex`] gives the same answer.
///
/// # Panics
/// If `fields` is shorter than the layout that the expression was parsed with.
#[must_use]
pub fn passes(rule_program: &Program, block: bool, unknown_drops: bool, fields: &[f32]) -> bool {
    match (rule_program.eval(fields), block) {
        (Truth::True, block) => !block,
        (Truth::False, block) => block,
        (Truth::Unknown, block) => block && !unknown_drops,
    }
}
