//! From the socket to whole requests.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::head::{self, Read};
use crate::http::defaults::BUFFER_BYTES;

thread_local! {
    /// What a read takes. Between two reads nothing is in it, so that a quiet connection needs no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into());
}

pub(super) struct Reader {
    /// What came behind the last request.
    ahead: Bytes,
    quiet_until: Instant,
    /// Wakes at `quiet_until` or before: it is set again only when it has run out, not with each request.
    sleep: Pin<Box<Sleep>>,
}

/// A request with all of its body.
pub(super) struct Whole {
    pub(super) head: Box<Parts>,
    pub(super) body: Bytes,
}

/// What a connection brings next.
pub(super) enum Next {
    Whole(Whole),
    /// The rest of the body is on its way.
    Begun {
        head: Box<Parts>,
        begun: Vec<u8>,
        length: usize,
    },
    Unusual(Vec<u8>),
    /// It was closed, it broke, or it was quiet for too long.
    Ended,
}

impl Reader {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            ahead: Bytes::new(),
            quiet_until: deadline,
            sleep: Box::pin(sleep_until(deadline)),
        }
    }

    /// Nothing need come for so long.
    pub(super) fn rest_for(&mut self, time: Duration) {
        self.quiet_until = Instant::now() + time;
    }

    pub(super) fn poll(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<Next> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            let (next, used) = take(&ahead);
            self.ahead = ahead.slice(used..);
            return Poll::Ready(next);
        }
        match self.poll_read(stream, cx) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => self.poll_quiet(cx),
        }
    }

    /// The next request, if all of it came together with the last one and it opens no stream.
    pub(super) fn next_post(&mut self) -> Option<Whole> {
        if !self.ahead.starts_with(b"POST ") {
            return None;
        }
        let (Next::Whole(whole), used) = take(&self.ahead) else {
            return None;
        };
        self.ahead = self.ahead.slice(used..);
        Some(whole)
    }

    fn poll_read(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if ready!(stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Next::Ended);
            }
            let next = SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
                Ok(0) => Some(Next::Ended),
                Ok(count) => {
                    let (next, used) = take(&scratch[..count]);
                    if used < count {
                        self.ahead = Bytes::copy_from_slice(&scratch[used..count]);
                    }
                    Some(next)
                }
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
}

/// The first request in `bytes`, and how many of them it takes.
fn take(bytes: &[u8]) -> (Next, usize) {
    let Read::Plain {
        head,
        head_length,
        body_length,
    } = head::read(bytes)
    else {
        return (Next::Unusual(bytes.to_vec()), bytes.len());
    };
    let come = &bytes[head_length..];
    if let Some(body) = come.get(..body_length) {
        let body = Bytes::copy_from_slice(body);
        return (Next::Whole(Whole { head, body }), head_length + body_length);
    }
    // What a client announces is not what it sends.
    let mut begun = Vec::with_capacity(body_length.min(BUFFER_BYTES));
    begun.extend_from_slice(come);
    let next = Next::Begun {
        head,
        begun,
        length: body_length,
    };
    (next, bytes.len())
}
