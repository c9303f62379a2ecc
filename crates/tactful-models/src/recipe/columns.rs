//! The `[columns]` of a recipe: what the columns of a plain table (CSV or Parquet) are.

use serde::Deserialize;
use tactful_core::limits::{FIELDS_MAX, ID_BYTES_MAX};

/// Most words that count as positive, or as missing.
const WORDS_MAX: usize = 64;
/// What may part the cells of a line.
const SEPARATORS: [&str; 4] = [",", ";", "\t", "|"];

/// What the columns of a plain table are. A column without a part of its own is an input. An empty
/// name stands for a column that the table does not have.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The answer.
    pub target: String,
    /// Answers that count as success; every other one is a failure.
    #[serde(default = "positive")]
    pub positive: Vec<String>,
    /// Column of the action that was shown.
    #[serde(default)]
    pub action: String,
    /// The action of all rows, where no column names it.
    #[serde(default)]
    pub action_id: String,
    /// Column of the action's group.
    #[serde(default)]
    pub group: String,
    /// Column of the decision's time.
    #[serde(default)]
    pub time: String,
    /// Column of the decision's id.
    #[serde(default)]
    pub decision_id: String,
    /// Column of the chance with which the action was chosen.
    #[serde(default)]
    pub selection_probability: String,
    /// Column of the placement.
    #[serde(default)]
    pub placement: String,
    /// Column of the channel; it stays an input.
    #[serde(default)]
    pub channel: String,
    /// Columns that are not read.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// Columns that hold words even where they look like numbers.
    #[serde(default)]
    pub text: Vec<String>,
    /// Words that stand for no value.
    #[serde(default = "missing")]
    pub missing: Vec<String>,
    /// What parts the cells of a CSV; empty: found in its first line.
    #[serde(default)]
    pub separator: String,
    /// Comes before the name of each input.
    #[serde(default)]
    pub prefix: String,
}

impl Columns {
    /// Columns with a part of their own: (key, column), those that are not there left out.
    pub(crate) fn parts(&self) -> Vec<(&'static str, &str)> {
        [
            ("target", &self.target),
            ("action", &self.action),
            ("group", &self.group),
            ("time", &self.time),
            ("decision_id", &self.decision_id),
            ("selection_probability", &self.selection_probability),
            ("placement", &self.placement),
            ("channel", &self.channel),
        ]
        .into_iter()
        .filter(|(_, column)| !column.is_empty())
        .map(|(key, column)| (key, column.as_str()))
        .collect()
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.target.is_empty() {
            return Err(("target", "names no column".into()));
        }
        if self.action.is_empty() == self.action_id.is_empty() {
            let reason = "name either the column of the action (action) or one action for all rows (action_id)";
            return Err((if self.action.is_empty() { "columns" } else { "action_id" }, reason.into()));
        }
        if self.action_id.len() > ID_BYTES_MAX {
            return Err(("action_id", format!("{} bytes, at most {ID_BYTES_MAX} are allowed", self.action_id.len())));
        }
        if self.positive.is_empty() {
            return Err(("positive", "names no answer".into()));
        }
        self.check_lists()?;
        let parts = self.parts();
        for (at, (key, column)) in parts.iter().enumerate() {
            if let Some((other, _)) = parts[..at].iter().find(|(_, taken)| taken == column) {
                return Err((key, format!("{column} is the column of {other} already")));
            }
            if self.leave_out.iter().any(|left| left == column) {
                return Err(("leave_out", format!("{column} is left out, but {key} needs it")));
            }
        }
        if !self.separator.is_empty() && !SEPARATORS.contains(&self.separator.as_str()) {
            return Err(("separator", format!("{:?} is none of , ; | and a tab", self.separator)));
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), (&'static str, String)> {
        for (key, list, most) in [
            ("positive", &self.positive, WORDS_MAX),
            ("missing", &self.missing, WORDS_MAX),
            ("leave_out", &self.leave_out, FIELDS_MAX),
            ("text", &self.text, FIELDS_MAX),
        ] {
            if list.len() > most {
                return Err((key, format!("{} words, at most {most} are allowed", list.len())));
            }
        }
        let both = self.positive.iter().find(|word| self.missing.contains(word));
        both.map_or(Ok(()), |word| Err(("missing", format!("{word:?} cannot be missing and positive"))))
    }
}

fn positive() -> Vec<String> {
    ["1", "true", "yes"].map(str::to_owned).to_vec()
}

fn missing() -> Vec<String> {
    vec![String::new()]
}
