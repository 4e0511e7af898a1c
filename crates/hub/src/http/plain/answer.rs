//! Writing answers.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;

/// The head of nearly every answer; the same headers as [`crate::http::answer::json`] gives.
const JSON: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n";
/// What the status line, our headers and the numbers of a head take.
const HEAD_BYTES: usize = 320;

/// Appends an answer with status 200 and a body of JSON.
pub(super) fn json(
    out: &mut Vec<u8>,
    json: &[u8],
    headers: &[(HeaderName, HeaderValue)],
    closing: bool,
) {
    out.reserve(HEAD_BYTES + json.len());
    out.extend_from_slice(JSON);
    for (name, value) in headers {
        field(out, name, value);
    }
    finish(out, Some(json.len()), closing);
    out.extend_from_slice(json);
}

/// Appends any answer of ours.
pub(super) async fn any(out: &mut Vec<u8>, response: Response, closing: bool) {
    let (head, body) = response.into_parts();
    // Bodies of ours are in memory and whole.
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    out.reserve(HEAD_BYTES + body.len());
    // Writing to a Vec does not fail.
    let _ = write!(out, "HTTP/1.1 {}\r\n", head.status);
    for (name, value) in &head.headers {
        if name != CONTENT_LENGTH {
            field(out, name, value);
        }
    }
    let length = (head.status != StatusCode::NO_CONTENT).then_some(body.len());
    finish(out, length, closing);
    out.extend_from_slice(&body);
}

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn finish(out: &mut Vec<u8>, length: Option<usize>, closing: bool) {
    if let Some(length) = length {
        let _ = write!(out, "content-length: {length}\r\n");
    }
    if closing {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"date: ");
    date(out);
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends the date, written anew once a second.
fn date(out: &mut Vec<u8>) {
    thread_local! {
        static WRITTEN: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let second = now.unwrap_or_default().as_secs();
    WRITTEN.with_borrow_mut(|(at, text)| {
        if *at != second {
            *at = second;
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        out.extend_from_slice(text.as_bytes());
    });
}
