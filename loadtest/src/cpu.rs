//! CPU time of threads and processes, from Linux's `/proc`. Elsewhere nothing is known.
//!
//! Wall-clock figures on a shared machine say little about cost; CPU time of the server alone does.

use std::{fs, time::Duration};

/// Ticks per second of the times in `/proc/<pid>/stat`: fixed at 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that the calling thread has used, to a few milliseconds.
#[must_use]
pub fn thread_cpu() -> Option<Duration> {
    read_schedstat("/proc/thread-self/schedstat")
}

/// CPU time that a process has used over all its threads, ended ones included, to 10 ms.
#[must_use]
pub fn process_cpu(pid: u32) -> Option<Duration> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The first number of schedstat: nanoseconds on a CPU.
fn read_schedstat(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// User and system time: fields 14 and 15, counted behind the name, which may hold anything.
fn parse_stat(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 0 9 9 9 9 250 50 7 7 20 0";
        assert_eq!(parse_stat(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_stat("42 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_costs_time() {
        let (thread, process) = (thread_cpu().unwrap(), process_cpu(std::process::id()).unwrap());
        let started = std::time::Instant::now();
        let mut sum = 0u64;
        while started.elapsed() < Duration::from_millis(100) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        let used = thread_cpu().unwrap() - thread;
        assert!(used > Duration::from_millis(5) && used < Duration::from_millis(200), "{used:?}");
        assert!(process_cpu(std::process::id()).unwrap() > process);
        assert_eq!(process_cpu(u32::MAX), None);
    }
}
