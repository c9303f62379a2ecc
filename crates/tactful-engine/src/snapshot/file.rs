//! The file of a snapshot: a magic word, then blocks, each with a checksum over itself and all before it.
//! What is cut, flipped or joined from two files is seen before any of it is used.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use prost::Message;
use tactful_core::hash;
use tactful_core::state::DedupImage;
use tactful_proto::storage::SnapshotHeader;

/// The first bytes of every snapshot; the last one is the format of the file.
const MAGIC: [u8; 8] = *b"TACTSNP\x01";
/// Bytes around a block's content: kind and length before it, checksum after it.
const HEAD: usize = 5;
const SUM: usize = 8;
const CUT: &str = "is cut short or cannot be read";

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

/// The blocks of a file one after the other, in one buffer: in fresh memory for all of it reading would take twice
/// as long.
pub(super) struct Blocks<R> {
    header: SnapshotHeader,
    file: R,
    left: u64,
    sum: u64,
    content: Vec<u8>,
    /// Known at the end.
    rows: u64,
}

impl<R: Read> Blocks<R> {
    /// Reads the header; answers why it is no snapshot.
    pub(super) fn open(file: R, length: u64) -> Result<Self, &'static str> {
        let (header, content) = (SnapshotHeader::default(), Vec::new());
        let mut blocks = Self { header, file, left: length, sum: 0, content, rows: 0 };
        if blocks.array() != Ok(MAGIC) {
            return Err("is no snapshot of this format");
        }
        let header = match blocks.next()? {
            Some((Kind::Header, content)) => SnapshotHeader::decode(content),
            _ => return Err("does not begin with its header"),
        };
        blocks.header = header.map_err(|_| "has a header that cannot be read")?;
        Ok(blocks)
    }

    /// Bytes of the file that are not read yet.
    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// What the file says of itself.
    pub(super) fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// How many rows it says that it holds, once its end was reached.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The next block; none at the end, and only then is the file known to be whole: what came before must not be used
    /// if the end does not come.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, &[u8])>, &'static str> {
        let [kind, length @ ..] = self.array::<HEAD>()?;
        self.read(u32::from_le_bytes(length))?;
        self.sum = chained(self.sum, kind, &self.content);
        if self.sum != u64::from_le_bytes(self.array::<SUM>()?) {
            return Err("does not match its checksum");
        }
        let kinds = [Kind::Header, Kind::Rows, Kind::Names, Kind::Dedup, Kind::End];
        let kind = kinds.into_iter().find(|known| *known as u8 == kind).ok_or("holds a block of an unknown kind")?;
        if kind != Kind::End {
            return Ok(Some((kind, &self.content)));
        }
        self.rows = self.content.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| "has a damaged end")?;
        if self.left > 0 { Err("goes on after its end") } else { Ok(None) }
    }

    /// Fills the buffer with as many bytes; no room is made for more than the file has.
    fn read(&mut self, length: u32) -> Result<(), &'static str> {
        self.left = self.left.checked_sub(length.into()).ok_or(CUT)?;
        self.content.resize(length as usize, 0);
        self.file.read_exact(&mut self.content).map_err(|_| CUT)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.left = self.left.checked_sub(N as u64).ok_or(CUT)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|_| CUT)?;
        Ok(bytes)
    }
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

    /// Reads up to the end; answers the number of rows.
    fn read(bytes: &[u8]) -> Result<u64, &'static str> {
        let mut blocks = Blocks::open(bytes, bytes.len() as u64)?;
        while blocks.next()?.is_some() {}
        Ok(blocks.rows())
    }

    #[test]
    fn a_file_reads_back() {
        let bytes = written();
        let mut blocks = Blocks::open(bytes.as_slice(), bytes.len() as u64).unwrap();
        assert_eq!(blocks.header().offset, 7);
        assert_eq!(blocks.next().unwrap(), Some((Kind::Rows, &b"some rows"[..])));
        assert_eq!(blocks.next().unwrap(), Some((Kind::Names, &b""[..])));
        assert_eq!(blocks.next().unwrap(), None);
        assert_eq!(blocks.rows(), 3);
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
