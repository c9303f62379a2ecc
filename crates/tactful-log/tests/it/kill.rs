//! kill -9 at random moments, again and again on the same directory: everything acknowledged is there exactly
//! once, groups are whole, offsets have no gaps.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tactful_log::{EmbeddedLog, Entry, Log, Offset, Options, Partition, conformance::PARTITIONS};

const HOME: &str = "TACTFUL_LOG_TEST_HOME";
const ROUND: &str = "TACTFUL_LOG_TEST_ROUND";
const ROUNDS: u64 = 12;
const APPENDERS: u64 = 6;
const GROUP_MAX: usize = 40;
/// Enough for a few journals of 64 MB.
const PADDING_MAX: usize = 8_000;

/// Tables are flushed all the time, so kills hit flushes, compactions and journal changes too.
fn options() -> Options {
    Options { partitions: PARTITIONS, memtable_bytes: 1 << 20, ..Options::default() }
}

fn partition(n: u16) -> Partition {
    if n == PARTITIONS { Partition::Control } else { Partition::Data(n) }
}

/// Says who wrote an entry: round, appender, group, place in the group, size of the group; then padding.
fn payload(group_id: [u64; 3], place: usize, size: usize, padding: usize) -> Bytes {
    let [round, appender, group] = group_id;
    Bytes::from(format!("{round} {appender} {group} {place} {size} {}", "x".repeat(padding)))
}

/// Not a test of its own: appends for ever and prints each acknowledged entry as `partition offset round
/// appender group place`.
#[test]
#[ignore = "run and killed by acknowledged_entries_survive_kills"]
fn appends_until_killed() {
    let home = std::env::var_os(HOME).expect("started by its parent");
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let log = Arc::new(EmbeddedLog::open(home, options()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut appenders = tokio::task::JoinSet::new();
        for appender in 0..APPENDERS {
            appenders.spawn(append_for_ever(Arc::clone(&log), round, appender));
        }
        appenders.join_all().await;
    });
}

async fn append_for_ever(log: Arc<EmbeddedLog>, round: u64, appender: u64) {
    let mut random = Pcg64Mcg::seed_from_u64(round * APPENDERS + appender);
    for group in 0.. {
        let size = random.gen_range(1..=GROUP_MAX);
        let entries: Vec<_> = (0..size)
            .map(|place| {
                let partition = partition(random.gen_range(0..=PARTITIONS));
                (partition, payload([round, appender, group], place, size, random.gen_range(0..PADDING_MAX)))
            })
            .collect();
        let partitions: Vec<_> = entries.iter().map(|(partition, _)| *partition).collect();
        let offsets = log.append(entries).await.unwrap();
        let mut lines = String::new();
        for (place, (partition, offset)) in partitions.iter().zip(offsets).enumerate() {
            lines += &format!("{partition} {offset} {round} {appender} {group} {place}\n");
        }
        std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
    }
}

/// Runs the child for a while, kills it, and returns its acknowledgements: (partition, offset) to who wrote it.
fn run_and_kill(home: &Path, round: u64, millis: u64) -> Vec<((String, Offset), String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::appends_until_killed", "--ignored", "--nocapture"])
        .env(HOME, home)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (started, start) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut acknowledged = Vec::new();
        let mut line = String::new();
        // A line without its end was cut off by the kill: nobody has read that acknowledgement.
        while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if let Some(acknowledgement) = parse(&line) {
                acknowledged.push(acknowledgement);
                let _ = started.send(());
            }
            line.clear();
        }
        acknowledged
    });
    start.recv_timeout(Duration::from_secs(60)).expect("the child appends");
    thread::sleep(Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// The line that the harness itself prints first has no numbers where ours has them.
fn parse(line: &str) -> Option<((String, Offset), String)> {
    let mut fields = line.trim_end().splitn(3, ' ');
    let place = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
    let who = fields.next()?;
    who.split(' ').all(|number| number.parse::<u64>().is_ok()).then(|| (place, who.to_owned()))
}

async fn read_all(log: &dyn Log, partition: Partition) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let more = log.read(partition, all.len() as Offset, usize::MAX).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Checks the whole log against everything acknowledged so far; returns the number of entries.
async fn check(home: &Path, acknowledged: &HashMap<(String, Offset), String>) -> usize {
    let log = EmbeddedLog::open(home, options()).unwrap();
    let mut found = HashSet::new();
    let mut groups: HashMap<String, (usize, usize)> = HashMap::new();
    let mut matched = 0;
    for partition in (0..=PARTITIONS).map(partition) {
        let entries = read_all(&log, partition).await;
        assert_eq!(log.tail(partition).await.unwrap(), entries.len() as Offset);
        for (entry, offset) in entries.iter().zip(1..) {
            assert_eq!(entry.offset, offset, "gapless from 1");
            let text = std::str::from_utf8(&entry.payload).unwrap();
            let fields: Vec<_> = text.split(' ').collect();
            let who = fields[..4].join(" ");
            if let Some(acknowledged) = acknowledged.get(&(partition.to_string(), offset)) {
                assert_eq!(&who, acknowledged, "{partition} {offset} is what was acknowledged");
                matched += 1;
            }
            assert!(found.insert(who.clone()), "{who} is there twice");
            let group = groups.entry(fields[..3].join(" ")).or_insert((0, fields[4].parse().unwrap()));
            group.0 += 1;
        }
    }
    assert_eq!(matched, acknowledged.len(), "everything acknowledged is there");
    for (group, (present, size)) in groups {
        assert_eq!(present, size, "group {group} is whole");
    }
    found.len()
}

#[tokio::test]
async fn acknowledged_entries_survive_kills() {
    let home = tempfile::tempdir().unwrap();
    let seed = 20_261_121;
    println!("seed {seed}");
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut acknowledged = HashMap::new();
    for round in 0..ROUNDS {
        let millis = random.gen_range(0..300);
        let fresh = run_and_kill(home.path(), round, millis);
        assert!(!fresh.is_empty());
        let before = acknowledged.len();
        acknowledged.extend(fresh.iter().cloned());
        assert_eq!(acknowledged.len(), before + fresh.len(), "no place was acknowledged twice");
        let entries = check(home.path(), &acknowledged).await;
        let unheard = entries - acknowledged.len();
        println!("round {round}: {entries} entries, {unheard} of them never heard of");
        // In flight when killed: a group of each appender, and what the pipe had not carried yet.
        assert!(unheard <= (round as usize + 1) * APPENDERS as usize * GROUP_MAX, "{unheard}");
    }
}
