//! What must hold: a node is right, or loudly damaged. Right means equal to a new engine that read the whole log,
//! and to a recount of its entries; and all that was acknowledged is in the log, unless the log itself lost it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tactful_engine::{Digests, Engine, Options};
use tactful_log::Log;
use tokio::time::timeout;

use super::log::SimLog;
use super::node::World;
use super::producer::{Counts, Producer, SUBJECTS, orders_of, recount};
use super::seat::Seat;

/// How long a healed node may take to catch up.
const PATIENCE: Duration = Duration::from_secs(600);

/// What did not hold.
pub(super) struct Broken {
    pub(super) promised: &'static str,
    pub(super) seen: String,
}

pub(super) fn broken<T>(promised: &'static str, seen: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { promised, seen: seen.into() })
}

/// What the whole log says, read anew.
pub(super) struct Oracle {
    digests: Digests,
    readings: Vec<String>,
    counts: Counts,
}

impl Oracle {
    pub(super) async fn new(log: &SimLog, world: &World, producer: &Producer) -> Result<Self, Broken> {
        let shared: Arc<dyn Log> = Arc::new(Seat::of_the_check(log));
        let started = Engine::start(shared, world.ruleset.clone(), &Options::default()).await;
        let engine = started.or_else(|error| broken("a new engine starts on a healed log", error.to_string()))?;
        let caught_up = timeout(PATIENCE, engine.applied_all()).await;
        if !matches!(caught_up, Ok(Ok(()))) || engine.readiness().damage.is_some() {
            return broken("a new engine reads the whole log", format!("{:?}", engine.readiness()));
        }
        let counts = recount(&log.state(), &producer.to_erase);
        let oracle = Self { digests: engine.digests(), readings: readings(&engine), counts };
        engine.close(PATIENCE).await;
        oracle.agrees(&engine)?;
        Ok(oracle)
    }

    /// Whether an engine that has read everything knows what it must.
    pub(super) fn agrees(&self, engine: &Engine) -> Result<Digests, Broken> {
        counts_agree(engine, &self.counts, &BTreeSet::new())?;
        for (expected, found) in self.readings.iter().zip(readings(engine)) {
            if *expected != found {
                return broken("a node reads as the whole log does", format!("{found}, not {expected}"));
            }
        }
        let digests = engine.digests();
        if digests.content != self.digests.content {
            return broken("content is that of the whole log", format!("{digests:?}, not {:?}", self.digests));
        }
        Ok(digests)
    }
}

/// Waits until a node has applied everything; false if it is damaged instead.
pub(super) async fn converged(engine: &Engine) -> Result<bool, Broken> {
    let applied = tokio::select! {
        applied = timeout(PATIENCE, engine.applied_all()) => applied,
        () = engine.damaged() => return Ok(false),
    };
    match applied {
        _ if engine.readiness().damage.is_some() => Ok(false),
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) => broken("a node catches up or is damaged", error.to_string()),
        Err(_) => broken("a node catches up or is damaged", format!("{:?} after a long time", engine.readiness())),
    }
}

/// Whether the orders of every customer count once, those linked together read as one.
pub(super) fn counts_agree(engine: &Engine, counts: &Counts, unsure: &BTreeSet<&'static str>) -> Result<(), Broken> {
    for subject_id in SUBJECTS {
        let Ok(context) = engine.context(subject_id) else { continue };
        let ids = &context.subject_ids;
        if context.subject_ids_truncated || ids.iter().any(|id| unsure.contains(id.as_str())) {
            continue;
        }
        let value = |name: &str| {
            let line = context.features.iter().find(|line| line.name == name);
            line.map(|line| line.value).filter(|value| value.is_finite()).unwrap_or_default()
        };
        let seen = (value("orders") as u64, (value("spend") * 100.0).round() as i64);
        let parts = ids.iter().filter_map(|id| counts.get(id));
        let expected = parts.fold((0, 0), |(count, sum), part| (count + part.0, sum + part.1));
        if seen != expected {
            let what = format!("{subject_id} as {ids:?}: count and sum are {seen:?}, not {expected:?}");
            return broken("every order counts exactly once", what);
        }
    }
    Ok(())
}

/// Whether all that was acknowledged is in the log, but for what the log lost.
pub(super) fn acknowledged_is_kept(log: &SimLog, producer: &Producer) -> Result<(), Broken> {
    let kept = orders_of(&log.state());
    let gone = producer.acknowledged_orders().find(|order| !kept.contains(order) && !producer.lost.contains(order));
    match gone {
        Some(order) => broken("what is acknowledged is in the log", format!("order {order} is not")),
        None => Ok(()),
    }
}

/// What a node says of everybody, but for what depends on the clock.
fn readings(engine: &Engine) -> Vec<String> {
    let reading = |subject_id: &&str| {
        let Ok(context) = engine.context(subject_id) else { return format!("{subject_id} cannot be read") };
        let mut text = format!("{subject_id} as {:?}:", context.subject_ids);
        for line in context.features.iter().filter(|line| line.name != "since_order") {
            // Writing to a text does not fail.
            let _fine = write!(text, " {}={}", line.name, line.value).is_ok();
        }
        for line in &context.consents {
            let _fine = write!(text, " {}={} at {:?}", line.purpose, line.allowed, line.time_ms).is_ok();
        }
        let _fine = write!(text, " {:?}", context.facts).is_ok();
        text
    };
    SUBJECTS.iter().map(reading).collect()
}
