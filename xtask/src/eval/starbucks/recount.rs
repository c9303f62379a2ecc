//! The recount: the lines parsed by types of its own, repeats dropped as whole lines that say the same, one pass with
//! ordinary maps; and its comparison with a server's answer.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tactful_proto::v1::{GetContextResponse, value::Kind};

/// 2024-01-01T00:00:00Z: hour 0 of the data.
const HOUR_0_S: i64 = 1_704_067_200;
/// The offer whose views are counted by themselves.
const NEWS: &str = "3f207df678b143eea3cee63160fa8bed";
/// Nearer than this, an amount is the same number of cents.
const HALF_A_CENT: f64 = 0.005;
/// A value of some 30,000 hours in an f32 is exact to a few thousandths; events lie whole hours apart.
const SINCE_TOLERANCE_HOURS: f64 = 0.05;

/// A line as its producer writes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    person: String,
    event: String,
    value: LineValue,
    time: i64,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(deny_unknown_fields, default)]
struct LineValue {
    #[serde(alias = "offer id")]
    offer_id: Option<String>,
    reward: Option<i64>,
    /// As it is written: what repeats a line repeats its digits.
    amount: Option<serde_json::Number>,
}

/// What should be known of one customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recount {
    received: u32,
    viewed: u32,
    completed: u32,
    purchases: u32,
    cents: i64,
    largest_cents: Option<i64>,
    /// Hour and cents.
    last_purchase: Option<(i64, i64)>,
    rewarded: i64,
    news_viewed: u32,
    /// Hour and place in the vocabulary.
    last_viewed: Option<(i64, usize)>,
    last_completed: Option<(i64, usize)>,
}

/// What all lines come to.
#[derive(Debug, Default)]
pub(super) struct Recounted {
    /// Lines that are not blank.
    pub(super) lines: usize,
    /// Those that repeat none before.
    pub(super) distinct: usize,
    /// Every customer, by subject id.
    pub(super) customers: BTreeMap<String, Recount>,
}

/// Recounts all lines; `offers` is the vocabulary in its order.
pub(super) fn recount(text: &str, offers: &[String]) -> Result<Recounted> {
    let mut seen = HashSet::new();
    let mut recounted = Recounted::default();
    for (number, text) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(text).with_context(|| format!("line {}", number + 1))?;
        recounted.lines += 1;
        if seen.insert(line.clone()) {
            let customer = recounted.customers.entry(subject(&line.person)).or_default();
            customer.count(&line, offers).with_context(|| format!("line {}", number + 1))?;
        }
    }
    recounted.distinct = seen.len();
    Ok(recounted)
}

/// Subject id of a person.
pub(super) fn subject(person: &str) -> String {
    format!("customer:{person}")
}

impl Recount {
    fn count(&mut self, line: &Line, offers: &[String]) -> Result<()> {
        let offer = || {
            let id = line.value.offer_id.as_ref().context("no offer")?;
            Ok::<_, anyhow::Error>((
                line.time,
                offers.iter().position(|offer| offer == id).context("an unknown offer")?,
            ))
        };
        match line.event.as_str() {
            "offer received" => self.received += 1,
            "offer viewed" => {
                self.viewed += 1;
                self.last_viewed = self.last_viewed.max(Some(offer()?));
                self.news_viewed += u32::from(line.value.offer_id.as_deref() == Some(NEWS));
            }
            "offer completed" => {
                self.completed += 1;
                self.last_completed = self.last_completed.max(Some(offer()?));
                self.rewarded += line.value.reward.context("no reward")?;
            }
            "transaction" => {
                let amount = line.value.amount.as_ref().and_then(serde_json::Number::as_f64).context("no amount")?;
                let cents = (amount * 100.0).round() as i64;
                self.purchases += 1;
                self.cents += cents;
                self.largest_cents = self.largest_cents.max(Some(cents));
                self.last_purchase = self.last_purchase.max(Some((line.time, cents)));
            }
            other => bail!("an unknown event {other:?}"),
        }
        Ok(())
    }

    /// What differs, if anything.
    pub(super) fn mismatch(&self, offers: &[String], found: &GetContextResponse) -> Option<String> {
        let Some(now) = &found.server_time else { return Some("no server time".into()) };
        let now_s = now.seconds as f64 + f64::from(now.nanos) / 1e9;
        let dollars = |cents: i64| cents as f64 / 100.0;
        let since = |hour: i64| (now_s - (HOUR_0_S + hour * 3_600) as f64) / 3_600.0;
        let exact = 1e-9;
        let numbers = [
            ("received", Some(f64::from(self.received)), exact),
            ("viewed", Some(f64::from(self.viewed)), exact),
            ("completed", Some(f64::from(self.completed)), exact),
            ("purchases", Some(f64::from(self.purchases)), exact),
            ("spent", Some(dollars(self.cents)), HALF_A_CENT),
            ("largest_amount", self.largest_cents.map(dollars), HALF_A_CENT),
            ("last_amount", self.last_purchase.map(|(_, cents)| dollars(cents)), HALF_A_CENT),
            ("hours_since_purchase", self.last_purchase.map(|(hour, _)| since(hour)), SINCE_TOLERANCE_HOURS),
            ("rewarded", Some(self.rewarded as f64), exact),
            ("news_viewed", Some(f64::from(self.news_viewed)), exact),
        ];
        for (name, wanted, tolerance) in numbers {
            let agrees = match (value(found, name), wanted) {
                (None, None) => true,
                (Some(Kind::Number(value)), Some(wanted)) => (value - wanted).abs() < tolerance,
                _ => false,
            };
            if !agrees {
                return Some(format!("{name} is {:?} instead of {wanted:?}", value(found, name)));
            }
        }
        for (name, wanted) in [("last_viewed", self.last_viewed), ("last_completed", self.last_completed)] {
            let wanted = wanted.map(|(_, place)| Kind::Text(offers[place].clone()));
            if value(found, name) != wanted.as_ref() {
                return Some(format!("{name} is {:?} instead of {wanted:?}", value(found, name)));
            }
        }
        None
    }
}

fn value<'a>(context: &'a GetContextResponse, name: &str) -> Option<&'a Kind> {
    context.features.iter().find(|feature| feature.name == name)?.value.as_ref()?.kind.as_ref()
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use tactful_proto::v1::{FeatureReading, Value};

    use super::*;

    const TEXT: &str = r#"{"person": "a", "event": "offer received", "value": {"offer id": "x"}, "time": 0}

{"person": "a", "event": "offer completed", "value": {"offer_id": "x", "reward": 2}, "time": 6}
{"person": "a", "event": "offer completed", "value": {"reward": 2, "offer_id": "x"}, "time": 6}
{"person": "a", "event": "transaction", "value": {"amount": 0.83}, "time": 6}
{"person": "a", "event": "transaction", "value": {"amount": 12.5}, "time": 6}
{"person": "b", "event": "offer viewed", "value": {"offer id": "3f207df678b143eea3cee63160fa8bed"}, "time": 1}
"#;

    fn offers() -> Vec<String> {
        ["x", NEWS].map(Into::into).to_vec()
    }

    fn counted() -> Recounted {
        recount(TEXT, &offers()).unwrap()
    }

    #[test]
    fn lines_are_counted_once_and_for_their_customer() {
        let counted = counted();
        assert_eq!((counted.lines, counted.distinct, counted.customers.len()), (6, 5, 2));
        let expected = Recount {
            received: 1,
            completed: 1,
            purchases: 2,
            cents: 1_333,
            largest_cents: Some(1_250),
            last_purchase: Some((6, 1_250)),
            rewarded: 2,
            last_completed: Some((6, 0)),
            ..Recount::default()
        };
        assert_eq!(counted.customers["customer:a"], expected);
        assert_eq!(
            (counted.customers["customer:b"].news_viewed, counted.customers["customer:b"].last_viewed),
            (1, Some((1, 1)))
        );
    }

    #[test]
    fn a_line_that_is_not_understood_ends_the_recount() {
        for line in [
            r#"{"person": "a", "event": "gift", "value": {}, "time": 0}"#,
            r#"{"person": "a", "event": "transaction", "value": {"amuont": 1}, "time": 0}"#,
            r#"{"person": "a", "event": "offer viewed", "value": {"offer id": "y"}, "time": 0}"#,
            r#"{"person": "a""#,
        ] {
            assert!(format!("{:#}", recount(line, &offers()).unwrap_err()).contains("line 1"), "{line}");
        }
    }

    fn answer(values: &[(&str, Kind)]) -> GetContextResponse {
        let feature = |(name, kind): &(&str, Kind)| FeatureReading {
            name: (*name).into(),
            value: Some(Value { kind: Some(kind.clone()) }),
            ..FeatureReading::default()
        };
        GetContextResponse {
            features: values.iter().map(feature).collect(),
            server_time: Some(Timestamp { seconds: HOUR_0_S + 16 * 3_600, nanos: 0 }),
            ..GetContextResponse::default()
        }
    }

    #[test]
    fn every_feature_is_compared() {
        let number = Kind::Number;
        let right = [
            ("received", number(1.0)),
            ("viewed", number(0.0)),
            ("completed", number(1.0)),
            ("purchases", number(2.0)),
            ("spent", number(13.33)),
            ("largest_amount", number(12.5)),
            ("last_amount", number(12.5)),
            ("hours_since_purchase", number(10.0)),
            ("rewarded", number(2.0)),
            ("news_viewed", number(0.0)),
            ("last_completed", Kind::Text("x".into())),
        ];
        let customer = &counted().customers["customer:a"];
        assert_eq!(customer.mismatch(&offers(), &answer(&right)), None);
        for at in 0..right.len() {
            let mut wrong = right.clone();
            wrong[at].1 = match &wrong[at].1 {
                Kind::Number(value) => number(value + 0.06),
                _ => Kind::Text(NEWS.into()),
            };
            let told = customer.mismatch(&offers(), &answer(&wrong)).unwrap();
            assert!(told.starts_with(right[at].0), "{told}");
            let missing: Vec<_> =
                right.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, it)| it.clone()).collect();
            assert!(customer.mismatch(&offers(), &answer(&missing)).is_some());
        }
        let more = [&right[..], &[("last_viewed", Kind::Text("x".into()))]].concat();
        assert!(customer.mismatch(&offers(), &answer(&more)).unwrap().starts_with("last_viewed"));
    }
}
