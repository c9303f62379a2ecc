//! Where rows of the record of decisions come from. One stream for all who read them.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use futures_util::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use tactful_log::EmbeddedLog;
use tactful_proto::v1::{DecisionRow, ExportDecisionsRequest, decision_service_client::DecisionServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{connect, status};
use crate::{cli::Global, segment::protobuf_time};

/// Which decisions: made at or after `since`, before `until`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// What a stopped server left.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    /// Its data directory.
    pub(crate) data_dir: PathBuf,
    /// Its archive.
    pub(crate) archive: PathBuf,
}

/// Pages of rows that may wait for a slow reader.
const PAGES_MAX: usize = 4;

/// The rows of a running server, or of a stopped one if its directory is given.
pub(crate) async fn of(
    global: &Global,
    stopped: Option<&Stopped>,
    range: Range,
) -> Result<BoxStream<'static, Result<DecisionRow>>> {
    match stopped {
        Some(stopped) => from_directory(stopped, range),
        None => Ok(from_server(global, range).await?.boxed()),
    }
}

/// Rows of a stopped server's archive and log; a running one holds the log's lock.
fn from_directory(stopped: &Stopped, range: Range) -> Result<BoxStream<'static, Result<DecisionRow>>> {
    let log = Arc::new(EmbeddedLog::open_existing(stopped.data_dir.join("log"))?);
    let (pages, received) = mpsc::channel(PAGES_MAX);
    let millis = |time: Option<Timestamp>, open| time.map_or(open, Timestamp::as_millisecond);
    let range = (millis(range.since, i64::MIN), millis(range.until, i64::MAX));
    let exporting = tokio::spawn(tactful_engine::export(log, Some(stopped.archive.clone()), range, pages));
    let rows = ReceiverStream::new(received).flat_map(|page| stream::iter(page).map(Ok));
    let ending = stream::once(async move { exporting.await?.map_err(anyhow::Error::from) });
    Ok(rows.chain(ending.filter_map(async |ended| ended.err().map(Err))).boxed())
}

/// Rows of a running server, in the order of its record.
async fn from_server(global: &Global, range: Range) -> Result<impl Stream<Item = Result<DecisionRow>> + use<>> {
    let mut client = DecisionServiceClient::new(connect(global).await?);
    let request =
        ExportDecisionsRequest { start_time: range.since.map(protobuf_time), end_time: range.until.map(protobuf_time) };
    let answer = client.export_decisions(request).await.map_err(|status| status::refused(&status))?;
    let batches = answer.into_inner().map_err(|status| status::refused(&status));
    Ok(batches.map_ok(|batch| stream::iter(batch.rows).map(Ok)).try_flatten())
}
