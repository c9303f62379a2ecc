//! The server on Redis: what it acknowledged survives its own death and that of Redis, two nodes know the same,
//! and the demo runs on a Redis of its own.

use std::process::{Command, Stdio};

use serde_json::Value;
use tactful_log::RedisServer;

use super::{
    assert_told, done,
    events::purchases,
    failed, json,
    process::Call,
    server::{Home, Server, Setup, eventually},
    shipped_catalog, stderr,
};

/// For a Redis that is killed: what it acknowledged is in its file, however slow the disk is.
const SYNCED: &[&str] = &["--appendfsync", "always"];

/// A Redis with its directory.
pub(crate) struct Redis {
    home: Home,
    server: RedisServer,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[&str]) -> Self {
        let home = Home::new();
        let server = RedisServer::start_with(home.path(), settings).expect("redis-server");
        Self { home, server }
    }

    fn restart(&mut self) {
        self.server.kill();
        self.server = RedisServer::start_on(self.home.path(), self.server.port(), SYNCED).expect("redis-server");
    }

    /// Runs a command that answers no error.
    pub(crate) fn command(&self, words: &[&str]) {
        let port = self.server.port().to_string();
        let status = Command::new("redis-cli").args(["-e", "-p", &port]).args(words).stdout(Stdio::null()).status();
        assert!(status.expect("redis-cli").success(), "{words:?}");
    }

    /// A node on it.
    pub(crate) fn node(&self, home: &Home) -> Server {
        Setup::new(home).arg("--log").arg(self.server.url()).start()
    }
}

fn knows(server: &Server, customers: u64) -> bool {
    server.digest()["customers"].as_u64() == Some(customers)
}

#[test]
fn killed_and_started_again_a_node_on_redis_knows_what_it_knew() {
    let redis = Redis::start();
    let home = Home::new();
    let node = redis.node(&home);
    assert_told(&node.logged(), &["append-only file of Redis, synced every second"]);
    node.take(&purchases(0..500));
    json(&node.run(&["decide", "c7", "-p", "web_home", "--json"]));
    // It comes after everything that was decided before.
    done(&node.run(&["export", "decisions"]));
    let before = node.digest();
    node.kill();
    assert_eq!(redis.node(&home).digest(), before, "the same records, the same state");
    // Nothing of it is in the node's own directory.
    assert_eq!(redis.node(&Home::new()).digest(), before);
}

#[test]
fn two_nodes_on_one_redis_know_the_same() {
    let redis = Redis::start();
    let (home, other_home) = (Home::new(), Home::new());
    let (one, two) = (redis.node(&home), redis.node(&other_home));
    one.take(&purchases(0..200));
    two.take(&purchases(100..300));
    json(&one.run(&["decide", "c7", "-p", "web_home", "--json"]));
    json(&two.run(&["decide", "c250", "-p", "web_home", "--json"]));
    done(&one.run(&["export", "decisions"]));
    done(&two.run(&["export", "decisions"]));
    eventually("both have applied all", || knows(&one, 300) && one.digest() == two.digest());
    let context = |node: &Server| {
        let mut context = json(&node.run(&["context", "c250", "--json"]));
        context["server_time"] = Value::Null;
        context["features"].take();
        context
    };
    assert_eq!(context(&one), context(&two));
}

#[test]
fn while_redis_is_away_decisions_go_on_and_events_are_refused() {
    let mut redis = Redis::with(SYNCED);
    let home = Home::new();
    let node = redis.node(&home);
    node.take(&purchases(0..10));
    redis.server.kill();
    let decided = json(&node.run(&["decide", "c7", "-p", "web_home", "--json"]));
    assert_eq!(decided["cold_start"], Value::Bool(false), "{decided}");
    let told = failed(1, &node.call(&["ingest", "-"]).input(purchases(10..20)).output());
    assert_told(&told, &["UNAVAILABLE"]);
    redis.restart();
    node.take(&purchases(10..20));
    eventually("it follows again", || knows(&node, 20));
}

#[test]
fn a_redis_that_lost_what_was_read_takes_the_node_out_of_service() {
    let redis = Redis::start();
    let home = Home::new();
    let node = redis.node(&home);
    node.take(&purchases(0..100));
    assert!(node.get("/readyz").starts_with("ready"));
    redis.command(&["FLUSHALL"]);
    eventually("it is not ready", || {
        let (head, body) = node.page("/readyz");
        head.starts_with("HTTP/1.1 503") && body.starts_with("the log is damaged: partition")
    });
    assert_told(&node.logged(), &["ERROR", "the log is damaged"]);
    assert!(node.get("/metrics").contains("tactful_log_damage_total"));
    let decided = json(&node.run(&["decide", "c7", "-p", "web_home", "--json"]));
    assert!(decided["degraded_reasons"].to_string().contains("LOG_DAMAGED"), "{decided}");
    let told = failed(1, &node.call(&["ingest", "-"]).input(purchases(100..101)).output());
    assert_told(&told, &["holds less than was read from it, or another log"]);
    node.stop();
    // A log that begins after its first entry cannot be folded from the start.
    let home = Home::new();
    let node = redis.node(&home);
    node.take(&purchases(0..400));
    redis.command(&["XTRIM", "{tactful:p00}:log", "MINID", "4-0"]);
    let catalog = shipped_catalog();
    let args = ["serve", "--catalog", catalog.to_str().expect("text"), "--log", &redis.server.url()];
    let home = Home::new();
    let told = failed(
        1,
        &Call::new(&args)
            .env("TACTFUL__SERVER__GRPC_LISTEN", "127.0.0.1:0")
            .env("TACTFUL__SERVER__HTTP_LISTEN", "127.0.0.1:0")
            .dir(home.path())
            .output(),
    );
    assert_told(&told, &["the log is damaged: partition p00", "the first one kept is 4"]);
}

#[test]
fn a_node_on_a_redis_that_is_not_there_or_not_fit_says_so() {
    let catalog = shipped_catalog();
    let serve = |url: &str| {
        let home = Home::new();
        let args = ["serve", "--catalog", catalog.to_str().expect("text"), "--log", url];
        failed(1, &Call::new(&args).dir(home.path()).output())
    };
    assert_told(&serve("redis://user:secret@127.0.0.1:1"), &["cannot reach Redis", "redis://127.0.0.1:1"]);
    assert!(!serve("redis://user:secret@127.0.0.1:1").contains("secret"));
    let redis = Redis::start();
    let home = Home::new();
    Setup::new(&home).arg("--log").arg(redis.server.url()).env("TACTFUL__PARTITIONS", "4").start().stop();
    assert_told(&serve(&redis.server.url()), &["has 4 partitions, not 16"]);
}

/// A purchase as another producer adds it.
fn purchase(customer: usize, message: &str) -> String {
    let subject = format!("\"userId\":\"c{customer}\",\"messageId\":\"{message}\"");
    format!("{{\"type\":\"track\",\"event\":\"Product Activated\",{subject},\"properties\":{{\"price\":1}}}}")
}

#[test]
fn what_other_producers_add_to_redis_counts_once_and_poison_goes_to_the_dead_list() {
    let redis = Redis::start();
    let add = |field: &str, value: &str| redis.command(&["XADD", "tactful:intake", "*", field, value]);
    add("json", &purchase(0, "early"));
    let (home, other_home) = (Home::new(), Home::new());
    let (one, two) = (redis.node(&home), redis.node(&other_home));
    for customer in 0..40 {
        add("json", &purchase(customer, &format!("m{customer}")));
        add("json", &purchase(customer, &format!("m{customer}")));
    }
    add("json", "{\"type\":\"track\"");
    add("xml", "<event/>");
    add("json", "{\"type\":\"page\",\"userId\":\"late\",\"timestamp\":\"1900-01-01T00:00:00Z\"}");
    eventually("all is folded on both nodes", || knows(&one, 40) && one.digest() == two.digest());
    let url = redis.server.url();
    let dead = |args: &[&str]| Call::new(&[&["dead"], args, &["--log", url.as_str()]].concat()).output();
    let listed = || -> Vec<Value> {
        let lines = done(&dead(&["list", "--json"]));
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    eventually("three are dead", || listed().len() == 3);
    let reasons: Vec<String> = listed().iter().map(|entry| entry["reason"].to_string()).collect();
    for reason in ["not valid JSON", "give json or protobuf", "event_time"] {
        assert!(reasons.iter().any(|told| told.contains(reason)), "{reason}: {reasons:?}");
    }
    let original = listed().iter().any(|entry| entry["fields"]["xml"] == "<event/>");
    assert!(original, "as it came: {:?}", listed());
    assert_told(&done(&dead(&["list"])), &["xml: <event/>"]);
    // What cannot be read now either comes back.
    let first = listed()[0]["id"].as_str().expect("an id").to_owned();
    assert_told(&done(&dead(&["retry", &first])), &["1 entries retried"]);
    eventually("it is dead again", || listed().len() == 3 && listed().iter().all(|entry| entry["id"] != *first));
    assert_told(&failed(1, &dead(&["retry", &first])), &["not in the dead list"]);
    assert_told(&failed(2, &dead(&["retry"])), &["<ID>"]);
    assert_told(&done(&dead(&["retry", "--all"])), &["3 entries retried"]);
    eventually("all are dead again", || listed().len() == 3);
    assert!(one.get("/metrics").contains("tactful_intake_dead_total"));
}

#[test]
fn what_a_killed_node_had_taken_from_redis_is_taken_by_the_next() {
    let redis = Redis::start();
    let home = Home::new();
    for round in 0..3 {
        let node = redis.node(&home);
        for customer in 0..100 {
            redis.command(&[
                "XADD",
                "tactful:intake",
                "*",
                "json",
                &purchase(customer, &format!("{round}-{customer}")),
            ]);
        }
        node.kill();
    }
    let node = redis.node(&home);
    let bought = |customer: usize| {
        let context = json(&node.run(&["context", &format!("c{customer}"), "--json"]));
        let features = context["features"].as_array().expect("features").clone();
        features.iter().find(|feature| feature["name"] == "purchases").and_then(|feature| feature["value"].as_f64())
    };
    eventually("every purchase counts once", || [0, 50, 99].iter().all(|customer| bought(*customer) == Some(3.0)));
}

#[test]
fn the_demo_runs_on_a_redis_of_its_own_and_leaves_a_log() {
    let home = Home::new();
    let args = ["demo", "--log", "redis", "--seconds", "4", "--customers", "200", "--rate", "50", "--json"];
    let output = Call::new(&args).dir(home.path()).output();
    done(&output);
    let result = json(&output);
    assert_eq!((&result["errors"], stderr(&output).as_str()), (&0.into(), ""));
    assert!(result["decisions"].as_u64() > Some(0), "{result}");
    // A log that somebody uses is not the demo's to fill.
    let redis = Redis::start();
    let home = Home::new();
    let node = redis.node(&home);
    node.take(&purchases(0..10));
    let args = ["demo", "--log", &redis.server.url(), "--seconds", "1"];
    let home = Home::new();
    assert_told(&failed(2, &Call::new(&args).dir(home.path()).output()), &["holds a log already"]);
}
