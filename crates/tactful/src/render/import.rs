//! A model of another library that was just imported.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};
use tactful_core::score::Scope;
use tactful_models::Imported;

use super::value;
use crate::output::Render;

/// What was imported.
pub(crate) struct ImportedModel<'a> {
    /// The model and its proof.
    pub(crate) imported: &'a Imported,
    /// The foreign file.
    pub(crate) from: &'a Path,
    /// Where it was written.
    pub(crate) file: &'a Path,
}

impl Render for ImportedModel<'_> {
    fn json(&self) -> Value {
        let Imported { model, format, source_version, trees, nodes, golden_rows, max_abs_diff, notes, .. } =
            self.imported;
        json!({
            "name": model.name,
            "version": model.version,
            "file": self.file.display().to_string(),
            "format": format.name(),
            "source_version": source_version,
            "trees": trees,
            "nodes": nodes,
            "inputs": model.inputs.len(),
            "columns": model.columns.len(),
            "golden_rows": golden_rows,
            "proved": max_abs_diff.is_some(),
            "max_abs_diff": max_abs_diff,
            "notes": notes,
        })
    }

    fn text(&self) -> String {
        let Imported { model, format, source_version, trees, nodes, golden_rows, max_abs_diff, notes, .. } =
            self.imported;
        let (from, file) = (self.from.display(), self.file.display());
        let mut out =
            format!("{} {}: imported from {from} ({} {source_version})\n", model.name, model.version, format.name());
        let what = match trees {
            0 => "a logistic regression".to_owned(),
            trees => format!("{} with {}", value::plural(*trees, "tree"), value::plural(*nodes, "node")),
        };
        let (inputs, columns) =
            (value::plural(model.inputs.len(), "input"), value::plural(model.columns.len(), "column"));
        let _ = writeln!(out, "  {what}, {inputs} in {columns}, for {}", self.scored());
        if let Some(difference) = max_abs_diff {
            let _ = writeln!(out, "  {golden_rows} golden rows reproduced, at most {difference:.1e} from the library");
        }
        for note in notes {
            let _ = writeln!(out, "  note: {note}");
        }
        let _ = writeln!(out, "written to {file}; push it with: tactful model push {file}");
        out
    }
}

impl ImportedModel<'_> {
    /// What its head scores.
    fn scored(&self) -> String {
        match self.imported.model.heads.first().map(|head| (head.scope, &head.id)) {
            Some((Scope::Action, id)) => format!("action {id}"),
            Some((Scope::Group, id)) => format!("group {id}"),
            Some((Scope::Global, _)) | None => "all actions".into(),
        }
    }
}
