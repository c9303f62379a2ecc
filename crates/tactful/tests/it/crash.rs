//! What happens to what was acknowledged: a server killed in the middle of an ingest, a drain with
//! connections open, a directory and a port that are taken.

use std::{io::Write, net::TcpListener, thread, time::Duration};

use serde_json::Value;

use super::{
    assert_told, done,
    events::purchases,
    failed, json,
    server::{Home, Server, Setup, eventually},
    stderr, tactful,
};

/// Purchases in the whole input, one for each customer.
const PURCHASES: usize = 30_000;

/// How many purchases the server knows of a customer.
fn bought(server: &Server, customer: &str) -> Option<f64> {
    let context = json(&server.run(&["context", customer, "--json"]));
    let features = context["features"].as_array()?;
    let purchases = features.iter().find(|feature| feature["name"] == "purchases")?;
    purchases["value"].as_f64().filter(|_| context["known"] == true)
}

#[test]
fn a_server_killed_during_an_ingest_keeps_all_that_it_acknowledged_exactly_once() {
    let home = Home::new();
    let server = Server::start(&home);
    let mut producer = server.call(&["ingest", "-"]).start();
    let mut pipe = producer.stdin().expect("a pipe");
    let feeding = thread::spawn(move || {
        // A producer that lives: the server dies with some of it acknowledged, some on its way.
        for first in (0..PURCHASES).step_by(100) {
            if pipe.write_all(purchases(first..first + 100).as_bytes()).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    });
    eventually("some is applied", || server.digest()["customers"].as_u64() >= Some(2_000));
    server.kill();
    let told = failed(1, &producer.finish());
    feeding.join().expect("the producer was fed");
    let durable = told.split_whitespace().zip(told.split_whitespace().skip(1)).find(|(_, next)| *next == "items");
    let durable: u64 = durable.and_then(|(count, _)| count.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!((1..PURCHASES as u64).contains(&durable), "{durable}");
    assert_told(&told, &["items are durable", "send again"]);

    let server = Server::start(&home);
    let kept = server.digest()["customers"].as_u64().expect("a count");
    assert!(kept >= durable, "{durable} were acknowledged, {kept} are there");
    for customer in [0, durable / 2, durable - 1] {
        assert_eq!(bought(&server, &format!("c{customer}")), Some(1.0), "{customer} of {durable}");
    }
    // Sent again as a whole: what was there stays once, what was not comes in.
    let file = home.file("all.jsonl", purchases(0..PURCHASES));
    done(&server.run(&["ingest", &file]));
    let all = |server: &Server| eventually("all is applied", || server.digest()["customers"] == PURCHASES);
    all(&server);
    let calm_home = Home::new();
    let calm = Server::start(&calm_home);
    done(&calm.run(&["ingest", &file]));
    all(&calm);
    eventually("as if nothing had happened", || content(&server) == content(&calm));
}

fn content(server: &Server) -> Value {
    server.digest()["content"].clone()
}

#[test]
fn a_restart_knows_what_the_server_knew() {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&purchases(0..500));
    json(&server.run(&["decide", "c7", "-p", "web_home", "--json"]));
    done(&server.run(&["export", "decisions"]));
    let before = server.digest();
    server.stop();
    let server = Server::start(&home);
    assert_eq!(server.digest(), before, "the same records, the same state");
    server.kill();
    assert_eq!(Server::start(&home).digest(), before, "killed while idle as well");
}

#[test]
fn a_directory_is_one_servers_alone() {
    let home = Home::new();
    let server = Server::start(&home);
    let data = home.data();
    let data = data.to_str().expect("a readable path");
    let catalog = super::shipped_catalog();
    let listen = ["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    let second = ["serve", "--data-dir", data, "--catalog", catalog.to_str().expect("a readable path")];
    let told = failed(1, &tactful(&[&second[..], &listen].concat()));
    assert_told(&told, &["in use by another process", data]);
    let recipe = home.file("recipe.toml", "name = \"acceptance\"\nkind = \"logistic\"\n");
    let out = home.at("out.model");
    let readers: [&[&str]; 2] =
        [&["export", "decisions", "--data-dir", data], &["model", "train", &recipe, "--out", &out, "--data-dir", data]];
    for reader in readers {
        assert_told(&failed(1, &tactful(reader)), &["in use by another process", "read from that server instead"]);
    }
    // The first one never noticed.
    server.take(&purchases(0..3));
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let home = Home::new();
    let server = Server::start(&home);
    let other = Home::new();
    let data = other.data();
    let catalog = super::shipped_catalog();
    let common = ["serve", "--data-dir", data.to_str().expect("text"), "--catalog", catalog.to_str().expect("text")];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let foreign = listener.local_addr().expect("an address").to_string();
    let cases = [
        // Another Tactful, which shares its port among its own threads only, and another program.
        (["--grpc-listen", server.grpc(), "--http-listen", "127.0.0.1:0"], server.grpc(), "--grpc-listen"),
        (["--grpc-listen", &foreign, "--http-listen", "127.0.0.1:0"], &foreign, "--grpc-listen"),
        (["--grpc-listen", "127.0.0.1:0", "--http-listen", server.http()], server.http(), "--http-listen"),
    ];
    for (listen, address, option) in cases {
        let output = tactful(&[&common[..], &listen].concat());
        let told = failed(1, &output);
        let error = told.lines().last().expect("an error");
        assert_told(error, &["cannot listen on", address, "another program does", option]);
        assert!(!super::stdout(&output).contains("ready"), "never announced");
    }
    server.take(&purchases(0..3));
}

#[test]
fn sigterm_drains_within_the_bound_though_a_stream_stays_open() {
    let home = Home::new();
    let server = Server::start(&home);
    let mut producer = server.call(&["ingest", "-"]).start();
    let mut pipe = producer.stdin().expect("a pipe");
    pipe.write_all(purchases(0..5).as_bytes()).expect("a live producer");
    eventually("the stream is open", || server.digest()["customers"] == 5);
    let (status, took) = server.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(20), "the bound is 3 s, it took {took:?}");
    drop(pipe);
    let output = producer.finish();
    assert_told(&failed(1, &output), &["5 items are durable"]);
    assert!(!stderr(&output).contains("panicked"));
    assert_eq!(Server::start(&home).digest()["customers"], 5);
}

#[test]
fn sigterm_without_connections_ends_at_once_and_decisions_are_recorded() {
    let home = Home::new();
    let server = Setup::new(&home).env("TACTFUL__SERVER__DRAIN_MS_MAX", "60000").start();
    for number in 0..5 {
        done(&server.run(&["decide", &format!("c{number}"), "-p", "web_home", "--explain", "none"]));
    }
    let (status, took) = server.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(30), "nothing was open, it took {took:?}");
    let data = home.data();
    let rows = done(&tactful(&["export", "decisions", "--data-dir", data.to_str().expect("text")]));
    let mut subjects: Vec<String> = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).expect("JSON")["subject_id"].as_str().expect("text").to_owned())
        .collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects, ["c0", "c1", "c2", "c3", "c4"]);
}
