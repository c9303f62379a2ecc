//! Models between the engine and the wire.

use tactful_core::ruleset::Alias;
use tactful_core::score::{ModelKind, Scope};
use tactful_engine::{
    Compared, ForeignRow, Format, ImportOptions, Interval, Lineage, Loaded, ModelList, Move, PolicyValue, Pushed,
    Quality, Reference, Version,
};
use tactful_proto::storage::MoveCause;
use tactful_proto::v1;
use tonic::Status;

use crate::convert::timestamp;
use crate::status;

/// Versions of one model that a list shows.
const VERSIONS_MAX: usize = 100;

/// A version by its reference and what replies call it.
pub(super) fn version(reference: &Reference, id: &str) -> v1::ModelVersion {
    v1::ModelVersion { name: reference.name.clone(), number: reference.version as i32, id: id.into() }
}

pub(super) fn check(pushed: &Pushed) -> v1::ModelCheck {
    v1::ModelCheck {
        golden_rows: pushed.loaded.golden_rows.len() as i32,
        requests: pushed.trial.requests as i32,
        median_us: pushed.trial.median.as_secs_f64() * 1e6,
        p99_us: pushed.trial.p99.as_secs_f64() * 1e6,
    }
}

#[allow(clippy::result_large_err, reason = "tonic's own error type")]
pub(super) fn alias(alias: v1::ModelAlias) -> Result<Alias, Status> {
    match alias {
        v1::ModelAlias::Champion => Ok(Alias::Champion),
        v1::ModelAlias::Challenger => Ok(Alias::Challenger),
        v1::ModelAlias::Shadow => Ok(Alias::Shadow),
        v1::ModelAlias::Unspecified => Err(status::field("alias", "is missing: champion, challenger or shadow")),
    }
}

pub(super) fn list(list: &ModelList, name: &str) -> v1::ListResponse {
    let wanted = list.versions.iter().filter(|(known, _)| name.is_empty() || *known == name);
    v1::ListResponse {
        models: wanted.map(|(name, versions)| model(list, name, versions)).collect(),
        moves: list.moves.iter().rev().map(|moved| alias_move(list, moved)).collect(),
        champion_before: list.champion_before.as_ref().map(|before| named(list, before)),
    }
}

pub(super) fn details(list: &ModelList, found: &Version, loaded: &Loaded) -> v1::ModelServiceGetResponse {
    let model = &loaded.model;
    let kind = match model.kind() {
        ModelKind::Linear => "linear",
        ModelKind::Forest => "forest",
    };
    let input = |input: &tactful_core::score::ModelInput| v1::ModelInput {
        name: input.name.clone(),
        kind: input.kind.name().into(),
    };
    v1::ModelServiceGetResponse {
        summary: Some(summary(list, &model.name, found)),
        kind: kind.into(),
        inputs: model.inputs.iter().map(input).collect(),
        heads: model.heads.iter().map(head).collect(),
        metrics: loaded.metrics.iter().map(|(name, value)| (name.clone(), *value)).collect(),
        lineage: Some(lineage(&loaded.lineage)),
    }
}

fn model(list: &ModelList, name: &str, versions: &[Version]) -> v1::ModelSummary {
    v1::ModelSummary {
        name: name.into(),
        versions: versions.iter().rev().take(VERSIONS_MAX).map(|version| summary(list, name, version)).collect(),
        versions_left_out: versions.len().saturating_sub(VERSIONS_MAX) as i32,
    }
}

fn summary(list: &ModelList, name: &str, found: &Version) -> v1::VersionSummary {
    let reference = Reference { name: name.into(), version: found.number };
    let aliases = || list.in_use.iter().filter(|(_, in_use)| in_use.reference == reference);
    v1::VersionSummary {
        version: Some(version(&reference, &found.id)),
        push_time: Some(timestamp(found.pushed_ms)),
        bytes: found.bytes as i64,
        note: found.note.clone(),
        aliases: aliases().map(|(alias, _)| wire_alias(*alias).into()).collect(),
        share: aliases().map(|(alias, _)| share(list, *alias)).sum(),
    }
}

/// Share of the customers for whom an alias decides.
fn share(list: &ModelList, alias: Alias) -> f64 {
    let challenger = list.in_use.get(&Alias::Challenger).map_or(0.0, |challenger| challenger.share);
    match alias {
        Alias::Champion => 1.0 - challenger,
        Alias::Challenger => challenger,
        Alias::Shadow => 0.0,
    }
}

pub(super) fn named(list: &ModelList, reference: &Reference) -> v1::ModelVersion {
    let versions = list.versions.get(&reference.name);
    let found = versions.and_then(|versions| versions.iter().find(|version| version.number == reference.version));
    version(reference, found.map_or("", |found| &found.id))
}

fn alias_move(list: &ModelList, moved: &Move) -> v1::AliasMove {
    let cause = match moved.cause {
        MoveCause::Unspecified => v1::MoveCause::Unspecified,
        MoveCause::Caller => v1::MoveCause::Caller,
        MoveCause::GuardRail => v1::MoveCause::GuardRail,
        MoveCause::Learner => v1::MoveCause::Learner,
    };
    v1::AliasMove {
        move_time: Some(timestamp(moved.moved_ms)),
        alias: wire_alias(moved.alias).into(),
        to: moved.to.as_ref().map(|to| named(list, to)),
        share: moved.share,
        cause: cause.into(),
        rollback: moved.rollback,
        note: moved.note.clone(),
    }
}

fn wire_alias(alias: Alias) -> v1::ModelAlias {
    match alias {
        Alias::Champion => v1::ModelAlias::Champion,
        Alias::Challenger => v1::ModelAlias::Challenger,
        Alias::Shadow => v1::ModelAlias::Shadow,
    }
}

fn head(head: &tactful_core::score::Head) -> v1::ModelHead {
    let scope = match head.scope {
        Scope::Action => "action",
        Scope::Group => "group",
        Scope::Global => "global",
    };
    v1::ModelHead { scope: scope.into(), id: head.id.clone(), rows: head.rows as i64, positives: head.positives as i64 }
}

fn lineage(lineage: &Lineage) -> v1::ModelLineage {
    v1::ModelLineage {
        recipe_sha256: lineage.recipe_sha256.clone(),
        first_decision_time: Some(timestamp(lineage.first_decision_ms)),
        last_decision_time: Some(timestamp(lineage.last_decision_ms)),
        train_rows: lineage.train_rows as i64,
        test_rows: lineage.test_rows as i64,
        code_version: lineage.code_version.clone(),
    }
}

/// What two versions have in common and what not.
pub(super) fn comparison(
    first: v1::ModelVersion,
    second: v1::ModelVersion,
    compared: &Compared,
) -> v1::CompareResponse {
    let comparison = &compared.comparison;
    v1::CompareResponse {
        first: Some(first),
        second: Some(second),
        decisions: comparison.decisions as i64,
        one_in: compared.one_in as i64,
        left_out: compared.left_out as i64,
        agreement: comparison.agreement,
        mean_difference: comparison.mean_difference,
        first_quality: comparison.first.quality.as_ref().map(quality),
        second_quality: comparison.second.quality.as_ref().map(quality),
        first_value: comparison.first.value.as_ref().map(value),
        second_value: comparison.second.value.as_ref().map(value),
    }
}

fn quality(quality: &Quality) -> v1::ModelQuality {
    v1::ModelQuality {
        answers: quality.rows as i64,
        positives: quality.positives as i64,
        auc: quality.auc,
        log_loss: quality.log_loss,
        log_loss_baseline: quality.log_loss_baseline,
        brier: quality.brier,
        calibration_error: quality.calibration_error,
        mean_predicted: quality.mean_predicted,
    }
}

fn value(value: &PolicyValue) -> v1::ModelValue {
    let interval = |found: &Interval| v1::ValueInterval { value: found.value, low: found.low, high: found.high };
    v1::ModelValue {
        recorded: Some(interval(&value.logged)),
        ips: value.ips.as_ref().map(interval),
        snips: value.snips.as_ref().map(interval),
        difference: value.difference.as_ref().map(interval),
        effective_rows: value.effective_rows,
        warnings: value.warnings.clone(),
    }
}

/// How a foreign model is to be imported.
#[allow(clippy::result_large_err, reason = "tonic's own error type")]
pub(super) fn import_options(foreign: v1::ForeignModel) -> Result<ImportOptions, Status> {
    let v1::ForeignModel { name, format, columns, action_id, group, golden_rows } = foreign;
    let format = match format.as_str() {
        "" => None,
        "lightgbm" => Some(Format::LightGbm),
        "xgboost" => Some(Format::XgBoost),
        "onnx" => Some(Format::Onnx),
        _ => return Err(status::field("header.foreign.format", "is neither lightgbm, xgboost nor onnx, nor empty")),
    };
    let (scope, id) = match (action_id.is_empty(), group.is_empty()) {
        (true, true) => (Scope::Global, String::new()),
        (false, true) => (Scope::Action, action_id),
        (true, false) => (Scope::Group, group),
        (false, false) => {
            return Err(status::field("header.foreign.group", "goes against action_id: give one of them"));
        }
    };
    let row = |row: v1::ForeignRow| ForeignRow { values: row.values, probability: row.probability };
    let golden = golden_rows.into_iter().map(row).collect();
    Ok(ImportOptions { name, format, columns, scope, id, golden, ..ImportOptions::default() })
}
