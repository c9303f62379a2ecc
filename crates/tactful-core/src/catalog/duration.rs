//! Durations as people write them: `90s`, `15m`, `12h`, `7d`, `2w`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A span of time, 1 second to 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(u32);

const SECONDS_MAX: u64 = 100 * 366 * 86_400;
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Duration {
    /// A duration of some seconds, at least 1.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        assert!(seconds > 0);
        Self(seconds)
    }

    /// Length in seconds, at least 1.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl TryFrom<String> for Duration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused =
            || format!("\"{text}\" is not a duration: write a whole number and s, m, h, d or w, for example \"7d\"");
        let unit = text.chars().last().ok_or_else(refused)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let count: u64 = text[..text.len() - 1].parse().map_err(|_| refused())?;
        let seconds = count.checked_mul(*factor).filter(|s| (1..=SECONDS_MAX).contains(s)).ok_or_else(refused)?;
        Ok(Self(seconds as u32))
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u64::from(self.0);
        // People say 7 days and 2 weeks.
        let usual = |(_, factor): &&(char, u64)| *factor < 604_800 || seconds > 604_800;
        let mut units = UNITS.iter().filter(usual);
        let (name, factor) = units.find(|(_, factor)| seconds.is_multiple_of(*factor)).unwrap_or(&('s', 1));
        write!(f, "{}{name}", seconds / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("3w", 1_814_400)] {
            let duration = Duration::try_from(text.to_owned()).unwrap();
            assert_eq!((duration.seconds(), duration.to_string().as_str()), (seconds, text));
        }
        for text in ["", "d", "0d", "-1d", "1.5h", "7 d", "7days", "99999999w"] {
            assert!(Duration::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
