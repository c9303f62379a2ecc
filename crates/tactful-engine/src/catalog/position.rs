//! From a problem's path to file, line and column: the catalogue's lists run over all files, and
//! each file remembers where its values stand.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tactful_core::catalog::{Catalog, PathStep, Problem};
use tactful_core::layout::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CatalogProblem;

/// One file: its definitions, and where they stand.
pub(super) struct Source<'a> {
    path: PathBuf,
    text: &'a str,
    tree: Spanned<DeTable<'a>>,
    pub(super) catalog: Catalog,
}

impl<'a> Source<'a> {
    /// Parses one file.
    pub(super) fn parse(path: &Path, text: &'a str) -> Result<Self, CatalogProblem> {
        let refuse = |error: &toml::de::Error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let (message, hint) = readable(error.message());
            CatalogProblem { file: path.into(), line, column, message, hint }
        };
        let tree = DeTable::parse(text).map_err(|error| refuse(&error))?;
        let catalog = toml::from_str(text).map_err(|error| refuse(&error))?;
        Ok(Self { path: path.into(), text, tree, catalog })
    }

    /// A problem with a top-level key.
    pub(super) fn problem_at(&self, key: &'static str, message: &str) -> CatalogProblem {
        let start = self.tree.get_ref().get(key).map_or(0, |value| value.span().start);
        self.problem(start, message, "keep one of them")
    }

    fn problem(&self, start: usize, message: &str, hint: &str) -> CatalogProblem {
        let (line, column) = line_and_column(self.text, start);
        CatalogProblem { file: self.path.clone(), line, column, message: message.into(), hint: hint.into() }
    }

    /// Number of elements of a list in this file.
    fn length(&self, list: &str) -> usize {
        match self.tree.get_ref().get(list).map(Spanned::get_ref) {
            Some(DeValue::Array(array)) => array.len(),
            Some(_) => 1,
            None => 0,
        }
    }

    /// Where a path leads within this file; a key that is absent leads to what should hold it.
    fn span(&self, list: &str, index: usize, rest: &[PathStep]) -> Range<usize> {
        let Some(root) = self.tree.get_ref().get(list) else {
            return 0..0;
        };
        let mut value = match root.get_ref() {
            DeValue::Array(array) => array.get(index).unwrap_or(root),
            _ => root,
        };
        for step in rest {
            let next = match step {
                PathStep::Key(key) => value.get_ref().get(*key),
                PathStep::Index(index) => value.get_ref().get(*index),
            };
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        value.span()
    }
}

/// The problem with its place.
pub(super) fn locate(sources: &[Source<'_>], problem: &Problem) -> CatalogProblem {
    let (Some(PathStep::Key(list)), Some(PathStep::Index(index))) = (problem.path.first(), problem.path.get(1)) else {
        return anywhere(sources, problem);
    };
    let mut index = *index;
    for source in sources {
        let length = source.length(list);
        if index < length {
            let span = source.span(list, index, &problem.path[2..]);
            let start = problem.offset.map_or(span.start, |offset| inside(source.text, &span, offset));
            return source.problem(start, &problem.message, &problem.hint);
        }
        index -= length;
    }
    anywhere(sources, problem)
}

/// A problem of the catalogue as a whole: shown with its path at the top of the first file.
fn anywhere(sources: &[Source<'_>], problem: &Problem) -> CatalogProblem {
    let file = sources.first().map_or_else(PathBuf::new, |source| source.path.clone());
    CatalogProblem { file, line: 1, column: 1, message: problem.to_string(), hint: problem.hint.clone() }
}

/// Byte in the file of an offset within a string, past its opening quotes.
fn inside(text: &str, span: &Range<usize>, offset: usize) -> usize {
    let raw = &text[span.clone()];
    let quotes =
        if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
    (span.start + quotes + offset).min(span.end)
}

/// Line and column, both from 1, the column in characters.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

/// The parser's message, and for an unknown key or word the one that was probably meant.
fn readable(message: &str) -> (String, String) {
    let what = match message {
        field if field.starts_with("unknown field `") => "key",
        variant if variant.starts_with("unknown variant `") => "value",
        _ => return (message.replace('\n', " "), String::new()),
    };
    let words: Vec<&str> = message.split('`').collect();
    let known = words.iter().skip(3).step_by(2).copied();
    let hint = match nearest(words[1], known.clone()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    };
    (format!("unknown {what} {:?}", words[1]), hint)
}
