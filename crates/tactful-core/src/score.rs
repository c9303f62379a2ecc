//! Scoring: models as artifacts describe them, compiled to the layout of one ruleset, and the kernel
//! that runs linear ones.

mod bank;
mod calibrate;
mod forest;
pub mod kernel;
mod model;
mod walker;

pub use bank::{Bank, Encoded, Source, prior_deviation};
pub use calibrate::{Calibration, Knot};
pub use forest::{Forest, Link, Node, Split, Tree};
pub use model::{Column, Head, Linear, Model, ModelInput, ModelKind, Scope, ScoreError, Scorer, Spread};
pub use walker::Walker;
