//! Finds the snapshot that a partition starts from: the newest of its own that reads back and fits the log; else
//! the log from its beginning; else a snapshot of a peer; else the log is damaged here.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use metrics::counter;
use tactful_core::hash;
use tactful_core::state::{DedupImage, Names, Reader, STATE_FORMAT, decode_row};
use tactful_log::{Error as LogError, Log, Offset, Partition};
use tactful_proto::storage::{Record, SnapshotHeader, Tombstone};
use tokio::sync::Semaphore;

use super::file::{Blocks, Kind};
use super::folder;
use crate::archive;
use crate::error::Error;
use crate::generation::{FoldSchema, Generation};
use crate::rows::Rows;
use crate::store::Store;
use crate::trims;

/// A row takes at least so many bytes: its subject id, a slot, whether there is more.
const ROW_LEAST: u64 = 10;

/// The system does not open a file now; that says nothing about what it holds.
const UNREADABLE: &str = "it cannot be opened";

/// What a snapshot held beside rows and names, which are in place already.
pub(crate) struct Restored {
    pub(crate) offset: Offset,
    pub(crate) dedup: DedupImage,
    pub(crate) watermark_ms: i64,
    pub(crate) waiting: Vec<Record>,
    pub(crate) anchor: u64,
    pub(crate) tombstones: Vec<Tombstone>,
}

/// Where a partition's snapshots may be found.
pub(crate) struct Places<'a> {
    pub(crate) own: Option<PathBuf>,
    pub(crate) peers: &'a [PathBuf],
    pub(crate) loading: &'a Semaphore,
}

/// Puts the best snapshot of a partition in place; none if it starts from the log alone.
///
/// # Errors
/// If the log fails, or its beginning was trimmed away and no snapshot helps.
pub(crate) async fn restore(
    places: &Places<'_>,
    log: &dyn Log,
    store: &Arc<Store>,
    partition: u16,
) -> Result<Option<Restored>, LogError> {
    // It is never closed.
    let _turn = places.loading.acquire().await;
    let finder = Finder { log, store, partition };
    if let Some(folder) = &places.own
        && let Some(restored) = finder.newest(folder, true).await?
    {
        return Ok(Some(restored));
    }
    let Err(trimmed) = log.read(Partition::Data(partition), 0, 1).await else {
        return must_be_whole(log, partition).await.map(|()| None);
    };
    if !matches!(trimmed, LogError::Trimmed { .. }) {
        return Err(trimmed);
    }
    for folder in places.peers {
        if let Some(restored) = finder.newest(folder, false).await? {
            tracing::warn!(partition, offset = restored.offset, "starts from the snapshot of a peer");
            return Ok(Some(restored));
        }
    }
    Err(trimmed)
}

/// A partition that was once trimmed or archived up to an entry that it does not reach now was deleted, or lost its
/// end. To begin anew with it, with nobody known, would be wrong in silence.
async fn must_be_whole(log: &dyn Log, partition: u16) -> Result<(), LogError> {
    let tail = log.tail(Partition::Data(partition)).await?;
    let archived = match archive::marks(log).await {
        Ok(marks) => marks.and_then(|marks| marks.get(usize::from(partition)).copied()).unwrap_or_default(),
        Err(Error::Log(error)) => return Err(error),
        Err(error) => return Err(LogError::Corrupt { what: error.to_string() }),
    };
    let after = trims::last(log, partition).await?.max(archived);
    if tail < after { Err(LogError::BeyondTail { after, tail }) } else { Ok(()) }
}

struct Finder<'a> {
    log: &'a dyn Log,
    store: &'a Arc<Store>,
    partition: u16,
}

impl Finder<'_> {
    /// The newest usable snapshot of a folder, put in place.
    async fn newest(&self, path: &std::path::Path, is_own: bool) -> Result<Option<Restored>, LogError> {
        let partition = self.partition;
        let files = folder::list(path, partition).unwrap_or_else(|error| {
            tracing::error!(partition, %error, "cannot list snapshots");
            Vec::new()
        });
        for (offset, path) in files {
            let file = path.clone();
            let usable = match blocking(move || read(&file)).await {
                Ok(candidate) if is_own && candidate.header().epoch != self.log.epoch() => {
                    return Err(of_another_log());
                }
                Ok(candidate) => match self.misfit(candidate.header()).await? {
                    None => self.put_in_place(candidate).await,
                    Some(reason) => Err(reason),
                },
                Err(reason) => Err(reason),
            };
            match usable {
                Ok(restored) => return Ok(Some(restored)),
                Err(reason) => {
                    counter!("tactful_snapshots_total", "result" => "bad").increment(1);
                    tracing::error!(partition, offset, reason, "passed over a snapshot");
                    if is_own && reason != UNREADABLE {
                        self.set_aside(&path, offset);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Nothing may be trimmed because of a snapshot that cannot be used.
    fn set_aside(&self, path: &std::path::Path, offset: Offset) {
        if let Err(error) = folder::set_aside(path) {
            tracing::error!(partition = self.partition, offset, %error, "cannot set a bad snapshot aside");
        }
    }

    /// Why a snapshot does not fit schema and log; none if it does.
    async fn misfit(&self, header: &SnapshotHeader) -> Result<Option<&'static str>, LogError> {
        let place = (header.partition, header.partitions);
        if place != (self.partition.into(), self.log.partitions().into()) {
            return Ok(Some("it is of another partition"));
        }
        if header.epoch != self.log.epoch() {
            return Ok(Some("it is of another log"));
        }
        let schema = header.schema.as_ref().and_then(|body| FoldSchema::from_record(body).ok());
        let compiles_alike = schema.is_some_and(|schema| schema.hash() == header.schema_hash);
        if header.state_format != STATE_FORMAT || !compiles_alike {
            return Ok(Some("this program keeps such rows in another form"));
        }
        let partition = Partition::Data(self.partition);
        if self.log.tail(partition).await? < header.offset {
            return Ok(Some("the log ends before it: it lost its tail"));
        }
        match self.log.read(partition, header.offset.saturating_sub(1), 1).await {
            Ok(entries) => {
                let found = entries.first().map(|entry| (entry.offset, hash::content(&entry.payload)));
                let fits = found == Some((header.offset, header.anchor));
                Ok((!fits).then_some("the log holds another entry at its end: it was rolled back"))
            }
            Err(LogError::Trimmed { first }) if first <= header.offset + 1 => {
                let fits = trims::ends_at(self.log, self.partition, header.offset, header.anchor).await?;
                Ok((!fits).then_some("the log was trimmed to its end by somebody else, so that nothing shows it fits"))
            }
            Err(LogError::Trimmed { .. }) => Ok(Some("the log was trimmed beyond it")),
            Err(error) => Err(error),
        }
    }

    async fn put_in_place(&self, candidate: Blocks<File>) -> Result<Restored, &'static str> {
        let (store, partition) = (Arc::clone(self.store), self.partition);
        let partitions = self.log.partitions();
        blocking(move || {
            let body = candidate.header().schema.clone().ok_or("it names no schema")?;
            let schema = FoldSchema::from_record(&body).map_err(|_| "its schema cannot be read")?;
            // Whatever it says, it holds no more than what its bytes have room for.
            let most = candidate.length() / ROW_LEAST;
            let rows = Rows::with_room(partitions, candidate.header().rows.min(most) as usize);
            let generation = Generation::new(schema, rows);
            let (restored, names, linked) = fill(candidate, &generation)?;
            let rows = &generation.rows;
            linked.iter().filter_map(|id| rows.get(id)).for_each(|row| store.links.learn_row(row.key(), row.value()));
            let partition = store.partition(partition);
            partition.put_names(names);
            partition.replace(generation, body.version);
            Ok(restored)
        })
        .await
    }
}

/// Going on would begin anew, with nobody known, and call that ready.
fn of_another_log() -> LogError {
    let what = "the snapshots of this node are of another log: give it the log that it had, or another data_dir";
    LogError::Corrupt { what: what.into() }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, &'static str> + Send + 'static,
) -> Result<T, &'static str> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err("reading it panicked"))
}

fn read(path: &std::path::Path) -> Result<Blocks<File>, &'static str> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = opened.map_err(|_| UNREADABLE)?;
    Blocks::open(file, length)
}

/// Fills empty rows with what a file holds, which count only if this succeeds. Answers also its names, and whose rows have links.
fn fill(mut blocks: Blocks<File>, generation: &Generation) -> Result<(Restored, Names, Vec<Box<str>>), &'static str> {
    let (schema, rows) = (generation.schema(), &generation.rows);
    let malformed = "its checksums hold, yet its content cannot be read";
    let (mut dedup, mut names, mut count, mut linked) = (None, Vec::new(), 0, Vec::new());
    while let Some((kind, content)) = blocks.next()? {
        let mut bytes = Reader::new(content);
        match kind {
            Kind::Rows => {
                while !bytes.is_empty() {
                    let (subject_id, row) = decode_row(schema, &mut bytes).map_err(|_| malformed)?;
                    linked.extend(row.links().map(|_| subject_id.into()));
                    rows.insert(subject_id, row);
                    count += 1;
                }
            }
            Kind::Names => names.push(content.to_vec()),
            Kind::Dedup => dedup = Some(DedupImage::decode(&mut bytes).map_err(|_| malformed)?),
            Kind::Header | Kind::End => return Err(malformed),
        }
    }
    if count != blocks.rows() || count != rows.len() as u64 {
        return Err("it holds another number of rows than it says");
    }
    let mut names: Vec<_> = names.iter().map(|bytes: &Vec<u8>| Reader::new(bytes)).collect();
    let names = Names::decode(&mut names).map_err(|_| malformed)?;
    let header = blocks.header().clone();
    let restored = Restored {
        offset: header.offset,
        dedup: dedup.ok_or(malformed)?,
        watermark_ms: header.watermark_ms,
        waiting: header.waiting,
        anchor: header.anchor,
        tombstones: header.tombstones,
    };
    Ok((restored, names, linked))
}
