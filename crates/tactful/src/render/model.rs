//! Models: what was trained, what was loaded, what a file holds.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tactful_core::score::{Head, Scope};
use tactful_models::{
    Report,
    artifact::{Lineage, Loaded},
};

use super::{table::Table, value};
use crate::output::Render;

/// A model that was just trained.
pub(crate) struct TrainedModel<'a> {
    /// What went in and how good it is.
    pub(crate) report: &'a Report,
    /// Where it was written.
    pub(crate) file: &'a Path,
    /// Its card, if one was written.
    pub(crate) card: Option<PathBuf>,
    /// Its report, if one was written.
    pub(crate) report_file: Option<PathBuf>,
    /// The plots of the report.
    pub(crate) plots: Vec<PathBuf>,
}

impl Render for TrainedModel<'_> {
    fn json(&self) -> Value {
        json!({
            "file": self.file.display().to_string(),
            "card": self.card.as_ref().map(|path| path.display().to_string()),
            "report_file": self.report_file.as_ref().map(|path| path.display().to_string()),
            "plots": paths(&self.plots),
            "report": report_json(self.report),
        })
    }

    fn text(&self) -> String {
        let file = self.file.display();
        let mut out = format!("{}\n", self.report.to_string().trim_end());
        for (what, path) in [("card", &self.card), ("report", &self.report_file)] {
            if let Some(path) = path {
                let _ = writeln!(out, "{what} written to {}", path.display());
            }
        }
        write_plots(&mut out, &self.plots);
        let _ = writeln!(out, "written to {file}; push it with: tactful model push {file}");
        out
    }
}

/// The report of a training.
pub(crate) struct ShownReport<'a> {
    /// What it says.
    pub(crate) report: &'a Report,
    /// Plots that were drawn.
    pub(crate) plots: Vec<PathBuf>,
}

impl Render for ShownReport<'_> {
    fn json(&self) -> Value {
        json!({ "plots": paths(&self.plots), "report": report_json(self.report) })
    }

    fn text(&self) -> String {
        let mut out = self.report.to_string();
        write_plots(&mut out, &self.plots);
        out
    }
}

fn report_json(report: &Report) -> Value {
    serde_json::to_value(report).expect("a report has text keys only")
}

fn paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn write_plots(out: &mut String, plots: &[PathBuf]) {
    if !plots.is_empty() {
        let _ = writeln!(out, "plots drawn to {}", paths(plots).join(", "));
    }
}

/// A model file, checked.
pub(crate) struct ShownModel<'a> {
    /// What it holds.
    pub(crate) loaded: &'a Loaded,
    /// Size of the file.
    pub(crate) bytes: usize,
}

impl Render for ShownModel<'_> {
    fn json(&self) -> Value {
        let Loaded { model, golden_rows, lineage, metrics, .. } = self.loaded;
        let inputs = model.inputs.iter();
        json!({
            "name": model.name,
            "version": model.version,
            "bytes": self.bytes,
            "inputs": inputs.map(|input| json!({ "name": input.name, "kind": input.kind.name() })).collect::<Vec<_>>(),
            "columns": model.columns.len(),
            "heads": model.heads.iter().map(head_json).collect::<Vec<_>>(),
            "golden_rows": golden_rows.len(),
            "lineage": lineage,
            "metrics": metrics,
        })
    }

    fn text(&self) -> String {
        let Loaded { model, golden_rows, lineage, metrics, .. } = self.loaded;
        let mut out = format!("{} {}: sound, {} bytes\n", model.name, model.version, self.bytes);
        let inputs = value::plural(model.inputs.len(), "input");
        let columns = value::plural(model.columns.len(), "column");
        let _ = writeln!(out, "  {inputs} in {columns}, {} golden rows reproduced", golden_rows.len());
        let _ = writeln!(out, "  {}", origin(lineage));
        for (name, value) in metrics {
            let _ = writeln!(out, "  {name}: {value:.5}");
        }
        let names = model.inputs.iter().map(|input| input.name.as_str());
        let _ = write!(out, "\ninputs\n{}", value::wrapped(names, "  "));
        let _ = write!(out, "\nheads\n{}", heads_table(&model.heads).render("  "));
        out
    }
}

/// Where a model comes from.
fn origin(lineage: &Lineage) -> String {
    let Lineage { source_format, source_version, code_version, train_rows, test_rows, seed, .. } = lineage;
    if !source_format.is_empty() {
        let file = lineage.recipe_sha256.get(..16).unwrap_or_default();
        return format!("imported from {source_format} {source_version}, sha256 {file}..., code {code_version}");
    }
    // Rows of a table without a column of times all have the same.
    let times = match (lineage.first_decision_ms, lineage.last_decision_ms) {
        (0, 0) => "no times known".to_owned(),
        (first, last) => format!("decisions of {} to {}", day(first), day(last)),
    };
    format!("trained on {train_rows} rows, tested on {test_rows}, {times}, seed {seed}, code {code_version}")
}

fn heads_table(heads: &[Head]) -> Table {
    let mut table = Table::new(&["scope", "id", "rows", "positive", "rate %"]);
    for head in heads {
        let rate = if head.rows == 0 { 0.0 } else { 100.0 * head.positives as f64 / head.rows as f64 };
        table.row([
            scope(head.scope).into(),
            head.id.clone(),
            head.rows.to_string(),
            head.positives.to_string(),
            format!("{rate:.2}"),
        ]);
    }
    table
}

fn head_json(head: &Head) -> Value {
    json!({ "scope": scope(head.scope), "id": head.id, "rows": head.rows, "positives": head.positives })
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Action => "action",
        Scope::Group => "group",
        Scope::Global => "global",
    }
}

fn day(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or("-".into(), |time| time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use tactful_core::{
        layout::FieldKind,
        score::{Calibration, Linear, Model, ModelInput, Scorer},
    };

    use super::*;

    #[test]
    fn a_shown_model_lists_inputs_heads_and_metrics() {
        let head = Head {
            scope: Scope::Action,
            id: "upgrade".into(),
            scorer: Scorer::Linear(Linear { weights: vec![1.0], bias: 0.0, spread: None }),
            calibration: Calibration::None,
            rows: 200,
            positives: 50,
        };
        let model = Model {
            name: "acceptance".into(),
            version: "abc".into(),
            inputs: vec![ModelInput { name: "customer.age".into(), kind: FieldKind::Number }],
            heads: vec![head],
            ..Model::default()
        };
        let loaded = Loaded {
            model,
            golden_rows: Vec::new(),
            lineage: Default::default(),
            metrics: [("auc".to_owned(), 0.75)].into(),
            sha256: [0; 32],
        };
        let shown = ShownModel { loaded: &loaded, bytes: 100 };
        let text = shown.text();
        for part in
            ["acceptance abc: sound, 100 bytes", "auc: 0.75000", "customer.age", "upgrade   200        50   25.00"]
        {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
        assert_eq!(shown.json()["heads"][0]["positives"], 50);
        assert_eq!(shown.json()["metrics"]["auc"], 0.75);
    }
}
