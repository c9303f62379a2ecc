//! What is wrong with an expression, and where. It carries offsets only; files and lines are the
//! catalogue reader's.

/// Why an expression was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Byte offset in the source.
    pub offset: usize,
    /// What is wrong: lower case, no full stop, naming the value.
    pub message: String,
    /// How to mend it; may be empty.
    pub hint: String,
}

impl ExprError {
    pub(super) fn new(offset: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { offset, message: message.into(), hint: hint.into() }
    }
}
