//! What is recorded of each request: latencies in HdrHistograms of nanoseconds, errors by code.
//!
//! Every request that was due leaves exactly one sample, failed and unfinished ones too; leaving those
//! out would hide the very requests that suffered most.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;
use tonic::Code;

/// Under which key requests without an answer are counted among the errors.
pub const UNFINISHED: &str = "UNFINISHED";

const HIGHEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Quantiles of a latency, in microseconds; 0 without samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    #[serde(rename = "p99_9")]
    pub p999: f64,
    /// The worst.
    pub max: f64,
}

/// Without samples, of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS).expect("constant bounds are in order")
}

/// The samples of one thread, or of all.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// From the intended send time to the answer.
    latency: Histogram<u64>,
    /// From the intended to the real send time: what the generator itself was late.
    lag: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    /// Requests sent during warm-up are answered but not recorded.
    measure_from: Instant,
}

impl Recorder {
    pub(crate) fn new(measure_from: Instant) -> Self {
        Self { latency: histogram(), lag: histogram(), errors: BTreeMap::new(), measure_from }
    }

    /// Adds another thread's samples.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.lag.add(&other.lag).expect("all histograms have the same bounds");
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.latency.len()
    }

    pub(crate) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    pub(crate) fn latencies(&self) -> &Histogram<u64> {
        &self.latency
    }

    pub(crate) fn latency(&self) -> Quantiles {
        quantiles(&self.latency)
    }

    pub(crate) fn lag(&self) -> Quantiles {
        quantiles(&self.lag)
    }

    fn sample(&mut self, intended: Instant, sent: Instant, outcome: Result<(), &str>) {
        if intended < self.measure_from {
            return;
        }
        self.latency.saturating_record(nanoseconds(intended.elapsed()));
        self.lag.saturating_record(nanoseconds(sent.saturating_duration_since(intended)));
        if let Err(code) = outcome {
            *self.errors.entry(code.to_owned()).or_default() += 1;
        }
    }
}

/// One request under way. Dropped before its end, it is recorded as unfinished.
pub(crate) struct Sample {
    recorder: Rc<RefCell<Recorder>>,
    intended: Instant,
    sent: Instant,
    finished: bool,
}

impl Sample {
    /// A request that is being sent now.
    pub(crate) fn begin(recorder: &Rc<RefCell<Recorder>>, intended: Instant) -> Self {
        Self { recorder: Rc::clone(recorder), intended, sent: Instant::now(), finished: false }
    }

    /// The answer is here.
    pub(crate) fn finish(mut self, outcome: Result<(), Code>) {
        self.finished = true;
        let outcome = outcome.map_err(code_name);
        self.recorder.borrow_mut().sample(self.intended, self.sent, outcome);
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        if !self.finished {
            self.recorder.borrow_mut().sample(self.intended, self.sent, Err(UNFINISHED));
        }
    }
}

pub(crate) fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    if histogram.is_empty() {
        return Quantiles::default();
    }
    Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1e3 }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Names of the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_leaves_one_sample() {
        let start = Instant::now();
        let recorder = Rc::new(RefCell::new(Recorder::new(start)));
        Sample::begin(&recorder, start).finish(Ok(()));
        Sample::begin(&recorder, start).finish(Err(Code::Unavailable));
        drop(Sample::begin(&recorder, start));
        let recorder = recorder.borrow();
        assert_eq!(recorder.requests(), 3);
        let expected = BTreeMap::from([("UNAVAILABLE".to_owned(), 1), (UNFINISHED.to_owned(), 1)]);
        assert_eq!(*recorder.errors(), expected);
    }

    #[test]
    fn latency_counts_from_the_intended_time() {
        let now = Instant::now();
        let intended = now.checked_sub(Duration::from_millis(50)).unwrap();
        let recorder = Rc::new(RefCell::new(Recorder::new(intended)));
        Sample::begin(&recorder, intended).finish(Ok(()));
        let recorder = recorder.borrow();
        assert!(recorder.latency().p50 >= 49_900.0, "{:?}", recorder.latency());
        assert!(recorder.lag().p50 >= 49_900.0, "{:?}", recorder.lag());
    }

    #[test]
    fn warm_up_is_not_recorded() {
        let now = Instant::now();
        let recorder = Rc::new(RefCell::new(Recorder::new(now + Duration::from_secs(1))));
        Sample::begin(&recorder, now).finish(Err(Code::Internal));
        assert_eq!(recorder.borrow().requests(), 0);
        assert!(recorder.borrow().errors().is_empty());
        assert_eq!(recorder.borrow().latency(), Quantiles::default());
    }

    #[test]
    fn merging_adds_up() {
        let now = Instant::now();
        let mut sum = Recorder::new(now);
        for code in ["INTERNAL", "INTERNAL", "UNKNOWN"] {
            let mut other = Recorder::new(now);
            other.sample(now, now, Err(code));
            sum.merge(&other);
        }
        assert_eq!(sum.requests(), 3);
        assert_eq!(sum.errors()["INTERNAL"], 2);
    }
}
