//! The engine from the outside: on real embedded logs, with restarts, failures and concurrency.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod archive;
mod artifacts;
mod catalogs;
mod concurrency;
mod consent;
mod decisions;
mod erasure;
mod external;
mod facts;
mod failures;
mod faulty;
mod fixture;
mod identity;
mod learner;
mod models;
mod positions;
mod schema;
mod snapshots;
mod state;
