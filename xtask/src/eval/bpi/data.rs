//! The work events of loan applications. The row number is the `message_id`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::{civil::DateTime, tz::TimeZone};
use prost_types::Timestamp;
use serde::Deserialize;
use tactful_proto::v1::{Event, EventType, IngestItem, ingest_item::Item};

const CHANNEL: &str = "desk";

/// One piece of work on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) case: String,
    /// Kind of work, 1 to 6.
    pub(super) activity: u8,
    /// When it was complete, seconds since 1970.
    pub(super) time_s: i64,
}

/// A row as it stands; other columns would be another file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "CaseID")]
    case: String,
    #[serde(rename = "ActivityID")]
    activity: u8,
    #[serde(rename = "CompleteTimestamp")]
    time: String,
}

/// Reads all rows in order.
pub(super) fn read(file: &Path) -> Result<Vec<Work>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| file.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Work>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize::<Row>().enumerate();
    let works: Vec<Work> =
        rows.map(|(number, row)| work(row?).with_context(|| format!("row {}", number + 1))).collect::<Result<_>>()?;
    ensure!(!works.is_empty(), "no events");
    Ok(works)
}

/// Times are without a zone and taken as UTC.
fn work(row: Row) -> Result<Work> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", &row.time).ok();
    let time = time.with_context(|| format!("\"{}\" is no time", row.time))?;
    let time_s = time.to_zoned(TimeZone::UTC).ok().context("the time is out of range")?.timestamp().as_second();
    Ok(Work { case: row.case, activity: row.activity, time_s })
}

/// Subject id of a case's customer: the data know no other.
pub(super) fn subject(case: &str) -> String {
    format!("applicant:{case}")
}

/// The matter of a case.
pub(super) fn matter(case: &str) -> String {
    format!("application:{case}")
}

impl Work {
    /// The event of this work, which stands at `row`.
    pub(super) fn event(&self, row: usize) -> IngestItem {
        IngestItem {
            item: Some(Item::Event(Event {
                message_id: row.to_string(),
                subject_id: subject(&self.case),
                r#type: EventType::Track.into(),
                name: format!("Work {}", self.activity),
                event_time: Some(Timestamp { seconds: self.time_s, nanos: 0 }),
                channel: CHANNEL.into(),
                matter_id: matter(&self.case),
                ..Event::default()
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "CaseID,ActivityID,CompleteTimestamp\n173688,3,2011-10-01 19:45:13\n173691,5,2011-10-10 00:00:00\n";

    #[test]
    fn rows_are_read_as_utc() {
        let works = parse(TEXT).unwrap();
        assert_eq!(works[0], Work { case: "173688".into(), activity: 3, time_s: 1_317_498_313 });
        let Some(Item::Event(event)) = works[0].event(5).item else { panic!("an event") };
        assert_eq!((event.message_id.as_str(), event.subject_id.as_str()), ("5", "applicant:173688"));
        assert_eq!((event.name.as_str(), event.matter_id.as_str()), ("Work 3", "application:173688"));
    }

    #[test]
    fn broken_rows_are_named() {
        for row in ["173688,3", "173688,x,2011-10-01 19:45:13", "173688,3,2011-13-01 19:45:13"] {
            let text = format!("CaseID,ActivityID,CompleteTimestamp\n{row}\n");
            assert!(parse(&text).is_err(), "{row}");
        }
        assert!(parse("Case,Activity\n1,2\n").is_err());
        assert!(parse("CaseID,ActivityID,CompleteTimestamp\n").is_err());
    }
}
