//! The model card: a page of Markdown on what a model is for, what it learnt from, how good it is and
//! where not to trust it. It says in words what the report holds.

mod quality;
mod value;

use std::fmt::Write as _;

use crate::report::Report;

/// A plot that stands beside the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlotLink {
    /// What it shows.
    pub title: String,
    /// Where it is, as a link from the card.
    pub link: String,
}

/// Writes the model card that belongs to a report, with the plots that stand beside it.
#[must_use]
pub fn card(report: &Report, plots: &[PlotLink]) -> String {
    let mut text = String::new();
    head(&mut text, report);
    data(&mut text, report);
    quality::write(&mut text, report);
    images(&mut text, plots);
    quality::parts(&mut text, report);
    inputs(&mut text, report);
    drift(&mut text, report);
    value::write(&mut text, report);
    limits(&mut text, report);
    lineage(&mut text, report);
    text
}

// Writing into a String cannot fail, so the results of write! are dropped below.

fn head(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "# Model card: {} {}\n\n{}\n\n## Intended use\n\n\
         It predicts the chance that a customer accepts an action if it is shown, from what is known of the customer\n\
         and the situation. Tactful multiplies it by the action's value, weight and lever to rank actions; rules decide\n\
         what may be shown at all. It does not choose by itself, does not say whether an action causes anything, and is\n\
         not meant for decisions with legal or similar effect on people (credit, insurance, employment).\n\n",
        report.model,
        report.version,
        what(report),
    );
}

/// The kind of model in words.
fn what(report: &Report) -> String {
    let kind = match report.kind.as_str() {
        "logistic" => "Logistic regressions",
        "ftrl" => "Logistic regressions, learnt row by row (FTRL),",
        "tree" => "Decision trees",
        "forest" => "Random forests",
        other => other,
    };
    let shared = if report.shared_head { "one" } else { "none" };
    let (actions, groups) = (report.action_heads(), report.groups.len());
    let calibrations = report.calibration_words();
    format!(
        "{kind} trained with linfa. Heads: {actions} for single actions, {groups} for groups, {shared} for all others.\n{calibrations}."
    )
}

fn data(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "## Data\n\n| | |\n|---|---|\n\
         | rows read | {} |\n| trained on | {} ({}) |\n| tested on (the latest) | {} ({}) |\n",
        report.rows_read,
        report.train_rows,
        positive(report.train_positives, report.train_rows),
        report.test_rows,
        positive(report.test_positives, report.test_rows),
    );
    for (reason, count) in report.left_out.reasons() {
        let _ = writeln!(text, "| left out: {reason} | {count} |");
    }
    text.push('\n');
    if report.ordered_by == "rows" {
        text.push_str("The rows have no time: their order is taken for it.\n\n");
    }
}

fn images(text: &mut String, plots: &[PlotLink]) {
    for plot in plots {
        let _ = writeln!(text, "![{}](<{}>)\n", plot.title, plot.link.replace(['<', '>', '\n'], "_"));
    }
}

fn inputs(text: &mut String, report: &Report) {
    text.push_str(
        "## Inputs\n\nImportance: how much worse the test part is predicted when an input's values are dealt to other rows at\n\
         random. Inputs that say the same stand in for each other and look less important than they are.\n\n\
         | field | kind | columns | log loss rises by | AUC falls by |\n|---|---|---|---|---|\n",
    );
    for input in report.inputs_by_importance() {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.5}"));
        let worth = input.importance;
        let (loss, auc) = (number(worth.map(|worth| worth.log_loss)), number(worth.and_then(|worth| worth.auc)));
        let _ = writeln!(text, "| {} | {} | {} | {loss} | {auc} |", cell(&input.name), input.kind, input.columns);
    }
    text.push('\n');
    if !report.dropped_inputs.is_empty() {
        text.push_str("Not used:\n\n| field | why |\n|---|---|\n");
        for dropped in &report.dropped_inputs {
            let _ = writeln!(text, "| {} | {} |", cell(&dropped.name), dropped.reason);
        }
        text.push('\n');
    }
}

fn drift(text: &mut String, report: &Report) {
    let Some(rate) = report.drift else { return };
    let _ = write!(
        text,
        "## Drift\n\nThe test part is the latest: what has moved between it and the training part will go on moving.\n\
         Share of positives: {:.4} in training, {:.4} in the test part ({:+.1} standard errors{}).\n\n",
        rate.train_rate,
        rate.test_rate,
        rate.standard_errors,
        if rate.drifted { ": a drift" } else { ": within chance" },
    );
    let drifted = report.drifted_inputs();
    if drifted.is_empty() {
        text.push_str("No input's population has moved beyond its threshold (population stability index of 0.2, or what so few\nrows reach by chance).\n\n");
        return;
    }
    text.push_str(
        "Inputs whose population has moved (population stability index above its threshold, missing values counted):\n\n\
         | field | index | threshold | missing in training | missing in test |\n|---|---|---|---|---|\n",
    );
    for (input, drift) in drifted {
        let (name, missing) = (cell(&input.name), (drift.missing_train, drift.missing_test));
        let _ = writeln!(
            text,
            "| {name} | {:.3} | {:.3} | {:.4} | {:.4} |",
            drift.psi, drift.threshold, missing.0, missing.1
        );
    }
    text.push('\n');
}

fn limits(text: &mut String, report: &Report) {
    text.push_str(
        "## Limits\n\n\
         - Trained on decisions as they were made, without weighting by selection probability: it holds for\n  \
           customers and actions like those in the record.\n",
    );
    let rate = report.train_positives as f64 / (report.train_rows as f64).max(1.0);
    if !(0.1..=0.9).contains(&rate) {
        let _ = writeln!(
            text,
            "- One answer is rare ({:.2} % positive): accuracy says little here, and the probabilities of small groups\n  \
             rest on few cases. Rows are not reweighted, so that probabilities stay honest.",
            rate * 100.0
        );
    }
    text.push_str(match report.kind.as_str() {
        "tree" | "forest" => TREE_LIMITS,
        _ => LINEAR_LIMITS,
    });
    text.push_str("- A word that training never saw counts as none of those it knows.\n");
    if report.answered_early > 0 {
        let _ = writeln!(
            text,
            "- {} rows were answered while their window was open; the silent ones of that time are left out, which\n  \
             raises the predicted acceptance a little (`wait_for_window = true` avoids it).",
            report.answered_early
        );
    }
    for failed in &report.failed_heads {
        let _ = writeln!(text, "- No head for {} {}: {}.", failed.scope, cell(&failed.id), failed.reason);
    }
    text.push('\n');
}

const LINEAR_LIMITS: &str = "\
- A straight line on the logit: what one input means does not depend on another, unless heads differ by action.
- A missing number is read as the training mean, with an indicator where training had missing ones.
- A number beyond those of the training rows counts as the nearest of them.
";

const TREE_LIMITS: &str = "\
- Trees answer in steps and level off beyond the training rows: they do not follow a trend further.
- A missing number is read as the training mean, with an indicator where training had missing ones.
- Leaves with few rows are drawn towards the share of all rows of their head (ten rows' worth).
";

fn lineage(text: &mut String, report: &Report) {
    let lineage = &report.lineage;
    let times = if report.ordered_by == "rows" {
        "not known".to_owned()
    } else {
        format!("{} to {}", lineage.first_decision_ms, lineage.last_decision_ms)
    };
    let _ = write!(
        text,
        "## Lineage\n\n| | |\n|---|---|\n\
         | training decisions, ms since 1970 | {times} |\n| recipe sha256 | `{}` |\n| seed | {} |\n| code | tactful {} |\n",
        cell(&lineage.recipe_sha256),
        lineage.seed,
        cell(&lineage.code_version),
    );
}

fn positive(positives: u64, rows: u64) -> String {
    format!("{positives} positive, {:.2} %", 100.0 * positives as f64 / (rows as f64).max(1.0))
}

/// A name as the text of a table cell: ids may come from outside.
fn cell(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '|' | '<' | '>' | '`') || c.is_control() { ' ' } else { c }).collect()
}
