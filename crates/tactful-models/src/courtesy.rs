//! Giving way: what a long computation owes to decisions on the same core.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Buf;

/// Longest that others wait for this thread where it could have given way.
const TURN: Duration = Duration::from_micros(50);
/// Bytes that are decoded between two times of giving way: some ten microseconds.
const PIECE: usize = 1 << 13;

thread_local! {
    static GAVE_WAY: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets others that wait for this core go first, unless that was done just now: to be called between the steps of
/// whatever is long and may wait. A thread of the scheduler's idle class needs it too: that class decides when
/// somebody wakes up, but a thread that was ready before, and has just had its share, waits for the next tick, which
/// is milliseconds away (docs/decisions.md 16).
pub fn give_way() {
    let is_due = |last: Instant| last.elapsed() >= TURN;
    if GAVE_WAY.get().is_none_or(is_due) {
        thread::yield_now();
        GAVE_WAY.set(Some(Instant::now()));
    }
}

/// Bytes whose reader gives way now and then.
pub(crate) struct GivingWay<'a> {
    rest: &'a [u8],
    since: usize,
}

impl<'a> GivingWay<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, since: 0 }
    }
}

impl Buf for GivingWay<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn chunk(&self) -> &[u8] {
        self.rest
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
        self.since += count;
        if self.since >= PIECE {
            self.since = 0;
            give_way();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_gives_way_reads_the_same_bytes() {
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|at| (at % 251) as u8).collect();
        for step in [1, 7, PIECE, 2 * PIECE + 1] {
            let (mut reader, mut read) = (GivingWay::new(&bytes), Vec::new());
            while reader.has_remaining() {
                let now = step.min(reader.remaining());
                read.extend_from_slice(&reader.copy_to_bytes(now));
            }
            assert!(read == bytes, "in steps of {step}");
        }
    }

    #[test]
    fn giving_way_is_cheap_where_it_was_just_done() {
        give_way();
        let gave = GAVE_WAY.get();
        give_way();
        let again = GAVE_WAY.get();
        assert!(again == gave || again >= gave.map(|at| at + TURN), "once in a turn");
        thread::sleep(TURN);
        give_way();
        assert!(GAVE_WAY.get() > again, "after a turn again");
    }
}
