//! `tactful consent`, consents among ingested lines and in Redis, and answers without personal data.

use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::{line, purchases},
    failed, json,
    redis::Redis,
    server::{Home, Server, eventually},
};

/// An offer for which a purpose is needed.
const OFFER: &[&str] = &["-p", "agent_desktop", "--candidate", "sell_fibre_start", "--explain", "full", "--json"];

fn decided(server: &Server, subject: &str, more: &[&str]) -> Value {
    json(&server.run(&[&["decide", subject], OFFER, more].concat()))
}

/// Where the offer left the decision, and why.
fn offer(decided: &Value) -> (String, String) {
    let candidates = decided["candidates"].as_array().expect("candidates");
    let trace = candidates.iter().find(|trace| trace["action_id"] == "sell_fibre_start").expect("the offer");
    let text = |key: &str| trace[key].as_str().expect("a text").to_owned();
    (text("stage"), text("detail"))
}

fn marketing(server: &Server, subject: &str) -> Value {
    let context = json(&server.run(&["context", subject, "--json"]));
    let consents = context["consents"].as_array().expect("consents").clone();
    consents.into_iter().find(|consent| consent["purpose"] == "marketing").expect("marketing")
}

const DENIED: &str = "the customer denied the purpose marketing";

#[test]
fn what_the_customer_says_of_a_purpose_is_recorded_shown_and_held_to() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&purchases(0..3));
    assert_ne!(offer(&decided(&server, "c1", &[])).0, "purpose");
    assert_eq!(marketing(&server, "c1")["state"], "default");
    let told = done(&server.run(&["consent", "c1", "marketing", "deny", "--source", "phone", "--text-version", "v7"]));
    assert_told(&told, &["recorded: marketing is denied", "position"]);
    assert_eq!(offer(&decided(&server, "c1", &[])), ("purpose".into(), DENIED.into()));
    let said = marketing(&server, "c1");
    assert_eq!((&said["allowed"], &said["state"]), (&json!(false), &json!("recorded")));
    assert_eq!((&said["source"], &said["text_version"]), (&json!("phone"), &json!("v7")));
    assert_told(&done(&server.run(&["context", "c1"])), &["purposes", "the customer", "phone", "v7", "third_party"]);
    let line_of = |subject: &str, allowed: bool, message: &str| {
        line(&json!({ "type": "consent", "subject_id": subject, "purpose": "marketing", "allowed": allowed,
                      "source": "form", "message_id": message }))
    };
    server.take(&(line_of("c1", true, "k1") + &line_of("c2", false, "k2")));
    assert_eq!(marketing(&server, "c1")["allowed"], true);
    assert_eq!(offer(&decided(&server, "c2", &[])).1, DENIED);
    let before = server.digest();
    server.stop();
    let server = Server::start(&home);
    done(&server.run(&["export", "decisions"]));
    assert_eq!(server.digest()["content"], before["content"]);
    assert_eq!(offer(&decided(&server, "c2", &[])).1, DENIED, "a restart keeps it");
}

#[test]
fn a_non_personal_answer_is_asked_for_and_says_so() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&purchases(0..3));
    assert_eq!(decided(&server, "c1", &[])["basis"], "personal");
    assert_eq!(decided(&server, "unheard", &[])["basis"], "non_personal");
    assert_eq!(decided(&server, "c1", &["--non-personal"])["basis"], "non_personal");
    let told = done(&server.run(&["decide", "c1", "-p", "web_home", "--non-personal"]));
    assert_told(&told, &["nothing of this customer was used: the answer is non-personal"]);
    let told = failed(2, &server.run(&["decide", "c1", "-p", "web_home", "--non-personal", "--set", "age=3"]));
    assert_told(&told, &["--non-personal", "cannot be used with"]);
}

#[test]
fn a_wrong_consent_says_what_to_write() {
    let home = Home::new();
    let server = Server::start(&home);
    let told = failed(1, &server.run(&["consent", "c1", "marketting", "allow"]));
    assert_told(&told, &["purpose: is no purpose of the catalogue: did you mean marketing?"]);
    let told = failed(1, &server.run(&["consent", "c1", "service", "deny"]));
    assert_told(&told, &["service, which is always allowed: give marketing, profiling, third_party"]);
    assert_told(&failed(2, &server.run(&["consent", "c1", "marketing", "perhaps"])), &["allow", "deny"]);
    let summary = server.call(&["ingest", "-"]).input(line(&json!({ "type": "consent", "subject_id": "c1",
        "purpose": "marketing", "allowed": "no" })));
    assert_told(&failed(1, &summary.output()), &["allowed", "must be true or false, not a text"]);
}

#[test]
fn a_withdrawal_holds_on_every_node_on_one_redis_once_its_position_is_reached() {
    let redis = Redis::start();
    let (home, other_home) = (Home::new(), Home::new());
    let (one, two) = (redis.node(&home), redis.node(&other_home));
    one.take(&purchases(0..10));
    for round in 0..5 {
        let subject = format!("c{round}");
        for word in ["allow", "deny"] {
            let answer = json(&one.run(&["consent", &subject, "marketing", word, "--json"]));
            let position = answer["position"].as_str().expect("a position");
            let there = decided(&two, &subject, &["--min-position", position]);
            assert_eq!(there["degraded_reasons"], json!([]), "{there}");
            for decided in [there, decided(&one, &subject, &[])] {
                let (stage, detail) = offer(&decided);
                assert_eq!(
                    (stage == "purpose", detail == DENIED),
                    (word == "deny", word == "deny"),
                    "{word}: {detail}"
                );
            }
        }
    }
    // Another producer says it through Redis.
    let said = r#"{"type":"consent","subject_id":"c9","purpose":"marketing","allowed":false,"source":"crm"}"#;
    redis.command(&["XADD", "tactful:intake", "*", "json", said]);
    for node in [&one, &two] {
        eventually("both know it", || marketing(node, "c9")["source"] == "crm");
        assert_eq!(offer(&decided(node, "c9", &[])).1, DENIED);
    }
    eventually("both know the same", || one.digest() == two.digest());
    let before = one.digest();
    one.kill();
    let again = redis.node(&home);
    assert_eq!(again.digest()["content"], before["content"], "a restart keeps it");
    assert_eq!(offer(&decided(&again, "c9", &[])).1, DENIED);
}
