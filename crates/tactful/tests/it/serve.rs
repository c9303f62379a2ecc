//! `tactful serve` as whoever starts it sees it: the ready line, the pages, the log.

use serde_json::Value;

use super::{
    assert_told, done,
    events::purchases,
    json,
    server::{Home, Server, Setup},
};

#[test]
fn the_pages_tell_health_and_counts() {
    let home = Home::new();
    let server = Server::start(&home);
    assert_eq!(server.get("/livez"), "ok\n");
    assert_told(&server.get("/readyz"), &["ready", "durability: ", "synced"]);
    server.take(&purchases(0..10));
    json(&server.run(&["decide", "c1", "-p", "web_home", "--json"]));
    let metrics = server.get("/metrics");
    assert_told(&metrics, &["tactful_events_ingested_total 10", "tactful_customers 10", "tactful_decisions_total"]);
    assert!(!metrics.contains("c1\""), "no personal data");
    assert_eq!(server.digest()["customers"], 10);
}

#[test]
fn the_log_is_for_humans_and_holds_no_personal_data() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&purchases(40..45));
    server.ingest("{\"type\":\"track\",\"userId\":\"secret:7\",\"event\":\"X\",\"channel\":\"nowhere\"}\n");
    done(&server.run(&["decide", "c42", "-p", "web_home"]));
    server.run(&["decide", "secret:8", "-p", "nowhere"]);
    let log = server.logged();
    assert_told(&log, &["ready", "customers=0", "durability="]);
    assert!(!log.contains('\u{1b}'), "no colours in a file:\n{log}");
    assert!(!log.contains("fjall") && !log.contains("lsm_tree"), "the store below is quiet:\n{log}");
    assert!(!log.contains("secret") && !log.contains("c42"), "{log}");
    assert_eq!(log.lines().count(), 1, "one line says that it is ready:\n{log}");
}

#[test]
fn the_ready_line_names_both_addresses_as_text_or_json() {
    let home = Home::new();
    let server = Server::start(&home);
    assert_eq!(server.ready(), format!("tactful ready grpc={} http={}", server.grpc(), server.http()));
    server.stop();
    let server = Setup::new(&home).arg("--json").start();
    let line: Value = serde_json::from_str(server.ready()).expect("JSON");
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(2), "{line}");
    assert_eq!(server.get("/livez"), "ok\n");
}

#[test]
fn what_the_log_tells_can_be_set() {
    let home = Home::new();
    let server = Setup::new(&home).env("TACTFUL__LOG_FILTER", "info,fjall=info").start();
    assert_told(&server.logged(), &["fjall"]);
    server.stop();
    let home = Home::new();
    let server = Setup::new(&home).env("TACTFUL__LOG_FILTER", "error").start();
    assert_eq!(server.logged(), "");
}
