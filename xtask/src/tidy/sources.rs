//! Rules about source files: headers, sizes, left-over markers, paths of somebody's machine.

use std::path::Path;

use super::{
    Findings, Texts,
    scanner::{functions, mask},
};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_WARN: usize = 400;
const FILE_LINES_MAX: usize = 800;

/// Words that promise later work. In two halves, so that this file keeps its own rule.
const MARKERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Folders of a machine, not of this repository.
const MACHINE_FOLDERS: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Files in which a marker is a promise; prose may speak of them.
const SOURCES: [&str; 9] = ["rs", "proto", "toml", "sh", "py", "js", "css", "html", "yaml"];

/// Checks all text files.
pub(super) fn check(texts: &Texts, findings: &mut Findings) {
    for (path, text) in texts {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if extension == "rs" {
            findings.failures.extend(header(path, text));
            findings.failures.extend(module_style(path));
            findings.failures.extend(function_sizes(path, text));
            findings.failures.extend(unwritten_code(path, text));
            file_size(path, text, findings);
        }
        if SOURCES.contains(&extension) {
            findings.failures.extend(markers(path, text));
        }
        if extension != "lock" {
            findings.failures.extend(machine_paths(path, text));
        }
    }
}

/// Every file says what it is.
fn header(path: &Path, text: &str) -> Option<String> {
    (!text.starts_with("//!")).then(|| format!("{}:1: the file does not start with `//!`", path.display()))
}

/// `foo.rs` beside `foo/`, so that every tab of an editor has a name of its own.
fn module_style(path: &Path) -> Option<String> {
    let named_mod = path.file_name().is_some_and(|name| name == "mod.rs");
    named_mod.then(|| format!("{}: name the file after its module", path.display()))
}

fn function_sizes(path: &Path, text: &str) -> Vec<String> {
    let long = functions(text).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    long.map(|f| {
        format!("{}:{}: fn {} has {} lines, more than {FUNCTION_LINES_MAX}", path.display(), f.line, f.name, f.lines)
    })
    .collect()
}

fn file_size(path: &Path, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    let said = |bound: usize| format!("{}: {lines} lines, more than {bound}", path.display());
    if lines > FILE_LINES_MAX {
        findings.failures.push(said(FILE_LINES_MAX));
    } else if lines > FILE_LINES_WARN {
        findings.warnings.push(said(FILE_LINES_WARN));
    }
}

fn markers(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        found.extend(
            MARKERS
                .iter()
                .filter(|marker| has_word(line, marker))
                .map(|marker| format!("{}:{}: {marker} left over: do it or open an issue", path.display(), number + 1)),
        );
    }
    found
}

/// Macros that stand for code that is not there.
fn unwritten_code(path: &Path, text: &str) -> Vec<String> {
    let calls = [concat!("to", "do!"), concat!("unimple", "mented!")];
    let masked = mask(text);
    let lines = masked.lines().enumerate().filter(|(_, line)| calls.iter().any(|call| line.contains(call)));
    lines.map(|(number, _)| format!("{}:{}: code that is not written yet", path.display(), number + 1)).collect()
}

fn machine_paths(path: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| MACHINE_FOLDERS.iter().any(|f| has_path(line, f)));
    lines.map(|(number, _)| format!("{}:{}: a path of somebody's machine", path.display(), number + 1)).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let after = line[at + word.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        before && after
    })
}

/// Whether the folder stands at the root of a path and something follows it: not in a web address,
/// not within a longer path.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let root = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"._-~*}".contains(c));
        let goes_on = line[at + folder.len()..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '.');
        root && goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(&Texts::from([(path.into(), text.to_owned())]), &mut findings);
        findings.failures
    }

    #[test]
    fn files_say_what_they_are() {
        assert!(failures("src/a.rs", "//! A.\nfn a() {}\n").is_empty());
        assert_eq!(failures("src/a.rs", "// A.\n").len(), 1);
        assert_eq!(failures("build.rs", "fn main() {}").len(), 1);
        assert!(failures("src/a.proto", "syntax").is_empty());
        assert_eq!(failures("src/a/mod.rs", "//! A.\n").len(), 1);
    }

    #[test]
    fn long_functions_fail() {
        let body = |lines: usize| format!("//! A.\nfn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2));
        assert!(failures("a.rs", &body(70)).is_empty());
        let found = failures("a.rs", &body(71));
        assert_eq!(found, ["a.rs:2: fn a has 71 lines, more than 70"]);
    }

    #[test]
    fn long_files_warn_and_then_fail() {
        let text = |lines: usize| format!("//! A.\n{}", "\n".repeat(lines - 1));
        let mut findings = Findings::default();
        check(&Texts::from([("a.rs".into(), text(401))]), &mut findings);
        assert_eq!((findings.failures.len(), findings.warnings.len()), (0, 1));
        assert!(failures("a.rs", &text(800)).is_empty());
        assert_eq!(failures("a.rs", &text(801)).len(), 1);
    }

    #[test]
    fn nothing_is_left_for_later() {
        let [later, broken] = MARKERS;
        assert_eq!(failures("a.rs", &format!("//! A.\n// {later}: more\n// {broken}\n")).len(), 2);
        assert_eq!(failures("a.toml", &format!("# {later}\n")).len(), 1);
        assert!(failures("a.md", &format!("No {later} without an issue.\n")).is_empty());
        assert!(failures("a.rs", &format!("//! A.\n// {later}S of a list\n")).is_empty());
        let call = concat!("//! A.\nfn a() { to", "do!() }\n");
        assert_eq!(failures("a.rs", call), ["a.rs:2: code that is not written yet"]);
        assert!(failures("a.rs", concat!("//! A.\n// never to", "do!()\n")).is_empty());
    }

    #[test]
    fn no_paths_of_a_machine() {
        let [homes, roots, works] = MACHINE_FOLDERS;
        for line in [format!("cd {homes}me/x"), format!("\"{roots}.cargo\""), format!("see {works}main")] {
            assert_eq!(failures("notes.md", &line).len(), 1, "{line}");
        }
        for line in [
            format!("https://example.org{homes}page"),
            format!("..{works}main"),
            format!("the folder {homes}"),
            format!("crates{works}src"),
        ] {
            assert!(failures("notes.md", &line).is_empty(), "{line}");
        }
        assert!(failures("Cargo.lock", &format!("{homes}me")).is_empty());
    }
}
