//! A load generator that does not flatter: constant arrival rate, latency from the intended send time.
//!
//! [`run`] drives any unary call ([`Call`]) over N connections spread over OS threads, each with a
//! current-thread runtime, and gives a [`Report`]. It never slows down because the server does: a
//! stall shows in the latency of every request that was due meanwhile (no coordinated omission). It
//! does not start servers and does not judge results.

mod call;
mod cpu;
mod decide;
mod machine;
mod pace;
mod plan;
mod recorder;
mod report;
mod run;
mod worker;

pub use call::Call;
pub use cpu::{process_cpu, thread_cpu};
pub use decide::{DecideCall, Subjects, decide_requests};
pub use machine::Machine;
pub use plan::{Load, Plan, Target};
pub use recorder::{Quantiles, UNFINISHED};
pub use report::Report;
pub use run::{Progress, run};
