//! The in-process decision: a request with names against a million customers in memory, every stage
//! on, the view captured as the record needs it, while another thread keeps folding events.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use loadtest::thread_cpu;
use serde::Serialize;
use tactful_core::decide::{Decision, Explain, Request, RequestText, Stage, decide};
use tactful_core::ruleset::Ruleset;
use tactful_core::state::{Entry, Value};

use crate::catalog::{INTENTS, PLACEMENT, SHOWN, TOPICS, catalog};
use crate::customers::{Customers, id, tracked};
use crate::model::model;
use crate::rng::Rng;

/// Catalogue sizes that are measured.
pub const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Decisions timed together: short enough that most batches are not interrupted.
const BATCH: usize = 32;
/// Events per second of the live writer, in groups of [`WRITER_GROUP`].
const WRITER_RATE: u64 = 2_000;
const WRITER_GROUP: u64 = 20;

/// Everything that one decision reads.
pub struct Setting {
    /// Catalogue and model.
    pub ruleset: Ruleset,
    /// Rows.
    pub customers: Customers,
}

/// What a record keeps of a decision: its chosen actions beside the view as bytes.
pub struct Captured {
    /// The decision.
    pub decision: Decision,
    /// The slots as read, packed.
    pub slots: Vec<u8>,
    /// The fields as decided on.
    pub fields: Vec<u8>,
}

/// Microseconds of one decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Median over the batches.
    pub median_us: f64,
    /// A tenth of the batches was quicker.
    pub p10_us: f64,
    /// A tenth of the batches was slower.
    pub p90_us: f64,
    /// CPU time of the thread per decision, mean.
    pub cpu_us: f64,
    /// Events per second that the live writer folded meanwhile.
    pub events_per_s: f64,
    /// Share of the actions that passed the rules.
    pub eligible: f64,
}

impl Setting {
    /// A generated catalogue with its model, and customers.
    #[must_use]
    pub fn new(actions: usize, customers: usize) -> Self {
        let ruleset = ruleset(actions);
        let customers = Customers::new(&ruleset.schema, customers, now_ms());
        Self { ruleset, customers }
    }

    /// The same customers under another catalogue: all generated ones have the same features.
    #[must_use]
    pub fn with_actions(self, actions: usize) -> Self {
        Self { ruleset: ruleset(actions), ..self }
    }

    /// One decision as a server makes it, from names to the bytes of the record.
    #[must_use]
    pub fn decide(&self, subject_id: &str, number: u64, now_ms: i64) -> Captured {
        let text = text(subject_id, number, Explain::None);
        let request = Request::resolve(&self.ruleset, &text).expect("the request fits the catalogue");
        let view = self.customers.view(&self.ruleset.schema, subject_id, now_ms);
        let decision = decide(&self.ruleset, &view, &request, now_ms, number);
        Captured { slots: view.packed_slots(), fields: decision.field_bytes(), decision }
    }

    /// Times decisions for random customers over `window` while events are folded.
    ///
    /// # Errors
    /// If the live writer did not keep its rate: then the figure is not the one asked for.
    pub fn measure(&self, window: Duration) -> Result<Cost> {
        let (stop, folded) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| self.write(&stop, &folded));
            let (started, cpu) = (Instant::now(), thread_cpu());
            let mut batches = self.batches(window);
            let cpu = cpu.and_then(|before| Some((thread_cpu()? - before).as_secs_f64() * 1e6));
            let cpu_us = cpu.map_or(f64::NAN, |cpu| cpu / (batches.len() * BATCH) as f64);
            let events_per_s = folded.load(Relaxed) as f64 / started.elapsed().as_secs_f64();
            stop.store(true, Relaxed);
            ensure!(events_per_s > 0.5 * WRITER_RATE as f64, "the live writer folded only {events_per_s:.0} events/s");
            batches.sort_unstable_by(f64::total_cmp);
            let at = |share: f64| batches[((batches.len() - 1) as f64 * share) as usize];
            let (median_us, p10_us, p90_us) = (at(0.5), at(0.1), at(0.9));
            Ok(Cost { median_us, p10_us, p90_us, cpu_us, events_per_s, eligible: self.eligible() })
        })
    }

    /// Microseconds per decision of each batch.
    fn batches(&self, window: Duration) -> Vec<f64> {
        let mut rng = Rng::new(4);
        let mut batches = Vec::new();
        let mut ids = Vec::with_capacity(BATCH);
        let started = Instant::now();
        while started.elapsed() < window || batches.is_empty() {
            ids.clear();
            ids.extend((0..BATCH).map(|_| id(rng.below(self.customers.count()))));
            let now_ms = now_ms();
            let batch = Instant::now();
            for (number, id) in ids.iter().enumerate() {
                std::hint::black_box(self.decide(id, number as u64, now_ms));
            }
            batches.push(batch.elapsed().as_secs_f64() * 1e6 / BATCH as f64);
        }
        batches
    }

    /// Folds events at [`WRITER_RATE`] until it is stopped.
    fn write(&self, stop: &AtomicBool, folded: &AtomicU64) {
        let mut rng = Rng::new(5);
        let started = Instant::now();
        while !stop.load(Relaxed) {
            let due = (started.elapsed().as_secs_f64() * WRITER_RATE as f64) as u64;
            for _ in folded.load(Relaxed)..due {
                let now_ms = now_ms();
                let properties = [("amount", Value::Number(rng.below(100) as f64))];
                let event = Entry::Event(tracked(&mut rng, now_ms, &properties));
                self.customers.apply(&self.ruleset.schema, &id(rng.below(self.customers.count())), &event, now_ms);
                folded.fetch_add(1, Relaxed);
            }
            std::thread::sleep(Duration::from_secs(WRITER_GROUP) / WRITER_RATE as u32);
        }
    }

    /// Share of the actions that pass the rules, over some customers.
    fn eligible(&self) -> f64 {
        const SAMPLE: usize = 4;
        let now_ms = now_ms();
        let mut passed = 0;
        for number in 0..SAMPLE.min(self.customers.count()) {
            let id = id(number);
            let text = text(&id, number as u64, Explain::Full);
            let request = Request::resolve(&self.ruleset, &text).expect("the request fits the catalogue");
            let view = self.customers.view(&self.ruleset.schema, &id, now_ms);
            let decision = decide(&self.ruleset, &view, &request, now_ms, 0);
            passed += decision.traces.iter().filter(|trace| trace.stage >= Stage::Score).count();
        }
        passed as f64 / (SAMPLE.min(self.customers.count()) * self.ruleset.actions.len()) as f64
    }
}

/// A generated catalogue with its model.
#[must_use]
pub fn ruleset(actions: usize) -> Ruleset {
    let catalog = catalog(actions);
    let compiled = Ruleset::compile(&catalog).expect("the generated catalogue is sound");
    compiled.with_model(&model(&catalog)).expect("the generated model fits")
}

/// A request for one placement with three context fields.
fn text(subject_id: &str, number: u64, explain: Explain) -> RequestText<'_> {
    let word = |words: &[&'static str]| Value::Text(words[number as usize % words.len()]);
    RequestText {
        subject_id,
        placements: vec![(PLACEMENT, SHOWN as i64)],
        context: vec![
            ("intent", word(&INTENTS)),
            ("sentiment", Value::Number(number as f64 % 20.0 / 10.0 - 1.0)),
            ("topic", word(&TOPICS)),
        ],
        explain,
        ..RequestText::default()
    }
}

/// Now, in Unix milliseconds.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_actions_competes_and_five_are_shown() {
        let setting = Setting::new(100, 200).with_actions(1_000);
        let eligible = setting.eligible();
        assert!((0.25..0.42).contains(&eligible), "{eligible}");
        let captured = setting.decide(&id(3), 0, now_ms());
        assert_eq!(captured.decision.placements[0].shown.len(), SHOWN);
        assert!(!captured.decision.cold_start);
        let slots = setting.ruleset.schema.slot_count();
        assert!(
            (slots / 8 + 8 * 40..slots.div_ceil(8) + 8 * slots).contains(&captured.slots.len()),
            "40 traits and more"
        );
        assert_eq!(captured.fields.len(), 4 * setting.ruleset.layout.fields().len());
    }

    #[test]
    fn a_short_measurement_gives_a_cost() {
        let setting = Setting::new(10, 20);
        // A machine that is kept busy from outside may not fold as many events as a measurement needs.
        let mut measured = (0..20).map(|_| setting.measure(Duration::from_millis(200)));
        let cost = measured.find_map(Result::ok).expect("one of them is a measurement");
        assert!(cost.p10_us > 0.0 && cost.p10_us <= cost.median_us && cost.median_us <= cost.p90_us, "{cost:?}");
    }
}
