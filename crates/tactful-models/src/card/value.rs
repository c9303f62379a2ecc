//! What the model would have been worth as a policy, in the words of the card, with all that this assumes.

use std::fmt::Write as _;

use crate::report::{ASSUMPTION, Interval, PolicyValue, Report};

pub(super) fn write(text: &mut String, report: &Report) {
    text.push_str("## Value as a policy\n\n");
    let Some(value) = &report.policy_value else {
        text.push_str("Not measured: the test part has no decisions with a selection probability.\n\n");
        return;
    };
    let _ =
        write!(text, "Assumed: {ASSUMPTION}.\n\n| acceptance per decision | mean | 95 % interval |\n|---|---|---|\n");
    row(text, "as recorded (champion or logging policy)", Some(value.logged));
    row(text, "this model, inverse propensity (Horvitz and Thompson 1952)", value.ips);
    row(text, "this model, self-normalised (Swaminathan and Joachims 2015)", value.snips);
    row(text, "inverse propensity less the recorded mean", value.difference);
    text.push('\n');
    overlap(text, value);
}

fn row(text: &mut String, name: &str, interval: Option<Interval>) {
    let _ = match interval {
        Some(Interval { value, low, high, .. }) => writeln!(text, "| {name} | {value:.4} | {low:.4} to {high:.4} |"),
        None => writeln!(text, "| {name} | - | no overlap |"),
    };
}

fn overlap(text: &mut String, value: &PolicyValue) {
    let _ = write!(
        text,
        "| overlap | |\n|---|---|\n| decisions (measured on) | {} ({}) |\n| without a selection probability, left out | {} |\n\
         | recorded action is one the policy might choose | {:.1} % |\n| effective rows | {:.0} |\n\
         | mean weight (about 1 where the record covers the policy) | {:.3} |\n\
         | greatest weight (share of all weight) | {:.1} ({:.2} %) |\n| certain of another action | {:.1} % |\n\n",
        value.decisions,
        value.measured,
        value.without_probability,
        value.agreement * 100.0,
        value.effective_rows,
        value.mean_weight,
        value.largest_weight,
        value.largest_share * 100.0,
        value.unsupported * 100.0,
    );
    if value.warnings.is_empty() {
        return;
    }
    for warning in &value.warnings {
        let _ = writeln!(text, "- Warning: {}.", super::cell(warning));
    }
    text.push('\n');
}
