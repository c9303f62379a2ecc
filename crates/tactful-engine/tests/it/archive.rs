//! The archive on a real log and a real directory: the same rows before and after trimming, a crash at each
//! step, damage that is told, and one archiver at a time.

mod redis;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tactful_engine::archive::{self, Archive};
use tactful_engine::{Engine, Error, Options};
use tactful_log::{Log, Partition};
use tactful_proto::storage::record::Body;
use tactful_proto::storage::{ArchiveMarks, OutcomeBody, Record};
use tactful_proto::v1;
use tokio::sync::mpsc;

use crate::fixture::{
    PATIENCE, aged, answer, at, decide, export, external, ingest, now_s, open, order, outcome, ruleset, settle, start,
};

/// The key of the log that holds the marks.
const KEY: &str = "archive:marks";

/// Archives all the time.
fn often(directory: &Path) -> archive::Options {
    archive::Options {
        every: Duration::from_millis(20),
        lease: Duration::from_secs(2),
        ..archive::Options::new(directory)
    }
}

/// Customers who are decided for and answer, and decisions made elsewhere.
async fn traffic(engine: &Engine, from: usize, to: usize) {
    let now = now_s();
    for n in from..to {
        let subject = format!("customer:{n}");
        ingest(engine, vec![aged(&subject, 20.0 + n as f64, now - 90), order(&subject, "", 5.0, now - 80)]).await;
        let token = decide(engine, &subject).tokens[0].clone();
        let made = v1::ExternalDecision {
            external_decision_id: format!("x{n}"),
            subject_id: subject.clone(),
            action_id: "card".into(),
            decision_time: at(now - 50),
            selection_probability: 0.25,
            ..v1::ExternalDecision::default()
        };
        let report = v1::OutcomeReport {
            subject_id: subject.clone(),
            external_decision_id: format!("x{n}"),
            r#type: v1::OutcomeType::Converted.into(),
            value: 12.0,
            message_id: format!("seen{n}"),
            ..v1::OutcomeReport::default()
        };
        let accepted = answer(&subject, &token, v1::OutcomeType::Accepted, &format!("a{n}"));
        ingest(engine, vec![accepted, external(made), outcome(report)]).await;
    }
    settle(engine).await;
}

/// Rows of one customer of [`traffic`] in the archive: two decisions and their outcomes.
const ROWS: u64 = 4;

/// Waits until all that the log holds is archived.
async fn archived(log: &dyn Log) {
    let waiting = async {
        loop {
            let marks = archive::marks(log).await.unwrap();
            if marks == Some(tails(log).await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("archived");
}

async fn tails(log: &dyn Log) -> Vec<u64> {
    let mut tails = Vec::new();
    for partition in 0..log.partitions() {
        tails.push(log.tail(Partition::Data(partition)).await.unwrap());
    }
    tails
}

/// Trims the log up to the archive's marks.
async fn trim(log: &dyn Log) {
    for (partition, mark) in archive::marks(log).await.unwrap().unwrap().into_iter().enumerate() {
        log.trim(Partition::Data(partition as u16), mark + 1).await.unwrap();
        if mark > 0 {
            assert!(log.read(Partition::Data(partition as u16), 0, 1).await.is_err(), "trimmed");
        }
    }
}

/// What an export without an engine gives.
async fn rows(log: &Arc<dyn Log>, archive: Option<&Path>) -> Result<Vec<v1::DecisionRow>, Error> {
    let (sender, mut pages) = mpsc::channel(4);
    let exporting = tactful_engine::export(Arc::clone(log), archive.map(Into::into), (i64::MIN, i64::MAX), sender);
    let (done, rows) = tokio::join!(exporting, async {
        let mut rows = Vec::new();
        while let Some(page) = pages.recv().await {
            rows.extend(page);
        }
        rows
    });
    done.map(|()| rows)
}

/// All segments below an archive's directory, in order of their paths.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Rows of these customers in the archive.
async fn count(log: &dyn Log, directory: &Path, customers: std::ops::Range<usize>) -> u64 {
    let archive = Archive::find(log, directory).await.unwrap().expect("an archive");
    let ids: Vec<String> = customers.map(|n| format!("customer:{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    archive.scan(log.partitions(), &ids).unwrap().iter().map(|hit| hit.rows.expect("readable")).sum()
}

/// The raw marks.
async fn marks_value(log: &dyn Log) -> Option<bytes::Bytes> {
    log.get_key(KEY).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_log_with_its_archive_gives_the_rows_of_the_whole_log() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 25).await;
    let before = export(&engine).await;
    assert_eq!(before.len(), 50);
    assert!(before.iter().all(|row| row.outcomes.len() == 1), "answered, each once");
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    assert_eq!(export(&engine).await, before, "archived and not trimmed");
    trim(log.as_ref()).await;
    assert_eq!(export(&engine).await, before, "archived and trimmed");
    assert_eq!(count(log.as_ref(), &directory, 0..25).await, 25 * ROWS);
    // What is new comes from the log, or from the archive once it is there.
    traffic(&engine, 25, 30).await;
    let after = export(&engine).await;
    assert_eq!(after.len(), 60);
    archived(log.as_ref()).await;
    assert_eq!(export(&engine).await, after);
    trim(log.as_ref()).await;
    assert_eq!(export(&engine).await, after);
    engine.close(PATIENCE).await;
    assert_eq!(rows(&log, Some(&directory)).await.unwrap(), after, "as a stopped server's directory");
    let names: Vec<String> = segments(&directory).iter().map(|path| path.to_string_lossy().into_owned()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| !name.contains("customer")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_archives_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    engine.start_archiver(archive::Options { every: Duration::from_hours(1), ..often(&directory) });
    traffic(&engine, 0, 3).await;
    engine.close(PATIENCE).await;
    assert_eq!(archive::marks(log.as_ref()).await.unwrap(), Some(tails(log.as_ref()).await));
    assert_eq!(count(log.as_ref(), &directory, 0..3).await, 3 * ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_at_any_step_is_neither_lost_nor_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    // The directory was named, its key not yet written.
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("archive.id"), format!("{:016x} {:016x}\n", 7, log.epoch())).unwrap();
    traffic(&engine, 0, 6).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    let early = marks_value(log.as_ref()).await;
    traffic(&engine, 6, 12).await;
    archived(log.as_ref()).await;
    let expected = export(&engine).await;
    engine.close(PATIENCE).await;

    // Segments have their names, the mark did not move, or it moved back.
    let late = marks_value(log.as_ref()).await;
    assert!(log.compare_and_set(KEY, late, early.unwrap()).await.unwrap());
    // A segment was being written.
    let hour = segments(&directory)[0].parent().unwrap().to_owned();
    let unfinished = hour.join("900-950.parquet.0123456789abcdef.tmp");
    fs::write(&unfinished, b"PAR1 and a little more").unwrap();
    assert_eq!(rows(&log, Some(&directory)).await.unwrap(), expected, "before the next archiver");
    let engine = start(&log).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    assert!(!unfinished.exists(), "swept");
    assert_eq!(count(log.as_ref(), &directory, 0..12).await, 12 * ROWS, "each row once");
    trim(log.as_ref()).await;
    assert_eq!(export(&engine).await, expected);
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_moved_back_into_segments_keep_what_is_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 12).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    let expected = export(&engine).await;
    engine.close(PATIENCE).await;
    // A Redis that lost its end may hold older marks than the archive was written by, and be trimmed up to them.
    let late = marks_value(log.as_ref()).await.unwrap();
    let mut marks = ArchiveMarks::decode(late.as_ref()).unwrap();
    for mark in &mut marks.partitions {
        mark.offset /= 2;
        mark.covered = mark.offset;
    }
    let back = marks.encode_to_vec().into();
    assert!(log.compare_and_set(KEY, Some(late), back).await.unwrap());
    trim(log.as_ref()).await;
    assert_eq!(rows(&log, Some(&directory)).await.unwrap(), expected);
    // Its appliers cannot fold a trimmed log; its archiver can go on.
    let engine = Engine::start(Arc::clone(&log), ruleset(), &Options::default()).await.unwrap();
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    engine.close(PATIENCE).await;
    assert_eq!(count(log.as_ref(), &directory, 0..12).await, 12 * ROWS, "each row once");
    assert_eq!(rows(&log, Some(&directory)).await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_flipped_or_lost_segment_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 8).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    engine.close(PATIENCE).await;
    let path = segments(&directory)[0].clone();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&good[..good.len() / 2], &flipped] {
        fs::write(&path, bad).unwrap();
        let told = rows(&log, Some(&directory)).await.unwrap_err().to_string();
        assert!(told.contains(&name) && told.contains("damaged") && !told.contains("customer:"), "{told}");
        let archive = Archive::find(log.as_ref(), &directory).await.unwrap().unwrap();
        assert!(archive.scan(4, &["customer:1"]).unwrap().iter().any(|hit| hit.rows.is_none()), "not looked through");
        assert_eq!(archive.erase(0, &["customer:1"]).unwrap().unreadable.len(), 1);
    }
    fs::remove_file(&path).unwrap();
    let told = rows(&log, Some(&directory)).await.unwrap_err().to_string();
    assert!(told.contains("lacks the entries 1 to"), "{told}");
    fs::write(&path, good).unwrap();
    assert_eq!(rows(&log, Some(&directory)).await.unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_directory_does_not_archive_and_says_where_the_rows_are() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, other) = (folder.path().join("archive"), folder.path().join("other"));
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 4).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    engine.close(PATIENCE).await;
    let refused = Archive::open(log.as_ref(), &other).await.unwrap_err().to_string();
    assert!(refused.contains("is not archive") && refused.contains("set `archive`"), "{refused}");
    assert!(!other.exists(), "nothing is made there");
    // As long as the log has it all, nobody needs the archive.
    assert_eq!(rows(&log, Some(&other)).await.unwrap().len(), 8);
    trim(log.as_ref()).await;
    for archive in [None, Some(other.as_path())] {
        let told = rows(&log, archive).await.unwrap_err();
        assert!(matches!(told, Error::ArchiveAbsent { .. }), "{told}");
    }
    // Two logs never share a directory.
    let another = open(&folder.path().join("log2"));
    let told = Archive::open(another.as_ref(), &directory).await.unwrap_err().to_string();
    assert!(told.contains("archive of another log"), "{told}");
    assert_eq!(archive::marks(another.as_ref()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_trimmed_before_they_were_archived_are_passed_once_and_kept_book_of() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 6).await;
    let expected = export(&engine).await.len();
    let tails = tails(log.as_ref()).await;
    let lost = (0..4).find(|partition| tails[*partition] > 2).unwrap();
    log.trim(Partition::Data(lost as u16), tails[lost] + 1).await.unwrap();
    assert!(rows(&log, None).await.is_err(), "a log without archive cannot tell what is gone");
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    let kept = export(&engine).await;
    assert!(kept.len() < expected, "{} of {expected}", kept.len());
    // What comes later is archived as ever, and the export goes over the gap.
    traffic(&engine, 6, 10).await;
    archived(log.as_ref()).await;
    trim(log.as_ref()).await;
    assert_eq!(export(&engine).await.len(), kept.len() + 8);
    engine.close(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hours_end_cuts_and_late_clocks_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let hour_ms = 3_600_000;
    let start_ms = 1_777_629_600_000;
    let report = |n: i64, received_ms: i64| {
        let body = OutcomeBody { decision_id: format!("d{n}"), occurred_ms: received_ms, ..OutcomeBody::default() };
        let record = Record {
            subject_id: "customer:1".into(),
            received_ms,
            body: Some(Body::Outcome(body)),
            ..Record::default()
        };
        (Partition::Data(2), record.encode_to_vec().into())
    };
    let times = [0, 5, hour_ms, hour_ms - 1, hour_ms + 1, 3 * hour_ms];
    let entries = times.iter().zip(0..).map(|(after, n)| report(n, start_ms + after)).collect();
    log.append(entries).await.unwrap();
    let engine = start(&log).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    engine.close(PATIENCE).await;
    let names: Vec<PathBuf> =
        segments(&directory).iter().map(|path| path.strip_prefix(&directory).unwrap().to_owned()).collect();
    // Entry 7 is the schema record of the start, which leaves nothing to archive.
    let expected = ["p02/2026-05-01T10/1-2.parquet", "p02/2026-05-01T11/3-5.parquet", "p02/2026-05-01T13/6-7.parquet"];
    assert_eq!(names, expected.map(PathBuf::from));
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_removes_the_rows_of_a_subject_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    traffic(&engine, 0, 12).await;
    let before = export(&engine).await;
    engine.start_archiver(often(&directory));
    archived(log.as_ref()).await;
    trim(log.as_ref()).await;
    engine.close(PATIENCE).await;
    let archive = Archive::find(log.as_ref(), &directory).await.unwrap().unwrap();
    let wanted = ["customer:3", "customer:4"];
    assert_eq!(archive.scan(4, &wanted).unwrap().iter().filter_map(|hit| hit.rows).sum::<u64>(), 2 * ROWS);
    let mut rows_gone = 0;
    for partition in 0..4 {
        let erased = archive.erase(partition, &wanted).unwrap();
        assert!(erased.unreadable.is_empty() && erased.files <= erased.rows);
        rows_gone += erased.rows;
    }
    assert_eq!(rows_gone, 2 * ROWS);
    assert_eq!(archive.scan(4, &wanted).unwrap(), []);
    let after = rows(&log, Some(&directory)).await.unwrap();
    let expected: Vec<_> = before.into_iter().filter(|row| !wanted.contains(&row.subject_id.as_str())).collect();
    assert_eq!(after, expected);
    // Nothing is left in any file, unfinished ones included; a segment without rows still covers its offsets.
    for partition in 0..4 {
        assert_eq!(archive.erase(partition, &wanted).unwrap(), archive::Erased::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_archive_cannot_be_written_decisions_go_on_and_later_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let log = open(&folder.path().join("log"));
    let engine = start(&log).await;
    // A file stands where the directory is to be.
    fs::write(&directory, b"in the way").unwrap();
    engine.start_archiver(often(&directory));
    traffic(&engine, 0, 4).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(archive::marks(log.as_ref()).await.unwrap(), None);
    assert!(engine.readiness().damage.is_none() && engine.readiness().caught_up);
    fs::remove_file(&directory).unwrap();
    archived(log.as_ref()).await;
    assert_eq!(count(log.as_ref(), &directory, 0..4).await, 4 * ROWS);
    engine.close(PATIENCE).await;
}
