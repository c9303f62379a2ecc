//! Help texts, wrong arguments and errors that need no server.

use std::fs;

use super::{stderr, stdout, tactful};

#[test]
fn help_lists_every_command_and_shows_examples() {
    let output = tactful(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for word in
        ["demo", "serve", "decide", "ingest", "context", "catalog", "model", "export", "Examples:", "Exit codes"]
    {
        assert!(text.contains(word), "{word} not in\n{text}");
    }
}

#[test]
fn each_command_has_help_with_its_defaults() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["demo", "--help"], &["[default: 60]", "[default: 2000]", "[default: 500]", "--seed", "--data-dir"]),
        (&["serve", "--help"], &["--print-config", "TACTFUL__SECTION__KEY", "--grpc-listen", "--http-listen"]),
        (&["decide", "--help"], &["--placement <ID[:COUNT]>", "[default: reasons]", "http://127.0.0.1:7411"]),
        (&["ingest", "--help"], &["[default: skip]", "standard input", "Segment"]),
        (&["catalog", "check", "--help"], &["[default: catalog]"]),
        (&["export", "decisions", "--help"], &["--since", "--until", "JSON lines", "--format <FORMAT>", "--archive"]),
    ];
    for (args, words) in cases {
        let output = tactful(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        for word in words {
            assert!(stdout(&output).contains(word), "{word} not in the help of {args:?}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_and_a_hint() {
    let cases: [(&[&str], &str); 18] = [
        (&[], "Usage:"),
        (&["decied"], "'decide'"),
        (&["contxt"], "'context'"),
        (&["dead", "list"], "--log <URL>"),
        (&["dead", "list", "--log", "localhost"], "write redis://host:port"),
        (&["decide"], "<SUBJECT>"),
        (&["decide", "customer:42"], "--placement"),
        (&["decide", "customer:42", "-p", "web_home:-1"], "is not a count from 1 to 20"),
        (&["decide", "customer:42", "-p", "web_home", "-c", "topic"], "KEY=VALUE"),
        (&["decide", "customer:42", "-p", "web_home", "-c", "wait=NaN"], "not a finite number"),
        (&["decide", "customer:42", "-p", "web_home", "--explain", "all"], "possible values: none, reasons, full"),
        (&["ingest", "no-such-file.jsonl"], "cannot read no-such-file.jsonl"),
        (&["model", "show", "no-such.model"], "cannot read no-such.model"),
        (&["export", "decisions", "--since", "yesterday"], "a time with its zone"),
        (&["export", "decisions", "--format", "parquet"], "add --out decisions.parquet"),
        (&["export", "decisions", "--format", "csv"], "possible values: jsonl, parquet"),
        (&["export", "decisions", "--archive", "archive"], "--data-dir <DIR>"),
        (&["context", "customer:42", "--server", "ftp://somewhere"], "ftp is not spoken here"),
    ];
    for (args, hint) in cases {
        let output = tactful(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{hint} not told for {args:?}:\n{}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"not a model at all").unwrap();
    let output = tactful(&["model", "show", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is no usable model"), "{}", stderr(&output));
}
