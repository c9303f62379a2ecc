//! The files of a catalogue: bounded, named and ordered, as text and as the blob in which the log keeps them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use tactful_core::ruleset::Ruleset;
use tactful_proto::storage::{CatalogFile, CatalogFiles};

use super::{CatalogProblem, compile};

/// Largest catalogue file, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 16 << 20;
/// Most files of a catalogue.
pub(super) const FILES_MAX: usize = 1_024;
/// All files of a catalogue together, in bytes.
const CATALOG_BYTES_MAX: usize = 32 << 20;
/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// Beside name and text, bytes of a file in the blob.
const FILE_REST_BYTES: usize = 32;
const _: () =
    assert!(CATALOG_BYTES_MAX + FILES_MAX * (NAME_BYTES_MAX + FILE_REST_BYTES) <= tactful_log::BLOB_BYTES_MAX);

/// The files of a catalogue, by name: path below its folder, and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, String)>);

/// A catalogue that compiles, with the files in which it is written.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it compiles to, without a model.
    pub ruleset: Ruleset,
    /// Its files.
    pub files: Files,
}

impl Files {
    /// Takes the files of a catalogue.
    ///
    /// # Errors
    /// If there are too many or too large ones, or if a name is no path below a folder or comes twice.
    pub fn new(mut files: Vec<(PathBuf, String)>) -> Result<Self, Vec<CatalogProblem>> {
        files.sort();
        if files.is_empty() || files.len() > FILES_MAX {
            let message = format!("{} TOML files, a catalogue has 1 to {FILES_MAX}", files.len());
            return Err(vec![problem(Path::new(""), message, "give the TOML files of the catalogue's folder")]);
        }
        let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
        if bytes > CATALOG_BYTES_MAX {
            let message = format!("{bytes} bytes in all files, at most {CATALOG_BYTES_MAX} are allowed");
            return Err(vec![problem(Path::new(""), message, "leave out what is not in use any more")]);
        }
        let mut taken = BTreeSet::new();
        let mut problems = Vec::new();
        for (name, text) in &files {
            problems.extend(check_name(name));
            if !taken.insert(name) {
                problems.push(problem(name, "the file is given twice".into(), "keep one of them"));
            }
            if text.len() > FILE_BYTES_MAX {
                let message = format!("{} bytes, at most {FILE_BYTES_MAX} are allowed", text.len());
                problems.push(problem(name, message, "split the file"));
            }
        }
        if problems.is_empty() { Ok(Self(files)) } else { Err(problems) }
    }

    /// Path and text of each, by path.
    #[must_use]
    pub fn list(&self) -> &[(PathBuf, String)] {
        &self.0
    }

    /// Compiles them.
    ///
    /// # Errors
    /// Every problem found.
    pub fn compile(self) -> Result<Written, Vec<CatalogProblem>> {
        Ok(Written { ruleset: compile(&self.0)?, files: self })
    }

    /// The blob that holds them: the same files, the same bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let file = |(name, text): &(PathBuf, String)| CatalogFile { name: slashed(name), text: text.clone() };
        CatalogFiles { files: self.0.iter().map(file).collect() }.encode_to_vec().into()
    }

    /// The files in a blob; none if it holds no catalogue.
    pub(crate) fn decode(blob: &[u8]) -> Option<Self> {
        let files = CatalogFiles::decode(blob).ok()?.files;
        Self::new(files.into_iter().map(|file| (file.name.into(), file.text)).collect()).ok()
    }
}

impl From<Ruleset> for Written {
    /// Definitions that were never in files, written as one.
    fn from(ruleset: Ruleset) -> Self {
        let text = toml::to_string(&ruleset.catalog).expect("definitions are plain data with texts for keys");
        Self { files: Files(vec![("catalog.toml".into(), text)]), ruleset }
    }
}

/// A path as it is on every system, with slashes.
#[must_use]
pub fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// A name goes into texts, and clients write files of that name: it must lie below the folder.
fn check_name(name: &Path) -> Option<CatalogProblem> {
    let below = name.components().all(|part| matches!(part, Component::Normal(_)));
    let is_toml = name.extension().is_some_and(|extension| extension == "toml");
    let bytes = name.as_os_str().len();
    let known = name.to_str().is_some_and(|text| !text.chars().any(char::is_control));
    if below && is_toml && known && bytes <= NAME_BYTES_MAX {
        return None;
    }
    let message = if bytes > NAME_BYTES_MAX {
        format!("a name of {bytes} bytes, at most {NAME_BYTES_MAX} are allowed")
    } else {
        "is no name of a catalogue's file".into()
    };
    let shown: String = name.to_string_lossy().chars().take(NAME_BYTES_MAX / 8).collect();
    Some(problem(Path::new(&shown), message, "give a path below the folder that ends in .toml, like actions/sell.toml"))
}

fn problem(file: &Path, message: String, hint: &str) -> CatalogProblem {
    CatalogProblem { file: file.into(), line: 0, column: 0, message, hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Result<Files, Vec<CatalogProblem>> {
        Files::new(names.iter().map(|name| (name.into(), String::new())).collect())
    }

    #[test]
    fn files_come_back_from_their_blob_in_one_order() {
        let one = files(&["b.toml", "actions/a.toml"]).unwrap();
        assert_eq!(one, files(&["actions/a.toml", "b.toml"]).unwrap());
        assert_eq!(Files::decode(&one.encode()), Some(one));
        assert_eq!(Files::decode(&[0xFF; 9]), None);
        assert_eq!(Files::decode(&[]), None, "no files are no catalogue");
    }

    #[test]
    fn names_that_lead_elsewhere_and_files_without_end_are_refused() {
        for name in ["", "/etc/x.toml", "../x.toml", "a/../../x.toml", "notes.md", "a\nb.toml", &"x".repeat(600)] {
            let problems = files(&[name]).unwrap_err();
            assert!(problems[0].hint.contains("actions/sell.toml"), "{name:?}: {problems:?}");
        }
        assert!(files(&["a.toml", "a.toml"]).unwrap_err()[0].message.contains("twice"));
        assert!(files(&[]).unwrap_err()[0].message.contains("0 TOML files"));
        let many: Vec<String> = (0..=FILES_MAX).map(|number| format!("{number}.toml")).collect();
        assert!(files(&many.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err()[0].message.contains("1025"));
        let large = " ".repeat(FILE_BYTES_MAX + 1);
        assert_eq!(Files::new(vec![("a.toml".into(), large)]).unwrap_err()[0].hint, "split the file");
        let halves = ["a", "b", "c"].map(|name| (format!("{name}.toml").into(), " ".repeat(FILE_BYTES_MAX)));
        assert!(Files::new(halves.into()).unwrap_err()[0].message.contains("in all files"));
    }
}
