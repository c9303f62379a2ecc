//! `tactful decide` and `tactful context`: what a customer's state is, what is decided on it and why,
//! and requests that are refused.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::line,
    failed, json,
    server::{Home, Server},
    silent_address, tactful,
};

/// A customer with a known register entry, a look at fibre, and an open fault.
fn customer(id: &str) -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let at = |seconds: i64| jiff::Timestamp::from_second(since_1970 - seconds).unwrap().to_string();
    [
        json!({ "type": "identify", "userId": id, "timestamp": at(600), "channel": "web",
                "traits": { "age": 44, "segment": "family", "has_mobile": true } }),
        json!({ "type": "track", "userId": id, "event": "Product Viewed", "timestamp": at(300), "channel": "web",
                "properties": { "topic": "fibre", "price": 34.9 } }),
        json!({ "type": "track", "userId": id, "event": "Fault Reported", "timestamp": at(200), "channel": "bot",
                "properties": { "matter_id": "fault:9" } }),
        json!({ "type": "page", "userId": id, "name": "Help", "timestamp": at(100), "channel": "web" }),
    ]
    .iter()
    .map(line)
    .collect()
}

#[test]
fn a_visitor_is_linked_shown_and_unlinked() {
    let home = Home::new();
    let server = Server::start(&home);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let at = |seconds: i64| jiff::Timestamp::from_second(since_1970 - seconds).unwrap().to_string();
    let login = json!({ "type": "identify", "userId": "customer:42", "anonymousId": "af31", "timestamp": at(50) });
    let look = json!({ "type": "track", "anonymousId": "af31", "event": "Product Viewed", "timestamp": at(90),
                       "channel": "web", "properties": { "topic": "fibre", "price": 34.9 } });
    server.take(&(line(&look) + &line(&login)));
    let text = done(&server.run(&["context", "customer:42"]));
    assert_told(&text, &["one customer with\n  anon:af31", "Product Viewed"]);
    let unlinked = json(&server.run(&["unlink", "customer:42", "anon:af31", "--source", "agent", "--json"]));
    assert_eq!(
        (&unlinked["linked"], unlinked["position"].as_str().is_some_and(|it| !it.is_empty())),
        (&json!(false), true)
    );
    // The position makes the next decision wait until it is known.
    let position = unlinked["position"].as_str().unwrap();
    done(&server.run(&["decide", "customer:42", "-p", "web_home", "--min-position", position]));
    assert_eq!(json(&server.run(&["context", "customer:42", "--json"]))["subject_ids"], json!(["customer:42"]));
    assert_told(&done(&server.run(&["link", "customer:42", "customer:7"])), &["are one customer"]);
    let told = failed(1, &server.run(&["link", "device:1", "anon:af31"]));
    assert_told(&told, &["other_subject_id", "link each of them with the customer's id instead"]);
    assert_told(&failed(2, &server.run(&["link", "customer:42", "anon:af31", "--time", "noon"])), &["2026-05-01"]);
}

#[test]
fn context_shows_features_timeline_and_open_matters() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&customer("customer:42"));
    let text = done(&server.run(&["context", "customer:42"]));
    assert_told(&text, &["customer:42", "open matters", "fault:9", "features", "timeline, newest first"]);
    assert_told(&text, &["age", "44", "segment", "family", "Product Viewed", "Fault Reported", "bot"]);
    let context = json(&server.run(&["context", "customer:42", "--json"]));
    assert_eq!((&context["known"], &context["subject_id"]), (&json!(true), &json!("customer:42")));
    let feature = |name: &str| {
        let features = context["features"].as_array().unwrap();
        features.iter().find(|feature| feature["name"] == name).unwrap().clone()
    };
    assert_eq!((&feature("age")["value"], &feature("age")["state"]), (&json!(44.0), &json!("present")));
    assert_eq!(feature("segment")["value"], "family");
    assert_eq!(feature("has_mobile")["value"], true);
    assert!(feature("interest_fibre")["value"].as_f64().is_some_and(|looks| (0.4..0.6).contains(&looks)));
    assert_eq!(feature("tenure_months")["state"], "missing");
    let matters = context["open_matters"].as_array().unwrap();
    assert_eq!(matters.len(), 1);
    assert_eq!((&matters[0]["matter_id"], &matters[0]["type"]), (&json!("fault:9"), &json!("fault")));
    let names: Vec<&Value> = context["timeline"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["Help", "Fault Reported", "Product Viewed", "identify"], "newest first");
}

#[test]
fn a_decision_is_readable_and_says_why_and_why_not() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&customer("customer:42"));
    let text = done(&server.run(&["decide", "customer:42", "-p", "web_home:2", "-p", "agent_desktop"]));
    assert_told(&text, &["customer:42", "web_home", "agent_desktop", "1. ", "priority", " x V ", "title: ", "why: "]);
    let full = done(&server.run(&["decide", "customer:42", "-p", "web_home", "--explain", "full", "--test"]));
    assert_told(&full, &["what lost, and why", "problem_silences_promotion", "an open fault or complaint comes first"]);
    assert_told(&full, &["a what-if"]);
    let decision = json(&server.run(&["decide", "customer:42", "-p", "web_home", "--explain", "full", "--json"]));
    assert_eq!(decision["decision_id"].as_str().map(str::len), Some(36));
    assert_eq!((&decision["cold_start"], &decision["degraded"]), (&json!(false), &json!(false)));
    let shown = &decision["placements"][0]["actions"][0];
    assert!(!shown["outcome_token"].as_str().unwrap().is_empty() && shown["content"]["title"].is_string());
    let factors = &shown["factors"];
    let factor = |name: &str| factors[name].as_f64().unwrap();
    let product = factor("acceptance_probability") * factor("value") * factor("context_weight") * factor("lever");
    let priority = shown["priority"].as_f64().unwrap();
    assert!((product - priority).abs() <= 1e-4 * priority.abs(), "{product} and {priority}");
    let candidates = decision["candidates"].as_array().unwrap();
    assert!(candidates.len() >= 60, "full names every action, not {}", candidates.len());
    let silenced = candidates.iter().filter(|loser| loser["rule_id"] == "problem_silences_promotion");
    assert!(silenced.count() >= 5, "a fault is open");
    for shown in decision["placements"][0]["actions"].as_array().unwrap() {
        assert_ne!(shown["kind"], "sell", "an open fault silences promotion");
    }
}

#[test]
fn the_examples_of_the_help_work_on_the_shipped_catalogue() {
    let home = Home::new();
    let server = Server::start(&home);
    let help = done(&tactful(&["decide", "--help"]));
    let examples: Vec<&str> = help.lines().filter_map(|line| line.trim().strip_prefix("tactful decide ")).collect();
    assert!(examples.len() >= 4, "{help}");
    for example in examples {
        let args: Vec<&str> = ["decide"].into_iter().chain(example.split_whitespace()).collect();
        assert_told(&done(&server.run(&args)), &["customer:42"]);
    }
}

#[test]
fn a_customer_nobody_knows_is_a_cold_start() {
    let home = Home::new();
    let server = Server::start(&home);
    let what_if = ["decide", "nobody", "-p", "web_home", "--test"];
    assert_told(&done(&server.run(&what_if)), &["a cold start", "web_home"]);
    assert_eq!(json(&server.run(&[&what_if[..], &["--json"]].concat()))["cold_start"], true);
    assert_told(&done(&server.run(&["context", "nobody"])), &["nothing was ever heard of this customer"]);
}

#[test]
fn a_what_if_reads_other_values_and_leaves_no_trace() {
    let home = Home::new();
    let server = Server::start(&home);
    let at = |age: &str| {
        let set = format!("age={age}");
        let args = ["decide", "c", "-p", "web_home", "--set", &set, "--test", "--explain", "full", "--json"];
        let decision = json(&server.run(&args));
        assert_eq!(decision["decision_id"], "");
        let losers = decision["candidates"].as_array().unwrap().clone();
        losers.iter().filter(|loser| loser["rule_id"] == "adults_only_for_credit").count()
    };
    assert!(at("17") > 0);
    assert_eq!(at("18"), 0);
    assert_eq!(done(&server.run(&["export", "decisions"])), "");
    assert_eq!(server.digest()["customers"], 0);
}

#[test]
fn wrong_requests_name_the_field_and_what_was_meant() {
    let home = Home::new();
    let server = Server::start(&home);
    let long = "x".repeat(129);
    let cases: [(&[&str], &[&str]); 8] = [
        (&["c", "-p", "web_hom"], &["placements[0].placement", "web_hom", "did you mean web_home?"]),
        (&["c", "-p", "web_home", "-p", "web_home"], &["placements[1].placement", "twice"]),
        (&["c", "-p", "web_home", "-c", "topik=fibre"], &["topik", "did you mean", "topic"]),
        (&["c", "-p", "web_home", "-c", "topic=fiber"], &["topic", "fibre"]),
        (&["c", "-p", "web_home", "-c", "signed_in=often"], &["signed_in", "true or false"]),
        (&["c", "-p", "web_home", "--set", "agee=3"], &["agee", "did you mean", "age"]),
        (&["", "-p", "web_home"], &["subject_id", "empty"]),
        (&[&long, "-p", "web_home"], &["subject_id", "129 bytes", "at most 128"]),
    ];
    for (args, parts) in cases {
        let told = failed(1, &server.run(&[&["decide"], args].concat()));
        assert_told(&told, parts);
        assert_eq!(told.lines().count(), 1, "told once, not twice:\n{told}");
    }
    assert_told(&failed(1, &server.run(&["context", ""])), &["subject_id: must have 1 to 128 bytes"]);
    done(&server.run(&["decide", "c", "-p", "web_home"]));
}

#[test]
fn a_candidate_that_is_no_action_is_told_and_the_others_compete() {
    let home = Home::new();
    let server = Server::start(&home);
    let args =
        ["decide", "c", "-p", "web_home", "--candidate", "serve_nothing_like_it", "--candidate", "ask_recommend"];
    assert_told(&done(&server.run(&args)), &["serve_nothing_like_it"]);
}

#[test]
fn without_a_server_each_command_says_how_to_start_one() {
    let server = silent_address();
    let home = Home::new();
    let file = home.file("file", "{\"type\":\"page\",\"userId\":\"c\"}\n");
    let out = home.at("out.model");
    let recipe = home.file("recipe.toml", "name = \"acceptance\"\nkind = \"logistic\"\n");
    let cases: [&[&str]; 6] = [
        &["decide", "customer:42", "--placement", "web_home"],
        &["context", "customer:42"],
        &["ingest", &file],
        &["export", "decisions"],
        &["model", "push", &file],
        &["model", "train", &recipe, "--out", &out],
    ];
    for args in cases {
        let told = failed(1, &tactful(&[args, &["--server", &server]].concat()));
        assert_told(&told, &[&server, "connection refused", "tactful serve"]);
    }
    assert!(!std::path::Path::new(&out).exists(), "a model that was never trained is not there");
}
