//! The server as a whole: a runtime for each core that serves gRPC on a shared port, the HTTP
//! listener, and a drain with a bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tactful_engine::Engine;
use tactful_proto::FILE_DESCRIPTOR_SET;
use tactful_proto::v1::catalog_service_server::CatalogServiceServer;
use tactful_proto::v1::customer_service_server::CustomerServiceServer;
use tactful_proto::v1::decision_service_server::DecisionServiceServer;
use tactful_proto::v1::event_service_server::EventServiceServer;
use tactful_proto::v1::model_service_server::ModelServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tonic::transport::Server as Transport;
use tonic_health::server::HealthReporter;

use crate::admission::Admission;
use crate::catalog::Catalogs;
use crate::customer::Customers;
use crate::decision::Decisions;
use crate::event::Events;
use crate::http::{Pages, router};
use crate::incoming::{Incoming, listen};
use crate::model::Models;
use crate::options::Options;
use crate::telemetry;

/// Resets that a peer may cause before the connection is closed (hyper's own default is lost in tonic).
const LOCAL_RESETS_MAX: usize = 256;
/// Largest list of request headers, in bytes.
const HEADERS_BYTES_MAX: u32 = 8 << 10;
/// Bytes that a call may send before they are read, and all calls of a connection together: with one
/// bound for both, a single call that waits for a slow log would hold up all others.
const WINDOW_BYTES: (u32, u32) = (256 << 10, 8 << 20);
/// Open connections of the HTTP listener; further ones wait in the backlog.
const HTTP_CONNECTIONS_MAX: usize = 256;
/// Share of the drain's bound that is for calls in flight; the rest is for writing the record.
const CALLS_SHARE: f64 = 0.8;
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
    cutting: watch::Sender<bool>,
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
    /// The end of the drain: what is still open then is cut.
    cutting: watch::Receiver<bool>,
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
        let (cutting, cut) = watch::channel(false);
        let shared = Shared {
            engine: Arc::clone(&engine),
            options: options.clone(),
            admission: Admission::new(options.requests_max),
            streams: Arc::new(Semaphore::new(options.streams_max.max(1))),
            draining: drained.clone(),
            cutting: cut,
        };
        let mut handles = Vec::with_capacity(threads);
        for (number, listener) in listeners.into_iter().enumerate() {
            let shared = shared.clone();
            let name = format!("tactful-grpc-{number}");
            handles.push(std::thread::Builder::new().name(name).spawn(move || serve_thread(listener, shared))?);
        }
        let pages = Pages { engine: Arc::clone(&engine), metrics, draining: drained.clone() };
        tokio::spawn(telemetry::upkeep(begins(drained)));
        tokio::spawn(serve_http(TcpListener::from_std(http)?, pages));
        let drain_max = Duration::from_millis(options.drain_ms_max);
        Ok(Self { addresses, draining, cutting, threads: handles, drain_max, engine })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Drains: not ready, no new connections, calls in flight finish, the record is written; all of
    /// it within the bound. What is open when the calls' part of it ends is cut.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.drain_max;
        let calls_end = Instant::now() + self.drain_max.mul_f64(CALLS_SHARE);
        self.draining.send_replace(true);
        let threads = self.threads;
        let (ended, all_ended) = oneshot::channel();
        // No blocking task of the runtime: those would hold up its own end.
        std::thread::spawn(move || {
            for thread in threads {
                let _panicked = thread.join().is_err();
            }
            let _bound_reached = ended.send(());
        });
        if tokio::time::timeout_at(calls_end, all_ended).await.is_err() {
            tracing::warn!("connections were still open at the end of the drain");
        }
        self.cutting.send_replace(true);
        self.engine.close(deadline.saturating_duration_since(Instant::now())).await;
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
    let stopped = begins(pages.draining.clone());
    let incoming = Incoming::new(listener, HTTP_CONNECTIONS_MAX);
    if let Err(error) = axum::serve(incoming, router(pages)).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

fn serve_thread(listener: std::net::TcpListener, shared: Shared) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "cannot make a serving runtime"),
    };
    let cut = begins(shared.cutting.clone());
    runtime.block_on(async {
        tokio::select! {
            served = serve_grpc(listener, shared) => {
                if let Err(error) = served {
                    tracing::error!(%error, "a serving thread failed");
                }
            }
            () = cut => {}
        }
    });
    // Connections that are still open end here, with their runtime.
    runtime.shutdown_background();
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
    let draining = shared.draining.clone();
    let events = Events { engine: Arc::clone(engine), streams: Arc::clone(streams), draining };
    let bytes = options.message_bytes_max;
    let stopped = begins(shared.draining.clone());
    Transport::builder()
        .max_concurrent_streams(options.streams_per_connection_max)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
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
            CustomerServiceServer::new(Customers { engine: Arc::clone(engine), streams: Arc::clone(streams) })
                .max_decoding_message_size(bytes),
        )
        .add_service(
            CatalogServiceServer::new(Catalogs { engine: Arc::clone(engine) }).max_decoding_message_size(bytes),
        )
        .add_service(ModelServiceServer::new(Models::new(Arc::clone(engine))).max_decoding_message_size(bytes))
        .serve_with_incoming_shutdown(Incoming::new(listener, options.connections_max).into_stream(), stopped)
        .await?;
    Ok(())
}

/// Serving once the replay is done, not serving from the moment a drain begins or the log is found damaged.
async fn report_health(reporter: HealthReporter, engine: Arc<Engine>, draining: watch::Receiver<bool>) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let services = [
        "",
        "tactful.v1.DecisionService",
        "tactful.v1.EventService",
        "tactful.v1.CustomerService",
        "tactful.v1.ModelService",
        "tactful.v1.CatalogService",
    ];
    for service in services {
        reporter.set_service_status(service, NotServing).await;
    }
    tokio::select! {
        () = engine.caught_up() => {}
        () = engine.damaged() => {}
    }
    let readiness = engine.readiness();
    if readiness.caught_up && readiness.damage.is_none() {
        for service in services {
            reporter.set_service_status(service, Serving).await;
        }
    }
    tokio::select! {
        () = begins(draining) => {}
        () = engine.damaged() => {}
    }
    for service in services {
        reporter.set_service_status(service, NotServing).await;
    }
}

/// Returns when a drain, or its end, begins, or when the server is gone.
pub(crate) async fn begins(mut signal: watch::Receiver<bool>) {
    let _gone = signal.wait_for(|begun| *begun).await.is_err();
}
