//! Positions: what an acknowledgement covers, and waiting until this node has folded it. A token names the log by
//! its epoch, and for each partition that a write touched its last entry there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use tactful_log::{Offset, Partition};
use tactful_proto::storage::Position;
use tokio::time::{Instant, timeout_at};

use crate::engine::Engine;
use crate::error::Error;

/// Characters of a token for each partition of the log, and for the rest of it: more is none of ours.
const CHARS_MAX: (usize, usize) = (28, 64);

impl Engine {
    /// The token of entries that were appended.
    pub(crate) fn position(&self, entries: impl Iterator<Item = (Partition, Offset)>) -> String {
        let mut offsets = BTreeMap::new();
        for (partition, offset) in entries {
            if let Partition::Data(number) = partition {
                let last = offsets.entry(u32::from(number)).or_default();
                *last = offset.max(*last);
            }
        }
        URL_SAFE_NO_PAD.encode(Position { epoch: self.log.epoch(), offsets }.encode_to_vec())
    }

    /// Waits until this node has folded what a token covers, but not beyond `until`. Answers why it has not:
    /// a code for the reply.
    ///
    /// # Errors
    /// If the token is none.
    pub async fn reach(&self, token: &str, until: Instant) -> Result<Option<&'static str>, Error> {
        let position = self.read_position(token).ok_or_else(|| {
            Error::field("min_position", "is no position: give one of an acknowledgement as it came, or nothing")
        })?;
        if position.epoch != self.log.epoch() {
            return Ok(Some("POSITION_OF_ANOTHER_LOG"));
        }
        let folded = async {
            for (partition, offset) in &position.offsets {
                self.folded(*partition as usize, *offset).await?;
            }
            Some(())
        };
        let reached = matches!(timeout_at(until, folded).await, Ok(Some(())));
        Ok((!reached).then_some("BEHIND_POSITION"))
    }

    fn read_position(&self, token: &str) -> Option<Position> {
        let partitions = usize::from(self.log.partitions());
        if token.len() > CHARS_MAX.0 * partitions + CHARS_MAX.1 {
            return None;
        }
        let position = Position::decode(URL_SAFE_NO_PAD.decode(token).ok()?.as_slice()).ok()?;
        let known = |partition: &u32| (*partition as usize) < partitions;
        // An empty one, as of a log that is none, is what a caller makes of something else.
        (position.epoch != 0 && position.offsets.keys().all(known)).then_some(position)
    }
}
