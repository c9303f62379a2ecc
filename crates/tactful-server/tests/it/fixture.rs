//! A running server on an embedded log, clients of it, and everything that it writes to its log.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use tactful_core::ruleset::Ruleset;
use tactful_engine::Engine;
use tactful_log::{EmbeddedLog, Log};
use tactful_proto::v1;
use tactful_proto::v1::customer_service_client::CustomerServiceClient;
use tactful_proto::v1::decision_service_client::DecisionServiceClient;
use tactful_proto::v1::event_service_client::EventServiceClient;
use tactful_proto::v1::model_service_client::ModelServiceClient;
use tactful_server::{Addresses, Options, Server};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::faulty::FaultyLog;

const CATALOG: &str = r#"
company = "Test"
holdout = { share = 0.0 }
purpose = [{ name = "marketing", default = "allowed" }]
[[channel]]
id = "web"
[[placement]]
id = "home"
channel = "web"
fallback = { title = "Welcome" }
[[placement]]
id = "cart"
channel = "web"
fallback = { title = "Your cart" }
[[feature]]
name = "age"
aggregate = "last"
trait = "age"
[[feature]]
name = "orders"
aggregate = "count"
event = "Order Placed"
[[context]]
name = "hour"
type = "number"
[[context]]
name = "page"
type = "category"
vocabulary = [VOCABULARY]
[[action]]
id = "card"
title = "Card"
issue = "grow"
group = "cards"
kind = "sell"
owner = "Cards"
topic = "credit"
tone = "warm"
intensity = 2
value = 30.0
start_acceptance = 0.2
reasons = ["You are {customer.age}"]
treatment = [{ channel = "web", content = { title = "A card" } }]
[[action]]
id = "plus"
title = "Plus"
issue = "grow"
group = "plans"
kind = "sell"
owner = "Plans"
topic = "plans"
tone = "warm"
intensity = 2
value = 20.0
start_acceptance = 0.1
purpose = "marketing"
eligibility = [{ require = "customer.age >= 18", message = "adults only" }]
treatment = [{ channel = "web", content = { title = "Plus" } }]
"#;

/// How long anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A catalogue of two actions, and a category with a thousand words.
pub(crate) fn ruleset() -> Ruleset {
    let words: Vec<String> = (0..1_000).map(|n| format!("\"section-of-the-shop-{n}\"")).collect();
    let text = CATALOG.replace("VOCABULARY", &words.join(", "));
    tactful_engine::catalog::compile(&[("test.toml".into(), text)]).unwrap()
}

/// Options of a server on free ports of this machine.
pub(crate) fn options() -> Options {
    let any = ([127, 0, 0, 1], 0).into();
    Options { grpc_listen: any, http_listen: any, threads: 2, drain_ms_max: 2_000, ..Options::default() }
}

/// A log in a folder, wrapped so that it can be told to fail.
pub(crate) fn open(folder: &std::path::Path) -> Arc<FaultyLog> {
    let options = tactful_log::Options { partitions: 4, memtable_bytes: 4 << 20, ..tactful_log::Options::default() };
    Arc::new(FaultyLog::new(Arc::new(EmbeddedLog::open(folder, options).unwrap())))
}

/// A running server.
pub(crate) struct Served {
    pub(crate) log: Arc<FaultyLog>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) server: Server,
    pub(crate) addresses: Addresses,
    pub(crate) channel: Channel,
    _folder: tempfile::TempDir,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        LazyLock::force(&LINES);
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let shared: Arc<dyn Log> = log.clone();
        let engine = Engine::start(shared, ruleset(), &tactful_engine::Options::default()).await.unwrap();
        engine.caught_up().await;
        let server = Server::start(Arc::clone(&engine), &options).unwrap();
        let addresses = server.addresses();
        let channel = connect(&addresses).await;
        Self { log, engine, server, addresses, channel, _folder: folder }
    }

    pub(crate) fn decisions(&self) -> DecisionServiceClient<Channel> {
        DecisionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    pub(crate) fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel.clone())
    }

    /// Registers a model, in two pieces.
    pub(crate) async fn push(&self, artifact: Vec<u8>) -> Result<v1::PushResponse, Status> {
        use v1::push_request::Part;
        let (first, second) = artifact.split_at(artifact.len() / 2);
        let parts =
            [Part::Header(v1::PushHeader::default()), Part::Chunk(first.to_vec()), Part::Chunk(second.to_vec())];
        let parts = parts.map(|part| v1::PushRequest { part: Some(part) });
        Ok(self.models().push(tokio_stream::iter(parts)).await?.into_inner())
    }

    /// Moves an alias to a version of the model `acceptance`.
    pub(crate) async fn alias(
        &self,
        alias: v1::ModelAlias,
        version: &str,
        share: f64,
    ) -> Result<v1::SetAliasResponse, Status> {
        let (name, version) = ("acceptance".into(), version.into());
        let request = v1::SetAliasRequest { alias: alias.into(), name, version, share, note: String::new() };
        Ok(self.models().set_alias(request).await?.into_inner())
    }

    /// Registers a model and makes it the champion; answers its id.
    pub(crate) async fn champion(&self, artifact: Vec<u8>) -> Result<String, Status> {
        let pushed = self.push(artifact).await?.version.unwrap();
        self.alias(v1::ModelAlias::Champion, &pushed.number.to_string(), 0.0).await?;
        Ok(pushed.id)
    }

    /// Decides for the placement `home`.
    pub(crate) async fn decide(&self, subject: &str) -> Result<v1::DecideResponse, Status> {
        Ok(self.decisions().decide(ask(subject)).await?.into_inner())
    }

    /// How many orders are known of a customer.
    pub(crate) async fn orders(&self, subject: &str) -> f64 {
        self.engine.applied_all().await.unwrap();
        let request = v1::GetContextRequest { subject_id: subject.into() };
        let context = self.customers().get_context(request).await.unwrap().into_inner();
        let line = context.features.into_iter().find(|line| line.name == "orders").unwrap();
        match line.value.unwrap().kind {
            Some(v1::value::Kind::Number(orders)) => orders,
            other => panic!("{other:?}"),
        }
    }

    /// The whole record of decisions.
    pub(crate) async fn export(&self) -> Vec<v1::DecisionRow> {
        let mut pages =
            self.decisions().export_decisions(v1::ExportDecisionsRequest::default()).await.unwrap().into_inner();
        let mut rows = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            assert!(page.rows.len() <= 256);
            rows.extend(page.rows);
        }
        rows
    }
}

/// A channel of its own to a server.
pub(crate) async fn connect(addresses: &Addresses) -> Channel {
    Endpoint::from_shared(format!("http://{}", addresses.grpc)).unwrap().connect().await.unwrap()
}

/// A request for the placement `home`.
pub(crate) fn ask(subject: &str) -> v1::DecideRequest {
    v1::DecideRequest { subject_id: subject.into(), placements: vec![place("home", 0)], ..v1::DecideRequest::default() }
}

pub(crate) fn place(placement: &str, count: i32) -> v1::PlacementRequest {
    v1::PlacementRequest { placement: placement.into(), count }
}

pub(crate) fn number(number: f64) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::Number(number)) }
}

pub(crate) fn text(text: &str) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::Text(text.into())) }
}

pub(crate) fn values<const N: usize>(values: [(&str, v1::Value); N]) -> BTreeMap<String, v1::Value> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub(crate) fn order(subject: &str, message: &str) -> v1::IngestItem {
    event(v1::Event { message_id: message.into(), ..ordered(subject) })
}

pub(crate) fn ordered(subject: &str) -> v1::Event {
    v1::Event {
        subject_id: subject.into(),
        r#type: v1::EventType::Track.into(),
        name: "Order Placed".into(),
        channel: "web".into(),
        ..v1::Event::default()
    }
}

pub(crate) fn aged(subject: &str, age: f64) -> v1::IngestItem {
    event(v1::Event {
        subject_id: subject.into(),
        r#type: v1::EventType::Identify.into(),
        properties: values([("age", number(age))]),
        ..v1::Event::default()
    })
}

pub(crate) fn event(event: v1::Event) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::Event(event)) }
}

/// Checks that a status is complete; returns its code and reason.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "tactful");
    assert!(!status.message().is_empty() && !info.reason.is_empty(), "{status:?}");
    (status.code(), info.reason.clone())
}

/// The fields that a status names, each with a description.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{violations:?}");
    violations.iter().map(|violation| violation.field.clone()).collect()
}

/// Repeats a look until it is true.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool, what: &str) {
    let holding = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, holding).await.is_ok(), "never: {what}");
}

/// Every line that this process logged so far.
pub(crate) fn lines() -> String {
    let bytes = LINES.0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let writer = lines.clone();
    let filter = "info,tactful_server=trace,tactful_engine=trace,tactful_log=trace,tactful_core=trace";
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(move || writer.clone())
        .init();
    lines
});

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
