//! Lines of a stream, numbered from 1, without ever holding more than one: a line beyond the bound
//! is skipped to its end and reported. It knows nothing of what a line says.

use std::io::{self, BufRead, BufReader, Read};

/// Longest line, in bytes, its end not counted.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;
/// What is read at a time, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A line of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its bytes without the line's end.
    Text(&'a [u8]),
    /// It has more bytes than a line may have.
    TooLong,
}

/// Reads lines.
pub(crate) struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line with its number, or none at the end of the stream.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let mut taken = 0_u64;
        let mut too_long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // One byte more than the bound is kept: it may be a carriage return.
            too_long |= self.line.len() + part.len() > LINE_BYTES_MAX + 1;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            taken += used as u64;
            if end.is_some() || used == 0 {
                break;
            }
        }
        self.bytes += taken;
        if taken == 0 {
            return Ok(None);
        }
        self.number += 1;
        let text = trimmed(&self.line, self.number == 1);
        let fits = !too_long && text.len() <= LINE_BYTES_MAX;
        Ok(Some((self.number, if fits { Line::Text(text) } else { Line::TooLong })))
    }

    /// Bytes of all lines so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if the next line may have to be waited for.
    pub(crate) fn may_wait(&self) -> bool {
        !self.input.buffer().contains(&b'\n')
    }
}

/// Without the carriage return of a foreign line end, and the byte order mark of a foreign file.
fn trimmed(line: &[u8], first: bool) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if first { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut reader = LineReader::new(input);
        let mut found = Vec::new();
        while let Some((number, line)) = reader.next().unwrap() {
            let text = match line {
                Line::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                Line::TooLong => None,
            };
            found.push((number, text));
        }
        assert_eq!(reader.bytes(), input.len() as u64);
        found
    }

    #[test]
    fn lines_are_numbered_and_trimmed() {
        let found = read(b"\xEF\xBB\xBFone\r\n\ntwo\nlast");
        let expected = [(1, "one"), (2, ""), (3, "two"), (4, "last")];
        assert_eq!(found, expected.map(|(number, text)| (number, Some(text.to_owned()))));
        assert!(read(b"").is_empty());
    }

    #[test]
    fn a_line_at_the_bound_passes_and_one_beyond_is_skipped() {
        for (end, extra, passes) in [("\n", 0, true), ("\r\n", 0, true), ("\n", 1, false), ("\r\n", 1, false)] {
            let mut input = vec![b'x'; LINE_BYTES_MAX + extra];
            input.extend_from_slice(end.as_bytes());
            input.extend_from_slice(b"next\n");
            let found = read(&input);
            assert_eq!(found[0].1.is_some(), passes, "{end:?} with {extra} more");
            assert_eq!(found[1], (2, Some("next".into())));
        }
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut reader = LineReader::new(io::repeat(b'x').take(64 << 20));
        assert_eq!(reader.next().unwrap(), Some((1, Line::TooLong)));
        assert!(reader.line.capacity() <= 2 * (LINE_BYTES_MAX + 2), "{}", reader.line.capacity());
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn it_knows_when_a_whole_line_is_at_hand() {
        let mut reader = LineReader::new(&b"one\ntwo\npart"[..]);
        reader.next().unwrap();
        assert!(!reader.may_wait());
        reader.next().unwrap();
        assert!(reader.may_wait());
    }
}
