//! The foreign file's columns in the words of the catalogue: one spec for each, in the file's order.
//! From them come the inputs of the model, its columns, and the way from a foreign row to inputs.

use std::collections::BTreeMap;

use tactful_core::layout::FieldKind;
use tactful_core::limits::{COLUMNS_MAX, FIELDS_MAX, ID_BYTES_MAX, TEXT_BYTES_MAX, VOCABULARY_MAX};
use tactful_core::score::{Column, ModelInput};

/// What one column of the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The input itself.
    Value,
    /// 1 if the input is this word.
    Word(u32),
    /// 1 if the input is missing.
    Missing,
}

/// Columns of the file, each with its input.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) inputs: Vec<ModelInput>,
    /// By column of the file: index of its input, and what it holds.
    pub(super) columns: Vec<(usize, Kind)>,
    specs: Vec<String>,
}

/// A spec taken apart.
enum Spec<'a> {
    Number(&'a str),
    Flag(&'a str),
    Word(&'a str, &'a str),
    Missing(&'a str),
}

impl Columns {
    /// Reads the specs.
    ///
    /// # Errors
    /// Names the spec that is wrong, comes twice, or contradicts another.
    pub(super) fn of(specs: &[String]) -> Result<Self, String> {
        if specs.len() > COLUMNS_MAX {
            return Err(format!("{} columns, at most {COLUMNS_MAX} are allowed", specs.len()));
        }
        let mut found = Self { inputs: Vec::new(), columns: Vec::new(), specs: specs.to_vec() };
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        // A mark of what is missing says nothing of the kind, so it comes after the others.
        let mut later = Vec::new();
        for (at, text) in specs.iter().enumerate() {
            let told = |reason: String| format!("column {} ({}): {reason}", at + 1, shown(text));
            let spec = parse(text).map_err(told)?;
            let name = spec.name().to_owned();
            let input = *index.entry(name.clone()).or_insert(found.inputs.len());
            if input == found.inputs.len() {
                // The kind of a category is completed word by word, that of a lone mark is a number's.
                found.inputs.push(ModelInput { name, kind: FieldKind::Category(Vec::new()) });
            }
            match spec {
                Spec::Missing(_) => {
                    later.push(input);
                    found.columns.push((input, Kind::Missing));
                }
                spec => {
                    let kind = found.take(input, spec).map_err(told)?;
                    found.columns.push((input, kind));
                }
            }
        }
        found.finish(&later)?;
        Ok(found)
    }

    /// Takes what a spec says of its input.
    fn take(&mut self, input: usize, spec: Spec<'_>) -> Result<Kind, String> {
        let known = self.columns.iter().any(|(other, kind)| *other == input && *kind != Kind::Missing);
        let kind = &mut self.inputs[input].kind;
        let plain = match (spec, kind) {
            (Spec::Word(_, word), FieldKind::Category(words)) => {
                if words.iter().any(|other| other == word) {
                    return Err("the column comes twice".into());
                }
                if words.len() == VOCABULARY_MAX {
                    return Err(format!("more than {VOCABULARY_MAX} words of one category"));
                }
                words.push(word.to_owned());
                return Ok(Kind::Word(words.len() as u32 - 1));
            }
            (Spec::Word(..), _) => return Err("it is a number or bool in another column".into()),
            (Spec::Flag(_), _) => FieldKind::Bool,
            (Spec::Number(_) | Spec::Missing(_), _) => FieldKind::Number,
        };
        if known {
            let category = matches!(self.inputs[input].kind, FieldKind::Category(_));
            let reason = if category { "it is a category in another column" } else { "the column comes twice" };
            return Err(reason.into());
        }
        self.inputs[input].kind = plain;
        Ok(Kind::Value)
    }

    /// Counts inputs, and settles the kind of those with a mark of what is missing alone.
    fn finish(&mut self, marks: &[usize]) -> Result<(), String> {
        if self.inputs.len() > FIELDS_MAX {
            return Err(format!("{} fields, at most {FIELDS_MAX} are allowed", self.inputs.len()));
        }
        let mut marked = vec![false; self.inputs.len()];
        for input in marks {
            let about = &mut self.inputs[*input];
            if std::mem::replace(&mut marked[*input], true) {
                return Err(format!("the column {}? comes twice", about.name));
            }
            if about.kind == FieldKind::Category(Vec::new()) {
                about.kind = FieldKind::Number;
            }
        }
        Ok(())
    }

    /// The columns as trees read them: missing stays missing, unless something takes its place.
    pub(super) fn for_trees(&self, fills: &[f32]) -> Vec<Column> {
        let column = |(at, (input, kind)): (usize, &(usize, Kind))| match (kind, fills.get(at)) {
            (Kind::Value, None) => Column::Value { input: *input },
            (Kind::Value, Some(fill)) => {
                Column::Number { input: *input, fill: *fill, low: f32::NEG_INFINITY, high: f32::INFINITY }
            }
            (Kind::Word(category), _) => Column::Category { input: *input, category: *category },
            (Kind::Missing, _) => Column::Missing { input: *input },
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    /// A foreign row as inputs of the model. `fills` are what takes the place of missing numbers, by column.
    ///
    /// # Errors
    /// Names the column whose value contradicts another, or cannot be.
    pub(super) fn inputs_of(&self, values: &[f32], fills: &[f32]) -> Result<Vec<f32>, String> {
        if values.len() != self.columns.len() {
            return Err(format!("has {} values, the file reads {} columns", values.len(), self.columns.len()));
        }
        let mut marks = vec![None; self.inputs.len()];
        for (at, (input, kind)) in self.columns.iter().enumerate() {
            if *kind != Kind::Value && values[at] != 0.0 && values[at] != 1.0 {
                return Err(format!("has {} in {}, which holds 0 or 1", values[at], self.shown(at)));
            }
            if *kind == Kind::Missing {
                marks[*input] = Some(values[at] == 1.0);
            }
        }
        // What nothing speaks for is missing, or a word that no column knows where a mark says that it is there.
        let unsaid = |(mark, input): (&Option<bool>, &ModelInput)| match (mark, &input.kind) {
            (Some(false), FieldKind::Category(words)) => words.len() as f32,
            (Some(false), FieldKind::Number | FieldKind::Bool) => 0.0,
            _ => f32::NAN,
        };
        let mut inputs: Vec<f32> = marks.iter().zip(&self.inputs).map(unsaid).collect();
        let mut said = vec![false; self.inputs.len()];
        for (at, (input, kind)) in self.columns.iter().enumerate() {
            let value = match kind {
                Kind::Value => self.number(at, values[at], marks[*input], fills.get(at).copied())?,
                Kind::Word(category) if values[at] == 1.0 => *category as f32,
                Kind::Word(_) | Kind::Missing => continue,
            };
            let contradicted = marks[*input] == Some(true) && *kind != Kind::Value;
            if contradicted || std::mem::replace(&mut said[*input], true) {
                return Err(format!("contradicts itself: {} is 1 beside another column of its field", self.shown(at)));
            }
            inputs[*input] = value;
        }
        Ok(inputs)
    }

    /// A number or bool, in agreement with the mark of what is missing.
    fn number(&self, at: usize, value: f32, mark: Option<bool>, fill: Option<f32>) -> Result<f32, String> {
        let name = self.shown(at);
        if value.is_infinite() {
            return Err(format!("has an infinite {name}"));
        }
        let flag = self.inputs[self.columns[at].0].kind == FieldKind::Bool;
        match mark {
            Some(false) if value.is_nan() => Err(format!("contradicts itself: {name} is missing and {name}? says 0")),
            // A library that takes no missing values was given the number that takes its place here too.
            Some(true) if value.is_nan() || Some(value) == fill => Ok(f32::NAN),
            Some(true) => Err(format!("contradicts itself: {name} is {value} and {name}? says that it is missing")),
            _ if flag && !value.is_nan() && value != 0.0 && value != 1.0 => {
                Err(format!("has {value} in {name}, which is a bool: 0 or 1"))
            }
            _ => Ok(value),
        }
    }

    fn shown(&self, at: usize) -> String {
        shown(&self.specs[at])
    }
}

impl Spec<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Number(name) | Self::Flag(name) | Self::Word(name, _) | Self::Missing(name) => name,
        }
    }
}

fn parse(text: &str) -> Result<Spec<'_>, String> {
    let text = text.trim();
    let spec = match text.split_once('=') {
        Some((_, "")) => return Err("the word after = is missing".into()),
        Some((_, word)) if word.len() > TEXT_BYTES_MAX => {
            return Err(format!("the word has {} bytes, at most {TEXT_BYTES_MAX} are allowed", word.len()));
        }
        Some((name, word)) => Spec::Word(name, word),
        None => match (text.strip_suffix('?'), text.split_once(':')) {
            (Some(name), _) => Spec::Missing(name),
            (None, Some((name, "bool"))) => Spec::Flag(name),
            (None, Some((name, "number"))) => Spec::Number(name),
            (None, Some((_, other))) => return Err(format!("{} is no kind: write number or bool", shown(other))),
            (None, None) => Spec::Number(text),
        },
    };
    let name = spec.name();
    if !(1..=ID_BYTES_MAX).contains(&name.len()) {
        return Err(format!("the field's name has {} bytes, not 1 to {ID_BYTES_MAX}", name.len()));
    }
    if text.chars().any(char::is_control) { Err("it has a control character".into()) } else { Ok(spec) }
}

/// A spec as a message shows it.
fn shown(text: &str) -> String {
    text.chars().take(ID_BYTES_MAX).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f32 = f32::NAN;

    fn columns(specs: &[&str]) -> Result<Columns, String> {
        Columns::of(&specs.iter().map(|spec| (*spec).to_owned()).collect::<Vec<_>>())
    }

    /// Inputs of a row, -9 for missing.
    fn row(specs: &[&str], values: &[f32], fills: &[f32]) -> Result<Vec<f32>, String> {
        let inputs = columns(specs).unwrap().inputs_of(values, fills)?;
        Ok(inputs.into_iter().map(|input| if input.is_nan() { -9.0 } else { input }).collect())
    }

    #[test]
    fn specs_become_inputs_with_kinds_and_vocabularies() {
        let found =
            columns(&["plan?", "age", "plan=small", "loyal:bool", "plan=large=r", "income?", "x:number"]).unwrap();
        let words = FieldKind::Category(vec!["small".into(), "large=r".into()]);
        let kinds = [words, FieldKind::Number, FieldKind::Bool, FieldKind::Number, FieldKind::Number];
        assert_eq!(found.inputs.iter().map(|input| input.kind.clone()).collect::<Vec<_>>(), kinds);
        assert_eq!(found.columns[2], (0, Kind::Word(0)));
        assert_eq!(found.columns[4], (0, Kind::Word(1)));
        assert_eq!(found.columns[5], (3, Kind::Missing));
    }

    #[test]
    fn wrong_specs_are_refused_by_name() {
        for (specs, word) in [
            (&["a", "a"][..], "comes twice"),
            (&["a", "a:bool"], "comes twice"),
            (&["a=x", "a=x"], "comes twice"),
            (&["a?", "a", "a?"], "comes twice"),
            (&["a=x", "a"], "a category in another"),
            (&["a?", "a", "a=x"], "a number or bool"),
            (&[""], "0 bytes"),
            (&["=x"], "0 bytes"),
            (&["a="], "word after ="),
            (&["a:text"], "no kind"),
            (&["a\u{7}b"], "control"),
        ] {
            let refused = columns(specs).unwrap_err();
            assert!(refused.contains(word), "{specs:?}: {refused}");
        }
        assert!(columns(&[&"x".repeat(129)]).is_err());
        let many: Vec<String> = (0..=COLUMNS_MAX).map(|at| format!("a=w{at}")).collect();
        assert!(Columns::of(&many).is_err() && Columns::of(&many[..VOCABULARY_MAX + 1]).is_err());
        let fields: Vec<String> = (0..=FIELDS_MAX).map(|at| format!("a{at}")).collect();
        assert!(Columns::of(&fields).unwrap_err().contains("1025 fields"));
    }

    #[test]
    fn rows_become_inputs() {
        let plan = ["plan=small", "plan=large"];
        assert_eq!(row(&plan, &[0.0, 1.0], &[]), Ok(vec![1.0]));
        assert_eq!(row(&plan, &[0.0, 0.0], &[]), Ok(vec![-9.0]));
        let marked = ["plan=small", "plan=large", "plan?"];
        assert_eq!(row(&marked, &[0.0, 0.0, 1.0], &[]), Ok(vec![-9.0]));
        assert_eq!(row(&marked, &[0.0, 0.0, 0.0], &[]), Ok(vec![2.0]));
        assert_eq!(row(&["age", "age?"], &[NONE, 1.0], &[]), Ok(vec![-9.0]));
        assert_eq!(row(&["age", "age?"], &[7.0, 1.0], &[7.0, 0.0]), Ok(vec![-9.0]));
        assert_eq!(row(&["age?"], &[0.0], &[]), Ok(vec![0.0]));
    }

    #[test]
    fn rows_that_contradict_themselves_are_refused() {
        let plan = ["plan=small", "plan=large", "plan?"];
        for (specs, values, word) in [
            (&plan[..], &[1.0, 1.0, 0.0][..], "contradicts"),
            (&plan, &[1.0, 0.0, 1.0], "contradicts"),
            (&plan, &[0.5, 0.0, 0.0], "0 or 1"),
            (&plan, &[NONE, 0.0, 0.0], "0 or 1"),
            (&plan, &[1.0, 0.0], "2 values"),
            (&["age", "age?"], &[NONE, 0.0], "contradicts"),
            (&["age", "age?"], &[4.0, 1.0], "contradicts"),
            (&["age"], &[f32::INFINITY], "infinite"),
            (&["loyal:bool"], &[2.0], "a bool"),
        ] {
            let refused = row(specs, values, &[]).unwrap_err();
            assert!(refused.contains(word), "{values:?}: {refused}");
        }
    }
}
