//! Settings as commented TOML: every setting on a line of its own with where it comes from.

use std::{collections::BTreeMap, fmt::Write};

use toml::{Table, Value};

use super::Source;

/// The whole table; what no layer has set is marked as a default.
pub(super) fn commented(table: &Table, sources: &BTreeMap<String, Source>) -> String {
    let mut out = String::new();
    section(&mut out, "", table, sources);
    out
}

/// Settings of a section first, its inner sections after: TOML reads it in this order only.
fn section(out: &mut String, path: &str, table: &Table, sources: &BTreeMap<String, Source>) {
    let (inner, own): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    if !path.is_empty() && (!own.is_empty() || inner.is_empty()) {
        let gap = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{gap}[{path}]");
    }
    for (key, value) in own {
        let source = sources.get(&dotted(path, key)).map_or_else(|| "default".to_owned(), ToString::to_string);
        let _ = writeln!(out, "{} = {value}  # {source}", quoted(key));
    }
    for (key, value) in inner {
        if let Value::Table(inner) = value {
            section(out, &dotted(path, &quoted(key)), inner, sources);
        }
    }
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

/// A key as TOML wants it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { key.into() } else { Value::String(key.into()).to_string() }
}
