//! Lines of the input as batches: at most 500 items and 1 MiB each, and never held back while the
//! input has nothing more to give. Lines that are refused come along with their numbers.

use std::io::{self, Read};

use prost::Message;
use tactful_proto::v1::IngestItem;

use crate::{
    render::ingest::RefusedLine,
    segment::{
        self, Mapping, Refused, Shape,
        lines::{LINE_BYTES_MAX, Line, LineReader},
    },
};

/// Items of one batch.
const ITEMS_MAX: usize = 500;
/// Encoded bytes of one batch. An item is far smaller: at most 64 properties of 384 bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Input bytes of one chunk, so that the progress moves over blank or refused lines too.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Where an item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Number of its line, from 1.
    pub(super) line: u64,
    /// Shape of its line, for the names of its fields.
    pub(super) shape: Shape,
}

/// Some lines of the input.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Items of the batch.
    pub(super) items: Vec<IngestItem>,
    /// Line of each item.
    pub(super) lines: Vec<Origin>,
    /// Lines that hold no item.
    pub(super) refused: Vec<RefusedLine>,
    /// Bytes of the input read when this chunk ends.
    pub(super) bytes: u64,
}

/// Chunks of an input, to its end or to its first error.
pub(super) struct Feed<R> {
    lines: LineReader<R>,
    mapping: Option<Mapping>,
    stop: bool,
    ended: bool,
}

impl<R: Read> Feed<R> {
    /// With `stop`, the first line that is refused is the last that is read.
    pub(super) fn new(input: R, stop: bool) -> Self {
        Self { lines: LineReader::new(input), mapping: None, stop, ended: false }
    }

    /// Lines are read by a mapping, if there is one.
    pub(super) fn mapped(self, mapping: Option<Mapping>) -> Self {
        Self { mapping, ..self }
    }

    fn chunk(&mut self) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let mut encoded = 0;
        let start = self.lines.bytes();
        while !self.ended {
            let Some((number, line)) = self.lines.next()? else {
                self.ended = true;
                break;
            };
            match read(&line, self.mapping.as_ref()) {
                Some(Ok(item)) => {
                    encoded += item.encoded_len();
                    let shape = if self.mapping.is_some() { Shape::Mapped } else { Shape::of(&item) };
                    chunk.lines.push(Origin { line: number, shape });
                    chunk.items.push(item);
                }
                Some(Err(refused)) => {
                    let Refused { field, message } = refused;
                    chunk.refused.push(RefusedLine { line: number, field, message });
                    self.ended |= self.stop;
                }
                None => {}
            }
            let full = chunk.items.len() >= ITEMS_MAX || encoded >= BATCH_BYTES_MAX;
            if full || self.lines.may_wait() || self.lines.bytes() - start >= INPUT_BYTES_MAX {
                break;
            }
        }
        chunk.bytes = self.lines.bytes();
        Ok(chunk)
    }
}

impl<R: Read> Iterator for Feed<R> {
    type Item = io::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let chunk = self.chunk();
        self.ended |= chunk.is_err();
        Some(chunk)
    }
}

/// What a line holds; a blank one holds nothing.
fn read(line: &Line<'_>, mapping: Option<&Mapping>) -> Option<Result<IngestItem, Refused>> {
    match line {
        Line::Text(text) if segment::is_blank(text) => None,
        Line::Text(text) => Some(mapping.map_or_else(|| segment::item(text), |mapping| mapping.item(text))),
        Line::TooLong => Some(Err(Refused::line(format!("the line is longer than {LINE_BYTES_MAX} bytes")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(count: usize) -> String {
        (0..count).map(|index| format!("{{\"type\":\"page\",\"userId\":\"c{index}\"}}\n")).collect()
    }

    fn feed(input: &str, stop: bool) -> Vec<Chunk> {
        Feed::new(input.as_bytes(), stop).map(Result::unwrap).collect()
    }

    #[test]
    fn batches_have_at_most_500_items_and_keep_their_lines() {
        let chunks = feed(&good(1_100), false);
        let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.items.len()).filter(|size| *size > 0).collect();
        assert_eq!(sizes, [500, 500, 100]);
        assert_eq!((chunks[1].lines[0].line, chunks[1].lines[499].line), (501, 1_000));
    }

    #[test]
    fn a_malformed_third_line_is_numbered_and_the_rest_goes_on() {
        let input = format!("{}\n{{\"type\":\n{}", good(1), good(1_000));
        let chunks = feed(&input, false);
        let refused: Vec<&RefusedLine> = chunks.iter().flat_map(|chunk| &chunk.refused).collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].line, 3, "the blank second line counts");
        assert!(refused[0].message.contains("not valid JSON"));
        assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).sum::<usize>(), 1_001);
        assert_eq!(chunks.last().unwrap().bytes, input.len() as u64);
    }

    #[test]
    fn asked_to_stop_it_gives_what_came_before_and_nothing_after() {
        let chunks = feed(&format!("{}oops\n{}", good(2), good(1_000)), true);
        assert_eq!(chunks.len(), 1);
        let lines: Vec<u64> = chunks[0].lines.iter().map(|origin| origin.line).collect();
        assert_eq!((lines.as_slice(), chunks[0].refused[0].line), (&[1, 2][..], 3));
    }

    #[test]
    fn large_items_make_small_batches() {
        let text = "x".repeat(250);
        let properties: Vec<String> = (0..60).map(|index| format!("\"p{index}\":\"{text}\"")).collect();
        let line = format!("{{\"type\":\"page\",\"userId\":\"c\",\"properties\":{{{}}}}}\n", properties.join(","));
        let chunks = feed(&line.repeat(200), false);
        assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).sum::<usize>(), 200);
        for chunk in &chunks {
            let bytes: usize = chunk.items.iter().map(IngestItem::encoded_len).sum();
            assert!(bytes < 2 * BATCH_BYTES_MAX, "{bytes}");
        }
    }

    /// Gives one line at a time, as a live pipe does.
    struct Trickle(Vec<String>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(line) = self.0.pop() else { return Ok(0) };
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    #[test]
    fn a_live_input_is_not_held_back() {
        let mut feed = Feed::new(Trickle(vec![good(1), good(1)]), false);
        assert_eq!(feed.next().unwrap().unwrap().items.len(), 1);
        assert_eq!(feed.next().unwrap().unwrap().items.len(), 1);
    }

    #[test]
    fn an_input_that_breaks_ends_after_its_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let mut feed = Feed::new(Broken, false);
        assert!(feed.next().unwrap().is_err());
        assert!(feed.next().is_none());
    }
}
