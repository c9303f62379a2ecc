//! Parsers of single option values. Each refuses with the way to write it right; clap adds the
//! option's name and ends with exit code 2.

use jiff::Timestamp;
use tactful_core::limits::COUNT_MAX;
use tactful_proto::v1;

/// A placement and how many actions it shows; a count of 0 takes the catalogue's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacementSpec {
    pub(crate) id: String,
    pub(crate) count: i32,
}

/// A named value of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) key: String,
    pub(crate) value: v1::Value,
}

/// `ID` or `ID:COUNT`, the count from 1 to the most that a placement shows.
pub(super) fn placement(text: &str) -> Result<PlacementSpec, String> {
    let (id, count) = match text.rsplit_once(':') {
        None => (text, 0),
        Some((id, count)) => (id, parse_count(count)?),
    };
    if id.is_empty() {
        return Err("the placement's id is empty; write ID or ID:COUNT, for example web_home:3".into());
    }
    Ok(PlacementSpec { id: id.into(), count })
}

fn parse_count(text: &str) -> Result<i32, String> {
    match text.parse::<i32>() {
        Ok(count) if count >= 1 && usize::try_from(count).is_ok_and(|count| count <= COUNT_MAX) => Ok(count),
        _ => {
            Err(format!("`{text}` is not a count from 1 to {COUNT_MAX}; write ID or ID:COUNT, for example web_home:3"))
        }
    }
}

/// `KEY=VALUE`: a number or truth value where it reads as one, else text; quotes force text.
pub(super) fn assignment(text: &str) -> Result<Assignment, String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or("write KEY=VALUE, for example topic=billing")?;
    Ok(Assignment { key: key.trim().into(), value: v1::Value { kind: Some(kind(value.trim())?) } })
}

fn kind(text: &str) -> Result<v1::value::Kind, String> {
    use v1::value::Kind;
    if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Ok(Kind::Text(quoted.into()));
    }
    match (text, text.parse::<f64>()) {
        ("true", _) => Ok(Kind::Flag(true)),
        ("false", _) => Ok(Kind::Flag(false)),
        (_, Ok(number)) if number.is_finite() => Ok(Kind::Number(number)),
        (_, Ok(_)) => Err(format!("`{text}` is not a finite number; quote it (\"{text}\") if it is meant as text")),
        (_, Err(_)) => Ok(Kind::Text(text.into())),
    }
}

/// A time with its zone, as RFC 3339 writes it.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a time with its zone, for example 2026-05-01T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::value::Kind;

    #[test]
    fn placements_take_an_optional_count() {
        assert_eq!(placement("web_home").unwrap(), PlacementSpec { id: "web_home".into(), count: 0 });
        assert_eq!(placement("web_home:3").unwrap(), PlacementSpec { id: "web_home".into(), count: 3 });
        for bad in ["", ":3", "web_home:0", "web_home:-1", "web_home:21", "web_home:x", "web_home:"] {
            assert!(placement(bad).unwrap_err().contains("web_home:3"), "{bad} passed");
        }
    }

    #[test]
    fn assignments_read_numbers_truth_values_and_text() {
        let read = |text: &str| assignment(text).map(|found| found.value.kind.expect("a kind"));
        assert_eq!(read("a=4.5"), Ok(Kind::Number(4.5)));
        assert_eq!(read("a=true"), Ok(Kind::Flag(true)));
        assert_eq!(read("a=billing"), Ok(Kind::Text("billing".into())));
        assert_eq!(read("a=\"4\""), Ok(Kind::Text("4".into())));
        assert_eq!(read("a=b=c"), Ok(Kind::Text("b=c".into())));
        assert!(read("a=NaN").unwrap_err().contains("not a finite number"));
        assert!(read("a=inf").unwrap_err().contains("not a finite number"));
        assert!(read("nothing").unwrap_err().contains("KEY=VALUE"));
        assert!(read("=1").unwrap_err().contains("KEY=VALUE"));
    }

    #[test]
    fn a_time_needs_its_zone() {
        assert!(time("2026-05-01T10:00:00Z").is_ok());
        assert!(time("2026-05-01T10:00:00").unwrap_err().contains("zone"));
    }
}
