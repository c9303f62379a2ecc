//! What the customers do goes to the server in small batches, in order, each acknowledged before
//! the next: a slow server slows the customers down rather than losing anything.

use std::time::Duration;

use anyhow::Result;
use tactful_proto::v1;
use tactful_proto::v1::event_service_client::EventServiceClient;
use tokio::sync::mpsc;
use tonic::transport::Channel;

use crate::client::status;

/// Items that may wait.
const QUEUE_MAX: usize = 20_000;
/// Items of one batch.
const BATCH_MAX: usize = 500;
/// How long a batch gathers.
const GATHER: Duration = Duration::from_millis(10);

/// Starts the feed; it ends when the sender is dropped and everything is acknowledged. It answers
/// how many items were taken in.
pub(super) fn start(channel: Channel) -> (mpsc::Sender<v1::IngestItem>, tokio::task::JoinHandle<Result<u64>>) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    (sender, tokio::spawn(run(EventServiceClient::new(channel), receiver)))
}

async fn run(mut client: EventServiceClient<Channel>, mut queue: mpsc::Receiver<v1::IngestItem>) -> Result<u64> {
    let mut accepted = 0;
    let mut items = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut items, BATCH_MAX).await > 0 {
        let batch = v1::IngestRequest { items: std::mem::take(&mut items) };
        let answer = client.ingest(batch).await.map_err(|refused| status::refused(&refused))?.into_inner();
        if let Some(error) = answer.errors.first() {
            anyhow::bail!("the server refused an item of the simulation: {} {}", error.field, error.message);
        }
        accepted += answer.accepted as u64;
        tokio::time::sleep(GATHER).await;
    }
    Ok(accepted)
}
