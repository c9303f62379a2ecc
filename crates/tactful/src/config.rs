//! Layered settings: defaults, then a TOML file, then the environment (`TACTFUL__SECTION__KEY`),
//! then flags; the later wins. Generic over any serde struct that refuses unknown fields. A problem
//! is laid at the door of the file's line, the variable or the flag that caused it, with the nearest
//! known key. It knows no key of its own and never ignores one.

mod blame;
mod print;

pub(crate) use blame::lines;

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// What the environment's settings start with.
const PREFIX: &str = "TACTFUL__";

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Line of the file, from 1.
    File(usize),
    /// Name of the environment variable.
    Environment(String),
    /// An option of the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => write!(f, "file, line {line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Flag => f.write_str("option"),
        }
    }
}

/// Settings in force, each with where it comes from.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// The settings.
    pub(crate) options: T,
    table: Table,
    sources: BTreeMap<String, Source>,
}

impl<T> Loaded<T> {
    /// The settings as TOML, each commented with where it comes from. It loads back to the same.
    pub(crate) fn print(&self) -> String {
        print::commented(&self.table, &self.sources)
    }
}

/// One setting on its way in.
struct Setting {
    path: Vec<String>,
    value: Value,
    /// The words of an environment variable, should `value` read them as something else.
    text: Option<String>,
    source: Source,
}

/// Loads settings; what is in none of the layers keeps its default.
///
/// # Errors
/// All problems of the first layer that has any: unknown keys, values of the wrong type, a file
/// that cannot be read or is no TOML.
pub(crate) fn load<T>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: Table,
) -> Result<Loaded<T>>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut layered =
        Layered::<T> { table: table_of(&T::default())?, sources: BTreeMap::new(), kind: Default::default() };
    if let Some(path) = file {
        layered.apply(file_settings(path)?, &format!("{}: ", path.display()))?;
    }
    layered.apply(environment_settings(environment), "")?;
    layered.apply(blame::leaves(&flags).into_iter().map(flag_setting).collect(), "")?;
    let options: T = layered.table.clone().try_into().context("the settings do not fit together")?;
    // Written back from the options, so that what is printed is what is in force.
    Ok(Loaded { table: table_of(&options)?, options, sources: layered.sources })
}

/// The process's environment; what is no Unicode becomes visibly wrong rather than ignored.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
}

/// Flags of the command line as a layer: those that were given, under their dotted keys.
pub(crate) fn flags<'a>(given: impl IntoIterator<Item = (&'a str, Option<Value>)>) -> Table {
    let mut table = Table::new();
    for (key, value) in given {
        if let Some(value) = value {
            let path: Vec<String> = key.split('.').map(Into::into).collect();
            overlay(&mut table, &path, value);
        }
    }
    table
}

/// The layers laid so far.
struct Layered<T> {
    table: Table,
    sources: BTreeMap<String, Source>,
    kind: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> Layered<T> {
    /// Lays a layer on top, or says everything that is wrong with it.
    fn apply(&mut self, layer: Vec<Setting>, place: &str) -> Result<()> {
        let mut problems = Vec::new();
        for setting in layer {
            let key = setting.path.join(".");
            match self.fitting(&setting) {
                Ok(value) => {
                    overlay(&mut self.table, &setting.path, value);
                    self.sources.insert(key, setting.source);
                }
                Err(problem) => problems.push(format!("{place}{}", blame::describe(&key, &setting.source, &problem))),
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        bail!("{}", problems.join("\n"))
    }

    /// The setting's value as it fits alone on top of the layers below.
    fn fitting(&self, setting: &Setting) -> Result<Value, toml::de::Error> {
        let attempt = |value: &Value| {
            let mut table = self.table.clone();
            overlay(&mut table, &setting.path, value.clone());
            table.try_into::<T>().map(|_| value.clone())
        };
        attempt(&setting.value).or_else(|problem| {
            let text = setting.text.clone().map(Value::String);
            text.and_then(|text| attempt(&text).ok()).ok_or(problem)
        })
    }
}

fn table_of<T: Serialize>(options: &T) -> Result<Table> {
    Table::try_from(options).context("the settings cannot be written as TOML")
}

/// A problem with a TOML text: its line, what is wrong, what was probably meant.
pub(crate) fn told(text: &str, problem: &toml::de::Error) -> String {
    let before = problem.span().map_or(0, |span| span.start).min(text.len());
    let line = 1 + text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count();
    match blame::unknown_key(problem.message(), None) {
        Some(unknown) => format!("line {line}: {unknown}"),
        None => format!("line {line}: {}", problem.message()),
    }
}

/// Puts a value in its place; whatever stands in the way of its path gives way.
fn overlay(table: &mut Table, path: &[String], value: Value) {
    let Some((last, sections)) = path.split_last() else { return };
    let mut here = table;
    for section in sections {
        let next = here.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        if !next.is_table() {
            *next = Value::Table(Table::new());
        }
        here = next.as_table_mut().expect("made a table above");
    }
    // An empty section says nothing about the settings in it.
    let empty = value.as_table().is_some_and(Table::is_empty);
    if !(empty && here.get(last).is_some_and(Value::is_table)) {
        here.insert(last.clone(), value);
    }
}

fn file_settings(path: &Path) -> Result<Vec<Setting>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let table: Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    let lines = blame::lines(&text);
    let setting = |(key, value): (Vec<String>, Value)| {
        let line = lines.get(&key).copied().unwrap_or(1);
        Setting { path: key, value, text: None, source: Source::File(line) }
    };
    Ok(blame::leaves(&table).into_iter().map(setting).collect())
}

fn environment_settings(environment: impl Iterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = environment
        .filter_map(|(name, text)| {
            let path = name.strip_prefix(PREFIX)?.to_lowercase().split("__").map(Into::into).collect();
            Some(Setting { path, value: scalar(&text), text: Some(text), source: Source::Environment(name) })
        })
        .collect();
    // The order of an environment is arbitrary, that of its problems should not be.
    settings.sort_by(|left, right| left.path.cmp(&right.path));
    settings
}

fn flag_setting((path, value): (Vec<String>, Value)) -> Setting {
    Setting { path, value, text: None, source: Source::Flag }
}

/// A value as TOML would read it, else the text itself.
fn scalar(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.into()))
}

#[cfg(test)]
mod tests;
