//! Long computations beside a server on the same machine: on a thread of their own that the scheduler
//! puts behind everything that a customer waits for.

use anyhow::{Context, Result};
use tokio::sync::oneshot;

/// Nice value of the thread, the meekest there is.
const NICE: i32 = 19;

/// Runs something that computes for long and gives its result.
///
/// # Errors
/// If no thread can be started, or it panicked.
pub(crate) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (reply, result) = oneshot::channel();
    std::thread::Builder::new().name("compute".into()).spawn(move || {
        step_back();
        // Nobody waits any more if the program is ending.
        let _ = reply.send(work());
    })?;
    result.await.context("the computation ended without a result")
}

/// Lowers the priority of this thread for good. On Linux a priority belongs to a thread, elsewhere to the process.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the computation runs at full priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_steps_back_and_others_do_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let during = compute(nice).await.unwrap();
        assert_eq!((during, nice()), (if cfg!(target_os = "linux") { NICE } else { before }, before));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let outcome = compute(|| panic!("as the test wants")).await;
        assert!(outcome.unwrap_err().to_string().contains("without a result"));
    }
}
