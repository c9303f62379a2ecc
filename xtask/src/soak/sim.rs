//! The simulation of log and engine on one seed after another, for as long as it is let. A seed that fails is
//! printed with what was promised and what was seen; `--seed` with it runs that one alone.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tactful_sim::simulation::{self, Flaw};

use crate::eval::Verdict;

/// The line that the soak prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct SimResult {
    /// Seeds run.
    seeds: u64,
    /// Steps of all of them.
    steps: u64,
    /// Seeds that broke a promise.
    failed: u64,
    /// What was seen of the first one that did.
    #[serde(skip)]
    first: Option<String>,
}

impl SimResult {
    fn add(&mut self, done: Result<simulation::Done, simulation::Failure>) {
        self.seeds += 1;
        match done {
            Ok(done) => self.steps += done.steps,
            Err(failure) => {
                eprintln!("{failure}");
                self.steps += failure.steps.len() as u64;
                self.failed += 1;
                self.first.get_or_insert_with(|| {
                    format!("`cargo xtask soak sim --seed {}`: {}", failure.seed, failure.promised)
                });
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.failed += other.failed;
        self.first = self.first.or(other.first);
        self
    }
}

/// Runs one seed.
pub(super) fn one(seed: u64) -> SimResult {
    let mut result = SimResult::default();
    result.add(simulation::run(seed, Flaw::None));
    result
}

/// Runs random seeds on every processor for a while.
pub(super) fn many(time: Duration) -> SimResult {
    let (start, end) = (rand::random::<u64>(), Instant::now() + time);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    eprintln!("seeds from {start} on, {threads} at a time");
    let work = |first: u64| {
        let mut result = SimResult::default();
        while Instant::now() < end {
            let seed = start.wrapping_add(first).wrapping_add(result.seeds.wrapping_mul(threads));
            result.add(simulation::run(seed, Flaw::None));
        }
        result
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|first| scope.spawn(move || work(first))).collect();
        let results = threads.into_iter().map(|thread| thread.join().expect("a simulation panicked"));
        results.fold(SimResult::default(), SimResult::merge)
    })
}

impl Verdict for SimResult {
    fn failure(&self) -> Option<String> {
        match &self.first {
            Some(first) => Some(format!("{} of {} seeds failed, first {first}", self.failed, self.seeds)),
            None => (self.seeds == 0).then(|| "no seed was run: give it more time".into()),
        }
    }

    fn text(&self) -> String {
        let Self { seeds, steps, failed, .. } = self;
        format!("sim: {seeds} seeds, {steps} steps, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_can_be_run_alone_and_only_seeds_that_hold_pass() {
        let one = one(1);
        assert_eq!((one.seeds, one.failed, one.failure()), (1, 0, None));
        let line = serde_json::to_string(&SimResult { steps: 7, ..one }).expect("it has plain fields");
        assert_eq!(line, r#"{"seeds":1,"steps":7,"failed":0}"#);
        let failure = simulation::Failure { seed: 5, promised: "this".into(), seen: "that".into(), steps: vec![] };
        let mut result = SimResult::default();
        result.add(Err(failure));
        assert!(result.failure().is_some_and(|text| text.contains("--seed 5`: this")), "{result:?}");
        assert!(SimResult::default().failure().is_some(), "nothing was shown");
    }
}
