//! Whether the hub lives, whether it can work, and what it counts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tidings_protocol::ErrorCode;
use tidings_store::Health;

use super::answer;
use super::problem::{self, Refused};
use crate::hub::Hub;
use crate::metrics;

#[derive(Debug, Serialize)]
struct Status {
    status: &'static str,
    version: &'static str,
}

/// The process answers: nothing is said about what it can do.
pub(super) async fn health() -> Response {
    answer::json(&Status {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Whether to send clients here.
pub(super) async fn ready(State(hub): State<Arc<Hub>>) -> Result<Response, Refused> {
    if hub.is_draining() {
        return Err(problem::new(ErrorCode::ShuttingDown, "the hub is shutting down").into());
    }
    match hub.store.health() {
        Health::Ok => Ok(answer::json(&Status {
            status: "ready",
            version: env!("CARGO_PKG_VERSION"),
        })),
        Health::Full => Err(problem::new(ErrorCode::StoreFull, "the disk is full").into()),
        Health::Failed => Err(problem::store_failed().into()),
    }
}

pub(super) async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let mut response = Response::new(Body::from(hub.metrics.encode()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
