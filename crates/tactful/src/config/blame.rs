//! Which line and key a configuration problem belongs to, and what was probably meant. It reads
//! positions and messages; it never decides whether a setting is right.

use std::collections::BTreeMap;

use tactful_core::layout::nearest;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::Source;

/// Every setting of a table with its path: whatever is no table, and tables without an entry.
pub(super) fn leaves(table: &Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    collect(table, &mut Vec::new(), &mut found);
    found
}

fn collect(table: &Table, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(inner, path, found),
            _ => found.push((path.clone(), value.clone())),
        }
        path.pop();
    }
}

/// The line, from 1, on which each key of a TOML text stands.
pub(crate) fn lines(text: &str) -> BTreeMap<Vec<String>, usize> {
    let mut found = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        collect_lines(table.get_ref(), text, &mut Vec::new(), &mut found);
    }
    found
}

fn collect_lines(table: &DeTable<'_>, text: &str, path: &mut Vec<String>, found: &mut BTreeMap<Vec<String>, usize>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let line = 1 + text.as_bytes()[..key.span().start].iter().filter(|byte| **byte == b'\n').count();
        found.insert(path.clone(), line);
        if let DeValue::Table(inner) = value.get_ref() {
            collect_lines(inner, text, path, found);
        }
        path.pop();
    }
}

/// One problem in words: where it is, what is wrong, what was probably meant.
pub(super) fn describe(key: &str, source: &Source, problem: &toml::de::Error) -> String {
    let place = match source {
        Source::File(line) => format!("line {line}: "),
        Source::Environment(name) => format!("environment variable {name}: "),
        Source::Flag => "option for ".into(),
    };
    let message = problem.message();
    match unknown_key(message, Some(key)) {
        Some(unknown) => format!("{place}{unknown}"),
        None => format!("{place}`{key}`: {message}"),
    }
}

/// What a message about a key that nobody knows says, with the key that was probably meant; none for other messages.
/// `path` is the whole path of the key, where it is known.
pub(super) fn unknown_key(message: &str, path: Option<&str>) -> Option<String> {
    if !message.starts_with("unknown field") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let known: Vec<&str> = names.collect();
    let path = path.unwrap_or(unknown);
    let hint = match nearest(unknown, known.iter().copied()) {
        Some(meant) => format!("did you mean `{}`?", path.replacen(unknown, meant, 1)),
        None if known.is_empty() => "there are no keys here".into(),
        None => format!("known here: {}", known.join(", ")),
    };
    Some(format!("unknown key `{path}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_on_their_lines() {
        let text = "top = 1\n\n[grpc]\nlisten = \"x\"\nlimits.streams = 3\n";
        let lines = lines(text);
        let line = |path: &[&str]| lines.get(&path.iter().map(ToString::to_string).collect::<Vec<_>>()).copied();
        assert_eq!(line(&["top"]), Some(1));
        assert_eq!(line(&["grpc"]), Some(3));
        assert_eq!(line(&["grpc", "listen"]), Some(4));
        assert_eq!(line(&["grpc", "limits", "streams"]), Some(5));
    }

    #[test]
    fn an_empty_section_is_a_leaf() {
        let table: Table = "[empty]\n[full]\na = 1".parse().unwrap();
        let paths: Vec<String> = leaves(&table).into_iter().map(|(path, _)| path.join(".")).collect();
        assert_eq!(paths, ["empty", "full.a"]);
    }
}
