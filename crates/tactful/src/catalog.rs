//! `tactful catalog check`: reads and compiles a catalogue as a server would, and says what is in it
//! or everything that is wrong with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use tactful_core::ruleset::Ruleset;
use tactful_engine::catalog::{CatalogProblem, Written};

use crate::cli::{CatalogCheckArgs, Global};
use crate::output::{self, Render};
use crate::render::value::plural;

/// Checks the catalogue of a folder; exit code 1 if anything is wrong.
pub(crate) fn check(global: &Global, args: &CatalogCheckArgs) -> Result<ExitCode> {
    match load(&args.dir) {
        Ok(written) => {
            output::show(global.json, &Sound(&written.ruleset))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => {
            output::show(global.json, &wrong)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The compiled catalogue of a folder, or everything that is wrong with it.
pub(crate) fn load(folder: &Path) -> Result<Written, Wrong> {
    tactful_engine::catalog::load(folder).map_err(|problems| Wrong { folder: folder.into(), problems })
}

struct Sound<'a>(&'a Ruleset);

impl Sound<'_> {
    fn counts(&self) -> [(&'static str, usize); 8] {
        let catalog = &self.0.catalog;
        [
            ("action", catalog.action.len()),
            ("placement", catalog.placement.len()),
            ("channel", catalog.channel.len()),
            ("feature", catalog.feature.len()),
            ("context_field", catalog.context.len()),
            ("matter_type", catalog.matter.len()),
            ("rule", self.0.rules.len()),
            ("weight", catalog.weight.len()),
        ]
    }
}

impl Render for Sound<'_> {
    fn json(&self) -> Value {
        let mut value = json!({ "ok": true, "version": format!("{:016x}", self.0.hash()) });
        for (name, count) in self.counts() {
            value[format!("{name}s")] = count.into();
        }
        value
    }

    fn text(&self) -> String {
        let counts: Vec<String> =
            self.counts().iter().map(|(name, count)| plural(*count, &name.replace('_', " "))).collect();
        format!("ok: {}\nversion {:016x}\n", counts.join(", "), self.0.hash())
    }
}

/// A catalogue that is refused as a whole.
pub(crate) struct Wrong {
    folder: PathBuf,
    problems: Vec<CatalogProblem>,
}

impl Wrong {
    /// Every problem with its place, and what is to be done about it.
    pub(crate) fn told(&self) -> String {
        let mut text = match self.problems.len() {
            1 => format!("the catalogue in {} is refused:", self.folder.display()),
            count => format!("the catalogue in {} is refused, {count} problems:", self.folder.display()),
        };
        for problem in &self.problems {
            text += &format!("\n{}: {}", self.place(problem), problem.message);
            if !problem.hint.is_empty() {
                text += &format!("\n  hint: {}", problem.hint);
            }
        }
        text
    }

    /// File, line and column in the form that editors follow; only the file if all of it is meant.
    fn place(&self, problem: &CatalogProblem) -> String {
        let file = self.file(problem);
        if problem.line == 0 { file } else { format!("{file}:{}:{}", problem.line, problem.column) }
    }

    fn file(&self, problem: &CatalogProblem) -> String {
        let whole = problem.file == self.folder;
        let file = if whole { self.folder.clone() } else { self.folder.join(&problem.file) };
        file.display().to_string()
    }
}

impl Render for Wrong {
    fn json(&self) -> Value {
        let problem = |problem: &CatalogProblem| {
            json!({
                "file": self.file(problem),
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                "hint": problem.hint,
            })
        };
        json!({ "ok": false, "problems": self.problems.iter().map(problem).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        self.told() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_a_place_that_opens() {
        let problem = |file: &str, line, hint: &str| CatalogProblem {
            file: file.into(),
            line,
            column: 3,
            message: "wrong".into(),
            hint: hint.into(),
        };
        let problems = vec![problem("actions/sell.toml", 7, "mend it"), problem("shop", 0, "")];
        let wrong = Wrong { folder: "shop".into(), problems };
        assert_eq!(
            wrong.text(),
            "the catalogue in shop is refused, 2 problems:\nshop/actions/sell.toml:7:3: wrong\n  hint: mend it\n\
             shop: wrong\n"
        );
        assert_eq!(wrong.json()["problems"][0]["file"], "shop/actions/sell.toml");
    }
}
