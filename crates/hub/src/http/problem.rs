//! The one place that turns a [`Problem`] into HTTP.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};
use serde_json::value::to_raw_value;
use tidings_protocol::api::{SystemEvent, SystemPayload};
use tidings_protocol::{ErrorCode, Invalid, Message, MessageId, MessageType, Problem, limits, sse};
use tidings_store::{AppendError, CommitError, ReadError};
use uuid::Uuid;

use super::defaults::{RETRY_LATER_MS, RETRY_SOON_MS};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What a handler answers instead of its result.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = with_retry(self.0);
        let mut response = Response::new(Body::from(json(&problem)));
        *response.status_mut() = status(&problem);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(headers_of(&problem));
        // For the metrics, which count refusals by code.
        response.extensions_mut().insert(problem.code);
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.into())
    }
}

/// The whole answer as it goes over the wire, where hyper does not write it.
pub(super) fn to_bytes(problem: &Problem) -> Vec<u8> {
    let status = status(problem);
    let body = json(problem);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A temporary refusal of a stream, as a stream that says so and ends: a browser's EventSource gives up for ever on any
/// other answer than 200, and comes back after `retry` milliseconds from this one.
pub(super) fn to_stream(problem: Problem, retry_ms: u64, now_ms: u64) -> Response {
    let problem = with_retry(problem);
    let retry_ms = problem.retry_after_ms.unwrap_or(0).max(retry_ms);
    let code = problem.code;
    // A struct of texts and numbers always serialises.
    let payload =
        to_raw_value(&SystemPayload::new(SystemEvent::Error, problem)).unwrap_or_default();
    let id = MessageId::from_uuid(Uuid::now_v7().as_u128());
    let message = Message::new(id, MessageType::System, Message::HUB, now_ms, payload);
    let mut body = Vec::new();
    sse::retry(&mut body, retry_ms);
    sse::event(
        &mut body,
        None,
        MessageType::System.event_name(),
        &message.encode(),
    );
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response.extensions_mut().insert(code);
    response
}

/// Whether the same request may succeed later.
pub(super) fn is_temporary(problem: &Problem) -> bool {
    matches!(problem.code.status(), 429 | 503)
}

pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Problem {
    Problem {
        code,
        detail: detail.into(),
        field: None,
        retry_after_ms: None,
    }
}

pub(crate) fn naming(code: ErrorCode, field: &str, detail: impl Into<String>) -> Problem {
    Problem {
        field: Some(field.to_owned()),
        ..new(code, detail)
    }
}

pub(crate) fn invalid_field(field: &str, detail: impl Into<String>) -> Problem {
    naming(ErrorCode::InvalidField, field, detail)
}

pub(super) fn token_expired() -> Problem {
    new(ErrorCode::TokenExpired, "the token has expired")
}

/// It is for the scheduler, which this version does not have; it is never for everyone.
pub(super) fn command_without_target() -> Problem {
    let detail = "commands without `target` are not available in this version of the hub";
    naming(ErrorCode::NotAvailable, "target", detail)
}

/// For what the protocol has and this hub does not have yet.
pub(super) fn not_available(field: &str) -> Problem {
    naming(
        ErrorCode::NotAvailable,
        field,
        format!("`{field}` is not available in this version of the hub"),
    )
}

pub(super) fn head_too_large() -> Problem {
    let detail = format!(
        "a request head has at most {} bytes",
        limits::HEAD_BYTES_MAX
    );
    new(ErrorCode::HeadTooLarge, detail)
}

pub(super) fn from_append(error: &AppendError) -> Problem {
    match error {
        AppendError::Busy => new(
            ErrorCode::Overloaded,
            "too many messages are waiting to be stored",
        ),
        AppendError::Full => new(ErrorCode::StoreFull, "the disk is full"),
        AppendError::Failed | AppendError::Closed => store_failed(),
        AppendError::Conflict { .. } => naming(
            ErrorCode::IdConflict,
            "id",
            "this source has sent another message with the same id",
        ),
    }
}

pub(super) fn from_commit(error: &CommitError) -> Problem {
    match error {
        CommitError::Append(error) => from_append(error),
        // The caller tries again by itself; this one gave up.
        CommitError::Revision { .. } => {
            new(ErrorCode::Overloaded, "too many writes to the same place")
        }
    }
}

pub(super) fn from_read(_: &ReadError) -> Problem {
    store_failed()
}

pub(super) fn store_failed() -> Problem {
    new(ErrorCode::StoreFailed, "the store does not work")
}

/// Names a field of the item `index` of a batch.
pub(super) fn in_batch(problem: Problem, index: usize) -> Problem {
    let field = match problem.field {
        Some(field) => format!("[{index}].{field}"),
        None => format!("[{index}]"),
    };
    Problem {
        field: Some(field),
        ..problem
    }
}

/// 429 and 503 always say when to come back.
fn with_retry(mut problem: Problem) -> Problem {
    if is_temporary(&problem) && problem.retry_after_ms.is_none() {
        problem.retry_after_ms = Some(match problem.code {
            ErrorCode::StoreFull | ErrorCode::StoreFailed | ErrorCode::TooManyConnections => {
                RETRY_LATER_MS
            }
            _ => RETRY_SOON_MS,
        });
    }
    problem
}

fn headers_of(problem: &Problem) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let retry = problem
        .retry_after_ms
        .map(|ms| (RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1))));
    let challenge = match problem.code {
        ErrorCode::MissingToken => Some("Bearer realm=\"tidings\""),
        ErrorCode::InvalidToken => Some("Bearer realm=\"tidings\", error=\"invalid_token\""),
        ErrorCode::TokenExpired => {
            Some("Bearer realm=\"tidings\", error=\"invalid_token\", error_description=\"expired\"")
        }
        _ => None,
    };
    let challenge = challenge.map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text)));
    // The rest of these requests was not read, or there is no place for another.
    let close = matches!(
        problem.code,
        ErrorCode::BodyTimeout
            | ErrorCode::HeadTooLarge
            | ErrorCode::MessageTooLarge
            | ErrorCode::TooManyConnections
    );
    let close = close.then_some((CONNECTION, HeaderValue::from_static("close")));
    retry.into_iter().chain(challenge).chain(close)
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json(problem: &Problem) -> Vec<u8> {
    // A struct of texts and numbers always serialises.
    serde_json::to_vec(problem).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(problem: Problem) -> (u16, Option<String>) {
        let response = Refused(problem).into_response();
        let retry = response.headers().get(RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().expect("digits").to_owned());
        (response.status().as_u16(), retry)
    }

    #[test]
    fn what_the_store_refuses_has_its_code_and_says_when_to_come_back() {
        for (error, code, retry) in [
            (AppendError::Busy, ErrorCode::Overloaded, Some("1")),
            (AppendError::Full, ErrorCode::StoreFull, Some("5")),
            (AppendError::Failed, ErrorCode::StoreFailed, Some("5")),
            (AppendError::Closed, ErrorCode::StoreFailed, Some("5")),
            (
                AppendError::Conflict { index: 0 },
                ErrorCode::IdConflict,
                None,
            ),
        ] {
            let problem = from_append(&error);
            assert_eq!(problem.code, code);
            assert_eq!(
                answered(problem),
                (code.status(), retry.map(str::to_owned)),
                "{error}"
            );
        }
    }

    #[test]
    fn every_code_that_is_temporary_says_when_to_come_back_and_no_other_does() {
        for &code in ErrorCode::ALL {
            let (status, retry) = answered(new(code, "x"));
            assert_eq!(retry.is_some(), matches!(status, 429 | 503), "{code}");
        }
    }

    #[test]
    fn a_part_of_a_second_is_rounded_up() {
        let problem = new(ErrorCode::Overloaded, "x").retry_after_ms(1);
        assert_eq!(answered(problem).1.as_deref(), Some("1"));
        let problem = new(ErrorCode::Overloaded, "x").retry_after_ms(1001);
        assert_eq!(answered(problem).1.as_deref(), Some("2"));
    }

    #[test]
    fn nothing_of_the_store_leaks_into_a_clients_text() {
        let cause = "cannot read /var/lib/secret".into();
        let problem = from_read(&ReadError::Failed(cause));
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }
}
