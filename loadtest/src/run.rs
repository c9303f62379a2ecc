//! Starts the threads, watches the clock, adds up what they recorded.

use std::{
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tokio::{runtime::Builder, sync::watch, task::LocalSet, time::Instant};
use tonic::transport::Channel;

use crate::{
    Call, Machine, Plan, Report, cpu,
    recorder::Recorder,
    report::Measured,
    worker::{self, Clock, Counters, Worked, Worker},
};

/// Time between the last connection and the first request.
const HEAD_START: Duration = Duration::from_millis(20);

/// How far a run is, over all threads and including warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Since the first request was due.
    pub elapsed: Duration,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered with OK.
    pub answered: u64,
    /// Requests failed or unfinished.
    pub failed: u64,
}

/// Runs the plan and blocks until it is done: at most warm-up, duration and timeout together, plus
/// the time to connect. `call` makes the call of one connection, on the thread that will use it;
/// `progress` is told once a second.
///
/// # Errors
/// A plan that cannot run, or a server that cannot be reached at the start. What goes wrong later is
/// part of the report.
pub fn run<C: Call>(
    plan: &Plan,
    call: impl Fn(Channel) -> C + Sync,
    mut progress: impl FnMut(Progress),
) -> Result<Report> {
    plan.check()?;
    let counters = Arc::new(Counters::default());
    let (clock_tx, clock_rx) = watch::channel(None);
    let (event_tx, event_rx) = mpsc::channel();
    thread::scope(|scope| {
        for thread in 0..plan.threads {
            let (events, clock, counters, call) = (event_tx.clone(), clock_rx.clone(), Arc::clone(&counters), &call);
            scope.spawn(move || {
                let worked = run_thread(plan, thread, call, clock, &events, counters);
                // The receiver is gone only if another thread has failed already.
                let _ = events.send(Event::Done(worked.map(Box::new)));
            });
        }
        drop((event_tx, clock_rx));
        let outcome = conduct(plan, clock_tx, &event_rx, &counters, &mut progress);
        outcome.map(|measured| Report::new(plan, &measured, Machine::read()))
    })
}

enum Event {
    Connected,
    Done(Result<Box<Worked>>),
}

/// Waits for all connections, starts the clock, reads the server's CPU time at its marks, collects.
fn conduct(
    plan: &Plan,
    clock_tx: watch::Sender<Option<Clock>>,
    events: &mpsc::Receiver<Event>,
    counters: &Counters,
    progress: &mut impl FnMut(Progress),
) -> Result<Measured> {
    for _ in 0..plan.threads {
        match events.recv().context("all threads ended early")? {
            Event::Connected => {}
            // Dropping the clock ends the threads that wait for it.
            Event::Done(worked) => return Err(worked.err().unwrap_or_else(|| anyhow!("a thread ended early"))),
        }
    }
    let start = Instant::now() + HEAD_START;
    let clock = Clock { start, measure_from: start + plan.warm_up, end: start + plan.warm_up + plan.duration };
    clock_tx.send(Some(clock)).context("all threads ended early")?;
    let mut watcher = Watcher { plan, clock, counters, marks: (None, None), next: start };
    let mut sum = Recorder::new(clock.measure_from);
    let mut generator_cpu = Some(Duration::ZERO);
    for _ in 0..plan.threads {
        let worked = watcher.wait(events, progress)?;
        sum.merge(&worked.recorder);
        generator_cpu = generator_cpu.zip(worked.cpu).map(|(sum, cpu)| sum + cpu);
    }
    let requests_sent = counters.sent.load(Relaxed);
    Ok(Measured { recorder: sum, requests_sent, generator_cpu, marks: watcher.marks })
}

/// Where things stood at a mark of the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    /// CPU time of the server so far.
    pub(crate) server_cpu: Option<Duration>,
    /// Requests answered or failed so far.
    pub(crate) done: u64,
}

/// Wakes at the clock's marks and once a second, while the threads work.
struct Watcher<'a> {
    plan: &'a Plan,
    clock: Clock,
    counters: &'a Counters,
    /// When measuring began and when sending ended.
    marks: (Option<Mark>, Option<Mark>),
    next: Instant,
}

impl Watcher<'_> {
    fn wait(&mut self, events: &mpsc::Receiver<Event>, progress: &mut impl FnMut(Progress)) -> Result<Box<Worked>> {
        loop {
            let mark = match self.marks {
                (None, _) => self.clock.measure_from,
                (_, None) => self.clock.end,
                _ => self.next,
            };
            let wake = mark.min(self.next);
            match events.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Event::Done(worked)) => {
                    self.tick(progress);
                    return worked;
                }
                Ok(Event::Connected) => {}
                Err(RecvTimeoutError::Timeout) => self.tick(progress),
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("a thread of the generator panicked")),
            }
        }
    }

    fn tick(&mut self, progress: &mut impl FnMut(Progress)) {
        let now = Instant::now();
        let (answered, failed) = (self.counters.answered.load(Relaxed), self.counters.failed.load(Relaxed));
        let mark =
            || Mark { at: now, server_cpu: self.plan.server_pid.and_then(cpu::process_cpu), done: answered + failed };
        if now >= self.clock.measure_from && self.marks.0.is_none() {
            self.marks.0 = Some(mark());
        } else if now >= self.clock.end && self.marks.1.is_none() {
            self.marks.1 = Some(mark());
        }
        if now >= self.next {
            self.next += Duration::from_secs(1);
            let elapsed = now.saturating_duration_since(self.clock.start);
            progress(Progress { elapsed, sent: self.counters.sent.load(Relaxed), answered, failed });
        }
    }
}

/// One thread from its connections to its last answer.
fn run_thread<C: Call>(
    plan: &Plan,
    thread: usize,
    call: impl Fn(Channel) -> C,
    mut clock: watch::Receiver<Option<Clock>>,
    events: &mpsc::Sender<Event>,
    counters: Arc<Counters>,
) -> Result<Worked> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let calls = worker::connect(plan, thread).await?.into_iter().map(call).collect();
        events.send(Event::Connected).context("the run was given up")?;
        let clock = *clock.wait_for(Option::is_some).await.context("the run was given up")?;
        let clock = clock.context("the clock was waited for")?;
        Worker { thread, calls, clock, counters, timeout: plan.timeout }.work(plan).await
    })
}
