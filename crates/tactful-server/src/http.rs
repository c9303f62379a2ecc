//! The small HTTP listener: metrics, liveness, readiness, digests. No personal data.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use tactful_engine::Engine;
use tokio::sync::watch;

/// What the pages show.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: &'static PrometheusHandle,
    pub(crate) draining: watch::Receiver<bool>,
}

/// The routes.
pub(crate) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/digest", get(digest))
        .with_state(pages)
}

async fn ready(State(pages): State<Pages>) -> Response {
    let readiness = pages.engine.readiness();
    if *pages.draining.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    if let Some(damage) = readiness.damage {
        let text = format!("the log is damaged: {damage}\nrepair it, then start this node again\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    if !readiness.caught_up {
        let text = format!("replaying: {} of {} records\n", readiness.applied, readiness.at_start);
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    format!("ready\ndurability: {}\n", pages.engine.durability()).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    gauge!("tactful_customers").set(pages.engine.customers() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render()).into_response()
}

/// Digests of all rows: walks everything, so it runs beside the listener's own work.
async fn digest(State(pages): State<Pages>) -> Response {
    let engine = Arc::clone(&pages.engine);
    let Ok(digests) = tokio::task::spawn_blocking(move || engine.digests()).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let text = format!(
        "{{\"content\":\"{:016x}\",\"state\":\"{:016x}\",\"records\":{},\"customers\":{}}}\n",
        digests.content, digests.state, digests.records, digests.customers
    );
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
