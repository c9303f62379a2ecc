//! Decision ids and outcome tokens. A token carries what attribution needs, so that an outcome is
//! attributed even if the decision's record is lost, and a keyed hash, so that nobody forges one.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use tactful_core::hash;
use tactful_proto::storage::OutcomeToken;
use uuid::Uuid;

/// Bytes of the keyed hash at the end of a token.
const TAG_BYTES: usize = 8;
/// Longest token, in characters: ids are bounded, so a longer one is not ours.
const TOKEN_CHARS_MAX: usize = 1_024;

/// Makes ids and seeds, seals and opens tokens.
pub(crate) struct Tokens {
    key: [u8; 32],
    /// Differs for every start of a node, so that counted ids never repeat.
    start: u64,
    count: AtomicU64,
}

impl Tokens {
    /// Tokens under a key that all nodes of one log share, and ids under a value unique to this start.
    pub(crate) fn new(key: [u8; 32], start: u64) -> Self {
        Self { key, start, count: AtomicU64::new(0) }
    }

    /// A number that does not repeat: seed of a decision, random part of an id.
    pub(crate) fn next_seed(&self) -> u64 {
        hash::keyed(self.start, &self.count.fetch_add(1, Ordering::Relaxed).to_le_bytes())
    }

    /// A UUIDv7 whose last 14 bits are the subject's hash slot; the other free bits are random.
    pub(crate) fn decision_id(&self, subject_id: &str, now_ms: i64) -> String {
        let random = (u128::from(self.next_seed()) << 64) | u128::from(self.next_seed());
        let slot = u128::from(hash::hash_slot(subject_id));
        let time = (now_ms.max(0) as u128) << 80;
        let free = (random & ((1 << 80) - 1)) & !0x3FFF;
        // Version 7 stands in bits 76 to 79, the variant in bits 62 and 63.
        let versioned = (time | free | slot) & !(0xF << 76) & !(0b11 << 62) | (0x7 << 76) | (0b10 << 62);
        Uuid::from_u128(versioned).hyphenated().to_string()
    }

    /// What seals tokens for one subject.
    pub(crate) fn sealer(&self, subject_id: &str) -> Sealer<'_> {
        let mut sealed = Vec::with_capacity(256);
        // The length keeps apart what belongs to the id and what to the token.
        sealed.extend_from_slice(&(subject_id.len() as u64).to_le_bytes());
        sealed.extend_from_slice(subject_id.as_bytes());
        Sealer { key: &self.key, token: sealed.len(), sealed }
    }

    /// Opens a token that is returned with a subject id. None if it is not ours or not for this subject.
    pub(crate) fn open(&self, subject_id: &str, text: &str) -> Option<OutcomeToken> {
        if text.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let body = bytes.get(..bytes.len().checked_sub(TAG_BYTES)?)?;
        (self.sealer(subject_id).seal(&[body], &OutcomeToken::default()) == text)
            .then(|| OutcomeToken::decode(body).ok())?
    }
}

/// Seals the tokens of one subject.
pub(crate) struct Sealer<'a> {
    key: &'a [u8; 32],
    /// The subject, and from `token` on the token: in one piece, since a hasher that takes parts is 2 KB to set up.
    sealed: Vec<u8>,
    token: usize,
}

impl Sealer<'_> {
    /// Seals a token made of pieces that are encoded already, and its rest.
    pub(crate) fn seal(&mut self, pieces: &[&[u8]], rest: &OutcomeToken) -> String {
        self.sealed.truncate(self.token);
        pieces.iter().for_each(|piece| self.sealed.extend_from_slice(piece));
        rest.encode_raw(&mut self.sealed);
        let hash = blake3::keyed_hash(self.key, &self.sealed);
        self.sealed.extend_from_slice(&hash.as_bytes()[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(&self.sealed[self.token..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> OutcomeToken {
        OutcomeToken {
            decision_id: "d".into(),
            action_id: "a".into(),
            placement: "home".into(),
            ruleset: 7,
            selection_probability: 0.25,
            challenger: true,
        }
    }

    #[test]
    fn ids_are_version_7_carry_time_and_hash_slot_and_differ() {
        let tokens = Tokens::new([1; 32], 5);
        let id = Uuid::parse_str(&tokens.decision_id("customer:42", 1_700_000_000_123)).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.as_u128() >> 80, 1_700_000_000_123);
        assert_eq!((id.as_u128() & 0x3FFF) as u16, hash::hash_slot("customer:42"));
        let ids: std::collections::BTreeSet<String> =
            (0..1_000).map(|_| tokens.decision_id("customer:42", 1)).collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn a_token_opens_for_its_subject_only() {
        let tokens = Tokens::new([1; 32], 5);
        let sealed = tokens.sealer("customer:42").seal(&[], &token());
        assert_eq!(tokens.open("customer:42", &sealed), Some(token()));
        assert_eq!(tokens.open("customer:43", &sealed), None);
        assert_eq!(Tokens::new([2; 32], 5).open("customer:42", &sealed), None);
    }

    #[test]
    fn a_changed_token_never_opens_and_never_panics() {
        let tokens = Tokens::new([1; 32], 5);
        let sealed = tokens.sealer("s").seal(&[], &token());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(tokens.open("s", &String::from_utf8(changed).unwrap()), None, "byte {at}");
            assert_eq!(tokens.open("s", &sealed[..at]), None);
        }
        assert_eq!(tokens.open("s", &"x".repeat(5_000)), None);
        assert_eq!(tokens.open("s", "ü!"), None);
    }
}
