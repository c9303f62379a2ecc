//! `tactful serve`: settings, catalogue, log, engine and server, in this order; then it waits for
//! the signal to drain. A wrong setting or catalogue ends it before any port opens.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tactful_engine::catalog::Written;
use tactful_engine::{Engine, archive};
use tactful_models::{Recipe, RecipeKind};
use tactful_server::{Addresses, Server, StartError, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use toml::Value;

use crate::cli::{Global, ServeArgs};
use crate::config::{self, Loaded};
use crate::intake;
use crate::log::{self, EMBEDDED};
use crate::output::{self, Usage};
use crate::segment::Mapping;

/// Longest time between two segments of a quiet partition: a day.
const ARCHIVE_EVERY_S_MAX: u64 = 86_400;

/// Everything that an operator may set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Folder of the catalogue.
    pub(crate) catalog: PathBuf,
    /// Folder of the log.
    pub(crate) data_dir: PathBuf,
    /// Folder of the archive, shared by all nodes on one Redis; empty for `archive` in `data_dir`.
    pub(crate) archive: PathBuf,
    /// How often what is new is archived, in seconds.
    pub(crate) archive_every_s: u64,
    /// Model to make the champion at the start; empty keeps the one that is.
    pub(crate) model: PathBuf,
    /// Recipe by which the server learns by itself; empty for not at all.
    pub(crate) learner: PathBuf,
    /// Data partitions of a new log; fixed once it exists.
    pub(crate) partitions: u16,
    /// The event log: `embedded`, in `data_dir`, or `redis://user:password@host:port/db`.
    pub(crate) log: String,
    /// How JSON in the intake that is not Segment's becomes events: a mapping file; empty for none.
    pub(crate) intake_mapping: PathBuf,
    /// What is told on standard error, in the form of RUST_LOG.
    pub(crate) log_filter: String,
    /// Addresses and bounds of the server.
    pub(crate) server: tactful_server::Options,
    /// Bounds of the engine.
    pub(crate) engine: tactful_engine::Options,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            catalog: "catalog".into(),
            data_dir: ".tactful".into(),
            archive: PathBuf::new(),
            archive_every_s: 60,
            model: PathBuf::new(),
            learner: PathBuf::new(),
            partitions: 16,
            log: EMBEDDED.into(),
            intake_mapping: PathBuf::new(),
            log_filter: "info".into(),
            server: tactful_server::Options::default(),
            engine: tactful_engine::Options::default(),
        }
    }
}

/// Runs the server until SIGTERM or SIGINT.
pub(crate) fn run(global: &Global, args: &ServeArgs) -> Result<ExitCode> {
    let loaded = settings(args)?;
    if args.print_config {
        output::print(&loaded.print())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = loaded.options;
    start_logging(&settings.log_filter)?;
    let mapping = mapping(&settings)?;
    let catalog = catalog(&settings.catalog)?;
    background()?.block_on(serve(global, settings, catalog, mapping))
}

/// The runtime of everything that is not a request: log, appliers, recorder, HTTP.
pub(crate) fn background() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("cannot make a runtime")
}

/// The mapping of the intake, if there is one.
fn mapping(settings: &Settings) -> Result<Option<Mapping>> {
    if settings.intake_mapping.as_os_str().is_empty() {
        return Ok(None);
    }
    if settings.log == EMBEDDED {
        let text = "intake_mapping: the embedded log has no intake; give --log redis://HOST:PORT, or use `tactful ingest \
                    --mapping`";
        bail!(Usage(text.into()));
    }
    Mapping::read(&settings.intake_mapping).map(Some)
}

/// The compiled catalogue of a folder.
pub(crate) fn catalog(folder: &std::path::Path) -> Result<Written> {
    crate::catalog::load(folder).map_err(|wrong| anyhow::anyhow!("{}", wrong.told()))
}

/// A server with its engine on the log that the settings name.
pub(crate) async fn start(settings: &Settings, catalog: Written) -> Result<(Arc<Engine>, Server)> {
    telemetry::metrics();
    let engine = Engine::start(log::open(settings)?, catalog, &engine_options(settings)).await?;
    if !settings.model.as_os_str().is_empty() {
        let bytes = std::fs::read(&settings.model)
            .map_err(|error| Usage(format!("cannot read model {}: {error}", settings.model.display())))?;
        let loaded = engine.load_model(bytes.into()).await;
        loaded.with_context(|| format!("cannot start with {}", settings.model.display()))?;
    }
    let server = Server::start(Arc::clone(&engine), &settings.server).map_err(unbound)?;
    Ok((engine, server))
}

/// The bounds of the engine; snapshots and the list of erasures lie beside the log unless they were given a place.
fn engine_options(settings: &Settings) -> tactful_engine::Options {
    let mut options = settings.engine.clone();
    if options.snapshots.as_os_str().is_empty() {
        options.snapshots = settings.data_dir.join("snapshots");
    }
    if options.erase_list.as_os_str().is_empty() {
        options.erase_list = settings.data_dir.join("erase-list");
    }
    options
}

/// Why the server did not start, and what to do about a port that is taken.
fn unbound(error: StartError) -> anyhow::Error {
    match &error {
        StartError::Bind { what, address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            let option = if *what == "gRPC" { "--grpc-listen" } else { "--http-listen" };
            anyhow::anyhow!("{what} cannot listen on {address}: another program does; choose another with {option}")
        }
        _ => error.into(),
    }
}

async fn serve(global: &Global, settings: Settings, catalog: Written, mapping: Option<Mapping>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let learner = learner(&settings)?;
    let (engine, server) = start(&settings, catalog).await?;
    engine.start_archiver(archive(&settings));
    warn_if_open(server.addresses());
    tokio::select! {
        () = engine.caught_up() => {
            if let Some(damage) = engine.readiness().damage {
                server.stop().await;
                bail!("the log is damaged: {damage}");
            }
        }
        _signal = terminate.recv() => return stop(server).await,
        _signal = interrupt.recv() => return stop(server).await,
    }
    let intake = intake(&settings, &engine, mapping).await?;
    if let Some(recipe) = learner {
        engine.start_learner(recipe);
    }
    announce(global, server.addresses(), &engine)?;
    tokio::select! {
        _signal = terminate.recv() => {}
        _signal = interrupt.recv() => {}
    }
    if let Some(intake) = intake {
        tokio::task::spawn_blocking(move || intake.stop()).await?;
    }
    stop(server).await
}

/// The recipe by which the server learns, if there is one.
fn learner(settings: &Settings) -> Result<Option<Recipe>> {
    let path = &settings.learner;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("cannot read the recipe {} of the learner: {error}", path.display())))?;
    let recipe = Recipe::parse(&text).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
    if recipe.kind != RecipeKind::Ftrl {
        bail!(Usage(format!("{}: a learner needs kind = \"ftrl\"", path.display())));
    }
    Ok(Some(recipe))
}

/// Where and how often the node archives.
fn archive(settings: &Settings) -> archive::Options {
    let own = settings.archive.as_os_str().is_empty();
    let directory = if own { settings.data_dir.join("archive") } else { settings.archive.clone() };
    archive::Options { every: Duration::from_secs(settings.archive_every_s), ..archive::Options::new(directory) }
}

/// The intake, where the log is one that other producers can reach.
async fn intake(
    settings: &Settings,
    engine: &Arc<Engine>,
    mapping: Option<Mapping>,
) -> Result<Option<intake::Running>> {
    if settings.log == EMBEDDED {
        return Ok(None);
    }
    let (url, engine, runtime) = (settings.log.clone(), Arc::clone(engine), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || intake::start(&url, engine, mapping, runtime)).await?.map(Some)
}

async fn stop(server: Server) -> Result<ExitCode> {
    tracing::info!("draining");
    server.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The one line on standard output that programs wait for.
fn announce(global: &Global, addresses: Addresses, engine: &Engine) -> Result<()> {
    let ruleset = engine.ruleset();
    let model = ruleset.bank().map_or("none", |bank| bank.version());
    tracing::info!(customers = engine.customers(), model, durability = engine.durability(), "ready");
    if global.json {
        let line = serde_json::json!({ "grpc": addresses.grpc.to_string(), "http": addresses.http.to_string() });
        return Ok(output::print(&format!("{line}\n"))?);
    }
    Ok(output::print(&format!("tactful ready grpc={} http={}\n", addresses.grpc, addresses.http))?)
}

fn warn_if_open(addresses: Addresses) {
    for (what, address) in [("gRPC", addresses.grpc), ("HTTP", addresses.http)] {
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "{what} listens beyond this machine and knows no authentication yet");
        }
    }
}

fn settings(args: &ServeArgs) -> Result<Loaded<Settings>> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Value::from(path.to_string_lossy().as_ref()));
    let text = |address: Option<std::net::SocketAddr>| address.map(|address| Value::from(address.to_string()));
    let flags = config::flags([
        ("archive", path(&args.archive)),
        ("catalog", path(&args.catalog)),
        ("data_dir", path(&args.data_dir)),
        ("log", args.log.clone().map(Value::from)),
        ("intake_mapping", path(&args.intake_mapping)),
        ("model", path(&args.model)),
        ("learner", path(&args.learner)),
        ("server.grpc_listen", text(args.grpc_listen)),
        ("server.http_listen", text(args.http_listen)),
    ]);
    let loaded: Loaded<Settings> = config::load(args.config.as_deref(), config::environment(), flags)
        .map_err(|error| Usage(format!("{error:#}")))?;
    if loaded.options.partitions == 0 {
        bail!(Usage("partitions is 0: give 1 or more, the default is 16".into()));
    }
    if !(1..=ARCHIVE_EVERY_S_MAX).contains(&loaded.options.archive_every_s) {
        let text = format!("archive_every_s is out of range: give 1 to {ARCHIVE_EVERY_S_MAX}, the default is 60");
        bail!(Usage(text));
    }
    Ok(loaded)
}

/// Logs go to standard error, so that standard output stays for results. The store below the log has
/// much to say about itself; it says so only if asked by name, as in `info,fjall=info`.
pub(crate) fn start_logging(filter: &str) -> Result<()> {
    const QUIETER: &str = "fjall=warn,lsm_tree=warn";
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIETER},{filter}")).map_err(|error| {
        Usage(format!("log_filter = {filter:?} is no filter like \"info\" or \"info,tactful_engine=debug\": {error}"))
    })?;
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    Ok(())
}
