//! IngestStream: acknowledged in order once durable, bounded by what the log takes, and nothing that
//! was acknowledged is lost however the client ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use prost::Message;
use tactful_proto::v1;
use tonic::Code;

use crate::fixture::{PATIENCE, Served, event, order, ordered, reason};
use crate::raw::{Raw, framed};

const PATH: &str = "/tactful.v1.EventService/IngestStream";

fn batch(sequence: i64, events: usize) -> v1::IngestStreamRequest {
    let items = (0..events).map(|n| order(&format!("customer:{}", n % 100), &format!("{sequence}-{n}")));
    v1::IngestStreamRequest { sequence, items: items.collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_acknowledged_in_order_and_durable() {
    let served = Served::new().await;
    let mut batches: Vec<_> = (0..50).map(|sequence| batch(sequence * 3, 20)).collect();
    batches[7].items.push(event(v1::Event { channel: "pigeon".into(), ..ordered("customer:1") }));
    let mut acks = served.events().ingest_stream(tokio_stream::iter(batches)).await.unwrap().into_inner();
    for sequence in 0..50 {
        let ack = acks.message().await.unwrap().unwrap();
        assert_eq!((ack.sequence, ack.accepted), (sequence * 3, 20));
        let bad: Vec<_> = ack.errors.iter().map(|error| (error.index, error.field.as_str())).collect();
        assert_eq!(bad, if sequence == 7 { vec![(20, "channel")] } else { Vec::new() });
    }
    assert!(acks.message().await.unwrap().is_none());
    assert_eq!(served.orders("customer:0").await, 50.0);
    served.engine.applied_all().await.unwrap();
    assert_eq!(served.engine.digests().records, 1_000 + 4, "and the schema of each partition");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_taken_in_whole() {
    const BATCHES: i64 = 200;
    let served = Served::new().await;
    let batches = futures_util::stream::iter((0..BATCHES).map(|sequence| batch(sequence, 1_000)));
    let mut acks = served.events().ingest_stream(batches).await.unwrap().into_inner();
    let mut accepted = 0;
    while let Some(ack) = tokio::time::timeout(PATIENCE, acks.message()).await.unwrap().unwrap() {
        assert!(ack.errors.is_empty());
        accepted += ack.accepted;
    }
    assert_eq!(accepted, BATCHES * 1_000);
    assert_eq!(served.orders("customer:42").await, (BATCHES * 10) as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_log_stops_the_sender_instead_of_filling_memory() {
    let served = Served::new().await;
    served.log.stall(true);
    let pulled = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&pulled);
    let batches = futures_util::stream::iter((0..400).map(move |sequence| {
        count.fetch_add(1, Ordering::SeqCst);
        batch(sequence, 1_000)
    }));
    let mut events = served.events();
    let calling = tokio::spawn(async move {
        let mut acks = events.ingest_stream(batches).await.unwrap().into_inner();
        let mut next = 0;
        while let Some(ack) = acks.message().await.unwrap() {
            assert_eq!((ack.sequence, ack.accepted), (next, 1_000));
            next += 1;
        }
        next
    });
    // Until nothing is taken any more.
    let mut before = u64::MAX;
    while before != pulled.load(Ordering::SeqCst) {
        before = pulled.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!((1..150).contains(&before), "{before} of 400 batches were taken while the log stood still");
    // Others on the same connection are served in the meantime.
    let other = tokio::time::timeout(PATIENCE, served.decide("customer:1")).await;
    assert!(other.expect("the stalled stream holds up its connection").is_ok());
    served.log.stall(false);
    assert_eq!(tokio::time::timeout(PATIENCE, calling).await.unwrap().unwrap(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_in_mid_stream_loses_nothing_that_was_acknowledged() {
    let served = Served::new().await;
    let raw = Raw::connect(served.addresses.grpc).await;
    let mut call = raw.begin(PATH, None).await;
    for sequence in 0..20 {
        call.sender.send_data(framed(&batch(sequence, 10)), false).unwrap();
    }
    let mut body = call.response.await.unwrap().into_body();
    let mut received = BytesMut::new();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 3 {
        received.extend_from_slice(&body.data().await.unwrap().unwrap());
        while received.len() >= 5 && received.len() >= 5 + length(&received) {
            let length = length(&received);
            received.advance(5);
            acknowledged.push(v1::IngestStreamResponse::decode(received.split_to(length)).unwrap().sequence);
        }
    }
    assert!(acknowledged.iter().copied().eq(0..acknowledged.len() as i64), "{acknowledged:?}");
    // Half a message, then the end.
    call.sender.send_data(framed(&batch(20, 10)).slice(..40), false).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    raw.kill().await;

    let orders = served.orders("customer:3").await;
    assert!((acknowledged.len() as f64..=20.0).contains(&orders), "{orders} of {acknowledged:?}");
    assert!(served.decide("customer:3").await.is_ok());
    // What the client sends again, since it cannot know, takes effect once.
    let again = futures_util::stream::iter((0..21).map(|sequence| batch(sequence, 10)));
    let acks = served.events().ingest_stream(again).await.unwrap().into_inner();
    assert_eq!(acks.filter(|ack| std::future::ready(ack.is_ok())).count().await, 21);
    assert_eq!(served.orders("customer:3").await, 21.0);
}

fn length(frame: &[u8]) -> usize {
    u32::from_be_bytes(frame[1..5].try_into().unwrap()) as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_bound_ends_its_call_and_nothing_else() {
    let served = Served::new().await;
    let too_large = (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned());
    let huge = || event(v1::Event { name: "x".repeat(10 << 20), ..ordered("customer:1") });
    let status = served.events().ingest(v1::IngestRequest { items: vec![huge()] }).await.unwrap_err();
    assert_eq!(reason(&status), too_large);
    // The same connection goes on.
    assert!(served.decide("customer:1").await.is_ok());
    let batches = [batch(0, 10), v1::IngestStreamRequest { sequence: 1, items: vec![huge()] }, batch(2, 10)];
    let mut acks = served.events().ingest_stream(tokio_stream::iter(batches)).await.unwrap().into_inner();
    let first = acks.message().await.unwrap().unwrap();
    assert_eq!((first.sequence, first.accepted), (0, 10));
    assert_eq!(reason(&acks.message().await.unwrap_err()), too_large);
    assert_eq!(served.orders("customer:3").await, 1.0);
}
