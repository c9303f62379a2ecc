//! Decision ids and outcome tokens. A token carries what attribution needs, so that an outcome is
//! attributed even if the decision's record is lost, and a keyed hash, so that nobody forges one.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use tactful_core::hash;
use tactful_proto::storage::OutcomeToken;
use uuid::Uuid;

/// Bytes of the keyed hash at the front of a token.
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

    /// Seals a token for the subject that the decision was made for.
    pub(crate) fn seal(&self, subject_id: &str, token: &OutcomeToken) -> String {
        let body = token.encode_to_vec();
        let mut bytes = self.tag(subject_id, &body).to_vec();
        bytes.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token that is returned with a subject id. None if it is not ours or not for this subject.
    pub(crate) fn open(&self, subject_id: &str, text: &str) -> Option<OutcomeToken> {
        if text.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, body) = bytes.split_at_checked(TAG_BYTES)?;
        (self.tag(subject_id, body) == tag).then(|| OutcomeToken::decode(body).ok())?
    }

    fn tag(&self, subject_id: &str, body: &[u8]) -> [u8; TAG_BYTES] {
        // In one piece: a hasher that takes parts is 2 KB to set up.
        let length = (subject_id.len() as u64).to_le_bytes();
        let hash = blake3::keyed_hash(&self.key, &[&length, subject_id.as_bytes(), body].concat());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hash.as_bytes()[..TAG_BYTES]);
        tag
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
        let sealed = tokens.seal("customer:42", &token());
        assert_eq!(tokens.open("customer:42", &sealed), Some(token()));
        assert_eq!(tokens.open("customer:43", &sealed), None);
        assert_eq!(Tokens::new([2; 32], 5).open("customer:42", &sealed), None);
    }

    #[test]
    fn a_changed_token_never_opens_and_never_panics() {
        let tokens = Tokens::new([1; 32], 5);
        let sealed = tokens.seal("s", &token());
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
