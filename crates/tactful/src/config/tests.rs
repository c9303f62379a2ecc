//! Layers, blame and printing, on a struct like the server's.

use std::{io::Write, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Options {
    catalog: String,
    model: Option<String>,
    grpc: Grpc,
    limits: Limits,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Grpc {
    listen: SocketAddr,
    drain_ms_max: u64,
    names: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Limits {
    streams_max: u32,
    share: f64,
}

impl Default for Options {
    fn default() -> Self {
        let listen = "127.0.0.1:7411".parse().unwrap();
        Self {
            catalog: "catalog".into(),
            model: None,
            grpc: Grpc { listen, drain_ms_max: 5_000, names: vec!["one".into()] },
            limits: Limits { streams_max: 64, share: 0.5 },
        }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn load_all(text: &str, variables: &[(&str, &str)], flags: Table) -> Result<Loaded<Options>> {
    let file = file(text);
    load(Some(file.path()), env(variables).into_iter(), flags)
}

fn problem(text: &str, variables: &[(&str, &str)], flags: Table) -> String {
    format!("{:#}", load_all(text, variables, flags).unwrap_err())
}

#[test]
fn nothing_given_means_defaults() {
    let loaded = load::<Options>(None, env(&[("PATH", "/bin"), ("TACTFUL_SERVER", "x")]).into_iter(), Table::new());
    assert_eq!(loaded.unwrap().options, Options::default());
}

#[test]
fn the_process_has_an_environment() {
    assert!(environment().any(|(name, value)| name == "PATH" && !value.is_empty()));
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let text = "catalog = \"f\"\n[grpc]\ndrain_ms_max = 1\n[limits]\nstreams_max = 1\nshare = 0.1\n";
    let variables = [("TACTFUL__GRPC__DRAIN_MS_MAX", "2"), ("TACTFUL__LIMITS__STREAMS_MAX", "2")];
    let flags = flags([("limits.streams_max", Some(Value::Integer(3))), ("catalog", None)]);
    let options = load_all(text, &variables, flags).unwrap().options;
    assert_eq!(options.limits, Limits { streams_max: 3, share: 0.1 });
    assert_eq!(options.grpc.drain_ms_max, 2);
    assert_eq!(options.catalog, "f");
    assert_eq!(options.grpc.listen, Options::default().grpc.listen);
}

#[test]
fn variables_read_as_toml_and_else_as_text() {
    let variables = [
        ("TACTFUL__GRPC__LISTEN", "127.0.0.1:9000"),
        ("TACTFUL__LIMITS__SHARE", "0.25"),
        ("TACTFUL__CATALOG", "12"),
        ("TACTFUL__MODEL", "2026-01-01"),
        ("TACTFUL__GRPC__NAMES", "[\"a\", \"b\"]"),
    ];
    let options = load_all("", &variables, Table::new()).unwrap().options;
    assert_eq!(options.grpc.listen.port(), 9000);
    assert_eq!(options.limits.share, 0.25);
    assert_eq!(options.catalog, "12", "a text field takes digits as text");
    assert_eq!(options.model.as_deref(), Some("2026-01-01"));
    assert_eq!(options.grpc.names, ["a", "b"]);
}

#[test]
fn a_variable_cannot_smuggle_in_a_second_key() {
    let options = load_all("", &[("TACTFUL__CATALOG", "1\nmodel = 2")], Table::new()).unwrap().options;
    assert_eq!((options.catalog.as_str(), options.model), ("1\nmodel = 2", None));
}

#[test]
fn an_unknown_key_of_the_file_is_named_with_line_and_neighbour() {
    let text = problem("catalog = \"a\"\n\n[grpc]\nlisen = \"127.0.0.1:1\"\n", &[], Table::new());
    assert!(text.contains("line 4: unknown key `grpc.lisen`; did you mean `grpc.listen`?"), "{text}");
}

#[test]
fn an_unknown_section_is_named_even_if_empty() {
    let text = problem("[grp]\n", &[], Table::new());
    assert!(text.contains("line 1: unknown key `grp`; did you mean `grpc`?"), "{text}");
    let text = problem("[completely_else]\na = 1\n", &[], Table::new());
    assert!(
        text.contains("line 2: unknown key `completely_else.a`; known here: catalog, model, grpc, limits"),
        "{text}"
    );
}

#[test]
fn an_empty_section_keeps_its_defaults() {
    assert_eq!(load_all("[grpc]\n", &[], Table::new()).unwrap().options, Options::default());
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = problem("catlog = 1\n[limits]\nstreams_max = \"many\"\nshare = 0.5\n", &[], Table::new());
    assert!(text.contains("line 1: unknown key `catlog`; did you mean `catalog`?"), "{text}");
    assert!(text.contains("line 3: `limits.streams_max`: invalid type: string \"many\", expected u32"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_bad_variable_is_named() {
    let text = problem("", &[("TACTFUL__LIMITS__STREAMS_MAX", "-1")], Table::new());
    assert!(text.contains("environment variable TACTFUL__LIMITS__STREAMS_MAX: `limits.streams_max`"), "{text}");
    let text = problem("", &[("TACTFUL__LIMITS__STREAM_MAX", "1")], Table::new());
    assert!(text.contains("did you mean `limits.streams_max`?"), "{text}");
    let text = problem("", &[("TACTFUL__", "1")], Table::new());
    assert!(text.contains("environment variable TACTFUL__: unknown key"), "{text}");
    let text = problem("", &[("TACTFUL__CATALOG__DIR", "1")], Table::new());
    assert!(text.contains("environment variable TACTFUL__CATALOG__DIR: `catalog.dir`"), "{text}");
}

#[test]
fn a_bad_flag_is_named() {
    let text = problem("", &[], flags([("limits.streams", Some(Value::Integer(1)))]));
    assert!(text.contains("option for unknown key `limits.streams`"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_or_absent_is_named() {
    let text = problem("catalog = \n", &[], Table::new());
    assert!(text.contains("is no TOML") && text.contains("line 1"), "{text}");
    let missing = load::<Options>(Some(Path::new("/nowhere/tactful.toml")), std::iter::empty(), Table::new());
    assert!(format!("{:#}", missing.unwrap_err()).contains("/nowhere/tactful.toml"));
}

#[test]
fn what_is_printed_loads_back_and_names_its_sources() {
    let flags = flags([("limits.share", Some(Value::Float(0.75)))]);
    let loaded = load_all("[grpc]\nnames = [\"x\"]\n", &[("TACTFUL__LIMITS__STREAMS_MAX", "7")], flags).unwrap();
    let printed = loaded.print();
    assert!(printed.contains("names = [\"x\"]  # file, line 2"), "{printed}");
    assert!(printed.contains("streams_max = 7  # environment, TACTFUL__LIMITS__STREAMS_MAX"), "{printed}");
    assert!(printed.contains("share = 0.75  # option"), "{printed}");
    assert!(printed.contains("catalog = \"catalog\"  # default"), "{printed}");
    let again = load_all(&printed, &[], Table::new()).unwrap();
    assert_eq!(again.options, loaded.options);
}
