//! One node: a real engine on a seat of the log, with a folder of snapshots that outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand_pcg::Pcg64Mcg;
use tactful_core::ruleset::Ruleset;
use tactful_engine::{Engine, Options};
use tactful_log::Log;

use super::Flaw;
use super::log::SimLog;
use super::seat::Seat;

/// Tries to start on a log that fails now and then.
const STARTS_MAX: u32 = 200;
/// Pause between them.
const RETRY: Duration = Duration::from_millis(100);
/// How long a node may take to stop in order.
const CLOSE: Duration = Duration::from_secs(30);

pub(super) struct Node {
    number: u64,
    folder: PathBuf,
    peers: Vec<PathBuf>,
    lives: u64,
    running: Option<Running>,
}

/// A node that is up, or died and was not looked at since.
pub(super) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) seat: Arc<Seat>,
}

impl Node {
    /// One of `count` nodes, which know each other's folders.
    pub(super) fn new(root: &Path, number: u64, count: u64) -> Self {
        let folder = |number| root.join(format!("node-{number}"));
        let peers = (0..count).filter(|other| *other != number).map(folder).collect();
        Self { number, folder: folder(number), peers, lives: 0, running: None }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| !running.seat.is_dead())
    }

    /// Starts unless it runs; none of its calls fail if it is `healed`.
    pub(super) async fn start(&mut self, log: &SimLog, world: &World, healed: bool) -> Result<(), String> {
        self.bury().await?;
        if self.running.is_some() {
            return Ok(());
        }
        let options = self.options(world.flaw);
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            self.lives += 1;
            let seed = tactful_core::hash::keyed(world.seed, &[self.number as u8, self.lives as u8, 1]);
            let seat = Arc::new(Seat::new(log, seed, world.flaw));
            if healed {
                seat.heal();
            }
            let shared: Arc<dyn Log> = seat.clone();
            match Engine::start(shared, world.ruleset.clone(), &options).await {
                Ok(engine) => {
                    self.running = Some(Running { engine, seat });
                    return Ok(());
                }
                // What it had begun ends by itself.
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(RETRY).await;
        }
        Err(format!("node {} does not start: {last}", self.number))
    }

    fn options(&self, flaw: Flaw) -> Options {
        let defaults = Options {
            snapshots: self.folder.clone(),
            snapshot_every_ms: 500,
            housekeeping_ms: 300,
            peer_snapshots: self.peers.clone(),
            ..Options::default()
        };
        match flaw {
            // Less than nothing: time does not pass for the log of a simulation.
            Flaw::ForgottenIds => Options { dedup_ids_min: 0, dedup_horizon_ms: -10_000, ..defaults },
            _ => defaults,
        }
    }

    /// Clears away what died.
    pub(super) async fn bury(&mut self) -> Result<(), String> {
        match self.running.take_if(|running| running.seat.is_dead()) {
            Some(Running { engine, seat: _ }) => {
                engine.abort().await;
                ended(&engine)
            }
            None => Ok(()),
        }
    }

    /// Dies where it stands.
    pub(super) async fn crash(&mut self) -> Result<(), String> {
        if let Some(running) = &self.running {
            running.seat.kill();
        }
        self.bury().await
    }

    /// Stops in order.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        self.bury().await?;
        match self.running.take() {
            Some(Running { engine, seat: _ }) => {
                engine.close(CLOSE).await;
                ended(&engine)
            }
            None => Ok(()),
        }
    }

    /// Damages one of its newest snapshots, or all; answers whether there was any.
    pub(super) fn tear(&self, rng: &mut Pcg64Mcg) -> bool {
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in list(&self.folder).into_iter().filter(|path| path.is_dir()) {
            files.extend(list(&folder));
        }
        files.sort();
        let all = rng.gen_bool(0.3);
        let one = rng.gen_range(0..files.len().max(1));
        let torn = files.iter().enumerate().filter(|(index, _)| all || *index == one);
        torn.filter(|(_, path)| tear(path, rng)).count() > 0
    }
}

/// What a node is started with.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) flaw: Flaw,
    pub(super) ruleset: Ruleset,
}

fn ended(engine: &Arc<Engine>) -> Result<(), String> {
    if Arc::strong_count(engine) == 1 { Ok(()) } else { Err("something holds an engine that was closed".into()) }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Cuts a file, flips a bit of it, or empties it.
fn tear(path: &Path, rng: &mut Pcg64Mcg) -> bool {
    let Ok(mut bytes) = fs::read(path) else { return false };
    if bytes.is_empty() {
        return false;
    }
    let place = rng.gen_range(0..bytes.len());
    match rng.gen_range(0..3) {
        0 => bytes.truncate(place),
        1 => bytes[place] ^= 1 << rng.gen_range(0..8),
        _ => bytes.clear(),
    }
    fs::write(path, bytes).is_ok()
}
