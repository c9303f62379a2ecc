//! `tactful privacy`: everything that is held, its erasure with a receipt, and the proof.

use serde_json::Value;

use super::{
    assert_told, done,
    events::line,
    failed, json,
    server::{Home, Server, Setup},
};

fn event(subject: &str, name: &str) -> String {
    line(
        &serde_json::json!({ "type": "track", "userId": subject, "event": name, "properties": { "note": "canary-note" } }),
    )
}

#[test]
fn a_customer_gets_all_that_is_held_and_is_erased_with_a_receipt() {
    let home = Home::new();
    let setup = Setup::new(&home).env("TACTFUL__ARCHIVE_EVERY_S", "1").env("TACTFUL__ENGINE__HOUSEKEEPING_MS", "200");
    let server = setup.start();
    server.take(&[event("canary-1", "Purchase"), event("other-1", "Purchase")].concat());
    done(&server.run(&["decide", "canary-1", "-p", "web_home"]));

    let held = json(&server.run(&["privacy", "export", "canary-1"]));
    assert_eq!(held["context"]["known"], true);
    let records = held["records"].as_array().expect("records");
    let event = records.iter().find(|record| record["kind"] == "event").expect("the event");
    assert_eq!((&event["name"], &event["properties"]["note"]), (&Value::from("Purchase"), &Value::from("canary-note")));
    assert!(records.iter().all(|record| record["subject_id"] != "other-1"));
    let file = home.at("held.json");
    done(&server.run(&["privacy", "export", "canary-1", "--output", &file]));
    assert!(std::fs::read_to_string(&file).expect("the file").contains("canary-note"));

    let before = server.run(&["privacy", "verify", "canary-1"]);
    assert_eq!(before.status.code(), Some(1));
    assert_told(&String::from_utf8_lossy(&before.stdout), &["memory of this node", "looked through"]);
    assert_told(&failed(2, &server.run(&["privacy", "erase", "canary-1"])), &["cannot be undone", "--yes"]);
    let receipt = json(&server.run(&["privacy", "erase", "canary-1", "--yes", "--wait", "--json"]));
    assert!(receipt["unreadable_time"].is_string() && receipt["gone_time"].is_string(), "{receipt}");
    let stores: Vec<&str> =
        receipt["stores"].as_array().expect("stores").iter().filter_map(|it| it["store"].as_str()).collect();
    assert!(stores.contains(&"archive") && stores.contains(&"backups"), "{stores:?}");
    assert!(!receipt.to_string().contains("canary-1"), "a receipt names nobody");
    assert_told(&done(&server.run(&["privacy", "verify", "canary-1"])), &["nothing is left"]);
    let again = done(&server.run(&["privacy", "receipt", receipt["erasure_id"].as_str().expect("an id")]));
    assert_told(&again, &["unreadable  since", "gone        since", "OPEN"]);
    assert_eq!(json(&server.run(&["context", "canary-1", "--json"]))["known"], false);
    assert_eq!(json(&server.run(&["context", "other-1", "--json"]))["known"], true);
}

#[test]
fn an_erasure_of_nobody_says_what_to_give() {
    let home = Home::new();
    let server = Server::start(&home);
    assert_told(
        &failed(1, &server.run(&["privacy", "receipt", "no-such"])),
        &["erasure_id", "the id that Erase answered"],
    );
    assert_told(&failed(1, &server.run(&["privacy", "erase", "", "--yes"])), &["subject_id", "1 to 128 bytes"]);
    assert_told(&failed(2, &server.run(&["privacy", "verify"])), &["SUBJECT"]);
}
