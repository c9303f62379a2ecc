//! The simulation of log and engine: many seeds hold, and defects that are put in on purpose are found.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tactful_sim::simulation::{Failure, Flaw, run};

/// Seeds of one run of the tests.
const SEEDS: u64 = 2_000;

#[test]
fn every_node_is_right_or_loudly_damaged() {
    let begun = Instant::now();
    let (next, steps, damaged) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failures: Vec<Failure> = std::thread::scope(|scope| {
        let work = || {
            let mut failures = Vec::new();
            loop {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= SEEDS {
                    return failures;
                }
                match run(seed, Flaw::None) {
                    Ok(done) => {
                        steps.fetch_add(done.steps, Relaxed);
                        damaged.fetch_add(done.damaged, Relaxed);
                    }
                    Err(failure) => failures.push(failure),
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{SEEDS} seeds, {steps:?} steps, {damaged:?} nodes damaged, {:?}", begun.elapsed());
    let shown: Vec<String> = failures.iter().take(5).map(Failure::to_string).collect();
    assert!(failures.is_empty(), "{} seeds failed:\n{}", failures.len(), shown.join("\n"));
    assert!(damaged.into_inner() > 0, "losses that no node noticed would show nothing");
}

/// How many of some seeds find a defect.
fn found(flaw: Flaw) -> usize {
    (0..100).filter(|seed| run(*seed, flaw).is_err()).count()
}

#[test]
fn defects_that_are_put_in_are_found() {
    for flaw in [Flaw::SkippedEntry, Flaw::ForgottenIds, Flaw::HiddenLoss] {
        let found = found(flaw);
        println!("{flaw:?}: {found} of 100");
        assert!(found > 0, "{flaw:?} was not found");
    }
}
