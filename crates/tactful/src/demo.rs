//! `tactful demo`: a real server on the embedded log or one in Redis, simulated customers who live in real time, and
//! what the server says to them, learnt from along the way. Everything goes over gRPC, as a backend
//! would do it; the customers' true behaviour is known to the simulator alone.

mod assets;
mod drive;
mod feed;
mod learn;
mod screen;
mod tally;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use tactful_engine::catalog::{Files, Written};
use tactful_log::{EmbeddedLog, RedisServer};

use crate::cli::{DemoArgs, Global};
use crate::log;
use crate::output::Usage;
use crate::serve::{self, Settings};

/// Where the data goes unless told otherwise; made anew by each demo.
const DATA_DIR: &str = ".tactful/demo";
/// A folder that holds this file is a demo's, and may be cleared by the next one.
const MARKER: &str = "demo-data";

/// Runs the demo to its end or until it is interrupted.
pub(crate) fn run(global: &Global, args: &DemoArgs) -> Result<ExitCode> {
    serve::start_logging("warn")?;
    let own = args.catalog.is_none();
    let written = written(args.catalog.as_deref())?;
    let data_dir = fresh(args.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR)))?;
    let catalog = args.catalog.clone().unwrap_or_else(|| data_dir.join("catalog"));
    if own {
        assets::write_catalog(&catalog)?;
    }
    // Its own Redis ends last.
    let (log, redis) = log::of_demo(&args.log, &data_dir.join("redis"))?;
    let mut settings = Settings { data_dir: data_dir.clone(), log, ..Settings::default() };
    settings.server.grpc_listen.set_port(0);
    settings.server.http_listen.set_port(0);
    let background = serve::background()?;
    let (engine, server) = background.block_on(serve::start(&settings, written))?;
    if engine.readiness().at_start > 0 {
        let text =
            format!("{} holds a log already: give the demo an empty database, as in redis://HOST:PORT/7", args.log);
        return Err(Usage(text).into());
    }
    let customers = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let again = again(&settings, redis.as_ref());
    let place = drive::Place { addresses: server.addresses(), data_dir, catalog, engine, again };
    let outcome = customers.block_on(drive::run(global, args, &place));
    // With it go its connections: the drain waits for those that are open.
    drop(customers);
    background.block_on(server.stop());
    outcome?;
    Ok(ExitCode::SUCCESS)
}

/// The options with which `serve` finds what the demo leaves, and what must run before.
fn again(settings: &Settings, redis: Option<&RedisServer>) -> drive::Again {
    let data = settings.data_dir.display();
    let before = redis.map(|redis| {
        let folder = redis.directory().display();
        format!("redis-server --port {} --dir {folder} --appendonly yes --save '' > /dev/null &", redis.port())
    });
    let options = match settings.log.as_str() {
        log::EMBEDDED => format!("--data-dir {data}"),
        url => format!("--data-dir {data} --log {url}"),
    };
    drive::Again { before, options }
}

fn written(folder: Option<&Path>) -> Result<Written> {
    let Some(folder) = folder else {
        return Files::new(assets::catalog())
            .and_then(Files::compile)
            .map_err(|problems| anyhow::anyhow!("the demo's own catalogue is wrong: {}", problems[0]));
    };
    serve::catalog(folder)
}

/// An empty folder for this demo. Only what a demo made is cleared.
fn fresh(folder: &Path) -> Result<PathBuf> {
    let taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if taken && !folder.join(MARKER).exists() {
        let text = format!("{} is not empty and not a demo's: choose another --data-dir", folder.display());
        return Err(Usage(text).into());
    }
    if taken {
        // A server may still run on it, as the demo itself proposes in the end.
        if let Err(locked @ tactful_log::Error::Locked { .. }) = EmbeddedLog::open_existing(folder.join("log")) {
            return Err(locked.into());
        }
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(folder.join(MARKER), "made by tactful demo, cleared by the next one\n")?;
    Ok(folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_catalogue_compiles_and_the_recipe_parses() {
        let ruleset = written(None).unwrap().ruleset;
        assert!(ruleset.actions.len() >= 60);
        assert!(tactful_models::Recipe::parse(assets::RECIPE).is_ok());
    }

    #[test]
    fn only_a_demos_own_folder_is_cleared() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        fresh(&folder).unwrap();
        std::fs::write(folder.join("old"), "").unwrap();
        fresh(&folder).unwrap();
        assert!(!folder.join("old").exists());
        std::fs::write(parent.path().join("precious"), "").unwrap();
        assert!(fresh(parent.path()).unwrap_err().is::<Usage>());
        assert!(parent.path().join("precious").exists());
    }
}
