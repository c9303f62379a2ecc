//! Which crate may use which: DESIGN's arrows, all pointing down, and the libraries that have one home.
//!
//! A new edge is a change of this table, so it shows in review.

use super::Findings;
use crate::metadata::{Dependency, Metadata, Package};

const ANY: &[&str] = &["*"];

/// Every crate of the workspace with those it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("tactful-core", &[]),
    ("tactful-proto", &[]),
    ("tactful-log", &["tactful-proto"]),
    ("tactful-models", &["tactful-core", "tactful-proto"]),
    ("tactful-engine", &["tactful-core", "tactful-log", "tactful-models", "tactful-proto"]),
    ("tactful-server", &["tactful-core", "tactful-engine", "tactful-proto"]),
    (
        "tactful",
        &[
            "tactful-core",
            "tactful-engine",
            "tactful-log",
            "tactful-models",
            "tactful-proto",
            "tactful-server",
            "tactful-sim",
        ],
    ),
    ("tactful-sim", ANY),
    ("benches", ANY),
    ("loadtest", ANY),
    ("xtask", ANY),
];

/// Libraries with a home: a name prefix and the crates that may use them.
const HOMES: &[(&str, &[&str])] = &[
    ("tonic", &["tactful-proto", "tactful-server", "tactful", "tactful-sim", "benches", "loadtest", "xtask"]),
    // The benches read Redis with a bare loop, to have something to compare with.
    ("redis", &["tactful-log", "benches"]),
    ("fjall", &["tactful-log"]),
    ("linfa", &["tactful-models"]),
    ("ndarray", &["tactful-models"]),
];

/// All that the pure core may use, beside what only its tests use. No runtime, clock, randomness,
/// logging or wire format can come in unseen. jiff comes without its std feature, hence without a
/// clock: it reads dates.
const CORE_MAY_USE: &[&str] = &["cel", "jiff", "libm", "serde", "thiserror", "xxhash-rust"];

/// The crates that this member may use; nothing if the table does not know it.
pub(super) fn allowed(member: &str) -> Option<&'static [&'static str]> {
    EDGES.iter().find(|(name, _)| *name == member).map(|(_, may)| *may)
}

/// Checks every declared dependency of every member.
pub(super) fn check(metadata: &Metadata, findings: &mut Findings) {
    for package in metadata.members() {
        findings.failures.extend(broken(package));
    }
}

fn broken(package: &Package) -> Vec<String> {
    let Some(may) = allowed(&package.name) else {
        return vec![format!("crate {} is not in the table of edges (xtask/src/tidy/edges.rs)", package.name)];
    };
    package.dependencies.iter().filter_map(|dependency| complaint(&package.name, may, dependency)).collect()
}

fn complaint(from: &str, may: &[&str], dependency: &Dependency) -> Option<String> {
    let to = dependency.name.as_str();
    let dev = dependency.kind.as_deref() == Some("dev");
    if allowed(to).is_some() {
        // Simulated customers and oracles serve every crate's tests, except those of the core; and the
        // server's tests run on a real log.
        let oracle = dev && to == "tactful-sim" && from != "tactful-core";
        let real_log = dev && (from, to) == ("tactful-server", "tactful-log");
        let fine = may == ANY || may.contains(&to) || oracle || real_log;
        return (!fine).then(|| format!("crate edge {from} -> {to} is not allowed"));
    }
    if from == "tactful-core" && !dev && !CORE_MAY_USE.contains(&to) {
        return Some(format!("tactful-core is pure and may not use {to}"));
    }
    let (library, homes) = HOMES.iter().find(|(prefix, _)| belongs(to, prefix))?;
    (!homes.contains(&from)).then(|| format!("{from} uses {to}: {library} has its home in {}", homes.join(", ")))
}

/// Whether a crate is the library itself or one of its parts.
fn belongs(name: &str, library: &str) -> bool {
    name.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, kind: Option<&str>) -> Option<String> {
        let dependency = Dependency { name: to.into(), kind: kind.map(str::to_owned) };
        complaint(from, allowed(from).unwrap(), &dependency)
    }

    #[test]
    fn arrows_point_down() {
        for (from, to) in [("tactful", "tactful-server"), ("tactful-engine", "tactful-log"), ("xtask", "tactful")] {
            assert_eq!(edge(from, to, None), None);
        }
        for (from, to) in [
            ("tactful-core", "tactful-proto"),
            ("tactful-log", "tactful-core"),
            ("tactful-models", "tactful-engine"),
            ("tactful-engine", "tactful-server"),
            ("tactful-server", "tactful-log"),
        ] {
            assert!(edge(from, to, None).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn tests_may_use_the_simulator_but_the_core_may_not() {
        assert_eq!(edge("tactful-engine", "tactful-sim", Some("dev")), None);
        assert!(edge("tactful-engine", "tactful-sim", None).is_some());
        assert_eq!(edge("tactful-server", "tactful-log", Some("dev")), None);
        assert!(edge("tactful-server", "tactful-log", None).is_some());
        assert!(edge("tactful-core", "tactful-sim", Some("dev")).is_some());
    }

    #[test]
    fn libraries_stay_at_home() {
        assert_eq!(edge("tactful-models", "linfa-logistic", None), None);
        assert_eq!(edge("tactful-log", "fjall", None), None);
        assert_eq!(edge("tactful-proto", "tonic-prost-build", Some("build")), None);
        assert!(edge("tactful-engine", "tonic", None).is_some());
        assert!(edge("tactful-engine", "ndarray", Some("dev")).is_some());
        assert!(edge("tactful-server", "redis", None).is_some());
        assert_eq!(edge("tactful-server", "redistribute", None), None);
    }

    #[test]
    fn the_core_stays_pure() {
        for name in ["tokio", "tracing", "rand", "prost", "arc-swap", "dashmap"] {
            assert!(edge("tactful-core", name, None).is_some(), "{name}");
        }
        assert_eq!(edge("tactful-core", "proptest", Some("dev")), None);
        assert_eq!(edge("tactful-core", "libm", None), None);
    }
}
