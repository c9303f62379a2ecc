//! The conformance suite on the embedded log, with much memory and with so little that everything is read
//! from the disk and flushed often.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use tactful_log::{
    EmbeddedLog, Log, Options,
    conformance::{PARTITIONS, TestStore},
};
use tempfile::TempDir;

/// A directory that goes away with the test.
pub(crate) struct DirectoryStore {
    home: TempDir,
    options: Options,
}

impl DirectoryStore {
    pub(crate) fn new(options: Options) -> Self {
        Self { home: tempfile::tempdir().unwrap(), options }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }
}

#[async_trait]
impl TestStore for DirectoryStore {
    async fn open(&self) -> Arc<dyn Log> {
        Arc::new(EmbeddedLog::open(self.home.path(), self.options).unwrap())
    }

    fn directory(&self) -> &Path {
        self.home.path()
    }
}

/// Plenty of memory: fresh entries never come from the disk.
pub(crate) fn roomy() -> Options {
    Options { partitions: PARTITIONS, ..Options::default() }
}

/// No recent entries in memory and tiny tables: every read is from the disk.
pub(crate) fn tight() -> Options {
    Options { partitions: PARTITIONS, recent_bytes: 0, memtable_bytes: 64 << 10, cache_bytes: 1 << 20 }
}

mod from_memory {
    tactful_log::conformance_suite!(super::DirectoryStore::new(super::roomy()));
}

mod from_disk {
    tactful_log::conformance_suite!(super::DirectoryStore::new(super::tight()));
}
