//! `tactful demo`, as somebody who has just built it runs it.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    assert_told, done, failed, json,
    process::{self, Call},
    server::{Home, Server},
    stderr, stdout,
};

#[test]
fn as_json_it_is_one_object_with_both_groups_counted() {
    let home = Home::new();
    let args = ["demo", "--seconds", "4", "--customers", "200", "--rate", "50", "--json"];
    let started = Instant::now();
    let output = Call::new(&args).dir(home.path()).output();
    let took = started.elapsed();
    done(&output);
    let result = json(&output);
    assert_eq!((&result["errors"], stderr(&output).as_str()), (&0.into(), ""));
    assert!(result["decisions"].as_u64() > Some(0) && result["events"].as_u64() > Some(0), "{result}");
    let count = |phase: &str, group: &str| result[phase][group]["decisions"].as_u64().expect("a count");
    let both = |group: &str| count("before", group) + count("after", group);
    assert!(both("engine") > 0 && both("holdout") > 0, "{result}");
    assert_eq!(both("engine") + both("holdout"), result["decisions"].as_u64().expect("a count"));
    assert!(result["latency_us"]["p99"].as_u64() >= result["latency_us"]["p50"].as_u64());
    assert!(took < Duration::from_secs(60), "4 seconds took {took:?}");
}

/// Lines of a demo with the time after its start at which each came.
fn run(home: &Home) -> Vec<(Duration, String)> {
    let mut command = process::command(&["demo", "--seconds", "4", "--customers", "200", "--rate", "50"]);
    command.current_dir(home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().expect("the binary runs");
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let reading = thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            sender.send((started.elapsed(), line)).expect("the test waits");
        }
    });
    let status = process::wait(&mut child, Duration::from_mins(2));
    process::end(&mut child);
    reading.join().expect("all was read");
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    lines.into_iter().collect()
}

#[test]
fn it_ends_once_nobody_reads_it() {
    let home = Home::new();
    // Far longer than any call may take.
    let mut command = process::command(&["demo", "--seconds", "600", "--customers", "50", "--rate", "20"]);
    command.current_dir(home.path());
    let (line, code, told) = process::first_line(command);
    assert_eq!((code, told.as_str()), (Some(0), ""), "after {line}");
}

#[test]
fn without_a_terminal_it_explains_a_decision_soon_and_closes_with_commands_that_work() {
    let home = Home::new();
    let lines = run(&home);
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let (came, _) = lines.iter().find(|(_, line)| line.contains(" shows ")).unwrap_or_else(|| panic!("{text}"));
    let (closing, _) = lines.iter().find(|(_, line)| line.starts_with("try next")).unwrap_or_else(|| panic!("{text}"));
    assert!(
        *came + Duration::from_secs(1) < *closing,
        "the first decision was explained after {came:?} of {closing:?}"
    );
    assert_told(&text, &["Northlight", " decisions/s", "p50", "p99", "holdout", "try next"]);
    assert!(!text.contains('\u{1b}'), "no colours without a terminal:\n{text}");
    assert!(lines.len() < 80, "{} lines are too many to read in 4 seconds:\n{text}", lines.len());
    let next: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("try next")).skip(1).collect();
    assert_eq!(next.len(), 3, "{text}");
    let [serve, decide, third] = [next[0].trim(), next[1].trim(), next[2].trim()];

    let server = Background::start(&home, serve);
    let decided = shell(&home, decide, server.grpc());
    assert_told(&done(&decided), &["customer:", "web_home", "what lost, and why"]);
    assert!(!stdout(&decided).contains("cold start"), "it is one of the demo's customers");
    assert!(!done(&shell(&home, third, server.grpc())).is_empty());
    // The next demo would clear what this server runs on.
    let args = ["demo", "--seconds", "1"];
    let told = failed(1, &Call::new(&args).dir(home.path()).output());
    assert_told(&told, &["in use by another process"]);
    assert_told(&done(&shell(&home, decide, server.grpc())), &["customer:"]);
}

/// A printed command line, run by a shell in the demo's directory.
fn shell(home: &Home, line: &str, server: &str) -> std::process::Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(home.path()).env("TACTFUL_SERVER", server).output().expect("a shell")
}

/// The printed server, in the background as printed, on ports of the system's choice.
struct Background {
    child: std::process::Child,
    grpc: String,
}

impl Background {
    fn start(home: &Home, line: &str) -> Self {
        let line = line.strip_suffix('&').unwrap_or_else(|| panic!("{line} would not return")).trim();
        let out = fs::File::create(home.path().join("serve.out")).expect("a file");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]).current_dir(home.path()).stdin(Stdio::null()).stdout(out);
        shell.env("TACTFUL__SERVER__GRPC_LISTEN", "127.0.0.1:0").env("TACTFUL__SERVER__HTTP_LISTEN", "127.0.0.1:0");
        let mut server = Self { child: shell.stderr(Stdio::null()).spawn().expect("a shell"), grpc: String::new() };
        super::server::eventually("the printed server is ready", || {
            let out = fs::read_to_string(home.path().join("serve.out")).unwrap_or_default();
            let grpc = out.split_whitespace().find_map(|word| word.strip_prefix("grpc=").map(str::to_owned));
            grpc.is_some_and(|grpc| {
                server.grpc = grpc;
                true
            })
        });
        server
    }

    fn grpc(&self) -> &str {
        &self.grpc
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

#[test]
fn only_its_own_directory_is_cleared() {
    let home = Home::new();
    let server = Server::start(&home);
    let data = home.data();
    server.stop();
    let told = failed(2, &Call::new(&["demo", "--seconds", "1", "--data-dir", data.to_str().expect("text")]).output());
    assert_told(&told, &["is not empty and not a demo's", "--data-dir"]);
    let again = Server::start(&home);
    assert_eq!(again.digest()["customers"], Value::from(0));
}
