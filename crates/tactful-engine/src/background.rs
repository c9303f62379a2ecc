//! Long computations beside a server on the same machine: on a thread of their own that the scheduler
//! puts behind everything that a customer waits for.

#[cfg(target_os = "linux")]
use thread_priority::{
    ThreadPriority,
    unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id},
};
use tokio::sync::oneshot;

use crate::error::Error;

/// The class of threads that run where nobody else wants to.
#[cfg(target_os = "linux")]
const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// Starts something that computes for long, and gives its result to whoever waits.
///
/// # Errors
/// [`Error::Closed`] if no thread can be started, or it panicked.
pub fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send {
    let (reply, result) = oneshot::channel();
    let computing = move || {
        step_back();
        // Nobody waits any more if the program is ending.
        let _ = reply.send(work());
    };
    let started = std::thread::Builder::new().name("compute".into()).spawn(computing);
    async move {
        started.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)
    }
}

/// Lets this thread run, for good, only where nobody else wants to. A mere nice value did not
/// do: decisions beside it were slower (docs/decisions.md 16). On a machine that is full this waits until it is not.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, IDLE) {
        tracing::debug!(?error, "the computation runs at full priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_thread_steps_back_and_others_do_not() {
        let policy = || thread_priority::unix::thread_schedule_policy().unwrap();
        let before = policy();
        assert_ne!(before, IDLE);
        assert_eq!((compute(policy).await.unwrap(), policy()), (IDLE, before));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let outcome = compute(|| panic!("as the test wants")).await;
        assert!(matches!(outcome, Err(Error::Closed)));
    }
}
