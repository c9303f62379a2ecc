//! Whether what a producer wrote names a subject id, in whatever form.

use serde_json::Value;
use tactful_core::state::anonymous_subject;
use tactful_log::mentions;

/// Fields of the Segment specification in which a visitor's id comes without its prefix.
const ANONYMOUS: [&str; 2] = ["anonymousId", "anonymous_id"];

/// As [`mentions`], and in JSON also behind escapes, and as a visitor's id without its prefix.
pub(crate) fn names(bytes: &[u8], subject_id: &str) -> bool {
    mentions(bytes, subject_id) || serde_json::from_slice(bytes).is_ok_and(|json| in_json(&json, subject_id))
}

fn in_json(json: &Value, subject_id: &str) -> bool {
    match json {
        Value::String(text) => mentions(text.as_bytes(), subject_id),
        Value::Array(items) => items.iter().any(|item| in_json(item, subject_id)),
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let is_visitor = ANONYMOUS.contains(&key.as_str())
                && value.as_str().is_some_and(|text| anonymous_subject(text) == subject_id);
            is_visitor || mentions(key.as_bytes(), subject_id) || in_json(value, subject_id)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_behind_escapes_and_without_the_prefix_of_a_visitor() {
        let written = br#"{"type":"track","userId":"customer\u003a4","traits":[{"also":"b\/d customer:7"}],"anonymousId":"af31"}"#;
        for id in ["customer:4", "customer:7", "b/d", "anon:af31"] {
            assert!(names(written, id), "{id}");
        }
        for id in ["customer:42", "anon:track", "anon:af3", "device:af31"] {
            assert!(!names(written, id), "{id}");
        }
        assert!(names(b"cut off {\"userId\":\"customer:4\"", "customer:4") && !names(b"{\"a\":", "customer:4"));
    }
}
