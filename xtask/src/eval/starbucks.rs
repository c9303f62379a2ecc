//! Offers and purchases as their own producer writes them, through Redis: an independent client adds the lines as they
//! are to the intake, a declared mapping makes events of them, repeats count once, and every customer is compared with
//! an independent recount.

mod recount;

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use tactful_log::RedisServer;

use self::recount::{Recounted, recount};
use super::{Verdict, contexts::mismatches, progress, runtime};
use crate::server::Server;

const CATALOG: &str = include_str!("starbucks/catalog.toml");
const MAPPING: &str = include_str!("starbucks/mapping.toml");
/// The feature whose vocabulary is the list of offers.
const OFFERS_OF: &str = "last_viewed";
/// Time for all entries to be taken in.
const TAKEN_MAX: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(200);

/// The line that the evaluation prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StarbucksResult {
    /// Entries of the producer, blank ones not counted.
    entries: usize,
    /// Records that took effect.
    applied: u64,
    /// Records dropped as repeats.
    duplicates: u64,
    /// Entries that could not be read.
    dead: u64,
    /// Customers that differ from the recount, and counts that do.
    mismatches: usize,
}

/// A line of profile.json, of which the id alone matters here.
#[derive(Deserialize)]
struct Profile {
    id: String,
}

/// Runs the evaluation on this transcript, shuffled if there is a seed; the list of customers lies beside it.
pub(super) fn run(binary: &Path, file: &Path, seed: Option<u64>) -> Result<StarbucksResult> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let profiles = read(&file.with_file_name("profile.json"))?;
    let customers = profiles.lines().filter(|line| !line.trim().is_empty());
    let customers = customers.map(|line| Ok(serde_json::from_str::<Profile>(line)?.id)).collect::<Result<Vec<_>>>()?;
    let transcript = read(file)?;
    let Some(seed) = seed else { return evaluate(binary, &transcript, &customers) };
    let mut lines: Vec<&str> = transcript.lines().collect();
    lines.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    evaluate(binary, &lines.join("\n"), &customers)
}

fn evaluate(binary: &Path, transcript: &str, customers: &[String]) -> Result<StarbucksResult> {
    let offers = offers()?;
    let mut recounted = recount(transcript, &offers)?;
    for customer in customers {
        recounted.customers.entry(recount::subject(customer)).or_default();
    }
    let folder = tempfile::tempdir()?;
    let catalog = folder.path().join("catalog");
    let mapping = folder.path().join("mapping.toml");
    let redis_folder = folder.path().join("redis");
    for made in [&catalog, &redis_folder] {
        fs::create_dir(made)?;
    }
    fs::write(catalog.join("starbucks.toml"), CATALOG)?;
    fs::write(&mapping, MAPPING)?;
    let redis = RedisServer::start(&redis_folder)?;
    let url = redis.url();
    let arguments = ["--log", &url, "--intake-mapping", mapping.to_str().context("the path is no Unicode")?];
    let server = Server::start_with(binary, &catalog, &folder.path().join("node"), &arguments, &[])?;
    let runtime = runtime()?;
    // A new log begins with the schema in every partition.
    let before = runtime.block_on(server.settle(0))?.records;
    let written = produce(redis.port(), transcript)?;
    let result = runtime.block_on(compare(&server, (before, written), &recounted, &offers))?;
    server.stop()?;
    Ok(result)
}

/// The offers, in the order in which the catalogue lists them.
fn offers() -> Result<Vec<String>> {
    let catalog: tactful_core::catalog::Catalog = toml::from_str(CATALOG)?;
    let listing = catalog.feature.into_iter().find(|feature| feature.name == OFFERS_OF);
    Ok(listing.context("no feature lists the offers")?.vocabulary)
}

/// The producer: redis-cli, which knows nothing of Tactful, adds every line as it is, blank ones too. Gives their
/// number.
fn produce(port: u16, transcript: &str) -> Result<u64> {
    let mut client = Command::new("redis-cli");
    client.args(["-p", &port.to_string(), "--pipe"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn().context("redis-cli does not start; it comes with redis-server, in redis-tools")?;
    let stdin = client.stdin.take().context("stdin is not piped")?;
    let bar = progress("entries written", transcript.lines().count() as u64);
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write(stdin, transcript, || bar.inc(1)));
        let output = client.wait_with_output().context("redis-cli")?;
        let written = writing.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "redis-cli ended with {}: {said}", output.status);
        ensure!(said.contains(&format!("errors: 0, replies: {written}")), "redis-cli says: {said}");
        Ok(written)
    })?;
    bar.finish_and_clear();
    Ok(written)
}

/// `XADD tactful:intake * json LINE` for each line, in the protocol of Redis.
fn write(stdin: impl Write, transcript: &str, wrote: impl Fn()) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 16, stdin);
    let mut count = 0;
    for line in transcript.lines() {
        write!(out, "*5\r\n$4\r\nXADD\r\n$14\r\ntactful:intake\r\n$1\r\n*\r\n$4\r\njson\r\n")?;
        write!(out, "${}\r\n{line}\r\n", line.len())?;
        count += 1;
        wrote();
    }
    out.flush()?;
    Ok(count)
}

async fn compare(
    server: &Server,
    (before, written): (u64, u64),
    recounted: &Recounted,
    offers: &[String],
) -> Result<StarbucksResult> {
    let bar = progress("entries taken in", written);
    let started = Instant::now();
    let dead = loop {
        let metrics = server.metrics().await?;
        let [taken, dead] = ["tactful_intake_taken_total", "tactful_intake_dead_total"].map(|name| metrics.count(name));
        bar.set_position(taken + dead);
        if taken + dead >= written {
            break dead;
        }
        if started.elapsed() > TAKEN_MAX {
            bail!("{taken} of {written} entries are taken in after {} s, {dead} are dead", TAKEN_MAX.as_secs());
        }
        tokio::time::sleep(POLL).await;
    };
    bar.finish_and_clear();
    server.settle(recounted.lines as u64 - dead).await?;
    let metrics = server.metrics().await?;
    let [records, duplicates] =
        ["tactful_records_applied_total", "tactful_events_duplicate_total"].map(|name| metrics.count(name));
    let channel = server.connect().await?;
    let differs = mismatches(channel, &recounted.customers, |expected, found| expected.mismatch(offers, found)).await?;
    let applied = records - before - duplicates;
    // A count that is off is a mismatch as well.
    let counts = usize::from(applied != recounted.distinct as u64)
        + usize::from(duplicates != (recounted.lines - recounted.distinct) as u64);
    Ok(StarbucksResult { entries: recounted.lines, applied, duplicates, dead, mismatches: differs + counts })
}

impl Verdict for StarbucksResult {
    fn failure(&self) -> Option<String> {
        let Self { dead, mismatches, .. } = *self;
        (mismatches > 0 || dead > 0).then(|| format!("{mismatches} mismatches, {dead} dead entries"))
    }

    fn text(&self) -> String {
        let Self { entries, applied, duplicates, dead, mismatches } = self;
        format!(
            "starbucks: {entries} entries, {applied} applied, {duplicates} duplicates, {dead} dead, {mismatches} mismatches"
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::workspace::Workspace;

    /// Lines like the real ones: three spellings of silence, two of a key, some lines twice.
    fn generated(lines: u32, seed: u64) -> String {
        let offers = offers().unwrap();
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut text = String::new();
        for number in 0..lines {
            let person = rng.gen_range(0..60);
            let (offer, time) = (&offers[rng.gen_range(0..offers.len())], rng.gen_range(0..119) * 6);
            let (event, value) = match rng.gen_range(0..4) {
                0 => ("offer received", format!("{{\"offer id\": \"{offer}\"}}")),
                1 => ("offer viewed", format!("{{\"offer id\": \"{offer}\"}}")),
                2 => ("offer completed", format!("{{\"offer_id\": \"{offer}\", \"reward\": {}}}", rng.gen_range(1..9))),
                _ => ("transaction", format!("{{\"amount\": {}}}", f64::from(rng.gen_range(1..9_999)) / 100.0)),
            };
            let line = format!(
                "{{\"person\": \"p{person}\", \"event\": \"{event}\", \"value\": {value}, \"time\": {time}}}\n"
            );
            text.push_str(&line);
            if number % 10 == 0 {
                text.push_str(&line);
                text.push_str(["\n", "  \n", "\t\n"][rng.gen_range(0..3)]);
            }
        }
        text
    }

    #[test]
    fn generated_lines_through_redis_are_what_a_recount_says() {
        // Built by `cargo test --workspace`, of which this is a part.
        let binary = Workspace::locate().unwrap().target().join("debug/tactful");
        if !binary.is_file() {
            return eprintln!("skipped: {} is not built", binary.display());
        }
        let text = generated(2_000, 4);
        let customers: Vec<String> = (0..70).map(|person| format!("p{person}")).collect();
        let result = evaluate(&binary, &text, &customers).unwrap();
        assert_eq!(result.failure(), None, "{result:?}");
        assert_eq!(result.entries, 2_200);
        assert!(result.duplicates >= 200 && result.applied + result.duplicates == 2_200, "{result:?}");
    }

    #[test]
    fn entries_are_written_in_the_protocol_of_redis() {
        let mut out = Vec::new();
        assert_eq!(write(&mut out, "{}\n\n", || {}).unwrap(), 2);
        let head = "*5\r\n$4\r\nXADD\r\n$14\r\ntactful:intake\r\n$1\r\n*\r\n$4\r\njson\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), format!("{head}$2\r\n{{}}\r\n{head}$0\r\n\r\n"));
    }

    #[test]
    fn the_real_lines_have_their_known_counts() {
        let folder = std::env::var_os("TACTFUL_DATA").map(std::path::PathBuf::from);
        let folder = folder.unwrap_or_else(|| Workspace::locate().unwrap().root.join("../shared/data"));
        let file = folder.join("starbucks_offers/transcript.json");
        if !file.is_file() {
            return eprintln!("skipped: {} does not exist; name the folder with TACTFUL_DATA", file.display());
        }
        let counted = recount(&fs::read_to_string(file).unwrap(), &offers().unwrap()).unwrap();
        assert_eq!((counted.lines, counted.distinct, counted.customers.len()), (306_534, 306_137, 17_000));
    }

    #[test]
    fn only_full_agreement_passes() {
        let result = StarbucksResult { entries: 3, applied: 2, duplicates: 1, dead: 0, mismatches: 0 };
        let line = r#"{"entries":3,"applied":2,"duplicates":1,"dead":0,"mismatches":0}"#;
        assert_eq!(serde_json::to_string(&result).unwrap(), line);
        assert_eq!(result.failure(), None);
        assert!(StarbucksResult { mismatches: 1, ..result.clone() }.failure().is_some());
        assert!(StarbucksResult { dead: 1, ..result }.failure().is_some());
    }
}
