//! One JSON line to one item of an ingest batch: the Segment shape (identify, track, page, screen,
//! group, alias) and line types of our own: decisions and outcomes of somebody else's policy, facts, consents.
//! A line that does not fit is refused with the field at fault; nothing is guessed or cut short. Lines of another
//! shape are read by a declared [`Mapping`].

pub(crate) mod lines;

mod external;
mod fields;
mod mapping;
mod properties;
mod said;
mod shape;

pub(crate) use fields::protobuf_time;
pub(crate) use mapping::Mapping;
pub(crate) use shape::Shape;

use std::fmt;

use serde_json::{Map, Value};
use tactful_core::layout::nearest;
use tactful_core::limits::ID_BYTES_MAX;
use tactful_core::state::anonymous_subject;
use tactful_proto::v1::{Event, EventType, IngestItem, ingest_item::Item};

use fields::Fields;
use properties::Properties;

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Path of the field at fault; empty if the line as a whole is.
    pub(crate) field: String,
    /// What is wrong with it and how to mend it.
    pub(crate) message: String,
}

impl Refused {
    fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The line as a whole.
    pub(crate) fn line(message: impl Into<String>) -> Self {
        Self::field("", message)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

/// What `type` may say.
const TYPES: [&str; 10] =
    ["identify", "track", "page", "screen", "group", "alias", "decision", "outcome", "fact", "consent"];

/// Reads one line.
///
/// # Errors
/// The first field at fault.
pub(crate) fn item(line: &[u8]) -> Result<IngestItem, Refused> {
    let object = object(line)?;
    let fields = Fields::new(&object);
    let item = match fields.required("type", &format!("one of {}", TYPES.join(", ")))? {
        "identify" => Item::Event(event(&fields, EventType::Identify)?),
        "track" => Item::Event(event(&fields, EventType::Track)?),
        "page" => Item::Event(event(&fields, EventType::Page)?),
        "screen" => Item::Event(event(&fields, EventType::Screen)?),
        "group" => Item::Event(event(&fields, EventType::Group)?),
        "alias" => Item::Event(event(&fields, EventType::Alias)?),
        "decision" => Item::ExternalDecision(external::decision(&fields)?),
        "outcome" => Item::Outcome(external::outcome(&fields)?),
        "fact" => Item::Fact(said::fact(&fields)?),
        "consent" => Item::Consent(said::consent(&fields)?),
        other => return Err(Refused::field("type", unknown(other, &TYPES))),
    };
    Ok(IngestItem { item: Some(item) })
}

/// The object that a line is.
fn object(line: &[u8]) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice(line).map_err(|error| Refused::line(syntax(&error)))? {
        Value::Object(object) => Ok(object),
        _ => Err(Refused::line("not a JSON object; one event a line, for example {\"type\":\"track\",...}")),
    }
}

/// Whether a line holds nothing at all, and is passed over.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn event(fields: &Fields<'_>, kind: EventType) -> Result<Event, Refused> {
    let mut properties = properties_of(fields, kind)?;
    let matter_id = properties.take_matter()?;
    let name = match kind {
        EventType::Track => fields.required("event", "the name of what the customer did")?,
        EventType::Page | EventType::Screen => fields.text("name")?.unwrap_or_default(),
        _ => "",
    };
    let previous_id = match kind {
        EventType::Alias => fields.required("previousId", "the subject id that userId was known by before")?,
        _ => "",
    };
    let (subject_id, anonymous_id) = subject(fields, kind)?;
    Ok(Event {
        message_id: fields.id("messageId")?.unwrap_or_default(),
        subject_id,
        r#type: kind.into(),
        name: name.into(),
        event_time: fields.time(&["timestamp", "originalTimestamp", "sentAt"])?,
        channel: from_context(fields, "channel")?,
        source: from_context(fields, "source")?,
        properties: properties.into_map()?,
        matter_id,
        previous_id: previous_id.into(),
        anonymous_id,
    })
}

/// Who it is about: the user where one is known, else the anonymous visitor. Beside the user of an identify also
/// the visitor; other events do not say that the two are one.
fn subject(fields: &Fields<'_>, kind: EventType) -> Result<(String, String), Refused> {
    match fields.id("userId")? {
        Some(user) if kind == EventType::Identify => Ok((user, anonymous(fields)?.unwrap_or_default())),
        Some(user) => Ok((user, String::new())),
        None => {
            let visitor = anonymous(fields)?;
            let missing = || Refused::field("userId", "missing; give userId or anonymousId");
            Ok((visitor.ok_or_else(missing)?, String::new()))
        }
    }
}

/// The subject id of the anonymous visitor, by its prefix never taken for a customer's.
fn anonymous(fields: &Fields<'_>) -> Result<Option<String>, Refused> {
    let Some(given) = fields.id("anonymousId")? else { return Ok(None) };
    let subject_id = anonymous_subject(&given);
    if subject_id.len() > ID_BYTES_MAX {
        let most = ID_BYTES_MAX - (subject_id.len() - given.len());
        let message = format!("{} bytes long; at most {most}, since anon: goes before it", given.len());
        return Err(Refused::field("anonymousId", message));
    }
    Ok(Some(subject_id.into_owned()))
}

/// A field of the line itself, else of its `context` object.
fn from_context(fields: &Fields<'_>, name: &str) -> Result<String, Refused> {
    if let Some(own) = fields.text(name)? {
        return Ok(own.into());
    }
    let Some(context) = fields.object("context")? else { return Ok(String::new()) };
    let found = Fields::new(context).text(name);
    let found = found.map_err(|refused| Refused::field(format!("context.{}", refused.field), refused.message))?;
    Ok(found.unwrap_or_default().into())
}

fn properties_of(fields: &Fields<'_>, kind: EventType) -> Result<Properties, Refused> {
    let mut properties = match kind {
        EventType::Identify | EventType::Group => Properties::flatten("traits", fields.object("traits")?)?,
        EventType::Alias => Properties::default(),
        _ => Properties::flatten("properties", fields.object("properties")?)?,
    };
    match kind {
        EventType::Group => {
            let group = fields.id("groupId")?;
            properties.add("group_id", group.ok_or_else(|| Refused::field("groupId", "missing; the id of the group"))?);
        }
        EventType::Page => {
            if let Some(category) = fields.text("category")? {
                properties.add("category", category.into());
            }
        }
        _ => {}
    }
    Ok(properties)
}

/// A word that is not among the known ones.
fn unknown(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("unknown `{word}`; did you mean `{meant}`?"),
        None => format!("unknown `{}`; one of {}", shorten(word), known.join(", ")),
    }
}

/// The start of a text that may be as long as the line.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN { text.into() } else { text.chars().take(SHOWN).chain("...".chars()).collect() }
}

/// serde_json's message with the column alone: the line is always the first of its own text.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("not valid JSON at column {}: {what}", error.column())
}

#[cfg(test)]
mod tests;
