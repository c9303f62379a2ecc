//! Work events of real loan applications as matters: sessions and reopenings of every case against an independent
//! recount, and equal digests. One server gets the events in order, another one shuffled with every tenth sent twice.

mod compare;
mod data;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use serde::Serialize;

use self::{
    compare::{Recount, mismatch},
    data::Work,
};
use super::{Verdict, contexts::mismatches, ingest::ingest, order, progress, runtime};
use crate::server::{Digests, Server};

const CATALOG: &str = include_str!("bpi/catalog.toml");
const SEED: u64 = 1;

/// The line that the evaluation prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BpiResult {
    matters: usize,
    events: usize,
    /// Sessions that the server found in all matters.
    sessions: u64,
    /// Matters that it found reopened at least once.
    reopened: u64,
    /// Reopenings that it found.
    reopenings: u64,
    /// Matters that differ from the recount, on both servers.
    mismatches: usize,
    digests_equal: bool,
}

/// What a server answered in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    sessions: u64,
    reopened: u64,
    reopenings: u64,
}

/// Runs the evaluation on this file.
pub(super) fn run(binary: &Path, file: &Path, seed: Option<u64>) -> Result<BpiResult> {
    evaluate(binary, &data::read(file)?, seed)
}

fn evaluate(binary: &Path, works: &[Work], seed: Option<u64>) -> Result<BpiResult> {
    let recount = compare::recount(works);
    let orders = [order::as_they_stand(works.len()), order::shuffled_with_repeats(works.len(), seed.unwrap_or(SEED))];
    let folder = tempfile::tempdir()?;
    let catalog = folder.path().join("catalog");
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("bpi.toml"), CATALOG)?;
    let runtime = runtime()?;
    let mut found = Vec::new();
    for (name, order) in ["in order", "shuffled, some twice"].into_iter().zip(orders) {
        let server = Server::start(binary, &catalog, &folder.path().join(found.len().to_string()))?;
        found.push(runtime.block_on(one_server(&server, name, works, &order, &recount))?);
        server.stop()?;
    }
    let [(digests, totals, wrong), (digests_again, _, wrong_again)] = &found[..] else {
        unreachable!("one for each order");
    };
    Ok(BpiResult {
        matters: recount.len(),
        events: works.len(),
        sessions: totals.sessions,
        reopened: totals.reopened,
        reopenings: totals.reopenings,
        mismatches: wrong + wrong_again,
        digests_equal: digests.content == digests_again.content,
    })
}

/// Feeds one server, waits until all is applied, compares every case.
async fn one_server(
    server: &Server,
    name: &str,
    works: &[Work],
    order: &[usize],
    recount: &BTreeMap<String, Recount>,
) -> Result<(Digests, Totals, usize)> {
    let items: Vec<_> = order.iter().map(|row| works[*row].event(*row)).collect();
    let bar = progress(&format!("work events, {name}"), items.len() as u64);
    ingest(server.connect().await?, items.into_iter(), &bar).await?;
    let digests = server.settle(works.len() as u64).await?;
    let mut totals = Totals::default();
    let wrong = mismatches(server.connect().await?, recount, |expected, found| {
        for matter in &found.confirmed_matters {
            totals.sessions += matter.sessions as u64;
            totals.reopenings += matter.reopenings as u64;
            totals.reopened += u64::from(matter.reopenings > 0);
        }
        mismatch(expected, found)
    });
    let wrong = wrong.await?;
    Ok((digests, totals, wrong))
}

impl Verdict for BpiResult {
    fn failure(&self) -> Option<String> {
        let Self { mismatches, digests_equal, .. } = *self;
        (mismatches > 0 || !digests_equal).then(|| {
            format!("{mismatches} mismatches, content digests {}", if digests_equal { "equal" } else { "differ" })
        })
    }

    fn text(&self) -> String {
        let Self { matters, events, sessions, reopened, reopenings, mismatches, digests_equal } = self;
        let digests = if *digests_equal { "equal" } else { "different" };
        format!(
            "bpi: {matters} matters, {events} events, {sessions} sessions, {reopened} reopened, {reopenings} reopenings, \
             {mismatches} mismatches, content digests {digests}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::workspace::Workspace;

    /// Built by `cargo test --workspace`, of which this is a part.
    fn binary() -> Option<PathBuf> {
        let binary = Workspace::locate().unwrap().target().join("debug/tactful");
        if !binary.is_file() {
            eprintln!("skipped: {} is not built", binary.display());
            return None;
        }
        Some(binary)
    }

    fn generated(cases: u32, seed: u64) -> Vec<Work> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut works = Vec::new();
        for case in 0..cases {
            let mut time_s = 1_317_427_200 + rng.gen_range(0..86_400);
            for _ in 0..rng.gen_range(1..40) {
                works.push(Work { case: case.to_string(), activity: rng.gen_range(1..=6), time_s });
                let longest_s = [3_600, 3 * 86_400, 30 * 86_400][rng.gen_range(0..3)];
                time_s += rng.gen_range(0..longest_s);
            }
        }
        works
    }

    #[test]
    fn generated_cases_are_what_a_recount_says_in_any_order() {
        let Some(binary) = binary() else { return };
        let works = generated(80, 3);
        let result = evaluate(&binary, &works, Some(5)).unwrap();
        assert_eq!((result.failure(), result.matters, result.events), (None, 80, works.len()), "{result:?}");
        assert!(result.reopened > 0 && result.reopenings > result.reopened, "{result:?}");
        assert!(result.sessions > result.reopenings, "{result:?}");
    }

    #[test]
    fn the_real_cases_have_their_known_counts_and_stay_within_the_bound_on_transitions() {
        let folder = std::env::var_os("TACTFUL_DATA").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| Workspace::locate().unwrap().root.join("../shared/data"));
        let file = folder.join("bpi12_w/bpi_12_w.csv");
        if !file.is_file() {
            return eprintln!("skipped: {} does not exist; name the folder with TACTFUL_DATA", file.display());
        }
        let works = data::read(&file).unwrap();
        let recount = compare::recount(&works);
        let sum = |count: fn(&Recount) -> i32| recount.values().map(|case| i64::from(count(case))).sum::<i64>();
        assert_eq!((recount.len(), works.len()), (9_658, 72_413));
        assert_eq!((sum(|case| case.sessions), sum(|case| case.reopenings)), (31_317, 4_786));
        assert_eq!(sum(|case| i32::from(case.reopenings > 0)), 3_541);
        let mut events: BTreeMap<&str, usize> = BTreeMap::new();
        works.iter().for_each(|work| *events.entry(&work.case).or_default() += 1);
        assert!(events.values().all(|events| *events <= tactful_core::limits::TRANSITIONS_MAX));

        let Some(binary) = binary() else { return };
        // The first cases, whole: all of them are for the evaluation itself.
        let first: BTreeSet<&String> = recount.keys().take(500).collect();
        let works: Vec<Work> =
            works.iter().filter(|work| first.contains(&data::subject(&work.case))).cloned().collect();
        let result = evaluate(&binary, &works, None).unwrap();
        assert_eq!((result.failure(), result.matters), (None, 500), "{result:?}");
    }

    #[test]
    fn only_full_agreement_passes() {
        let result = BpiResult {
            matters: 2,
            events: 9,
            sessions: 5,
            reopened: 1,
            reopenings: 2,
            mismatches: 0,
            digests_equal: true,
        };
        let line =
            r#"{"matters":2,"events":9,"sessions":5,"reopened":1,"reopenings":2,"mismatches":0,"digests_equal":true}"#;
        assert_eq!(serde_json::to_string(&result).unwrap(), line);
        assert_eq!(result.failure(), None);
        assert!(BpiResult { mismatches: 1, ..result.clone() }.failure().is_some());
        assert!(BpiResult { digests_equal: false, ..result }.failure().is_some());
    }
}
