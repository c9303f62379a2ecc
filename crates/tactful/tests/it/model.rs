//! `tactful model train | show | push`: from the record to a file, from a file into a running server,
//! and files that are no good.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::external,
    failed, json,
    process::Call,
    server::{Home, Server, Setup},
    stderr, tactful,
};

const RECIPE: &str = "\
name = \"acceptance\"
kind = \"logistic\"
min_rows_per_action = 100
min_positives_per_action = 10
";

/// Decisions of May that somebody else's policy made: customers who read about fibre take the app, the
/// others do not; nobody cares about the question.
fn history() -> String {
    let decision = |number: usize| {
        let fibre = number.is_multiple_of(2);
        let action = if number.is_multiple_of(3) { "ask_recommend" } else { "app_intro" };
        // Two in three and one in nine of those who were asked for the app; one in five of the others.
        let accepted = match (action, fibre) {
            ("app_intro", true) => !number.is_multiple_of(5),
            ("app_intro", false) => number.is_multiple_of(11),
            _ => number.is_multiple_of(5),
        };
        let context = json!({ "topic": if fibre { "fibre" } else { "billing" } });
        let time = format!("2026-05-01T10:{:02}:{:02}Z", number / 60, number % 60);
        external(number, action, &time, &context, accepted.then_some("accepted"))
    };
    (0..1_500).map(decision).collect()
}

/// The version of the model that decides, and the acceptance probability that it gives the app.
fn app_intro(server: &Server, topic: &str) -> (String, f64) {
    let topic = format!("topic={topic}");
    let args = ["decide", "nobody", "-p", "web_home", "--candidate", "app_intro", "-c", &topic, "--test", "--json"];
    let decision = json(&server.run(&[&args[..], &["--explain", "full"]].concat()));
    let candidates = decision["candidates"].as_array().unwrap();
    let app = candidates.iter().find(|candidate| candidate["action_id"] == "app_intro").unwrap();
    let version = decision["model_version"].as_str().unwrap().to_owned();
    (version, app["factors"]["acceptance_probability"].as_f64().unwrap())
}

/// A server with history and a recipe beside it.
fn taught() -> (Home, Server, String) {
    let home = Home::new();
    let server = Server::start(&home);
    server.take(&history());
    let recipe = home.file("recipe.toml", RECIPE);
    (home, server, recipe)
}

#[test]
fn a_model_is_trained_shown_and_pushed_and_lives_through_a_restart() {
    let (home, server, recipe) = taught();
    let out = home.at("may.model");
    let card = home.at("may.md");
    let told = done(&server.run(&["model", "train", &recipe, "--out", &out, "--card", &card]));
    assert_told(&told, &["model acceptance ", "rows read", "AUC", "app_intro", "action"]);
    assert_told(&told, &[&format!("written to {out}; push it with: tactful model push {out}")]);
    assert_told(&fs::read_to_string(&card).unwrap(), &["# Model card: acceptance", "app_intro", "## Limits"]);
    assert_told(&told, &[&format!("card written to {card}"), "plots drawn to "]);
    let report_file = home.at("may.report.json");
    for plot in ["calibration", "roc", "lift", "scores"] {
        let file = home.at(&format!("may.{plot}.svg"));
        assert!(fs::read_to_string(&file).unwrap().contains("</svg>"), "{file}");
        assert_told(&fs::read_to_string(&card).unwrap(), &[&format!("(<may.{plot}.svg>)")]);
    }
    let again = done(&tactful(&["model", "report", &out]));
    assert!(told.starts_with(again.trim_end()), "the same report again:\n{again}\n{told}");
    let plots = home.at("plots");
    let again = json(&tactful(&["model", "report", &report_file, "--json", "--plots", &plots]));
    assert_eq!(again["report"], serde_json::from_str::<Value>(&fs::read_to_string(&report_file).unwrap()).unwrap());
    assert_eq!(fs::read_dir(&plots).unwrap().count(), 4);
    let shown = done(&tactful(&["model", "show", &out]));
    assert_told(&shown, &["acceptance ", "sound", "golden rows reproduced", "context.topic", "app_intro"]);
    let about = json(&tactful(&["model", "show", &out, "--json"]));
    let version = about["version"].as_str().unwrap().to_owned();
    assert_eq!(about["inputs"], json!([{ "name": "context.topic", "kind": "category" }]));

    assert_eq!(app_intro(&server, "fibre"), (String::new(), 0.45), "the catalogue's start value");
    let told = done(&server.run(&["model", "push", &out, "--as", "champion"]));
    assert_told(&told, &["acceptance@1: registered", "golden rows", "decides now"]);
    let learnt = app_intro(&server, "fibre");
    assert_eq!(learnt.0, version);
    let other = app_intro(&server, "billing").1;
    assert!(learnt.1 > 0.6 && other < 0.2, "{} for fibre, {other} for billing", learnt.1);

    server.kill();
    let server = Server::start(&home);
    assert_eq!(app_intro(&server, "fibre"), learnt, "the same model after a restart");
    server.stop();

    // From the directory it leaves behind: the same rows, the same recipe, the same bytes.
    let again = home.at("again.model");
    let data = home.data();
    let from_data = ["model", "train", &recipe, "--out", &again, "--data-dir", data.to_str().unwrap(), "--json"];
    let report = json(&tactful(&[&from_data[..], &["--artifact-only"]].concat()));
    assert!(!Path::new(&home.at("again.md")).exists() && !Path::new(&home.at("again.report.json")).exists());
    let told = failed(2, &tactful(&["model", "report", &again]));
    assert_told(&told, &["no report beside", "again.report.json"]);
    assert_eq!(report["file"].as_str(), Some(again.as_str()));
    assert_eq!(report["report"]["rows_read"], 1_500);
    assert!(fs::read(&again).unwrap() == fs::read(&out).unwrap(), "the same bytes");
    // And from an export of it.
    let export = home.at("decisions.parquet");
    let from_data = ["export", "decisions", "--format", "parquet", "--out", &export, "--data-dir"];
    done(&tactful(&[&from_data[..], &[data.to_str().unwrap()]].concat()));
    done(&tactful(&["model", "train", &recipe, "--out", &again, "--data", &export, "--artifact-only"]));
    assert!(fs::read(&again).unwrap() == fs::read(&out).unwrap(), "the same bytes from the export");
    // A model of one's choice at the start.
    let fresh = Home::new();
    let server = Setup::new(&fresh).arg("--model").arg(&out).start();
    assert_eq!(app_intro(&server, "fibre"), learnt);
}

#[test]
fn without_a_name_the_model_is_named_after_its_recipe() {
    let (home, server, recipe) = taught();
    let output = server.call(&["model", "train", &recipe, "--quiet"]).dir(home.path()).output();
    assert_told(&done(&output), &["written to acceptance.model"]);
    assert_eq!(stderr(&output), "");
    done(&Call::new(&["model", "show", "acceptance.model"]).dir(home.path()).output());
}

#[test]
fn a_promotion_while_decisions_flow_fails_none_of_them() {
    let (home, server, recipe) = taught();
    let out = home.at("may.model");
    done(&server.run(&["model", "train", &recipe, "--out", &out, "--quiet"]));
    let version = json(&tactful(&["model", "show", &out, "--json"]))["version"].as_str().unwrap().to_owned();
    let flowing = Arc::new(AtomicBool::new(true));
    let customers: Vec<_> = (0..2)
        .map(|_| {
            let (flowing, server) = (Arc::clone(&flowing), server.grpc().to_owned());
            thread::spawn(move || {
                let mut versions = Vec::new();
                while flowing.load(Ordering::Relaxed) {
                    let args = ["decide", "c1", "-p", "web_home", "--explain", "none", "--json", "--server", &server];
                    let decision: Value = serde_json::from_str(&done(&tactful(&args))).unwrap();
                    assert_eq!(decision["degraded"], false);
                    versions.push(decision["model_version"].as_str().unwrap().to_owned());
                }
                versions
            })
        })
        .collect();
    thread::sleep(std::time::Duration::from_millis(300));
    done(&server.run(&["model", "push", &out, "--as", "champion"]));
    // From the acknowledgement on every answer names the new one.
    assert_eq!(app_intro(&server, "fibre").0, version);
    thread::sleep(std::time::Duration::from_millis(300));
    flowing.store(false, Ordering::Relaxed);
    for customer in customers {
        let versions = customer.join().expect("no decision failed");
        let (old, new) = versions.split_at(versions.iter().take_while(|found| found.is_empty()).count());
        assert!(!old.is_empty() && !new.is_empty(), "{versions:?}");
        assert!(new.iter().all(|found| *found == version), "never back to the old one: {versions:?}");
    }
}

#[test]
fn damaged_files_are_refused_and_the_old_model_stays() {
    let (home, server, recipe) = taught();
    let out = home.at("may.model");
    done(&server.run(&["model", "train", &recipe, "--out", &out, "--quiet"]));
    done(&server.run(&["model", "push", &out, "--as", "champion"]));
    let good = app_intro(&server, "fibre");
    let bytes = fs::read(&out).unwrap();
    let mut damaged: Vec<(String, Vec<u8>)> = [0, 1, bytes.len() / 2, bytes.len() - 1]
        .map(|length| (format!("cut to {length} bytes"), bytes[..length].to_vec()))
        .into();
    for bit in (0..bytes.len() * 8).step_by(bytes.len() * 8 / 12) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        damaged.push((format!("bit {bit} flipped"), flipped));
    }
    damaged.push(("no model at all".into(), b"hello, I am no model".to_vec()));
    for (what, bytes) in damaged {
        let file = home.file("damaged.model", bytes);
        for command in ["push", "show"] {
            let told = failed(1, &server.run(&["model", command, &file]));
            assert!(told.starts_with(&format!("error: {file} ")), "{what}: {told}");
            assert_eq!(told.lines().count(), 1, "{what}: {told}");
        }
    }
    assert_eq!(app_intro(&server, "fibre"), good, "the good one still decides");
    let data = home.data();
    server.stop();
    let server = Server::start(&home);
    assert_eq!(app_intro(&server, "fibre"), good, "and is what a restart finds");
    drop((server, data));
    // At the start a bad file ends the server rather than being skipped.
    let fresh = Home::new();
    let bad = fresh.file("bad.model", b"hello, I am no model");
    let catalog = super::shipped_catalog();
    let data = fresh.data();
    let args = ["serve", "--catalog", catalog.to_str().unwrap(), "--data-dir", data.to_str().unwrap(), "--model", &bad];
    let listen = ["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    assert_told(&failed(1, &tactful(&[&args[..], &listen].concat())), &["cannot start with ", &bad]);
}

#[test]
fn training_says_what_is_missing() {
    let home = Home::new();
    let server = Server::start(&home);
    let recipe = home.file("recipe.toml", RECIPE);
    let out = home.at("out.model");
    let told = failed(1, &server.run(&["model", "train", &recipe, "--out", &out]));
    assert_told(&told, &["rows"]);
    assert!(!Path::new(&out).exists());
    let typo = home.file("typo.toml", RECIPE.replace("min_rows_per_action", "min_rows_per_acton"));
    let told = failed(1, &server.run(&["model", "train", &typo, "--out", &out]));
    assert_told(&told, &[&typo, "line 3", "min_rows_per_acton", "min_rows_per_action"]);
    let nowhere = home.at("no-such-folder/out.model");
    assert_told(&failed(1, &server.run(&["model", "train", &recipe, "--out", &nowhere])), &["cannot write into"]);
}

#[test]
fn a_table_trains_without_a_server_and_its_problems_are_named() {
    let home = Home::new();
    let line = |row: usize| {
        let answer = if (row * 7) % 10 < row % 10 { "yes" } else { "no" };
        format!("{row};{};{};{answer}\n", row % 10, if row.is_multiple_of(3) { "" } else { "web" })
    };
    let table =
        |rows: std::ops::Range<usize>| "id;\"score\";via;bought\n".to_owned() + &rows.map(line).collect::<String>();
    let data = home.file("rows.csv", table(0..1_000));
    let columns = "[columns]\ntarget = \"bought\"\naction_id = \"offer\"\nchannel = \"via\"\nleave_out = [\"id\"]\n";
    let recipe = home.file("table.toml", format!("{RECIPE}{columns}"));
    let train = |recipe: &str, data: &str| {
        Call::new(&["model", "train", recipe, "--data", data, "--quiet"]).dir(home.path()).output()
    };
    let told = done(&train(&recipe, &data));
    assert_told(&told, &["rows read         1000", "no times", "score", "web", "card written to acceptance.md"]);
    assert_told(
        &fs::read_to_string(home.at("acceptance.md")).unwrap(),
        &["The rows have no time", "## Channels", "not known"],
    );
    assert_told(
        &done(&tactful(&["model", "show", &home.at("acceptance.model")])),
        &["tested on 200", "no times known"],
    );

    let bad = home.file("bad.csv", table(0..30) + "30;seven;web;no\n");
    let told = failed(1, &train(&recipe, &bad));
    assert_told(&told, &["bad.csv", "row 31, column score: a word, but row 1 has a number"]);
    let typo = home.file("typo.toml", format!("{RECIPE}{}", columns.replace("bought", "bougt")));
    assert_told(&failed(1, &train(&typo, &data)), &["target = \"bougt\"", "did you mean bought?"]);
    let unknown = home.file("unknown.toml", format!("{RECIPE}{columns}separater = \";\"\n"));
    assert_told(&failed(1, &train(&unknown, &data)), &["line 10", "separater"]);
    assert_told(&failed(2, &train(&recipe, "no-such.csv")), &["cannot read no-such.csv"]);
    let without = home.file("without.toml", RECIPE);
    assert_told(&failed(1, &train(&without, &data)), &["rows.csv", "[columns]", "target"]);
    let told = failed(2, &tactful(&["model", "train", &recipe, "--out", &home.at("x.model")]));
    assert_told(&told, &["[columns]", "--data FILE"]);
}

/// Promotes, dies at once, and starts again.
fn lives_through_a_kill(start: impl Fn() -> Server, first: &str, second: &str) {
    let server = start();
    let promoted = |server: &Server, file: &str| {
        let told = json(&server.run(&["model", "push", file, "--as", "champion", "--json"]));
        told["version"]["id"].as_str().unwrap().to_owned()
    };
    let one = promoted(&server, first);
    assert_eq!(app_intro(&server, "fibre").0, one);
    let two = promoted(&server, second);
    server.kill();
    let server = start();
    assert_eq!(app_intro(&server, "fibre").0, two, "the promoted one serves after a kill right behind the promotion");
    let told = json(&server.run(&["model", "rollback", "--json"]));
    assert_eq!(told["version"]["id"], one.as_str());
    server.kill();
    let server = start();
    assert_eq!(app_intro(&server, "fibre").0, one, "and so does the one that was gone back to");
    let list = json(&server.run(&["model", "list", "--json"]));
    assert_eq!(list["moves"].as_array().unwrap().len(), 3, "{list}");
    server.stop();
}

#[test]
fn a_promotion_lives_through_a_kill_on_both_logs() {
    let (home, server, recipe) = taught();
    let (first, second) = (home.at("first.model"), home.at("second.model"));
    let other = home.file("other.toml", format!("{RECIPE}seed = 2\nl2 = 9.0\n"));
    done(&server.run(&["model", "train", &recipe, "--out", &first, "--quiet"]));
    done(&server.run(&["model", "train", &other, "--out", &second, "--quiet"]));
    server.stop();
    let embedded = Home::new();
    lives_through_a_kill(|| Server::start(&embedded), &first, &second);
    let (redis, node) = (super::redis::Redis::start(), Home::new());
    lives_through_a_kill(|| redis.node(&node), &first, &second);
}
