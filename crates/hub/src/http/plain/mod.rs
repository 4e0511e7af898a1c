//! The requests that are nearly all of them, answered without hyper: whole in a few reads, with a length, on HTTP/1.1,
//! for a route that takes messages or opens a stream.
//!
//! Ten thousand clients that connect at once are ten thousand requests under way, and a connection of hyper's takes
//! 16 KiB and more; here one takes what its request is long. A connection goes over to hyper, with what was read of it, at the
//! first request that is anything else, and stays there: everything unusual has one implementation, and it is not this.

mod answer;
mod head;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::body;
use super::connection::stopped;
use super::defaults::{BUFFER_BYTES, KEEP_ALIVE};
use super::problem::Refused;
use super::service::{Reply, Requests};
use crate::fanout::Opening;
use answer::Answer;
use head::Read;

/// How the plain part of a connection ended.
pub(super) enum End {
    /// The socket is to be handed over.
    Stream(Box<Opening>),
    /// Hyper goes on, first with what was read; the head is to be whole by the deadline.
    Unusual { read: Vec<u8>, deadline: Instant },
    /// Everything was answered, or nothing was asked for too long, or the socket broke.
    Done,
}

thread_local! {
    /// What a read takes. Between two reads nothing is in it, so that a quiet connection needs no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into());
}

/// Answers until the connection ends, becomes a stream, or asks for something unusual. `first` is the deadline of the first head,
/// `head_timeout` the time of each later one.
pub(super) async fn serve(
    stream: &mut TcpStream,
    requests: &Requests,
    first: Instant,
    head_timeout: Duration,
    stop: &watch::Receiver<bool>,
) -> End {
    let mut deadline = Some(first);
    let mut stop = stop.clone();
    let mut reader = Reader {
        ahead: Vec::new(),
        quiet_until: first,
        sleep: Box::pin(sleep_until(first)),
    };
    loop {
        let (head, body) = {
            let mut stopping = pin!(stopped(&mut stop));
            let next = poll_fn(|cx| {
                if stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                reader.poll(stream, cx).map(Some)
            });
            match next.await {
                None | Some(Next::Ended) => return End::Done,
                Some(Next::Unusual(read)) => {
                    let deadline = deadline.unwrap_or_else(|| Instant::now() + head_timeout);
                    return End::Unusual { read, deadline };
                }
                Some(Next::Request(head, body)) => (head, body),
            }
        };
        let body = match body {
            Body::Whole(bytes) => Ok(bytes),
            Body::Begun { bytes, length } => {
                match finish(stream, bytes, length, requests.body_timeout()).await {
                    Ok(bytes) => Ok(bytes),
                    Err(Some(refused)) => Err(refused),
                    Err(None) => return End::Done,
                }
            }
        };
        deadline = None;
        let broken = body.is_err();
        let reply = requests.plain(&head, body).await;
        let closing = broken || *stop.borrow();
        let bytes = match reply {
            Reply::Stream(opening) => return End::Stream(opening),
            Reply::Json(json, headers) => Answer::json(&json, &headers, closing),
            Reply::Response(response) => Answer::of(response, closing).await,
        };
        if write(stream, &bytes).await.is_err() || closing {
            return End::Done;
        }
        reader.quiet_until = Instant::now() + KEEP_ALIVE;
    }
}

struct Reader {
    /// What came behind the last request.
    ahead: Vec<u8>,
    quiet_until: Instant,
    /// Wakes at `quiet_until` or before: it is set again only when it has run out, not with each request.
    sleep: Pin<Box<Sleep>>,
}

enum Next {
    Request(Box<Parts>, Body),
    Unusual(Vec<u8>),
    Ended,
}

enum Body {
    Whole(Bytes),
    Begun { bytes: Vec<u8>, length: usize },
}

impl Reader {
    fn poll(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<Next> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return Poll::Ready(self.take(&ahead));
        }
        match self.poll_read(stream, cx) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => self.poll_quiet(cx),
        }
    }

    fn poll_read(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if ready!(stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Next::Ended);
            }
            let next = SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
                Ok(0) => Some(Next::Ended),
                Ok(count) => Some(self.take(&scratch[..count])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(_) => Some(Next::Ended),
            });
            if let Some(next) = next {
                return Poll::Ready(next);
            }
        }
    }

    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.sleep.deadline() >= self.quiet_until {
                return Poll::Ready(Next::Ended);
            }
            self.sleep.as_mut().reset(self.quiet_until);
        }
        Poll::Pending
    }

    /// The first request in `bytes`; what lies behind it waits for its turn.
    fn take(&mut self, bytes: &[u8]) -> Next {
        let Read::Plain {
            head,
            head_length,
            body_length,
        } = head::read(bytes)
        else {
            return Next::Unusual(bytes.to_vec());
        };
        let come = &bytes[head_length..];
        let body = if let Some((body, ahead)) = come.split_at_checked(body_length) {
            self.ahead = ahead.to_vec();
            Body::Whole(Bytes::copy_from_slice(body))
        } else {
            // What a client announces is not what it sends.
            let mut bytes = Vec::with_capacity(body_length.min(BUFFER_BYTES));
            bytes.extend_from_slice(come);
            Body::Begun {
                bytes,
                length: body_length,
            }
        };
        Next::Request(head, body)
    }
}

/// Reads the rest of a body; an error without a refusal means that nobody reads one.
async fn finish(
    stream: &mut TcpStream,
    mut bytes: Vec<u8>,
    length: usize,
    allowed: Duration,
) -> Result<Bytes, Option<Refused>> {
    let missing = (length - bytes.len()) as u64;
    let mut rest = stream.take(missing);
    match timeout(allowed, rest.read_to_end(&mut bytes)).await {
        Ok(Ok(_)) if bytes.len() == length => Ok(bytes.into()),
        Ok(_) => Err(None),
        Err(_) => Err(Some(body::too_slow(allowed).into())),
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let written = match stream.try_write(bytes) {
        Ok(written) => written,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    if written == bytes.len() {
        return Ok(());
    }
    timeout(KEEP_ALIVE, stream.write_all(&bytes[written..])).await?
}
