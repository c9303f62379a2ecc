//! DecisionService.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::StreamExt;
use metrics::histogram;
use prost::Message;
use tactful_core::limits::{BATCH_MAX, ID_BYTES_MAX, ITEMS_MAX};
use tactful_engine::{Accepted, DecideCommand, Engine, Error};
use tactful_proto::v1::decision_service_server::DecisionService;
use tactful_proto::{Encoded, put_bytes, put_message, v1};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::admission::Deadline;
use crate::convert::{millis, request_text};
use crate::reply::decide_response;
use crate::status;

/// Pages of an export that may wait for a slow reader.
const PAGES_MAX: usize = 4;
/// How long a decision without a deadline waits for a position.
const REACH_MAX: Duration = Duration::from_secs(1);
/// What is left of a deadline for deciding and answering, the transport's own margin included.
const DECIDE_TIME: Duration = Duration::from_millis(5);
/// Fields of `BatchDecideResponse` and `BatchDecideResult`.
const RESULTS: u32 = 1;
const RESPONSE: u32 = 1;
const ERROR: u32 = 2;

/// Decides, records outcomes, exports.
pub(crate) struct Decisions {
    pub(crate) engine: Arc<Engine>,
    pub(crate) streams: Arc<Semaphore>,
}

impl Decisions {
    #[allow(clippy::result_large_err, reason = "tonic's own error type")]
    fn decide_one(&self, mut request: v1::DecideRequest, behind: Option<&'static str>) -> Result<Encoded, Status> {
        let started = std::time::Instant::now();
        for (field, text) in [("request_id", &request.request_id), ("matter_id", &request.matter_id)] {
            if text.len() > ID_BYTES_MAX {
                let message = format!("has {} bytes, at most {ID_BYTES_MAX} are allowed", text.len());
                return Err(status::field(field, &message));
            }
        }
        let encoded = encoded(&mut request);
        let command = DecideCommand {
            text: request_text(&request),
            request_id: &request.request_id,
            matter_id: &request.matter_id,
            live: request.mode() != v1::Mode::Test,
            non_personal: request.non_personal,
            behind,
            encoded,
        };
        let decided = self.engine.decide(&command).map_err(|error| status::from_engine(&error))?;
        let response = decide_response(&decided);
        histogram!("tactful_decision_duration_seconds").record(started.elapsed());
        Ok(response)
    }
}

impl Decisions {
    /// Waits until what the caller wants to be known is known, or there is only time left to decide.
    async fn reach(
        &self,
        request: &v1::DecideRequest,
        deadline: Option<Instant>,
    ) -> Result<Option<&'static str>, Status> {
        if request.min_position.is_empty() {
            return Ok(None);
        }
        self.engine
            .reach(&request.min_position, wait_until(deadline))
            .await
            .map_err(|error| status::from_engine(&error))
    }
}

/// How long a call may wait for a position.
pub(crate) fn wait_until(deadline: Option<Instant>) -> Instant {
    deadline.map_or_else(|| Instant::now() + REACH_MAX, |deadline| deadline - DECIDE_TIME)
}

/// The request for the record, which names the subject itself; what it waited for has had its effect.
fn encoded(request: &mut v1::DecideRequest) -> Vec<u8> {
    request.min_position.clear();
    let subject_id = std::mem::take(&mut request.subject_id);
    let encoded = request.encode_to_vec();
    request.subject_id = subject_id;
    encoded
}

#[tonic::async_trait]
impl DecisionService for Decisions {
    async fn decide(&self, request: Request<v1::DecideRequest>) -> Result<Response<Encoded>, Status> {
        let deadline = Deadline::check(&request)?;
        let request = request.into_inner();
        let behind = self.reach(&request, deadline).await?;
        self.decide_one(request, behind).map(Response::new)
    }

    async fn batch_decide(&self, request: Request<v1::BatchDecideRequest>) -> Result<Response<Encoded>, Status> {
        let deadline = Deadline::check(&request)?;
        let requests = request.into_inner().requests;
        if requests.is_empty() || requests.len() > BATCH_MAX {
            return Err(status::field("requests", &format!("has {} entries, give 1 to {BATCH_MAX}", requests.len())));
        }
        let mut response = Vec::new();
        for (index, request) in requests.into_iter().enumerate() {
            let behind = self.reach(&request, deadline).await;
            put_result(index, behind.and_then(|behind| self.decide_one(request, behind)), &mut response);
            // One decision is short; other calls of this thread get their turn in between.
            tokio::task::yield_now().await;
        }
        Ok(Response::new(Encoded(response)))
    }

    async fn record_outcomes(
        &self,
        request: Request<v1::RecordOutcomesRequest>,
    ) -> Result<Response<v1::RecordOutcomesResponse>, Status> {
        Deadline::check(&request)?;
        let outcomes = request.into_inner().outcomes;
        if outcomes.is_empty() || outcomes.len() > ITEMS_MAX {
            return Err(status::field("outcomes", &format!("has {} entries, give 1 to {ITEMS_MAX}", outcomes.len())));
        }
        let item = |outcome| v1::IngestItem { item: Some(v1::ingest_item::Item::Outcome(outcome)) };
        let items = outcomes.into_iter().map(item).collect();
        let answer = self.engine.ingest(items).await.map_err(|error| status::from_engine(&error))?;
        let Accepted { accepted, errors, position } = answer;
        Ok(Response::new(v1::RecordOutcomesResponse { accepted: accepted as i64, errors, position }))
    }

    type ExportDecisionsStream = Pin<Box<dyn Stream<Item = Result<v1::ExportDecisionsResponse, Status>> + Send>>;

    async fn export_decisions(
        &self,
        request: Request<v1::ExportDecisionsRequest>,
    ) -> Result<Response<Self::ExportDecisionsStream>, Status> {
        Deadline::check(&request)?;
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| status::overloaded("open streams"))?;
        let request = request.into_inner();
        let start = request.start_time.as_ref().map_or(i64::MIN, millis);
        let end = request.end_time.as_ref().map_or(i64::MAX, millis);
        if start >= end {
            return Err(status::field("end_time", "is not after start_time"));
        }
        let (rows, pages) = mpsc::channel(PAGES_MAX);
        let engine = Arc::clone(&self.engine);
        // On the engine's runtime: reading the whole log would hold up this thread's other calls.
        let exporting = self.engine.runtime().spawn(async move { engine.export((start, end), rows).await });
        let pages = ReceiverStream::new(pages).map(|rows| Ok(v1::ExportDecisionsResponse { rows }));
        let ending = futures_util::stream::once(async move {
            let _place = place;
            exporting.await.unwrap_or(Err(Error::Closed)).err().map(|error| Err(status::from_engine(&error)))
        });
        Ok(Response::new(Box::pin(pages.chain(ending.filter_map(std::future::ready)))))
    }
}

/// Appends a `BatchDecideResult`.
fn put_result(index: usize, result: Result<Encoded, Status>, response: &mut Vec<u8>) {
    let mut encoded = Vec::new();
    match result {
        Ok(reply) => put_bytes(RESPONSE, &reply.0, &mut encoded),
        Err(status) => put_message(ERROR, &[], &item_error(index, &status), &mut encoded),
    }
    put_bytes(RESULTS, &encoded, response);
}

fn item_error(index: usize, status: &Status) -> v1::ItemError {
    let details = status.get_error_details();
    let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
    v1::ItemError {
        index: index as i64,
        reason: details.error_info().map_or_else(String::new, |info| info.reason.clone()),
        field: violation.map_or_else(String::new, |violation| violation.field.clone()),
        message: status.message().into(),
    }
}
