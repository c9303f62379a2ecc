//! Integration tests of the simulator against the catalogue in `catalog/` and the pure core.

mod catalog;
mod company;
mod learner;
mod policies;
mod simulation;
mod world;
