//! The purchases as events.
//!
//! The row number is the `message_id`: identical rows are real purchases, and a repeat is one row sent twice.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use jiff::{civil::Date, tz::TimeZone};
use prost_types::Timestamp;
use tactful_proto::v1::{Event, EventType, IngestItem, Value, ingest_item::Item, value::Kind};

/// Name of the tracked event.
pub(super) const EVENT: &str = "Order Completed";

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Purchase {
    pub(super) customer: String,
    /// Midnight UTC of its date, seconds since 1970.
    pub(super) time_s: i64,
    pub(super) cents: i64,
}

/// Reads all rows in order.
pub(super) fn read(file: &Path) -> Result<Vec<Purchase>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| file.display().to_string())
}

/// Columns divided by blanks: customer, date (YYYYMMDD), CDs, dollars. The first line names them.
fn parse(text: &str) -> Result<Vec<Purchase>> {
    let rows = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
    let purchases: Vec<Purchase> = rows
        .map(|(number, line)| purchase(line).with_context(|| format!("line {}", number + 1)))
        .collect::<Result<_>>()?;
    ensure!(!purchases.is_empty(), "no purchases");
    Ok(purchases)
}

fn purchase(line: &str) -> Result<Purchase> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [customer, date, _cds, dollars] = fields[..] else { anyhow::bail!("{} fields instead of 4", fields.len()) };
    let date = Date::strptime("%Y%m%d", date).ok().with_context(|| format!("\"{date}\" is no date"))?;
    let time_s = date.to_zoned(TimeZone::UTC).ok().context("the date is out of range")?.timestamp().as_second();
    let cents = cents(dollars).with_context(|| format!("\"{dollars}\" is no amount"))?;
    Ok(Purchase { customer: customer.to_owned(), time_s, cents })
}

/// Exact: no float is involved. Two decimals, as all rows have.
fn cents(dollars: &str) -> Option<i64> {
    let (whole, part) = dollars.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() != 2 {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

impl Purchase {
    /// The event of this purchase, which stands at `row`.
    pub(super) fn event(&self, row: usize) -> IngestItem {
        let total = Value { kind: Some(Kind::Number(self.cents as f64 / 100.0)) };
        IngestItem {
            item: Some(Item::Event(Event {
                message_id: row.to_string(),
                subject_id: self.customer.clone(),
                r#type: EventType::Track.into(),
                name: EVENT.into(),
                event_time: Some(Timestamp { seconds: self.time_s, nanos: 0 }),
                source: "shop".into(),
                properties: [("total".to_owned(), total)].into(),
                ..Event::default()
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = " customer_id  date number_of_cds  dollar_value\r\n 00001 19970101  1   11.77\r\n 00002 19970112  5  1277.00\r\n\r\n";

    #[test]
    fn rows_are_read_to_the_cent() {
        let purchases = parse(TEXT).unwrap();
        assert_eq!(purchases[0], Purchase { customer: "00001".into(), time_s: 852_076_800, cents: 1_177 });
        assert_eq!(purchases[1].cents, 127_700);
        let Some(Item::Event(event)) = purchases[0].event(5).item else { panic!("an event") };
        assert_eq!((event.message_id.as_str(), event.subject_id.as_str()), ("5", "00001"));
        assert_eq!(event.properties["total"].kind, Some(Kind::Number(11.77)));
    }

    #[test]
    fn broken_rows_are_named_by_line() {
        for row in ["00001 19970101 1", "00001 19971301 1 1.00", "00001 19970101 1 1.0", "00001 19970101 1 -1.00"] {
            let error = parse(&format!("header\n{row}\n")).unwrap_err();
            assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        }
        assert!(parse("header\n").is_err());
    }
}
