//! A full disk, for real, on a small file system in memory: appends fail and say why, nothing acknowledged is
//! lost, nothing half-applied shows, and appends go on once there is space. Needs the right to mount.

use std::{
    fs::{self, File},
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tactful_log::{EmbeddedLog, Error, Log, Offset, Options, Partition, conformance::PARTITIONS};
use tempfile::TempDir;

const DISK: &str = "16m";
const BALLAST_BYTES: usize = 8 << 20;
const GROUP: usize = 10;
const PAYLOAD_BYTES: usize = 1_000;
const SOON: Duration = Duration::from_mins(2);
const A: Partition = Partition::Data(0);
const B: Partition = Partition::Data(1);

/// A small disk, mounted as long as this lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, with the reason printed, where mounting is not permitted.
    fn mount() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"];
        match Command::new("mount").args(options).arg(home.path()).output() {
            Ok(output) if output.status.success() => Some(Self(home)),
            Ok(output) => {
                println!("skipped: cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: cannot run mount: {error}");
                None
            }
        }
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("log")
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }

    /// Takes what space is left; returns how much that was, in bytes.
    fn top_up(&self) -> usize {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let page = [7; 4096];
        std::iter::from_fn(|| ballast.write(&page).ok().filter(|&written| written > 0)).sum()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn options(memtable_bytes: u64) -> Options {
    Options { partitions: PARTITIONS, recent_bytes: 0, memtable_bytes, cache_bytes: 1 << 20 }
}

/// The entries of group `n`: the same number in each of two partitions.
fn group(n: u64) -> Vec<(Partition, Bytes)> {
    let payload = |partition: Partition, place: usize| {
        let mut text = format!("{partition} {n} {place} ").into_bytes();
        // Not compressible, so that the disk fills as fast as the log.
        let noise = (0..).map(|i: u64| (i + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u8);
        text.extend(noise.take(PAYLOAD_BYTES));
        Bytes::from(text)
    };
    (0..GROUP).flat_map(|place| [(A, payload(A, place)), (B, payload(B, place))]).collect()
}

/// Checks that exactly the groups `kept` are there.
async fn check(log: &dyn Log, kept: &[u64]) {
    for (parity, partition) in [A, B].into_iter().enumerate() {
        assert_eq!(log.tail(partition).await.unwrap(), (kept.len() * GROUP) as Offset);
        let mut expected = kept.iter().flat_map(|&n| group(n).into_iter().skip(parity).step_by(2));
        let mut after = 0;
        while after < (kept.len() * GROUP) as Offset {
            for entry in log.read(partition, after, usize::MAX).await.unwrap() {
                after += 1;
                assert_eq!((entry.offset, entry.payload), (after, expected.next().unwrap().1));
            }
        }
        assert_eq!(expected.next(), None);
    }
}

/// Appends until the disk is full and stays so; returns the number of the first group that was not tried.
async fn fill(disk: &SmallDisk, log: &dyn Log, kept: &mut Vec<u64>) -> u64 {
    for n in 0.. {
        match log.append(group(n)).await {
            Ok(_) => kept.push(n),
            Err(error) => {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                // A failed flush gives its space back: take that as well, until there is no more to take.
                if disk.top_up() == 0 {
                    return n + 1;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    unreachable!("an endless disk")
}

/// Repeats a write until it succeeds.
async fn soon<T, F: Future<Output = Result<T, Error>>>(write: impl Fn() -> F) -> T {
    let started = Instant::now();
    loop {
        match write().await {
            Ok(done) => return done,
            Err(error) => assert!(matches!(error, Error::Full { .. }) && started.elapsed() < SOON, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn full_disk(memtable_bytes: u64) {
    let Some(disk) = SmallDisk::mount() else { return };
    let options = options(memtable_bytes);
    let log = EmbeddedLog::open(disk.log(), options).unwrap();
    assert!(log.compare_and_set("key", None, Bytes::from_static(b"before")).await.unwrap());
    let lease = log.acquire_lease("lease", "a", SOON).await.unwrap().unwrap();
    fs::write(disk.ballast(), vec![7; BALLAST_BYTES]).unwrap();

    let mut kept = Vec::new();
    let next = fill(&disk, &log, &mut kept).await;
    assert!(kept.len() > 20, "{}", kept.len());
    check(&log, &kept).await;
    // Still full: everything that writes says so at once, everything that reads works.
    assert!(matches!(log.append(group(next)).await, Err(Error::Full { .. })));
    assert!(matches!(log.trim(A, 5).await, Err(Error::Full { .. })));
    let value = Bytes::from_static(b"after");
    let before = Some(Bytes::from_static(b"before"));
    let set = log.compare_and_set("key", before.clone(), value.clone()).await;
    assert!(matches!(set, Err(Error::Full { .. })), "{set:?}");
    assert!(matches!(log.put_blob(Bytes::from(vec![1; 8 << 20])).await, Err(Error::Full { .. })));
    assert_eq!(log.get_key("key").await.unwrap(), before);
    assert!(log.renew_lease(&mut lease.clone(), SOON).await.unwrap());
    check(&log, &kept).await;

    fs::remove_file(disk.ballast()).unwrap();
    soon(|| log.append(group(next + 1))).await;
    kept.push(next + 1);
    check(&log, &kept).await;
    assert!(soon(|| log.compare_and_set("key", before.clone(), value.clone())).await);
    drop(log);
    let log = EmbeddedLog::open(disk.log(), options).unwrap();
    check(&log, &kept).await;
    assert_eq!(log.get_key("key").await.unwrap(), Some(value));
}

#[tokio::test]
async fn a_disk_that_fills_under_the_journal_loses_nothing() {
    full_disk(64 << 20).await;
}

#[tokio::test]
async fn a_disk_that_fills_under_a_flush_loses_nothing() {
    full_disk(512 << 10).await;
}

#[tokio::test]
async fn a_log_is_not_created_by_halves_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    assert!(disk.top_up() > 0);
    let refused = EmbeddedLog::open(disk.log(), options(1 << 20)).err().expect("no space");
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    fs::remove_file(disk.ballast()).unwrap();
    let log = EmbeddedLog::open(disk.log(), options(1 << 20)).unwrap();
    log.append(group(0)).await.unwrap();
    check(&log, &[0]).await;
}
