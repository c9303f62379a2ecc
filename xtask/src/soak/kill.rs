//! A node that is killed (SIGKILL) at random moments while producers write to it. A producer sends what was
//! not acknowledged again, under the same ids, to the node's next life; in the end every event that was ever
//! sent must count once, for each log. Snapshots, trimming and the archive come as often as they can, so that
//! kills hit them, and lives begin from what they left.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use tactful_log::RedisServer;
use tactful_proto::v1::{
    Event, EventType, GetContextRequest, IngestItem, IngestRequest, customer_service_client::CustomerServiceClient,
    event_service_client::EventServiceClient, ingest_item::Item, value::Kind,
};
use tonic::transport::Channel;

use crate::{
    eval::{Verdict, progress, runtime},
    server::Server,
};

/// Counts `EVENT` as `COUNT`.
pub(super) const CATALOG: &str = include_str!("../eval/cdnow/catalog.toml");
pub(super) const EVENT: &str = "Order Completed";
const COUNT: &str = "purchases";
pub(super) const CUSTOMERS: u32 = 200;
const PRODUCERS: u64 = 4;
const BATCH: u64 = 20;
/// A node lives this long under ingest, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 5..250;
/// Settings of the nodes: what a node does now and then, it does all the time.
const SETTINGS: [(&str, &str); 3] = [
    ("TACTFUL__ENGINE__SNAPSHOT_EVERY_MS", "50"),
    ("TACTFUL__ENGINE__HOUSEKEEPING_MS", "500"),
    ("TACTFUL__ARCHIVE_EVERY_S", "1"),
];
/// A call that takes longer is one to a node that is dead.
const CALL_MAX: Duration = Duration::from_secs(10);

/// The line that the soak prints.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KillResult {
    /// Kills over both logs.
    pub(super) rounds: u32,
    /// Events acknowledged.
    pub(super) acknowledged: u64,
    /// Events that count in the end.
    pub(super) applied: u64,
    /// Sum over the customers of what they have too much or too little.
    pub(super) diff: u64,
}

/// Runs the soak on the embedded log and on Redis.
pub(super) fn run(binary: &Path, rounds: u32, seed: u64) -> Result<KillResult> {
    let folder = tempfile::tempdir()?;
    let catalog = folder.path().join("catalog");
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("catalog.toml"), CATALOG)?;
    let redis_folder = folder.path().join("redis-server");
    fs::create_dir(&redis_folder)?;
    let redis = RedisServer::start(&redis_folder)?;
    let url = redis.url();
    let mut result = KillResult { rounds: 0, acknowledged: 0, applied: 0, diff: 0 };
    for (name, arguments) in [("embedded", Vec::new()), ("redis", vec!["--log", url.as_str()])] {
        let data = folder.path().join(name);
        let start = || Server::start_with(binary, &catalog, &data, &arguments, &SETTINGS);
        let one = one_log(name, start, rounds, seed)?;
        result.rounds += one.rounds;
        result.acknowledged += one.acknowledged;
        result.applied += one.applied;
        result.diff += one.diff;
    }
    Ok(result)
}

/// Runs the soak on nodes that `start` starts, one after the other.
pub(super) fn one_log(name: &str, start: impl Fn() -> Result<Server>, rounds: u32, seed: u64) -> Result<KillResult> {
    let runtime = runtime()?;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut producers: Vec<Producer> = (0..PRODUCERS).map(|number| Producer::new(number, seed)).collect();
    let bar = progress(&format!("kills, log {name}"), rounds.into());
    for _ in 0..rounds {
        let server = start()?;
        let life = Duration::from_millis(rng.gen_range(LIFE_MS));
        producers = runtime.block_on(one_life(server, life, producers))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let server = start()?;
    runtime.block_on(async {
        for producer in &mut producers {
            producer.finish(server.connect().await?).await?;
        }
        anyhow::Ok(())
    })?;
    let result = runtime.block_on(recount(&server, &producers, rounds))?;
    server.stop()?;
    Ok(result)
}

/// What a server counts against what it acknowledged to these producers.
pub(super) async fn recount(server: &Server, producers: &[Producer], rounds: u32) -> Result<KillResult> {
    let mut truth: BTreeMap<u32, u64> = BTreeMap::new();
    for (customer, count) in producers.iter().flat_map(|producer| &producer.acknowledged) {
        *truth.entry(*customer).or_default() += count;
    }
    let acknowledged = truth.values().sum();
    server.settle(acknowledged).await?;
    let counts = counts(server.connect().await?).await?;
    let expected = |customer: u32| truth.get(&customer).copied().unwrap_or_default();
    let diff = counts.iter().map(|(customer, count)| count.abs_diff(expected(*customer))).sum();
    Ok(KillResult { rounds, acknowledged, applied: counts.values().sum(), diff })
}

/// Producers write until the node is killed after `life`.
async fn one_life(server: Server, life: Duration, producers: Vec<Producer>) -> Result<Vec<Producer>> {
    let dead = Arc::new(AtomicBool::new(false));
    let mut writing = Vec::new();
    for mut producer in producers {
        let (channel, dead) = (server.connect().await?, Arc::clone(&dead));
        writing.push(tokio::spawn(async move {
            producer.write(channel, &dead).await;
            producer
        }));
    }
    tokio::time::sleep(life).await;
    // Dropped without a stop it is killed at once.
    drop(server);
    dead.store(true, Relaxed);
    join_all(writing).await.into_iter().map(|producer| producer.context("a producer panicked")).collect()
}

/// Writes events with ids of its own, batch after batch.
pub(super) struct Producer {
    name: String,
    number: u64,
    seed: u64,
    rng: Pcg64Mcg,
    made: u64,
    /// Sent and not acknowledged.
    pending: Vec<Event>,
    /// Acknowledged events of each customer.
    acknowledged: BTreeMap<u32, u64>,
}

impl Producer {
    pub(super) fn new(number: u64, seed: u64) -> Self {
        let rng = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(PRODUCERS).wrapping_add(number));
        let name = format!("producer-{number}");
        Self { name, number, seed, rng, made: 0, pending: Vec::new(), acknowledged: BTreeMap::new() }
    }

    /// Writes until the node is dead; what it did not acknowledge stays pending.
    async fn write(&mut self, channel: Channel, dead: &AtomicBool) {
        while !dead.load(Relaxed) && self.send(channel.clone()).await.is_ok() {}
    }

    /// Sends what is pending until it is acknowledged.
    pub(super) async fn finish(&mut self, channel: Channel) -> Result<()> {
        if self.pending.is_empty() { Ok(()) } else { self.send(channel).await }
    }

    /// Sends everything again that it ever sent, under the same ids.
    pub(super) async fn repeat(&self, channel: Channel) -> Result<()> {
        let mut again = Self::new(self.number, self.seed);
        while again.made < self.made {
            again.send(channel.clone()).await?;
        }
        Ok(())
    }

    /// Sends what is pending, or a new batch.
    pub(super) async fn send(&mut self, channel: Channel) -> Result<()> {
        if self.pending.is_empty() {
            self.pending = (0..BATCH).map(|_| self.event()).collect();
        }
        let items = self.pending.iter().map(|event| IngestItem { item: Some(Item::Event(event.clone())) }).collect();
        let mut client = EventServiceClient::new(channel);
        let answer = tokio::time::timeout(CALL_MAX, client.ingest(IngestRequest { items })).await??.into_inner();
        anyhow::ensure!(answer.accepted == self.pending.len() as i64, "events were refused: {:?}", answer.errors);
        for event in self.pending.drain(..) {
            let number = event.subject_id.rsplit(':').next().and_then(|number| number.parse().ok());
            *self.acknowledged.entry(number.context("a customer of ours")?).or_default() += 1;
        }
        Ok(())
    }

    fn event(&mut self) -> Event {
        self.made += 1;
        Event {
            message_id: format!("{}-{}", self.name, self.made),
            subject_id: subject(self.rng.gen_range(0..CUSTOMERS)),
            r#type: EventType::Track.into(),
            name: EVENT.into(),
            ..Event::default()
        }
    }
}

pub(super) fn subject(customer: u32) -> String {
    format!("customer:{customer}")
}

/// What the server counts for each customer.
async fn counts(channel: Channel) -> Result<BTreeMap<u32, u64>> {
    let mut counts = BTreeMap::new();
    for customer in 0..CUSTOMERS {
        let request = GetContextRequest { subject_id: subject(customer) };
        let context = CustomerServiceClient::new(channel.clone()).get_context(request).await?.into_inner();
        let count = context.features.into_iter().find(|feature| feature.name == COUNT);
        let value = count.and_then(|feature| feature.value?.kind);
        counts.insert(customer, if let Some(Kind::Number(count)) = value { count as u64 } else { 0 });
    }
    Ok(counts)
}

impl Verdict for KillResult {
    fn failure(&self) -> Option<String> {
        let Self { acknowledged, applied, diff, .. } = *self;
        let exact = diff == 0 && acknowledged == applied && acknowledged > 0;
        (!exact).then(|| format!("{acknowledged} events were acknowledged, {applied} count, {diff} differ"))
    }

    fn text(&self) -> String {
        let Self { rounds, acknowledged, applied, diff } = self;
        format!("kill: {rounds} rounds, {acknowledged} events acknowledged, {applied} applied, {diff} differ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn a_few_kills_on_redis_and_on_disk_lose_and_double_nothing() {
        // Built by `cargo test --workspace`, of which this is a part.
        let binary = Workspace::locate().unwrap().target().join("debug/tactful");
        if !binary.is_file() {
            return eprintln!("skipped: {} is not built", binary.display());
        }
        let result = run(&binary, 3, 7).unwrap();
        assert_eq!((result.rounds, result.failure()), (6, None), "{result:?}");
    }

    #[test]
    fn only_an_exact_count_passes() {
        let result = KillResult { rounds: 2, acknowledged: 9, applied: 9, diff: 0 };
        assert_eq!(serde_json::to_string(&result).unwrap(), r#"{"rounds":2,"acknowledged":9,"applied":9,"diff":0}"#);
        assert_eq!(result.failure(), None);
        assert!(KillResult { diff: 1, ..result.clone() }.failure().is_some());
        assert!(KillResult { applied: 8, ..result.clone() }.failure().is_some());
        assert!(KillResult { acknowledged: 0, applied: 0, ..result }.failure().is_some(), "nothing was shown");
    }
}
