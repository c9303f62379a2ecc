//! The server from the outside: a real one on ports of its own, spoken to by real clients.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[path = "../../../tactful-engine/tests/it/artifacts.rs"]
mod artifacts;
mod calls;
mod catalogs;
mod consent;
mod drain;
mod errors;
#[path = "../../../tactful-engine/tests/it/faulty.rs"]
mod faulty;
mod fixture;
mod http;
mod identity;
mod limits;
mod models;
mod privacy;
mod raw;
mod streams;
