//! Answers in JSON.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;

pub(super) fn json(answer: &impl Serialize) -> Response {
    Json::of(answer).into_response()
}

/// An answer with status 200.
#[derive(Debug)]
pub(super) struct Json(pub(super) Vec<u8>);

impl Json {
    pub(super) fn of(answer: &impl Serialize) -> Self {
        // Our answers are structs of texts, numbers and checked JSON, which always serialise.
        Self(serde_json::to_vec(answer).unwrap_or_default())
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.0));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
