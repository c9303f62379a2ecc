//! CustomerService.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tactful_engine::{Engine, Error, LinkCommand};
use tactful_proto::v1;
use tactful_proto::v1::customer_service_server::CustomerService;
use tactful_proto::v1::export_response::Piece;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::admission::Deadline;
use crate::convert::context_response;
use crate::decision::wait_until;
use crate::status;

/// Pieces of an export that wait to be sent.
const PIECES_MAX: usize = 16;

/// Reads, links, exports and erases customers.
pub(crate) struct Customers {
    pub(crate) engine: Arc<Engine>,
    /// Streams that may be open.
    pub(crate) streams: Arc<Semaphore>,
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn get_context(
        &self,
        request: Request<v1::GetContextRequest>,
    ) -> Result<Response<v1::GetContextResponse>, Status> {
        Deadline::check(&request)?;
        let subject_id = request.into_inner().subject_id;
        let context = self.engine.context(&subject_id).map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(context_response(subject_id, context)))
    }

    async fn link(&self, request: Request<v1::LinkRequest>) -> Result<Response<v1::LinkResponse>, Status> {
        Deadline::check(&request)?;
        let v1::LinkRequest { message_id, subject_id, other_subject_id: other_id, event_time, source } =
            request.into_inner();
        let position =
            self.state(LinkCommand { message_id, subject_id, other_id, event_time, source, linked: true }).await?;
        Ok(Response::new(v1::LinkResponse { position }))
    }

    async fn unlink(&self, request: Request<v1::UnlinkRequest>) -> Result<Response<v1::UnlinkResponse>, Status> {
        Deadline::check(&request)?;
        let v1::UnlinkRequest { message_id, subject_id, other_subject_id: other_id, event_time, source } =
            request.into_inner();
        let position =
            self.state(LinkCommand { message_id, subject_id, other_id, event_time, source, linked: false }).await?;
        Ok(Response::new(v1::UnlinkResponse { position }))
    }

    async fn set_consent(
        &self,
        request: Request<v1::SetConsentRequest>,
    ) -> Result<Response<v1::SetConsentResponse>, Status> {
        let deadline = Deadline::check(&request)?;
        let request = request.into_inner();
        let consent = v1::Consent {
            message_id: request.message_id,
            subject_id: request.subject_id,
            purpose: request.purpose,
            allowed: request.allowed,
            source: request.source,
            text_version: request.text_version,
            event_time: request.event_time,
        };
        let position = self.engine.set_consent(consent, wait_until(deadline)).await;
        let position = position.map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::SetConsentResponse { position }))
    }

    type ExportStream = Pin<Box<dyn Stream<Item = Result<v1::ExportResponse, Status>> + Send>>;

    async fn export(&self, request: Request<v1::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        Deadline::check(&request)?;
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| status::overloaded("open streams"))?;
        let subject_id = request.into_inner().subject_id;
        let context = self.engine.context(&subject_id).map_err(|error| status::from_engine(&error))?;
        let context = Piece::Context(context_response(subject_id.clone(), context));
        let (pieces, sent) = mpsc::channel(PIECES_MAX);
        let engine = Arc::clone(&self.engine);
        // On the engine's runtime: reading the log would hold up this thread's other calls.
        let exporting = self.engine.runtime().spawn(async move { held(&engine, &subject_id, pieces).await });
        let pieces = futures_util::stream::once(async { context }).chain(ReceiverStream::new(sent));
        let ending = futures_util::stream::once(async move {
            let _place = place;
            exporting.await.unwrap_or(Err(Error::Closed)).err().map(|error| Err(status::from_engine(&error)))
        });
        let pieces = pieces.map(|piece| Ok(v1::ExportResponse { piece: Some(piece) }));
        Ok(Response::new(Box::pin(pieces.chain(ending.filter_map(std::future::ready)))))
    }

    async fn erase(&self, request: Request<v1::EraseRequest>) -> Result<Response<v1::EraseResponse>, Status> {
        let deadline = Deadline::check(&request)?;
        let erasure = self.engine.erase(&request.into_inner().subject_id, wait_until(deadline)).await;
        let erasure = erasure.map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::EraseResponse { erasure: Some(erasure) }))
    }

    async fn get_erasure(
        &self,
        request: Request<v1::GetErasureRequest>,
    ) -> Result<Response<v1::GetErasureResponse>, Status> {
        Deadline::check(&request)?;
        let erasure = self.engine.erasure(&request.into_inner().erasure_id).await;
        let erasure = erasure.map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(v1::GetErasureResponse { erasure: Some(erasure) }))
    }

    async fn verify_erased(
        &self,
        request: Request<v1::VerifyErasedRequest>,
    ) -> Result<Response<v1::VerifyErasedResponse>, Status> {
        Deadline::check(&request)?;
        let (engine, subject_id) = (Arc::clone(&self.engine), request.into_inner().subject_id);
        // It reads everything there is.
        let looking = self.engine.runtime().spawn(async move { engine.verify_erased(&subject_id).await });
        let answer = looking.await.unwrap_or(Err(Error::Closed)).map_err(|error| status::from_engine(&error))?;
        Ok(Response::new(answer))
    }
}

/// Sends decisions and records of a subject id.
async fn held(engine: &Engine, subject_id: &str, pieces: mpsc::Sender<Piece>) -> Result<(), Error> {
    let (rows, mut pages) = mpsc::channel::<Vec<v1::DecisionRow>>(PIECES_MAX);
    let decisions = async {
        while let Some(page) = pages.recv().await {
            for row in page.into_iter().filter(|row| row.subject_id == subject_id) {
                if pieces.send(Piece::Decision(row)).await.is_err() {
                    return;
                }
            }
        }
    };
    let (exported, ()) = tokio::join!(engine.export((i64::MIN, i64::MAX), rows), decisions);
    exported?;
    let (records, mut found) = mpsc::channel(PIECES_MAX);
    let forward = async {
        while let Some(record) = found.recv().await {
            if pieces.send(Piece::Record(record)).await.is_err() {
                return;
            }
        }
    };
    let (held, ()) = tokio::join!(engine.held(subject_id, records), forward);
    held
}

impl Customers {
    /// Records a statement about two subject ids; answers its position.
    async fn state(&self, command: LinkCommand) -> Result<String, Status> {
        self.engine.link(&command).await.map_err(|error| status::from_engine(&error))
    }
}
