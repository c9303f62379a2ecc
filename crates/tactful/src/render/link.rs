//! What was said of two subject ids.

use serde_json::{Value, json};

use crate::output::Render;

/// An acknowledged statement.
#[derive(Debug)]
pub(crate) struct Stated {
    /// Subject id.
    pub(crate) subject: String,
    /// The other one.
    pub(crate) other: String,
    /// Whether they are one customer.
    pub(crate) linked: bool,
    /// Position of the acknowledgement.
    pub(crate) position: String,
}

impl Render for Stated {
    fn json(&self) -> Value {
        json!({
            "subject_id": self.subject,
            "other_subject_id": self.other,
            "linked": self.linked,
            "position": self.position,
        })
    }

    fn text(&self) -> String {
        let Self { subject, other, .. } = self;
        if self.linked {
            format!("{subject} and {other} are one customer\n")
        } else {
            format!("{subject} and {other} are not one customer any more\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_ids_and_what_of_them() {
        let linked = Stated { subject: "c".into(), other: "anon:a".into(), linked: true, position: "p".into() };
        assert_eq!(linked.text(), "c and anon:a are one customer\n");
        let json = json!({ "subject_id": "c", "other_subject_id": "anon:a", "linked": true, "position": "p" });
        assert_eq!(linked.json(), json);
        assert_eq!(Stated { linked: false, ..linked }.text(), "c and anon:a are not one customer any more\n");
    }
}
