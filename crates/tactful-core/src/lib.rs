//! The pure core of Tactful: what a customer's state is, which actions the rules allow, how they
//! are scored, and what is decided.
//!
//! It touches nothing outside its arguments: no clock, no I/O, no randomness, no async, no logging.
//! `now` and `seed` are arguments, so the same inputs give the same decision, bit for bit.

pub mod catalog;
pub mod decide;
pub mod estimate;
pub mod hash;
pub mod layout;
pub mod limits;
pub mod math;
pub mod rule;
pub mod ruleset;
pub mod score;
pub mod state;
