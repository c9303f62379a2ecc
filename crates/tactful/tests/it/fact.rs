//! `tactful fact`, facts among ingested lines and in Redis: told once, known in every channel.

use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::line,
    failed, json,
    redis::Redis,
    server::{Home, Server, eventually},
};

/// A fact of a customer as the context shows it.
fn known(server: &Server, subject: &str, key: &str) -> Value {
    let context = json(&server.run(&["context", subject, "--json"]));
    let facts = context["facts"].as_array().expect("facts").clone();
    facts.into_iter().find(|fact| fact["key"] == key).unwrap_or_default()
}

/// Where the question for the household left a decision on the web, and why.
fn asked(server: &Server, subject: &str) -> (String, String) {
    let ask = ["decide", subject, "-p", "web_account", "--candidate", "ask_household", "--set", "has_fibre=true"];
    let decided = json(&server.run(&[&ask[..], &["--explain", "full", "--json"]].concat()));
    let candidates = decided["candidates"].as_array().expect("candidates");
    let trace = candidates.iter().find(|trace| trace["action_id"] == "ask_household").expect("the question");
    let text = |key: &str| trace[key].as_str().expect("a text").to_owned();
    (text("stage"), text("detail"))
}

#[test]
fn what_an_agent_was_told_is_not_asked_again_on_the_web() {
    let home = Home::new();
    let server = Server::start(&home);
    assert_ne!(asked(&server, "c1").1, "told already");
    let told = ["fact", "c1", "household_size=4", "pet=dog", "--channel", "agent", "--source", "call"];
    assert_told(&done(&server.run(&told)), &["recorded: household_size, pet", "position"]);
    eventually("the web knows", || asked(&server, "c1") == ("applicability".into(), "told already".into()));
    let size = known(&server, "c1", "household_size");
    assert_eq!((&size["value"], &size["state"], &size["declared"]), (&json!(4.0), &json!("present"), &json!(true)));
    assert_eq!(
        (&size["channel"], &size["source"], &size["purpose"]),
        (&json!("agent"), &json!("call"), &json!("profiling"))
    );
    assert!(size["expire_time"].is_string() && size["told_time"].is_string(), "{size}");
    assert_eq!(known(&server, "c1", "pet")["declared"], false);
    assert_told(
        &done(&server.run(&["context", "c1"])),
        &["told by the customer", "household_size", "pet", "undeclared"],
    );
    done(&server.run(&["fact", "c1", "--retract", "household_size"]));
    eventually("the web forgot", || asked(&server, "c1").1 != "told already");
    assert_eq!(known(&server, "c1", "household_size"), Value::Null);
    let fact = |value: Value, message: &str| {
        line(&json!({ "type": "fact", "subject_id": "c2", "key": "household_size", "value": value, "channel": "bot",
                      "message_id": message }))
    };
    server.take(&fact(json!(2), "f1"));
    assert_eq!(
        (known(&server, "c2", "household_size")["value"].clone(), asked(&server, "c2").1.as_str()),
        (json!(2.0), "told already")
    );
    done(&server.run(&["consent", "c2", "profiling", "deny"]));
    let denied = known(&server, "c2", "household_size");
    assert_eq!((&denied["state"], &denied["value"]), (&json!("denied"), &Value::Null));
}

#[test]
fn a_wrong_fact_says_what_to_write() {
    let home = Home::new();
    let server = Server::start(&home);
    let told = failed(1, &server.run(&["fact", "c1", "household_size=four", "pet=dog"]));
    assert_told(
        &told,
        &["1 of 2 facts were refused", "household_size: value is not what the catalogue declares", "give a number"],
    );
    assert_told(&failed(1, &server.run(&["fact", "c1", "pet name=Bello"])), &["letters, digits and underscores"]);
    assert_told(&failed(2, &server.run(&["fact", "c1"])), &["KEY=VALUE"]);
    assert_told(&failed(2, &server.run(&["fact", "c1", "pet"])), &["write KEY=VALUE"]);
}

#[test]
fn facts_that_other_producers_add_to_redis_are_known_on_every_node() {
    let redis = Redis::start();
    let (home, other_home) = (Home::new(), Home::new());
    let (one, two) = (redis.node(&home), redis.node(&other_home));
    let told = r#"{"type":"fact","subject_id":"c1","key":"household_size","value":3,"channel":"bot","source":"chat"}"#;
    redis.command(&["XADD", "tactful:intake", "*", "json", told]);
    done(&one.run(&["fact", "c1", "pet=cat", "--channel", "shop"]));
    for node in [&one, &two] {
        eventually("it is known", || known(node, "c1", "household_size")["value"] == 3.0);
        eventually("so is the other", || known(node, "c1", "pet")["channel"] == "shop");
        assert_eq!(asked(node, "c1").1, "told already");
    }
    eventually("both know the same", || {
        let context = |node: &Server| json(&node.run(&["context", "c1", "--json"]))["facts"].clone();
        context(&one) == context(&two)
    });
}
