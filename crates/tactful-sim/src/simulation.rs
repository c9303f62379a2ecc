//! A simulation of log and engine: real engines, one or two, on a log in memory that fails, dies and loses as a
//! seed says, in virtual time. Afterwards each node must be right or loudly damaged, never silently wrong.
//!
//! Even seeds ask for liveness: calls fail, nodes die in the midst of a write, snapshots are torn or the log is
//! trimmed as far as the nodes allow; once that ends every node must be right, and equal to the other. Odd seeds
//! ask for safety: the log may also lose its end and give the same offsets to other entries, be trimmed early, or
//! be replaced by another one; then a node may be damaged, if it says so.
//!
//! A seed gives the same steps and the same faults of each kind of call. It does not order the threads that write
//! snapshots, nor the tasks of an engine where the runtime draws lots: what is promised must hold in any order. So
//! a seed repeats a failure nearly always, and not for certain. It refuses to look into the engine: all it sees is
//! the public API and the log.

mod check;
mod log;
mod node;
mod producer;
mod seat;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tactful_core::decide::{Explain, RequestText};
use tactful_core::ruleset::Ruleset;
use tactful_engine::DecideCommand;
use tactful_log::Partition;
use tactful_proto::storage::Nodes;
use tactful_proto::v1;
use tokio::time::{Instant, timeout};

use self::check::{Broken, Oracle, acknowledged_is_kept, broken, converged, counts_agree};
use self::log::SimLog;
use self::node::{Node, World};
use self::producer::{Producer, SUBJECTS, Sent, orders_of, recount};

static RULESET: LazyLock<Ruleset> = LazyLock::new(|| {
    let catalog = include_str!("simulation/catalog.toml");
    let compiled = tactful_engine::catalog::compile(&[("simulation.toml".into(), catalog.into())]);
    compiled.expect("the catalogue beside this file")
});
const PARTITIONS: u16 = 2;
/// Steps of one seed.
const STEPS: std::ops::Range<u32> = 12..40;
/// How long one call to a node may take.
const CALL: Duration = Duration::from_secs(20);
/// How long an erasure may wait for nodes that may be dead.
const ERASE: Duration = Duration::from_secs(2);
/// After so long every decision is recorded.
const SETTLE: Duration = Duration::from_secs(5);
/// Tries of a healed producer.
const TRIES: u32 = 50;
/// Key of the log with what the nodes need of it.
const NODES: &str = "nodes";

/// A defect that is put in on purpose, to show that the simulation finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// None: what the tests and the soak run.
    None,
    /// The log leaves an entry out of what it reads.
    SkippedEntry,
    /// A node forgets every message id at once.
    ForgottenIds,
    /// A log that lost its end does not tell those that read it.
    HiddenLoss,
}

/// What a seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Steps taken.
    pub steps: u64,
    /// Nodes that were damaged in the end, and said so.
    pub damaged: u64,
}

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// What was promised.
    pub promised: String,
    /// What was seen instead.
    pub seen: String,
    /// What had happened, in order.
    pub steps: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, promised, seen, steps } = self;
        write!(f, "seed {seed}: promised: {promised}; seen: {seen}; after: {}", steps.join(", "))
    }
}

/// Runs one seed.
///
/// # Errors
/// If a promise did not hold.
///
/// # Panics
/// If there is no room for a runtime or a folder.
pub fn run(seed: u64, flaw: Flaw) -> Result<Done, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    let root = folder();
    runtime.block_on(async {
        let mut simulation = Simulation::new(seed, flaw, root.path());
        match simulation.run().await {
            Ok(damaged) => Ok(Done { steps: simulation.steps.len() as u64, damaged }),
            Err(Broken { promised, seen }) => {
                Err(Failure { seed, promised: promised.into(), seen, steps: std::mem::take(&mut simulation.steps) })
            }
        }
    })
}

/// A folder that goes away, in memory where there is such a place.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

struct Simulation {
    world: World,
    rng: Pcg64Mcg,
    log: SimLog,
    nodes: Vec<Node>,
    producer: Producer,
    steps: Vec<String>,
    /// Whether everything must work in the end.
    lively: bool,
    /// Of a lively seed: whether its log is trimmed; else its snapshots are torn.
    trims: bool,
    /// Whether something happened that a node may be damaged by.
    may_be_damaged: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Resend,
    Decide,
    Erase,
    Snapshot,
    Pause,
    Look,
    DieSoon,
    Crash,
    Restart,
    Tear,
    Trim,
    LoseEnd,
    TrimEarly,
    Replace,
}

/// How often each step is taken.
const WEIGHTS: [(Step, u32); 15] = [
    (Step::Send, 36),
    (Step::Resend, 9),
    (Step::Decide, 6),
    (Step::Erase, 2),
    (Step::Snapshot, 8),
    (Step::Pause, 8),
    (Step::Look, 6),
    (Step::DieSoon, 6),
    (Step::Crash, 4),
    (Step::Restart, 4),
    (Step::Tear, 4),
    (Step::Trim, 4),
    (Step::LoseEnd, 4),
    (Step::TrimEarly, 2),
    (Step::Replace, 1),
];

impl Simulation {
    fn new(seed: u64, flaw: Flaw, root: &Path) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let count = rng.gen_range(1..=2);
        Self {
            world: World { seed, flaw, ruleset: RULESET.clone() },
            log: SimLog::new(PARTITIONS, rng.gen_range(1..u64::MAX)),
            nodes: (0..count).map(|number| Node::new(root, number, count)).collect(),
            producer: Producer::default(),
            steps: Vec::new(),
            lively: seed.is_multiple_of(2),
            trims: rng.gen_bool(0.5),
            may_be_damaged: false,
            rng,
        }
    }

    /// Breaks things for a while, heals them and looks; answers how many nodes are damaged.
    async fn run(&mut self) -> Result<u64, Broken> {
        for _ in 0..self.rng.gen_range(STEPS) {
            let step = WEIGHTS.choose_weighted(&mut self.rng, |(_, weight)| *weight).expect("some weigh").0;
            self.step(step).await?;
        }
        self.steps.push("heal".into());
        self.heal().await
    }

    fn note(&mut self, what: impl Into<String>) {
        self.steps.push(what.into());
    }

    async fn step(&mut self, step: Step) -> Result<(), Broken> {
        for node in 0..self.nodes.len() {
            let is_up = self.nodes[node].running().is_some();
            if !is_up && self.rng.gen_bool(0.7) {
                self.start(node, false).await?;
            }
        }
        let node = self.rng.gen_range(0..self.nodes.len());
        match step {
            Step::Send => {
                let count = self.rng.gen_range(1..=6);
                let numbers = self.producer.make(&mut self.rng, count);
                self.note(format!("send {count} to {node}"));
                self.send(node, &numbers).await
            }
            Step::Resend => self.resend(node).await,
            Step::Decide => {
                self.note(format!("decide on {node}"));
                self.decide(node);
                Ok(())
            }
            Step::Erase => {
                let subject_id = SUBJECTS[self.rng.gen_range(0..SUBJECTS.len())];
                self.note(format!("erase {subject_id} on {node}"));
                self.producer.to_erase.insert(subject_id);
                self.erase(node, subject_id).await;
                Ok(())
            }
            Step::Snapshot => {
                self.note(format!("snapshot of {node}"));
                if let Some(running) = self.nodes[node].running() {
                    // One that is damaged takes none.
                    let _taken = timeout(CALL, running.engine.take_snapshots()).await.is_ok();
                }
                Ok(())
            }
            Step::Pause => {
                let pause = self.rng.gen_range(1..3_000);
                self.note(format!("pause {pause} ms"));
                tokio::time::sleep(Duration::from_millis(pause)).await;
                Ok(())
            }
            Step::Look => self.look(node).await,
            step => self.mishap(step, node).await,
        }
    }

    /// What happens to nodes and to the log.
    async fn mishap(&mut self, step: Step, node: usize) -> Result<(), Broken> {
        match step {
            Step::DieSoon => {
                let writes = self.rng.gen_range(1..8);
                self.note(format!("{node} dies within {writes} writes"));
                if let Some(running) = self.nodes[node].running() {
                    running.seat.dies_within(writes);
                }
            }
            Step::Crash => self.crash(node).await?,
            Step::Restart => {
                self.note(format!("restart {node}"));
                self.nodes[node].stop().await.or_else(stuck)?;
                self.start(node, false).await?;
            }
            Step::Tear if !(self.lively && self.trims) => {
                self.crash(node).await?;
                if self.nodes[node].tear(&mut self.rng) {
                    self.note(format!("tear snapshots of {node}"));
                }
            }
            Step::Trim if !self.lively || self.trims => self.trim(),
            Step::LoseEnd if !self.lively => self.lose_end(),
            Step::TrimEarly if !self.lively => {
                let number = self.rng.gen_range(0..PARTITIONS);
                let tail = self.log.state().tails()[usize::from(number)];
                let below = self.rng.gen_range(0..=tail) + 1;
                self.note(format!("trim partition {number} early, below {below}"));
                self.may_be_damaged = true;
                self.log.trim(Partition::Data(number), below);
            }
            Step::Replace if !self.lively => {
                self.note("replace the log");
                self.may_be_damaged = true;
                self.producer.lost.extend(orders_of(&self.log.state()));
                self.log.replace(self.rng.gen_range(1..u64::MAX));
            }
            _ => {}
        }
        Ok(())
    }

    async fn start(&mut self, node: usize, healed: bool) -> Result<(), Broken> {
        self.nodes[node].start(&self.log, &self.world, healed).await.or_else(stuck)
    }

    async fn crash(&mut self, node: usize) -> Result<(), Broken> {
        self.note(format!("crash {node}"));
        self.nodes[node].crash().await.or_else(stuck)
    }

    /// Sends messages to a node, in one call where that is possible.
    async fn send(&mut self, node: usize, numbers: &[u64]) -> Result<(), Broken> {
        let Some(running) = self.nodes[node].running() else { return Ok(()) };
        let engine = running.engine.clone();
        let (mut batch, mut items) = (Vec::new(), Vec::new());
        for number in numbers {
            match &self.producer.messages[number] {
                Sent::Item(item) => {
                    batch.push(*number);
                    items.push((**item).clone());
                }
                Sent::Link(link) => {
                    if matches!(timeout(CALL, engine.link(link)).await, Ok(Ok(_))) {
                        self.producer.acknowledge(&[*number]);
                    }
                }
            }
        }
        if let Ok(Ok(accepted)) = timeout(CALL, engine.ingest(items)).await {
            if !accepted.errors.is_empty() {
                return broken("good items are accepted", format!("{:?}", accepted.errors));
            }
            self.producer.acknowledge(&batch);
        }
        Ok(())
    }

    /// Sends again what was not acknowledged, and some that was, in any order.
    async fn resend(&mut self, node: usize) -> Result<(), Broken> {
        let mut numbers: Vec<u64> = self.producer.pending.iter().copied().collect();
        let acknowledged: Vec<u64> = self.producer.acknowledged.iter().copied().collect();
        numbers.extend(acknowledged.choose_multiple(&mut self.rng, 4));
        numbers.shuffle(&mut self.rng);
        self.note(format!("resend {} to {node}", numbers.len()));
        self.send(node, &numbers).await
    }

    fn decide(&mut self, node: usize) {
        let subject_id = SUBJECTS[self.rng.gen_range(0..SUBJECTS.len())];
        let Some(running) = self.nodes[node].running() else { return };
        let decided = running.engine.decide(&DecideCommand {
            text: RequestText {
                subject_id,
                placements: vec![("home", 0)],
                explain: Explain::None,
                ..RequestText::default()
            },
            request_id: "",
            matter_id: "",
            live: true,
            non_personal: false,
            behind: None,
            encoded: prost::Message::encode_to_vec(&v1::DecideRequest::default()),
        });
        // Decisions are recorded behind the answer: a node that dies may forget them.
        drop(decided);
    }

    /// Whether an erasure was acknowledged.
    async fn erase(&mut self, node: usize, subject_id: &str) -> bool {
        let Some(running) = self.nodes[node].running() else { return false };
        let erased = timeout(CALL, running.engine.erase(subject_id, Instant::now() + ERASE)).await;
        matches!(erased, Ok(Ok(_)))
    }

    /// Trims as far as the nodes allow.
    fn trim(&mut self) {
        let nodes = self.log.state().key(NODES);
        let Some(nodes) = nodes.and_then(|value| <Nodes as prost::Message>::decode(value).ok()) else { return };
        for number in 0..PARTITIONS {
            let oldest = nodes.nodes.iter().map(|node| node.oldest.get(usize::from(number)).copied().unwrap_or(0));
            // But for the last entry that its snapshot knows: an engine that trims notes that one for its check.
            let below = oldest.min().unwrap_or(0);
            self.note(format!("trim partition {number} below {below}"));
            self.log.trim(Partition::Data(number), below);
        }
        // Of a node whose snapshots are torn then.
        self.may_be_damaged |= !self.lively;
    }

    /// The log loses what happened last, and somebody else writes in its place.
    fn lose_end(&mut self) {
        let count = self.rng.gen_range(1..=6);
        let refill = self.rng.gen_range(0..=12);
        self.note(format!("lose the last {count} groups, {refill} others follow"));
        self.may_be_damaged = true;
        let before = orders_of(&self.log.state());
        // The engine reads the machine's clock. A message that is sent again in the same millisecond would be the same
        // bytes, and could stand where a snapshot ends as if nothing had been lost.
        std::thread::sleep(Duration::from_millis(2));
        self.log.lose(count);
        let kept = orders_of(&self.log.state());
        self.producer.lost.extend(before.difference(&kept));
        let others = self.producer.foreign(&mut self.rng, PARTITIONS, refill);
        // One by one, and all of known partitions.
        for entry in others {
            let _made = self.log.append(vec![entry]).is_ok();
        }
    }

    /// Looks at a node in the midst of it.
    async fn look(&mut self, node: usize) -> Result<(), Broken> {
        self.note(format!("look at {node}"));
        let Some(running) = self.nodes[node].running() else { return Ok(()) };
        let engine = running.engine.clone();
        acknowledged_is_kept(&self.log, &self.producer)?;
        let applied = timeout(CALL, engine.applied_all()).await;
        let is_sound = engine.readiness().damage.is_none() && self.nodes[node].running().is_some();
        if matches!(applied, Ok(Ok(()))) && is_sound {
            let counts = recount(&self.log.state(), &BTreeSet::new());
            counts_agree(&engine, &counts, &self.producer.to_erase)?;
        }
        Ok(())
    }

    /// Ends all faults, lets the producer finish, and looks at every node.
    async fn heal(&mut self) -> Result<u64, Broken> {
        for node in 0..self.nodes.len() {
            self.restart_healed(node, false).await?;
        }
        self.finish().await?;
        tokio::time::sleep(SETTLE).await;
        acknowledged_is_kept(&self.log, &self.producer)?;
        let oracle = Oracle::new(&self.log, &self.world, &self.producer).await?;
        let damaged = self.judge(&oracle).await?;
        // What a node keeps on its disk must be as good as what it has in memory.
        for node in 0..self.nodes.len() {
            self.restart_healed(node, true).await?;
        }
        self.judge(&oracle).await?;
        for node in &mut self.nodes {
            node.stop().await.or_else(stuck)?;
        }
        Ok(damaged)
    }

    /// Lets a node run without faults: one that died, or is damaged, begins anew.
    async fn restart_healed(&mut self, node: usize, anew: bool) -> Result<(), Broken> {
        let is_damaged = |running: &node::Running| running.engine.readiness().damage.is_some();
        if anew || self.nodes[node].running().is_some_and(is_damaged) {
            self.nodes[node].stop().await.or_else(stuck)?;
        }
        self.start(node, true).await?;
        if let Some(running) = self.nodes[node].running() {
            running.seat.heal();
        }
        Ok(())
    }

    /// Sends everything that is not acknowledged until it is, and erases whoever was to be erased.
    async fn finish(&mut self) -> Result<(), Broken> {
        let mut to_erase: BTreeSet<&str> = self.producer.to_erase.clone();
        for attempt in 0..TRIES {
            let node = attempt as usize % self.nodes.len();
            let pending: Vec<u64> = self.producer.pending.iter().copied().collect();
            self.send(node, &pending).await?;
            for subject_id in to_erase.clone() {
                if self.erase(node, subject_id).await {
                    to_erase.remove(subject_id);
                }
            }
            if self.producer.pending.is_empty() && to_erase.is_empty() {
                return Ok(());
            }
            for node in 0..self.nodes.len() {
                self.restart_healed(node, false).await?;
            }
        }
        if self.may_be_damaged { Ok(()) } else { broken("a healed node accepts what it is sent", "it does not") }
    }

    /// Holds every node against the whole log, and against each other; answers how many are damaged.
    async fn judge(&mut self, oracle: &Oracle) -> Result<u64, Broken> {
        let (mut damaged, mut states) = (0, Vec::new());
        for node in &self.nodes {
            let Some(running) = node.running() else { return broken("a healed node runs", "it died") };
            if converged(&running.engine).await? {
                states.push(oracle.agrees(&running.engine)?);
            } else if self.may_be_damaged {
                damaged += 1;
            } else {
                return broken("nothing is damaged", format!("{:?}", running.engine.readiness().damage));
            }
        }
        if states.windows(2).any(|pair| pair[0] != pair[1]) {
            return broken("nodes at equal offsets are equal", format!("{states:?}"));
        }
        Ok(damaged)
    }
}

fn stuck<T>(seen: String) -> Result<T, Broken> {
    broken("a node starts and stops", seen)
}
