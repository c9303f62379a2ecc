//! Damaged and hostile artifacts: none is accepted that does not mean the same, none panics.

use std::sync::OnceLock;

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};
use tactful_models::artifact::{ARTIFACT_BYTES_MAX, read};
use tactful_proto::artifact as proto;

use crate::corpus::repeated;
use crate::synthetic::{TRUTH, customers, recipe, trained};

/// A small sound artifact of weights.
pub(crate) fn sound() -> &'static [u8] {
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

pub(crate) fn signed(model: Vec<u8>) -> Vec<u8> {
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
fn golden_rows_must_hold_missing_inputs() {
    let known = resigned(sound(), |model| {
        model.golden_rows = repeated(model, |row| row.inputs.iter().all(|input| !input.is_nan()));
    });
    assert!(read(&known).unwrap_err().to_string().contains("no golden row has a missing input"));
}
