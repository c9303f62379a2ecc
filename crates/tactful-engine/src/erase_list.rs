//! The list of erasures outside of the log: one file that no backup of the log takes back in time. Whoever was erased
//! stays erased after an older copy of the log, of its snapshots or of both was put in place.
//!
//! It names nobody: a line holds the epoch of the log, the hash of a subject id under the log's secret, and when it
//! was erased. It refuses to guess: a line that cannot be read keeps the node from starting, since somebody may be
//! named by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use metrics::counter;
use tactful_log::Log;
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{Record, Tombstone};

use crate::erasures;
use crate::error::Error;
use crate::options::Options;
use crate::record::body_ms;
use crate::tombstones::{ErasedId, TombstoneKey, Tombstones};

/// The erasures of one log, in a file.
pub(crate) struct EraseList {
    path: PathBuf,
    epoch: u64,
    listed: Mutex<BTreeSet<(i64, ErasedId)>>,
}

impl EraseList {
    /// Reads the file, which need not be there yet.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it.
    pub(crate) fn open(path: &Path, epoch: u64) -> Result<Self, Error> {
        let failed = |source| Error::EraseList { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        let mut listed = BTreeSet::new();
        for (number, line) in (1..).zip(text.lines()) {
            let (of, entry) = parse(line).ok_or_else(|| {
                let what = format!("line {number} cannot be read: put a whole copy of the file in its place");
                failed(io::Error::new(io::ErrorKind::InvalidData, what))
            })?;
            if of == epoch {
                listed.insert(entry);
            }
        }
        Ok(Self { path: path.to_owned(), epoch, listed: Mutex::new(listed) })
    }

    /// All that it holds.
    pub(crate) fn tombstones(&self) -> Vec<Tombstone> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.iter().map(|(erased_ms, id)| Tombstone { id: id.to_vec(), erased_ms: *erased_ms }).collect()
    }

    /// Adds what it does not hold yet, durably.
    ///
    /// # Errors
    /// If the file cannot be written; then they are tried again with the next ones.
    pub(crate) fn note(&self, tombstones: &[Tombstone]) -> Result<(), Error> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = tombstones.iter().filter_map(entry).filter(|entry| !listed.contains(entry));
        let new: Vec<_> = entries.collect();
        if new.is_empty() {
            return Ok(());
        }
        self.append(&new).map_err(|source| Error::EraseList { path: self.path.clone(), source })?;
        listed.extend(new);
        Ok(())
    }

    /// Writes the file anew, so that a crash leaves one of the two as a whole. Lines of other logs stay.
    fn append(&self, new: &[(i64, ErasedId)]) -> io::Result<()> {
        let mut text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        text.extend(new.iter().map(|entry| line(self.epoch, entry)));
        let temporary = self.path.with_extension("part");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn entry(tombstone: &Tombstone) -> Option<(i64, ErasedId)> {
    Some((tombstone.erased_ms, tombstone.id.as_slice().try_into().ok()?))
}

fn line(epoch: u64, (erased_ms, id): &(i64, ErasedId)) -> String {
    format!("{epoch:016x} {:032x} {erased_ms}\n", u128::from_be_bytes(*id))
}

fn parse(line: &str) -> Option<(u64, (i64, ErasedId))> {
    let [epoch, id, erased_ms] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    if (epoch.len(), id.len()) != (16, 32) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
    Some((u64::from_str_radix(epoch, 16).ok()?, (erased_ms.parse().ok()?, id)))
}

/// Whoever was erased by the file, and came back with an older copy of the log, which does not know of it.
pub(crate) struct CameBack(Mutex<Met>);

#[derive(Default)]
struct Met {
    /// Erased as of when, and not met yet.
    unknown: BTreeMap<ErasedId, i64>,
    met: Vec<(Box<str>, i64)>,
}

impl CameBack {
    /// Of what the file lists, that which the log does not.
    pub(crate) fn new(listed: &[Tombstone], log: &[Tombstone]) -> Self {
        let known: BTreeSet<_> = log.iter().filter_map(entry).collect();
        let unknown = listed.iter().filter_map(entry).filter(|entry| !known.contains(entry));
        // By time: the latest erasure of each id stays.
        let unknown = unknown.map(|(erased_ms, id)| (id, erased_ms)).collect();
        Self(Mutex::new(Met { unknown, met: Vec::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many erasures the log does not know of, of subject ids that were not met.
    pub(crate) fn unknown(&self) -> usize {
        self.lock().unknown.len()
    }

    /// Something barred was met: if the log does not know why, its erasure has to begin anew.
    pub(crate) fn meet(&self, subject_id: &str, id: &ErasedId) {
        let mut guard = self.lock();
        if let Some(erased_ms) = guard.unknown.remove(id) {
            guard.met.push((subject_id.into(), erased_ms));
        }
    }

    /// Those met since the last call, with when they were erased.
    pub(crate) fn take(&self) -> Vec<(Box<str>, i64)> {
        std::mem::take(&mut self.lock().met)
    }

    /// Gives back those for which nothing could be done.
    pub(crate) fn give_back(&self, met: impl IntoIterator<Item = (Box<str>, i64)>) {
        self.lock().met.extend(met);
    }
}

/// Who was erased, as the log and the list beside it said at the start.
#[derive(Clone)]
pub(crate) struct Erased {
    pub(crate) all: Arc<[Tombstone]>,
    pub(crate) list: Option<Arc<EraseList>>,
    pub(crate) came_back: Arc<CameBack>,
    /// Those, and what this node has folded since: what is of before an erasure does not even get into the log.
    barred: Arc<RwLock<Tombstones>>,
}

impl Erased {
    /// Reads both.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub(crate) async fn of(log: &dyn Log, options: &Options, key: &TombstoneKey) -> Result<Self, Error> {
        let mut all = erasures::tombstones(log).await?;
        let path = &options.erase_list;
        let is_given = !path.as_os_str().is_empty();
        let list = is_given.then(|| EraseList::open(path, log.epoch()).map(Arc::new)).transpose()?;
        let listed = list.as_ref().map_or_else(Vec::new, |list| list.tombstones());
        let came_back = CameBack::new(&listed, &all);
        if came_back.unknown() > 0 {
            let unknown = came_back.unknown();
            tracing::warn!(unknown, "the log does not know of erasures that were listed: they hold, and begin anew");
        }
        all.extend(listed);
        let mut barred = Tombstones::new(key.clone());
        barred.add_missing(&all);
        Ok(Self { all: all.into(), list, came_back: Arc::new(came_back), barred: Arc::new(RwLock::new(barred)) })
    }

    /// From now on nothing of before gets in.
    pub(crate) fn bar(&self, subject_id: &str, erased_ms: i64) {
        self.barred.write().unwrap_or_else(PoisonError::into_inner).add(subject_id, erased_ms);
    }

    /// Whether something of this time must stay out, because its subject id was erased.
    pub(crate) fn is_barred(&self, subject_id: &str, time_ms: i64) -> bool {
        let barred = self.barred.read().unwrap_or_else(PoisonError::into_inner);
        let is_barred = barred.bar(subject_id, time_ms);
        if is_barred {
            self.came_back.meet(subject_id, &barred.key().hash(subject_id));
        }
        is_barred
    }

    /// Takes out of a record what names somebody who was erased afterwards; whether anything is left of it.
    pub(crate) fn admit(&self, record: &mut Record) -> bool {
        let Some(body) = &mut record.body else { return true };
        let at_ms = body_ms(body);
        let mut is_barred = self.is_barred(&record.subject_id, at_ms);
        match body {
            Body::Link(link) => is_barred |= self.is_barred(&link.other_id, at_ms),
            Body::Event(event) => {
                for named in [&mut event.anonymous_id, &mut event.previous_id] {
                    if self.is_barred(named, at_ms) {
                        named.clear();
                    }
                }
            }
            _ => {}
        }
        if is_barred {
            counter!("tactful_events_of_erased_total").increment(1);
        }
        !is_barred
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(id: u8, erased_ms: i64) -> Tombstone {
        Tombstone { id: vec![id; 16], erased_ms }
    }

    #[test]
    fn what_was_noted_is_read_again_by_the_same_log_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erase-list");
        let (one, other) = (EraseList::open(&path, 7).unwrap(), EraseList::open(&path, 8).unwrap());
        one.note(&[tombstone(1, 5), tombstone(2, 6)]).unwrap();
        other.note(&[tombstone(3, 7)]).unwrap();
        one.note(&[tombstone(1, 5), tombstone(1, 9)]).unwrap();
        assert_eq!(
            EraseList::open(&path, 7).unwrap().tombstones(),
            [tombstone(1, 5), tombstone(2, 6), tombstone(1, 9)]
        );
        assert_eq!(EraseList::open(&path, 8).unwrap().tombstones(), [tombstone(3, 7)]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4, "each once");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erase-list");
        let good = line(7, &(5, [1; 16]));
        for bad in ["x", "0 0 0", &good[1..], &good[..20], &format!("{} x", good.trim())] {
            fs::write(&path, format!("{good}{bad}\n")).unwrap();
            let error = EraseList::open(&path, 7).err().expect(bad).to_string();
            assert!(error.contains("line 2") && error.contains("erase-list"), "{error}");
        }
    }

    #[test]
    fn only_those_that_the_log_does_not_know_come_back() {
        let came_back = CameBack::new(&[tombstone(1, 5), tombstone(2, 6)], &[tombstone(1, 5), tombstone(2, 4)]);
        assert_eq!(came_back.unknown(), 1);
        came_back.meet("customer:1", &[1; 16]);
        assert!(came_back.take().is_empty());
        came_back.meet("customer:2", &[2; 16]);
        came_back.meet("customer:2", &[2; 16]);
        let met = came_back.take();
        assert_eq!(met, [("customer:2".into(), 6)], "once");
        came_back.give_back(met);
        assert_eq!((came_back.take().len(), came_back.unknown()), (1, 0));
    }
}
