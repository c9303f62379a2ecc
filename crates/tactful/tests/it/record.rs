//! The record of decisions: own ones with outcomes by token, those made elsewhere, and the same rows
//! from a running server and from the directory that it leaves behind.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::{external, line},
    failed, json, process,
    server::{Home, Server},
    stderr, tactful,
};

/// Rows by customer and slot.
fn rows(text: &str) -> BTreeMap<(String, String, u64), Value> {
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("a row is one JSON object");
        let word = |name: &str| row[name].as_str().expect("a text").to_owned();
        ((word("subject_id"), word("placement"), row["slot"].as_u64().expect("a number")), row.clone())
    };
    text.lines().map(row).collect()
}

fn outcome(subject: &str, token: &Value, outcome: &str, message: &str) -> String {
    line(&json!({
        "type": "outcome", "subject_id": subject, "outcome_token": token, "outcome": outcome, "message_id": message,
    }))
}

#[test]
fn outcomes_find_their_decisions_and_the_record_is_the_same_from_both_sides() {
    let home = Home::new();
    let server = Server::start(&home);
    let decision = json(&server.run(&["decide", "anna", "-p", "web_home:2", "-c", "topic=fibre", "--json"]));
    let tokens: Vec<&Value> =
        decision["placements"][0]["actions"].as_array().unwrap().iter().map(|shown| &shown["outcome_token"]).collect();
    json(&server.run(&["decide", "bert", "-p", "app_push", "--json"]));
    let given = [
        outcome("anna", tokens[0], "exposed", "o1"),
        outcome("anna", tokens[0], "accepted", "o2"),
        outcome("anna", tokens[1], "exposed", "o3"),
        // A retry takes effect once, and another customer cannot answer for anna.
        outcome("anna", tokens[0], "accepted", "o2"),
        external(7, "app_intro", "2026-05-01T10:00:00Z", &json!({ "topic": "billing" }), Some("rejected")),
        external(8, "none", "2026-05-01T10:00:00Z", &json!({}), None),
    ];
    server.take(&given.concat());
    let stolen = server.call(&["ingest", "-"]).input(outcome("bert", tokens[0], "accepted", "o9")).output();
    assert_told(&failed(1, &stolen), &["line 1: outcome_token: "]);

    let running = done(&server.run(&["export", "decisions"]));
    let rows_running = rows(&running);
    let own = &rows_running[&("anna".into(), "web_home".into(), 0)];
    assert_eq!((&own["decision_id"], &own["external"]), (&decision["decision_id"], &json!(false)));
    assert_eq!(own["action_id"], decision["placements"][0]["actions"][0]["action_id"]);
    assert_eq!(own["features"]["context.topic"], "fibre");
    assert_eq!(own["channel"], "web");
    let types = |row: &Value| -> Vec<String> {
        let outcomes = row["outcomes"].as_array().unwrap();
        outcomes.iter().map(|outcome| outcome["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(types(own), ["exposed", "accepted"]);
    assert_eq!(types(&rows_running[&("anna".into(), "web_home".into(), 1)]), ["exposed"]);
    let foreign = &rows_running[&("c7".into(), "web_home".into(), 0)];
    assert_eq!((&foreign["external"], &foreign["selection_probability"]), (&json!(true), &json!(0.5)));
    assert_eq!(
        (&foreign["features"]["context.topic"], &types(foreign)[..]),
        (&json!("billing"), &["rejected".into()][..])
    );
    assert_eq!(rows_running[&("c8".into(), "web_home".into(), 0)]["action_id"], "none");

    server.stop();
    let data = home.data();
    let data = data.to_str().unwrap();
    let stopped = done(&tactful(&["export", "decisions", "--data-dir", data]));
    assert_eq!(stopped, running, "the very same lines");
    let out = home.at("rows.jsonl");
    let output = tactful(&["export", "decisions", "--data-dir", data, "--out", &out]);
    assert_eq!(done(&output), "");
    assert_told(&stderr(&output), &[&format!("{} rows written to {out}", running.lines().count())]);
    assert_eq!(fs::read_to_string(&out).unwrap(), running);
}

#[test]
fn an_export_takes_what_was_decided_between_two_times() {
    let home = Home::new();
    let server = Server::start(&home);
    let at = |number: usize, time: &str| external(number, "app_intro", time, &json!({}), None);
    server
        .take(&[at(1, "2026-04-30T23:59:59Z"), at(2, "2026-05-01T00:00:00Z"), at(3, "2026-06-01T00:00:00Z")].concat());
    let range = ["--since", "2026-05-01T00:00:00Z", "--until", "2026-06-01T00:00:00Z"];
    let export = |args: &[&str]| -> Vec<String> {
        let text = done(&server.run(&[&["export", "decisions"], args].concat()));
        rows(&text).into_keys().map(|(subject, ..)| subject).collect()
    };
    assert_eq!(export(&range), ["c2"], "since is within, until is not");
    assert_eq!(export(&range[..2]), ["c2", "c3"]);
    assert_eq!(export(&range[2..]), ["c1", "c2"]);
    assert_eq!(export(&[]), ["c1", "c2", "c3"]);
}

#[test]
fn a_directory_without_a_log_is_not_made_one() {
    let home = Home::new();
    let absent = home.at("absent");
    assert_told(&failed(1, &tactful(&["export", "decisions", "--data-dir", &absent])), &["no log in", &absent]);
    assert!(!std::path::Path::new(&absent).exists());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    let server = Server::start(&home);
    let decisions: String =
        (0..2_000).map(|number| external(number, "app_intro", "2026-05-01T10:00:00Z", &json!({}), None)).collect();
    server.take(&decisions);
    // Most rows are still to come when the reader leaves.
    let export = process::command(&["export", "decisions", "--server", server.grpc()]);
    let (line, code, told) = process::first_line(export);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    assert_eq!(rows(&line).len(), 1);
}
