//! Models of a running server: what was pushed, what is registered, what stands behind which alias.

use std::fmt::Write;

use serde_json::{Value, json};
use tactful_proto::v1::{
    AliasMove, ListResponse, ModelAlias, ModelCheck, ModelServiceGetResponse, ModelVersion, MoveCause, PushResponse,
    SetAliasResponse, VersionSummary,
};

use super::{table::Table, value};
use crate::cli::AliasName;
use crate::output::Render;

/// A model that was pushed.
pub(crate) struct PushedModel<'a> {
    pub(crate) answer: &'a PushResponse,
    pub(crate) dry_run: bool,
    /// What it was put into use as.
    pub(crate) alias: Option<AliasName>,
    pub(crate) moved: Option<&'a SetAliasResponse>,
}

impl Render for PushedModel<'_> {
    fn json(&self) -> Value {
        let check = self.answer.check.unwrap_or_default();
        json!({
            "version": self.answer.version.as_ref().map(version_json),
            "known": self.answer.known,
            "dry_run": self.dry_run,
            "golden_rows": check.golden_rows,
            "requests": check.requests,
            "median_us": check.median_us,
            "p99_us": check.p99_us,
            "alias": self.alias.map(|alias| alias_name(alias.into())),
            "ruleset_version": self.moved.map(|moved| moved.ruleset_version.clone()),
        })
    }

    fn text(&self) -> String {
        let version = self.answer.version.clone().unwrap_or_default();
        let mut out = match (self.dry_run, self.answer.known) {
            (true, _) => format!("{} {}: it would be taken\n", version.name, version.id),
            (false, true) => format!("{}: registered before\n", named(&version)),
            (false, false) => format!("{}: registered\n", named(&version)),
        };
        out += &checked(&self.answer.check.unwrap_or_default());
        match (self.alias, self.moved) {
            (Some(alias), Some(moved)) => {
                let moved = Moved {
                    alias: alias.into(),
                    version: moved.version.as_ref(),
                    ruleset: &moved.ruleset_version,
                    share: None,
                };
                out += &moved.text();
            }
            _ if self.dry_run => {}
            _ => {
                let _ =
                    writeln!(out, "  put it into use with: tactful model shadow|canary|promote {}", named(&version));
            }
        }
        out
    }
}

fn checked(check: &ModelCheck) -> String {
    format!(
        "  {} golden rows reproduced; all actions scored in {:.0} us, {:.0} us for one request in a hundred ({} tried)\n",
        check.golden_rows, check.median_us, check.p99_us, check.requests
    )
}

/// An alias that was moved.
pub(crate) struct Moved<'a> {
    pub(crate) alias: ModelAlias,
    pub(crate) version: Option<&'a ModelVersion>,
    pub(crate) ruleset: &'a str,
    pub(crate) share: Option<f64>,
}

impl Render for Moved<'_> {
    fn json(&self) -> Value {
        json!({
            "alias": alias_name(self.alias),
            "version": self.version.map(version_json),
            "share": self.share,
            "ruleset_version": self.ruleset,
        })
    }

    fn text(&self) -> String {
        let ruleset = self.ruleset;
        let Some(version) = self.version.map(named) else {
            return format!("there is no {} any more, ruleset {ruleset}\n", alias_name(self.alias));
        };
        let what = match (self.alias, self.share) {
            (ModelAlias::Champion, _) => "decides now".to_owned(),
            (ModelAlias::Challenger, Some(share)) => format!("decides for {} of the customers now", percent(share)),
            (ModelAlias::Challenger, None) => "decides for a share of the customers now".to_owned(),
            _ => "scores what is decided from now on".to_owned(),
        };
        format!("{version} {what}, ruleset {ruleset}\n")
    }
}

/// Models of a server.
pub(crate) struct Listed<'a>(pub(crate) &'a ListResponse);

impl Render for Listed<'_> {
    fn json(&self) -> Value {
        let models = self.0.models.iter().map(|model| {
            json!({
                "name": model.name,
                "versions": model.versions.iter().map(summary_json).collect::<Vec<_>>(),
                "versions_left_out": model.versions_left_out,
            })
        });
        json!({
            "models": models.collect::<Vec<_>>(),
            "moves": self.0.moves.iter().map(move_json).collect::<Vec<_>>(),
            "champion_before": self.0.champion_before.as_ref().map(version_json),
        })
    }

    fn text(&self) -> String {
        if self.0.models.is_empty() {
            return "no models: push one with `tactful model push FILE`\n".into();
        }
        let mut table = Table::new(&["model", "id", "pushed", "bytes", "alias", "customers", "note"]);
        for summary in self.0.models.iter().flat_map(|model| &model.versions) {
            let version = summary.version.clone().unwrap_or_default();
            let aliases: Vec<&str> = summary.aliases().map(alias_name).collect();
            table.row([
                named(&version),
                version.id.clone(),
                value::time_text(summary.push_time.as_ref()),
                summary.bytes.to_string(),
                aliases.join(", "),
                if summary.share > 0.0 { percent(summary.share) } else { String::new() },
                summary.note.clone(),
            ]);
        }
        let mut out = table.render("");
        for model in self.0.models.iter().filter(|model| model.versions_left_out > 0) {
            let _ = writeln!(out, "{}: {} older versions are not shown", model.name, model.versions_left_out);
        }
        out + &moves(&self.0.moves)
    }
}

/// The latest moves that people want to see at a glance.
fn moves(moves: &[AliasMove]) -> String {
    const SHOWN: usize = 10;
    let mut table = Table::new(&["moved", "alias", "to", "customers", "by", "why"]);
    for moved in moves.iter().take(SHOWN) {
        let cause = match (moved.rollback, moved.cause()) {
            (true, _) => "rollback",
            (false, MoveCause::GuardRail) => "guard-rail",
            (false, MoveCause::Learner) => "learner",
            (false, MoveCause::Caller | MoveCause::Unspecified) => "caller",
        };
        let is_challenger = moved.alias() == ModelAlias::Challenger && moved.to.is_some();
        table.row([
            value::time_text(moved.move_time.as_ref()),
            alias_name(moved.alias()).into(),
            moved.to.as_ref().map_or_else(|| "none".into(), named),
            if is_challenger { percent(moved.share) } else { String::new() },
            cause.into(),
            moved.note.clone(),
        ]);
    }
    let table = table.render("");
    if table.is_empty() { table } else { format!("\n{table}") }
}

/// A registered version.
pub(crate) struct RegisteredModel<'a>(pub(crate) &'a ModelServiceGetResponse);

impl Render for RegisteredModel<'_> {
    fn json(&self) -> Value {
        let model = self.0;
        let lineage = model.lineage.clone().unwrap_or_default();
        let heads = model
            .heads
            .iter()
            .map(|head| json!({ "scope": head.scope, "id": head.id, "rows": head.rows, "positives": head.positives }));
        json!({
            "summary": model.summary.as_ref().map(summary_json),
            "kind": model.kind,
            "inputs": model.inputs.iter().map(|input| json!({ "name": input.name, "kind": input.kind })).collect::<Vec<_>>(),
            "heads": heads.collect::<Vec<_>>(),
            "metrics": model.metrics,
            "lineage": {
                "recipe_sha256": lineage.recipe_sha256,
                "first_decision_time": value::time(lineage.first_decision_time.as_ref()),
                "last_decision_time": value::time(lineage.last_decision_time.as_ref()),
                "train_rows": lineage.train_rows,
                "test_rows": lineage.test_rows,
                "code_version": lineage.code_version,
            },
        })
    }

    fn text(&self) -> String {
        let model = self.0;
        let summary = model.summary.clone().unwrap_or_default();
        let version = summary.version.clone().unwrap_or_default();
        let aliases: Vec<&str> = summary.aliases().map(alias_name).collect();
        let used = if aliases.is_empty() { "not in use".into() } else { aliases.join(", ") };
        let mut out = format!("{} {}: {}, {used}, {} bytes\n", named(&version), version.id, model.kind, summary.bytes);
        let lineage = model.lineage.clone().unwrap_or_default();
        let _ = writeln!(
            out,
            "  trained on {} rows, tested on {}, decisions of {} to {}, code {}",
            lineage.train_rows,
            lineage.test_rows,
            value::time_text(lineage.first_decision_time.as_ref()),
            value::time_text(lineage.last_decision_time.as_ref()),
            lineage.code_version
        );
        let metrics: std::collections::BTreeMap<_, _> = model.metrics.iter().collect();
        for (name, value) in metrics {
            let _ = writeln!(out, "  {name}: {value:.5}");
        }
        let _ = write!(out, "\ninputs\n{}", value::wrapped(model.inputs.iter().map(|input| input.name.as_str()), "  "));
        let mut table = Table::new(&["scope", "id", "rows", "positive"]);
        for head in &model.heads {
            table.row([head.scope.clone(), head.id.clone(), head.rows.to_string(), head.positives.to_string()]);
        }
        let _ = write!(out, "\nheads\n{}", table.render("  "));
        out
    }
}

pub(super) fn version_json(version: &ModelVersion) -> Value {
    json!({ "name": version.name, "number": version.number, "id": version.id })
}

fn summary_json(summary: &VersionSummary) -> Value {
    json!({
        "version": summary.version.as_ref().map(version_json),
        "push_time": value::time(summary.push_time.as_ref()),
        "bytes": summary.bytes,
        "note": summary.note,
        "aliases": summary.aliases().map(alias_name).collect::<Vec<_>>(),
        "share": summary.share,
    })
}

fn move_json(moved: &AliasMove) -> Value {
    json!({
        "move_time": value::time(moved.move_time.as_ref()),
        "alias": alias_name(moved.alias()),
        "to": moved.to.as_ref().map(version_json),
        "share": moved.share,
        "cause": value::name(moved.cause().as_str_name(), "MOVE_CAUSE_"),
        "rollback": moved.rollback,
        "note": moved.note,
    })
}

pub(super) fn named(version: &ModelVersion) -> String {
    format!("{}@{}", version.name, version.number)
}

fn alias_name(alias: ModelAlias) -> &'static str {
    match alias {
        ModelAlias::Champion => "champion",
        ModelAlias::Challenger => "challenger",
        ModelAlias::Shadow => "shadow",
        ModelAlias::Unspecified => "",
    }
}

fn percent(share: f64) -> String {
    format!("{:.4}", share * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned() + " %"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_in_percent() {
        assert_eq!((percent(0.1), percent(1.0), percent(0.0025)), ("10 %".into(), "100 %".into(), "0.25 %".into()));
    }

    #[test]
    fn a_demotion_says_who_and_why() {
        let moved = AliasMove {
            alias: ModelAlias::Challenger.into(),
            cause: MoveCause::GuardRail.into(),
            note: "scores are no numbers".into(),
            ..AliasMove::default()
        };
        let told = moves(&[moved]);
        for part in ["challenger", "none", "guard-rail", "scores are no numbers"] {
            assert!(told.contains(part), "{part} not in {told}");
        }
    }
}
