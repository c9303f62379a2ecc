//! Messages in their encoded form. The encodings of two halves of a message, one after the other, are an
//! encoding of the whole (the protobuf specification calls it merging): so what many messages have in
//! common is encoded once, and only the rest each time.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, encode_key, encode_varint, skip_field};
use prost::{DecodeError, Message};

/// A message to be sent as it is. It is only ever written: read, it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded(pub Vec<u8>);

impl Encoded {
    /// The encoding of a message.
    pub fn of(message: &impl Message) -> Self {
        Self(message.encode_to_vec())
    }
}

impl Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Appends a field that holds a message: pieces of it that are encoded already, and its rest.
pub fn put_message(tag: u32, pieces: &[&[u8]], rest: &impl Message, out: &mut Vec<u8>) {
    let len = pieces.iter().map(|piece| piece.len()).sum::<usize>() + rest.encoded_len();
    put_head(tag, len, out);
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    rest.encode_raw(out);
}

/// Appends a field that holds bytes, a text or an encoded message.
pub fn put_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_head(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends what stands before the `len` bytes of such a field.
pub fn put_head(tag: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{DecideResponse, PlacementResult, ShownAction};

    #[test]
    fn a_message_from_pieces_is_the_message() {
        let shown = |id: &str, slot| ShownAction { action_id: id.into(), slot, ..ShownAction::default() };
        let placement = PlacementResult { actions: vec![shown("a", 0), shown("b", 1)], ..PlacementResult::default() };
        let whole = DecideResponse { placements: vec![placement], cold_start: true, ..DecideResponse::default() };
        let mut inner = Vec::new();
        for (slot, id) in ["a", "b"].into_iter().enumerate() {
            put_message(2, &[&shown(id, 0).encode_to_vec()], &shown("", slot as i32), &mut inner);
        }
        let mut written = DecideResponse { cold_start: true, ..DecideResponse::default() }.encode_to_vec();
        put_bytes(2, &inner, &mut written);
        assert_eq!(DecideResponse::decode(Encoded(written).encode_to_vec().as_slice()).unwrap(), whole);
    }
}
