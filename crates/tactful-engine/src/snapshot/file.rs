//! The file of a snapshot: a magic word, then blocks, each with a checksum over itself and all before it.
//! What is cut, flipped or joined from two files is seen before any of it is used.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use prost::Message;
use tactful_core::hash;
use tactful_core::state::DedupImage;
use tactful_proto::storage::SnapshotHeader;

/// The first bytes of every snapshot; the last one is the format of the file.
const MAGIC: [u8; 8] = *b"TACTSNP\x01";
/// Bytes around a block's content: kind and length before it, checksum after it.
const HEAD: usize = 5;
const SUM: usize = 8;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Header = 1,
    Rows = 2,
    Names = 3,
    Dedup = 4,
    /// The number of rows; nothing follows.
    End = 255,
}

/// A snapshot being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    sum: u64,
    bytes: u64,
}

impl Writer {
    pub(super) fn new(file: File, header: &SnapshotHeader) -> io::Result<Self> {
        let mut writer = Self { file: BufWriter::new(file), sum: 0, bytes: MAGIC.len() as u64 };
        writer.file.write_all(&MAGIC)?;
        writer.block(Kind::Header, &header.encode_to_vec())?;
        Ok(writer)
    }

    pub(super) fn block(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(|_| io::Error::other("a block is too long"))?;
        self.sum = chained(self.sum, kind as u8, content);
        self.file.write_all(&[kind as u8])?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(content)?;
        self.bytes += (HEAD + content.len() + SUM) as u64;
        self.file.write_all(&self.sum.to_le_bytes())
    }

    /// Writes the ids of messages: encoded here, so that nobody else waits for it.
    pub(super) fn dedup(&mut self, image: &DedupImage) -> io::Result<()> {
        let mut content = Vec::new();
        image.encode(&mut content);
        self.block(Kind::Dedup, &content)
    }

    /// Ends the file and waits until the disk has it; answers its bytes.
    pub(super) fn end(mut self, rows: u64) -> io::Result<u64> {
        self.block(Kind::End, &rows.to_le_bytes())?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(self.bytes)
    }
}

/// A snapshot that was read and whose checksums hold.
pub(super) struct Read {
    pub(super) header: SnapshotHeader,
    /// Where the blocks between header and end are.
    pub(super) blocks: Vec<(Kind, Range<usize>)>,
    pub(super) rows: u64,
}

/// Checks the bytes of a file; answers why they are no snapshot.
pub(super) fn read(bytes: &[u8]) -> Result<Read, &'static str> {
    let mut rest = bytes.strip_prefix(&MAGIC).ok_or("is no snapshot of this format")?;
    let (mut sum, mut header, mut blocks) = (0, None, Vec::new());
    loop {
        let (kind, content);
        (kind, content, rest) = block(rest, &mut sum)?;
        if kind == Kind::End {
            let rows = content.try_into().map(u64::from_le_bytes).map_err(|_| "has a damaged end")?;
            if !rest.is_empty() {
                return Err("goes on after its end");
            }
            let header = header.ok_or("does not begin with its header")?;
            return Ok(Read { header, blocks, rows });
        }
        if header.is_some() {
            let end = bytes.len() - rest.len() - SUM;
            blocks.push((kind, end - content.len()..end));
        } else if kind == Kind::Header {
            header = Some(SnapshotHeader::decode(content).map_err(|_| "has a header that cannot be read")?);
        } else {
            return Err("does not begin with its header");
        }
    }
}

/// The next block, and what follows it.
fn block<'a>(bytes: &'a [u8], sum: &mut u64) -> Result<(Kind, &'a [u8], &'a [u8]), &'static str> {
    const CUT: &str = "is cut short";
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(CUT)?;
    let [kind, length @ ..] = *head;
    let (content, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize).ok_or(CUT)?;
    let (stored, rest) = rest.split_first_chunk::<SUM>().ok_or(CUT)?;
    *sum = chained(*sum, kind, content);
    if *sum != u64::from_le_bytes(*stored) {
        return Err("does not match its checksum");
    }
    let kinds = [Kind::Header, Kind::Rows, Kind::Names, Kind::Dedup, Kind::End];
    let kind = kinds.into_iter().find(|known| *known as u8 == kind).ok_or("holds a block of an unknown kind")?;
    Ok((kind, content, rest))
}

fn chained(before: u64, kind: u8, content: &[u8]) -> u64 {
    hash::keyed(before.rotate_left(8) ^ u64::from(kind), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let header = SnapshotHeader { offset: 7, ..SnapshotHeader::default() };
        let mut writer = Writer::new(File::create(&path).unwrap(), &header).unwrap();
        writer.block(Kind::Rows, b"some rows").unwrap();
        writer.block(Kind::Names, b"").unwrap();
        let bytes = writer.end(3).unwrap();
        let read = std::fs::read(path).unwrap();
        assert_eq!(read.len() as u64, bytes);
        read
    }

    #[test]
    fn a_file_reads_back() {
        let bytes = written();
        let read = read(&bytes).unwrap();
        assert_eq!((read.header.offset, read.rows), (7, 3));
        let blocks: Vec<_> = read.blocks.into_iter().map(|(kind, place)| (kind, &bytes[place])).collect();
        assert_eq!(blocks, [(Kind::Rows, &b"some rows"[..]), (Kind::Names, &b""[..])]);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let bytes = written();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(read(&[bytes.clone(), vec![0]].concat()).is_err(), "a byte more");
    }
}
