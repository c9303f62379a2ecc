//! What can go wrong in training and in reading an artifact. Messages name the key, field or part
//! at fault and never carry a customer's value.

/// Why a recipe, a training run or an artifact is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The recipe is not what it should be.
    #[error("recipe line {line}: {reason}")]
    Recipe {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The recipe names a field that no row has.
    #[error("recipe: no row has the feature {feature}{}", hint.as_ref().map_or_else(String::new, |near| format!(": did you mean {near}?")))]
    UnknownFeature {
        /// As the recipe spells it.
        feature: String,
        /// The nearest field that rows do have.
        hint: Option<String>,
    },
    /// A field is text in some rows and a number or truth value in others.
    #[error("feature {feature} is text in some rows and a number in others")]
    MixedKinds {
        /// Its name.
        feature: String,
    },
    /// A table lacks a column that the recipe names.
    #[error("recipe: {key} = {column:?}, but the table has no such column{}", hint.as_ref().map_or_else(String::new, |near| format!(": did you mean {near}?")))]
    NoColumn {
        /// Key of the recipe.
        key: String,
        /// As the recipe spells it.
        column: String,
        /// The nearest column that the table has.
        hint: Option<String>,
    },
    /// A cell of a table is not what it should be.
    #[error("row {row}, column {column}: {reason}")]
    Cell {
        /// Row, from 1, the header not counted.
        row: u64,
        /// Name of the column.
        column: String,
        /// What is wrong there.
        reason: String,
    },
    /// A table cannot be trained from as it is.
    #[error("table: {0}")]
    Table(String),
    /// More of something than is allowed.
    #[error("{what}: {count}, at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there are, or were when counting stopped.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Nothing to learn from.
    #[error("no rows to train on: {reason}")]
    NoRows {
        /// Where the rows went.
        reason: String,
    },
    /// Only successes or only failures.
    #[error("{positives} of {rows} training rows are positive: both answers are needed to learn from")]
    OneClass {
        /// Training rows.
        rows: usize,
        /// Positive ones.
        positives: usize,
    },
    /// Not even the shared head could be fitted.
    #[error("no head could be fitted: {reason}")]
    NoHead {
        /// Why the shared head failed.
        reason: String,
    },
    /// The compiled form does not give what linfa gives.
    #[error("{head}: scored {scored} where linfa predicts {predicted}{}", suspect.as_ref().map_or_else(String::new, |input| format!("; input {input} has values too far from zero for its spread")))]
    Mismatch {
        /// Scope and id of the head.
        head: String,
        /// What the core scores.
        scored: f64,
        /// What linfa predicts.
        predicted: f64,
        /// Input with the greatest part in the rounding, if any.
        suspect: Option<String>,
    },
    /// Nothing can be learnt row by row.
    #[error("cannot learn online: {0}")]
    Online(String),
    /// A foreign model is refused, or what was said about it.
    #[error("{0}")]
    Import(String),
    /// The artifact is refused.
    #[error("artifact: {0}")]
    Artifact(String),
    /// The report is refused.
    #[error("report: {0}")]
    Report(String),
}
