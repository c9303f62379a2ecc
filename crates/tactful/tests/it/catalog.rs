//! `tactful catalog check | apply | diff` and `serve` on catalogues that are sound, broken or absent.

use std::{fs, path::Path};

use serde_json::json;

use super::{
    assert_told, done, failed, json,
    process::Call,
    server::{Home, Server, Setup},
    shipped_catalog, stderr, stdout, tactful,
};

/// A copy of the shipped catalogue in which the first `from` of a file is now `to`.
fn broken(home: &Home, file: &str, from: &str, to: &str) -> String {
    let folder = home.at("catalog");
    copy(&shipped_catalog(), Path::new(&folder));
    let path = Path::new(&folder).join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Where a text stands in a file: line and column from 1.
fn place(folder: &str, file: &str, text: &str) -> String {
    let path = format!("{folder}/{file}");
    let found = fs::read_to_string(&path).unwrap();
    let at = found.find(text).unwrap_or_else(|| panic!("{text} is not in {path}"));
    let line = found[..at].matches('\n').count() + 1;
    let column = found[..at].chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    format!("{path}:{line}:{column}: ")
}

#[test]
fn the_shipped_catalogue_is_sound_and_as_large_as_promised() {
    let folder = shipped_catalog();
    let folder = folder.to_str().unwrap();
    assert_told(&done(&tactful(&["catalog", "check", folder])), &["ok: ", " actions", " placements", "version "]);
    let counts = json(&tactful(&["catalog", "check", folder, "--json"]));
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(counts["ok"], true);
    assert!(count("actions") >= 60);
    assert_eq!((count("channels"), count("placements"), count("features")), (7, 10, 30));
}

#[test]
fn each_kind_of_mistake_is_refused_with_its_place_and_a_hint() {
    // File, what is replaced by what, and what is told on that line.
    let cases = [
        ("rules.toml", "applies_to", "applys_to", "unknown key \"applys_to\"", "hint: did you mean \"applies_to\"?"),
        (
            "placements.toml",
            "channel = \"web\"",
            "channel = \"wbe\"",
            "unknown channel \"wbe\"",
            "hint: did you mean \"web\"?",
        ),
        (
            "rules.toml",
            "customer.minutes_since_purchase < 60",
            "customer.minutes_since_purchas < 60",
            "unknown field customer.minutes_since_purchas",
            "hint: did you mean customer.minutes_since_purchase?",
        ),
        ("rules.toml", "customer.age >= 18", "customer.age >= \\\"18\\\"", "", "hint: "),
        ("rules.toml", "customer.age >= 18", "customer.age >=", "", ""),
        (
            "features.toml",
            "aggregate = \"flag\"",
            "aggregate = \"flagg\"",
            "unknown value \"flagg\"",
            "hint: did you mean \"flag\"?",
        ),
        ("actions/sell.toml", "kind = \"sell\"", "kind = \"sel\"", "unknown value \"sel\"", "did you mean \"sell\"?"),
        ("catalog.toml", "share = 0.1", "share = ", "", ""),
    ];
    for (file, from, to, message, hint) in cases {
        let home = Home::new();
        let folder = broken(&home, file, from, to);
        let output = tactful(&["catalog", "check", &folder]);
        assert_eq!(output.status.code(), Some(1), "{to}: {}", stdout(&output));
        let told = stdout(&output);
        let place = place(&folder, file, to);
        let line = place.rsplitn(3, ':').nth(2).unwrap();
        assert_told(&told, &["is refused:", &format!("{line}:"), message, hint]);
    }
}

#[test]
fn a_typo_is_blamed_to_the_column() {
    let home = Home::new();
    let folder = broken(&home, "rules.toml", "applies_to", "applys_to");
    let place = place(&folder, "rules.toml", "applys_to");
    assert_told(&stdout(&tactful(&["catalog", "check", &folder])), &[&place, "did you mean \"applies_to\"?"]);
    let problems = json(&tactful(&["catalog", "check", &folder, "--json"]));
    assert_eq!(problems["ok"], false);
    let problem = &problems["problems"][0];
    let (file, line, column) = (&problem["file"], &problem["line"], &problem["column"]);
    assert_eq!(place, format!("{}:{line}:{column}: ", file.as_str().unwrap()));
}

#[test]
fn typos_that_point_at_each_other_are_all_told() {
    // Two actions whose rules name features that are not there but look like each other, in a circle.
    let home = Home::new();
    let folder = broken(&home, "actions/sell.toml", "customer.has_fibre", "customer.has_tvv");
    let path = Path::new(&folder).join("actions/sell.toml");
    let text = fs::read_to_string(&path).unwrap().replace("customer.has_tv\"", "customer.has_fibr\"");
    fs::write(&path, text).unwrap();
    let told = stdout(&tactful(&["catalog", "check", &folder]));
    assert_told(&told, &["customer.has_tvv", "customer.has_fibr\n", "customer.has_tv?", "customer.has_fibre?"]);
    let problems = json(&tactful(&["catalog", "check", &folder, "--json"]));
    assert!(problems["problems"].as_array().unwrap().len() >= 2, "all at once, not one by one: {problems}");
}

#[test]
fn a_server_with_a_broken_catalogue_opens_no_port_and_makes_no_data() {
    let home = Home::new();
    let folder = broken(&home, "placements.toml", "channel = \"web\"", "channel = \"wbe\"");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let data = home.data();
    let args = ["serve", "--catalog", &folder, "--data-dir", data.to_str().unwrap(), "--grpc-listen", &address];
    // The port is taken: a server that got as far as its ports would complain about that.
    let output = tactful(&args);
    let told = failed(1, &output);
    assert_told(&told, &["placements.toml:", "wbe", "hint: "]);
    assert!(!told.contains(&address) && stdout(&output).is_empty(), "{told}");
    assert!(!data.exists(), "no directory is made");
}

#[test]
fn an_absent_or_empty_catalogue_is_named() {
    let home = Home::new();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for folder in ["no-such-folder", "empty"] {
        let output = Call::new(&["serve", "--catalog", folder]).dir(home.path()).output();
        assert_told(&failed(1, &output), &[folder, "hint: give the folder of the TOML files"]);
        let output = Call::new(&["catalog", "check", folder]).dir(home.path()).output();
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
        assert_told(&stdout(&output), &[folder]);
    }
}

#[test]
fn a_small_catalogue_of_ones_own_serves() {
    let home = Home::new();
    let folder = home.path().join("small");
    fs::create_dir(&folder).unwrap();
    let text = r#"
company = "Corner Shop"
[[channel]]
id = "till"
[[placement]]
id = "receipt"
channel = "till"
count = 1
interruption_cost = 0.1
fallback = { text = "Thank you" }
[[feature]]
name = "visits"
aggregate = "count"
event = "Bought"
[[action]]
id = "loyalty_card"
title = "Loyalty card"
issue = "growth"
group = "loyalty"
kind = "inform"
owner = "Shop"
topic = "loyalty"
tone = "friendly"
intensity = 1
value = 2.0
start_acceptance = 0.2
eligibility = ["customer.visits >= 2"]
treatment = [{ channel = "till", content = { text = "Ask us for the loyalty card" } }]
"#;
    fs::write(folder.join("all.toml"), text).unwrap();
    let check = tactful(&["catalog", "check", folder.to_str().unwrap()]);
    done(&check);
    let server = Setup::with_catalog(&home, &folder).start();
    let shown = |server: &super::server::Server| {
        let decision = json(&server.run(&["decide", "anna", "-p", "receipt", "--json"]));
        decision["placements"][0].clone()
    };
    assert_eq!(shown(&server)["reason"], "fallback");
    let bought = "{\"type\":\"track\",\"userId\":\"anna\",\"event\":\"Bought\",\"channel\":\"till\"}\n";
    server.take(&bought.repeat(2));
    assert_eq!(shown(&server)["actions"][0]["action_id"], "loyalty_card");
    assert_eq!(json(&server.run(&["context", "anna", "--json"]))["features"][0]["value"], json!(2.0));
}

#[test]
fn a_catalogue_is_compared_applied_and_kept_by_a_restart_with_older_files() {
    let home = Home::new();
    let server = Server::start(&home);
    server
        .take("{\"type\":\"track\",\"userId\":\"c1\",\"event\":\"Product Activated\",\"properties\":{\"price\":5}}\n");
    let value = |server: &Server, name: &str| {
        let context = json(&server.run(&["context", "c1", "--json"]));
        let features = context["features"].as_array().unwrap().clone();
        features.iter().find(|feature| feature["name"] == name).and_then(|feature| feature["value"].as_f64())
    };
    let shipped = shipped_catalog();
    assert_eq!(done(&server.run(&["catalog", "diff", shipped.to_str().unwrap()])), "no differences\n");
    // One feature more, one made of something else, one action without its place.
    let folder = broken(&home, "features.toml", "name = \"purchases\"", "name = \"purchases\"\nlateness = \"1h\"");
    let path = Path::new(&folder).join("features.toml");
    let more = "\n[[feature]]\nname = \"visits\"\naggregate = \"count\"\npage = \"*\"\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
    let told = done(&server.run(&["catalog", "diff", &folder]));
    assert_told(&told, &["~ feature purchases  starts empty", "+ feature visits\n", "1 feature from empty"]);
    let dry = json(&server.run(&["catalog", "apply", &folder, "--dry-run", "--json"]));
    assert_eq!((&dry["applied"], &dry["dry_run"], &dry["schema_changed"]), (&json!(false), &json!(true), &json!(true)));
    assert_eq!(value(&server, "purchases"), Some(1.0));
    let applied = done(&server.run(&["catalog", "apply", &folder, "--note", "visits count"]));
    assert_told(&applied, &["+ feature visits\n", "decides now, ruleset "]);
    assert_eq!((value(&server, "purchases"), value(&server, "visits")), (Some(0.0), Some(0.0)));
    assert_told(&done(&server.run(&["catalog", "apply", &folder])), &["was in use already"]);
    let digest = server.digest();
    server.stop();

    let server = Server::start(&home);
    assert_eq!((value(&server, "visits"), server.digest()), (Some(0.0), digest));
    let warned = server.logged();
    assert_told(&warned, &["WARN", "older than the one in use", "tactful catalog apply"]);
    assert_told(&done(&server.run(&["catalog", "diff", shipped.to_str().unwrap()])), &["- feature visits\n"]);
    done(&server.run(&["catalog", "apply", shipped.to_str().unwrap()]));
    assert_eq!(value(&server, "visits"), None);
    server.stop();
}

#[test]
fn a_broken_catalogue_is_told_as_check_tells_it_and_nothing_is_applied() {
    let home = Home::new();
    let server = Server::start(&home);
    let folder = broken(&home, "placements.toml", "channel = \"web\"", "channel = \"wbe\"");
    let checked = tactful(&["catalog", "check", &folder]);
    assert_eq!(checked.status.code(), Some(1));
    for command in ["apply", "diff"] {
        let output = server.run(&["catalog", command, &folder]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), stdout(&checked)), "{command}");
        assert_eq!(json(&server.run(&["catalog", command, &folder, "--json"]))["ok"], false);
    }
    let shipped = shipped_catalog();
    assert_eq!(done(&server.run(&["catalog", "diff", shipped.to_str().unwrap()])), "no differences\n");
    // A server that is not there is no reason to call the catalogue wrong.
    server.stop();
    let output = tactful(&["catalog", "apply", shipped.to_str().unwrap(), "--server", "http://127.0.0.1:1"]);
    assert_told(&failed(1, &output), &["cannot reach http://127.0.0.1:1"]);
}
