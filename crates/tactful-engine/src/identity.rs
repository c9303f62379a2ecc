//! Statements that two subject ids are one customer, or no longer: declared by a caller, or implied by an
//! identify or alias. Each goes as two halves, in one atomic group, to the partitions of both ids.

use prost_types::Timestamp;
use tactful_core::decide::FieldError;
use tactful_core::hash;
use tactful_core::state::is_transient;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{EventBody, LinkBody, Record};
use tactful_proto::v1;

use crate::clock::now_ms;
use crate::engine::Engine;
use crate::error::Error;
use crate::intake::{Refusal, event_ms, short, subject};
use crate::record::{Domain, message_hash};

/// Declares two subject ids to be one customer, or not to be any more.
#[derive(Clone, Debug, Default)]
pub struct LinkCommand {
    /// Id of the statement: a repeated one takes effect once; may be empty.
    pub message_id: String,
    /// Subject id.
    pub subject_id: String,
    /// The other subject id.
    pub other_id: String,
    /// When it became true; the node's clock if not given.
    pub event_time: Option<Timestamp>,
    /// Where it comes from; may be empty.
    pub source: String,
    /// Whether they are one customer.
    pub linked: bool,
}

impl Engine {
    /// Records a statement about two subject ids; answers its position once it is durable, for
    /// [`Engine::reach`].
    ///
    /// # Errors
    /// If fields are wrong, or the log refuses.
    pub async fn link(&self, command: &LinkCommand) -> Result<String, Error> {
        let now_ms = now_ms();
        let event_ms = check(command, now_ms).map_err(Error::Invalid)?;
        let statement = Statement {
            message_hash: message_hash(Domain::Link, &command.message_id),
            received_ms: now_ms,
            event_ms: event_ms.min(now_ms),
            linked: command.linked,
            explicit: true,
            source: &command.source,
        };
        let mut halves = statement.halves(&command.subject_id, &command.other_id);
        if !halves.iter_mut().all(|half| self.erased.admit(half)) {
            // Of before one of them was erased: it is taken, and forgotten.
            return Ok(String::new());
        }
        self.append(halves.iter().map(|half| self.entry(half)).collect()).await
    }
}

/// The halves of the link that an event implies, if it does: an identify that names a visitor or device, an
/// alias between a customer's id and one of those. Two ids of one kind are joined by nothing but a declared link.
pub(crate) fn implied(record: &Record) -> Option<[Record; 2]> {
    let Some(Body::Event(event)) = &record.body else { return None };
    let other = other_id(event)?;
    if is_transient(&record.subject_id) == is_transient(other) {
        return None;
    }
    let statement = Statement {
        message_hash: record.message_hash,
        received_ms: record.received_ms,
        // Not ahead: an erasure forgets the links of before by their time.
        event_ms: event.event_ms.min(record.received_ms),
        linked: true,
        explicit: false,
        source: &event.source,
    };
    Some(statement.halves(&record.subject_id, other))
}

fn other_id(event: &EventBody) -> Option<&str> {
    let other = match event.r#type() {
        v1::EventType::Identify => &event.anonymous_id,
        v1::EventType::Alias => &event.previous_id,
        _ => return None,
    };
    Some(other.as_str()).filter(|other| !other.is_empty())
}

/// What is said of two ids.
struct Statement<'a> {
    /// Of the message that says it; 0 if it has no id.
    message_hash: u64,
    received_ms: i64,
    event_ms: i64,
    linked: bool,
    explicit: bool,
    source: &'a str,
}

impl Statement<'_> {
    fn halves(&self, one: &str, other: &str) -> [Record; 2] {
        [(one, other), (other, one)].map(|(subject_id, other_id)| Record {
            // Of its own, since both halves may go to one partition; and none if the message has none.
            message_hash: match self.message_hash {
                0 => 0,
                hash => hash::keyed(hash, subject_id.as_bytes()).max(1),
            },
            subject_id: subject_id.into(),
            received_ms: self.received_ms,
            body: Some(Body::Link(LinkBody {
                other_id: other_id.into(),
                event_ms: self.event_ms,
                linked: self.linked,
                explicit: self.explicit,
                source: self.source.into(),
            })),
        })
    }
}

/// Event time of a command in milliseconds since 1970, or everything that is wrong with it.
fn check(command: &LinkCommand, now_ms: i64) -> Result<i64, Vec<FieldError>> {
    let time = event_ms("event_time", command.event_time.as_ref(), now_ms);
    let texts = [
        subject("subject_id", &command.subject_id),
        subject("other_subject_id", &command.other_id),
        short("message_id", &command.message_id),
        short("source", &command.source),
        time.as_ref().map(drop).map_err(Refusal::clone),
    ];
    let mut errors: Vec<FieldError> = texts.into_iter().filter_map(Result::err).map(FieldError::from).collect();
    let other_wrong =
        |message: &str| FieldError { field: "other_subject_id".into(), message: message.into(), not_found: false };
    if errors.is_empty() && command.subject_id == command.other_id {
        errors.push(other_wrong("is the subject_id itself: give another id"));
    } else if errors.is_empty() && is_transient(&command.subject_id) && is_transient(&command.other_id) {
        errors.push(other_wrong(
            "is the id of a visitor or device, as subject_id is: link each of them with the customer's id instead",
        ));
    }
    match time {
        Ok(event_ms) if errors.is_empty() => Ok(event_ms),
        _ => Err(errors),
    }
}
