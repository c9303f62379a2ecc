//! From not ready to serving to drained: health and readiness tell the truth, calls in flight
//! finish, and nobody holds the end up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tactful_engine::Engine;
use tactful_log::Log;
use tactful_proto::v1;
use tactful_server::{Options, Server};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::fixture::{PATIENCE, Served, ask, connect, open, options, order, ruleset, until};
use crate::http::get;

fn asked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_replay_and_drain() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let shared: Arc<dyn Log> = first.clone();
    let engine = Engine::start(shared, ruleset(), &tactful_engine::Options::default()).await.unwrap();
    engine.ingest(vec![order("customer:1", "m1")]).await.unwrap();
    engine.close(PATIENCE).await;
    drop((engine, first));

    let log = open(folder.path());
    log.stall_reads(true);
    let shared: Arc<dyn Log> = log.clone();
    let engine = Engine::start(shared, ruleset(), &tactful_engine::Options::default()).await.unwrap();
    let server = Server::start(engine, &options()).unwrap();
    let addresses = server.addresses();
    let channel = connect(&addresses).await;
    let mut health = HealthClient::new(channel.clone());
    let services = ["", "tactful.v1.DecisionService", "tactful.v1.EventService", "tactful.v1.CustomerService"];
    for service in services {
        let status = health.check(asked(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::NotServing, "{service}");
    }
    assert_eq!(health.check(asked("no.such.Service")).await.unwrap_err().code(), Code::NotFound);
    let (code, text) = get(addresses.http, "/readyz").await;
    assert!(code == 503 && text.contains("replaying: 0 of 5 records"), "{text}");
    let mut decisions = v1::decision_service_client::DecisionServiceClient::new(channel);
    let early = decisions.decide(ask("customer:1")).await.unwrap().into_inner();
    assert_eq!(early.degraded_reasons, ["REPLAYING"]);

    let mut watch = health.watch(asked("")).await.unwrap().into_inner();
    let next = async |watch: &mut tonic::Streaming<HealthCheckResponse>| {
        tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap().status()
    };
    assert_eq!(next(&mut watch).await, ServingStatus::NotServing);
    log.stall_reads(false);
    assert_eq!(next(&mut watch).await, ServingStatus::Serving);
    for service in services {
        until(
            async || {
                health.clone().check(asked(service)).await.unwrap().into_inner().status() == ServingStatus::Serving
            },
            service,
        )
        .await;
    }
    let (code, text) = get(addresses.http, "/readyz").await;
    assert!(code == 200 && text.starts_with("ready\n") && text.contains("durability: "), "{text}");

    let stopping = tokio::spawn(server.stop());
    assert_eq!(next(&mut watch).await, ServingStatus::NotServing);
    tokio::time::timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_finish_and_the_record_is_written() {
    let served = Served::new().await;
    let decided = served.decide("customer:1").await.unwrap();
    served.engine.applied_all().await.unwrap();
    served.log.stall(true);
    let mut events = served.events();
    let in_flight =
        tokio::spawn(async move { events.ingest(v1::IngestRequest { items: vec![order("customer:1", "m1")] }).await });
    // One more decision, whose record waits behind the stalled log.
    let late = served.decide("customer:1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let Served { log, engine, server, addresses, channel, .. } = served;
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stopping.is_finished(), "a call is in flight");
    let refused = tokio::time::timeout(PATIENCE, TcpStream::connect(addresses.grpc)).await.unwrap();
    assert!(refused.is_err(), "no new connections");
    log.stall(false);
    assert_eq!(in_flight.await.unwrap().unwrap().into_inner().accepted, 1);
    tokio::time::timeout(PATIENCE, stopping).await.unwrap().unwrap();
    let mut decisions = v1::decision_service_client::DecisionServiceClient::new(channel);
    assert!(decisions.decide(ask("customer:1")).await.is_err(), "it is gone");

    let (sender, mut pages) = tokio::sync::mpsc::channel(64);
    let shared: Arc<dyn Log> = log;
    tactful_engine::export(shared, None, (i64::MIN, i64::MAX), sender).await.unwrap();
    let mut recorded = Vec::new();
    while let Some(page) = pages.recv().await {
        recorded.extend(page.into_iter().map(|row| row.decision_id));
    }
    recorded.sort();
    let mut expected = vec![decided.decision_id, late.decision_id];
    expected.sort();
    assert_eq!(recorded, expected);
    assert_eq!(engine.unlogged(), 0);
}

#[test]
fn nobody_holds_the_end_up() {
    let started = Instant::now();
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let kept = runtime.block_on(async {
            let served = Served::with(Options { drain_ms_max: 1_000, ..options() }).await;
            // Connections that say nothing, a stream that is never closed, and a health watch.
            let silent = [
                TcpStream::connect(served.addresses.grpc).await.unwrap(),
                TcpStream::connect(served.addresses.http).await.unwrap(),
            ];
            let (batches, sent) = tokio::sync::mpsc::channel(1);
            let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
            let mut acks = served.events().ingest_stream(sent).await.unwrap().into_inner();
            let items = vec![order("customer:1", "m1")];
            batches.send(v1::IngestStreamRequest { sequence: 1, items }).await.unwrap();
            assert_eq!(acks.message().await.unwrap().unwrap().sequence, 1);
            let mut health = HealthClient::new(served.channel.clone());
            let watch = health.watch(asked("")).await.unwrap().into_inner();
            let decided = served.decide("customer:1").await.unwrap();
            let Served { log, engine, server, .. } = served;
            let stopping = Instant::now();
            server.stop().await;
            assert!(stopping.elapsed() < PATIENCE / 2, "{:?}", stopping.elapsed());
            // The open stream ends, and not as if all were well.
            let end = tokio::time::timeout(PATIENCE, acks.message()).await.unwrap();
            assert!(end.is_err(), "{end:?}");
            // Nothing of the server is left: the log can be opened by somebody else.
            drop(engine);
            until(async || Arc::strong_count(&log) == 1, "the threads let go of the log").await;
            assert!(!decided.decision_id.is_empty());
            (silent, batches, watch)
        });
        // The end of the runtime waits for nobody either.
        drop(runtime);
        drop(kept);
        sender.send(()).unwrap();
    });
    assert!(ended.recv_timeout(PATIENCE).is_ok(), "still not ended after {:?}", started.elapsed());
}
