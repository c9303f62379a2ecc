//! Deadlines and overload: answered at once, with the right code, and the server goes on.

use std::time::{Duration, Instant};

use tactful_proto::v1;
use tactful_server::{Options, Server, StartError};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::artifacts::constant;
use crate::fixture::{PATIENCE, Served, ask, connect, fields, options, order, reason, until};
use crate::raw::{Raw, framed};

const DECIDE: &str = "/tactful.v1.DecisionService/Decide";
const INGEST: &str = "/tactful.v1.EventService/Ingest";

fn ingest() -> bytes::Bytes {
    framed(&v1::IngestRequest { items: vec![order("customer:1", "m1")] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_deadline_is_deadline_exceeded_and_its_work_never_starts() {
    let served = Served::new().await;
    let raw = Raw::connect(served.addresses.grpc).await;
    let exceeded = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
    for expired in ["0n", "0m", "1n"] {
        let status = raw.call(DECIDE, Some(expired), framed(&ask("customer:1"))).await;
        assert_eq!(reason(&status), exceeded, "{expired}: {status:?}");
        let status = raw.call(INGEST, Some(expired), ingest()).await;
        assert_eq!(reason(&status), exceeded, "{expired}: {status:?}");
    }
    served.engine.applied_all().await.unwrap();
    assert_eq!((served.engine.customers(), served.export().await.len()), (0, 0));
    // Work that takes too long ends at its deadline, with this code and not the transport's.
    served.log.stall(true);
    let started = Instant::now();
    let status = raw.call(INGEST, Some("150m"), ingest()).await;
    assert_eq!(reason(&status), exceeded, "{status:?}");
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
    served.log.stall(false);
    assert_eq!(raw.call(DECIDE, Some("30S"), framed(&ask("customer:1"))).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_deadline_is_refused() {
    let served = Served::new().await;
    let raw = Raw::connect(served.addresses.grpc).await;
    for malformed in ["", "m", "soon", "100", "-5m", "123456789m", "1.5S", "\u{fc}"] {
        let status = raw.call(DECIDE, Some(malformed), framed(&ask("customer:1"))).await;
        assert_eq!(reason(&status), (Code::InvalidArgument, "INVALID_ARGUMENT".into()), "{malformed:?}");
        assert_eq!(fields(&status), ["grpc-timeout"]);
    }
    assert_eq!(raw.call(DECIDE, Some("99999999H"), framed(&ask("customer:1"))).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_answers_at_once_and_passes() {
    let served = Served::with(Options { requests_max: 1, streams_max: 1, ..options() }).await;
    served.log.stall(true);
    let mut events = served.events();
    // A decision below may hold the only place just then: this one asks until it is the holder.
    let holding = tokio::spawn(async move {
        loop {
            match events.ingest(v1::IngestRequest { items: vec![order("customer:1", "m1")] }).await {
                Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
                ended => return ended,
            }
        }
    });
    let mut shed = None;
    until(
        async || {
            let started = Instant::now();
            shed = served.decide("customer:1").await.err().map(|status| (status, started.elapsed()));
            shed.is_some()
        },
        "the only place is taken",
    )
    .await;
    let (status, took) = shed.unwrap();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "OVERLOADED".into()));
    let retry = status.get_error_details().retry_info().and_then(|retry| retry.retry_delay).unwrap();
    assert!(retry > Duration::ZERO && took < Duration::from_secs(5), "{retry:?} {took:?}");
    // Whoever watches over the server still hears that it is well.
    let mut health = HealthClient::new(connect(&served.addresses).await);
    let health = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    served.log.stall(false);
    assert_eq!(holding.await.unwrap().unwrap().into_inner().accepted, 1);
    until(async || served.decide("customer:1").await.is_ok(), "there is room again").await;

    // Streams have a bound of their own.
    let (sender, batches) = tokio::sync::mpsc::channel(1);
    let batches = tokio_stream::wrappers::ReceiverStream::new(batches);
    let mut open = served.events().ingest_stream(batches).await.unwrap().into_inner();
    let status = served.events().ingest_stream(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "OVERLOADED".into()));
    let status = served.decisions().export_decisions(v1::ExportDecisionsRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "OVERLOADED".into()));
    let items = vec![order("customer:1", "m2")];
    sender.send(v1::IngestStreamRequest { sequence: 5, items }).await.unwrap();
    assert_eq!(open.message().await.unwrap().unwrap().sequence, 5);
    drop(sender);
    assert!(open.message().await.unwrap().is_none());
    until(async || served.events().ingest_stream(tokio_stream::empty()).await.is_ok(), "its place is free").await;
    assert_eq!(served.orders("customer:1").await, 2.0);
    // An export that its caller leaves gives its place back as well.
    until(
        async || {
            let left = served.decisions().export_decisions(v1::ExportDecisionsRequest::default()).await;
            left.is_ok()
        },
        "an export begins",
    )
    .await;
    until(async || served.events().ingest_stream(tokio_stream::empty()).await.is_ok(), "its place is free").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_began_is_done_even_if_its_caller_gave_up() {
    let served = Served::new().await;
    let raw = Raw::connect(served.addresses.grpc).await;
    served.push(constant(1.0)).await.unwrap();
    served.log.stall(true);
    let (alias, name) = (v1::ModelAlias::Champion.into(), "acceptance".into());
    let promotion = framed(&v1::SetAliasRequest { alias, name, ..v1::SetAliasRequest::default() });
    let status = raw.call("/tactful.v1.ModelService/SetAlias", Some("200m"), promotion).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(served.decide("customer:1").await.unwrap().model_version.is_empty());
    served.log.stall(false);
    // What the log says and what decides are the same again.
    until(async || !served.decide("customer:1").await.unwrap().model_version.is_empty(), "it decides").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_the_other_server_goes_on() {
    let served = Served::new().await;
    let taken = served.addresses;
    for (what, address, bad) in [
        ("gRPC", taken.grpc, Options { grpc_listen: taken.grpc, ..options() }),
        ("HTTP", taken.http, Options { http_listen: taken.http, ..options() }),
    ] {
        let Err(error) = Server::start(std::sync::Arc::clone(&served.engine), &bad) else { panic!("{what} was bound") };
        assert!(matches!(&error, StartError::Bind { what: of, address: at, .. } if *of == what && *at == address));
        let text = error.to_string();
        assert!(text.contains(what) && text.contains(&address.to_string()), "{text}");
    }
    assert!(served.decide("customer:1").await.is_ok());
    let channel = tokio::time::timeout(PATIENCE, connect(&taken)).await.unwrap();
    let mut decisions = v1::decision_service_client::DecisionServiceClient::new(channel);
    assert!(decisions.decide(ask("customer:1")).await.is_ok());
}
