//! The model card: one page of Markdown on what a model is, what it learnt from, how good it is and
//! where not to trust it.

use std::fmt::Write as _;

use crate::metrics::Quality;
use crate::report::Report;
use crate::train::Trained;

/// Writes the model card of a trained model.
#[must_use]
pub fn card(trained: &Trained) -> String {
    let report = &trained.report;
    let mut text = format!(
        "# Model card: {} {}\n\nLogistic regression by linfa. Heads: {} for single actions, {} for groups, {} for all others.\n\
         It predicts the chance that a customer accepts an action; it does not choose.\n\n",
        report.model,
        report.version,
        report.action_heads(),
        report.groups.len(),
        if report.shared_head { "one" } else { "none" },
    );
    data(&mut text, report);
    quality(&mut text, report);
    inputs(&mut text, report);
    actions(&mut text, report);
    limits(&mut text, report);
    text
}

// Writing into a String cannot fail, so the results of write! are dropped below.

fn data(text: &mut String, report: &Report) {
    let lineage = &report.lineage;
    let _ = write!(
        text,
        "## Data\n\n| | |\n|---|---|\n\
         | rows of the record | {} |\n| trained on | {} ({} positive) |\n| tested on (the latest) | {} ({} positive) |\n\
         | training decisions, ms since 1970 | {} to {} |\n| recipe sha256 | `{}` |\n| seed | {} |\n| code | tactful {} |\n",
        report.rows_read,
        report.train_rows,
        report.train_positives,
        report.test_rows,
        report.test_positives,
        lineage.first_decision_ms,
        lineage.last_decision_ms,
        lineage.recipe_sha256,
        lineage.seed,
        lineage.code_version,
    );
    for (reason, count) in report.left_out.reasons() {
        let _ = writeln!(text, "| left out: {reason} | {count} |");
    }
    text.push('\n');
}

fn quality(text: &mut String, report: &Report) {
    text.push_str("## Quality on the test part\n\n");
    let Some(Quality { auc, log_loss, log_loss_baseline, brier, calibration_error, bins, .. }) = &report.test else {
        text.push_str("None was kept: nothing is measured.\n\n");
        return;
    };
    let auc = auc.map_or_else(|| "not defined (one answer only)".to_owned(), |auc| format!("{auc:.4}"));
    let _ = write!(
        text,
        "| | |\n|---|---|\n| AUC | {auc} |\n| log loss (without a model) | {log_loss:.4} ({log_loss_baseline:.4}) |\n\
         | Brier score | {brier:.4} |\n| calibration error | {calibration_error:.4} |\n\n\
         | rows | predicted | observed |\n|---|---|---|\n"
    );
    for bin in bins {
        let _ = writeln!(text, "| {} | {:.4} | {:.4} |", bin.rows, bin.predicted, bin.observed);
    }
    text.push('\n');
}

fn inputs(text: &mut String, report: &Report) {
    text.push_str("## Inputs\n\n| field | kind | columns |\n|---|---|---|\n");
    for input in &report.inputs {
        let _ = writeln!(text, "| {} | {} | {} |", cell(&input.name), input.kind, input.columns);
    }
    for dropped in &report.dropped_inputs {
        let _ = writeln!(text, "| {} | not used | {} |", cell(&dropped.name), dropped.reason);
    }
    text.push('\n');
}

fn actions(text: &mut String, report: &Report) {
    text.push_str("## Actions\n\n| action | rows | positive | acceptance | head |\n|---|---|---|---|---|\n");
    for action in &report.actions {
        let acceptance = action.acceptance.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}"));
        let (name, rows, positives) = (cell(&action.action), action.rows, action.positives);
        let _ = writeln!(text, "| {name} | {rows} | {positives} | {acceptance} | {} |", action.head);
    }
    text.push('\n');
}

fn limits(text: &mut String, report: &Report) {
    text.push_str(
        "## Limits\n\n\
         - Trained on decisions as they were made, without weighting by selection probability: it holds for\n  \
           customers and actions like those in the record.\n\
         - A missing number is read as the training mean, with an indicator where training had missing ones.\n\
         - A number beyond those of the training rows counts as the nearest of them.\n\
         - A word that training never saw counts as none of those it knows.\n",
    );
    if report.answered_early > 0 {
        let _ = writeln!(
            text,
            "- {} rows were answered while their window was open; the silent ones of that time are left out, which\n  \
             raises the predicted acceptance a little (`wait_for_window = true` avoids it).",
            report.answered_early
        );
    }
    if let Some(drift) = report.drift.filter(|drift| drift.drifted) {
        let _ = writeln!(
            text,
            "- Drift: {:.4} positive in the test part after {:.4} in training ({:+.1} standard errors).",
            drift.test_rate, drift.train_rate, drift.standard_errors
        );
    }
    for failed in &report.failed_heads {
        let _ = writeln!(text, "- No head for {} {}: {}.", failed.scope, cell(&failed.id), failed.reason);
    }
}

/// A name as the text of a table cell: ids may come from outside.
fn cell(name: &str) -> String {
    name.chars().map(|c| if c == '|' || c.is_control() { ' ' } else { c }).collect()
}
