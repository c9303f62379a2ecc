//! What the decisions are worth on the held-out half, against static policies and chance.
//!
//! Inverse propensity: a row counts where the logged arm is the decided one. The bar: not worse than
//! the best static policy beyond one standard error, better than chance beyond three.

use hdrhistogram::Histogram;
use serde::Serialize;
use tactful_core::estimate::{Estimate, Logged, inverse_propensity};

use super::data::{ARM_PROBABILITY, Arm, Customer};
use crate::eval::{Verdict, rounded};

/// The answers for the held-out customers, in their order.
pub(super) struct Decided {
    /// The decided arm; nothing if the call failed.
    pub(super) arms: Vec<Option<Arm>>,
    /// Latency as the caller saw it.
    pub(super) latency_us: Histogram<u64>,
}

/// The line that the evaluation prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Result {
    customers: usize,
    decisions: usize,
    errors: usize,
    visit: f64,
    visit_se: f64,
    best_static: f64,
    random: f64,
    decide_p50_us: u64,
    decide_p99_us: u64,
}

/// Values the decisions. A failed call shows nothing.
pub(super) fn evaluate(customers: &[Customer], held_out: &[usize], decided: &Decided) -> Result {
    let rows: Vec<&Customer> = held_out.iter().map(|row| &customers[*row]).collect();
    let chosen = value(&rows, decided.arms.iter().map(|arm| arm.unwrap_or(Arm::Silence)));
    let statics = Arm::ALL.map(|arm| value(&rows, std::iter::repeat(arm)).value);
    let random = rows.iter().map(|row| row.visited()).sum::<f64>() / rows.len() as f64;
    Result {
        customers: customers.len(),
        decisions: decided.arms.len(),
        errors: decided.arms.iter().filter(|arm| arm.is_none()).count(),
        visit: rounded(chosen.value),
        visit_se: rounded(chosen.standard_error),
        best_static: rounded(statics.into_iter().fold(f64::NEG_INFINITY, f64::max)),
        random: rounded(random),
        decide_p50_us: decided.latency_us.value_at_quantile(0.5),
        decide_p99_us: decided.latency_us.value_at_quantile(0.99),
    }
}

fn value(rows: &[&Customer], arms: impl Iterator<Item = Arm>) -> Estimate {
    let matched = |row: &Customer, arm: Arm| if row.arm == arm { 1.0 } else { 0.0 };
    let logged = |(row, arm): (&&Customer, Arm)| Logged {
        target: matched(row, arm),
        selection: ARM_PROBABILITY,
        reward: row.visited(),
    };
    inverse_propensity(rows.iter().zip(arms).map(logged))
}

impl Verdict for Result {
    fn failure(&self) -> Option<String> {
        let Self { errors, visit, visit_se, best_static, random, .. } = *self;
        if errors > 0 {
            return Some(format!("{errors} decisions failed"));
        }
        // Written so that a value that is no number fails.
        let fair = visit >= best_static - visit_se && visit > random + 3.0 * visit_se;
        (!fair).then(|| {
            format!("visit {visit} (se {visit_se}) against best static {best_static} - 1 se and random {random} + 3 se")
        })
    }

    fn text(&self) -> String {
        let Self { customers, decisions, errors, visit, visit_se, best_static, random, .. } = self;
        format!(
            "hillstrom: {customers} customers, {decisions} decisions, {errors} errors\n\
             visit  {visit:.4} (se {visit_se:.4})   best static {best_static:.4}   random {random:.4}\n\
             decide p50 {} us, p99 {} us",
            self.decide_p50_us, self.decide_p99_us
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customers() -> Vec<Customer> {
        let header = "recency,history,mens,womens,zip_code,newbie,channel,segment,visit\n";
        let row = |arm: &str, visit: u8| format!("1,1,1,1,Rural,0,Web,{arm},{visit}\n");
        // Men's e-mail: 2 of 3 visit; women's: 1 of 3; none: 0 of 3.
        let rows: String = [("Mens E-Mail", 2), ("Womens E-Mail", 1), ("No E-Mail", 0)]
            .iter()
            .flat_map(|(arm, visits)| (0..3).map(|n| row(arm, u8::from(n < *visits))))
            .collect();
        csv::Reader::from_reader((header.to_owned() + &rows).as_bytes()).deserialize().map(|row| row.unwrap()).collect()
    }

    fn decided(arms: [Option<Arm>; 9]) -> Decided {
        let mut latency_us = Histogram::new(3).unwrap();
        (1..=9).for_each(|us| latency_us.record(us * 100).unwrap());
        Decided { arms: arms.to_vec(), latency_us }
    }

    #[test]
    fn values_are_those_of_a_hand_calculation() {
        let (customers, rows) = (customers(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let result = evaluate(&customers, &rows, &decided([Some(Arm::Mens); 9]));
        // Three matched rows with two visits, each weighing 3, over nine rows.
        assert!((result.visit - 6.0 / 9.0).abs() < 1e-6, "{result:?}");
        assert!((result.best_static - result.visit).abs() < 1e-9);
        assert!((result.random - 3.0 / 9.0).abs() < 1e-6);
        assert_eq!((result.customers, result.decisions, result.errors), (9, 9, 0));
        assert_eq!((result.decide_p50_us, result.decide_p99_us), (500, 900));
    }

    #[test]
    fn only_the_held_out_rows_count() {
        let mut decided = decided([Some(Arm::Womens); 9]);
        decided.arms.truncate(3);
        let result = evaluate(&customers(), &[3, 4, 5], &decided);
        assert!((result.visit - 1.0).abs() < 1e-9 && (result.random - 1.0 / 3.0).abs() < 1e-6, "{result:?}");
    }

    #[test]
    fn a_failed_call_shows_nothing_and_fails_the_bar() {
        let mut arms = [Some(Arm::Mens); 9];
        arms[0] = None;
        let result = evaluate(&customers(), &[0, 1, 2, 3, 4, 5, 6, 7, 8], &decided(arms));
        assert_eq!(result.errors, 1);
        assert!((result.visit - 3.0 / 9.0).abs() < 1e-6, "{result:?}");
        assert!(result.failure().unwrap().contains("failed"));
    }

    #[test]
    fn the_bar_is_fair() {
        let result = |visit: f64, visit_se: f64| Result {
            customers: 1,
            decisions: 1,
            errors: 0,
            visit,
            visit_se,
            best_static: 0.185,
            random: 0.150,
            decide_p50_us: 1,
            decide_p99_us: 1,
        };
        assert_eq!(result(0.185, 0.004).failure(), None);
        assert_eq!(result(0.1812, 0.004).failure(), None);
        assert!(result(0.180, 0.004).failure().is_some(), "worse than the best static one");
        assert!(result(0.175, 0.012).failure().is_some(), "not clearly above chance");
        assert!(result(f64::NAN, 0.004).failure().is_some());
        let line = serde_json::to_string(&result(0.185, 0.004)).unwrap();
        let keys = "customers decisions errors visit visit_se best_static random decide_p50_us decide_p99_us";
        let places: Vec<_> = keys.split(' ').map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{line}");
    }
}
