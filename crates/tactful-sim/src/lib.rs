//! Simulated customers with known truth, for Tactful's demo, tests and benches.
//!
//! A [`World`] is seeded: the same seed and the same calls give the same customers, events,
//! requests and answers. It reads no clock and does no I/O: times are arguments, and what it hands
//! out are the messages of the public API, to be sent by somebody else.
//!
//! The customers of the company in `catalog/` have latent traits (price sensitivity, interest in
//! technology and so on) that nobody can observe. They drive what can be observed, which is traits,
//! visits and events, and the true probability of accepting each action ([`World::acceptance`]).
//! So a policy can be held against the truth: see `tests/it/policies.rs` for what choosing at random, by
//! the catalogue's start acceptance and by the truth itself bring.
//!
//! Apart from the world stands [`proxy`], a network that fails on command.

mod customer;
mod errand;
mod events;
mod matters;
mod persona;
pub mod proxy;
#[cfg(feature = "simulation")]
pub mod simulation;
mod topic;
mod truth;
mod visit;
mod world;

pub use world::{Reaction, Step, World};
