//! The server as a whole: a runtime for each core that serves gRPC on a shared port, the HTTP
//! listener, and a drain with a bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tactful_engine::Engine;
use tactful_proto::FILE_DESCRIPTOR_SET;
use tactful_proto::v1::customer_service_server::CustomerServiceServer;
use tactful_proto::v1::decision_service_server::DecisionServiceServer;
use tactful_proto::v1::event_service_server::EventServiceServer;
use tactful_proto::v1::model_service_server::ModelServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tonic::transport::Server as Transport;
use tonic_health::server::HealthReporter;

use crate::admission::Admission;
use crate::customer::Customers;
use crate::decision::Decisions;
use crate::event::Events;
use crate::http::{Pages, router};
use crate::incoming::{connections, listen};
use crate::model::Models;
use crate::options::Options;
use crate::telemetry;

/// Resets that a peer may cause before the connection is closed (hyper's own default is lost in tonic).
const LOCAL_RESETS_MAX: usize = 256;
/// Largest list of request headers, in bytes.
const HEADERS_BYTES_MAX: u32 = 8 << 10;
/// Pings to a silent peer, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Where the server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for {what}: {source}")]
    Bind {
        /// gRPC or HTTP.
        what: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("cannot start a serving thread: {0}")]
    Thread(#[from] io::Error),
}

/// A running server.
pub struct Server {
    addresses: Addresses,
    draining: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    drain_max: Duration,
    engine: Arc<Engine>,
}

/// What every serving thread shares.
#[derive(Clone)]
struct Shared {
    engine: Arc<Engine>,
    options: Options,
    admission: Admission,
    streams: Arc<Semaphore>,
    draining: watch::Receiver<bool>,
}

impl Server {
    /// Binds both listeners, then serves. Must be called within a runtime: the HTTP listener and
    /// readiness run there; gRPC runs on threads of its own.
    ///
    /// # Errors
    /// If an address cannot be bound: then nothing was started.
    pub fn start(engine: Arc<Engine>, options: &Options) -> Result<Self, StartError> {
        let metrics = telemetry::metrics();
        let threads = threads(options.threads);
        let (grpc, listeners) = bind_grpc(options.grpc_listen, threads)?;
        let http = bind_http(options.http_listen)?;
        let addresses = Addresses { grpc, http: http.local_addr()? };
        let (draining, drained) = watch::channel(false);
        let shared = Shared {
            engine: Arc::clone(&engine),
            options: options.clone(),
            admission: Admission::new(options.requests_max),
            streams: Arc::new(Semaphore::new(options.streams_max.max(1))),
            draining: drained.clone(),
        };
        let mut handles = Vec::with_capacity(threads);
        for (number, listener) in listeners.into_iter().enumerate() {
            let shared = shared.clone();
            let name = format!("tactful-grpc-{number}");
            handles.push(std::thread::Builder::new().name(name).spawn(move || serve_thread(listener, shared))?);
        }
        let pages = Pages { engine: Arc::clone(&engine), metrics, draining: drained.clone() };
        tokio::spawn(serve_http(TcpListener::from_std(http)?, pages));
        Ok(Self {
            addresses,
            draining,
            threads: handles,
            drain_max: Duration::from_millis(options.drain_ms_max),
            engine,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Drains: not ready, no new connections, calls in flight finish, the record is written; all of
    /// it within the bound, then it returns whatever is left.
    pub async fn stop(self) {
        self.draining.send_replace(true);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ended = thread.join();
            }
        });
        if tokio::time::timeout(self.drain_max, joined).await.is_err() {
            tracing::warn!("calls were still in flight at the end of the drain");
        }
        self.engine.close(self.drain_max).await;
    }
}

fn threads(asked: usize) -> usize {
    const THREADS_MAX: usize = 256;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (if asked == 0 { cores } else { asked }).min(THREADS_MAX)
}

/// One listener for each thread on one port. The port is first bound alone: with SO_REUSEPORT a
/// second server on it would go unnoticed.
fn bind_grpc(address: SocketAddr, threads: usize) -> Result<(SocketAddr, Vec<std::net::TcpListener>), StartError> {
    let fail = |source| StartError::Bind { what: "gRPC", address, source };
    let alone = listen(address, false).map_err(fail)?;
    let bound = alone.local_addr().map_err(fail)?;
    drop(alone);
    let listeners: Result<Vec<_>, _> = (0..threads).map(|_| listen(bound, true)).collect();
    Ok((bound, listeners.map_err(fail)?))
}

fn bind_http(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    listen(address, false).map_err(|source| StartError::Bind { what: "HTTP", address, source })
}

async fn serve_http(listener: TcpListener, pages: Pages) {
    let stopped = drain_begins(pages.draining.clone());
    if let Err(error) = axum::serve(listener, router(pages)).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

fn serve_thread(listener: std::net::TcpListener, shared: Shared) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "cannot make a serving runtime"),
    };
    if let Err(error) = runtime.block_on(serve_grpc(listener, shared)) {
        tracing::error!(%error, "a serving thread failed");
    }
}

async fn serve_grpc(listener: std::net::TcpListener, shared: Shared) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::from_std(listener)?;
    let options = &shared.options;
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(reporter, Arc::clone(&shared.engine), shared.draining.clone()));
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    let (engine, streams) = (&shared.engine, &shared.streams);
    let decisions = Decisions { engine: Arc::clone(engine), streams: Arc::clone(streams) };
    let events = Events { engine: Arc::clone(engine), streams: Arc::clone(streams) };
    let bytes = options.message_bytes_max;
    let stopped = drain_begins(shared.draining.clone());
    Transport::builder()
        .max_concurrent_streams(options.streams_per_connection_max)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .layer(shared.admission.clone())
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(DecisionServiceServer::new(decisions).max_decoding_message_size(bytes))
        .add_service(EventServiceServer::new(events).max_decoding_message_size(bytes))
        .add_service(
            CustomerServiceServer::new(Customers { engine: Arc::clone(engine) }).max_decoding_message_size(bytes),
        )
        .add_service(ModelServiceServer::new(Models { engine: Arc::clone(engine) }).max_decoding_message_size(bytes))
        .serve_with_incoming_shutdown(connections(listener, options.connections_max), stopped)
        .await?;
    Ok(())
}

/// Serving once the replay is done, not serving from the moment a drain begins.
async fn report_health(reporter: HealthReporter, engine: Arc<Engine>, draining: watch::Receiver<bool>) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let services = [
        "",
        "tactful.v1.DecisionService",
        "tactful.v1.EventService",
        "tactful.v1.CustomerService",
        "tactful.v1.ModelService",
    ];
    for service in services {
        reporter.set_service_status(service, NotServing).await;
    }
    engine.caught_up().await;
    for service in services {
        reporter.set_service_status(service, Serving).await;
    }
    drain_begins(draining).await;
    for service in services {
        reporter.set_service_status(service, NotServing).await;
    }
}

/// Returns when a drain begins, or when the server is gone.
async fn drain_begins(mut draining: watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return;
        }
    }
}
