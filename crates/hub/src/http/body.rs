//! Reading request bodies, within their bounds.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tidings_protocol::{ErrorCode, Problem, limits};
use tokio::time::timeout;

use super::problem::{self, Refused};
use crate::hub::Hub;

/// A whole request body.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// Sent as text, or as the form type that curl names by itself.
    pub(super) is_text: bool,
}

impl FromRequest<Arc<Hub>> for Content {
    type Rejection = Refused;

    async fn from_request(request: Request, hub: &Arc<Hub>) -> Result<Self, Refused> {
        let is_text = is_text(request.headers())?;
        if announced(request.headers()) > limits::BODY_BYTES_MAX as u64 {
            return Err(too_large().into());
        }
        let allowed = Duration::from_millis(hub.config().server.body_timeout_ms);
        match timeout(allowed, read(request.into_body())).await {
            Ok(bytes) => Ok(Self {
                bytes: bytes?,
                is_text,
            }),
            Err(_) => Err(too_slow(allowed).into()),
        }
    }
}

impl Content {
    /// A body that was read already.
    pub(super) fn of(headers: &HeaderMap, bytes: Bytes) -> Result<Self, Problem> {
        let is_text = is_text(headers)?;
        Ok(Self { bytes, is_text })
    }
}

pub(super) fn too_slow(allowed: Duration) -> Problem {
    let detail = format!("the body did not come within {} ms", allowed.as_millis());
    problem::new(ErrorCode::BodyTimeout, detail)
}

/// Whether a body is text and not JSON; a body without a type is JSON.
fn is_text(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(false);
    };
    if value == "application/json" {
        return Ok(false);
    }
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    match essence.trim().to_ascii_lowercase().as_str() {
        "" | "application/json" => Ok(false),
        "text/plain" | "application/x-www-form-urlencoded" => Ok(true),
        other if other.ends_with("+json") => Ok(false),
        _ => Err(problem::new(
            ErrorCode::UnsupportedMediaType,
            "the body is JSON (application/json) or text (text/plain)",
        )),
    }
}

fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    length
        .and_then(Result::ok)
        .and_then(|length| length.parse().ok())
        .unwrap_or(0)
}

/// A body that came in one piece, as nearly all do, is not copied.
async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The client is gone or sent chunks that are none; nobody reads this answer.
        let frame =
            frame.map_err(|_| problem::new(ErrorCode::InvalidRequest, "the body broke off"))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + piece.len() > limits::BODY_BYTES_MAX {
            return Err(too_large());
        }
        if all.is_empty() && first.is_empty() {
            first = piece;
            if body.is_end_stream() {
                break;
            }
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large() -> Problem {
    let detail = format!(
        "a request body has at most {} bytes",
        limits::BODY_BYTES_MAX
    );
    problem::new(ErrorCode::MessageTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    fn media(value: Option<&'static str>) -> Result<bool, ErrorCode> {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        is_text(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn a_body_without_a_type_is_json_and_curls_default_type_is_text() {
        for (value, expected) in [
            (None, Ok(false)),
            (Some("application/json"), Ok(false)),
            (Some("Application/JSON; charset=utf-8"), Ok(false)),
            (Some("application/vnd.example+json"), Ok(false)),
            (Some("text/plain;charset=UTF-8"), Ok(true)),
            (Some("application/x-www-form-urlencoded"), Ok(true)),
            (
                Some("application/xml"),
                Err(ErrorCode::UnsupportedMediaType),
            ),
            (
                Some("multipart/form-data; boundary=x"),
                Err(ErrorCode::UnsupportedMediaType),
            ),
        ] {
            assert_eq!(media(value), expected, "{value:?}");
        }
    }

    /// A body that comes in these pieces.
    struct Pieces(VecDeque<&'static str>);

    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = self.0.pop_front();
            Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        for pieces in [&["ab", "", "cd", "e"][..], &["", "abcde"], &["abcde"]] {
            let body = Body::new(Pieces(pieces.iter().copied().collect()));
            assert_eq!(read(body).await.expect("whole"), "abcde", "{pieces:?}");
        }
    }
}
