//! Reasons in plain words: text with fields in braces.

use crate::layout::{FieldIx, FieldKind, Layout};

/// A text with fields in braces, for example `you have been with us for {customer.tenure_years} years`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(FieldIx),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Byte offset, what is wrong and how to mend it, if a brace is not closed or a field is unknown.
    pub fn parse(text: &str, layout: &Layout) -> Result<Self, (usize, String, String)> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let at = text.len() - rest.len() + open;
            let Some(length) = rest[open..].find('}') else {
                return Err((at, "a brace is not closed".into(), "write {customer.name_of_a_feature}".into()));
            };
            let name = rest[open + 1..open + length].trim();
            let Some(field) = layout.index(name) else {
                let hint = layout.nearest(name).map_or_else(String::new, |near| format!("did you mean {near}?"));
                return Err((at + 1, format!("unknown field {name}"), hint));
            };
            parts.push(Part::Text(rest[..open].into()));
            parts.push(Part::Field(field));
            rest = &rest[open + length + 1..];
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self { parts })
    }

    /// The text with the fields filled in; nothing if one of them is missing.
    #[must_use]
    pub fn render(&self, layout: &Layout, fields: &[f32]) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(field) => text.push_str(&display(&layout.fields()[*field].kind, fields[*field])?),
            }
        }
        Some(text)
    }
}

/// A value in words: whole numbers without decimals, others with two, categories by their word.
pub(super) fn display(kind: &FieldKind, value: f32) -> Option<String> {
    if value.is_nan() {
        return None;
    }
    Some(match kind {
        FieldKind::Number if value.fract() == 0.0 => format!("{value:.0}"),
        FieldKind::Number => format!("{value:.2}"),
        FieldKind::Bool => (if value == 0.0 { "no" } else { "yes" }).into(),
        FieldKind::Category(words) => words.get(value as usize)?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Field;

    fn layout() -> Layout {
        Layout::new(vec![
            Field { name: "customer.years".into(), kind: FieldKind::Number },
            Field { name: "customer.city".into(), kind: FieldKind::Category(vec!["Aarhus".into()]) },
        ])
    }

    #[test]
    fn fields_are_filled_in_and_a_missing_one_drops_the_reason() {
        let template = Template::parse("{customer.years} years in {customer.city}!", &layout()).unwrap();
        assert_eq!(template.render(&layout(), &[3.0, 0.0]).unwrap(), "3 years in Aarhus!");
        assert_eq!(template.render(&layout(), &[3.25, 0.0]).unwrap(), "3.25 years in Aarhus!");
        assert_eq!(template.render(&layout(), &[f32::NAN, 0.0]), None);
    }

    #[test]
    fn bad_templates_say_where_and_what_was_meant() {
        let (at, message, hint) = Template::parse("for {customer.yeers} years", &layout()).unwrap_err();
        assert_eq!(
            (at, message.as_str(), hint.as_str()),
            (5, "unknown field customer.yeers", "did you mean customer.years?")
        );
        assert_eq!(Template::parse("for {customer.years", &layout()).unwrap_err().0, 4);
    }
}
