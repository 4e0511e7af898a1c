//! Reading the heads of plain requests.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use tidings_protocol::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

use crate::http::paths;

/// More than any client sends by itself.
const HEADERS_MAX: usize = 32;

pub(super) enum Read {
    Plain {
        head: Box<Parts>,
        head_length: usize,
        body_length: usize,
    },
    /// Not whole, not plain, or not a request: hyper decides which.
    Unusual,
}

/// The request at the start of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    plain(bytes).unwrap_or(Read::Unusual)
}

fn plain(bytes: &[u8]) -> Option<Read> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head_length)) = request.parse(bytes) else {
        return None;
    };
    if request.version != Some(1) || head_length > HEAD_BYTES_MAX {
        return None;
    }
    let path = request.path?;
    let method = method(request.method?, path)?;
    // Owned once; everything that is kept of the head is a part of it.
    let owned = Bytes::copy_from_slice(&bytes[..head_length]);
    let part = |part: &[u8]| owned.slice_ref_of(bytes, part);
    let mut fields = HeaderMap::with_capacity(request.headers.len());
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(part(header.value)).ok()?;
        fields.append(name, value);
    }
    let body_length = body_length(&fields, &method)?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.uri = Uri::from_maybe_shared(part(path.as_bytes())).ok()?;
    head.method = method;
    head.headers = fields;
    Some(Read::Plain {
        head: Box::new(head),
        head_length,
        body_length,
    })
}

/// The method, if the route is one of those that are answered here.
fn method(method: &str, target: &str) -> Option<Method> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match method {
        "GET" if path == paths::STREAM => Some(Method::GET),
        "POST" if paths::takes_messages(path) => Some(Method::POST),
        _ => None,
    }
}

/// Nothing but a length may say how the body comes, and nothing may ask for more than an answer.
fn body_length(headers: &HeaderMap, method: &Method) -> Option<usize> {
    let unusual = [CONNECTION, EXPECT, TRANSFER_ENCODING, UPGRADE];
    if unusual.iter().any(|name| headers.contains_key(name)) {
        let kept = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
        let only_kept = unusual[1..].iter().all(|name| !headers.contains_key(name))
            && headers.get_all(CONNECTION).iter().all(kept);
        if !only_kept {
            return None;
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => 0,
        (Some(length), None) => number(length.as_bytes())?,
        (Some(_), Some(_)) => return None,
    };
    // A stream takes no body.
    let possible = length <= BODY_BYTES_MAX && (length == 0 || method == Method::POST);
    possible.then_some(length)
}

/// Digits alone; hyper judges everything else.
fn number(text: &[u8]) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 8 && text.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        text.iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    })
}

trait SliceOf {
    /// The same range of `self` as `part` is of `whole`, of which `self` is a copy.
    fn slice_ref_of(&self, whole: &[u8], part: &[u8]) -> Bytes;
}

impl SliceOf for Bytes {
    fn slice_ref_of(&self, whole: &[u8], part: &[u8]) -> Bytes {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        self.slice(start..start + part.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Option<(usize, usize)> {
        match read(text.as_bytes()) {
            Read::Plain {
                head_length,
                body_length,
                ..
            } => Some((head_length, body_length)),
            Read::Unusual => None,
        }
    }

    #[test]
    fn a_publish_with_a_length_and_a_request_for_a_stream_are_plain() {
        for (text, body) in [
            (
                "POST /api/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                5,
            ),
            ("POST /api/messages HTTP/1.1\r\nHost: a\r\n\r\n", 0),
            (
                "POST /api/topics/a/b?source=x HTTP/1.1\r\ncontent-length: 1048576\r\n\r\n",
                1_048_576,
            ),
            (
                "POST /api/direct/bob HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n",
                0,
            ),
            ("GET /sse?clientId=a HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ] {
            let head = text.find("\r\n\r\n").expect("a head") + 4;
            assert_eq!(lengths(text), Some((head, body)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_left_to_hyper() {
        for text in [
            "",
            "POST /api/messages HTTP/1.1\r\nHost: a\r\n",
            "POST /api/messages HTTP/1.0\r\nContent-Length: 1\r\n\r\n1",
            "GET /api/messages HTTP/1.1\r\n\r\n",
            "HEAD /sse HTTP/1.1\r\n\r\n",
            "GET /sse HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
            "GET http://a/sse HTTP/1.1\r\n\r\n",
            "POST /api/acks HTTP/1.1\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
            "POST /api/messages HTTP/1.1\r\nContent-Length: +1\r\n\r\n1",
            "POST /api/messages HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nConnection: close\r\n\r\n",
            "POST /api/messages HTTP/1.1\r\nConnection: keep-alive\r\nUpgrade: h2c\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert_eq!(lengths(text), None, "{text}");
        }
    }
}
