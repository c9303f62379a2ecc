//! The way to a log's writer thread: bounded in commands and in bytes, and so is the number of callers that
//! wait for room. It refuses to order anything: what is pushed first is taken first.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{Error, GROUP_BYTES_MAX, Offset, Partition};

/// Commands accepted and not yet answered.
pub(crate) const QUEUE_COMMANDS_MAX: usize = 1_024;
/// Payload bytes accepted and not yet answered: four of the largest groups.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Callers that wait for room; one more is refused.
pub(crate) const QUEUE_WAITING_MAX: usize = 4_096;
/// Payload bytes that they hold together; more are refused.
pub(crate) const QUEUE_WAITING_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(GROUP_BYTES_MAX <= QUEUE_BYTES_MAX, "every group finds room some time");
const _: () = assert!(QUEUE_BYTES_MAX <= QUEUE_WAITING_BYTES_MAX, "whatever may be queued may wait");
const _: () = assert!(QUEUE_WAITING_BYTES_MAX <= u32::MAX as usize, "permits are counted in u32");

pub(crate) struct Queue<C> {
    commands: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    pending: Mutex<Pending<C>>,
    arrived: Condvar,
}

struct Pending<C> {
    commands: Vec<C>,
    closed: bool,
}

/// One caller's atomic group.
pub(crate) struct Group {
    pub(crate) entries: Vec<(Partition, Bytes)>,
    /// Payload bytes of all entries.
    pub(crate) bytes: usize,
    pub(crate) reply: oneshot::Sender<Result<Vec<Offset>, Error>>,
    /// Frees its place in the queue when the group is answered.
    pub(crate) room: Room,
}

/// Room for one command, kept until it is answered.
#[derive(Debug)]
pub(crate) struct Room {
    _command: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// Counts something that waits, for as long as its caller's future lives.
struct Waiting<'a> {
    total: &'a AtomicUsize,
    own: usize,
}

impl<'a> Waiting<'a> {
    fn add(total: &'a AtomicUsize, own: usize, what: &'static str, limit: usize) -> Result<Self, Error> {
        let waiting = Self { total, own };
        if total.fetch_add(own, Ordering::Relaxed) + own > limit {
            return Err(Error::Overloaded { what, limit });
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.own, Ordering::Relaxed);
    }
}

impl<C> Queue<C> {
    pub(crate) fn new() -> Self {
        Self {
            commands: Arc::new(Semaphore::new(QUEUE_COMMANDS_MAX)),
            bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            pending: Mutex::new(Pending { commands: Vec::new(), closed: false }),
            arrived: Condvar::new(),
        }
    }

    /// Waits for room, first come first served.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, Error> {
        let _caller = Waiting::add(&self.waiting, 1, "callers", QUEUE_WAITING_MAX)?;
        let _held = Waiting::add(&self.waiting_bytes, bytes, "bytes", QUEUE_WAITING_BYTES_MAX)?;
        let bytes = u32::try_from(bytes).expect("may wait, so it is below the bound above");
        let _command = Arc::clone(&self.commands).acquire_owned().await.map_err(|_| Error::Closed)?;
        let _bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
        Ok(Room { _command, _bytes })
    }

    /// Hands a command over; the caller holds room for it.
    pub(crate) fn push(&self, command: C) -> Result<(), Error> {
        let mut pending = self.pending();
        if pending.closed {
            return Err(Error::Closed);
        }
        pending.commands.push(command);
        drop(pending);
        self.arrived.notify_one();
        Ok(())
    }

    /// Everything queued, waiting up to `patience` (`None`: for good) for something; empty when that passed.
    /// `None` once the queue is closed and drained.
    pub(crate) fn take(&self, patience: Option<Duration>) -> Option<Vec<C>> {
        let idle = |pending: &mut Pending<C>| pending.commands.is_empty() && !pending.closed;
        let pending = self.pending();
        let mut pending = match patience {
            None => self.arrived.wait_while(pending, idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.arrived.wait_timeout_while(pending, patience, idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if pending.commands.is_empty() && pending.closed { None } else { Some(mem::take(&mut pending.commands)) }
    }

    /// Refuses everything from now on; what was accepted is still taken.
    pub(crate) fn close(&self) {
        self.pending().closed = true;
        self.commands.close();
        self.bytes.close();
        self.arrived.notify_all();
    }

    /// Whether everything is refused by now.
    pub(crate) fn is_closed(&self) -> bool {
        self.pending().closed
    }

    fn pending(&self) -> MutexGuard<'_, Pending<C>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// Polls once.
    async fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        let mut future = Box::pin(future);
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }

    #[test]
    fn takes_in_order_and_drains_before_it_ends() {
        let queue = Queue::new();
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.take(None), Some(vec![1, 2]));
        assert_eq!(queue.take(Some(Duration::ZERO)), Some(vec![]));
        queue.push(3).unwrap();
        queue.close();
        assert!(matches!(queue.push(4), Err(Error::Closed)));
        assert_eq!(queue.take(None), Some(vec![3]));
        assert_eq!(queue.take(None), None);
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait_until_an_answer_frees_room() {
        let queue = Queue::<()>::new();
        let room = queue.room(QUEUE_BYTES_MAX).await.unwrap();
        assert!(now(queue.room(1)).await.is_pending(), "no bytes left");
        drop(room);
        assert!(now(queue.room(1)).await.is_ready());
        let mut rooms = Vec::new();
        for _ in 0..QUEUE_COMMANDS_MAX {
            rooms.push(queue.room(0).await.unwrap());
        }
        assert!(now(queue.room(0)).await.is_pending(), "no command left");
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0, "a dropped caller no longer waits");
    }

    #[tokio::test]
    async fn too_many_waiting_are_refused_and_closing_frees_the_others() {
        let queue = Queue::<()>::new();
        let _all = queue.room(QUEUE_BYTES_MAX).await.unwrap();
        let mut waiting: Vec<_> = (0..QUEUE_WAITING_MAX).map(|_| Box::pin(queue.room(1))).collect();
        for caller in &mut waiting {
            assert!(now(caller.as_mut()).await.is_pending());
        }
        assert!(matches!(queue.room(1).await, Err(Error::Overloaded { what: "callers", .. })));
        queue.close();
        assert!(matches!(waiting.pop().unwrap().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn too_many_waiting_bytes_are_refused_too() {
        let queue = Queue::<()>::new();
        let _all = queue.room(QUEUE_BYTES_MAX).await.unwrap();
        let mut waiting: Vec<_> =
            (0..QUEUE_WAITING_BYTES_MAX / QUEUE_BYTES_MAX).map(|_| Box::pin(queue.room(QUEUE_BYTES_MAX))).collect();
        for caller in &mut waiting {
            assert!(now(caller.as_mut()).await.is_pending());
        }
        assert!(matches!(queue.room(1).await, Err(Error::Overloaded { what: "bytes", .. })));
        waiting.pop();
        assert!(now(queue.room(1)).await.is_pending(), "those of a caller that went away no longer count");
    }
}
