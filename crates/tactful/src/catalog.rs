//! `tactful catalog check`: reads and compiles a catalogue as a server would, and says what is in it
//! or everything that is wrong with it.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use tactful_core::ruleset::Ruleset;
use tactful_engine::catalog::{CatalogProblem, load};

use crate::cli::{CatalogCheckArgs, Global};
use crate::output::{self, Render};

/// Checks the catalogue of a folder; exit code 1 if anything is wrong.
pub(crate) fn check(global: &Global, args: &CatalogCheckArgs) -> Result<ExitCode> {
    match load(&args.dir) {
        Ok(ruleset) => {
            output::show(global.json, &Sound(&ruleset))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            output::show(global.json, &Wrong(&problems))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

struct Sound<'a>(&'a Ruleset);

impl Sound<'_> {
    fn counts(&self) -> [(&'static str, usize); 8] {
        let catalog = &self.0.catalog;
        [
            ("actions", catalog.action.len()),
            ("placements", catalog.placement.len()),
            ("channels", catalog.channel.len()),
            ("features", catalog.feature.len()),
            ("context_fields", catalog.context.len()),
            ("matter_types", catalog.matter.len()),
            ("rules", self.0.rules.len()),
            ("weights", catalog.weight.len()),
        ]
    }
}

impl Render for Sound<'_> {
    fn json(&self) -> Value {
        let mut value = json!({ "ok": true, "version": format!("{:016x}", self.0.hash()) });
        for (name, count) in self.counts() {
            value[name] = count.into();
        }
        value
    }

    fn text(&self) -> String {
        let counts: Vec<String> =
            self.counts().iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
        format!("ok: {}\nversion {:016x}\n", counts.join(", "), self.0.hash())
    }
}

struct Wrong<'a>(&'a [CatalogProblem]);

impl Render for Wrong<'_> {
    fn json(&self) -> Value {
        let problem = |problem: &CatalogProblem| {
            json!({
                "file": problem.file.display().to_string(),
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                "hint": problem.hint,
            })
        };
        json!({ "ok": false, "problems": self.0.iter().map(problem).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        let mut text: String = self.0.iter().map(|problem| format!("{problem}\n")).collect();
        text += &format!("{} problem(s): nothing of this catalogue would be taken\n", self.0.len());
        text
    }
}
