//! Events as producers send them, and streams of batches that count what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use prost_types::Timestamp;
use tactful_proto::v1::event_service_client::EventServiceClient;
use tactful_proto::v1::{Event, EventType, IngestItem, IngestStreamRequest, Value, ingest_item::Item, value::Kind};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::catalog::EVENTS;
use crate::customers::{id, traits};
use crate::decide::now_ms;
use crate::rng::Rng;

/// Batches of one stream that may wait for their acknowledgement.
const IN_FLIGHT_MAX: usize = 16;

/// Makes events of random customers.
#[derive(Clone, Debug)]
pub struct Producer {
    rng: Rng,
    customers: usize,
    /// Part of every message id.
    name: String,
    made: u64,
}

impl Producer {
    /// A producer with a name of its own for customers `0..customers`.
    #[must_use]
    pub fn new(name: String, seed: u64, customers: usize) -> Self {
        Self { rng: Rng::new(seed), customers, name, made: 0 }
    }

    /// A tracked event of about 200 bytes.
    pub fn track(&mut self) -> IngestItem {
        let number = self.rng.below(self.customers);
        self.track_of(number)
    }

    /// A tracked event of one customer.
    pub fn track_of(&mut self, number: usize) -> IngestItem {
        let text = |text: String| Value { kind: Some(Kind::Text(text)) };
        let properties = BTreeMap::from([
            ("amount".into(), Value { kind: Some(Kind::Number(self.rng.below(10_000) as f64 / 100.0)) }),
            ("category".into(), text(format!("category-{}", number % 40))),
            ("path".into(), text(format!("/shop/products/{:06}/details", number % 100_000))),
            ("sku".into(), text(format!("sku-{:08}", self.rng.below(1 << 24)))),
        ]);
        let name = EVENTS[self.rng.below(EVENTS.len())].into();
        self.item(number, EventType::Track, name, properties)
    }

    /// All traits of one customer.
    pub fn identify(&mut self, number: usize) -> IngestItem {
        let number_of = |number| Value { kind: Some(Kind::Number(number)) };
        let traits = traits(&mut self.rng).into_iter().map(|(name, value)| (name, number_of(value))).collect();
        self.item(number, EventType::Identify, String::new(), traits)
    }

    fn item(
        &mut self,
        customer: usize,
        kind: EventType,
        name: String,
        properties: BTreeMap<String, Value>,
    ) -> IngestItem {
        self.made += 1;
        let now_ms = now_ms();
        let event = Event {
            message_id: format!("{}-{:012}", self.name, self.made),
            subject_id: id(customer),
            r#type: kind.into(),
            name,
            event_time: Some(Timestamp { seconds: now_ms / 1_000, nanos: (now_ms % 1_000) as i32 * 1_000_000 }),
            channel: "web".into(),
            source: "web-shop".into(),
            properties,
            ..Event::default()
        };
        IngestItem { item: Some(Item::Event(event)) }
    }
}

/// Sends batches through one IngestStream, one each `pace` if there is one; returns when all are
/// acknowledged. `acknowledged` counts as it goes.
///
/// # Errors
/// If the stream breaks, or any item is refused: then a rate would mean nothing.
pub async fn stream(
    channel: Channel,
    batches: impl Iterator<Item = Vec<IngestItem>> + Send + 'static,
    pace: Option<Duration>,
    acknowledged: Arc<AtomicU64>,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel(1);
    let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let sending = send(batches, pace, sender, Arc::clone(&room));
    let receiving = receive(channel, receiver, room, acknowledged);
    let (sent, received) = tokio::try_join!(sending, receiving)?;
    ensure!(sent == received, "{received} of {sent} batches were acknowledged");
    Ok(())
}

/// Sends `rate` events per second for as long as it is polled, in a batch every ten milliseconds.
///
/// # Errors
/// As [`stream`].
pub async fn trickle(channel: Channel, mut producer: Producer, rate: u64) -> Result<()> {
    const PACE: Duration = Duration::from_millis(10);
    let size = rate * PACE.as_millis() as u64 / 1_000;
    let batches = std::iter::repeat_with(move || (0..size).map(|_| producer.track()).collect());
    stream(channel, batches, Some(PACE), Arc::default()).await
}

/// Makes customers `0..count` known, with all their traits.
///
/// # Errors
/// As [`stream`].
pub async fn introduce(channel: Channel, count: usize) -> Result<()> {
    const BATCH: usize = 250;
    let mut producer = Producer::new("introduction".into(), 6, count);
    let batches = (0..count)
        .step_by(BATCH)
        .map(move |first| (first..count.min(first + BATCH)).map(|number| producer.identify(number)).collect());
    stream(channel, batches, None, Arc::default()).await
}

/// The sending half: gives the number of batches.
async fn send(
    batches: impl Iterator<Item = Vec<IngestItem>>,
    pace: Option<Duration>,
    sender: mpsc::Sender<IngestStreamRequest>,
    room: Arc<Semaphore>,
) -> Result<i64> {
    let mut next = Instant::now();
    let mut sequence = 0;
    for items in batches {
        if let Some(pace) = pace {
            next += pace;
            sleep_until(next).await;
        }
        // The permit comes back with the acknowledgement.
        room.acquire().await.context("the room is never closed")?.forget();
        sender.send(IngestStreamRequest { sequence, items }).await.context("the server ended the stream")?;
        sequence += 1;
    }
    Ok(sequence)
}

/// The receiving half: gives the number of acknowledgements.
async fn receive(
    channel: Channel,
    requests: mpsc::Receiver<IngestStreamRequest>,
    room: Arc<Semaphore>,
    acknowledged: Arc<AtomicU64>,
) -> Result<i64> {
    let mut client = EventServiceClient::new(channel);
    let mut replies = client.ingest_stream(ReceiverStream::new(requests)).await?.into_inner();
    let mut batches = 0;
    while let Some(reply) = replies.message().await? {
        if let Some(error) = reply.errors.first() {
            bail!("an event was refused: {} {} ({})", error.field, error.message, error.reason);
        }
        acknowledged.fetch_add(reply.accepted as u64, Relaxed);
        batches += 1;
        room.add_permits(1);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_tracked_event_has_about_200_bytes_and_an_id_of_its_own() {
        let mut producer = Producer::new("p".into(), 1, 1_000);
        let (first, second) = (producer.track(), producer.track());
        assert!((170..=230).contains(&first.encoded_len()), "{} bytes", first.encoded_len());
        assert_ne!(first, second);
    }
}
