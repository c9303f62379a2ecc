//! The result of a run, for people and as JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    Load, Machine, Plan, Quantiles,
    recorder::{self, Recorder},
    run::Mark,
};

/// What a run measured. Warm-up is left out except from the generator's CPU time.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `open` or `closed`.
    pub mode: &'static str,
    /// Requests per second that were due; nothing in a closed loop.
    pub target_rate: Option<f64>,
    /// Requests per second that were answered or failed.
    pub rate: f64,
    /// Measured seconds.
    pub seconds: f64,
    /// Connections.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Requests in flight on each connection; nothing in an open loop.
    pub streams: Option<usize>,
    /// Requests that were due in the measured time. Each is in `latency_us`.
    pub requests: u64,
    /// Failed requests by gRPC code, `UNFINISHED` for those without an answer.
    pub errors: BTreeMap<String, u64>,
    /// From the intended send time (open) or the send time (closed) to the answer, in microseconds.
    pub latency_us: Quantiles,
    /// How late the generator itself sent, in microseconds. Large values say that it was the bottleneck.
    pub send_lag_us: Quantiles,
    /// CPU time of the generator's threads per request, in microseconds, pacing included.
    pub generator_cpu_us: Option<f64>,
    /// CPU time of the server per request, in microseconds, if its process was named.
    pub server_cpu_us: Option<f64>,
    /// What it was measured on.
    pub machine: Machine,
    /// What `latency_us` sums up, in nanoseconds.
    #[serde(skip)]
    latencies: Histogram<u64>,
}

/// What the threads measured together.
pub(crate) struct Measured {
    pub(crate) recorder: Recorder,
    pub(crate) requests_sent: u64,
    pub(crate) generator_cpu: Option<Duration>,
    /// When measuring began and when sending ended.
    pub(crate) marks: (Option<Mark>, Option<Mark>),
}

impl Report {
    pub(crate) fn new(plan: &Plan, measured: &Measured, machine: Machine) -> Self {
        let recorder = &measured.recorder;
        let seconds = plan.duration.as_secs_f64();
        let (mode, target_rate, streams) = match plan.load {
            Load::Open { rate, .. } => ("open", Some(rate), None),
            Load::Closed { streams } => ("closed", None, Some(streams)),
        };
        let marks = measured.marks.0.zip(measured.marks.1);
        Self {
            mode,
            target_rate,
            rate: marks.map_or(0.0, rate),
            seconds,
            connections: plan.connections,
            threads: plan.threads,
            streams,
            requests: recorder.requests(),
            errors: recorder.errors().clone(),
            latency_us: recorder.latency(),
            send_lag_us: recorder.lag(),
            generator_cpu_us: measured.generator_cpu.and_then(|cpu| per_request(cpu, measured.requests_sent)),
            server_cpu_us: marks.and_then(server_cpu),
            machine,
            latencies: recorder.latencies().clone(),
        }
    }

    /// The latencies of several runs as if they were one.
    #[must_use]
    pub fn latency_of_all<'a>(reports: impl IntoIterator<Item = &'a Self>) -> Quantiles {
        let mut all = recorder::histogram();
        for report in reports {
            all.add(&report.latencies).expect("all histograms have the same bounds");
        }
        recorder::quantiles(&all)
    }

    /// How many requests failed, for whatever reason.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Requests per second between two marks.
fn rate((from, to): (Mark, Mark)) -> f64 {
    (to.done - from.done) as f64 / (to.at - from.at).as_secs_f64()
}

fn server_cpu((from, to): (Mark, Mark)) -> Option<f64> {
    per_request(to.server_cpu?.checked_sub(from.server_cpu?)?, to.done - from.done)
}

fn per_request(cpu: Duration, requests: u64) -> Option<f64> {
    (requests > 0).then(|| cpu.as_secs_f64() * 1e6 / requests as f64)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, kernel, cpu, commit } = &self.machine;
        let due = self.target_rate.map_or_else(String::new, |rate| format!(" of {rate:.0} due"));
        writeln!(
            f,
            "{} loop: {:.0} requests/s{due} for {:.1} s on {} connections",
            self.mode, self.rate, self.seconds, self.connections
        )?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, q: &Quantiles| {
            writeln!(f, "{name:<12} p50 {:>9.1}  p99 {:>9.1}  p99.9 {:>9.1}  max {:>9.1}", q.p50, q.p99, q.p999, q.max)
        };
        row(f, "latency us", &self.latency_us)?;
        row(f, "send lag us", &self.send_lag_us)?;
        let errors: Vec<String> = self.errors.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
        writeln!(f, "requests     {}, errors: {errors}", self.requests)?;
        for (name, cpu) in [("generator", self.generator_cpu_us), ("server", self.server_cpu_us)] {
            if let Some(cpu) = cpu {
                writeln!(f, "{name} CPU {cpu:.2} us per request")?;
            }
        }
        write!(f, "machine      {cores} cores, {cpu}, Linux {kernel}, commit {commit}")
    }
}
