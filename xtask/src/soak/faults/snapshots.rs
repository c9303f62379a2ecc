//! Rows about snapshots: torn, flipped, all bad, no room for them, and a start that has much to catch up with.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{
    super::kill,
    Seen,
    load::{Asker, Writers, event, exact, told},
    nodes::feed,
    scene::{Scene, address, command, eventually},
};
use crate::server::{Digests, Server, readyz};

const PARTITIONS: u16 = 16;
/// How often a node that starts is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(5);
/// Snapshots all the time, or none after the start; and no trimming, so that the whole log can be folded again.
const OFTEN: &str = "[engine]\nsnapshot_every_ms = 1\nhousekeeping_ms = 3600000\n";
const SEVERAL: &str = "[engine]\nsnapshot_every_ms = 100\nhousekeeping_ms = 3600000\n";
const NEVER: &str = "[engine]\nsnapshot_every_ms = 3600000\nhousekeeping_ms = 3600000\n";
const BAD: &str = "tactful_snapshots_total{result=\"bad\"}";
const FAILED: &str = "tactful_snapshots_total{result=\"failed\"}";
const TAKEN: &str = "tactful_snapshots_total{result=\"taken\"}";
/// Room for a few snapshots and no more.
const ROOM: &str = "256k";

/// Whole snapshots of a partition with their offsets, oldest first.
pub(super) fn files(folder: &Path, partition: u16) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder.join(format!("p{partition:02}"));
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_whole = path.extension().is_some_and(|extension| extension == "snap");
        let offset = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        files.extend(offset.filter(|_| is_whole).map(|offset| (offset, path)));
    }
    files.sort();
    Ok(files)
}

/// Snapshots that a crash left unfinished.
fn unfinished(folder: &Path) -> u64 {
    let folders = (0..PARTITIONS).filter_map(|partition| fs::read_dir(folder.join(format!("p{partition:02}"))).ok());
    let parts = folders.flatten().flatten().filter(|entry| entry.path().extension().is_some_and(|it| it == "part"));
    parts.count() as u64
}

pub(super) fn killed_while_written(scene: &Scene) -> Result<Seen> {
    let left = AtomicU64::new(0);
    let start = || {
        left.fetch_add(unfinished(&scene.snapshots("node")), Relaxed);
        scene.node("node", None, OFTEN)
    };
    let rounds = scene.scale.rounds * 2;
    let result = kill::one_log("embedded, snapshots all the time", start, rounds, scene.seed)?;
    let node = scene.node("node", None, NEVER)?;
    let bad = scene.wait(node.metrics())?.count(BAD);
    let digests = scene.wait(node.settle(0))?;
    node.stop()?;
    // Without any snapshot the whole log is folded: the same state.
    fs::remove_dir_all(scene.snapshots("node"))?;
    let fresh = scene.node("node", None, NEVER)?;
    let equal = scene.wait(fresh.settle(0))? == digests;
    fresh.stop()?;
    let what = format!(
        "{rounds} kills, {} unfinished files left, {bad} read as snapshots; {}; state {} a fold of the whole log",
        left.load(Relaxed),
        told(&result),
        if equal { "equals" } else { "DIFFERS FROM" },
    );
    Ok(Seen { what, holds: exact(&result) && bad == 0 && equal })
}

/// Makes a node that has several snapshots of every partition, and stops it; its state.
fn with_snapshots(scene: &Scene, name: &str, redis: Option<SocketAddr>) -> Result<Digests> {
    let node = scene.node(name, redis, SEVERAL)?;
    let folder = scene.snapshots(name);
    for round in 0..3 {
        let items: Vec<_> = (0..2_000)
            .map(|number| event(&format!("m{round}-{number}"), &kill::subject(number % kill::CUSTOMERS), None))
            .collect();
        scene.wait(feed(&node, &items))?;
        scene.wait(node.settle(0))?;
        eventually("every partition has a further snapshot", || {
            for partition in 0..PARTITIONS {
                if files(&folder, partition)?.len() <= round {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
    }
    let digests = scene.wait(node.settle(0))?;
    node.stop()?;
    Ok(digests)
}

pub(super) fn damaged(scene: &Scene) -> Result<Seen> {
    let expected = with_snapshots(scene, "node", None)?;
    let mut rng = Pcg64Mcg::seed_from_u64(scene.seed);
    let (mut done, mut seen, mut equal) = (0, 0, true);
    for round in 0..scene.scale.rounds {
        for partition in 0..PARTITIONS {
            let Some((_, newest)) = files(&scene.snapshots("node"), partition)?.pop() else { continue };
            let whole = fs::read(&newest)?;
            let mut bytes = whole.clone();
            let at = rng.gen_range(0..bytes.len());
            if (u32::from(partition) + round) % 2 == 0 {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << rng.gen_range(0..8);
            }
            fs::write(&newest, bytes)?;
            // The whole one comes back after the start, so that each round has a newest file to damage.
            fs::write(newest.with_extension("whole"), whole)?;
            done += 1;
        }
        let node = scene.node("node", None, NEVER)?;
        equal &= scene.wait(node.settle(0))? == expected;
        seen += scene.wait(node.metrics())?.count(BAD);
        node.stop()?;
        for partition in 0..PARTITIONS {
            let folder = scene.snapshots("node").join(format!("p{partition:02}"));
            for kept in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
                if kept.extension().is_some_and(|extension| extension == "whole") {
                    fs::rename(&kept, kept.with_extension("snap"))?;
                }
            }
        }
    }
    let what = format!(
        "{done} damaged files, {seen} seen and counted; state {} the one before",
        if equal { "equals" } else { "DIFFERS FROM" }
    );
    Ok(Seen { what, holds: done > 0 && seen == done && equal })
}

/// Changes a byte in the middle of every snapshot; answers how many there are.
fn flip_all(folder: &Path) -> Result<u64> {
    let mut flipped = 0;
    for partition in 0..PARTITIONS {
        for (_, path) in files(folder, partition)? {
            let mut bytes = fs::read(&path)?;
            let middle = bytes.len() / 2;
            // Not flipped back by a second call.
            bytes[middle] = bytes[middle].wrapping_add(1);
            fs::write(path, bytes)?;
            flipped += 1;
        }
    }
    Ok(flipped)
}

pub(super) fn all_bad(scene: &Scene) -> Result<Seen> {
    let mut lines = Vec::new();
    let mut holds = true;
    let redis = scene.redis("redis")?;
    for (name, at) in [("embedded", None), ("redis", Some(address(&redis)))] {
        let expected = with_snapshots(scene, name, at)?;
        let damaged = flip_all(&scene.snapshots(name))?;
        let started = Instant::now();
        let node = scene.node(name, at, NEVER)?;
        let took = started.elapsed();
        let (bad, equal) = (scene.wait(node.metrics())?.count(BAD), scene.wait(node.settle(0))? == expected);
        node.stop()?;
        holds &= equal && bad == damaged;
        let state = if equal { "equals" } else { "DIFFERS FROM" };
        lines.push(format!(
            "{name}: {bad} of {damaged} seen, state {state} the one before, ready after {:.1} s",
            took.as_secs_f64()
        ));
    }
    // The start may have taken good ones since.
    flip_all(&scene.snapshots("redis"))?;
    command(&redis, &["XTRIM", "{tactful:p00}:log", "MINID", "9-0"])?;
    let (refused, told) = match scene.node("redis", Some(address(&redis)), NEVER) {
        Ok(node) => {
            let (status, why) = scene.wait(node.ready())?;
            node.stop()?;
            (status != 200, format!("/readyz answers {status}: {}", why.trim()))
        }
        Err(error) => {
            let told = format!("{error:#}");
            (told.contains("the first one kept is"), told)
        }
    };
    let serves = if refused { "does not serve, and says why" } else { "NOT REFUSED" };
    lines.push(format!("log trimmed as well: {serves} ({told})"));
    Ok(Seen { what: lines.join("; "), holds: holds && refused })
}

/// A small file system that goes with it.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let options = format!("size={ROOM}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output()?;
        let told = String::from_utf8_lossy(&mount.stderr);
        ensure!(mount.status.success(), "a small file system cannot be mounted, which takes root: {}", told.trim());
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Nobody uses it any more; if somebody does, it goes with the machine.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

pub(super) fn disk_full(scene: &Scene) -> Result<Seen> {
    let folder = scene.path("small");
    let _small = Small::mount(&folder)?;
    let settings = format!("[engine]\nsnapshot_every_ms = 50\nsnapshots = {:?}\n", folder.display().to_string());
    let node = scene.node("node", None, &settings)?;
    let writers = Writers::start(scene, &node, 0)?;
    let asker = Asker::start(scene, &node)?;
    let metrics = || scene.wait(node.metrics());
    eventually("a snapshot found no room", || Ok(metrics()?.count(FAILED) > 0))?;
    thread::sleep(scene.scale.busy);
    let asked = asker.stop(scene)?;
    let mut written = writers.stop(scene)?;
    let refusals: u64 = written.refusals.values().sum();
    let result = written.recount(scene, &node)?;
    let (failed, taken) = (metrics()?.count(FAILED), metrics()?.count(TAKEN));
    let digests = scene.wait(node.settle(0))?;
    node.stop()?;
    let node = scene.node("node", None, &settings)?;
    let bad = scene.wait(node.metrics())?.count(BAD);
    let equal = scene.wait(node.settle(0))? == digests;
    node.stop()?;
    let what = format!(
        "{failed} snapshots failed and {taken} were taken; {} decisions, {} errors, {refusals} calls refused; {}; after a \
         restart {bad} torn files, state {}",
        asked.calls,
        asked.errors,
        told(&result),
        if equal { "equal" } else { "DIFFERENT" },
    );
    let goes_on = asked.calls > 0 && asked.errors == 0 && refusals == 0 && exact(&result);
    Ok(Seen { what, holds: goes_on && failed > 0 && bad == 0 && equal })
}

pub(super) fn backlog(scene: &Scene) -> Result<Seen> {
    let redis = scene.redis("redis")?;
    let node = scene.node("node", Some(address(&redis)), SEVERAL)?;
    scene.wait(feed(&node, &[event("first", "customer:1", None)]))?;
    node.stop()?;
    let other = scene.node("other", Some(address(&redis)), "")?;
    let events = (0..scene.scale.backlog)
        .map(|number| event(&format!("b{number}"), &kill::subject((number % u64::from(kill::CUSTOMERS)) as u32), None));
    let events: Vec<_> = events.collect();
    scene.wait(feed(&other, &events))?;
    let expected = scene.wait(other.settle(scene.scale.backlog))?;
    let http = free_address()?;
    let started = Instant::now();
    let (node, answers) = thread::scope(|scope| {
        let starting = scope.spawn(|| scene.node_at("node", Some(address(&redis)), "", &http.to_string()));
        let mut answers: Vec<(u16, Duration)> = Vec::new();
        while !starting.is_finished() {
            if let Ok((status, _)) = scene.wait(readyz(http)) {
                answers.push((status, started.elapsed()));
            }
            thread::sleep(READY_POLL);
        }
        let node = starting.join().map_err(|_| anyhow::anyhow!("the start panicked"))??;
        anyhow::Ok((node, answers))
    })?;
    let (ready_after, digests) = (started.elapsed(), at_once(scene, &node)?);
    let early = answers.iter().filter(|(status, _)| *status == 200).count();
    let replaying = answers.iter().filter(|(status, _)| *status == 503).count();
    // Ready once means caught up: nothing of the backlog is missing in the first answer.
    let whole = digests == expected;
    node.stop()?;
    other.stop()?;
    let what = format!(
        "{} events behind: {replaying} answers 503 while replaying, ready after {:.1} s ({:.0} events/s), {} with the first \
         answer",
        scene.scale.backlog,
        ready_after.as_secs_f64(),
        scene.scale.backlog as f64 / ready_after.as_secs_f64(),
        if whole { "all known" } else { "NOT all known" },
    );
    // The last poll may fall behind the announcement.
    Ok(Seen { what, holds: whole && replaying > 0 && early <= 2 })
}

fn at_once(scene: &Scene, node: &Server) -> Result<Digests> {
    scene.wait(node.digests())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
