//! The archiver: on the one node that holds its lease it follows every data partition from its mark, writes
//! what belongs to the archive as segments, and moves the marks. While it cannot, decisions and events go on;
//! it says so once, counts, and tries again.

use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use prost::Message;
use tactful_log::{Entry, Lease, Log, Offset, Partition};
use tactful_proto::storage::{ArchiveMark, Record};
use tokio::sync::watch;

use super::marks::Marks;
use super::merge::Merger;
use super::row::{Of, Row};
use super::segment::{Segment, hour};
use super::takeover::{Size, take_over};
use super::{Archive, Error, Options, SEGMENT_BYTES_MAX, SEGMENT_ROWS_MAX, blocking};
use crate::clock::now_ms;
use crate::error;

/// Name of the lease.
const LEASE: &str = "archiver";
/// Entries read from the log at once.
const READ_MAX: usize = 4_096;
/// Longest pause between two looks at the lease and at how far the archive is behind.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How long the end of the engine waits for a last pass.
const LAST_MAX: Duration = Duration::from_secs(2);

/// The task.
pub(crate) struct Archiver {
    log: Arc<dyn Log>,
    options: Options,
    /// This node, to the lease.
    holder: String,
    role: Option<Role>,
    /// What was wrong last time, so that it is told once.
    trouble: Option<Trouble>,
}

/// Kind of an error: texts name files, which change from one attempt to the next.
type Trouble = (Discriminant<error::Error>, Option<Discriminant<Error>>);

/// That this node is the archiver.
struct Role {
    archive: Arc<Archive>,
    lease: Lease,
    marks: Marks,
    size: Size,
    merger: Merger,
}

/// Rows of the segment that is being gathered.
#[derive(Default)]
struct Gathered {
    rows: Vec<Row>,
    bytes: usize,
    hour: i64,
}

impl Archiver {
    pub(crate) fn new(log: Arc<dyn Log>, options: Options) -> Self {
        let holder = format!("{:032x}", uuid::Uuid::new_v4().as_u128());
        Self { log, options, holder, role: None, trouble: None }
    }

    /// Archives until the engine closes, and once more then, as far as it comes in a moment: the log keeps the rest.
    pub(crate) async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let look = LOOK_MAX.min(self.options.every).min(self.options.lease / 3);
        let mut last_pass = Instant::now();
        while tokio::time::timeout(look, closing.wait_for(|closing| *closing)).await.is_err() {
            let due = last_pass.elapsed() >= self.options.every;
            if due {
                last_pass = Instant::now();
            }
            // A turn may be dropped anywhere, as a process may be killed anywhere.
            let turn = tokio::select! {
                turn = self.turn(due) => turn,
                _closed = closing.wait_for(|closing| *closing) => {
                    // What it left half done is found by taking the role anew.
                    self.role = None;
                    break;
                }
            };
            self.tell(turn);
        }
        if let Ok(turn) = tokio::time::timeout(LAST_MAX, self.turn(true)).await {
            self.tell(turn);
        }
        self.step_down().await;
    }

    /// Keeps the role, or takes it if nobody has it, and archives if it is time.
    async fn turn(&mut self, due: bool) -> Result<(), error::Error> {
        let done = self.try_turn(due).await;
        match done {
            // Nothing was written under its name, or what was will be written again.
            Ok(()) | Err(error::Error::Archive(Error::Io { .. } | Error::Locked { .. })) => {}
            // Whatever a failed step left, the next turn finds by looking again.
            Err(_) => self.role = None,
        }
        gauge!("tactful_archive_archiver").set(f64::from(u8::from(self.role.is_some())));
        done
    }

    async fn try_turn(&mut self, due: bool) -> Result<(), error::Error> {
        if self.role.is_none() {
            self.role = self.take_role().await?;
        }
        let Some(role) = &mut self.role else { return Ok(()) };
        role.keep(self.log.as_ref(), self.options.lease).await?;
        if due {
            for partition in 0..self.log.partitions() {
                role.archive(self.log.as_ref(), self.options.lease, partition).await?;
            }
            if role.marks.changed() {
                role.marks.save(self.log.as_ref()).await?;
            }
            role.keep(self.log.as_ref(), self.options.lease).await?;
            let marks: Vec<Offset> =
                (0..self.log.partitions()).map(|partition| role.marks.of(partition).offset).collect();
            role.merger.run(&role.archive, role.lease.token, &marks, now_ms(), &mut role.size).await?;
        }
        role.measure(self.log.as_ref()).await
    }

    /// The role, unless another node has it.
    async fn take_role(&self) -> Result<Option<Role>, error::Error> {
        let log = self.log.as_ref();
        let archive = Archive::open(log, &self.options.directory).await?;
        let Some(lease) = log.acquire_lease(LEASE, &self.holder, self.options.lease).await? else { return Ok(None) };
        let marks = Marks::load(log).await?.ok_or(Error::Fenced)?;
        let size = take_over(log, &archive, &marks, lease.token).await?;
        tracing::info!(directory = %archive.directory().display(), segments = size.segments, "this node archives");
        Ok(Some(Role { archive, lease, marks, size, merger: Merger::new(now_ms()) }))
    }

    /// Gives the role back, so that another node need not wait for the end of the lease.
    async fn step_down(self) {
        if let Some(role) = self.role
            && let Err(error) = self.log.release_lease(&role.lease).await
        {
            tracing::debug!(%error, "the archiver's lease ends by itself");
        }
    }

    /// Says what went wrong once, and when it is over.
    fn tell(&mut self, turn: Result<(), error::Error>) {
        let Err(error) = turn else {
            if self.trouble.take().is_some() {
                tracing::info!("archiving again");
            }
            return;
        };
        let inner = if let error::Error::Archive(inner) = &error { Some(discriminant(inner)) } else { None };
        let trouble = (discriminant(&error), inner);
        let told = self.trouble.replace(trouble) == Some(trouble);
        match error {
            error::Error::Archive(Error::Fenced) => {
                self.trouble = None;
                return tracing::debug!("another node has become the archiver");
            }
            // As it may well be meant: other nodes archive.
            error::Error::Archive(Error::Elsewhere { .. }) => {
                if !told {
                    tracing::warn!(%error, "this node does not archive");
                }
                return;
            }
            _ => counter!("tactful_archive_errors_total").increment(1),
        }
        if !told {
            tracing::error!(%error, "cannot archive, trying again; until then nothing may be trimmed from the log");
        }
    }
}

impl Role {
    /// Keeps the lease, well before it ends.
    async fn keep(&mut self, log: &dyn Log, ttl: Duration) -> Result<(), error::Error> {
        let left = self.lease.expires_at.saturating_duration_since(Instant::now());
        if left > ttl / 2 || log.renew_lease(&mut self.lease, ttl).await? {
            return Ok(());
        }
        Err(Error::Fenced.into())
    }

    /// Archives what a partition holds now.
    async fn archive(&mut self, log: &dyn Log, ttl: Duration, partition: u16) -> Result<(), error::Error> {
        let tail = log.tail(Partition::Data(partition)).await?;
        let mut gathered = Gathered::default();
        let mut after = self.marks.of(partition).offset;
        while after < tail {
            let entries = match log.read(Partition::Data(partition), after, READ_MAX).await {
                Err(tactful_log::Error::Trimmed { first }) => {
                    self.write(log, partition, &mut gathered, after).await?;
                    self.pass_gap(log, partition, first).await?;
                    after = first - 1;
                    continue;
                }
                entries => entries?,
            };
            let Some(last) = entries.last().map(|entry| entry.offset) else { break };
            self.keep(log, ttl).await?;
            for row in blocking(move || Ok(rows(&entries))).await? {
                if gathered.ends_before(&row) {
                    self.write(log, partition, &mut gathered, row.offset - 1).await?;
                }
                gathered.push(row);
            }
            after = last;
        }
        self.keep(log, ttl).await?;
        self.write(log, partition, &mut gathered, after).await
    }

    /// Writes a segment and moves the mark; without rows the mark alone, which is stored later.
    async fn write(
        &mut self,
        log: &dyn Log,
        partition: u16,
        gathered: &mut Gathered,
        last: Offset,
    ) -> Result<(), error::Error> {
        let mark = self.marks.of(partition);
        let Gathered { rows, hour, .. } = std::mem::take(gathered);
        if rows.is_empty() {
            self.marks.set(partition, ArchiveMark { offset: last.max(mark.offset), ..mark });
            return Ok(());
        }
        let segment = Segment { partition, hour, first: mark.covered + 1, last };
        let (archive, token) = (Arc::clone(&self.archive), self.lease.token);
        let count = rows.len() as u64;
        let bytes = blocking(move || {
            let _lock = archive.lock_as(token)?;
            archive.write(&segment, &rows)
        })
        .await?;
        self.marks.set(partition, ArchiveMark { offset: last, covered: last });
        self.marks.save(log).await?;
        self.size.add(bytes);
        counter!("tactful_archive_rows_total").increment(count);
        Ok(())
    }

    /// What follows the mark was trimmed away before it was archived: lost, and told.
    async fn pass_gap(&mut self, log: &dyn Log, partition: u16, first: Offset) -> Result<(), error::Error> {
        let mark = self.marks.of(partition).offset;
        self.marks.add_gap(partition, first - 1)?;
        self.marks.save(log).await?;
        counter!("tactful_archive_lost_entries_total").increment(first - 1 - mark);
        tracing::error!(
            partition,
            first = mark + 1,
            last = first - 1,
            "entries were trimmed away before they were archived: decisions and outcomes among them are lost"
        );
        Ok(())
    }

    /// Shows how far the archive is behind the log.
    async fn measure(&self, log: &dyn Log) -> Result<(), error::Error> {
        let (mut entries, mut oldest_ms) = (0, None);
        for partition in 0..log.partitions() {
            let (mark, partition) = (self.marks.of(partition).offset, Partition::Data(partition));
            let waiting = log.tail(partition).await?.saturating_sub(mark);
            if waiting == 0 {
                continue;
            }
            entries += waiting;
            let next = match log.read(partition, mark, 1).await {
                // The next pass tells.
                Err(tactful_log::Error::Trimmed { .. }) => continue,
                next => next?,
            };
            let received = next.first().and_then(|entry| Record::decode(entry.payload.as_ref()).ok());
            oldest_ms = oldest_ms.into_iter().chain(received.map(|record| record.received_ms)).min();
        }
        let seconds = oldest_ms.map_or(0.0, |oldest| (now_ms() - oldest).max(0) as f64 / 1_000.0);
        gauge!("tactful_archive_lag_entries").set(entries as f64);
        gauge!("tactful_archive_lag_seconds").set(seconds);
        gauge!("tactful_archive_segments").set(self.size.segments as f64);
        gauge!("tactful_archive_bytes").set(self.size.bytes as f64);
        Ok(())
    }
}

/// What of these entries belongs to the archive.
fn rows(entries: &[Entry]) -> Vec<Row> {
    let of = |entry: &Entry| match Row::of(entry.offset, &entry.payload) {
        Of::Row(row) => Some(*row),
        Of::Other | Of::Unreadable => None,
    };
    entries.iter().filter_map(of).collect()
}

impl Gathered {
    /// Whether a row belongs into the next segment. Nodes' clocks differ a little: a row that is late for its
    /// hour stays with its neighbours.
    fn ends_before(&self, row: &Row) -> bool {
        let full = self.rows.len() >= SEGMENT_ROWS_MAX || self.bytes >= SEGMENT_BYTES_MAX;
        !self.rows.is_empty() && (full || hour(row.received_ms) > self.hour)
    }

    fn push(&mut self, row: Row) {
        if self.rows.is_empty() {
            self.hour = hour(row.received_ms);
        }
        self.bytes += row.record.len();
        self.rows.push(row);
    }
}
