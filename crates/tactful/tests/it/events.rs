//! Lines of events as a producer writes them, in the Segment shape, on the shipped catalogue.

use serde_json::{Value, json};

/// Products that somebody took: customer `c<i>` one each, with a message id of its own.
pub(crate) fn purchases(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| purchase(number, "web", "2026-05-01T10:00:00Z")).collect()
}

/// One product taken by customer `c<number>`.
pub(crate) fn purchase(number: usize, channel: &str, time: &str) -> String {
    line(&json!({
        "type": "track", "userId": format!("c{number}"), "messageId": format!("m{number}"),
        "event": "Product Activated", "timestamp": time, "channel": channel, "properties": { "price": 9.5 },
    }))
}

/// A decision that somebody else's policy made, and what came of it.
pub(crate) fn external(number: usize, action: &str, time: &str, context: &Value, outcome: Option<&str>) -> String {
    let (id, subject) = (format!("d{number}"), format!("c{number}"));
    let decision = line(&json!({
        "type": "decision", "external_decision_id": id, "subject_id": subject, "action_id": action,
        "placement": "web_home", "decision_time": time, "selection_probability": 0.5, "context": context,
    }));
    let outcome = outcome.map_or_else(String::new, |outcome| {
        line(&json!({
            "type": "outcome", "external_decision_id": id, "subject_id": subject, "outcome": outcome,
            "occur_time": time, "message_id": format!("o{number}"),
        }))
    });
    decision + &outcome
}

/// One JSON object on a line of its own.
pub(crate) fn line(object: &Value) -> String {
    format!("{object}\n")
}
