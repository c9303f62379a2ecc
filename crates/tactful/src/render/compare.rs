//! Two versions of a model side by side.

use std::fmt::Write;

use serde_json::{Value, json};
use tactful_proto::v1::{CompareResponse, ModelQuality, ModelValue, ValueInterval};

use super::registry::{named, version_json};
use super::table::Table;
use crate::output::Render;

/// Two versions compared.
pub(crate) struct ComparedModels<'a>(pub(crate) &'a CompareResponse);

impl Render for ComparedModels<'_> {
    fn json(&self) -> Value {
        let compared = self.0;
        json!({
            "first": compared.first.as_ref().map(version_json),
            "second": compared.second.as_ref().map(version_json),
            "decisions": compared.decisions,
            "one_in": compared.one_in,
            "left_out": compared.left_out,
            "agreement": compared.agreement,
            "mean_difference": compared.mean_difference,
            "first_quality": compared.first_quality.as_ref().map(quality_json),
            "second_quality": compared.second_quality.as_ref().map(quality_json),
            "first_value": compared.first_value.as_ref().map(value_json),
            "second_value": compared.second_value.as_ref().map(value_json),
        })
    }

    fn text(&self) -> String {
        let compared = self.0;
        let name = |version: &Option<_>| version.as_ref().map_or_else(String::new, named);
        let (first, second) = (name(&compared.first), name(&compared.second));
        let mut out = format!("{first} and {second} on {} recorded decisions", compared.decisions);
        if compared.one_in > 1 {
            let _ = write!(out, ", one in {} of all", compared.one_in);
        }
        if compared.left_out > 0 {
            let _ = write!(out, "; {} left out, made elsewhere or on other fields", compared.left_out);
        }
        let agreement = compared.agreement * 100.0;
        let _ = writeln!(
            out,
            "\n  would show the same first in {agreement:.1} %, acceptance {:.4} apart on average\n",
            compared.mean_difference
        );
        let sides = [
            (first, compared.first_quality.as_ref(), compared.first_value.as_ref()),
            (second, compared.second_quality.as_ref(), compared.second_value.as_ref()),
        ];
        out += &table(&sides).render("  ");
        out + &notes(&sides)
    }
}

type Side<'a> = (String, Option<&'a ModelQuality>, Option<&'a ModelValue>);

fn table(sides: &[Side<'_>; 2]) -> Table {
    let mut table =
        Table::new(&["version", "answers", "AUC", "log loss", "calibration", "predicted", "value by SNIPS", "by IPS"]);
    for (name, quality, value) in sides {
        let of = |number: fn(&ModelQuality) -> f64| quality.map_or_else(String::new, |q| format!("{:.4}", number(q)));
        table.row([
            name.clone(),
            quality.map_or_else(|| "0".into(), |quality| quality.answers.to_string()),
            quality.and_then(|quality| quality.auc).map_or_else(String::new, |auc| format!("{auc:.4}")),
            of(|quality| quality.log_loss),
            of(|quality| quality.calibration_error),
            of(|quality| quality.mean_predicted),
            value.and_then(|value| value.snips).map_or_else(|| "-".into(), |found| interval(&found)),
            value.and_then(|value| value.ips).map_or_else(|| "-".into(), |found| interval(&found)),
        ]);
    }
    table
}

/// What was recorded, and what speaks against the estimates.
fn notes(sides: &[Side<'_>; 2]) -> String {
    let mut out = String::new();
    if let Some(recorded) = sides[0].2.and_then(|value| value.recorded) {
        let _ = writeln!(out, "\n  the recorded policy brought {} successes a decision", interval(&recorded));
    }
    for (name, quality, value) in sides {
        if quality.is_none() {
            let _ = writeln!(out, "  {name}: no answer is known yet; a shorter --window knows some sooner");
        }
        for warning in value.iter().flat_map(|value| &value.warnings) {
            let _ = writeln!(out, "  {name}: {warning}");
        }
    }
    out
}

fn interval(found: &ValueInterval) -> String {
    format!("{:.4} ({:.4} to {:.4})", found.value, found.low, found.high)
}

fn quality_json(quality: &ModelQuality) -> Value {
    json!({
        "answers": quality.answers,
        "positives": quality.positives,
        "auc": quality.auc,
        "log_loss": quality.log_loss,
        "log_loss_baseline": quality.log_loss_baseline,
        "brier": quality.brier,
        "calibration_error": quality.calibration_error,
        "mean_predicted": quality.mean_predicted,
    })
}

fn value_json(value: &ModelValue) -> Value {
    let interval = |found: &ValueInterval| json!({ "value": found.value, "low": found.low, "high": found.high });
    json!({
        "recorded": value.recorded.as_ref().map(interval),
        "ips": value.ips.as_ref().map(interval),
        "snips": value.snips.as_ref().map(interval),
        "difference": value.difference.as_ref().map(interval),
        "effective_rows": value.effective_rows,
        "warnings": value.warnings,
    })
}
