//! Long computations beside a server on the same machine: on threads that the scheduler puts behind everything
//! that a customer waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use tactful_models::give_way;
#[cfg(target_os = "linux")]
use thread_priority::{
    ThreadPriority,
    unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id},
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::Error;

/// The class of threads that run where nobody else wants to.
#[cfg(target_os = "linux")]
const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// Time that work which somebody waits for may stand behind everything else before it is done at full priority.
const PATIENCE: Duration = Duration::from_millis(250);

/// Starts something that may wait until the machine has time for it, and gives its result to whoever waits.
///
/// # Errors
/// [`Error::Closed`] if no thread can be started, or it panicked.
pub fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send {
    start(move || {
        step_back();
        work()
    })
}

/// As [`compute`], for what is short and must come even on a machine that is full: what is not done within a
/// quarter of a second is done once more beside, at full priority, since a thread may step back but needs
/// privileges to step forward again. The first result counts.
///
/// # Errors
/// As [`compute`].
pub async fn compute_soon<T: Send + 'static>(work: impl Fn() -> T + Send + Sync + 'static) -> Result<T, Error> {
    let work = Arc::new(work);
    let same = Arc::clone(&work);
    let (reply, mut behind) = oneshot::channel();
    enqueue(move || {
        if !reply.is_closed() {
            drop(reply.send(same()));
        }
    });
    if let Ok(result) = timeout(PATIENCE, &mut behind).await {
        return result.map_err(|_| Error::Closed);
    }
    tokio::select! {
        result = behind => result.map_err(|_| Error::Closed),
        result = start(move || work()) => result,
    }
}

/// Drops something large on a thread that nobody waits for.
pub(crate) fn free<T: Send + 'static>(large: T) {
    enqueue(move || drop(large));
}

type Work = Box<dyn FnOnce() + Send>;

/// Has something done, after what came before it, by one thread that stays: what is short shall not stand in its
/// own way. What waits here is bounded by the calls that wait for it.
fn enqueue(work: impl FnOnce() + Send + 'static) {
    static QUEUE: LazyLock<Option<mpsc::Sender<Work>>> = LazyLock::new(|| {
        let (queue, waiting) = mpsc::channel::<Work>();
        let working = move || {
            step_back();
            for work in waiting {
                give_way();
                // Who waits for the result learns of a panic by getting none.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        };
        std::thread::Builder::new().name("compute".into()).spawn(working).ok().map(|_| queue)
    });
    if let Some(queue) = &*QUEUE {
        // The thread never ends, so there is always somebody to receive it.
        let _ = queue.send(Box::new(work));
    }
}

fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send {
    let (reply, result) = oneshot::channel();
    // Nobody waits any more if the program is ending.
    let working = move || drop(reply.send(work()));
    let started = std::thread::Builder::new().name("compute".into()).spawn(working);
    async move {
        started.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)
    }
}

/// Lets this thread run, for good, only where nobody else wants to. A mere nice value did not
/// do: decisions beside it were slower (docs/decisions.md 16).
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
    fn policy() -> ThreadSchedulePolicy {
        thread_priority::unix::thread_schedule_policy().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_thread_steps_back_and_others_do_not() {
        let before = policy();
        assert_ne!(before, IDLE);
        assert_eq!((compute(policy).await.unwrap(), policy()), (IDLE, before));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_stands_still_behind_others_is_done_at_full_priority() {
        let began = std::time::Instant::now();
        let ran = compute_soon(|| {
            // As a thread that gets no time.
            if policy() == IDLE {
                std::thread::sleep(8 * PATIENCE);
            }
            policy()
        });
        assert_eq!(ran.await.unwrap(), policy());
        assert!((PATIENCE..8 * PATIENCE).contains(&began.elapsed()));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_others_go_on() {
        let outcome = compute(|| panic!("as the test wants")).await;
        assert!(matches!(outcome, Err(Error::Closed)));
        for _ in 0..2 {
            let outcome = compute_soon(|| panic!("as the test wants")).await;
            assert!(matches!(outcome, Err(Error::Closed)));
        }
        assert_eq!(compute_soon(|| 1).await.unwrap(), 1);
    }
}
