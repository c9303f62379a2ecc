//! Collects what is wrong with a catalogue's features, purposes and matters, each with its path.
//!
//! It refuses to stop at the first problem: an author mends them all at once.

use std::collections::BTreeSet;

use crate::catalog::{PathStep, Problem};
use crate::layout::nearest;
use crate::limits::ID_BYTES_MAX;

/// The place under check: an element of a list of the catalogue.
pub(crate) struct At<'a> {
    pub(crate) problems: &'a mut Vec<Problem>,
    pub(crate) list: &'static str,
    pub(crate) index: usize,
}

impl At<'_> {
    /// Notes a problem of one key.
    pub(crate) fn refuse(&mut self, key: &'static str, message: String, hint: &str) {
        self.refuse_at(&[PathStep::Key(key)], message, hint);
    }

    /// Notes a problem of one element of a key's list.
    pub(crate) fn refuse_element(&mut self, key: &'static str, element: usize, message: String, hint: &str) {
        self.refuse_at(&[PathStep::Key(key), PathStep::Index(element)], message, hint);
    }

    fn refuse_at(&mut self, below: &[PathStep], message: String, hint: &str) {
        let mut path = vec![PathStep::Key(self.list), PathStep::Index(self.index)];
        path.extend_from_slice(below);
        self.problems.push(Problem { path, offset: None, message, hint: hint.into() });
    }

    /// Notes a name that rules could not read as a part of `customer.<name>`.
    pub(crate) fn identifier(&mut self, key: &'static str, name: &str) {
        let mut letters = name.chars();
        let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let hint = "letters, digits and underscores, not starting with a digit";
            self.refuse(key, format!("\"{name}\" is not a valid name"), hint);
        } else if ["true", "false", "null", "in"].contains(&name) {
            self.refuse(key, format!("\"{name}\" is a word of the rule language"), "take another name");
        }
        self.length(key, name);
    }

    /// Notes a text that is blank or too long.
    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        if text.trim().is_empty() {
            self.refuse(key, format!("{key} is empty"), "");
        }
        self.length(key, text);
    }

    /// Notes a name that came before.
    pub(crate) fn unique<'n>(&mut self, key: &'static str, name: &'n str, taken: &mut BTreeSet<&'n str>) {
        if !taken.insert(name) {
            self.refuse(key, format!("\"{name}\" is declared twice"), "rename or remove one");
        }
    }

    /// Index of a purpose; notes one that is not declared.
    pub(crate) fn known_purpose(&mut self, name: &str, purposes: &[String]) -> Option<usize> {
        let found = purposes.iter().position(|purpose| purpose == name);
        if found.is_none() {
            let hint = nearest(name, purposes.iter().map(String::as_str));
            let hint =
                hint.map_or_else(|| "declare it as a purpose".to_owned(), |near| format!("did you mean \"{near}\"?"));
            self.refuse("purpose", format!("unknown purpose \"{name}\""), &hint);
        }
        found
    }

    fn length(&mut self, key: &'static str, text: &str) {
        if text.len() > ID_BYTES_MAX {
            self.refuse(key, format!("{key} has {} bytes, at most {ID_BYTES_MAX} are allowed", text.len()), "");
        }
    }
}

/// Notes a problem of a whole list.
pub(crate) fn refuse_list(problems: &mut Vec<Problem>, list: &'static str, message: String) {
    problems.push(Problem { path: vec![PathStep::Key(list)], offset: None, message, hint: String::new() });
}
