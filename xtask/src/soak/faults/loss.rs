//! Rows in which Redis loses or refuses something: a failover without the tail, a stream that was trimmed or deleted,
//! memory that is full.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tactful_log::RedisServer;
use tactful_sim::proxy::Proxy;

use super::{
    Seen,
    load::{Asker, Writers, decide, exact, probe, told},
    outage::proxied,
    scene::{Scene, address, command, eventually, until_damaged},
};
use crate::server::Server;

/// A node looks for what it has read every two seconds, and on every new connection.
const TOLD_MAX: Duration = Duration::from_secs(10);
/// Free memory that Redis is left with.
const FREE_BYTES: u64 = 3 << 20;
const PARTITIONS: u16 = 16;

/// A primary with a replica whose link to it can be stalled.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    link: Proxy,
}

impl Pair {
    fn start(scene: &Scene) -> Result<Self> {
        let primary = scene.redis("primary")?;
        command(&primary, &["CONFIG", "SET", "repl-diskless-sync-delay", "0"])?;
        let replica = scene.redis("replica")?;
        let link = Proxy::start(address(&primary))?;
        command(&replica, &["REPLICAOF", "127.0.0.1", &link.address().port().to_string()])?;
        Ok(Self { primary, replica, link })
    }

    /// Waits until the replica has all that the primary has.
    fn equal(&self) -> Result<()> {
        let offset = |redis: &RedisServer, name: &str| -> Result<Option<u64>> {
            let told = command(redis, &["INFO", "replication"])?;
            Ok(told.lines().find_map(|line| line.trim().strip_prefix(name)?.parse().ok()))
        };
        eventually("the replica has everything", || {
            let up = command(&self.replica, &["INFO", "replication"])?.contains("master_link_status:up");
            let sent = offset(&self.primary, "master_repl_offset:")?;
            Ok(up && sent.is_some() && sent == offset(&self.replica, "slave_repl_offset:")?)
        })?;
        Ok(())
    }

    /// The primary dies; the replica takes its place.
    fn fail_over(&mut self) -> Result<()> {
        self.primary.kill();
        command(&self.replica, &["REPLICAOF", "NO", "ONE"])?;
        Ok(())
    }
}

/// Writes for a while and leaves nothing pending.
fn write(scene: &Scene, node: &Server, first: u64) -> Result<super::load::Written> {
    let writers = Writers::start(scene, node, first)?;
    thread::sleep(scene.scale.busy / 5);
    let mut written = writers.stop(scene)?;
    written.finish(scene, node)?;
    Ok(written)
}

pub(super) fn failover(scene: &Scene) -> Result<Seen> {
    let mut pair = Pair::start(scene)?;
    let (proxy, at) = proxied(&pair.primary)?;
    let node = scene.node("node", Some(at), "")?;
    let mut kept = write(scene, &node, 0)?;
    pair.equal()?;
    pair.link.stall(true);
    let mut lost = write(scene, &node, 10)?;
    pair.fail_over()?;
    proxy.retarget(address(&pair.replica));
    proxy.cut();
    let (took, reason) = until_damaged(scene, &node)?;
    let damage = scene.wait(node.metrics())?.count("tactful_log_damage_total");
    let channel = scene.wait(node.connect())?;
    let flagged = scene.wait(decide(channel, "customer:1", ""))?.degraded_reasons;
    let tail = entries(&pair.replica)?;
    let refused = scene.wait(probe(&node)).is_err();
    let appended = entries(&pair.replica)? - tail;
    node.stop()?;
    let node = scene.node("node", Some(at), "")?;
    let fresh = scene.node("fresh", Some(at), "")?;
    let (digests, fresh_digests) = (scene.wait(node.settle(0))?, scene.wait(fresh.settle(0))?);
    // What was acknowledged and lost is sent again, all of it, with what was not lost: it counts once.
    lost.repeat(scene, &node)?;
    kept.repeat(scene, &node)?;
    kept.producers.append(&mut lost.producers);
    let result = kept.recount(scene, &node)?;
    fresh.stop()?;
    node.stop()?;
    let what = format!(
        "told after {:.1} s ({reason}), {damage} partitions, decisions flagged {flagged:?}, an event {}, {appended} \
         entries appended; restarted, its digest {} a fresh fold's; all sent again: {}",
        took.as_secs_f64(),
        if refused { "refused" } else { "taken" },
        if digests == fresh_digests { "equals" } else { "DIFFERS FROM" },
        told(&result),
    );
    let loud = took <= TOLD_MAX && damage > 0 && flagged.iter().any(|code| code == "LOG_DAMAGED");
    let mended = digests == fresh_digests && exact(&result);
    Ok(Seen { what, holds: loud && refused && appended == 0 && mended })
}

/// Entries that all data partitions ever had.
fn entries(redis: &RedisServer) -> Result<u64> {
    (0..PARTITIONS).map(|partition| last_entry(redis, partition)).sum()
}

/// Number of the last entry that a partition ever had, whatever was trimmed; 0 for none.
pub(super) fn last_entry(redis: &RedisServer, partition: u16) -> Result<u64> {
    let Ok(told) = command(redis, &["XINFO", "STREAM", &stream(partition)]) else { return Ok(0) };
    let mut lines = told.lines().skip_while(|line| *line != "last-generated-id");
    let id = lines.nth(1).and_then(|id| id.split('-').next()?.parse().ok());
    id.context("XINFO STREAM tells no last-generated-id")
}

fn stream(partition: u16) -> String {
    format!("{{tactful:p{partition:02}}}:log")
}

pub(super) fn ids_reused(scene: &Scene) -> Result<Seen> {
    let mut pair = Pair::start(scene)?;
    let (proxy, at) = proxied(&pair.primary)?;
    let node = scene.node("node", Some(at), "")?;
    write(scene, &node, 0)?;
    pair.equal()?;
    pair.link.stall(true);
    write(scene, &node, 10)?;
    let reached = scene.wait(node.settle(0))?.records;
    // The node sees nothing of the failover until the ids that it has read are in use again.
    proxy.stall(true);
    pair.fail_over()?;
    let other = scene.node("other", Some(address(&pair.replica)), "")?;
    for batch in 2..20 {
        write(scene, &other, batch * 10)?;
        if scene.wait(other.settle(0))?.records > reached * 3 {
            break;
        }
    }
    let reused = scene.wait(other.settle(0))?.records;
    proxy.retarget(address(&pair.replica));
    proxy.cut();
    proxy.resume();
    let (took, reason) = until_damaged(scene, &node)?;
    node.stop()?;
    let node = scene.node("node", Some(at), "")?;
    let (digests, others) = (scene.wait(node.settle(0))?, scene.wait(other.settle(0))?);
    node.stop()?;
    other.stop()?;
    let what = format!(
        "{reused} records where this node had read {reached}: told {:.1} s after it saw them ({reason}); restarted, its \
         digest {} the other node's",
        took.as_secs_f64(),
        if digests == others { "equals" } else { "DIFFERS FROM" },
    );
    Ok(Seen { what, holds: took <= TOLD_MAX && reused > reached && digests == others })
}

pub(super) fn trimmed(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let (proxy, at) = proxied(&redis)?;
    let node = scene.node("node", Some(at), "")?;
    write(scene, &node, 0)?;
    let reached = scene.wait(node.settle(0))?;
    proxy.stall(true);
    let peer = scene.node("peer", Some(address(&redis)), "[engine]\nsnapshot_every_ms = 100\n")?;
    write(scene, &peer, 10)?;
    let ahead = scene.wait(peer.settle(0))?;
    let newest = newest_snapshots(scene, "peer", &redis)?;
    for (partition, offset) in (0..PARTITIONS).zip(newest) {
        command(&redis, &["XTRIM", &stream(partition), "MINID", &format!("{offset}-0")])?;
    }
    proxy.cut();
    proxy.resume();
    let (took, reason) = until_damaged(scene, &node)?;
    let skipped = scene.wait(node.digests())?.records - reached.records;
    node.stop()?;
    let peers = scene.snapshots("peer");
    let settings = format!("[engine]\npeer_snapshots = [{:?}]\n", peers.display().to_string());
    let node = scene.node("node", Some(at), &settings)?;
    let (digests, others) = (scene.wait(node.settle(0))?, scene.wait(peer.settle(0))?);
    node.stop()?;
    peer.stop()?;
    let what = format!(
        "trimmed {} records ahead of it: told after {:.1} s ({reason}), {skipped} applied past the gap; started again \
         from a peer's snapshots its digest {} the peer's",
        ahead.records - reached.records,
        took.as_secs_f64(),
        if digests == others { "equals" } else { "DIFFERS FROM" },
    );
    Ok(Seen { what, holds: took <= TOLD_MAX && skipped == 0 && digests == others })
}

/// The offset of the newest snapshot of each partition, once each is at the end of its stream.
fn newest_snapshots(scene: &Scene, name: &str, redis: &RedisServer) -> Result<Vec<u64>> {
    let mut newest = Vec::new();
    eventually("every partition has a snapshot of its end", || {
        newest.clear();
        for partition in 0..PARTITIONS {
            let snapshots = super::snapshots::files(&scene.snapshots(name), partition)?;
            newest.extend(snapshots.last().map(|(offset, _)| *offset));
        }
        let mut ends = Vec::new();
        for partition in 0..PARTITIONS {
            ends.push(last_entry(redis, partition)?);
        }
        Ok(newest == ends)
    })?;
    Ok(newest)
}

pub(super) fn deleted(scene: &Scene) -> Result<Seen> {
    let mut told = Vec::new();
    for (name, loss) in [("a stream deleted", &["DEL", "{tactful:p00}:log"][..]), ("flushed", &["FLUSHALL"][..])] {
        let redis = scene.redis(name)?;
        let node = scene.node(&format!("node, {name}"), Some(address(&redis)), "")?;
        write(scene, &node, 0)?;
        ensure!(entries(&redis)? > 0, "nothing was written");
        command(&redis, loss)?;
        let (took, reason) = until_damaged(scene, &node)?;
        node.stop()?;
        told.push((name, took, reason));
    }
    let holds = told.iter().all(|(_, took, _)| *took <= TOLD_MAX);
    let line = |(name, took, reason): &(&str, Duration, String)| {
        format!("{name}: told after {:.1} s ({reason})", took.as_secs_f64())
    };
    Ok(Seen { what: told.iter().map(line).collect::<Vec<_>>().join("; "), holds })
}

pub(super) fn out_of_memory(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), "")?;
    let info = command(&redis, &["INFO", "memory"])?;
    let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:")?.parse::<u64>().ok());
    let limit = used.unwrap_or_default() + FREE_BYTES;
    command(&redis, &["CONFIG", "SET", "maxmemory", &limit.to_string()])?;
    let writers = Writers::start(scene, &node, 0)?;
    eventually("Redis is out of memory", || Ok(scene.wait(probe(&node)).is_err()))?;
    let asker = Asker::start(scene, &node)?;
    thread::sleep(scene.scale.busy);
    let asked = asker.stop(scene)?;
    command(&redis, &["CONFIG", "SET", "maxmemory", "0"])?;
    let mut written = writers.stop(scene)?;
    let result = written.recount(scene, &node)?;
    node.stop()?;
    let refused = written.refusals.get("ResourceExhausted").copied().unwrap_or_default();
    let others: u64 = written.refusals.values().sum::<u64>() - refused;
    let what = format!(
        "{refused} calls refused with RESOURCE_EXHAUSTED, {others} otherwise; {} decisions meanwhile, {} errors; with \
         memory again {}",
        asked.calls,
        asked.errors,
        told(&result)
    );
    let answered = asked.calls > 0 && asked.errors == 0;
    Ok(Seen { what, holds: refused > 0 && others == 0 && answered && exact(&result) })
}
