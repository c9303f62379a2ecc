//! Rows in which Redis is away, slow or silent, and comes back with all that it had.

use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tactful_log::RedisServer;
use tactful_sim::proxy::Proxy;

use super::{
    Seen,
    load::{Asker, Writers, decide, exact, probe, recorded, told},
    scene::{Scene, address, eventually, signal},
};
use crate::server::Server;

/// Far above what a decision takes on a busy machine, far below what Redis keeps silent.
const DECIDE_P99_MS_MAX: f64 = 100.0;
/// Redis may be silent for so long before a new connection is made.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Settings of a Redis that is killed: what it acknowledged is in its file. Synced every second, a slow disk would make
/// it hold back writes that it has acknowledged, and a kill lose them.
const SYNCED: &[&str] = &["--appendfsync", "always"];
/// What a slow Redis takes longer, in each direction.
const SLOW_BY: Duration = Duration::from_millis(200);
/// Queue of records where it shall be full.
const QUEUE: usize = 64;
/// Decisions asked for while it is.
const ASKED_OF_FULL: u64 = 3_000;
/// What a node may grow by meanwhile.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

pub(super) fn redis_killed(scene: &Scene) -> Result<Seen> {
    let mut redis = scene.redis_with("redis", SYNCED)?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    let writers = Writers::start(scene, &node, 0)?;
    let mut longest = Duration::ZERO;
    for _ in 0..scene.scale.rounds {
        thread::sleep(scene.scale.busy / 4);
        let (folder, port) = (redis.directory().to_owned(), redis.port());
        redis.kill();
        redis = RedisServer::start_on(&folder, port, SYNCED)?;
        longest = longest.max(until_taken(scene, &node)?);
    }
    let result = writers.stop(scene)?.recount(scene, &node)?;
    node.stop()?;
    let rounds = scene.scale.rounds;
    let what = format!("{rounds} kills: {}; events taken again within {:.1} s", told(&result), longest.as_secs_f64());
    Ok(Seen { what, holds: exact(&result) })
}

/// Time until the node takes an event.
fn until_taken(scene: &Scene, node: &Server) -> Result<Duration> {
    eventually("the node takes events again", || Ok(scene.wait(probe(node)).is_ok()))
}

pub(super) fn redis_stopped(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    let writers = Writers::start(scene, &node, 0)?;
    thread::sleep(scene.scale.busy / 3);
    signal(redis.id(), "-STOP")?;
    let asker = Asker::start(scene, &node)?;
    thread::sleep(scene.scale.stopped);
    let asked = asker.stop(scene)?;
    signal(redis.id(), "-CONT")?;
    let result = writers.stop(scene)?.recount(scene, &node)?;
    node.stop()?;
    let flagged = asked.flagged("LOG_UNAVAILABLE");
    let what = format!(
        "stopped {} s: {} decisions, {} errors, {flagged} flagged LOG_UNAVAILABLE, p99 {:.1} ms; afterwards {}",
        scene.scale.stopped.as_secs(),
        asked.calls,
        asked.errors,
        asked.p99_ms(),
        told(&result),
    );
    let answered = asked.calls > 0 && asked.errors == 0 && asked.p99_ms() < DECIDE_P99_MS_MAX;
    Ok(Seen { what, holds: answered && flagged > 0 && exact(&result) })
}

pub(super) fn blackhole(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let proxy = Proxy::start(address(&redis))?;
    let node = scene.node("node", Some(proxy.address()), "")?;
    let writers = Writers::start(scene, &node, 0)?;
    thread::sleep(scene.scale.busy / 3);
    let before = proxy.accepted();
    proxy.stall(false);
    let reconnected = eventually("the node connects again", || Ok(proxy.accepted() > before))?;
    let taken = reconnected + until_taken(scene, &node)?;
    let result = writers.stop(scene)?.recount(scene, &node)?;
    node.stop()?;
    let what = format!(
        "a new connection after {:.1} s, events taken again after {:.1} s; {}",
        reconnected.as_secs_f64(),
        taken.as_secs_f64(),
        told(&result)
    );
    Ok(Seen { what, holds: reconnected <= SILENCE_MAX && exact(&result) })
}

pub(super) fn slow(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let proxy = Proxy::start(address(&redis))?;
    let node = scene.node("node", Some(proxy.address()), "")?;
    let writers = Writers::start(scene, &node, 0)?;
    let ask = || -> Result<_> {
        let asker = Asker::start(scene, &node)?;
        thread::sleep(scene.scale.busy * 2);
        asker.stop(scene)
    };
    let usual = ask()?;
    proxy.delay(SLOW_BY);
    let slow = ask()?;
    let queue = scene.wait(node.metrics())?.count("tactful_recorder_queue");
    proxy.delay(Duration::ZERO);
    let result = writers.stop(scene)?.recount(scene, &node)?;
    node.stop()?;
    let what = format!(
        "p99 {:.1} ms instead of {:.1} ms, {} errors in {} decisions, {queue} records waiting; {}",
        slow.p99_ms(),
        usual.p99_ms(),
        slow.errors,
        slow.calls,
        told(&result)
    );
    let answered = slow.calls > 0 && slow.errors == 0 && slow.p99_ms() < DECIDE_P99_MS_MAX;
    Ok(Seen { what, holds: answered && slow.flagged("UNLOGGED") == 0 && exact(&result) })
}

pub(super) fn queue_full(scene: &Scene) -> Result<Seen> {
    let mut redis = scene.redis_with("redis", SYNCED)?;
    let node = scene.node("node", Some(address(&redis)), &format!("[engine]\nrecorder_queue_max = {QUEUE}\n"))?;
    let channel = scene.wait(node.connect())?;
    let (folder, port) = (redis.directory().to_owned(), redis.port());
    redis.kill();
    let before = resident(node.id())?;
    let (mut flagged, mut errors) = (0, 0);
    for number in 0..ASKED_OF_FULL {
        match scene.wait(decide(channel.clone(), &format!("customer:{number}"), "")) {
            Ok(answer) => flagged += u64::from(answer.degraded_reasons.iter().any(|code| code == "UNLOGGED")),
            Err(_) => errors += 1,
        }
    }
    let growth = resident(node.id())?.saturating_sub(before);
    let _redis = RedisServer::start_on(&folder, port, SYNCED)?;
    until_taken(scene, &node)?;
    let kept = ASKED_OF_FULL - flagged;
    eventually("what was queued is in the record", || Ok(scene.wait(recorded(&node))?.len() as u64 >= kept))?;
    let recorded = scene.wait(recorded(&node))?.len() as u64;
    let counted = scene.wait(node.metrics())?.count("tactful_decisions_unlogged_total");
    node.stop()?;
    let what = format!(
        "{ASKED_OF_FULL} decisions, {errors} errors, {flagged} flagged UNLOGGED, {counted} counted, {recorded} in the \
         record afterwards, memory grew by {} MB",
        growth >> 20
    );
    let told = errors == 0 && flagged > 0 && flagged == counted && recorded == kept;
    Ok(Seen { what, holds: told && growth < GROWTH_BYTES_MAX })
}

/// Resident bytes of a process.
fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("no /proc of the node")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
    Ok(kilobytes << 10)
}

pub(super) fn ambiguous(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    let writers = Writers::start(scene, &node, 0)?;
    let started = Instant::now();
    let rounds = scene.scale.rounds.div_ceil(3);
    for _ in 0..rounds {
        thread::sleep(scene.scale.busy / 3);
        signal(redis.id(), "-STOP")?;
        // Longer than a connection is waited for, so that appends are asked again on a new one.
        thread::sleep(Duration::from_secs(6));
        signal(redis.id(), "-CONT")?;
    }
    thread::sleep(scene.scale.busy / 3);
    let mut written = writers.stop(scene)?;
    let result = written.recount(scene, &node)?;
    let metrics = scene.wait(node.metrics())?;
    node.stop()?;
    let what = format!(
        "{rounds} stops of 6 s in {:.0} s: {}; {} repeats of producers dropped, {} refusals told",
        started.elapsed().as_secs_f64(),
        told(&result),
        metrics.count("tactful_events_duplicate_total"),
        written.refusals.values().sum::<u64>(),
    );
    Ok(Seen { what, holds: exact(&result) })
}

/// A proxy before a Redis, for rows whose node is led elsewhere.
pub(super) fn proxied(redis: &RedisServer) -> Result<(Proxy, SocketAddr)> {
    let proxy = Proxy::start(address(redis))?;
    let at = proxy.address();
    Ok((proxy, at))
}
