//! How a feature comes about, in plain words for people.
//!
//! It refuses to check anything: it is asked about definitions that passed.

use super::entry::outcome_text;
use crate::catalog::{Aggregate, FeatureDef, Unit};

/// How a feature comes about, in plain words.
pub(crate) fn derivation(def: &FeatureDef) -> String {
    use Aggregate as A;
    let source = source_words(def);
    let own = if def.outcome.is_some() { "value of " } else { "" };
    let value = match &def.value {
        Some(property) if def.outcome.is_none() => format!("{property} of {source}"),
        _ => format!("{own}{source}"),
    };
    let half_life = def.half_life.map_or_else(String::new, |half_life| half_life.to_string());
    let mut words = match def.aggregate {
        A::Count => format!("number of {source}"),
        A::Sum => format!("sum of {value}"),
        A::DecayedCount => format!("number of {source}, each counting half after {half_life}"),
        A::DecayedSum => format!("sum of {value}, each counting half after {half_life}"),
        A::Min => format!("smallest {value}"),
        A::Max => format!("greatest {value}"),
        A::Last => format!("latest {value}"),
        A::First => format!("earliest {value}"),
        A::SinceLast => format!("{} since the latest {source}", unit(def.unit).1),
        A::Flag if def.value.is_none() && def.trait_name.is_none() => format!("whether there was {source}"),
        A::Flag => format!("latest {value}, true or false"),
        A::WindowedCount => {
            format!(
                "number of {source} in the last {}",
                def.window.map_or_else(String::new, |window| window.to_string())
            )
        }
    };
    if let Some(max_age) = def.max_age {
        words.push_str(&format!("; stale after {max_age}"));
    }
    words
}

fn source_words(def: &FeatureDef) -> String {
    let named = |kind: &str, name: &str| {
        if name == "*" { format!("any {kind}") } else { format!("{kind} \"{}\"", name.trim()) }
    };
    let mut words = if let Some(name) = &def.event {
        named("event", name)
    } else if let Some(name) = &def.trait_name {
        named("trait", name)
    } else if let Some(name) = &def.page {
        named("page", name)
    } else if let Some(name) = &def.screen {
        named("screen", name)
    } else if let Some(outcome) = def.outcome {
        named("outcome", outcome_text(outcome))
    } else {
        String::new()
    };
    if let Some(action) = &def.action {
        words.push_str(&format!(" of action \"{action}\""));
    }
    for (index, (key, text)) in def.filter.iter().enumerate() {
        let joint = if index == 0 { "where" } else { "and" };
        words.push_str(&format!(" {joint} {key} = \"{text}\""));
    }
    words
}

/// Seconds and name of a unit.
pub(crate) fn unit(unit: Unit) -> (u32, &'static str) {
    match unit {
        Unit::Seconds => (1, "seconds"),
        Unit::Minutes => (60, "minutes"),
        Unit::Hours => (3_600, "hours"),
        Unit::Days => (86_400, "days"),
    }
}
