//! Scoring: models compiled to the layout of one ruleset, and the kernel that runs them.

pub mod kernel;
mod linear;

pub use linear::{Bank, Column, Head, LinearModel, ModelInput, Scope, ScoreError, Source};
