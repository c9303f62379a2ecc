//! A small catalogue, an engine on an embedded log in a folder of its own, and short ways to say
//! what happens to customers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use tactful_core::decide::{Explain, RequestText};
use tactful_core::ruleset::Ruleset;
use tactful_engine::{Accepted, DecideCommand, Decided, Engine, Error, Options};
use tactful_log::{EmbeddedLog, Log};
use tactful_proto::v1;
use tactful_proto::v1::value::Kind;

use crate::faulty::FaultyLog;

/// The catalogue of these tests as text.
pub(crate) const CATALOG: &str = r#"
company = "Test"
[[channel]]
id = "web"
[[channel]]
id = "agent"
[[placement]]
id = "home"
channel = "web"
fallback = { title = "Welcome" }
[[placement]]
id = "desk"
channel = "agent"
count = 2
fallback = { title = "How may I help?" }
[[feature]]
name = "age"
aggregate = "last"
trait = "age"
[[feature]]
name = "plan"
aggregate = "last"
trait = "plan"
vocabulary = ["basic", "plus"]
[[feature]]
name = "orders"
aggregate = "count"
event = "Order Placed"
[[feature]]
name = "spend"
aggregate = "sum"
scale = 2
event = "Order Placed"
value = "total"
[[feature]]
name = "since_order"
aggregate = "since_last"
unit = "seconds"
event = "Order Placed"
[[context]]
name = "hour"
type = "number"
[[matter]]
type = "fault"
opens_on = ["Fault Reported"]
resolves_on = ["Fault Fixed"]
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
eligibility = [{ block = "customer.age < 18", when_unknown = "pass" }]
treatment = [{ channel = "web", content = { title = "A card" } }, { channel = "agent", content = { title = "Card" } }]
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
treatment = [{ channel = "web", content = { title = "Plus" } }, { channel = "agent", content = { title = "Plus" } }]
[[action]]
id = "help"
title = "Help"
issue = "care"
group = "care"
kind = "serve"
owner = "Care"
topic = "faults"
tone = "calm"
intensity = 1
value = 3.0
start_acceptance = 0.5
treatment = [{ channel = "web", content = { title = "Help" } }, { channel = "agent", content = { title = "Help" } }]
"#;

/// How long anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The catalogue of these tests.
pub(crate) fn ruleset() -> Ruleset {
    ruleset_with("")
}

/// The catalogue of these tests with something more.
pub(crate) fn ruleset_with(more: &str) -> Ruleset {
    tactful_engine::catalog::compile(&[("test.toml".into(), format!("{CATALOG}\n{more}"))]).unwrap()
}

/// An embedded log with four partitions.
pub(crate) fn open(folder: &Path) -> Arc<dyn Log> {
    let options = tactful_log::Options { partitions: 4, memtable_bytes: 4 << 20, ..tactful_log::Options::default() };
    Arc::new(EmbeddedLog::open(folder, options).unwrap())
}

/// An engine on a log that has been replayed.
pub(crate) async fn start(log: &Arc<dyn Log>) -> Arc<Engine> {
    start_with(log, &Options::default()).await
}

pub(crate) async fn start_with(log: &Arc<dyn Log>, options: &Options) -> Arc<Engine> {
    let engine = Engine::start(Arc::clone(log), ruleset(), options).await.unwrap();
    tokio::time::timeout(PATIENCE, engine.caught_up()).await.unwrap();
    assert_eq!(engine.readiness().damage, None);
    engine
}

/// A running engine on a log that can be told to fail, in a folder that lives as long.
pub(crate) struct Running {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) log: Arc<FaultyLog>,
    pub(crate) engine: Arc<Engine>,
    options: Options,
}

impl Running {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::on(tempfile::tempdir().unwrap(), options).await
    }

    async fn on(folder: tempfile::TempDir, options: Options) -> Self {
        let log = Arc::new(FaultyLog::new(open(folder.path())));
        let shared: Arc<dyn Log> = log.clone();
        let engine = start_with(&shared, &options).await;
        Self { folder, log, engine, options }
    }

    /// Stops, which frees the folder, and starts anew.
    pub(crate) async fn restart(self) -> Self {
        let (folder, options) = self.stop().await;
        Self::on(folder, options).await
    }

    /// Stops and gives the folder back.
    pub(crate) async fn stop(self) -> (tempfile::TempDir, Options) {
        let Self { folder, log, engine, options } = self;
        engine.close(PATIENCE).await;
        assert_eq!(Arc::strong_count(&engine), 1, "something still holds the engine");
        drop(engine);
        assert_eq!(Arc::strong_count(&log), 1, "something still holds the log");
        drop(log);
        (folder, options)
    }
}

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub(crate) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

pub(crate) fn number(number: f64) -> v1::Value {
    v1::Value { kind: Some(Kind::Number(number)) }
}

pub(crate) fn text(text: &str) -> v1::Value {
    v1::Value { kind: Some(Kind::Text(text.into())) }
}

pub(crate) fn values<const N: usize>(values: [(&str, v1::Value); N]) -> BTreeMap<String, v1::Value> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn item(event: v1::Event) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::Event(event)) }
}

pub(crate) fn external(decision: v1::ExternalDecision) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::ExternalDecision(decision)) }
}

pub(crate) fn outcome(report: v1::OutcomeReport) -> v1::IngestItem {
    v1::IngestItem { item: Some(v1::ingest_item::Item::Outcome(report)) }
}

/// An identify event with an age.
pub(crate) fn aged(subject: &str, age: f64, seconds: i64) -> v1::IngestItem {
    item(v1::Event {
        subject_id: subject.into(),
        r#type: v1::EventType::Identify.into(),
        event_time: at(seconds),
        properties: values([("age", number(age))]),
        ..v1::Event::default()
    })
}

/// A tracked event.
pub(crate) fn tracked(subject: &str, name: &str, seconds: i64) -> v1::Event {
    v1::Event {
        subject_id: subject.into(),
        r#type: v1::EventType::Track.into(),
        name: name.into(),
        event_time: at(seconds),
        channel: "web".into(),
        ..v1::Event::default()
    }
}

/// An order of some total.
pub(crate) fn order(subject: &str, message: &str, total: f64, seconds: i64) -> v1::IngestItem {
    item(v1::Event {
        message_id: message.into(),
        properties: values([("total", number(total))]),
        ..tracked(subject, "Order Placed", seconds)
    })
}

/// The answer of a customer to a shown action.
pub(crate) fn answer(subject: &str, token: &str, kind: v1::OutcomeType, message: &str) -> v1::IngestItem {
    outcome(v1::OutcomeReport {
        subject_id: subject.into(),
        outcome_token: token.into(),
        r#type: kind.into(),
        message_id: message.into(),
        ..v1::OutcomeReport::default()
    })
}

/// Takes in items of which none may be refused, and waits until they count.
pub(crate) async fn ingest(engine: &Engine, items: Vec<v1::IngestItem>) {
    let count = items.len() as u64;
    let accepted = engine.ingest(items).await.unwrap();
    assert!(accepted.errors.is_empty(), "{:?}", accepted.errors);
    assert_eq!(accepted.accepted, count);
    settle(engine).await;
}

/// Takes in one item that must be refused; returns why.
pub(crate) async fn refused(engine: &Engine, item: v1::IngestItem) -> v1::ItemError {
    let Accepted { accepted, mut errors, .. } = engine.ingest(vec![item]).await.unwrap();
    assert_eq!((accepted, errors.len()), (0, 1), "{errors:?}");
    errors.remove(0)
}

/// Waits until everything so far is recorded and applied.
pub(crate) async fn settle(engine: &Engine) {
    let settled = async {
        // An export waits for the record of what came before it.
        let _rows = export(engine).await;
        engine.applied_all().await.unwrap();
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
}

/// The whole record of decisions.
pub(crate) async fn export(engine: &Engine) -> Vec<v1::DecisionRow> {
    let (sender, mut pages) = tokio::sync::mpsc::channel(4);
    let (done, rows) = tokio::join!(engine.export((i64::MIN, i64::MAX), sender), async {
        let mut rows = Vec::new();
        while let Some(page) = pages.recv().await {
            rows.extend(page);
        }
        rows
    });
    done.unwrap();
    rows
}

/// What to decide about; the rest is the usual.
pub(crate) struct Ask<'a> {
    pub(crate) subject: &'a str,
    pub(crate) placements: Vec<(&'a str, i64)>,
    pub(crate) request_id: &'a str,
    pub(crate) live: bool,
    pub(crate) candidates: Vec<&'a str>,
}

impl<'a> Ask<'a> {
    pub(crate) fn home(subject: &'a str) -> Self {
        Self { subject, placements: vec![("home", 0)], request_id: "", live: true, candidates: Vec::new() }
    }

    pub(crate) fn decide(&self, engine: &Engine) -> Result<Arc<Decided>, Error> {
        let candidate_actions = self.candidates.iter().map(|id| (*id).to_owned()).collect();
        let encoded = v1::DecideRequest { candidate_actions, ..v1::DecideRequest::default() };
        engine.decide(&DecideCommand {
            text: RequestText {
                subject_id: self.subject,
                placements: self.placements.clone(),
                candidates: self.candidates.clone(),
                explain: Explain::None,
                ..RequestText::default()
            },
            request_id: self.request_id,
            matter_id: "",
            live: self.live,
            non_personal: false,
            behind: None,
            encoded: prost::Message::encode_to_vec(&encoded),
        })
    }
}

/// Decides for the placement `home`.
pub(crate) fn decide(engine: &Engine, subject: &str) -> Arc<Decided> {
    Ask::home(subject).decide(engine).unwrap()
}

/// Id of the first action shown in a decision's placement.
pub(crate) fn shown(decided: &Decided, placement: usize) -> &str {
    &decided.ruleset.actions[decided.decision.placements[placement].shown[0].action].id
}

/// A feature of a customer as of now; NaN if missing.
pub(crate) fn feature(engine: &Engine, subject: &str, name: &str) -> f64 {
    let context = engine.context(subject).unwrap();
    let line = context.features.iter().find(|line| line.name == name).unwrap();
    line.value
}

/// A derived field as the next decision reads it.
pub(crate) fn field(engine: &Engine, subject: &str, name: &str) -> f32 {
    let decided = Ask { live: false, ..Ask::home(subject) }.decide(engine).unwrap();
    decided.decision.fields[decided.ruleset.layout.index(name).unwrap()]
}

/// Tells loops on other threads to end, at the latest when the test does, however it does.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The end of the loops.
    pub(crate) fn on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.clone())
    }
}

pub(crate) struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Repeats a look until it is true.
pub(crate) async fn until(mut holds: impl FnMut() -> bool, what: &str) {
    let holding = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, holding).await.is_ok(), "never: {what}");
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
