//! Names of segments: `p07/2026-11-22T10/101-250.parquet`, the partition, the hour (UTC) in which its first row
//! was taken in, and the offsets that it covers. They hold no personal data.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tactful_log::{Offset, Partition};

const HOUR_MS: i64 = 3_600_000;
const EXTENSION: &str = ".parquet";

/// Which entries a segment covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) partition: u16,
    /// Hours since 1970.
    pub(super) hour: i64,
    pub(super) first: Offset,
    pub(super) last: Offset,
}

/// The hour of a time, from 1970 to the last one that has a name.
pub(super) fn hour(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS).clamp(0, Timestamp::MAX.as_second() / 3_600)
}

/// Folder of a partition.
pub(super) fn folder(partition: u16) -> PathBuf {
    Partition::Data(partition).to_string().into()
}

impl Segment {
    /// Where it is in the archive.
    pub(super) fn path(&self) -> PathBuf {
        let time = Timestamp::from_second(self.hour * 3_600).map_or_else(|_| String::new(), |time| time.to_string());
        // 2026-11-22T10:00:00Z
        let hour = time.split(':').next().unwrap_or_default();
        folder(self.partition).join(hour).join(format!("{}-{}{EXTENSION}", self.first, self.last))
    }

    /// The segment of a file in the folder of this partition and hour; none for any other file.
    pub(super) fn parse(partition: u16, hour: &str, name: &str) -> Option<Self> {
        let time: Timestamp = format!("{hour}:00:00Z").parse().ok()?;
        let (first, last) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let segment =
            Self { partition, hour: time.as_second() / 3_600, first: first.parse().ok()?, last: last.parse().ok()? };
        let own = segment.path() == folder(partition).join(hour).join(name);
        (own && segment.first <= segment.last && segment.first > 0).then_some(segment)
    }

    /// Its place among others: by the first offset, longer ones first.
    pub(super) fn order(&self) -> (Offset, std::cmp::Reverse<Offset>) {
        (self.first, std::cmp::Reverse(self.last))
    }

    /// Its file below the archive's directory.
    pub(super) fn file(&self, directory: &Path) -> PathBuf {
        directory.join(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_partition_hour_and_offsets_and_is_read_back() {
        let segment = Segment { partition: 7, hour: hour(1_777_629_600_123), first: 101, last: 250 };
        assert_eq!(segment.path(), Path::new("p07/2026-05-01T10/101-250.parquet"));
        assert_eq!(Segment::parse(7, "2026-05-01T10", "101-250.parquet"), Some(segment));
        for other in
            ["101-250.parquet.00ff.tmp", "101-250.parquet.bad", "250-101.parquet", "0-1.parquet", "a-b.parquet"]
        {
            assert_eq!(Segment::parse(7, "2026-05-01T10", other), None, "{other}");
        }
        for hour in ["2026-05-01", "2026-05-01T10:00", "2026-05-01t10", "lost+found"] {
            assert_eq!(Segment::parse(7, hour, "101-250.parquet"), None, "{hour}");
        }
    }

    #[test]
    fn any_clock_has_an_hour_that_can_be_written() {
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            let segment = Segment { partition: 0, hour: hour(ms), first: 1, last: 1 };
            let path = segment.path();
            let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap();
            assert_eq!(Segment::parse(0, folder, "1-1.parquet"), Some(segment), "{ms}");
        }
    }
}
