//! A declared mapping: how the JSON records of a producer that knows nothing of Segment become tracked events. It
//! says which field is what, joins several spellings of one key, and guesses nothing: a record without a field that
//! is mapped is refused, as a line of Segment's shape would be.

mod canonical;
mod file;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tactful_proto::v1::{Event, EventType, IngestItem, ingest_item::Item};

use self::file::{File, MessageId, Unit};
use super::{Refused, fields::Fields, fields::protobuf_time, object, properties::Properties};
use crate::output::Usage;

/// A mapping that was read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    file: File,
    /// Time of 0, milliseconds since 1970.
    epoch_ms: i64,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let place = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Usage(format!("cannot read the mapping {place}: {error}")))?;
        let named = |problem: String| format!("{place}, {problem}");
        let told = |problems: Vec<String>| Usage(problems.into_iter().map(named).collect::<Vec<_>>().join("\n"));
        Ok(Self::parse(&text).map_err(told)?)
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (file, epoch) = file::parse(text)?;
        Ok(Self { file, epoch_ms: epoch.as_millisecond() })
    }

    /// The field of an entry in the intake that holds such a record.
    pub(crate) fn entry_field(&self) -> &str {
        &self.file.entry_field
    }

    /// Reads one record.
    ///
    /// # Errors
    /// The first field at fault.
    pub(crate) fn item(&self, record: &[u8]) -> Result<IngestItem, Refused> {
        let record = canonical::joined(&object(record)?, &self.file.aliases, "")?;
        let fields = Fields::new(&record);
        let File { subject, name, constants, .. } = &self.file;
        let who = fields.required_id(&subject.field, "the id that the mapping takes for the subject")?;
        let name = match name {
            Some(name) => fields.required(&name.field, "the name that the mapping takes for the event")?,
            None => &constants.name,
        };
        let mut properties = self.properties(&record, &fields)?;
        let event = Event {
            message_id: self.message_id(&record, &fields)?,
            subject_id: format!("{}{who}", subject.prefix),
            r#type: EventType::Track.into(),
            name: name.into(),
            event_time: self.time(&fields)?,
            channel: constants.channel.clone(),
            source: constants.source.clone(),
            matter_id: properties.take_matter()?,
            properties: properties.into_map()?,
            ..Event::default()
        };
        Ok(IngestItem { item: Some(Item::Event(event)) })
    }

    fn message_id(&self, record: &Map<String, Value>, fields: &Fields<'_>) -> Result<String, Refused> {
        match &self.file.message_id {
            Some(MessageId::Hash) => Ok(canonical::hash(record)),
            Some(MessageId::Field(field)) => fields.required_id(field, "the id that the mapping takes for the message"),
            None => Ok(String::new()),
        }
    }

    fn time(&self, fields: &Fields<'_>) -> Result<Option<prost_types::Timestamp>, Refused> {
        let Some(time) = &self.file.time else { return Ok(None) };
        let name = &time.field;
        let missing = || Refused::field(name, "missing; the time that the mapping takes for the event's");
        let Some(unit_ms) = time.unit.milliseconds() else {
            return fields.time(&[name])?.ok_or_else(missing).map(Some);
        };
        let count = fields.number(name)?.ok_or_else(missing)?;
        // Beyond the range of a time it is refused below; in between a cast cuts to that range.
        let ms = self.epoch_ms.saturating_add((count * unit_ms).round() as i64);
        let at = Timestamp::from_millisecond(ms);
        let unit = Unit::name(time.unit);
        let at = at.map_err(|_| Refused::field(name, format!("{count} {unit} lie beyond every calendar")))?;
        Ok(Some(protobuf_time(at)))
    }

    /// The object that the mapping names, or else every field that it does not name.
    fn properties(&self, record: &Map<String, Value>, fields: &Fields<'_>) -> Result<Properties, Refused> {
        if let Some(properties) = &self.file.properties {
            return Properties::flatten(properties.field.clone(), fields.object(&properties.field)?);
        }
        let named = self.file.fields();
        let rest = record.iter().filter(|(key, _)| named.iter().all(|(_, field)| field != key));
        let rest: Map<String, Value> = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
        Properties::flatten("record", Some(&rest))
    }
}

#[cfg(test)]
mod tests;
