//! Blobs, such as rulesets and models, as files named by their sha256. Written under another name,
//! synced, renamed; verified whenever read. It refuses to return bytes that do not hash to their name.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::directory::{sync_directory, write_durably};
use crate::{BLOB_BYTES_MAX, Error};

pub(crate) struct Blobs {
    path: PathBuf,
    writes: AtomicU64,
}

impl Blobs {
    /// Takes over a directory of blobs and removes what a crash left half-written.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let failed = |source| Error::io("open its blobs", &path, source);
        for file in fs::read_dir(&path).map_err(failed)? {
            let file = file.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "part") {
                fs::remove_file(&file).map_err(failed)?;
            }
        }
        Ok(Self { path, writes: AtomicU64::new(0) })
    }

    /// Stores bytes unless they are there, whole.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<[u8; 32], Error> {
        Error::if_too_large("blob bytes", bytes.len(), BLOB_BYTES_MAX)?;
        let sha256 = sha256(bytes);
        let failed = |source| Error::io("write a blob", &self.path, source);
        if matches!(self.get(&sha256), Ok(Some(_))) {
            // An earlier attempt may have failed right before this, its last step.
            return sync_directory(&self.path).map(|()| sha256).map_err(failed);
        }
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        let part = self.path.join(format!("{}.{write}.part", hex(&sha256)));
        let written = write_durably(&part, bytes)
            .and_then(|()| fs::rename(&part, self.file(&sha256)))
            .and_then(|()| sync_directory(&self.path));
        written.map_err(|source| {
            // Best effort: what stays is removed at the next start.
            let _ = fs::remove_file(&part);
            failed(source)
        })?;
        Ok(sha256)
    }

    pub(crate) fn get(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        let mut bytes = Vec::new();
        match File::open(self.file(sha256))
            .and_then(|file| file.take(BLOB_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        {
            Ok(_) => {}
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("read a blob", &self.path, source)),
        }
        if self::sha256(&bytes) != *sha256 {
            return Err(Error::Corrupt { what: format!("blob {} has other bytes", hex(sha256)) });
        }
        Ok(Some(Bytes::from(bytes)))
    }

    /// The names of all blobs, in no order.
    pub(crate) fn all(&self) -> Result<Vec<[u8; 32]>, Error> {
        let failed = |source| Error::io("list its blobs", &self.path, source);
        let mut all = Vec::new();
        for file in fs::read_dir(&self.path).map_err(failed)? {
            all.extend(file.map_err(failed)?.file_name().to_str().and_then(unhex));
        }
        Ok(all)
    }

    fn file(&self, sha256: &[u8; 32]) -> PathBuf {
        Path::new(&self.path).join(hex(sha256))
    }
}

/// Hashes piece by piece: whoever waits for this core, such as a decision, goes first.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for piece in bytes.chunks(1 << 16) {
        hash.update(piece);
        thread::yield_now();
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that [`hex`] wrote.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes().as_chunks::<2>();
    let bytes: Vec<u8> = digits
        .0
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    if digits.1.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_blob_is_refused_and_healed_by_storing_it_again() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(home.path().to_owned()).unwrap();
        let sha256 = blobs.put(b"model").unwrap();
        assert_eq!(
            hex(&sha256),
            "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4",
            "sha256 of the bytes, as any other tool computes it"
        );
        fs::write(blobs.file(&sha256), b"modem").unwrap();
        assert!(matches!(blobs.get(&sha256), Err(Error::Corrupt { .. })));
        fs::write(blobs.file(&sha256), b"").unwrap();
        assert!(matches!(blobs.get(&sha256), Err(Error::Corrupt { .. })));
        blobs.put(b"model").unwrap();
        assert_eq!(blobs.get(&sha256).unwrap().unwrap(), "model");
    }

    #[test]
    fn what_a_crash_left_is_removed_and_the_rest_stays() {
        let home = tempfile::tempdir().unwrap();
        let sha256 = Blobs::open(home.path().to_owned()).unwrap().put(b"").unwrap();
        fs::write(home.path().join("ab.0.part"), b"half").unwrap();
        let blobs = Blobs::open(home.path().to_owned()).unwrap();
        assert_eq!(blobs.get(&sha256).unwrap().unwrap(), "");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        assert_eq!(blobs.get(&[7; 32]).unwrap(), None);
        assert_eq!(blobs.all().unwrap(), [sha256]);
    }
}
