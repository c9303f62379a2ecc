//! One thread of the generator: a current-thread runtime, some connections, a share of the schedule.
//!
//! In an open loop request k of n threads is due at `start + k / rate`, fixed before the run begins.
//! The pace is kept without polling: a generator that keeps a core busy measures what is left of the machine.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tonic::transport::Channel;

use crate::{
    Call, Load, Plan, cpu,
    pace::Pace,
    recorder::{Recorder, Sample},
};

/// When the run starts, measures and stops sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) start: Instant,
    pub(crate) measure_from: Instant,
    pub(crate) end: Instant,
}

/// What all threads count while they run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// A thread's result.
pub(crate) struct Worked {
    pub(crate) recorder: Recorder,
    /// CPU time from the first request to the last answer.
    pub(crate) cpu: Option<Duration>,
}

/// Connects: fails here rather than in the middle of the run.
pub(crate) async fn connect(plan: &Plan, thread: usize) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for _ in (thread..plan.connections).step_by(plan.threads) {
        channels.push(plan.target.endpoint().connect().await.context("cannot connect")?);
    }
    Ok(channels)
}

/// One thread's part.
pub(crate) struct Worker<C> {
    pub(crate) thread: usize,
    pub(crate) calls: Vec<C>,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) timeout: Duration,
}

impl<C: Call> Worker<C> {
    /// Sends until the clock ends, then waits for the answers, at most the timeout.
    ///
    /// # Errors
    /// If the system's timer fails.
    pub(crate) async fn work(self, plan: &Plan) -> Result<Worked> {
        let recorder = Rc::new(RefCell::new(Recorder::new(self.clock.measure_from)));
        let before = cpu::thread_cpu();
        let mut tasks = JoinSet::new();
        match plan.load {
            Load::Open { rate, in_flight_max } => {
                self.open_loop(plan.threads, rate, in_flight_max, &recorder, &mut tasks).await?;
            }
            Load::Closed { streams } => self.closed_loop(streams, &recorder, &mut tasks),
        }
        sleep_until(self.clock.end).await;
        let last_answer = self.clock.end + self.timeout;
        while let Ok(Some(_)) = timeout_at(last_answer, tasks.join_next()).await {}
        // What is still under way is dropped and so recorded as unfinished.
        tasks.shutdown().await;
        let cpu = before.and_then(|before| cpu::thread_cpu()?.checked_sub(before));
        let recorder = recorder.borrow().clone();
        Ok(Worked { recorder, cpu })
    }

    async fn open_loop(
        &self,
        threads: usize,
        rate: f64,
        in_flight_max: usize,
        recorder: &Rc<RefCell<Recorder>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<()> {
        let pace = Pace::new()?;
        let room = Arc::new(Semaphore::new(in_flight_max));
        for turn in 0.. {
            let index = turn * threads as u64 + self.thread as u64;
            let intended = self.clock.start + Duration::from_secs_f64(index as f64 / rate);
            if intended >= self.clock.end {
                break;
            }
            pace.until(intended).await?;
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            let mut call = self.calls[turn as usize % self.calls.len()].clone();
            let (counters, bound) = (Arc::clone(&self.counters), self.timeout);
            let recorder = Rc::clone(recorder);
            tasks.spawn_local(async move {
                one_request(&mut call, index, intended, bound, &recorder, &counters).await;
                drop(permit);
            });
            // Finished tasks are taken out as we go, so that the set holds only what is in flight.
            while tasks.try_join_next().is_some() {}
        }
        Ok(())
    }

    fn closed_loop(&self, streams: usize, recorder: &Rc<RefCell<Recorder>>, tasks: &mut JoinSet<()>) {
        let next = Rc::new(RefCell::new(self.thread as u64));
        for call in self.calls.iter().flat_map(|call| std::iter::repeat_n(call, streams)) {
            let (mut call, next, recorder) = (call.clone(), Rc::clone(&next), Rc::clone(recorder));
            let (counters, bound, clock) = (Arc::clone(&self.counters), self.timeout, self.clock);
            tasks.spawn_local(async move {
                sleep_until(clock.start).await;
                while Instant::now() < clock.end {
                    let index = next.replace_with(|index| *index + 1);
                    one_request(&mut call, index, Instant::now(), bound, &recorder, &counters).await;
                }
            });
        }
    }
}

/// Sends one request and records what became of it.
async fn one_request<C: Call>(
    call: &mut C,
    index: u64,
    intended: Instant,
    bound: Duration,
    recorder: &Rc<RefCell<Recorder>>,
    counters: &Counters,
) {
    let sample = Sample::begin(recorder, intended);
    counters.sent.fetch_add(1, Relaxed);
    match timeout(bound, call.call(index)).await {
        Ok(outcome) => {
            let counter = if outcome.is_ok() { &counters.answered } else { &counters.failed };
            counter.fetch_add(1, Relaxed);
            sample.finish(outcome);
        }
        Err(_) => {
            counters.failed.fetch_add(1, Relaxed);
            drop(sample);
        }
    }
}
