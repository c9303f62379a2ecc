//! How good the model is, in the words of the card: overall, calibration, lift, by action and by
//! channel.

use std::fmt::Write as _;

use super::cell;
use crate::metrics::{Curves, Quality};
use crate::report::Report;

pub(super) fn write(text: &mut String, report: &Report) {
    text.push_str("## Quality on the test part\n\n");
    let Some(test) = &report.test else {
        text.push_str("None was kept: nothing is measured.\n\n");
        return;
    };
    let Quality { auc, log_loss, log_loss_baseline, brier, calibration_error, lift_at_10, .. } = test;
    let auc = auc.map_or_else(|| "not defined (one answer only)".to_owned(), |auc| format!("{auc:.4}"));
    let lift = lift_at_10.map_or_else(|| "not defined (no positive row)".to_owned(), |lift| format!("{lift:.2}"));
    let _ = write!(
        text,
        "| | |\n|---|---|\n| AUC (0.5 is chance) | {auc} |\n\
         | log loss in nats (without a model) | {log_loss:.4} ({log_loss_baseline:.4}) |\n\
         | Brier score | {brier:.4} |\n| calibration error | {calibration_error:.4} |\n\
         | lift of the highest 10 % | {lift} |\n\n"
    );
    text.push_str("Calibration, in bins of about equal size:\n\n| rows | predicted | observed |\n|---|---|---|\n");
    for bin in &test.bins {
        let _ = writeln!(text, "| {} | {:.4} | {:.4} |", bin.rows, bin.predicted, bin.observed);
    }
    text.push('\n');
    if let Some(curves) = &report.curves {
        lift_table(text, curves);
    }
}

fn lift_table(text: &mut String, curves: &Curves) {
    if curves.lift.is_empty() {
        return;
    }
    text.push_str(
        "Lift: acceptance of each tenth of the test rows, the highest predictions first, over that of all:\n\n\
         | rows up to | observed | lift | lift so far | positives found |\n|---|---|---|---|---|\n",
    );
    for tenth in &curves.lift {
        let _ = writeln!(
            text,
            "| {:.0} % | {:.4} | {:.2} | {:.2} | {:.1} % |",
            tenth.share * 100.0,
            tenth.observed,
            tenth.lift,
            tenth.cumulative_lift,
            tenth.gain * 100.0
        );
    }
    text.push('\n');
}

const PART_COLUMNS: &str = "tested | AUC | log loss (without a model) | Brier | calibration error | lift at 10 %";

pub(super) fn parts(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "## Actions\n\n| action | trained on | positive | acceptance | head | {PART_COLUMNS} |\n{}\n",
        "|---".repeat(11) + "|"
    );
    for action in &report.actions {
        let acceptance = action.acceptance.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}"));
        let (name, rows, positives, head) = (cell(&action.action), action.rows, action.positives, &action.head);
        let measured = measured(action.test_rows, action.test.as_ref());
        let _ = writeln!(text, "| {name} | {rows} | {positives} | {acceptance} | {} | {measured} |", cell(head));
    }
    text.push('\n');
    if report.channels.iter().all(|channel| channel.channel.is_empty()) {
        text.push_str("The rows name no channel.\n\n");
        return;
    }
    let columns = "|---".repeat(9) + "|";
    let _ = write!(text, "## Channels\n\n| channel | trained on | positive | {PART_COLUMNS} |\n{columns}\n");
    for channel in &report.channels {
        let measured = measured(channel.test_rows, channel.test.as_ref());
        let (name, rows, positives) = (cell(channel.shown()), channel.rows, channel.positives);
        let _ = writeln!(text, "| {name} | {rows} | {positives} | {measured} |");
    }
    text.push('\n');
}

/// The columns of a part's quality.
fn measured(rows: u64, quality: Option<&Quality>) -> String {
    let Some(test) = quality else { return format!("{rows} | - | - | - | - | -") };
    let number = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    format!(
        "{rows} | {} | {:.4} ({:.4}) | {:.4} | {:.4} | {}",
        number(test.auc, 4),
        test.log_loss,
        test.log_loss_baseline,
        test.brier,
        test.calibration_error,
        number(test.lift_at_10, 2)
    )
}
