//! Sends items through `IngestStream`, with a bounded number of batches in flight.
//!
//! Every item must be accepted: an evaluation on less than its data would be another evaluation.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use tactful_proto::v1::{
    IngestItem, IngestStreamRequest, IngestStreamResponse, event_service_client::EventServiceClient,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

const BATCH: usize = 500;
const BATCHES_IN_FLIGHT_MAX: usize = 16;

/// Sends all items in order; returns when all are durable. Gives their number.
pub(super) async fn ingest(
    channel: Channel,
    items: impl Iterator<Item = IngestItem> + Send + 'static,
    progress: &ProgressBar,
) -> Result<u64> {
    let room = Arc::new(Semaphore::new(BATCHES_IN_FLIGHT_MAX));
    let (sender, receiver) = mpsc::channel(1);
    let producer = tokio::spawn(produce(items, sender, Arc::clone(&room)));
    let mut client = EventServiceClient::new(channel);
    let mut replies = client.ingest_stream(ReceiverStream::new(receiver)).await.context("IngestStream")?.into_inner();
    let (mut batches, mut accepted) = (0, 0);
    while let Some(reply) = replies.message().await.context("IngestStream")? {
        check(&reply, batches)?;
        batches += 1;
        accepted += reply.accepted as u64;
        progress.inc(reply.accepted as u64);
        room.add_permits(1);
    }
    let (batches_sent, items_sent) = producer.await.context("the producer panicked")?;
    ensure!(batches == batches_sent, "{batches} of {batches_sent} batches were acknowledged");
    ensure!(accepted == items_sent, "{accepted} of {items_sent} items were accepted");
    progress.finish_and_clear();
    Ok(accepted)
}

/// Gives the numbers of batches and items sent; ends early if the stream does.
async fn produce(
    mut items: impl Iterator<Item = IngestItem>,
    sender: mpsc::Sender<IngestStreamRequest>,
    room: Arc<Semaphore>,
) -> (i64, u64) {
    let (mut sequence, mut sent) = (0, 0);
    loop {
        let batch: Vec<IngestItem> = items.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return (sequence, sent);
        }
        let Ok(permit) = room.acquire().await else { return (sequence, sent) };
        // The permit comes back with the acknowledgement.
        permit.forget();
        let length = batch.len() as u64;
        if sender.send(IngestStreamRequest { sequence, items: batch }).await.is_err() {
            return (sequence, sent);
        }
        (sequence, sent) = (sequence + 1, sent + length);
    }
}

fn check(reply: &IngestStreamResponse, expected: i64) -> Result<()> {
    ensure!(reply.sequence == expected, "batch {} was acknowledged instead of {expected}", reply.sequence);
    if let Some(error) = reply.errors.first() {
        bail!("batch {}, item {}, {}: {} ({})", reply.sequence, error.index, error.field, error.message, error.reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tactful_proto::v1::{
        Event, IngestRequest, IngestResponse, ItemError,
        event_service_server::{EventService, EventServiceServer},
        ingest_item::Item,
    };
    use tokio_stream::{Stream, StreamExt};
    use tonic::{
        Request, Response, Status, Streaming,
        transport::{Server, server::TcpIncoming},
    };

    /// Acknowledges every batch; refuses items whose subject id is empty.
    struct Acknowledging;

    fn acknowledge(request: &IngestStreamRequest) -> IngestStreamResponse {
        let refused =
            |item: &&IngestItem| matches!(&item.item, Some(Item::Event(event)) if event.subject_id.is_empty());
        let errors: Vec<ItemError> = request
            .items
            .iter()
            .filter(refused)
            .map(|_| ItemError { reason: "INVALID".into(), field: "event.subject_id".into(), ..ItemError::default() })
            .collect();
        let accepted = (request.items.len() - errors.len()) as i64;
        IngestStreamResponse { sequence: request.sequence, accepted, errors, ..IngestStreamResponse::default() }
    }

    #[tonic::async_trait]
    impl EventService for Acknowledging {
        async fn ingest(&self, _: Request<IngestRequest>) -> Result<Response<IngestResponse>, Status> {
            Err(Status::unimplemented("the stream is what is tested"))
        }

        type IngestStreamStream =
            std::pin::Pin<Box<dyn Stream<Item = Result<IngestStreamResponse, Status>> + Send + 'static>>;

        async fn ingest_stream(
            &self,
            request: Request<Streaming<IngestStreamRequest>>,
        ) -> Result<Response<Self::IngestStreamStream>, Status> {
            let replies = request.into_inner().map(|batch| batch.map(|batch| acknowledge(&batch)));
            Ok(Response::new(Box::pin(replies)))
        }
    }

    async fn channel() -> Channel {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let service = Server::builder().add_service(EventServiceServer::new(Acknowledging));
        tokio::spawn(service.serve_with_incoming(incoming));
        crate::server::connect(&url).await.unwrap()
    }

    fn items(count: usize, broken: Option<usize>) -> impl Iterator<Item = IngestItem> + Send + 'static {
        (0..count).map(move |number| {
            let subject_id = if Some(number) == broken { String::new() } else { number.to_string() };
            IngestItem { item: Some(Item::Event(Event { subject_id, ..Event::default() })) }
        })
    }

    #[tokio::test]
    async fn more_batches_than_fit_in_flight_all_arrive() {
        let count = BATCH * BATCHES_IN_FLIGHT_MAX * 3 + 1;
        let sent = ingest(channel().await, items(count, None), &ProgressBar::hidden()).await.unwrap();
        assert_eq!(sent, count as u64);
    }

    #[tokio::test]
    async fn a_refused_item_stops_the_evaluation_by_name() {
        let error = ingest(channel().await, items(1_200, Some(700)), &ProgressBar::hidden()).await.unwrap_err();
        assert!(error.to_string().contains("event.subject_id"), "{error:#}");
    }
}
