//! The request: from names as callers write them to indices of one ruleset, with every error named.

use super::{SkipReason, Skipped};
use crate::layout::{FieldIx, FieldKind};
use crate::limits::{CANDIDATES_MAX, COUNT_MAX, ID_BYTES_MAX, PLACEMENTS_MAX, PROPERTIES_MAX};
use crate::ruleset::{ActionIx, PlacementIx, Ruleset};
use crate::state::Value;

/// Where features are.
const CUSTOMER: &str = "customer";
/// How an override names a fact.
const FACT: &str = "fact.";

/// How much of the why and why-not a decision carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    /// Actions and factors only.
    #[default]
    None,
    /// Also reasons in plain words, and why the nearest losers lost.
    Reasons,
    /// Also every candidate, with contributions.
    Full,
}

/// A named value of a request.
pub type ContextValue<'a> = (&'a str, Value<'a>);

/// A request as a caller writes it.
#[derive(Clone, Debug, Default)]
pub struct RequestText<'a> {
    /// Subject id.
    pub subject_id: &'a str,
    /// Placement ids, and how many actions each shows; 0 takes the catalogue's number.
    pub placements: Vec<(&'a str, i64)>,
    /// Context fields by name.
    pub context: Vec<ContextValue<'a>>,
    /// Features by name, and facts as `fact.<key>`, to be read with these values instead of the stored ones.
    pub overrides: Vec<ContextValue<'a>>,
    /// If not empty, only these compete.
    pub candidates: Vec<&'a str>,
    /// These do not compete.
    pub excluded: Vec<&'a str>,
    /// How much to explain.
    pub explain: Explain,
}

/// A request against one ruleset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Subject id: decides on the holdout.
    pub subject_id: String,
    /// Placements and how many actions each shows.
    pub placements: Vec<(PlacementIx, usize)>,
    /// Fields set by the request: context, then overrides.
    pub values: Vec<(FieldIx, f32)>,
    /// If given, only these compete, one bit each.
    pub candidates: Option<Vec<u64>>,
    /// These do not compete.
    pub excluded: Vec<ActionIx>,
    /// Candidates that the ruleset does not know.
    pub unknown_candidates: Vec<Skipped>,
    /// How much to explain.
    pub explain: Explain,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, for example `placements[1].placement`.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// True if the field is well formed but names something that is not there.
    pub not_found: bool,
}

impl Request {
    /// Resolves names against a ruleset.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn resolve(ruleset: &Ruleset, text: &RequestText<'_>) -> Result<Self, Vec<FieldError>> {
        let mut resolver = Resolver { ruleset, errors: Vec::new(), name: String::new() };
        resolver.subject_id(text.subject_id);
        let placements = resolver.placements(&text.placements);
        let mut values = resolver.values("context", "context", &text.context);
        values.extend(resolver.values("profile_overrides", CUSTOMER, &text.overrides));
        resolver.bound("candidate_actions", text.candidates.len(), CANDIDATES_MAX);
        resolver.bound("excluded_actions", text.excluded.len(), CANDIDATES_MAX);
        if !resolver.errors.is_empty() {
            return Err(resolver.errors);
        }
        let (candidates, unknown_candidates) = candidates(ruleset, &text.candidates);
        Ok(Self {
            subject_id: text.subject_id.into(),
            placements,
            values,
            candidates,
            excluded: text.excluded.iter().filter_map(|id| ruleset.action(id)).collect(),
            unknown_candidates,
            explain: text.explain,
        })
    }
}

/// The caller's list as a bit set; ids that the ruleset does not know are reported, not fatal,
/// since a caller's list may be older than the catalogue.
fn candidates(ruleset: &Ruleset, ids: &[&str]) -> (Option<Vec<u64>>, Vec<Skipped>) {
    if ids.is_empty() {
        return (None, Vec::new());
    }
    let mut mask = vec![0u64; ruleset.words()];
    let mut unknown = Vec::new();
    for id in ids {
        match ruleset.action(id) {
            Some(action) => mask[action / 64] |= 1 << (action % 64),
            None => unknown.push(Skipped { action: (*id).into(), reason: SkipReason::UnknownAction }),
        }
    }
    (Some(mask), unknown)
}

struct Resolver<'a> {
    ruleset: &'a Ruleset,
    errors: Vec<FieldError>,
    /// Full name of the field at hand: one allocation for all of them.
    name: String,
}

impl Resolver<'_> {
    fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.into(), message: message.into(), not_found: false });
    }

    fn bound(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.refuse(field, format!("{count} entries, at most {most} are allowed"));
        }
    }

    fn subject_id(&mut self, id: &str) {
        if id.is_empty() {
            self.refuse("subject_id", "is empty: give the id of the customer, device or visitor");
        } else if id.len() > ID_BYTES_MAX {
            self.refuse("subject_id", format!("has {} bytes, at most {ID_BYTES_MAX} are allowed", id.len()));
        }
    }

    fn placements(&mut self, asked: &[(&str, i64)]) -> Vec<(PlacementIx, usize)> {
        if asked.is_empty() {
            self.refuse("placements", "is empty: name at least one placement to fill");
        }
        self.bound("placements", asked.len(), PLACEMENTS_MAX);
        let mut resolved = Vec::with_capacity(asked.len().min(PLACEMENTS_MAX));
        for (position, (id, count)) in asked.iter().take(PLACEMENTS_MAX).enumerate() {
            let count = self.count(position, *count);
            if asked[..position].iter().any(|(other, _)| other == id) {
                self.refuse(format!("placements[{position}].placement"), format!("{} is asked for twice", quoted(id)));
            }
            match self.ruleset.placement(id) {
                Some(index) => {
                    resolved.push((index, count.unwrap_or(self.ruleset.placements[index].count)));
                }
                None => self.unknown_placement(position, id),
            }
        }
        resolved
    }

    fn count(&mut self, position: usize, count: i64) -> Option<usize> {
        match count {
            0 => None,
            1.. if count <= COUNT_MAX as i64 => Some(count as usize),
            _ => {
                self.refuse(
                    format!("placements[{position}].count"),
                    format!("is {count}: give 1 to {COUNT_MAX}, or 0 for the catalogue's number"),
                );
                None
            }
        }
    }

    fn unknown_placement(&mut self, position: usize, id: &str) {
        let known = self.ruleset.placements.iter().map(|placement| placement.id.as_str());
        let hint = match crate::layout::nearest(id, known.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the catalogue has {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.errors.push(FieldError {
            field: format!("placements[{position}].placement"),
            message: format!("unknown placement {}: {hint}", quoted(id)),
            not_found: true,
        });
    }

    fn values(&mut self, field: &str, prefix: &str, values: &[ContextValue<'_>]) -> Vec<(FieldIx, f32)> {
        self.bound(field, values.len(), PROPERTIES_MAX);
        let mut resolved = Vec::with_capacity(values.len().min(PROPERTIES_MAX));
        for (name, value) in values.iter().take(PROPERTIES_MAX) {
            match self.value(prefix, name, *value) {
                Ok(entry) => resolved.push(entry),
                Err(message) => self.refuse(format!("{field}[{}]", quoted(name)), message),
            }
        }
        resolved
    }

    fn value(&mut self, prefix: &str, name: &str, value: Value<'_>) -> Result<(FieldIx, f32), String> {
        let layout = &self.ruleset.layout;
        self.name.clear();
        if prefix == CUSTOMER && name.starts_with(FACT) {
            self.name.push_str(name);
        } else {
            self.name.extend([prefix, ".", name]);
        }
        let full = &self.name;
        let Some(index) = layout.index(full) else {
            let hint = layout.nearest(full).map_or_else(String::new, |near| format!(": did you mean {near}?"));
            return Err(format!("is no field of the catalogue{hint}"));
        };
        let value = match (&layout.fields()[index].kind, value) {
            (FieldKind::Number, Value::Number(number)) if (number as f32).is_finite() => number as f32,
            (FieldKind::Number, Value::Number(_)) => return Err("is not a finite number that fits 32 bits".into()),
            (FieldKind::Bool, Value::Flag(flag)) => f32::from(u8::from(flag)),
            (FieldKind::Category(words), Value::Text(text)) => match words.iter().position(|word| word == text) {
                Some(word) => word as f32,
                None => return Err(format!("is not one of {}", words.join(", "))),
            },
            (FieldKind::Number, _) => return Err("must be a number".into()),
            (FieldKind::Bool, _) => return Err("must be a flag, true or false".into()),
            (FieldKind::Category(words), _) => return Err(format!("must be a text, one of {}", words.join(", "))),
        };
        Ok((index, value))
    }
}

/// A text of the caller's in quotes, cut to a length that an error can carry.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() { format!("{shown:?}...") } else { format!("{shown:?}") }
}
