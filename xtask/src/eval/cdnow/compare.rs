//! The recount: one pass over the purchases with ordinary maps, and its comparison with a server's answer.
//!
//! Sums are compared to the cent; of purchases at equal times the greater value is the last.

use std::collections::BTreeMap;

use tactful_proto::v1::{FeatureReading, GetContextResponse, value::Kind};

use super::data::Purchase;

/// Names of the features in the catalogue.
pub(super) const COUNT: &str = "purchases";
pub(super) const SUM: &str = "spent";
pub(super) const LAST: &str = "last_total";
pub(super) const SINCE_LAST: &str = "days_since_purchase";

const DAY_S: f64 = 86_400.0;
/// Nearer than this, an amount is the same number of cents.
const HALF_A_CENT: f64 = 0.005;
/// A value of some 10,000 days in an f32 is exact to a thousandth of a day; purchases lie whole days apart.
const SINCE_TOLERANCE_DAYS: f64 = 0.01;

/// What should be known of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recount {
    count: i64,
    cents: i64,
    last_time_s: i64,
    last_cents: i64,
}

/// Counts every customer's purchases.
pub(super) fn recount(purchases: &[Purchase]) -> BTreeMap<String, Recount> {
    let mut customers: BTreeMap<String, Recount> = BTreeMap::new();
    for purchase in purchases {
        let first = Recount { count: 0, cents: 0, last_time_s: i64::MIN, last_cents: 0 };
        let customer = customers.entry(purchase.customer.clone()).or_insert(first);
        customer.count += 1;
        customer.cents += purchase.cents;
        if (purchase.time_s, purchase.cents) > (customer.last_time_s, customer.last_cents) {
            (customer.last_time_s, customer.last_cents) = (purchase.time_s, purchase.cents);
        }
    }
    customers
}

/// What differs, if anything.
pub(super) fn mismatch(expected: &Recount, found: &GetContextResponse) -> Option<String> {
    let Some(now) = &found.server_time else { return Some("no server time".into()) };
    let now_s = now.seconds as f64 + f64::from(now.nanos) / 1e9;
    let dollars = |cents: i64| cents as f64 / 100.0;
    let since_days = (now_s - expected.last_time_s as f64) / DAY_S;
    // What is expected, and how far a float may lie from it.
    let checks = [
        (COUNT, expected.count as f64, 1e-9),
        (SUM, dollars(expected.cents), HALF_A_CENT),
        (LAST, dollars(expected.last_cents), HALF_A_CENT),
        (SINCE_LAST, since_days, SINCE_TOLERANCE_DAYS),
    ];
    checks.into_iter().find_map(|(name, wanted, tolerance)| match number(found, name) {
        Some(value) if (value - wanted).abs() < tolerance => None,
        value => Some(format!("{name} is {value:?} instead of {wanted}")),
    })
}

fn number(context: &GetContextResponse, name: &str) -> Option<f64> {
    let named = |feature: &&FeatureReading| feature.name == name;
    match context.features.iter().find(named)?.value.as_ref()?.kind.as_ref()? {
        Kind::Number(value) => Some(*value),
        Kind::Text(_) | Kind::Flag(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;
    use tactful_proto::v1::Value;

    fn purchase(customer: &str, day: i64, cents: i64) -> Purchase {
        Purchase { customer: customer.into(), time_s: day * 86_400, cents }
    }

    #[test]
    fn of_equal_times_the_greater_value_is_the_last() {
        let counted =
            recount(&[purchase("a", 2, 500), purchase("a", 1, 900), purchase("a", 2, 700), purchase("a", 2, 100)]);
        assert_eq!(counted["a"], Recount { count: 4, cents: 2_200, last_time_s: 2 * 86_400, last_cents: 700 });
    }

    #[test]
    fn customers_are_counted_apart() {
        let counted = recount(&[purchase("a", 1, 100), purchase("b", 1, 0)]);
        assert_eq!(counted.len(), 2);
        assert_eq!(counted["b"], Recount { count: 1, cents: 0, last_time_s: 86_400, last_cents: 0 });
    }

    fn answer(count: f64, sum: f64, last: f64, since: f64) -> GetContextResponse {
        let feature = |name: &str, value: f64| FeatureReading {
            name: name.into(),
            value: Some(Value { kind: Some(Kind::Number(value)) }),
            ..FeatureReading::default()
        };
        GetContextResponse {
            features: vec![feature(COUNT, count), feature(SUM, sum), feature(LAST, last), feature(SINCE_LAST, since)],
            server_time: Some(Timestamp { seconds: 10_000 * 86_400 + 43_200, nanos: 0 }),
            ..GetContextResponse::default()
        }
    }

    #[test]
    fn every_feature_is_compared() {
        let expected = Recount { count: 3, cents: 12_345, last_time_s: 86_400, last_cents: 999 };
        let since = f64::from(9_999.5_f32);
        assert_eq!(mismatch(&expected, &answer(3.0, f64::from(123.45_f32), f64::from(9.99_f32), since)), None);
        for (wrong, name) in [
            (answer(4.0, 123.45, 9.99, since), COUNT),
            (answer(3.0, 123.46, 9.99, since), SUM),
            (answer(3.0, 123.45, 10.0, since), LAST),
            (answer(3.0, 123.45, 9.99, since - 1.0), SINCE_LAST),
            (answer(3.0, f64::NAN, 9.99, since), SUM),
        ] {
            let text = mismatch(&expected, &wrong).unwrap();
            assert!(text.starts_with(name), "{text}");
        }
        let mut missing = answer(3.0, 123.45, 9.99, since);
        missing.features.truncate(2);
        assert!(mismatch(&expected, &missing).unwrap().starts_with(LAST));
        missing.server_time = None;
        assert!(mismatch(&expected, &missing).unwrap().contains("server time"));
    }
}
