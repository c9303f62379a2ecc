//! Damaged and hostile artifacts: none is accepted that does not mean the same, none panics.

use std::sync::OnceLock;

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};
use tactful_models::artifact::{ARTIFACT_BYTES_MAX, read};
use tactful_proto::artifact as proto;

use crate::synthetic::{TRUTH, customers, recipe, trained};

/// A small sound artifact.
fn sound() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| trained(&recipe("golden_rows = 10"), customers(600, "card", TRUTH, 1)).unwrap().artifact)
}

/// The artifact with its model changed and signed again.
pub(crate) fn resigned(bytes: &[u8], change: impl FnOnce(&mut proto::Model)) -> Vec<u8> {
    let envelope = proto::Artifact::decode(bytes).unwrap();
    let mut model = proto::Model::decode(envelope.model.as_slice()).unwrap();
    change(&mut model);
    signed(model.encode_to_vec())
}

fn signed(model: Vec<u8>) -> Vec<u8> {
    let sha256 = Sha256::digest(&model).to_vec();
    proto::Artifact { format: 1, model, sha256 }.encode_to_vec()
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..sound().len() {
        assert!(read(&sound()[..length]).is_err(), "{length} bytes");
    }
    assert!(read(sound()).is_ok());
}

#[test]
fn every_flipped_bit_is_refused_or_means_the_same() {
    let expected = read(sound()).unwrap();
    let mut bytes = sound().to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            if let Ok(loaded) = read(&bytes) {
                assert_eq!(loaded, expected, "byte {at} bit {bit}");
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn no_signed_mutation_panics_or_breaks_the_rules() {
    let model = proto::Artifact::decode(sound()).unwrap().model;
    let mut rng = Pcg64::seed_from_u64(2);
    for at in 0..model.len() * 3 {
        let mut changed = model.clone();
        match at % 3 {
            0 => changed[at / 3] ^= 1 << rng.gen_range(0..8),
            1 => changed[at / 3] = rng.gen_range(0..=255),
            _ => {
                let from = rng.gen_range(0..model.len());
                let cut = rng.gen_range(from..model.len().min(from + 40));
                changed.drain(from..cut);
            }
        }
        if let Ok(loaded) = read(&signed(changed)) {
            assert_eq!(loaded.model.validate(), Ok(()));
            for row in &loaded.golden_rows {
                let scored = f64::from(loaded.model.probability(row.head, &row.inputs));
                assert!((scored - row.probability).abs() <= 1e-5);
            }
        }
    }
}

#[test]
fn noise_is_refused() {
    let mut rng = Pcg64::seed_from_u64(3);
    for length in 0..3_000 {
        let noise: Vec<u8> = (0..length % 300).map(|_| rng.r#gen()).collect();
        assert!(read(&noise).is_err());
        assert!(read(&signed(noise)).is_err());
    }
}

#[test]
fn a_wrong_format_size_or_checksum_is_named() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(refused(&vec![0; ARTIFACT_BYTES_MAX + 1]).contains("at most 67108864 are allowed"));
    let envelope = proto::Artifact::decode(sound()).unwrap();
    let newer = proto::Artifact { format: 2, ..envelope.clone() };
    assert!(refused(&newer.encode_to_vec()).contains("format 2"));
    let forged = proto::Artifact { sha256: vec![0; 32], ..envelope };
    assert!(refused(&forged.encode_to_vec()).contains("checksum"));
    let mut twice = sound().to_vec();
    twice.extend_from_slice(sound());
    assert!(refused(&twice).contains("repeats"));
}

#[test]
fn hostile_models_are_refused_by_name_even_when_signed() {
    type Change = fn(&mut proto::Model);
    let cases: Vec<(&str, Change)> = vec![
        ("is no name", |model| model.name = "../up".into()),
        ("is no name", |model| model.name.clear()),
        ("kind", |model| model.kind = 0),
        ("kind", |model| model.kind = 77),
        ("more than 1024 inputs", |model| model.inputs.resize(1_025, proto::Input::default())),
        ("more than 4096 columns", |model| model.columns.resize(4_097, proto::Column::default())),
        ("more than 32769 heads", |model| model.heads.resize(32_770, proto::Head::default())),
        ("more than 36865 golden rows", |model| model.golden_rows.resize(36_866, proto::GoldenRow::default())),
        ("more than 64 metrics", |model| model.metrics.resize(65, proto::Metric::default())),
        ("more than 1024 words", |model| category(model).vocabulary.resize(1_025, String::new())),
        ("has a word of 257 bytes", |model| category(model).vocabulary[0] = "x".repeat(257)),
        ("has a word twice", |model| category(model).vocabulary[0] = "shop".into()),
        ("has 0 words", |model| category(model).vocabulary.clear()),
        ("and has a vocabulary", |model| category(model).kind = "number".into()),
        ("neither a number", |model| category(model).kind = "text".into()),
        ("comes twice", |model| model.inputs[1].name = model.inputs[0].name.clone()),
        ("not 1 to 128", |model| model.inputs[0].name = "x".repeat(129)),
        ("control character", |model| model.inputs[0].name = "a\nb".into()),
        ("names input 99", |model| model.columns[0].input = 99),
        ("names category 99", |model| {
            model.columns[0].encoding = Some(proto::column::Encoding::Category(99));
        }),
        ("fill that is not finite", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            *range(number) = proto::Number { fill: f32::NAN, low: 0.0, high: 1.0 };
        }),
        ("outside its range", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            *range(number) = proto::Number { fill: 0.5, low: 1.0, high: 0.0 };
        }),
        ("outside its range", |model| {
            let number = model.columns.iter_mut().find(|column| is_number(column)).unwrap();
            range(number).high = f32::NAN;
        }),
        ("has no encoding", |model| model.columns[0].encoding = None),
        ("no heads", |model| model.heads.clear()),
        ("weight is not finite", |model| model.heads[0].weights[1] = f32::NAN),
        ("weight is not finite", |model| model.heads[0].bias = f32::INFINITY),
        ("weights for", |model| model.heads[0].weights.push(0.0)),
        ("weights for", |model| model.heads[0].weights.truncate(1)),
        ("no scope", |model| model.heads[0].scope = 0),
        ("repeats the scope", |model| model.heads.push(model.heads[0].clone())),
        ("more positive rows", |model| model.heads[0].positives = u64::MAX),
        ("shared one and has an id", |model| model.heads.last_mut().unwrap().id = "x".into()),
        ("0 golden rows", |model| model.golden_rows.clear()),
        ("head 1 has no golden row", |model| model.golden_rows = repeated(model, |row| row.head != 1)),
        ("names head 99", |model| model.golden_rows[0].head = 99),
        ("infinite", |model| model.golden_rows[0].inputs[0] = f32::INFINITY),
        ("the model gives", |model| model.golden_rows[0].probability += 1e-4),
        ("the model gives", |model| model.golden_rows[0].probability = f64::NAN),
        ("the model gives", |model| model.heads[0].bias += 0.01),
        ("no lineage", |model| model.lineage = None),
        ("not 32", |model| model.lineage.as_mut().unwrap().recipe_sha256.clear()),
        ("ends before", |model| model.lineage.as_mut().unwrap().last_decision_ms = i64::MIN),
        ("is not finite", |model| model.metrics[0].value = f64::NAN),
        ("repeats the name", |model| model.metrics[1].name = model.metrics[0].name.clone()),
    ];
    for (word, change) in cases {
        let refused = read(&resigned(sound(), change)).expect_err(word).to_string();
        assert!(refused.contains(word), "{word}: {refused}");
    }
}

#[test]
fn golden_rows_must_hold_missing_inputs() {
    let known = resigned(sound(), |model| {
        model.golden_rows = repeated(model, |row| row.inputs.iter().all(|input| !input.is_nan()));
    });
    assert!(read(&known).unwrap_err().to_string().contains("no golden row has a missing input"));
}

fn category(model: &mut proto::Model) -> &mut proto::Input {
    model.inputs.iter_mut().find(|input| input.kind == "category").unwrap()
}

fn is_number(column: &proto::Column) -> bool {
    matches!(column.encoding, Some(proto::column::Encoding::Number(_)))
}

fn range(column: &mut proto::Column) -> &mut proto::Number {
    let Some(proto::column::Encoding::Number(number)) = &mut column.encoding else { panic!("no number") };
    number
}

/// Some of the golden rows, repeated until there are enough.
fn repeated(model: &proto::Model, keep: impl Fn(&proto::GoldenRow) -> bool) -> Vec<proto::GoldenRow> {
    let kept: Vec<_> = model.golden_rows.iter().filter(|row| keep(row)).cloned().collect();
    kept.iter().cycle().take(20).cloned().collect()
}
