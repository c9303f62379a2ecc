//! `tactful ingest`: JSON lines to a running server, as a stream of batches with a bounded number
//! in flight. A line that is refused, here or by the server, is reported with its number. What is
//! counted as accepted is what the server acknowledged as durable.

mod feed;
mod report;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use tactful_proto::v1::{IngestStreamRequest, event_service_client::EventServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{connect, progress::Progress, status};
use crate::{
    cli::{Global, IngestArgs, OnError},
    output::{self, Usage},
    segment::Mapping,
};
use feed::{Chunk, Feed, Origin};
use report::Report;

/// Batches that are sent and not yet acknowledged.
const IN_FLIGHT_MAX: usize = 8;
/// Chunks that are read ahead of sending.
const READ_AHEAD_MAX: usize = 4;

/// Sends a file or standard input.
pub(crate) async fn run(global: &Global, args: &IngestArgs) -> Result<ExitCode> {
    let mapping = args.mapping.as_deref().map(Mapping::read).transpose()?;
    let (input, length) = open(&args.file)?;
    let client = EventServiceClient::new(connect(global).await?);
    let stop = args.on_error == OnError::Stop;
    let report = Report::new(Progress::bytes(length, global.quiet), stop);
    let feed = Feed::new(input, stop).mapped(mapping);
    let sent = send(client, read_ahead(feed), &report).await;
    let summary = report.finish();
    let refused = summary.refused > 0;
    if sent.is_ok() && (global.json || !global.quiet) {
        output::show(global.json, &summary)?;
    }
    if let Err(error) = sent {
        let accepted = summary.accepted;
        bail!("{error:#}\n  {accepted} items are durable; send again: what carries a messageId takes effect once");
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The input and its length in bytes, where it is known.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    let about = file.metadata().map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    if about.is_dir() {
        return Err(Usage(format!("{} is a directory; give a file of JSON lines, or -", path.display())).into());
    }
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// Reads and parses on a thread of its own: reading blocks, and parsing is most of the work.
fn read_ahead(feed: Feed<Box<dyn Read + Send>>) -> mpsc::Receiver<io::Result<Chunk>> {
    let (chunks, receiver) = mpsc::channel(READ_AHEAD_MAX);
    std::thread::spawn(move || {
        for chunk in feed {
            if chunks.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A batch on its way: where each item comes from.
struct Sent {
    sequence: i64,
    lines: Vec<Origin>,
}

/// Sends every chunk and takes every acknowledgement.
async fn send(
    client: EventServiceClient<Channel>,
    chunks: mpsc::Receiver<io::Result<Chunk>>,
    report: &Report,
) -> Result<()> {
    let (batches, requests) = mpsc::channel(1);
    let (sent, in_flight) = mpsc::channel(IN_FLIGHT_MAX);
    // An input that breaks does not cut off what was sent before: that is still acknowledged.
    let push = async { Ok(push(chunks, batches, sent, report).await) };
    let (read, ()) = tokio::try_join!(push, acknowledge(client, requests, in_flight, report))?;
    read.context("cannot read the input")
}

async fn push(
    mut chunks: mpsc::Receiver<io::Result<Chunk>>,
    batches: mpsc::Sender<IngestStreamRequest>,
    sent: mpsc::Sender<Sent>,
    report: &Report,
) -> io::Result<()> {
    let mut sequence = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            () = report.stopped() => break,
            chunk = chunks.recv() => chunk,
        };
        let Some(chunk) = chunk.transpose()? else { break };
        report.read(chunk.bytes, chunk.refused);
        if chunk.items.is_empty() {
            continue;
        }
        sequence += 1;
        let batch = IngestStreamRequest { sequence, items: chunk.items };
        // Either is closed only after the other side has failed, and it says why.
        if sent.send(Sent { sequence, lines: chunk.lines }).await.is_err() || batches.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn acknowledge(
    mut client: EventServiceClient<Channel>,
    requests: mpsc::Receiver<IngestStreamRequest>,
    mut in_flight: mpsc::Receiver<Sent>,
    report: &Report,
) -> Result<()> {
    let answer = client.ingest_stream(ReceiverStream::new(requests)).await;
    let mut acks = answer.map_err(|status| status::refused(&status))?.into_inner();
    while let Some(ack) = acks.message().await.map_err(|status| status::refused(&status))? {
        let batch = in_flight.recv().await.ok_or_else(|| anyhow!("the server acknowledged what was never sent"))?;
        if batch.sequence != ack.sequence {
            bail!("the server acknowledged batch {} where {} was due", ack.sequence, batch.sequence);
        }
        report.acknowledged(&batch.lines, ack.accepted, ack.errors);
    }
    if !in_flight.is_closed() || !in_flight.is_empty() {
        bail!("the server ended the stream before everything was acknowledged");
    }
    Ok(())
}
