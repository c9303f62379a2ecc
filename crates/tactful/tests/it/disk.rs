//! A full disk below a running server, for real, on a small file system in memory: events are refused
//! and say why, decisions go on, and so do events once there is space. Needs the right to mount.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    assert_told, done,
    events::line,
    failed, json,
    server::{Home, Server, Setup, eventually},
    shipped_catalog,
};

const DISK: &str = "24m";

/// The server's data on a small disk, mounted as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, with the reason printed, where mounting is not permitted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("a writable directory");
        let options = ["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"];
        let reason = match Command::new("mount").args(options).arg(at).output() {
            Ok(output) if output.status.success() => return Some(Self(at.into())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: cannot mount a small disk: {reason}");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        let page = [7; 4_096];
        while ballast.write(&page).is_ok_and(|written| written > 0) {}
    }

    /// Gives the space back.
    fn free(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Purchases of so many customers, each large enough to be felt by a small disk.
fn large(numbers: std::ops::Range<usize>) -> String {
    let properties = |number: usize| -> serde_json::Map<String, serde_json::Value> {
        (0..20).map(|field| (format!("note_{field}"), json!(noise(number * 20 + field)))).collect()
    };
    numbers
        .map(|number| {
            line(&json!({
                "type": "track", "userId": format!("c{number}"), "messageId": format!("m{number}"),
                "event": "Product Activated", "properties": properties(number),
            }))
        })
        .collect()
}

/// A text of 200 letters that does not compress.
fn noise(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    (0..200).map(|_| letter()).collect()
}

#[test]
fn a_full_disk_refuses_events_while_decisions_go_on() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.data()) else { return };
    let server = Server::start(&home);
    server.take(&large(0..200));
    disk.fill();
    // Some space may be left within what the log holds already: send until it is used up.
    let mut acknowledged = 200;
    let told = loop {
        let output = server.call(&["ingest", "-"]).input(large(acknowledged..acknowledged + 50)).output();
        if output.status.code() == Some(0) {
            acknowledged += 50;
            assert!(acknowledged < 20_000, "an endless disk");
            continue;
        }
        break failed(1, &output);
    };
    assert_told(&told, &["disk is full under", "free some space and try again", "items are durable"]);
    for number in 0..5 {
        let decision = json(&server.run(&["decide", &format!("c{number}"), "-p", "web_home", "--json"]));
        assert_eq!(decision["cold_start"], false, "it decides from memory");
    }
    eventually("decisions say that they are not recorded at the moment", || {
        let decision = json(&server.run(&["decide", "c1", "-p", "web_home", "--json"]));
        decision["degraded"] == true && decision["degraded_reasons"].to_string().contains("LOG_UNAVAILABLE")
    });
    assert_eq!(server.get("/livez"), "ok\n");
    let refused = server.run(&["model", "push", shipped_catalog().join("catalog.toml").to_str().expect("text")]);
    assert_told(&failed(1, &refused), &["was not taken, what decides stays"]);

    disk.free();
    eventually("it goes on by itself", || {
        server.call(&["ingest", "-"]).input(large(acknowledged..acknowledged + 50)).output().status.success()
    });
    acknowledged += 50;
    eventually("decisions are recorded again", || {
        json(&server.run(&["decide", "c1", "-p", "web_home", "--json"]))["degraded"] == false
    });
    let there = |server: &Server| server.digest()["customers"].as_u64();
    eventually("all that was acknowledged is there", || there(&server) >= Some(acknowledged as u64));
    let content = server.digest()["content"].clone();
    done(&server.run(&["export", "decisions", "--out", &home.at("rows.jsonl")]));
    server.kill();
    let server = Server::start(&home);
    assert_eq!(server.digest()["content"], content, "nothing was lost");
}

#[test]
fn a_full_disk_of_the_archive_is_told_once_and_archiving_goes_on_when_there_is_space() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.path().join("archive")) else { return };
    disk.fill();
    let server = Setup::new(&home)
        .env("TACTFUL__ARCHIVE", disk.0.to_str().expect("text"))
        .env("TACTFUL__ARCHIVE_EVERY_S", "1")
        .start();
    let told = |server: &Server| server.logged().matches("cannot archive, trying again").count();
    json(&server.run(&["decide", "anna", "-p", "web_home:1", "--json"]));
    eventually("it is told", || told(&server) > 0);
    let failures = |server: &Server| server.metric("tactful_archive_errors_total").unwrap_or_default();
    eventually("it is tried again", || failures(&server) >= 3.0);
    assert_eq!(told(&server), 1, "once:\n{}", server.logged());
    assert!(server.get("/readyz").starts_with("ready"), "decisions and events do not need the archive");
    json(&server.run(&["decide", "bert", "-p", "web_home:1", "--json"]));
    disk.free();
    eventually("it goes on by itself", || server.metric("tactful_archive_rows_total") >= Some(2.0));
    eventually("it says so", || server.logged().matches("archiving again").count() == 1);
    // The same for a segment of an archive that is there.
    disk.fill();
    json(&server.run(&["decide", "carl", "-p", "web_home:1", "--json"]));
    eventually("it is told", || told(&server) == 2);
    disk.free();
    eventually("it goes on by itself", || server.metric("tactful_archive_rows_total") >= Some(3.0));
    eventually("it says so", || server.logged().matches("archiving again").count() == 2);
    let exported = done(&server.run(&["export", "decisions"]));
    assert_eq!(exported.lines().count(), 3, "each decision once");
}
