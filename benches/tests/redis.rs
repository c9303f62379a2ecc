//! The benchmark of ingest runs short in the tests, so that it cannot rot. In a program of its own: beside it no
//! other measurement would see a calm machine.

use std::time::Duration;

#[test]
fn a_short_measurement_on_disk_and_on_redis_gives_all_figures() {
    // Built by `cargo test --workspace`, of which this is a part.
    let own = std::env::current_exe().unwrap();
    let binary = own.ancestors().nth(2).unwrap().join("tactful");
    if !binary.is_file() {
        return eprintln!("skipped: {} is not built", binary.display());
    }
    let measured = benches::ingest::measure(&binary, Duration::from_secs(1)).unwrap();
    assert!(measured.embedded_events_per_s > 0.0 && measured.visible_p99_ms > 0.0, "{measured:?}");
    assert!(measured.redis_events_per_s > 0.0 && measured.bare_loop_events_per_s > 0.0, "{measured:?}");
    assert_eq!(measured.redis_ratio, measured.redis_events_per_s / measured.bare_loop_events_per_s);
}
