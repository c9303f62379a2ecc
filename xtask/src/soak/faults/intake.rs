//! Rows about what comes in: times that cannot be, and entries that cannot be read.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use rand::{Rng, RngCore, SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;
use tactful_log::RedisServer;
use tactful_proto::v1::{IngestItem, IngestRequest, event_service_client::EventServiceClient, ingest_item::Item};

use super::{
    super::kill,
    Seen,
    load::event,
    loss::last_entry,
    nodes::feed,
    scene::{Scene, address, command, eventually},
};

/// Events of each kind.
const EACH: u32 = 500;
/// Seconds beyond which an event lies ahead, and such a time; 1980.
const AHEAD_S: i64 = 3_600;
const TOO_EARLY_S: i64 = 315_532_799;

pub(super) fn late_and_future(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let (one, other) = (scene.node("in order", Some(address(&redis)), "")?, scene.node("late", None, "")?);
    let mut rng = Pcg64Mcg::seed_from_u64(scene.seed);
    let good: Vec<IngestItem> = (0..EACH)
        .map(|number| event(&format!("m{number}"), &kill::subject(rng.gen_range(0..20)), Some(i64::from(number) * 7)))
        .collect();
    let mut late = good.clone();
    late.shuffle(&mut rng);
    scene.wait(feed(&one, &good))?;
    scene.wait(feed(&other, &late))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    let impossible: Vec<IngestItem> = (0..EACH)
        .map(|number| {
            let time_s = if number % 2 == 0 { now_s + AHEAD_S } else { TOO_EARLY_S };
            at(event(&format!("x{number}"), &kill::subject(number % 20), None), time_s)
        })
        .collect();
    let refused = scene.wait(async {
        let mut client = EventServiceClient::new(one.connect().await?);
        let answer = client.ingest(IngestRequest { items: impossible }).await?.into_inner();
        anyhow::Ok(answer.errors)
    })?;
    let named = refused.iter().filter(|error| error.field.ends_with("event_time") && !error.message.is_empty()).count();
    let lines: Vec<String> = (0..EACH).map(|number| json(number, "2999-01-01T00:00:00Z")).collect();
    add(&redis, lines.iter().map(String::as_bytes))?;
    eventually("all of the intake is dead", || {
        Ok(scene.wait(one.metrics())?.count("tactful_intake_dead_total") >= EACH.into())
    })?;
    let dead = command(&redis, &["XLEN", "tactful:dead"])?;
    let (digests, others) = (scene.wait(one.settle(EACH.into()))?, scene.wait(other.settle(EACH.into()))?);
    one.stop()?;
    other.stop()?;
    let equal = digests.content == others.content;
    let what = format!(
        "{EACH} up to an hour late: content {} that of their order; {named} of {EACH} impossible times refused by name, \
         {dead} of {EACH} from the intake are dead. The clock itself was not moved: no fold reads one",
        if equal { "equals" } else { "DIFFERS FROM" },
    );
    Ok(Seen { what, holds: equal && named == EACH as usize && dead == EACH.to_string() })
}

/// An event at another time.
fn at(mut item: IngestItem, seconds: i64) -> IngestItem {
    if let Some(Item::Event(event)) = &mut item.item {
        event.event_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    }
    item
}

fn json(number: u32, time: &str) -> String {
    let subject = kill::subject(number % 20);
    format!(
        "{{\"type\":\"track\",\"event\":\"{}\",\"userId\":\"{subject}\",\"messageId\":\"i{number}\",\"timestamp\":\"{time}\"}}",
        kill::EVENT
    )
}

pub(super) fn poison(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    // A new log begins with the schema in every partition.
    let before = scene.wait(node.settle(0))?.records;
    let mut rng = Pcg64Mcg::seed_from_u64(scene.seed);
    let mut entries: Vec<Vec<u8>> = (0..EACH).map(|number| json(number, "2026-05-01T10:00:00Z").into_bytes()).collect();
    for number in 0..EACH {
        entries.push(poisoned(json(number, "2026-05-01T10:00:00Z").into_bytes(), &mut rng));
    }
    entries.shuffle(&mut rng);
    add(&redis, entries.iter().map(Vec::as_slice))?;
    let count = |name: &str| Ok::<u64, anyhow::Error>(scene.wait(node.metrics())?.count(name));
    eventually("all of the intake is settled", || {
        Ok(count("tactful_intake_taken_total")? + count("tactful_intake_dead_total")? >= u64::from(EACH) * 2)
    })?;
    let dead = command(&redis, &["XLEN", "tactful:dead"])?;
    // And one that only Tactful could have written, into the log itself.
    let stream = "{tactful:p03}:log";
    let last = last_entry(&redis, 3)?;
    command(&redis, &["XADD", stream, &format!("{}-0", last + 1), "d", "no record"])?;
    eventually("the poison in the log is passed over", || Ok(count("tactful_events_poisoned_total")? == 1))?;
    let more: Vec<IngestItem> =
        (0..EACH).map(|number| event(&format!("after{number}"), &kill::subject(number % 200), None)).collect();
    scene.wait(feed(&node, &more))?;
    let applied = u64::from(EACH) * 2;
    let records = scene.wait(node.settle(applied + 1))?.records;
    node.stop()?;
    let what = format!(
        "{EACH} good and {EACH} broken entries: {dead} dead; one unreadable entry in the log passed over and counted; \
         {EACH} events after it, {records} records read"
    );
    Ok(Seen { what, holds: dead == EACH.to_string() && records == before + applied + 1 })
}

/// Bytes that no entry can have: cut, with a byte that is no JSON, or noise.
fn poisoned(mut line: Vec<u8>, rng: &mut Pcg64Mcg) -> Vec<u8> {
    match rng.gen_range(0..3) {
        0 => line.truncate(rng.gen_range(1..line.len())),
        1 => line.insert(rng.gen_range(0..line.len()), 0xFF),
        _ => {
            line = vec![0; rng.gen_range(1..300)];
            rng.fill_bytes(&mut line);
        }
    }
    line
}

/// Adds entries with the field `json`, byte for byte, as another producer does.
fn add<'a>(redis: &RedisServer, entries: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let mut calls = Vec::new();
    for entry in entries {
        write!(calls, "*5\r\n$4\r\nXADD\r\n$14\r\ntactful:intake\r\n$1\r\n*\r\n$4\r\njson\r\n${}\r\n", entry.len())?;
        calls.extend_from_slice(entry);
        calls.extend_from_slice(b"\r\n");
    }
    let mut client = Command::new("redis-cli");
    client.args(["-p", &redis.port().to_string(), "--pipe"]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = client.spawn().context("redis-cli does not start; it comes with redis-server, in redis-tools")?;
    let mut stdin = client.stdin.take().context("stdin is not piped")?;
    stdin.write_all(&calls)?;
    drop(stdin);
    let output = client.wait_with_output()?;
    ensure!(output.status.success(), "redis-cli ended with {}", output.status);
    Ok(())
}
