//! The HTTP listener: liveness, readiness, metrics, digests.

use std::net::SocketAddr;

use tactful_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Served, ask, order, place};

/// Status code and body of a page.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: tactful\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_tell_how_it_is() {
    let served = Served::new().await;
    let http = served.addresses.http;
    served.events().ingest(v1::IngestRequest { items: vec![order("customer:1", "m1")] }).await.unwrap();
    served.decide("customer:1").await.unwrap();
    served.decisions().decide(v1::DecideRequest { placements: vec![place("x", 0)], ..ask("c") }).await.unwrap_err();
    served.export().await;
    served.engine.applied_all().await.unwrap();

    assert_eq!(get(http, "/livez").await, (200, "ok\n".into()));
    assert_eq!(get(http, "/readyz").await.0, 200);
    assert_eq!(get(http, "/nothing").await.0, 404);
    let (code, metrics) = get(http, "/metrics").await;
    assert_eq!(code, 200);
    let value = |name: &str| {
        let line =
            metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("tactful_decisions_total{outcome=\"personalised\"}") >= 1.0);
    assert!(value("tactful_events_ingested_total") >= 1.0);
    assert!(value("tactful_records_applied_total") >= 2.0);
    assert!(value("tactful_decision_duration_seconds_bucket{le=\"0.000005\"}") >= 0.0, "buckets, no quantiles");
    assert!(value("tactful_decision_duration_seconds_count") >= 1.0);
    assert!(value("tactful_customers") >= 1.0);

    let digests = served.engine.digests();
    let (code, text) = get(http, "/digest").await;
    let expected = format!(
        "{{\"content\":\"{:016x}\",\"state\":\"{:016x}\",\"records\":6,\"customers\":1}}\n",
        digests.content, digests.state
    );
    assert_eq!((code, text), (200, expected));
}
