//! The intake from Redis: what other producers add to `tactful:intake`, as Segment-shaped JSON or as protobuf,
//! goes into the log like what comes over gRPC. At least once, and by its message id once. What cannot be read
//! moves to the dead list, with the reason and as it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use tactful_engine::{Accepted, Engine};
use tactful_log::{Intake, IntakeEntry};
use tactful_proto::v1::{IngestItem, ingest_item::Item};
use tokio::runtime::Handle;

use crate::segment::{self, lines::LINE_BYTES_MAX};

/// The field of an entry that holds one JSON object, as in the Segment specification.
const JSON: &[u8] = b"json";
/// The field of an entry that holds an encoded `tactful.v1.IngestItem`.
const PROTOBUF: &[u8] = b"protobuf";
/// Longest value of a field, in bytes: as of a line over gRPC.
const VALUE_BYTES_MAX: usize = LINE_BYTES_MAX;
/// Pause after Redis or the log failed.
const RETRY: Duration = Duration::from_millis(200);

/// The thread that takes entries in, until it is stopped.
pub(crate) struct Running {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Joins the intake of a Redis and begins. Blocks for as long as Redis takes.
pub(crate) fn start(url: &str, engine: Arc<Engine>, runtime: Handle) -> anyhow::Result<Running> {
    let intake = Intake::join(url)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let taker = Taker { intake, engine, runtime, stopping: Arc::clone(&stopping) };
    let thread = thread::Builder::new().name("intake".into()).spawn(move || taker.run())?;
    Ok(Running { stopping, thread })
}

impl Running {
    /// Ends it; what it has taken is settled first.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::error!("the intake had panicked");
        }
    }
}

struct Taker {
    intake: Intake,
    engine: Arc<Engine>,
    runtime: Handle,
    stopping: Arc<AtomicBool>,
}

impl Taker {
    fn run(mut self) {
        let mut away = false;
        while !self.stopping.load(Ordering::Acquire) {
            match self.intake.take() {
                Ok(entries) => {
                    away = false;
                    self.take(entries);
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::error!(%error, "cannot take in entries, trying again");
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    fn take(&mut self, entries: Vec<IntakeEntry>) {
        let (mut taken, mut items, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match item(&entry) {
                Ok(item) => {
                    items.push(item);
                    taken.push(entry);
                }
                Err(reason) => dead.push((entry, reason)),
            }
        }
        let Some(refused) = self.append(items) else { return };
        // From the last on, so that the positions of the others stay.
        for error in refused.into_iter().rev() {
            let entry = taken.remove(error.index as usize);
            dead.push((entry, format!("{}: {} ({})", error.field, error.message, error.reason)));
        }
        if let Err(error) = self.intake.settle(&taken, &dead) {
            tracing::warn!(%error, "entries that were taken in come again, and count once");
        }
    }

    /// Appends items, trying again while the log fails; answers those refused. None if it was stopped meanwhile:
    /// the entries then come again, to whatever node.
    fn append(&self, items: Vec<IngestItem>) -> Option<Vec<tactful_proto::v1::ItemError>> {
        if items.is_empty() {
            return Some(Vec::new());
        }
        let mut told = false;
        while !self.stopping.load(Ordering::Acquire) {
            match self.runtime.block_on(self.engine.ingest(items.clone())) {
                Ok(Accepted { errors, .. }) => return Some(errors),
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "the log does not take what came in, trying again");
                    }
                    thread::sleep(RETRY);
                }
            }
        }
        None
    }
}

/// What an entry says. Without a message id of its own it gets that of the entry, so that it counts once.
fn item(entry: &IntakeEntry) -> Result<IngestItem, String> {
    if let Some((_, value)) = entry.fields.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        return Err(format!("has a field of {} bytes, at most {VALUE_BYTES_MAX} are allowed", value.len()));
    }
    let field = |name: &[u8]| entry.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let mut item = match (field(JSON), field(PROTOBUF)) {
        (Some(json), None) => segment::item(json).map_err(|refused| refused.to_string())?,
        (None, Some(bytes)) => {
            IngestItem::decode(&bytes[..]).map_err(|error| format!("protobuf: is no tactful.v1.IngestItem: {error}"))?
        }
        (Some(_), Some(_)) => return Err("has both fields, json and protobuf: give one".into()),
        (None, None) => return Err("has neither field: give json or protobuf".into()),
    };
    let message_id = match &mut item.item {
        Some(Item::Event(event)) => Some(&mut event.message_id),
        Some(Item::Outcome(outcome)) => Some(&mut outcome.message_id),
        // It has an id in any case.
        Some(Item::ExternalDecision(_)) | None => None,
    };
    if let Some(message_id) = message_id.filter(|message_id| message_id.is_empty()) {
        *message_id = format!("intake:{}", entry.id);
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use tactful_proto::v1::Event;

    use super::*;

    fn entry(fields: &[(&'static str, Vec<u8>)]) -> IntakeEntry {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().into(), value.clone().into()));
        IntakeEntry { id: "7-1".into(), fields: fields.collect() }
    }

    fn event(fields: &[(&'static str, Vec<u8>)]) -> Event {
        match item(&entry(fields)).unwrap().item {
            Some(Item::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_and_protobuf_say_the_same() {
        let json = br#"{"type":"page","userId":"c1","name":"Home","messageId":"m1"}"#;
        let from_json = event(&[("json", json.to_vec()), ("other", b"ignored".to_vec())]);
        let item = IngestItem { item: Some(Item::Event(from_json.clone())) };
        assert_eq!(event(&[("protobuf", item.encode_to_vec())]), from_json);
        assert_eq!((from_json.subject_id.as_str(), from_json.message_id.as_str()), ("c1", "m1"));
    }

    #[test]
    fn without_an_id_of_its_own_an_entry_counts_once_by_its_place() {
        let json = br#"{"type":"page","userId":"c1","name":"Home"}"#.to_vec();
        assert_eq!(event(&[("json", json)]).message_id, "intake:7-1");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let refused = |fields: &[(&'static str, Vec<u8>)]| item(&entry(fields)).unwrap_err();
        assert!(refused(&[("data", b"{}".to_vec())]).contains("give json or protobuf"));
        assert!(refused(&[("json", b"{}".to_vec()), ("protobuf", Vec::new())]).contains("both"));
        assert!(refused(&[("json", b"{\"type\":".to_vec())]).contains("not valid JSON"));
        assert!(refused(&[("json", b"{\"type\":\"page\"}".to_vec())]).contains("userId"));
        assert!(refused(&[("protobuf", b"\xFF\xFF".to_vec())]).contains("IngestItem"));
        assert!(refused(&[("json", vec![b' '; VALUE_BYTES_MAX + 1])]).contains("at most 1048576"));
    }
}
