//! The one thread that follows all partitions: it reads what is new as it comes, by its own offsets, and makes
//! it readable. Its connection blocks and is nobody else's; silence beyond its bound ends it and a new one is made.
//! It never skips: an entry that is missing, an end that moved back or another log under the same name ends the
//! partition with an error that every reader gets.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use redis::{Connection, RedisResult, Value};

use super::{
    Shared, keys,
    streams::{self, Extent},
};
use crate::{Entry, Error, Offset, Partition, bounds::every_partition};

/// Time for which Redis holds a read that finds nothing.
const BLOCK: Duration = Duration::from_millis(500);
/// Entries of each partition that one read takes: the fewest until it is known how large they are, then as many as
/// fit, by the mean of the read before, into the bytes that all partitions share.
const READ_ENTRIES: (usize, usize) = (4, 1_000);
const READ_BYTES: usize = 8 << 20;
/// Pause between two looks at what Redis holds of what was read already.
const CHECK_PACE: Duration = Duration::from_secs(2);
/// Pause before another connection is tried.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Follower {
    shared: Arc<Shared>,
    /// Of each partition the entry read last.
    newest: Vec<Option<Entry>>,
    /// Of each partition the entry that was the newest at the last check: what is put in its place later is
    /// found out even if more has been read since.
    anchors: Vec<Option<Entry>>,
    checked: Instant,
    /// Entries of each partition to take next.
    take: usize,
}

impl Follower {
    /// `newest`: the last entry of each partition at the start, where Redis still holds it.
    pub(crate) fn new(shared: Arc<Shared>, newest: Vec<Option<Entry>>) -> Self {
        Self { shared, anchors: newest.clone(), newest, checked: Instant::now(), take: READ_ENTRIES.0 }
    }

    /// Runs until the log is closed.
    pub(crate) fn run(mut self) {
        let mut away = false;
        while !self.shared.is_closing() {
            let Err(error) = self.follow(&mut away) else { break };
            if self.shared.is_closing() {
                break;
            }
            metrics::counter!("tactful_log_reconnects_total").increment(1);
            if !std::mem::replace(&mut away, true) {
                tracing::error!(%error, place = self.shared.server.place(), "cannot follow the log, trying again");
            }
            thread::sleep(RETRY_PAUSE);
        }
        self.shared.tails.iter().for_each(|tail| tail.end(Error::Closed));
    }

    fn follow(&mut self, away: &mut bool) -> RedisResult<()> {
        let mut connection = self.shared.server.connect(BLOCK)?;
        self.check(&mut connection)?;
        if std::mem::take(away) {
            tracing::info!(place = self.shared.server.place(), "following the log again");
        }
        while !self.shared.is_closing() {
            let followed: Vec<(Partition, Offset)> = self.followed().collect();
            if followed.is_empty() {
                // Every partition has ended; nothing is left but to wait for the operator.
                thread::sleep(BLOCK);
                continue;
            }
            let answer = read(&mut connection, &followed, self.take)?;
            self.shared.hear();
            let streams = streams::parse_read(answer)?;
            let read = streams.iter().filter_map(|(_, entries)| entries.as_ref().ok()).flatten();
            self.take = fitting(read, followed.len()).unwrap_or(self.take);
            for (key, entries) in streams {
                let Some((partition, _)) = followed.iter().find(|(partition, _)| keys::stream(*partition) == key)
                else {
                    continue;
                };
                match entries {
                    Ok(entries) => self.publish(*partition, entries),
                    Err(_) => self.shared.end(*partition, streams::foreign(*partition)),
                }
            }
            if self.checked.elapsed() >= CHECK_PACE {
                self.check(&mut connection)?;
            }
        }
        Ok(())
    }

    /// Partitions that have not ended, with the entry read last.
    fn followed(&self) -> impl Iterator<Item = (Partition, Offset)> {
        let partitions = every_partition(self.shared.partitions).zip(&self.shared.tails);
        partitions.filter(|(_, tail)| !tail.has_ended()).map(|(partition, tail)| (partition, tail.offset()))
    }

    fn publish(&mut self, partition: Partition, mut entries: Vec<Entry>) {
        let Ok(index) = self.shared.index(partition) else { return };
        let tail = &self.shared.tails[index];
        let after = tail.offset();
        let gapless =
            entries.iter().map(|entry| entry.offset).zip(after + 1..).take_while(|(is, due)| is == due).count();
        if let Some(beyond) = entries.get(gapless) {
            let first = beyond.offset;
            self.shared.end(partition, Error::Trimmed { first });
        }
        entries.truncate(gapless);
        if let Some(last) = entries.last() {
            self.newest[index] = Some(last.clone());
        }
        tail.publish(&mut entries);
    }

    /// Finds again what was read: the log, each partition's end, the entry read last and the one before that.
    fn check(&mut self, connection: &mut Connection) -> RedisResult<()> {
        for entries in [&self.newest, &self.anchors] {
            let followed: Vec<(Partition, usize)> = self
                .followed()
                .filter_map(|(partition, _)| Some((partition, self.shared.index(partition).ok()?)))
                .collect();
            let asked = followed.iter().map(|(partition, at)| (*partition, offset(entries[*at].as_ref())));
            let (epoch, extents) = streams::extents(connection, asked)?;
            for ((partition, at), extent) in followed.into_iter().zip(extents) {
                match self.compare(partition, epoch, &extent, entries[at].as_ref()) {
                    // What another node trimmed is forgotten here too, so that no memory keeps it.
                    Ok(()) => self.shared.tails[at].trim(extent.first),
                    Err(reason) => self.shared.end(partition, reason),
                }
            }
        }
        for (newest, tail) in self.newest.iter_mut().zip(&self.shared.tails) {
            newest.take_if(|entry| entry.offset < tail.first());
        }
        self.anchors.clone_from(&self.newest);
        self.checked = Instant::now();
        Ok(())
    }

    /// Whether Redis still holds what was read from a partition.
    fn compare(
        &self,
        partition: Partition,
        epoch: Option<u64>,
        extent: &Extent,
        entry: Option<&Entry>,
    ) -> Result<(), Error> {
        let after = self.shared.tail(partition)?.offset();
        if epoch != Some(self.shared.epoch) {
            let what = format!("{} holds another log than the one that was opened", self.shared.server.place());
            return Err(Error::Corrupt { what });
        }
        if extent.tail < after {
            return Err(Error::BeyondTail { after, tail: extent.tail });
        }
        if extent.first > after + 1 {
            // Nothing may ever come that would show the gap.
            return Err(Error::Trimmed { first: extent.first });
        }
        // What was trimmed away cannot be compared; that it was is no fault.
        match (entry, &extent.held) {
            (Some(entry), Some(held)) if entry.payload != held => {
                let what = format!("entry {} of partition {partition} is not the one that was read", entry.offset);
                Err(Error::Corrupt { what })
            }
            _ => Ok(()),
        }
    }
}

fn offset(entry: Option<&Entry>) -> Offset {
    entry.map_or(0, |entry| entry.offset)
}

/// How many entries like these each of some partitions may give; none if there are none to go by.
fn fitting<'a>(entries: impl Iterator<Item = &'a Entry>, partitions: usize) -> Option<usize> {
    let (count, bytes) = entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.payload.len()));
    let mean = (bytes / usize::max(count, 1)).max(1);
    (count > 0).then(|| (READ_BYTES / mean / partitions.max(1)).clamp(READ_ENTRIES.0, READ_ENTRIES.1))
}

fn read(connection: &mut Connection, followed: &[(Partition, Offset)], count: usize) -> RedisResult<Value> {
    let mut call = redis::cmd("XREAD");
    call.arg("COUNT").arg(count).arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
    followed.iter().for_each(|(partition, _)| {
        call.arg(keys::stream(*partition));
    });
    followed.iter().for_each(|(_, after)| {
        call.arg(format!("{after}-0"));
    });
    call.query(connection)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_read_takes_as_many_as_fit() {
        let entries = |count, size| vec![Entry { offset: 1, payload: Bytes::from(vec![0; size]) }; count];
        assert_eq!(fitting(entries(3, 200).iter(), 17), Some(1_000));
        assert_eq!(fitting(entries(3, 100_000).iter(), 17), Some(4), "the fewest, whatever their size");
        assert_eq!(fitting(entries(3, 100_000).iter(), 2), Some(41));
        assert_eq!(fitting(entries(5, 0).iter(), 2), Some(1_000));
        assert_eq!(fitting([].iter(), 17), None);
    }
}
