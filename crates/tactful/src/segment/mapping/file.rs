//! The mapping file: TOML, strict. Every problem is told with its line and the way to mend it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use tactful_core::limits::ID_BYTES_MAX;

use crate::config;

/// Aliases of one mapping.
const ALIASES_MAX: usize = 64;
/// The field of an entry that holds protobuf, which no mapping reads.
const PROTOBUF: &str = "protobuf";

/// A mapping as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The field of an entry in the intake that holds such a record.
    #[serde(default = "json")]
    pub(super) entry_field: String,
    /// Who it is about.
    pub(super) subject: Subject,
    /// The event's name.
    pub(super) name: Option<Field>,
    /// When it happened; without it, when it came in.
    pub(super) time: Option<Time>,
    /// The object that holds the properties; without it, every field that nothing else names.
    pub(super) properties: Option<Field>,
    /// What repeats are known by; without it, each entry of the intake counts by itself.
    pub(super) message_id: Option<MessageId>,
    /// What every event gets.
    #[serde(default)]
    pub(super) constants: Constants,
    /// Spellings of a key, and the key.
    #[serde(default)]
    pub(super) aliases: BTreeMap<String, String>,
}

/// A field that holds a subject id.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) field: String,
    /// Put before what the field holds.
    #[serde(default)]
    pub(super) prefix: String,
}

/// A field of the record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) field: String,
}

/// A field that holds a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    pub(super) field: String,
    pub(super) unit: Unit,
    /// When 0 is, in RFC 3339; 1970 if not told.
    epoch: Option<String>,
}

/// What a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Hours,
    Seconds,
    Milliseconds,
    /// A text that says it all.
    Rfc3339,
}

/// What every event gets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Constants {
    pub(super) name: String,
    pub(super) channel: String,
    pub(super) source: String,
}

/// What repeats are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MessageId {
    /// The hash of the record.
    Hash,
    /// A field of the record.
    Field(String),
}

impl Unit {
    /// Length in milliseconds; none if it counts nothing.
    pub(super) fn milliseconds(self) -> Option<f64> {
        match self {
            Self::Hours => Some(3_600_000.0),
            Self::Seconds => Some(1_000.0),
            Self::Milliseconds => Some(1.0),
            Self::Rfc3339 => None,
        }
    }

    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Rfc3339 => "rfc3339",
        }
    }
}

impl File {
    /// The fields that it names, each with the key under which it does.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let mut fields = vec![("subject", self.subject.field.as_str())];
        fields.extend(self.name.iter().map(|name| ("name", name.field.as_str())));
        fields.extend(self.time.iter().map(|time| ("time", time.field.as_str())));
        fields.extend(self.properties.iter().map(|properties| ("properties", properties.field.as_str())));
        if let Some(MessageId::Field(field)) = &self.message_id {
            fields.push(("message_id", field));
        }
        fields
    }
}

/// Reads and checks a mapping; gives it with the time of 0.
///
/// # Errors
/// All problems, each with its line.
pub(super) fn parse(text: &str) -> Result<(File, Timestamp), Vec<String>> {
    let file: File = toml::from_str(text).map_err(|problem| vec![config::told(text, &problem)])?;
    let mut check = Check { lines: config::lines(text), problems: Vec::new() };
    let epoch = check.file(&file);
    if check.problems.is_empty() { Ok((file, epoch)) } else { Err(check.problems) }
}

fn json() -> String {
    "json".into()
}

/// What is right by itself and wrong together.
struct Check {
    lines: BTreeMap<Vec<String>, usize>,
    problems: Vec<String>,
}

impl Check {
    fn file(&mut self, file: &File) -> Timestamp {
        if file.entry_field.is_empty() || file.entry_field == PROTOBUF {
            let message = "`entry_field` must be the name of a field that holds JSON, such as \"json\"";
            self.refuse(&["entry_field"], message.into());
        }
        for (key, field) in file.fields() {
            self.field(key, field, &file.aliases);
        }
        if file.name.is_some() != file.constants.name.is_empty() {
            let message = "the events' name comes from `name.field` or from `constants.name`: give one of them";
            self.refuse(&[if file.name.is_some() { "name" } else { "constants" }], message.into());
        }
        let prefix = ("subject", "prefix", &file.subject.prefix);
        let Constants { name, channel, source } = &file.constants;
        let constants = [("name", name), ("channel", channel), ("source", source)];
        for (table, key, text) in constants.map(|(key, text)| ("constants", key, text)).into_iter().chain([prefix]) {
            if text.len() > ID_BYTES_MAX {
                let message = format!("`{table}.{key}` has {} bytes, at most {ID_BYTES_MAX} are allowed", text.len());
                self.refuse(&[table, key], message);
            }
        }
        self.aliases(&file.aliases);
        file.time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| self.epoch(time))
    }

    fn field(&mut self, key: &str, field: &str, aliases: &BTreeMap<String, String>) {
        if field.is_empty() {
            self.refuse(&[key, "field"], format!("`{key}` names no field of the record"));
        }
        if let Some(to) = aliases.get(field) {
            let message = format!("`{field}` is an alias of `{to}`: name that field, both spellings are meant");
            self.refuse(&[key, "field"], message);
        }
    }

    fn aliases(&mut self, aliases: &BTreeMap<String, String>) {
        if aliases.len() > ALIASES_MAX {
            let message = format!("{} aliases, at most {ALIASES_MAX} are allowed", aliases.len());
            self.refuse(&["aliases"], message);
        }
        for (from, to) in aliases {
            if from.is_empty() || to.is_empty() {
                self.refuse(&["aliases", from], "an alias or its key is empty".into());
            } else if aliases.contains_key(to) {
                let message = format!("`{to}` is an alias itself: give every spelling of a key that one key");
                self.refuse(&["aliases", from], message);
            }
        }
    }

    fn epoch(&mut self, time: &Time) -> Timestamp {
        let Some(epoch) = &time.epoch else { return Timestamp::UNIX_EPOCH };
        if time.unit == Unit::Rfc3339 {
            let message = "`time.epoch` says nothing about times that are texts: leave it out, or give another unit";
            self.refuse(&["time", "epoch"], message.into());
        }
        epoch.parse().unwrap_or_else(|_| {
            let message = "`time.epoch` is no time in RFC 3339 with its zone, like \"2024-01-01T00:00:00Z\"";
            self.refuse(&["time", "epoch"], message.into());
            Timestamp::UNIX_EPOCH
        })
    }

    /// A problem at a key, or where the nearest table around it is.
    fn refuse(&mut self, path: &[&str], message: String) {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        let line = (1..=path.len()).rev().find_map(|length| self.lines.get(&path[..length])).copied();
        self.problems.push(format!("line {}: {message}", line.unwrap_or(1)));
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MessageIdVisitor)
    }
}

struct MessageIdVisitor;

impl<'de> Visitor<'de> for MessageIdVisitor {
    type Value = MessageId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"hash\" or { field = \"...\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MessageId, E> {
        if text == "hash" { Ok(MessageId::Hash) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MessageId, A::Error> {
        let mut field = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "field" {
                map.next_value::<IgnoredAny>()?;
                return Err(de::Error::unknown_field(&key, &["field"]));
            }
            field = Some(map.next_value()?);
        }
        field.map(MessageId::Field).ok_or_else(|| de::Error::missing_field("field"))
    }
}
