//! A DecisionService on one thread that stalls, refuses or hangs on request.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tactful_proto::Encoded;
use tactful_proto::v1::{
    BatchDecideRequest, DecideRequest, DecideResponse, ExportDecisionsRequest, ExportDecisionsResponse,
    RecordOutcomesRequest, RecordOutcomesResponse,
    decision_service_server::{DecisionService, DecisionServiceServer},
};
use tokio::sync::oneshot;
use tonic::{
    Request, Response, Status,
    transport::{Server as Tonic, server::TcpIncoming},
};

/// What the server does beside answering at once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Behaviour {
    /// So long after its first request the whole server stands still for this time, once.
    pub(crate) stall_after: Option<(Duration, Duration)>,
    /// Every so many requests one is refused.
    pub(crate) refuse_every: Option<u64>,
    /// Every so many requests one is never answered.
    pub(crate) hang_every: Option<u64>,
}

/// A running server; it ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (address_tx, address_rx) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
                address_tx.send(incoming.local_addr().unwrap()).unwrap();
                let service = Scripted {
                    behaviour,
                    count: Arc::default(),
                    stalls_at: OnceLock::new(),
                    stalled: AtomicBool::new(false),
                };
                let serving = Tonic::builder().add_service(DecisionServiceServer::new(service));
                // Ends at once, even with requests under way.
                tokio::select! {
                    served = serving.serve_with_incoming(incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address: address_rx.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct Scripted {
    behaviour: Behaviour,
    count: Arc<AtomicU64>,
    stalls_at: OnceLock<Instant>,
    stalled: AtomicBool,
}

#[tonic::async_trait]
impl DecisionService for Scripted {
    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<Encoded>, Status> {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        let due = |every: Option<u64>| every.is_some_and(|every| count.is_multiple_of(every));
        if let Some((after, stall)) = self.behaviour.stall_after
            && Instant::now() >= *self.stalls_at.get_or_init(|| Instant::now() + after)
            && !self.stalled.swap(true, Relaxed)
        {
            // Blocks the only thread: nothing at all is answered meanwhile.
            thread::sleep(stall);
        }
        if due(self.behaviour.hang_every) {
            std::future::pending::<()>().await;
        }
        if due(self.behaviour.refuse_every) {
            return Err(Status::resource_exhausted("scripted"));
        }
        let reply = DecideResponse { decision_id: request.into_inner().subject_id, ..DecideResponse::default() };
        Ok(Response::new(Encoded::of(&reply)))
    }

    async fn batch_decide(&self, _: Request<BatchDecideRequest>) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("only Decide is measured"))
    }

    async fn record_outcomes(
        &self,
        _: Request<RecordOutcomesRequest>,
    ) -> Result<Response<RecordOutcomesResponse>, Status> {
        Err(Status::unimplemented("only Decide is measured"))
    }

    type ExportDecisionsStream = tokio_stream::Empty<Result<ExportDecisionsResponse, Status>>;

    async fn export_decisions(
        &self,
        _: Request<ExportDecisionsRequest>,
    ) -> Result<Response<Self::ExportDecisionsStream>, Status> {
        Err(Status::unimplemented("only Decide is measured"))
    }
}
