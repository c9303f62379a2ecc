//! The acknowledgement of one thing that was recorded.

use serde_json::{Value, json};

use crate::output::Render;

/// What was recorded, and the position from which on decisions know of it.
pub(crate) struct Recorded {
    pub(crate) what: String,
    pub(crate) position: String,
}

impl Render for Recorded {
    fn json(&self) -> Value {
        json!({ "position": self.position })
    }

    fn text(&self) -> String {
        format!("recorded: {}\n  position  {}\n", self.what, self.position)
    }
}
