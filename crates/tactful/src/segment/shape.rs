//! Names of the API's fields as a line has them: a producer knows `timestamp`, not `event_time`. It
//! only renames; what is wrong with the field is the server's word.

use tactful_proto::v1::{EventType, IngestItem, ingest_item::Item};

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One of the Segment specification.
    Event(EventType),
    /// A decision made elsewhere.
    Decision,
    /// What came of a decision.
    Outcome,
    /// What a customer says of a purpose.
    Consent,
    /// What a customer told.
    Fact,
    /// One that a mapping describes: its fields have the names of the API.
    Mapped,
}

impl Shape {
    /// The shape of the line that this item was read from.
    pub(crate) fn of(item: &IngestItem) -> Self {
        match &item.item {
            Some(Item::Event(event)) => Self::Event(event.r#type()),
            Some(Item::ExternalDecision(_)) => Self::Decision,
            Some(Item::Outcome(_)) => Self::Outcome,
            Some(Item::Consent(_)) => Self::Consent,
            Some(Item::Fact(_)) => Self::Fact,
            None => Self::Event(EventType::Unspecified),
        }
    }

    /// What the line calls this field of the API.
    pub(crate) fn field(self, name: &str) -> String {
        if let Some((map, key)) = entry(name) {
            return format!("{}.{key}", self.map(map));
        }
        let named = match (self, name) {
            (Self::Event(_), "subject_id") => "userId",
            (Self::Event(_), "message_id") => "messageId",
            (Self::Event(_), "previous_id") => "previousId",
            (Self::Event(_), "anonymous_id") => "anonymousId",
            (Self::Event(_), "event_time") => "timestamp",
            (Self::Event(EventType::Track), "name") => "event",
            (Self::Event(_), "matter_id") => return format!("{}.matter_id", self.map("properties")),
            (Self::Event(_), "properties") => self.map("properties"),
            (Self::Outcome, "type") => "outcome",
            (_, other) => other,
        };
        named.into()
    }

    fn map(self, name: &str) -> &str {
        match self {
            Self::Event(EventType::Identify | EventType::Group) if name == "properties" => "traits",
            _ => name,
        }
    }
}

/// Map and key of a path like `properties["price"]`.
fn entry(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("[\"")?;
    Some((map, rest.strip_suffix("\"]")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_the_line() {
        let cases = [
            (Shape::Event(EventType::Track), "event_time", "timestamp"),
            (Shape::Event(EventType::Track), "subject_id", "userId"),
            (Shape::Event(EventType::Track), "name", "event"),
            (Shape::Event(EventType::Page), "name", "name"),
            (Shape::Event(EventType::Track), "properties[\"price\"]", "properties.price"),
            (Shape::Event(EventType::Identify), "properties[\"age\"]", "traits.age"),
            (Shape::Event(EventType::Alias), "previous_id", "previousId"),
            (Shape::Event(EventType::Identify), "anonymous_id", "anonymousId"),
            (Shape::Event(EventType::Track), "matter_id", "properties.matter_id"),
            (Shape::Event(EventType::Track), "channel", "channel"),
            (Shape::Decision, "subject_id", "subject_id"),
            (Shape::Decision, "context[\"topic\"]", "context.topic"),
            (Shape::Outcome, "type", "outcome"),
            (Shape::Outcome, "outcome_token", "outcome_token"),
        ];
        for (shape, api, line) in cases {
            assert_eq!(shape.field(api), line, "{shape:?} {api}");
        }
    }
}
