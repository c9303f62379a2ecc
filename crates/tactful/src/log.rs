//! Which event log: the embedded one in a directory, one in Redis, or for the demo one in a Redis of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tactful_log::{EmbeddedLog, Log, RedisLog, RedisOptions, RedisServer};

use crate::output::Usage;
use crate::serve::Settings;

/// Setting of the embedded log.
pub(crate) const EMBEDDED: &str = "embedded";
/// For the demo: a private Redis.
const PRIVATE: &str = "redis";

/// Opens the log that the settings name, making it if there is none. Blocks.
pub(crate) fn open(settings: &Settings) -> Result<Arc<dyn Log>> {
    let options = tactful_log::Options { partitions: settings.partitions, ..tactful_log::Options::default() };
    if settings.log == EMBEDDED {
        let folder = settings.data_dir.join("log");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        return Ok(Arc::new(EmbeddedLog::open(&folder, options)?));
    }
    if !settings.log.contains("://") {
        let text =
            format!("log = {:?} is neither \"{EMBEDDED}\" nor an address like \"redis://host:port\"", settings.log);
        return Err(Usage(text).into());
    }
    let (url, partitions, recent_bytes) = (settings.log.clone(), settings.partitions, options.recent_bytes);
    Ok(Arc::new(RedisLog::open(&RedisOptions { url, partitions, recent_bytes })?))
}

/// The demo's setting of the log, and the Redis that was started for it in `folder` if it asks for one.
pub(crate) fn of_demo(asked: &str, folder: &Path) -> Result<(String, Option<RedisServer>)> {
    if asked != PRIVATE {
        return Ok((asked.into(), None));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let server = RedisServer::start(folder)?;
    Ok((server.url(), Some(server)))
}
