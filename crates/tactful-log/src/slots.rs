//! A bound on work that blocks on the disk: so much at a time, so many callers in line, then a refusal.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

pub(crate) struct Slots {
    callers: Arc<Semaphore>,
    running: Arc<Semaphore>,
    callers_max: usize,
}

/// Permission to run, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _running: OwnedSemaphorePermit,
    _caller: OwnedSemaphorePermit,
}

impl Slots {
    /// `running` at a time, `callers` with those that wait.
    pub(crate) fn new(running: usize, callers: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { callers: semaphore(callers), running: semaphore(running), callers_max: callers }
    }

    pub(crate) async fn enter(&self) -> Result<Slot, Error> {
        let overloaded = |_| Error::Overloaded { what: "callers", limit: self.callers_max };
        let _caller = Arc::clone(&self.callers).try_acquire_owned().map_err(overloaded)?;
        let _running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Closed)?;
        Ok(Slot { _running, _caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_one_waits_and_the_third_is_refused() {
        let slots = Arc::new(Slots::new(1, 2));
        let running = slots.enter().await.unwrap();
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(matches!(slots.enter().await, Err(Error::Overloaded { limit: 2, .. })));
        drop(running);
        waiting.await.unwrap().unwrap();
        assert!(slots.enter().await.is_ok());
    }
}
