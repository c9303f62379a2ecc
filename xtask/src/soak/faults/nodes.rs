//! Rows about nodes themselves: killed, given everything three times, two on one log, a customer who is half of all
//! events, calls that are repeated.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;
use tactful_proto::v1::{
    DecideRequest, IngestItem, IngestRequest, PlacementRequest, decision_service_client::DecisionServiceClient,
    event_service_client::EventServiceClient,
};
use tonic::transport::Channel;

use super::{
    super::kill,
    Seen,
    load::{Writers, decide, event, exact, recorded, told},
    scene::{Scene, address},
};
use crate::server::{Digests, Server};

/// Events of a shuffled feed.
const FED: u32 = 4_000;
const BATCH: usize = 500;
/// Probes of how soon an event is visible.
const PROBES: u32 = 300;
/// Others may wait so much longer beside a hot customer, times and milliseconds: a machine of many owners is noisy.
const HOT_RATIO_MAX: f64 = 3.0;
const HOT_MS_MAX: f64 = 50.0;
/// Calls of a storm with the same id, and ids.
const STORM: usize = 100;
const IDS: usize = 10;

pub(super) fn killed(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let rounds = scene.scale.rounds * 2;
    let mut held = true;
    let mut lines = Vec::new();
    for (name, at) in [("embedded", None), ("redis", Some(address(&redis)))] {
        let result = kill::one_log(name, || scene.node(name, at, ""), rounds, scene.seed)?;
        held &= exact(&result);
        lines.push(format!("{name}: {rounds} kills, {}", told(&result)));
    }
    Ok(Seen { what: lines.join("; "), holds: held })
}

/// Sends items, which must all be accepted.
pub(super) async fn feed(node: &Server, items: &[IngestItem]) -> Result<()> {
    let mut client = EventServiceClient::new(node.connect().await?);
    for batch in items.chunks(BATCH) {
        let answer = client.ingest(IngestRequest { items: batch.to_vec() }).await?.into_inner();
        ensure!(answer.accepted == batch.len() as i64, "events were refused: {:?}", answer.errors);
    }
    Ok(())
}

pub(super) fn repeated(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let mut rng = Pcg64Mcg::seed_from_u64(scene.seed);
    let once: Vec<IngestItem> = (0..FED)
        .map(|number| {
            event(&format!("m{number}"), &kill::subject(rng.gen_range(0..kill::CUSTOMERS)), Some(number.into()))
        })
        .collect();
    let mut thrice = [once.clone(), once.clone(), once.clone()].concat();
    thrice.shuffle(&mut rng);
    let one = scene.node("once", None, "")?;
    let other = scene.node("thrice", Some(address(&redis)), "")?;
    scene.wait(feed(&one, &once))?;
    scene.wait(feed(&other, &thrice))?;
    let (digests, others) = (scene.wait(one.settle(FED.into()))?, scene.wait(other.settle(u64::from(FED) * 3))?);
    let dropped = scene.wait(other.metrics())?.count("tactful_events_duplicate_total");
    one.stop()?;
    other.stop()?;
    let equal = digests.content == others.content;
    let what = format!(
        "{FED} events three times on Redis, {dropped} repeats dropped; content digests {}",
        if equal { "equal" } else { "DIFFER" }
    );
    Ok(Seen { what, holds: equal && dropped == u64::from(FED) * 2 })
}

pub(super) fn two_nodes(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let (one, two) = (scene.node("one", Some(address(&redis)), "")?, scene.node("two", Some(address(&redis)), "")?);
    let (mut mismatches, mut records) = (0, 0);
    let rounds = scene.scale.rounds.min(5);
    for round in 0..u64::from(rounds) {
        let writers = [Writers::start(scene, &one, round * 100)?, Writers::start(scene, &two, round * 100 + 50)?];
        thread::sleep(scene.scale.busy / 3);
        for (writers, node) in writers.into_iter().zip([&one, &two]) {
            writers.stop(scene)?.finish(scene, node)?;
        }
        let (digests, others) = equal_offsets(scene, &one, &two)?;
        records = digests.records;
        mismatches += u32::from(digests != others);
    }
    one.stop()?;
    two.stop()?;
    let what = format!("{rounds} comparisons, {records} records at the last, {mismatches} mismatches");
    Ok(Seen { what, holds: mismatches == 0 && records > 0 })
}

/// The digests of both, at rest.
fn equal_offsets(scene: &Scene, one: &Server, two: &Server) -> Result<(Digests, Digests)> {
    let records = scene.wait(one.settle(0))?.records;
    Ok((scene.wait(one.settle(records))?, scene.wait(two.settle(records))?))
}

pub(super) fn hot_customer(scene: &Scene) -> Result<Seen> {
    let mut p99 = Vec::new();
    for (name, hot_share) in [("even", 0.0), ("hot", 0.5)] {
        let redis = scene.redis(&format!("redis, {name}"))?;
        let node = scene.node(name, Some(address(&redis)), "")?;
        p99.push(scene.wait(visible_p99_ms(&node, hot_share, scene.seed))?);
        node.stop()?;
    }
    let [even, hot] = p99[..] else { unreachable!("two loads") };
    let what = format!(
        "acknowledged to visible, p99 of {PROBES} events of others: {hot:.1} ms, under an even load {even:.1} ms"
    );
    Ok(Seen { what, holds: hot <= (even * HOT_RATIO_MAX).max(HOT_MS_MAX) })
}

/// How soon others' events are visible while a load is on, of which a share is one customer's.
async fn visible_p99_ms(node: &Server, hot_share: f64, seed: u64) -> Result<f64> {
    let (mut load, mut probe) = (EventServiceClient::new(node.connect().await?), node.connect().await?);
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let loading = tokio::spawn(async move {
        for round in 0.. {
            let items = (0..BATCH).map(|number| {
                let customer = if rng.gen_bool(hot_share) { 0 } else { rng.gen_range(0..kill::CUSTOMERS) };
                event(&format!("load-{round}-{number}"), &kill::subject(customer), None)
            });
            load.ingest(IngestRequest { items: items.collect() }).await?;
        }
        anyhow::Ok(())
    });
    let mut took = Vec::new();
    for number in 0..PROBES {
        took.push(visible_ms(&mut probe, number).await?);
    }
    loading.abort();
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() * 99 / 100])
}

/// Time from the acknowledgement of an event to a decision that knows of it.
async fn visible_ms(channel: &mut Channel, number: u32) -> Result<f64> {
    let subject = format!("probe:{number}");
    let items = vec![event(&format!("probe-{number}"), &subject, None)];
    let position =
        EventServiceClient::new(channel.clone()).ingest(IngestRequest { items }).await?.into_inner().position;
    let acknowledged = Instant::now();
    let request = DecideRequest {
        subject_id: subject,
        placements: vec![PlacementRequest { placement: "home".into(), count: 1 }],
        min_position: position,
        ..DecideRequest::default()
    };
    let answer = DecisionServiceClient::new(channel.clone()).decide(request).await?.into_inner();
    ensure!(!answer.cold_start, "the decision does not know of the event: {:?}", answer.degraded_reasons);
    Ok(acknowledged.elapsed().as_secs_f64() * 1_000.0)
}

pub(super) fn retried(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    let channels = (0..4).map(|_| scene.wait(node.connect())).collect::<Result<Vec<Channel>>>().context("channels")?;
    let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut calls = 0;
    for (id, at) in (0..IDS).flat_map(|id| (0..4).map(move |at| (id, at))) {
        // Four bursts for each id, of which the first decides and the others come late.
        let (subject, request) = (kill::subject(id as u32), format!("request-{id}"));
        let storm = (0..STORM / 4).map(|call| decide(channels[(at + call) % 4].clone(), &subject, &request));
        for answer in scene.wait(join_all(storm)) {
            ids.entry(id).or_default().insert(answer?.decision_id);
            calls += 1;
        }
    }
    let decided: BTreeSet<&String> = ids.values().flatten().collect();
    let record = scene.wait(recorded(&node))?;
    let of_record: BTreeSet<&String> = record.iter().map(|row| &row.decision_id).collect();
    node.stop()?;
    let what = format!(
        "{calls} calls with {IDS} request ids: {} decision ids, {} records of {} decisions",
        decided.len(),
        record.len(),
        of_record.len()
    );
    Ok(Seen { what, holds: decided.len() == IDS && record.len() == IDS && decided == of_record })
}
