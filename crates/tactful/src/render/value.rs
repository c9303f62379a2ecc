//! The pieces that every message is made of: values, times, enum names, numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tactful_proto::v1::{Factors, Value, value::Kind};

/// A value as JSON; an unset one is null.
pub(super) fn json(value: &Value) -> Json {
    match &value.kind {
        Some(Kind::Number(number)) => Json::from(*number),
        Some(Kind::Text(text)) => Json::from(text.as_str()),
        Some(Kind::Flag(flag)) => Json::from(*flag),
        None => Json::Null,
    }
}

/// A value as text; an unset one is a dash.
pub(super) fn text(value: Option<&Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Number(number)) => trimmed(*number),
        Some(Kind::Text(text)) => text.clone(),
        Some(Kind::Flag(flag)) => flag.to_string(),
        None => "-".into(),
    }
}

/// Named values, as a model reads them, as a JSON object.
pub(super) fn map(values: &BTreeMap<String, Value>) -> Json {
    Json::Object(values.iter().map(|(name, value)| (name.clone(), as_read(value))).collect())
}

/// Named texts as a JSON object.
pub(super) fn texts(values: &BTreeMap<String, String>) -> Json {
    Json::Object(values.iter().map(|(name, text)| (name.clone(), Json::from(text.as_str()))).collect::<Map<_, _>>())
}

/// A single-precision number with its own shortest digits, not those of its double; null if not finite.
pub(super) fn real(number: f32) -> Json {
    number.to_string().parse::<f64>().map_or(Json::Null, Json::from)
}

/// A number that a model read in single precision, with its own shortest digits; any other as it is.
pub(super) fn as_read(value: &Value) -> Json {
    match value.kind {
        Some(Kind::Number(number)) if f64::from(number as f32) == number => real(number as f32),
        _ => json(value),
    }
}

/// A time in RFC 3339, null if there is none.
pub(super) fn time(time: Option<&prost_types::Timestamp>) -> Json {
    stamp(time).map_or(Json::Null, |stamp| Json::from(stamp.to_string()))
}

/// A time to the second, a dash if there is none.
pub(super) fn time_text(time: Option<&prost_types::Timestamp>) -> String {
    stamp(time).map_or("-".into(), |stamp| stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn stamp(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// How long before `now` a time was, in one unit; empty if there is none.
pub(super) fn ago(time: Option<&prost_types::Timestamp>, now: Option<&prost_types::Timestamp>) -> String {
    let (Some(time), Some(now)) = (time, now) else { return String::new() };
    let seconds = now.seconds - time.seconds;
    match seconds {
        ..0 => "in the future".into(),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// An enum's name without its prefix, in lower case; null for the unspecified one.
pub(super) fn name(name: &'static str, prefix: &str) -> Json {
    match word(name, prefix) {
        word if word == "unspecified" => Json::Null,
        word => Json::from(word),
    }
}

/// An enum's name without its prefix, in lower case.
pub(super) fn word(name: &'static str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// A count with its noun.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Words in lines of a terminal's width, set apart by commas; nothing at all without words.
pub(super) fn wrapped<'a>(words: impl Iterator<Item = &'a str>, indent: &str) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    let mut column = 0;
    for word in words {
        let length = word.chars().count() + 2;
        if out.is_empty() {
            out.push_str(indent);
        } else if column + length > WIDTH {
            out += &format!(",\n{indent}");
            column = 0;
        } else {
            out.push_str(", ");
        }
        out.push_str(word);
        column += length;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The four factors as JSON; null if it was not scored.
pub(super) fn factors(factors: Option<&Factors>) -> Json {
    factors.map_or(Json::Null, |factors| {
        serde_json::json!({
            "acceptance_probability": real(factors.acceptance_probability),
            "value": real(factors.value),
            "context_weight": real(factors.context_weight),
            "lever": real(factors.lever),
        })
    })
}

/// The four factors as the product that they are.
pub(super) fn product(factors: Option<&Factors>) -> String {
    factors.map_or(String::new(), |f| {
        format!("P {:.4} x V {:.2} x C {:.2} x L {:.2}", f.acceptance_probability, f.value, f.context_weight, f.lever)
    })
}

/// A number without needless zeros: at most four decimals.
pub(super) fn trimmed(number: f64) -> String {
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" || text.is_empty() { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_own_digits() {
        assert_eq!(real(0.1).to_string(), "0.1");
        assert_eq!(real(f32::NAN), Json::Null);
        let number = |number: f64| as_read(&Value { kind: Some(Kind::Number(number)) }).to_string();
        assert_eq!(number(f64::from(34.9_f32)), "34.9");
        assert_eq!(number(123_456_789.25), "123456789.25", "more digits than single precision has");
        assert_eq!(trimmed(3.0), "3");
        assert_eq!(trimmed(-0.00001), "0");
        assert_eq!(trimmed(100.0), "100");
        assert_eq!(trimmed(0.123_45), "0.1235");
    }

    #[test]
    fn times_are_rfc_3339() {
        let stamp = prost_types::Timestamp { seconds: 1_777_629_600, nanos: 250_000_000 };
        assert_eq!(time(Some(&stamp)), Json::from("2026-05-01T10:00:00.25Z"));
        assert_eq!(time_text(Some(&stamp)), "2026-05-01 10:00:00Z");
        assert_eq!(time(None), Json::Null);
        let beyond = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(time(Some(&beyond)), Json::Null, "a time beyond all calendars is none");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([plural(0, "input"), plural(1, "input"), plural(2, "input")], ["0 inputs", "1 input", "2 inputs"]);
    }

    #[test]
    fn words_wrap_at_the_width_of_a_terminal() {
        let words = vec!["nine_char"; 30];
        let text = wrapped(words.into_iter(), "  ");
        assert!(text.lines().all(|line| line.len() <= 102 && line.starts_with("  nine")), "{text}");
        assert_eq!(text.matches("nine_char").count(), 30);
        assert!(text.ends_with("nine_char\n") && text.lines().count() == 4, "{text}");
        assert_eq!(wrapped(std::iter::empty(), "  "), "");
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        let told = |seconds| ago(Some(&at(0)), Some(&at(seconds)));
        assert_eq!(
            [told(5), told(300), told(7_200), told(864_000)],
            ["5 s ago", "5 min ago", "2 h ago", "10 days ago"]
        );
        assert_eq!(told(-1), "in the future");
    }
}
