//! The benchmark of state runs small in the tests, so that it cannot rot. In a program of its own: its memory is
//! that of the process.

use std::path::Path;
use std::time::Duration;

#[test]
fn a_small_measurement_with_restarts_gives_all_figures() {
    let own = Path::new(env!("CARGO_BIN_EXE_benches"));
    let measured = benches::state::measure(own, Duration::from_millis(100), 3_000).unwrap();
    assert_eq!((measured.customers, measured.slot_bytes), (3_000, 512), "{measured:?}");
    // Beside the slots at least the entry of the map and the id count; 2,048 chunks weigh more than so few rows.
    assert!(measured.bytes_per_customer > 512.0 && measured.side_bytes_per_customer > 0.0, "{measured:?}");
    assert_eq!(measured.overhead, measured.bytes_per_customer / 512.0 - 1.0);
    assert!(measured.dedup_bytes > 3_000 * 12 && measured.snapshot_pause_ms > 0.0, "{measured:?}");
    assert!(measured.snapshot_load_ratio > 0.0 && measured.restart_ready_s > 0.0, "{measured:?}");
}
