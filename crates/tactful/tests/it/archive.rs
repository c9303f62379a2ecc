//! The archive as an operator and a data scientist meet it: a server that archives, the same rows from it and
//! from what it leaves behind, and the record of decisions as a Parquet file.

use std::{fs::File, path::Path};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Row, RowAccessor};
use serde_json::{Value, json};

use super::{
    assert_told, done,
    events::external,
    failed, json,
    process::Call,
    server::{Home, Server, Setup, eventually},
    stderr, tactful,
};

/// A server that archives every second.
fn archiving(home: &Home) -> Setup {
    Setup::new(home).env("TACTFUL__ARCHIVE_EVERY_S", "1")
}

fn decide(server: &Server, subject: &str) {
    json(&server.run(&["decide", subject, "-p", "web_home:2", "-c", "topic=fibre", "--json"]));
}

/// The rows of a Parquet file.
fn rows(path: &str) -> Vec<Row> {
    let file = SerializedFileReader::new(File::open(path).expect("a file")).expect("Parquet");
    file.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect()
}

fn place(row: &Row, name: &str) -> usize {
    row.get_column_iter().position(|(column, _)| column == name).unwrap_or_else(|| panic!("no column {name}"))
}

#[test]
fn a_server_archives_and_what_it_leaves_gives_the_same_rows() {
    let home = Home::new();
    let server = archiving(&home).start();
    for subject in ["anna", "bert", "carl"] {
        decide(&server, subject);
    }
    let made = external(7, "app_intro", "2026-05-01T10:00:00Z", &json!({ "topic": "billing" }), Some("rejected"));
    server.take(&made);
    let exported = done(&server.run(&["export", "decisions"]));
    eventually("it is the archiver and behind by nothing", || {
        server.metric("tactful_archive_archiver") == Some(1.0)
            && server.metric("tactful_archive_lag_entries") == Some(0.0)
            && server.metric("tactful_archive_rows_total") >= Some(5.0)
    });
    assert!(server.metric("tactful_archive_segments") >= Some(1.0), "{}", server.get("/metrics"));
    assert!(server.metric("tactful_archive_bytes") > Some(0.0));
    assert_eq!(server.metric("tactful_archive_lag_seconds"), Some(0.0));
    assert_eq!(done(&server.run(&["export", "decisions"])), exported);
    decide(&server, "dora");
    let exported = done(&server.run(&["export", "decisions"]));
    server.stop();
    let data = home.data();
    let data = data.to_str().expect("text");
    let stopped = ["export", "decisions", "--data-dir", data];
    assert_eq!(done(&tactful(&stopped)), exported);
    // The archive is really read: a damaged segment is told by name.
    let segment = first_segment(&home.data().join("archive"));
    let good = std::fs::read(&segment).expect("a segment");
    std::fs::write(&segment, &good[..good.len() - 1]).expect("written");
    let name = segment.file_name().expect("a name").to_str().expect("text");
    assert_told(&failed(1, &tactful(&stopped)), &["is damaged", name, "restore it from a copy"]);
    std::fs::write(&segment, good).expect("written");
    // Elsewhere it is found when it is named.
    let moved = home.at("moved");
    std::fs::rename(home.data().join("archive"), &moved).expect("moved");
    assert_eq!(done(&tactful(&[&stopped[..], &["--archive", &moved]].concat())), exported);
}

fn first_segment(folder: &Path) -> std::path::PathBuf {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "parquet"));
    entries.sort();
    let first = entries.first().expect("something is archived");
    if first.is_dir() { first_segment(first) } else { first.clone() }
}

#[test]
fn the_record_as_parquet_says_what_the_lines_say() {
    let home = Home::new();
    let server = Server::start(&home);
    decide(&server, "anna");
    let made = external(7, "app_intro", "2026-05-01T10:00:00Z", &json!({ "topic": "billing" }), Some("rejected"));
    server.take(&made);
    let lines: Vec<Value> = done(&server.run(&["export", "decisions"]))
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let out = home.at("rows.parquet");
    let output = server.run(&["export", "decisions", "--format", "parquet", "--output", &out]);
    assert_eq!(done(&output), "");
    assert_told(&stderr(&output), &[&format!("3 rows written to {out}")]);
    let rows = rows(&out);
    assert_eq!((rows.len(), lines.len()), (3, 3));
    for (row, line) in rows.iter().zip(&lines) {
        for name in ["decision_id", "subject_id", "placement", "channel", "action_id", "group", "ruleset_version"] {
            assert_eq!(row.get_string(place(row, name)).expect("a text"), line[name].as_str().expect("a text"));
        }
        let probability = row.get_double(place(row, "selection_probability")).expect("a number");
        assert_eq!(Some(probability), line["selection_probability"].as_f64());
        let time: jiff::Timestamp = line["decision_time"].as_str().expect("a time").parse().expect("RFC 3339");
        let micros = row.get_timestamp_micros(place(row, "decision_time")).expect("a time");
        assert_eq!(micros, time.as_microsecond());
        assert_eq!(Some(row.get_bool(place(row, "external")).expect("a flag")), line["external"].as_bool());
        let outcomes = row.get_list(place(row, "outcomes")).expect("a list");
        assert_eq!(outcomes.len(), line["outcomes"].as_array().expect("a list").len());
        for (name, value) in line["features"].as_object().expect("features") {
            let place = place(row, &format!("feature.{name}"));
            match value {
                Value::String(text) => assert_eq!(row.get_string(place).expect("a text"), text),
                Value::Bool(flag) => assert_eq!(&row.get_bool(place).expect("a flag"), flag),
                number => assert_eq!(Some(row.get_double(place).expect("a number")), number.as_f64(), "{name}"),
            }
        }
    }
    let rejected = rows.iter().filter(|row| row.get_list(place(row, "outcomes")).expect("a list").len() == 1).count();
    assert_eq!(rejected, 1);
}

#[test]
fn a_place_that_cannot_be_written_to_is_told_before_any_work() {
    let home = Home::new();
    // No server listens there: it is not asked.
    let call = |format: &str, out: &str| {
        Call::new(&["export", "decisions", "--format", format, "--out", out, "--server", "http://127.0.0.1:1"]).output()
    };
    for format in ["jsonl", "parquet"] {
        assert_told(&failed(1, &call(format, &home.at("absent/rows"))), &["cannot write into", "absent"]);
        let folder = home.path().to_str().expect("text");
        assert_told(&failed(2, &call(format, folder)), &["is no ordinary file"]);
    }
}

#[test]
fn how_often_is_checked_before_anything_is_made() {
    let home = Home::new();
    for seconds in ["0", "86401"] {
        let call = Call::new(&["serve", "--data-dir", &home.at("data")]).env("TACTFUL__ARCHIVE_EVERY_S", seconds);
        assert_told(&failed(2, &call.output()), &["archive_every_s", "give 1 to 86400"]);
    }
    assert!(!home.data().exists());
}
