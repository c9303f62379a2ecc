//! `tactful ingest`: files and pipes, lines that are refused, counts that are right.

use std::io::Write;

use serde_json::json;

use super::{
    assert_told,
    events::{line, purchase, purchases},
    failed, json,
    server::{Home, Server, eventually},
    stderr, stdout,
};

const MAY: &str = "2026-05-01T10:00:00Z";

/// 20,000 lines of which the third is cut off.
fn with_a_broken_third_line() -> String {
    let broken = "{\"type\":\"track\",\"userId\":\"c2\",\"event\":\n";
    purchases(0..2) + broken + &purchases(3..20_000)
}

#[test]
fn a_malformed_third_line_is_told_by_its_number_and_the_rest_goes_on() {
    let home = Home::new();
    let server = Server::start(&home);
    let file = home.file("events.jsonl", with_a_broken_third_line());
    let output = server.run(&["ingest", &file, "--json"]);
    let told = failed(1, &output);
    assert_told(&told, &["line 3: not valid JSON at column 38: EOF while parsing a value"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let summary = json(&output);
    assert_eq!((&summary["accepted"], &summary["refused"]), (&json!(19_999), &json!(1)), "{summary}");
    assert_eq!((&summary["stopped"], &summary["refusals"][0]["line"]), (&json!(false), &json!(3)));
    assert!(summary["seconds"].as_f64().unwrap() > 0.0 && summary["events_per_s"].as_f64().unwrap() > 0.0);
    eventually("all rows are there", || server.digest()["customers"] == 19_999);
    let last = json(&server.run(&["context", "c19999", "--json"]));
    assert_eq!(last["known"], true);
    assert_eq!(json(&server.run(&["context", "c2", "--json"]))["known"], false);
}

#[test]
fn asked_to_stop_it_stops_at_the_malformed_line() {
    let home = Home::new();
    let server = Server::start(&home);
    let file = home.file("events.jsonl", with_a_broken_third_line());
    let output = server.run(&["ingest", &file, "--on-error", "stop"]);
    assert_told(&failed(1, &output), &["line 3: not valid JSON"]);
    assert_told(&stdout(&output), &["2 accepted, 1 refused", "stopped at the first refusal"]);
    eventually("what came before is there", || server.digest()["customers"] == 2);
}

#[test]
fn what_the_server_refuses_is_told_with_line_and_field_of_the_input() {
    let home = Home::new();
    let server = Server::start(&home);
    let long = "x".repeat(129);
    let lines = [
        purchase(1, "web", MAY),
        purchase(2, "wbe", MAY),
        purchase(3, "web", "1900-01-01T00:00:00Z"),
        purchase(4, "web", "2100-01-01T00:00:00Z"),
        line(&json!({ "type": "track", "userId": long, "event": "Product Activated" })),
        line(&json!({ "type": "trak", "userId": "c6", "event": "Product Activated" })),
        line(&json!({ "type": "track", "userId": "c7" })),
        line(&json!({ "type": "outcome", "subject_id": "c8", "outcome_token": "forged", "outcome": "accepted" })),
        line(&json!({ "type": "decision", "external_decision_id": "d", "subject_id": "c9", "action_id": "none",
                      "selection_probability": 0.5, "context": { "topik": "billing" } })),
        "\n".into(),
        purchase(11, "app", MAY),
    ];
    let output = server.call(&["ingest", "-"]).input(lines.concat()).output();
    let told = failed(1, &output);
    assert_told(
        &told,
        &[
            "line 2: channel: ",
            "give web, app, agent",
            "line 3: timestamp: lies before 1980-01-01",
            "line 4: timestamp: lies more than 5 minutes ahead",
            "line 5: userId: 129 bytes long; at most 128",
            "line 6: type: unknown `trak`; did you mean `track`?",
            "line 7: event: missing",
            "line 8: outcome_token: is not a token of this server for this subject",
            "line 9: context.topik: ",
            "did you mean context.topic?",
        ],
    );
    assert_eq!(told.lines().count(), 8, "{told}");
    assert_told(&stdout(&output), &["2 accepted, 8 refused"]);
    eventually("the good lines took effect", || server.digest()["customers"] == 2);
}

#[test]
fn a_refusal_of_the_server_stops_it_too_if_asked() {
    let home = Home::new();
    let server = Server::start(&home);
    let lines = purchases(0..10) + &purchase(10, "wbe", MAY) + &purchases(11..20_000);
    let output = server.call(&["ingest", "-", "--on-error", "stop", "--json"]).input(lines).output();
    assert_told(&failed(1, &output), &["line 11: channel: "]);
    let summary = json(&output);
    assert_eq!((&summary["stopped"], &summary["refused"]), (&json!(true), &json!(1)));
    // What was already on its way counts, the rest of the input was never sent.
    let accepted = summary["accepted"].as_u64().unwrap();
    assert!((10..19_000).contains(&accepted), "{accepted}");
    eventually("the counts agree", || server.digest()["customers"] == accepted);
}

#[test]
fn a_million_wrong_lines_would_stay_readable() {
    let home = Home::new();
    let server = Server::start(&home);
    let output = server.call(&["ingest", "-", "--json"]).input("oops\n".repeat(5_000)).output();
    let told = failed(1, &output);
    assert_eq!(told.lines().count(), 21, "20 refusals and a word about the rest:\n{told}");
    assert_told(&told, &["line 20: ", "the rest are counted only"]);
    assert_eq!(json(&output)["refused"], 5_000);
}

#[test]
fn a_live_pipe_is_sent_as_it_comes_and_a_killed_producer_does_no_harm() {
    let home = Home::new();
    let server = Server::start(&home);
    let mut producer = server.call(&["ingest", "-"]).start();
    let mut pipe = producer.stdin().unwrap();
    pipe.write_all(purchases(0..5).as_bytes()).unwrap();
    eventually("what was written so far is there", || server.digest()["customers"] == 5);
    pipe.write_all(b"{\"type\":\"track\",\"userId\":\"half a li").unwrap();
    producer.kill();
    let output = producer.finish();
    assert!(output.status.code().is_none(), "it was ended by a signal");
    server.take(&purchases(5..10));
    assert_eq!(server.digest()["customers"], 10);
}

#[test]
fn quiet_says_nothing_but_refusals_and_blank_input_is_no_error() {
    let home = Home::new();
    let server = Server::start(&home);
    let output = server.call(&["ingest", "-", "--quiet"]).input(purchases(0..3)).output();
    assert_eq!((output.status.code(), stdout(&output), stderr(&output)), (Some(0), String::new(), String::new()));
    let output = server.call(&["ingest", "-", "--quiet"]).input("oops\n").output();
    assert_eq!(stdout(&output), "");
    assert_told(&failed(1, &output), &["line 1: not valid JSON"]);
    let output = server.call(&["ingest", "-", "--json"]).input("\n \n").output();
    assert_eq!((output.status.code(), &json(&output)["accepted"]), (Some(0), &json!(0)));
}

/// A shop with lines of its own, and what they mean.
const MAPPING: &str = "\
subject = { field = \"who\", prefix = \"c\" }
name = { field = \"what\" }
time = { field = \"at\", unit = \"seconds\", epoch = \"2026-05-01T00:00:00Z\" }
message_id = \"hash\"

[aliases]
\"Price\" = \"price\"
";

#[test]
fn lines_of_another_shape_are_read_by_their_mapping() {
    let home = Home::new();
    let server = Server::start(&home);
    let mapping = home.file("shop.toml", MAPPING);
    let lines = "{\"who\":1,\"what\":\"Product Activated\",\"at\":60,\"Price\":5}\n\n\
                 {\"price\":5,\"at\":60,\"who\":1,\"what\":\"Product Activated\"}\n\
                 {\"who\":2,\"what\":\"Product Activated\"}\n";
    let file = home.file("lines.jsonl", lines);
    let before = server.digest()["records"].as_u64().expect("a number");
    let output = server.run(&["ingest", &file, "--mapping", &mapping, "--json"]);
    assert_told(&failed(1, &output), &["line 4: at: missing"]);
    assert_eq!(json(&output)["accepted"], 2);
    eventually("both are folded", || server.digest()["records"] == before + 2);
    let context = json(&server.run(&["context", "c1", "--json"]));
    let bought = context["features"].as_array().unwrap().iter().find(|feature| feature["name"] == "purchases").unwrap();
    assert_eq!(bought["value"], 1.0, "two spellings of one record: {context}");
    assert_eq!(context["timeline"][0]["time"], "2026-05-01T00:01:00Z");
    let wrong = home.file("wrong.toml", MAPPING.replace("what", "").replace("unit", "unti"));
    let told = failed(2, &server.run(&["ingest", &file, "--mapping", &wrong]));
    assert_told(&told, &["wrong.toml, line 3: unknown key `unti`; did you mean `unit`?"]);
}
