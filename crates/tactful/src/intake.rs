//! The intake from Redis: what other producers add to `tactful:intake`, as Segment-shaped JSON, as JSON
//! of a declared mapping, or as protobuf,
//! goes into the log like what comes over gRPC. At least once, and by its message id once. What cannot be read
//! moves to the dead list, with the reason and as it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use tactful_engine::{Accepted, Engine};
use tactful_log::{Intake, IntakeEntry};
use tactful_proto::v1::{IngestItem, ItemError, ingest_item::Item};
use tokio::runtime::Handle;

use crate::segment::{self, Mapping, lines::LINE_BYTES_MAX};

/// The field of an entry that holds one JSON object, as in the Segment specification or as a mapping says.
const JSON: &str = "json";
/// The field of an entry that holds an encoded `tactful.v1.IngestItem`.
const PROTOBUF: &str = "protobuf";
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
pub(crate) fn start(
    url: &str,
    engine: Arc<Engine>,
    mapping: Option<Mapping>,
    runtime: Handle,
) -> anyhow::Result<Running> {
    let intake = Intake::join(url)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let taker = Taker { intake, engine, mapping, runtime, stopping: Arc::clone(&stopping) };
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
    mapping: Option<Mapping>,
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
        let (mut taken, mut items, mut dead, mut blank) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match item(&entry, self.mapping.as_ref()) {
                Ok(Some(item)) => {
                    items.push(item);
                    taken.push(entry);
                }
                Ok(None) => blank.push(entry),
                Err(reason) => dead.push((entry, reason)),
            }
        }
        let Some(refused) = self.append(items) else { return };
        // From the last on, so that the positions of the others stay.
        for error in refused.into_iter().rev() {
            let entry = taken.remove(error.index as usize);
            dead.push((entry, format!("{}: {} ({})", error.field, error.message, error.reason)));
        }
        taken.append(&mut blank);
        if let Err(error) = self.intake.settle(&taken, &dead) {
            tracing::warn!(%error, "entries that were taken in come again, and count once");
        }
    }

    /// Appends items, trying again while the log fails; answers those refused. None if it was stopped meanwhile:
    /// the entries then come again, to whatever node.
    fn append(&self, items: Vec<IngestItem>) -> Option<Vec<ItemError>> {
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

/// What an entry says; none if it holds a blank line. Without a message id of its own it gets that of the entry, so
/// that it counts once.
fn item(entry: &IntakeEntry, mapping: Option<&Mapping>) -> Result<Option<IngestItem>, String> {
    if let Some((_, value)) = entry.fields.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        return Err(format!("has a field of {} bytes, at most {VALUE_BYTES_MAX} are allowed", value.len()));
    }
    let (name, value) = said(entry, mapping)?;
    let mapping = mapping.filter(|mapping| mapping.entry_field() == name);
    let mut item = match mapping {
        _ if name == PROTOBUF => {
            IngestItem::decode(value).map_err(|error| format!("protobuf: is no tactful.v1.IngestItem: {error}"))?
        }
        _ if segment::is_blank(value) => return Ok(None),
        Some(mapping) => mapping.item(value).map_err(|refused| refused.to_string())?,
        None => segment::item(value).map_err(|refused| refused.to_string())?,
    };
    let message_id = match &mut item.item {
        Some(Item::Event(event)) => Some(&mut event.message_id),
        Some(Item::Outcome(outcome)) => Some(&mut outcome.message_id),
        Some(Item::Consent(consent)) => Some(&mut consent.message_id),
        Some(Item::Fact(fact)) => Some(&mut fact.message_id),
        // It has an id in any case.
        Some(Item::ExternalDecision(_)) | None => None,
    };
    if let Some(message_id) = message_id.filter(|message_id| message_id.is_empty()) {
        *message_id = format!("intake:{}", entry.id);
    }
    Ok(Some(item))
}

/// The one field of an entry that says something, and what it holds.
fn said<'a>(entry: &'a IntakeEntry, mapping: Option<&'a Mapping>) -> Result<(&'a str, &'a [u8]), String> {
    let mut names = vec![JSON, PROTOBUF];
    if let Some(field) = mapping.map(Mapping::entry_field).filter(|field| *field != JSON) {
        names.push(field);
    }
    let held = |name: &str| entry.fields.iter().find(|(own, _)| own == name.as_bytes()).map(|(_, value)| &value[..]);
    let mut found = names.iter().filter_map(|name| Some((*name, held(name)?)));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some((one, _)), Some((other, _))) => Err(format!("has both fields, {one} and {other}: give one")),
        (None, _) => Err(format!("has no field to read: give {}", names.join(" or "))),
    }
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
        match item(&entry(fields), None).unwrap().unwrap().item {
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

    const MAPPING: &str = "entry_field = \"record\"\nsubject.field = \"person\"\nconstants.name = \"Seen\"\n";

    #[test]
    fn a_mapping_reads_the_field_that_it_names_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("mapping.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Mapping::read(&file).unwrap()
        };
        let mapped = |fields: &[(&'static str, Vec<u8>)], mapping: &Mapping| item(&entry(fields), Some(mapping));
        let (segment, record) = (br#"{"type":"page","userId":"c1"}"#.to_vec(), br#"{"person":"p1"}"#.to_vec());
        let own = read(MAPPING);
        let subject = |item: Result<Option<IngestItem>, String>| match item.unwrap().unwrap().item {
            Some(Item::Event(event)) => event.subject_id,
            other => panic!("{other:?}"),
        };
        assert_eq!(subject(mapped(&[("record", record.clone())], &own)), "p1");
        assert_eq!(subject(mapped(&[("json", segment.clone())], &own)), "c1");
        assert!(
            mapped(&[("json", segment.clone()), ("record", record.clone())], &own).unwrap_err().contains("give one")
        );
        assert!(mapped(&[("other", record.clone())], &own).unwrap_err().contains("json or protobuf or record"));
        let all = read(&MAPPING.replace("record", "json"));
        assert_eq!(subject(mapped(&[("json", record)], &all)), "p1");
        assert!(mapped(&[("json", segment)], &all).unwrap_err().contains("person: missing"));
    }

    #[test]
    fn a_blank_entry_is_passed_over() {
        assert_eq!(item(&entry(&[("json", b" \r\n".to_vec())]), None), Ok(None));
        assert_eq!(item(&entry(&[("json", Vec::new())]), None), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let refused = |fields: &[(&'static str, Vec<u8>)]| item(&entry(fields), None).unwrap_err();
        assert!(refused(&[("data", b"{}".to_vec())]).contains("give json or protobuf"));
        assert!(refused(&[("json", b"{}".to_vec()), ("protobuf", Vec::new())]).contains("both"));
        assert!(refused(&[("json", b"{\"type\":".to_vec())]).contains("not valid JSON"));
        assert!(refused(&[("json", b"{\"type\":\"page\"}".to_vec())]).contains("userId"));
        assert!(refused(&[("protobuf", b"\xFF\xFF".to_vec())]).contains("IngestItem"));
        assert!(refused(&[("json", vec![b' '; VALUE_BYTES_MAX + 1])]).contains("at most 1048576"));
    }
}
