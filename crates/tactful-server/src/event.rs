//! EventService.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use tactful_core::limits::ITEMS_MAX;
use tactful_engine::{Accepted, Engine, Error};
use tactful_proto::v1;
use tactful_proto::v1::event_service_server::EventService;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::admission::Deadline;
use crate::serve::begins;
use crate::status;

/// Batches of one stream that may be on their way to the log at a time.
const BATCHES_IN_FLIGHT_MAX: usize = 16;

/// Takes in events.
pub(crate) struct Events {
    pub(crate) engine: Arc<Engine>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) draining: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl EventService for Events {
    async fn ingest(&self, request: Request<v1::IngestRequest>) -> Result<Response<v1::IngestResponse>, Status> {
        Deadline::check(&request)?;
        let answer = ingest(&self.engine, request.into_inner().items).await?;
        let Accepted { accepted, errors, position } = answer;
        Ok(Response::new(v1::IngestResponse { accepted: accepted as i64, errors, position }))
    }

    type IngestStreamStream = Pin<Box<dyn Stream<Item = Result<v1::IngestStreamResponse, Status>> + Send>>;

    async fn ingest_stream(
        &self,
        request: Request<Streaming<v1::IngestStreamRequest>>,
    ) -> Result<Response<Self::IngestStreamStream>, Status> {
        Deadline::check(&request)?;
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| status::overloaded("open streams"))?;
        let engine = Arc::clone(&self.engine);
        // Batches reach the log in their order: each hands over its entries when it is first polled,
        // and `buffered` polls them in order. A slow log stops the reading, and so the sender.
        // A drain ends the reading; what was read is acknowledged before the stream ends.
        let batches = request.into_inner().take_until(begins(self.draining.clone()));
        let answers = batches.map(move |batch| {
            // The place is given back when the stream, and with it this closure, is dropped.
            let _held = &place;
            let engine = Arc::clone(&engine);
            async move {
                let batch = batch.map_err(status::completed)?;
                let answer = ingest(&engine, batch.items).await?;
                Ok(v1::IngestStreamResponse {
                    sequence: batch.sequence,
                    accepted: answer.accepted as i64,
                    errors: answer.errors,
                    position: answer.position,
                })
            }
        });
        let draining = self.draining.clone();
        let end = stream::once(async move { draining.borrow().then(|| Err(status::from_engine(&Error::Closed))) });
        let answers = answers.buffered(BATCHES_IN_FLIGHT_MAX);
        Ok(Response::new(Box::pin(answers.chain(end.filter_map(std::future::ready)))))
    }
}

async fn ingest(engine: &Engine, items: Vec<v1::IngestItem>) -> Result<Accepted, Status> {
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(status::field("items", &format!("has {} entries, give 1 to {ITEMS_MAX}", items.len())));
    }
    engine.ingest(items).await.map_err(|error| status::from_engine(&error))
}
