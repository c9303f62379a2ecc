//! Mutated model files of every format: bits flipped, pieces cut out, put twice or taken from another
//! file, numbers exchanged for nasty ones. Nothing may panic, and whatever is accepted must be sound and
//! give probabilities. The seed is fixed; another one comes from TACTFUL_MUTATIONS=seed:count.

use std::panic::{AssertUnwindSafe, catch_unwind};

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tactful_core::score::{Model, ModelKind};
use tactful_models::{ImportOptions, artifact, import};
use tactful_proto::artifact as proto;

use crate::corpus::forest;
use crate::damaged::{signed, sound};
use crate::foreign::{file, options};

/// Mutations of each file.
const MUTATIONS: usize = 400;
/// Numbers that readers stumble over.
const NASTY: [&str; 24] = [
    "0",
    "-0.0",
    "-1",
    "1",
    "2",
    "-2147483648",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e-320",
    "1e308",
    "-1e308",
    "3.5e38",
    "1e999",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "",
    "true",
    "\"1\"",
];

fn seed_and_count() -> (u64, usize) {
    let given = std::env::var("TACTFUL_MUTATIONS").ok();
    let parsed = given.as_deref().and_then(|given| given.split_once(':'));
    parsed.map_or((11, MUTATIONS), |(seed, count)| (seed.parse().unwrap(), count.parse().unwrap()))
}

/// Mutates files and hands each over; what panics is told with the way to come to it again.
fn mutate(files: &[Vec<u8>], text: bool, judge: impl Fn(&[u8]) -> bool) {
    let (seed, count) = seed_and_count();
    let mut accepted = 0;
    for (number, whole) in files.iter().enumerate() {
        for at in 0..count {
            let mut rng = Pcg64::new(u128::from(seed), (number * 1_000_003 + at) as u128);
            let mut changed = whole.clone();
            for _ in 0..=rng.gen_range(0..3) {
                let other = &files[rng.gen_range(0..files.len())];
                change(&mut changed, other, text, &mut rng);
            }
            let judged = catch_unwind(AssertUnwindSafe(|| judge(&changed)));
            accepted += usize::from(judged.unwrap_or_else(|_| panic!("seed {seed}, file {number}, mutation {at}")));
        }
    }
    // A corpus that is refused whole, by some outer check, would show nothing.
    assert!(accepted > files.len() && accepted < files.len() * count, "{accepted} accepted");
}

fn change(bytes: &mut Vec<u8>, other: &[u8], text: bool, rng: &mut Pcg64) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.gen_range(0..bytes.len());
    let length = rng.gen_range(1..=64).min(bytes.len() - at);
    match rng.gen_range(0..if text { 9 } else { 6 }) {
        0 => bytes[at] ^= 1 << rng.gen_range(0..8),
        1 => bytes[at] = rng.r#gen(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let from = rng.gen_range(0..other.len());
            let piece = other[from..(from + length).min(other.len())].to_vec();
            bytes.splice(at..at + length, piece);
        }
        6 => exchange_line(bytes, other, rng),
        _ => exchange_number(bytes, at, rng),
    }
}

/// Puts a nasty number in the place of the next one.
fn exchange_number(bytes: &mut Vec<u8>, at: usize, rng: &mut Pcg64) {
    let belongs = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|from| at + from) else { return };
    let end = bytes[start..].iter().position(|byte| !belongs(byte)).map_or(bytes.len(), |to| start + to);
    let nasty = NASTY[rng.gen_range(0..NASTY.len())];
    bytes.splice(start..end, nasty.bytes());
}

/// Puts a line of another file in the place of one.
fn exchange_line(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Pcg64) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let others: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
    let (at, from) = (rng.gen_range(0..lines.len()), rng.gen_range(0..others.len()));
    *bytes = [&lines[..at], &others[from..=from], &lines[at + 1..]].concat().concat();
}

/// Fails unless the model is sound and gives probabilities; numbers beyond reason are left to trees, since a
/// server asks weights about them before they score.
fn check(model: &Model, rng: &mut Pcg64) {
    assert_eq!(model.validate(), Ok(()));
    let numbers: &[f32] = match model.kind() {
        ModelKind::Forest => &[f32::NAN, 0.0, -0.0, 1.0, -1e30, f32::MAX, f32::MIN, f32::MIN_POSITIVE],
        ModelKind::Linear => &[f32::NAN, 0.0, 1.0, -1.0],
    };
    for _ in 0..20 {
        let inputs: Vec<f32> = model.inputs.iter().map(|_| numbers[rng.gen_range(0..numbers.len())]).collect();
        for head in 0..model.heads.len() {
            let p = model.probability(head, &inputs);
            let unbounded = model.kind() == ModelKind::Linear && p.is_nan();
            assert!((0.0..=1.0).contains(&p) || unbounded, "{p} for {inputs:?}");
        }
    }
}

/// Whether an import takes the bytes; what it takes must be a sound artifact.
fn imported(bytes: &[u8], options: &ImportOptions) -> bool {
    let Ok(imported) = import(bytes, options) else { return false };
    let loaded = artifact::read(&imported.artifact).unwrap();
    assert_eq!(loaded.model, imported.model);
    check(&loaded.model, &mut Pcg64::seed_from_u64(5));
    true
}

fn files(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| file(name)).collect()
}

#[test]
fn lightgbm_files() {
    let names =
        ["lightgbm_nan.txt", "lightgbm_none.txt", "lightgbm_rf.txt", "refused_category.txt", "refused_linear.txt"];
    mutate(&files(&names), true, |bytes| imported(bytes, &options()));
}

#[test]
fn xgboost_files() {
    let names = ["xgboost_hist.json", "xgboost_pruned.json", "refused_dart.json"];
    mutate(&files(&names), true, |bytes| imported(bytes, &options()));
}

#[test]
fn onnx_files() {
    let names = [
        "onnx_scaled.onnx",
        "onnx_imputed.onnx",
        "onnx_row.onnx",
        "onnx_modes.onnx",
        "onnx_mean.onnx",
        "onnx_forest_ml3.onnx",
        "onnx_lightgbm.onnx",
        "refused_multiclass.onnx",
    ];
    mutate(&files(&names), false, |bytes| imported(bytes, &options()));
}

#[test]
fn any_format_takes_any_file_without_panic() {
    let names = ["lightgbm_nan.txt", "xgboost_hist.json", "onnx_modes.onnx", "onnx_scaled.onnx"];
    for format in [tactful_models::Format::LightGbm, tactful_models::Format::XgBoost, tactful_models::Format::Onnx] {
        let options = ImportOptions { format: Some(format), ..options() };
        let accepted = files(&names).iter().filter(|bytes| imported(bytes, &options)).count();
        assert!((1..=2).contains(&accepted), "{format:?}: {accepted}");
    }
}

#[test]
fn every_truncation_of_a_small_file_is_refused_or_sound() {
    for name in ["onnx_scaled.onnx", "onnx_row.onnx", "xgboost_hist.json", "lightgbm_nan.txt"] {
        let whole = file(name);
        // A text may lose what comes after its last tree, and ONNX what comes after its graph.
        let taken = (0..whole.len()).filter(|length| imported(&whole[..*length], &options())).count();
        assert!(taken < whole.len() / 2, "{name}: {taken} of {}", whole.len());
    }
}

#[test]
fn artifacts() {
    let models = [sound(), forest()].map(|bytes| proto::Artifact::decode(bytes).unwrap().model);
    mutate(&models, false, |bytes| {
        let Ok(loaded) = artifact::read(&signed(bytes.to_vec())) else { return false };
        check(&loaded.model, &mut Pcg64::seed_from_u64(5));
        true
    });
}
