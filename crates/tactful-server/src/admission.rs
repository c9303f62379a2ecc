//! Admission of every call: a bound on requests in flight that answers at once when it is reached,
//! the caller's deadline counted from arrival, and panics turned into errors of one call. Health is
//! told whatever the load.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::status;

/// Longest deadline that a caller may set; longer ones count as this.
const DEADLINE_MAX: Duration = Duration::from_hours(24);
/// The transport cuts the call at the deadline with CANCELLED; ours comes this much before it, with
/// the right code.
const BEFORE_TRANSPORT: Duration = Duration::from_millis(2);

/// When a call's deadline passes; carried as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Option<Instant>);

impl Deadline {
    /// Refuses work whose deadline has passed, so that expired work never starts; answers the deadline.
    #[allow(clippy::result_large_err, reason = "tonic's own error type")]
    pub(crate) fn check<T>(request: &tonic::Request<T>) -> Result<Option<Instant>, tonic::Status> {
        let deadline = request.extensions().get::<Self>().and_then(|deadline| deadline.0);
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            counter!("tactful_deadline_exceeded_total").increment(1);
            return Err(status::deadline_exceeded());
        }
        Ok(deadline)
    }
}

/// Adds admission to a service.
#[derive(Clone)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
}

impl Admission {
    /// At most this many requests in flight, over all services that share it.
    pub(crate) fn new(requests_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(requests_max.max(1))) }
    }
}

impl<S> Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Admitted<S> {
        Admitted { inner, places: Arc::clone(&self.places) }
    }
}

/// A service behind admission.
#[derive(Clone)]
pub(crate) struct Admitted<S> {
    inner: S,
    places: Arc<Semaphore>,
}

impl<S> Service<Request<Body>> for Admitted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let arrived = Instant::now();
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() && !is_probe(request.uri().path()) {
            counter!("tactful_requests_shed_total").increment(1);
            return refuse(status::overloaded("requests in flight"));
        }
        let deadline = match timeout(request.headers()) {
            Ok(timeout) => timeout.map(|timeout| arrived + timeout),
            Err(malformed) => return refuse(malformed),
        };
        request.extensions_mut().insert(Deadline(deadline));
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let _place = place;
            let done = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline - BEFORE_TRANSPORT, call).await,
                None => Ok(call.await),
            };
            match done {
                Ok(Ok(Ok(response))) => Ok(completed(response)),
                Ok(Ok(Err(never))) => Err(never),
                Ok(Err(_panic)) => {
                    counter!("tactful_panics_total").increment(1);
                    tracing::error!("a handler panicked");
                    Ok(status::panicked().into_http())
                }
                Err(_elapsed) => {
                    counter!("tactful_deadline_exceeded_total").increment(1);
                    Ok(status::deadline_exceeded().into_http())
                }
            }
        })
    }
}

/// Whether a call asks for the server's health: one that is busy is not to be taken for one that is ill.
fn is_probe(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

/// What the transport itself answers, for example to a message beyond its bound or to an unknown
/// method, gets its details. Such an answer has its status in the headers.
fn completed(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    match tonic::Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => status::completed(status).into_http(),
        _ => response,
    }
}

fn refuse(status: tonic::Status) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
    Box::pin(std::future::ready(Ok(status.into_http())))
}

/// The caller's `grpc-timeout`: at most eight digits and a unit.
#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, tonic::Status> {
    let Some(header) = headers.get("grpc-timeout") else { return Ok(None) };
    let malformed = || status::field("grpc-timeout", "is malformed: write at most 8 digits and H, M, S, m, u or n");
    let text = header.to_str().map_err(|_| malformed())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(malformed)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let count: u64 = digits.parse().map_err(|_| malformed())?;
    let timeout = match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(malformed()),
    };
    Ok(Some(timeout.min(DEADLINE_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Duration>, tonic::Code> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        timeout(&headers).map_err(|status| status.code())
    }

    #[test]
    fn timeouts_are_read_and_malformed_ones_refused() {
        assert_eq!(parsed("100m"), Ok(Some(Duration::from_millis(100))));
        assert_eq!(parsed("99999999H"), Ok(Some(DEADLINE_MAX)));
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for bad in ["", "m", "100", "-1m", "123456789m", "1.5S", "5x"] {
            assert_eq!(parsed(bad), Err(tonic::Code::InvalidArgument), "{bad}");
        }
    }
}
