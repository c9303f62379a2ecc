//! Training, artifacts and reports from the outside, on customers with known truth.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod corpus;
mod damaged;
mod foreign;
mod linfa_traps;
mod mutated;
mod reports;
mod synthetic;
mod training;
mod trees;
