//! From a decoded message to a model that may be used, or the reason why not. Every count, name,
//! index and number is checked, and the golden rows are reproduced.

use std::collections::{BTreeMap, BTreeSet};

use tactful_core::layout::FieldKind;
use tactful_core::limits::{ID_BYTES_MAX, TEXT_BYTES_MAX, VOCABULARY_MAX};
use tactful_core::score::{Column, Head, Model, ModelInput, ModelKind, Scope};
use tactful_proto::artifact as proto;

use super::{BOUNDS, GoldenRow, Lineage, Loaded, head, hex};
use crate::courtesy::give_way;
use crate::golden::reproduces;
use crate::recipe::{GOLDEN_ROWS_MIN, check_name};

pub(super) fn loaded(model: proto::Model, sha256: [u8; 32]) -> Result<Loaded, String> {
    check_counts(&model)?;
    check_name(&model.name)?;
    let kind = match model.kind() {
        proto::Kind::Linear => ModelKind::Linear,
        proto::Kind::Forest => ModelKind::Forest,
        proto::Kind::Unspecified => return Err(format!("kind {} of model is not known", model.kind)),
    };
    let checked = Model {
        inputs: inputs(model.inputs)?,
        columns: model.columns.into_iter().enumerate().map(column).collect::<Result<_, _>>()?,
        heads: heads(kind, model.heads)?,
        name: model.name,
        version: hex(&sha256[..8]),
    };
    checked.validate().map_err(|error| error.to_string())?;
    let golden_rows = golden_rows(model.golden_rows, &checked)?;
    Ok(Loaded {
        golden_rows,
        lineage: lineage(model.lineage.ok_or("it has no lineage")?)?,
        metrics: metrics(model.metrics)?,
        model: checked,
        sha256,
    })
}

fn check_counts(model: &proto::Model) -> Result<(), String> {
    let counts =
        [model.inputs.len(), model.columns.len(), model.heads.len(), model.golden_rows.len(), model.metrics.len()];
    for ((_, what, max), count) in BOUNDS.into_iter().zip(counts) {
        if count > max {
            return Err(format!("{count} {what}, at most {max} are allowed"));
        }
    }
    if model.heads.is_empty() { Err("it has no heads".into()) } else { Ok(()) }
}

fn inputs(inputs: Vec<proto::Input>) -> Result<Vec<ModelInput>, String> {
    let mut names = BTreeSet::new();
    inputs
        .into_iter()
        .enumerate()
        .map(|(position, input)| {
            check_id(&input.name).map_err(|reason| format!("name of input {position} {reason}"))?;
            if !names.insert(input.name.clone()) {
                return Err(format!("input {} comes twice", input.name));
            }
            let kind =
                input_kind(&input.kind, input.vocabulary).map_err(|reason| format!("input {} {reason}", input.name))?;
            Ok(ModelInput { name: input.name, kind })
        })
        .collect()
}

fn input_kind(kind: &str, vocabulary: Vec<String>) -> Result<FieldKind, String> {
    let plain = match kind {
        "number" => FieldKind::Number,
        "bool" => FieldKind::Bool,
        "category" => {
            if !(1..=VOCABULARY_MAX).contains(&vocabulary.len()) {
                return Err(format!("has {} words, not 1 to {VOCABULARY_MAX}", vocabulary.len()));
            }
            if let Some(word) = vocabulary.iter().find(|word| word.len() > TEXT_BYTES_MAX) {
                return Err(format!("has a word of {} bytes, at most {TEXT_BYTES_MAX} are allowed", word.len()));
            }
            if vocabulary.iter().collect::<BTreeSet<_>>().len() < vocabulary.len() {
                return Err("has a word twice".into());
            }
            return Ok(FieldKind::Category(vocabulary));
        }
        _ => return Err("is neither a number, a bool nor a category".into()),
    };
    if vocabulary.is_empty() { Ok(plain) } else { Err(format!("is a {kind} and has a vocabulary")) }
}

fn column((position, column): (usize, proto::Column)) -> Result<Column, String> {
    use proto::column::Encoding;
    let input = column.input as usize;
    match column.encoding {
        Some(Encoding::Number(proto::Number { fill, low, high })) => Ok(Column::Number { input, fill, low, high }),
        Some(Encoding::Scaled(proto::Scaled { fill, offset, scale })) => {
            Ok(Column::Scaled { input, fill, offset, scale })
        }
        Some(Encoding::Category(category)) => Ok(Column::Category { input, category }),
        Some(Encoding::Missing(true)) => Ok(Column::Missing { input }),
        Some(Encoding::Value(true)) => Ok(Column::Value { input }),
        Some(Encoding::Missing(false) | Encoding::Value(false)) | None => {
            Err(format!("column {position} has no encoding"))
        }
    }
}

fn heads(kind: ModelKind, heads: Vec<proto::Head>) -> Result<Vec<Head>, String> {
    let mut known = BTreeSet::new();
    heads
        .into_iter()
        .enumerate()
        .map(|(position, mut head)| {
            give_way();
            let scope = match head.scope() {
                proto::HeadScope::Action => Scope::Action,
                proto::HeadScope::Group => Scope::Group,
                proto::HeadScope::Global => Scope::Global,
                proto::HeadScope::Unspecified => return Err(format!("head {position} has no scope")),
            };
            match scope {
                Scope::Global if head.id.is_empty() => {}
                Scope::Global => return Err(format!("head {position} is the shared one and has an id")),
                _ => check_id(&head.id).map_err(|reason| format!("id of head {position} {reason}"))?,
            }
            if !known.insert((scope, head.id.clone())) {
                return Err(format!("head {position} repeats the scope and id of another"));
            }
            if head.positives > head.rows {
                return Err(format!("head {position} has more positive rows than rows"));
            }
            let of_head = |reason| format!("head {position} {reason}");
            let scorer = head::scorer(kind, &mut head).map_err(of_head)?;
            let calibration = head::calibration(head.calibration.take()).map_err(of_head)?;
            let proto::Head { id, rows, positives, .. } = head;
            Ok(Head { scope, id, scorer, calibration, rows, positives })
        })
        .collect()
}

/// Checks the golden rows and that the model reproduces them; every head has at least one.
fn golden_rows(rows: Vec<proto::GoldenRow>, model: &Model) -> Result<Vec<GoldenRow>, String> {
    if rows.len() < GOLDEN_ROWS_MIN {
        return Err(format!("{} golden rows, at least {GOLDEN_ROWS_MIN} are needed", rows.len()));
    }
    if !model.inputs.is_empty() && !rows.iter().flat_map(|row| &row.inputs).any(|input| input.is_nan()) {
        return Err("no golden row has a missing input".into());
    }
    let mut proven = vec![false; model.heads.len()];
    let mut checked = Vec::with_capacity(rows.len());
    for (position, row) in rows.into_iter().enumerate() {
        give_way();
        let row = golden_row(row, model).map_err(|reason| format!("golden row {position} {reason}"))?;
        proven[row.head] = true;
        checked.push(row);
    }
    match proven.iter().position(|proven| !proven) {
        Some(head) => Err(format!("head {head} has no golden row")),
        None => Ok(checked),
    }
}

fn golden_row(row: proto::GoldenRow, model: &Model) -> Result<GoldenRow, String> {
    let head = row.head as usize;
    if head >= model.heads.len() {
        return Err(format!("names head {head} of {}", model.heads.len()));
    }
    if row.inputs.len() != model.inputs.len() {
        return Err(format!("has {} inputs, the model has {}", row.inputs.len(), model.inputs.len()));
    }
    for (value, input) in row.inputs.iter().zip(&model.inputs) {
        if value.is_infinite() {
            return Err(format!("has an infinite {}", input.name));
        }
        let is_index = value.is_nan() || (*value >= 0.0 && value.fract() == 0.0);
        if matches!(input.kind, FieldKind::Category(_)) && !is_index {
            return Err(format!("has a {} that is no index", input.name));
        }
    }
    let scored = f64::from(model.probability(head, &row.inputs));
    if !(0.0..=1.0).contains(&row.probability) || !reproduces(scored, row.probability) {
        return Err(format!("expects {} of head {head}, the model gives {scored}", row.probability));
    }
    Ok(GoldenRow { inputs: row.inputs, head, probability: row.probability })
}

fn lineage(lineage: proto::Lineage) -> Result<Lineage, String> {
    if lineage.recipe_sha256.len() != 32 {
        return Err(format!("the recipe's sha256 has {} bytes, not 32", lineage.recipe_sha256.len()));
    }
    if lineage.first_decision_ms > lineage.last_decision_ms {
        return Err("the lineage ends before it begins".into());
    }
    check_id(&lineage.code_version).map_err(|reason| format!("the code version {reason}"))?;
    for (what, text) in [("format", &lineage.source_format), ("version", &lineage.source_version)] {
        if !text.is_empty() {
            check_id(text).map_err(|reason| format!("the {what} of its source {reason}"))?;
        }
    }
    Ok(Lineage {
        recipe_sha256: hex(&lineage.recipe_sha256),
        first_decision_ms: lineage.first_decision_ms,
        last_decision_ms: lineage.last_decision_ms,
        train_rows: lineage.train_rows,
        test_rows: lineage.test_rows,
        seed: lineage.seed,
        code_version: lineage.code_version,
        source_format: lineage.source_format,
        source_version: lineage.source_version,
    })
}

fn metrics(metrics: Vec<proto::Metric>) -> Result<BTreeMap<String, f64>, String> {
    let mut checked = BTreeMap::new();
    for (position, metric) in metrics.into_iter().enumerate() {
        check_id(&metric.name).map_err(|reason| format!("name of metric {position} {reason}"))?;
        if !metric.value.is_finite() {
            return Err(format!("metric {} is not finite", metric.name));
        }
        if checked.insert(metric.name, metric.value).is_some() {
            return Err(format!("metric {position} repeats the name of another"));
        }
    }
    Ok(checked)
}

/// 1 to 128 bytes without control characters.
fn check_id(id: &str) -> Result<(), String> {
    if !(1..=ID_BYTES_MAX).contains(&id.len()) {
        return Err(format!("has {} bytes, not 1 to {ID_BYTES_MAX}", id.len()));
    }
    if id.chars().any(char::is_control) { Err("has a control character".into()) } else { Ok(()) }
}
