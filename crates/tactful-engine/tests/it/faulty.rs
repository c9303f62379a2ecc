//! A log that hands everything to a real one and can be told to fail, or to wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tactful_log::{Entry, Error, Found, Lease, Log, Offset, Partition, Purged};
use tokio::sync::watch;

/// The wrapper.
pub(crate) struct FaultyLog {
    inner: Arc<dyn Log>,
    failure: Mutex<Option<Error>>,
    /// What reads of data partitions fail with.
    damage: Mutex<Option<Error>>,
    stalled: watch::Sender<bool>,
    reads_stalled: watch::Sender<bool>,
}

/// A log that cannot answer now.
pub(crate) fn broken() -> Option<Error> {
    Some(Error::Io { action: "append", source: Arc::new(std::io::Error::other("told to fail")) })
}

/// A log without space.
pub(crate) fn full() -> Option<Error> {
    Some(Error::Full { path: "/data".into() })
}

impl FaultyLog {
    pub(crate) fn new(inner: Arc<dyn Log>) -> Self {
        let [stalled, reads_stalled] = [(); 2].map(|()| watch::Sender::new(false));
        Self { inner, failure: Mutex::new(None), damage: Mutex::new(None), stalled, reads_stalled }
    }

    /// From now on appends fail with this, or no longer.
    pub(crate) fn fail(&self, failure: Option<Error>) {
        *self.failure.lock().unwrap() = failure;
    }

    /// From now on reads of data partitions fail with this.
    #[allow(dead_code, reason = "the server's tests, which share this file, do not damage a log")]
    pub(crate) fn damage(&self, damage: Error) {
        *self.damage.lock().unwrap() = Some(damage);
    }

    /// From now on appends wait, or no longer.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// From now on reads of data partitions wait, or no longer.
    pub(crate) fn stall_reads(&self, stalled: bool) {
        self.reads_stalled.send_replace(stalled);
    }

    async fn pass(&self) -> Result<(), Error> {
        self.stalled.subscribe().wait_for(|stalled| !stalled).await.unwrap();
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Log for FaultyLog {
    fn partitions(&self) -> u16 {
        self.inner.partitions()
    }

    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    fn durability(&self) -> &'static str {
        self.inner.durability()
    }

    async fn append(&self, entries: Vec<(Partition, Bytes)>) -> Result<Vec<Offset>, Error> {
        self.pass().await?;
        self.inner.append(entries).await
    }

    async fn read(&self, partition: Partition, after: Offset, limit: usize) -> Result<Vec<Entry>, Error> {
        if partition != Partition::Control {
            self.reads_stalled.subscribe().wait_for(|stalled| !stalled).await.unwrap();
            if let Some(damage) = self.damage.lock().unwrap().clone() {
                return Err(damage);
            }
        }
        self.inner.read(partition, after, limit).await
    }

    async fn wait(&self, partition: Partition, after: Offset) -> Result<(), Error> {
        self.inner.wait(partition, after).await
    }

    async fn tail(&self, partition: Partition) -> Result<Offset, Error> {
        self.inner.tail(partition).await
    }

    async fn trim(&self, partition: Partition, below: Offset) -> Result<(), Error> {
        self.inner.trim(partition, below).await
    }

    async fn purge(&self) -> Result<Purged, Error> {
        self.inner.purge().await
    }

    async fn scan(&self, matches: &(dyn for<'v> Fn(&'v [u8]) -> bool + Sync)) -> Result<Vec<Found>, Error> {
        self.inner.scan(matches).await
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<[u8; 32], Error> {
        self.pass().await?;
        self.inner.put_blob(bytes).await
    }

    async fn get_blob(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        self.inner.get_blob(sha256).await
    }

    async fn get_key(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.inner.get_key(key).await
    }

    async fn compare_and_set(&self, key: &str, expected: Option<Bytes>, value: Bytes) -> Result<bool, Error> {
        self.inner.compare_and_set(key, expected, value).await
    }

    async fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        self.inner.acquire_lease(name, holder, ttl).await
    }

    async fn renew_lease(&self, lease: &mut Lease, ttl: Duration) -> Result<bool, Error> {
        self.inner.renew_lease(lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<bool, Error> {
        self.inner.release_lease(lease).await
    }
}
