//! Integration tests of the log: the conformance suite on the embedded log, and what only that one has to
//! withstand: being killed, a full disk, a second opener.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, which the test exemption does not reach"
)]

mod disk;
mod embedded;
mod kill;
mod opening;
mod rate;
mod redis;
mod redis_erasure;
