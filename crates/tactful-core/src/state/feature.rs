//! A feature compiled from its definition: source, value, rule and place in the row.
//!
//! Every parameter is checked to be there where its aggregate needs it, bounded, and absent
//! elsewhere: a parameter that would be ignored is refused.

use super::check::At;
use super::derivation::{derivation, unit};
use super::names::TextMap;
use super::schema::folded;
use super::slot::Rule;
use super::window::Window;
use super::{Slot, Value};
use crate::catalog::{Aggregate, FeatureDef, OutcomeName, Unit};
use crate::layout::{FieldKind, nearest};
use crate::limits::{BUCKETS_MAX, PROPERTIES_MAX, TEXT_BYTES_MAX, VOCABULARY_MAX};

/// A compiled feature.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Name; rules and models read `customer.<name>`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What values it takes.
    pub kind: FieldKind,
    /// Index of its purpose.
    pub purpose: usize,
    /// How it comes about, in plain words.
    pub derivation: String,
    /// Evidence older than this, in seconds, is stale.
    pub max_age_s: Option<u32>,
    pub(crate) rule: Rule,
    pub(crate) source: Source,
    pub(crate) input: Input,
    pub(crate) filter: Vec<Condition>,
    pub(crate) lateness_ms: Option<i64>,
    /// First slot in the row.
    pub(crate) offset: usize,
    /// Hash of what its slots depend on: two features that share it fold alike.
    pub(crate) stored_form: u64,
}

/// From what a feature is derived; names of events, pages and screens are folded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Track(String),
    /// `None` for any.
    Page(Option<String>),
    Screen(Option<String>),
    Trait(String),
    /// Of one action or of any.
    Outcome(OutcomeName, Option<String>),
}

/// Where the value comes from, and what is taken for one.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) from: From,
    pub(crate) taken: Taken,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum From {
    /// No value: the event counts.
    Nothing,
    /// A property.
    Property(String),
    /// The value of the trait or outcome itself.
    Own,
}

#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// A finite number, or a flag as 0 or 1.
    Number,
    /// As a number, and whether it differs from 0.
    Truth,
    /// Index in the vocabulary.
    Word(TextMap<u16>),
}

/// A property that must equal a text: numbers and flags by the text that they are written as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) key: String,
    pub(crate) text: String,
    number: Option<f64>,
    flag: Option<bool>,
}

impl Condition {
    pub(crate) fn new(key: &str, text: &str) -> Self {
        let number = text.parse::<f64>().ok().filter(|number| number.to_string() == text);
        let flag = text.parse().ok();
        Self { key: key.into(), text: text.into(), number, flag }
    }

    /// No allocation.
    pub(crate) fn holds(&self, value: Value<'_>) -> bool {
        match value {
            Value::Text(text) => text == self.text,
            Value::Number(number) => self.number == Some(number),
            Value::Flag(flag) => self.flag == Some(flag),
        }
    }
}

impl Input {
    /// The number that a value stands for, if it is one that this feature takes.
    pub(crate) fn number(&self, value: Value<'_>) -> Option<f64> {
        match (&self.taken, value) {
            (Taken::Word(words), Value::Text(text)) => words.get(text).map(|index| f64::from(*index)),
            (Taken::Word(words), Value::Number(number)) => words.get(&*number.to_string()).map(|at| f64::from(*at)),
            (Taken::Word(words), Value::Flag(flag)) => words.get(&*flag.to_string()).map(|at| f64::from(*at)),
            (_, Value::Text(_)) => None,
            (_, Value::Flag(flag)) => Some(f64::from(u8::from(flag))),
            (_, Value::Number(number)) if !number.is_finite() => None,
            (Taken::Truth, Value::Number(number)) => Some(f64::from(u8::from(number != 0.0))),
            (Taken::Number, Value::Number(number)) => Some(number),
        }
    }
}

impl Feature {
    /// Its slots in a row.
    pub(crate) fn slots<'a>(&self, row: &'a [Slot]) -> &'a [Slot] {
        &row[self.offset..self.offset + self.rule.width()]
    }

    /// Its slots in a row, to change.
    pub(crate) fn slots_mut<'a>(&self, row: &'a mut [Slot]) -> &'a mut [Slot] {
        &mut row[self.offset..self.offset + self.rule.width()]
    }
}

/// Compiles one definition; `None` if anything was refused.
pub(crate) fn compile(def: &FeatureDef, purposes: &[String], actions: &[&str], at: &mut At<'_>) -> Option<Feature> {
    let before = at.problems.len();
    at.identifier("name", &def.name);
    let source = source(def, actions, at);
    let rule = rule(def, at);
    check_value(def, at);
    check_filter(def, at);
    check_vocabulary(def, at);
    if def.max_age.is_some() && matches!(def.aggregate, Aggregate::Count | Aggregate::Sum) {
        let hint = "take a windowed_count or a decayed aggregate";
        at.refuse("max_age", format!("a {} keeps no time of its evidence", aggregate_name(def.aggregate)), hint);
    }
    let purpose = at.known_purpose(&def.purpose, purposes);
    let (source, rule, purpose) = (source?, rule?, purpose?);
    (at.problems.len() == before).then(|| Feature {
        name: def.name.clone(),
        description: def.description.clone(),
        kind: kind(def),
        purpose,
        derivation: derivation(def),
        max_age_s: def.max_age.map(crate::catalog::Duration::seconds),
        rule,
        source,
        input: input(def),
        filter: def.filter.iter().map(|(key, text)| Condition::new(key, text)).collect(),
        lateness_ms: def.lateness.map(|lateness| i64::from(lateness.seconds()) * 1_000),
        offset: 0,
        stored_form: 0,
    })
}

fn kind(def: &FeatureDef) -> FieldKind {
    match def.aggregate {
        Aggregate::Flag => FieldKind::Bool,
        Aggregate::Last if !def.vocabulary.is_empty() => FieldKind::Category(def.vocabulary.clone()),
        _ => FieldKind::Number,
    }
}

fn input(def: &FeatureDef) -> Input {
    let own =
        def.trait_name.is_some() || (def.outcome.is_some() && (def.value.is_some() || needs_value(def.aggregate)));
    let from = match &def.value {
        _ if forbids_value(def.aggregate) => From::Nothing,
        _ if own => From::Own,
        Some(property) => From::Property(property.clone()),
        None => From::Nothing,
    };
    let words = || def.vocabulary.iter().zip(0..).map(|(word, index)| (Box::from(word.as_str()), index)).collect();
    let taken = match kind(def) {
        FieldKind::Bool => Taken::Truth,
        FieldKind::Category(_) => Taken::Word(words()),
        FieldKind::Number => Taken::Number,
    };
    Input { from, taken }
}

fn source(def: &FeatureDef, actions: &[&str], at: &mut At<'_>) -> Option<Source> {
    let named = |name: &String| (name != "*").then(|| folded(name).into_owned());
    let mut given: Vec<(&'static str, Source)> = Vec::new();
    given.extend(def.event.iter().map(|name| ("event", Source::Track(folded(name).into_owned()))));
    given.extend(def.trait_name.iter().map(|name| ("trait", Source::Trait(name.clone()))));
    given.extend(def.page.iter().map(|name| ("page", Source::Page(named(name)))));
    given.extend(def.screen.iter().map(|name| ("screen", Source::Screen(named(name)))));
    given.extend(def.outcome.map(|outcome| ("outcome", Source::Outcome(outcome, def.action.clone()))));
    for (key, text) in [("event", &def.event), ("trait", &def.trait_name), ("page", &def.page), ("screen", &def.screen)]
    {
        text.iter().for_each(|text| at.text(key, text));
    }
    if def.event.as_deref() == Some("*") {
        at.refuse("event", "\"*\" is not an event name".into(), "any name goes for pages and screens alone");
    }
    check_action(def, actions, at);
    match given.len() {
        1 => given.pop().map(|(_, source)| source),
        0 => {
            let hint = "give one of event, trait, page, screen and outcome";
            at.refuse("name", format!("\"{}\" has no source", def.name), hint);
            None
        }
        _ => {
            let keys: Vec<_> = given.iter().map(|(key, _)| *key).collect();
            at.refuse(keys[1], format!("more than one source: {}", keys.join(", ")), "keep one of them");
            None
        }
    }
}

fn check_action(def: &FeatureDef, actions: &[&str], at: &mut At<'_>) {
    let Some(action) = &def.action else { return };
    if def.outcome.is_none() {
        at.refuse("action", "action goes with outcome alone".into(), "remove it, or give an outcome");
    } else if !actions.contains(&action.as_str()) {
        let hint = nearest(action, actions.iter().copied());
        let hint = hint.map_or_else(String::new, |near| format!("did you mean \"{near}\"?"));
        at.refuse("action", format!("unknown action \"{action}\""), &hint);
    }
}

fn needs_value(aggregate: Aggregate) -> bool {
    use Aggregate::{DecayedSum, First, Last, Max, Min, Sum};
    matches!(aggregate, Sum | DecayedSum | Min | Max | Last | First)
}

fn forbids_value(aggregate: Aggregate) -> bool {
    use Aggregate::{Count, DecayedCount, SinceLast, WindowedCount};
    matches!(aggregate, Count | DecayedCount | SinceLast | WindowedCount)
}

fn check_value(def: &FeatureDef, at: &mut At<'_>) {
    let name = aggregate_name(def.aggregate);
    match &def.value {
        Some(value) => {
            at.text("value", value);
            if forbids_value(def.aggregate) {
                at.refuse("value", format!("a {name} takes no value"), "remove it");
            } else if def.trait_name.is_some() {
                at.refuse("value", "a trait is its own value".into(), "remove it");
            } else if def.outcome.is_some() && value != "value" {
                at.refuse("value", format!("an outcome has no property \"{value}\""), "its value is called \"value\"");
            }
        }
        None if needs_value(def.aggregate) && def.trait_name.is_none() && def.outcome.is_none() => {
            at.refuse("value", format!("a {name} needs a value"), "name the property that holds it");
        }
        None => {}
    }
}

fn check_filter(def: &FeatureDef, at: &mut At<'_>) {
    if !def.filter.is_empty() && def.outcome.is_some() {
        at.refuse("where", "an outcome has no properties to compare".into(), "use action instead");
    }
    if def.filter.len() > PROPERTIES_MAX {
        let message = format!("where has {} conditions, at most {PROPERTIES_MAX} are allowed", def.filter.len());
        at.refuse("where", message, "");
    }
    def.filter.keys().for_each(|key| at.text("where", key));
}

fn check_vocabulary(def: &FeatureDef, at: &mut At<'_>) {
    if def.vocabulary.is_empty() {
        return;
    }
    if def.aggregate != Aggregate::Last {
        let message = format!("a {} takes no vocabulary", aggregate_name(def.aggregate));
        at.refuse("vocabulary", message, "only a last can be a category");
    }
    check_words(&def.vocabulary, at);
}

fn check_words(words: &[String], at: &mut At<'_>) {
    if words.len() > VOCABULARY_MAX {
        let message = format!("vocabulary has {} words, at most {VOCABULARY_MAX} are allowed", words.len());
        at.refuse("vocabulary", message, "");
    }
    let mut taken = std::collections::BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        if word.is_empty() || word.len() > TEXT_BYTES_MAX {
            let message = format!("a word has {} bytes, 1 to {TEXT_BYTES_MAX} are allowed", word.len());
            at.refuse_element("vocabulary", index, message, "");
        }
        if !taken.insert(word) {
            at.refuse_element("vocabulary", index, format!("\"{word}\" comes twice"), "remove one");
        }
    }
}

/// The rule with its parameters, once they are all where they belong.
fn rule(def: &FeatureDef, at: &mut At<'_>) -> Option<Rule> {
    use Aggregate as A;
    let decays = matches!(def.aggregate, A::DecayedCount | A::DecayedSum);
    let slides = def.aggregate == A::WindowedCount;
    belongs(def, at, "half_life", def.half_life.is_some(), decays);
    belongs(def, at, "window", def.window.is_some(), slides);
    belongs(def, at, "buckets", def.buckets.is_some(), slides);
    if def.aggregate != A::Sum && def.scale != 0 {
        belongs(def, at, "scale", true, false);
    } else if def.scale > 6 {
        at.refuse("scale", format!("scale is {}, at most 6 is allowed", def.scale), "");
        return None;
    }
    if def.aggregate != A::SinceLast && def.unit != Unit::default() {
        belongs(def, at, "unit", true, false);
    }
    match def.aggregate {
        A::Count => Some(Rule::Count),
        A::Sum => Some(Rule::Sum { scale: def.scale }),
        A::DecayedCount | A::DecayedSum => Some(Rule::Decayed { half_life_s: def.half_life?.seconds() }),
        A::Min => Some(Rule::Min),
        A::Max => Some(Rule::Max),
        A::First => Some(Rule::First),
        A::SinceLast => Some(Rule::Since { unit_s: unit(def.unit).0 }),
        A::Flag if def.value.is_none() && def.trait_name.is_none() => Some(Rule::Happened),
        A::Last | A::Flag => Some(Rule::Last),
        A::WindowedCount => window(def, at).map(Rule::Window),
    }
}

/// Refuses a parameter that is missing where it is needed, or given where it would be ignored.
fn belongs(def: &FeatureDef, at: &mut At<'_>, key: &'static str, given: bool, needed: bool) {
    let name = aggregate_name(def.aggregate);
    match (given, needed) {
        (true, false) => at.refuse(key, format!("a {name} takes no {key}"), "remove it"),
        (false, true) => at.refuse(key, format!("a {name} needs {key}"), ""),
        _ => {}
    }
}

fn window(def: &FeatureDef, at: &mut At<'_>) -> Option<Window> {
    let (window_s, buckets) = (def.window?.seconds(), def.buckets?);
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        at.refuse("buckets", format!("buckets is {buckets}, 1 to {BUCKETS_MAX} are allowed"), "");
        return None;
    }
    if !window_s.is_multiple_of(buckets) {
        let message = format!("{buckets} buckets do not divide {window_s} s into whole seconds");
        at.refuse("window", message, "take a multiple of the buckets");
        return None;
    }
    Some(Window { bucket_s: window_s / buckets, buckets })
}

fn aggregate_name(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Count => "count",
        Aggregate::Sum => "sum",
        Aggregate::DecayedCount => "decayed_count",
        Aggregate::DecayedSum => "decayed_sum",
        Aggregate::Min => "min",
        Aggregate::Max => "max",
        Aggregate::Last => "last",
        Aggregate::First => "first",
        Aggregate::SinceLast => "since_last",
        Aggregate::Flag => "flag",
        Aggregate::WindowedCount => "windowed_count",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_texts_numbers_and_flags_as_written() {
        let cases = [
            ("gold", Value::Text("gold"), true),
            ("gold", Value::Text("Gold"), false),
            ("3", Value::Number(3.0), true),
            ("3", Value::Text("3"), true),
            ("3.0", Value::Number(3.0), false),
            ("0.1", Value::Number(0.1), true),
            ("true", Value::Flag(true), true),
            ("true", Value::Flag(false), false),
            ("1", Value::Flag(true), false),
            ("NaN", Value::Number(f64::NAN), false),
        ];
        for (text, value, holds) in cases {
            assert_eq!(Condition::new("key", text).holds(value), holds, "{text} {value:?}");
        }
    }
}
