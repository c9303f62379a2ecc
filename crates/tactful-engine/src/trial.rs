//! The trial of a model before it may serve: it scores every action for requests that were recorded lately,
//! against the clock, and again only if that took too long. What it costs and whether every score is a number are
//! known before the first customer meets it, who meets it warm.

use std::time::{Duration, Instant};

use prost::Message;
use tactful_core::ruleset::Ruleset;
use tactful_core::score::Bank;
use tactful_log::{Entry, Log, Partition};
use tactful_models::give_way;
use tactful_proto::storage::{Record, record::Body};

use crate::error::Error;

/// Requests that a model is tried on.
const REQUESTS_MAX: usize = 256;
/// Latest entries of each partition that are looked through for decisions.
const ENTRIES_MAX: u64 = 256;
/// Rounds that are made at most: a request counts with its quickest, since a busy machine is not the model's fault.
const ROUNDS: usize = 4;

/// What a trial found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Recorded requests that were scored.
    pub requests: usize,
    /// Time to score all actions for the median request.
    pub median: Duration,
    /// For the slowest of a hundred.
    pub p99: Duration,
}

/// The latest entries of each partition, the latest first.
pub(crate) async fn recorded(log: &dyn Log) -> Result<Vec<Vec<Entry>>, Error> {
    let mut found = Vec::new();
    for partition in (0..log.partitions()).map(Partition::Data) {
        let after = log.tail(partition).await?.saturating_sub(ENTRIES_MAX);
        // What is trimmed meanwhile is no loss: any requests will do.
        let mut entries = log.read(partition, after, ENTRIES_MAX as usize).await.unwrap_or_default();
        entries.reverse();
        found.push(entries);
    }
    Ok(found)
}

/// The fields of decisions among recorded entries, as far as they were made under this ruleset's layout. Without any,
/// fields of a customer of whom nothing is known, and of one of whom everything is 0 or 1.
pub(crate) fn requests(recorded: &[Vec<Entry>], ruleset: &Ruleset) -> Vec<Vec<f32>> {
    let width = ruleset.layout.fields().len();
    let mut found = Vec::new();
    for entries in recorded {
        let fields = entries.iter().filter_map(|entry| fields(&entry.payload, ruleset.layout_hash, width));
        found.extend(fields.take(REQUESTS_MAX.div_ceil(recorded.len())));
    }
    if found.is_empty() {
        found = [f32::NAN, 0.0, 1.0].map(|value| vec![value; width]).to_vec();
    }
    found.truncate(REQUESTS_MAX);
    found
}

fn fields(payload: &[u8], layout: u64, width: usize) -> Option<Vec<f32>> {
    give_way();
    let Some(Body::Decision(body)) = Record::decode(payload).ok()?.body else { return None };
    let (chunks, rest) = body.fields.as_chunks();
    let fits = body.layout == layout && rest.is_empty() && chunks.len() == width;
    fits.then(|| chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
}

/// Scores all actions for each of some requests, within `most` for 99 of a hundred.
///
/// # Errors
/// Says which score is no number, or how slow it is.
pub(crate) fn run(bank: &Bank, ruleset: &Ruleset, requests: &[Vec<f32>], most: Duration) -> Result<Trial, String> {
    let actions: Vec<usize> = (0..ruleset.actions.len()).collect();
    let mut out = vec![[0.0; 4]; actions.len().div_ceil(4)];
    let mut times = vec![Duration::MAX; requests.len()];
    for _ in 0..ROUNDS {
        for (time, fields) in times.iter_mut().zip(requests) {
            give_way();
            let started = Instant::now();
            bank.probabilities(&actions, &bank.encode(fields), &mut out);
            *time = started.elapsed().min(*time);
            check_finite(&out, ruleset)?;
        }
        let trial = Trial::of(&times);
        if trial.p99 <= most {
            return Ok(trial);
        }
    }
    let (count, p99, most) = (actions.len(), Trial::of(&times).p99.as_micros(), most.as_micros());
    Err(format!("scoring {count} actions takes {p99} us for one in a hundred requests, {most} are allowed"))
}

impl Trial {
    fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        Self { requests: times.len(), median: at(0.5), p99: at(0.99) }
    }
}

fn check_finite(out: &[[f32; 4]], ruleset: &Ruleset) -> Result<(), String> {
    let bad = out.as_flattened().iter().zip(&ruleset.actions).find(|(p, _)| !(0.0..=1.0).contains(*p));
    bad.map_or(Ok(()), |(p, action)| Err(format!("it scores action {} with {p} on a recorded request", action.id)))
}
