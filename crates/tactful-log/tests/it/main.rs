//! Integration tests of the log: the conformance suite on the embedded log, and what only that one has to
//! withstand: being killed, a full disk, a second opener.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod disk;
mod embedded;
mod kill;
mod opening;
mod rate;
