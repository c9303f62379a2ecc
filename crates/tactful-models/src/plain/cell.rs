//! One cell of a plain table and what it may mean.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use tactful_proto::v1::value::Kind;

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// Text that may mean a number or a truth value, as in a CSV.
    Raw(&'a str),
    /// Text that means text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// A truth value.
    Flag(bool),
    /// A moment, microseconds since 1970.
    Time(i64),
}

impl Cell<'_> {
    /// Whether it stands for no value.
    pub(super) fn is_missing(self, words: &[String]) -> bool {
        match self {
            Self::Missing => true,
            Self::Number(number) if number.is_nan() => true,
            Self::Raw(text) | Self::Text(text) => words.iter().any(|word| word == text),
            Self::Number(_) | Self::Flag(_) | Self::Time(_) => false,
        }
    }

    /// Whether it is one of these words; `1.0` is `1`.
    pub(super) fn is_one_of(self, words: &[String]) -> bool {
        let text = self.word();
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Raw(text) => text.parse::<f64>().ok(),
            _ => None,
        };
        words.iter().any(|word| *word == text || number.is_some_and(|number| word.parse() == Ok(number)))
    }

    /// As a word: an id, a category.
    pub(super) fn word(self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Raw(text) | Self::Text(text) => text.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Time(micros) => micros.to_string(),
        }
    }

    /// As the value of an input.
    pub(super) fn value(self) -> Result<Kind, String> {
        match self {
            Self::Raw(text) if text.eq_ignore_ascii_case("true") => Ok(Kind::Flag(true)),
            Self::Raw(text) if text.eq_ignore_ascii_case("false") => Ok(Kind::Flag(false)),
            Self::Raw(text) => match text.parse::<f64>() {
                Ok(number) => finite(number),
                Err(_) => Ok(Kind::Text(text.to_owned())),
            },
            Self::Text(text) => Ok(Kind::Text(text.to_owned())),
            Self::Number(number) => finite(number),
            Self::Flag(flag) => Ok(Kind::Flag(flag)),
            Self::Time(_) => Err("a time is no input: leave the column out, or name it as time".into()),
            Self::Missing => Err("there is no value".into()),
        }
    }

    /// As a moment: RFC 3339, a date, a date with a time (both taken as UTC), or a number since 1970.
    pub(super) fn time(self) -> Result<prost_types::Timestamp, String> {
        let micros = match self {
            Self::Time(micros) => micros,
            Self::Number(number) => since_1970(number)?,
            Self::Raw(text) | Self::Text(text) => match text.parse::<f64>() {
                Ok(number) => since_1970(number)?,
                Err(_) => moment(text)?.as_microsecond(),
            },
            Self::Missing | Self::Flag(_) => return Err(NO_TIME.into()),
        };
        // The years of a protobuf timestamp are 1 to 9999; a column of times beyond is of another unit.
        if !(-62_135_596_800_000_000..253_402_300_800_000_000).contains(&micros) {
            return Err(NO_TIME.into());
        }
        let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).map_err(|_| NO_TIME.to_owned())?;
        Ok(prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos })
    }

    /// As a chance above 0 and at most 1.
    pub(super) fn probability(self) -> Result<f64, String> {
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Raw(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| *number > 0.0 && *number <= 1.0)
            .ok_or_else(|| "no chance: a number above 0 and at most 1 is expected".into())
    }
}

const NO_TIME: &str = "no time: RFC 3339, a date, or a number of seconds or milliseconds since 1970 is expected";

fn finite(number: f64) -> Result<Kind, String> {
    if number.is_finite() {
        Ok(Kind::Number(number))
    } else {
        Err("a number that is not finite: list what stands for no value under missing".into())
    }
}

/// Microseconds of a number since 1970. Its size tells the unit: seconds below 1e11 (the year 5138),
/// milliseconds below 1e14, microseconds below 1e17, else nanoseconds.
fn since_1970(number: f64) -> Result<i64, String> {
    let size = number.abs();
    let micros = match size {
        _ if !size.is_finite() => return Err(NO_TIME.into()),
        _ if size < 1e11 => number * 1e6,
        _ if size < 1e14 => number * 1e3,
        _ if size < 1e17 => number,
        _ => number / 1e3,
    };
    Ok(micros.round() as i64)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    let zoned = civil.ok().and_then(|civil| civil.to_zoned(TimeZone::UTC).ok());
    zoned.map(|zoned| zoned.timestamp()).ok_or_else(|| NO_TIME.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        for text in [
            "2026-05-01T10:00:00Z",
            "2026-05-01T12:00:00+02:00",
            "2026-05-01T10:00:00",
            "2026-05-01 10:00:00",
            "1777629600",
            "1777629600000",
            "1777629600000000",
            "1777629600000000000",
        ] {
            let time = Cell::Raw(text).time();
            assert_eq!(time.map(|time| (time.seconds, time.nanos)), Ok((1_777_629_600, 0)), "{text}");
        }
        assert_eq!(Cell::Text("2026-05-01").time().map(|time| time.seconds), Ok(1_777_593_600));
        assert_eq!(Cell::Time(-1).time().map(|time| (time.seconds, time.nanos)), Ok((-1, 999_999_000)));
        for text in ["soon", "01/05/2026", "2026-13-01", "nan", "inf", "1e300", ""] {
            assert!(Cell::Raw(text).time().is_err(), "{text}");
        }
        assert!(Cell::Time(i64::MAX).time().is_err() && Cell::Flag(true).time().is_err());
    }

    #[test]
    fn raw_cells_mean_what_they_look_like_and_typed_ones_what_they_are() {
        assert_eq!(Cell::Raw("1e3").value(), Ok(Kind::Number(1_000.0)));
        assert_eq!(Cell::Raw("True").value(), Ok(Kind::Flag(true)));
        assert_eq!(Cell::Raw("12a").value(), Ok(Kind::Text("12a".into())));
        assert_eq!(Cell::Text("12").value(), Ok(Kind::Text("12".into())));
        assert!(Cell::Raw("inf").value().is_err() && Cell::Number(f64::INFINITY).value().is_err());
        assert!(Cell::Time(0).value().unwrap_err().contains("leave the column out"));
    }

    #[test]
    fn answers_are_compared_as_words_and_as_numbers() {
        let words = ["1", "yes"].map(str::to_owned);
        for cell in [Cell::Raw("1"), Cell::Raw("1.0"), Cell::Number(1.0), Cell::Text("yes")] {
            assert!(cell.is_one_of(&words), "{cell:?}");
        }
        for cell in [Cell::Raw("0"), Cell::Raw("Yes"), Cell::Number(f64::NAN), Cell::Flag(true)] {
            assert!(!cell.is_one_of(&words), "{cell:?}");
        }
        assert!(Cell::Flag(true).is_one_of(&["true".to_owned()]));
    }

    #[test]
    fn a_chance_is_above_0_and_at_most_1() {
        assert_eq!(Cell::Raw("0.25").probability(), Ok(0.25));
        for cell in [Cell::Raw("0"), Cell::Raw("1.1"), Cell::Raw("nan"), Cell::Number(-0.1), Cell::Text("0.5")] {
            assert!(cell.probability().is_err(), "{cell:?}");
        }
    }
}
