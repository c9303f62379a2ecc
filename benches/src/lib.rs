//! What Tactful's benchmarks measure and how: a generated catalogue, model and customers, the
//! in-process decision, and real servers under load.
//!
//! The binary of this crate takes the measurements (`cargo xtask bench` builds and calls it); the
//! criterion benches look at single parts. Nothing here judges a figure.
#![allow(clippy::print_stderr, reason = "a command-line tool: it tells on standard error what it is doing")]

pub mod catalog;
pub mod customers;
pub mod decide;
pub mod echo;
pub mod events;
pub mod ingest;
pub mod model;
mod process;
mod raw;
pub mod rng;
pub mod serve;
pub mod state;
pub mod swap;
