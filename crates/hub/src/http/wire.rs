//! The socket under hyper.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidings_protocol::{ErrorCode, Problem};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::exchange::Exchange;
use super::problem;

/// Tells the exchange when a request begins, and gives hyper's own refusals the form that all others have: hyper answers
/// a head it cannot parse by itself, without a body and without asking the service.
pub(super) struct Wire {
    stream: TcpStream,
    exchange: Arc<Exchange>,
    /// What was read before hyper had the connection.
    ahead: Bytes,
    /// What is being written instead of hyper's bytes, and how much of it is out.
    substitute: Option<(Vec<u8>, usize)>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, exchange: Arc<Exchange>, ahead: Vec<u8>) -> Self {
        Self {
            stream,
            exchange,
            ahead: ahead.into(),
            substitute: None,
        }
    }

    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Writes the substitute; when all of it is out, hyper's bytes count as written.
    fn poll_substitute(
        &mut self,
        cx: &mut Context<'_>,
        replaced: usize,
    ) -> Poll<io::Result<usize>> {
        while let Some((bytes, written)) = &mut self.substitute {
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[*written..]))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += wrote;
            if *written == bytes.len() {
                self.substitute = None;
            }
        }
        Poll::Ready(Ok(replaced))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.exchange.bytes_came();
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.substitute.is_none() {
            let Some(refusal) = refusal_by_hyper(buf) else {
                return Pin::new(&mut self.stream).poll_write(cx, buf);
            };
            self.substitute = Some((problem::to_bytes(&refusal), 0));
        }
        self.poll_substitute(cx, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [single] => self.poll_write(cx, single),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }
}

/// What hyper is refusing, when these are the bytes of a refusal of its own. None of ours has an empty body, and an answer
/// that shares the buffer with an earlier one is left as it is.
fn refusal_by_hyper(bytes: &[u8]) -> Option<Problem> {
    let status = bytes.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let head = std::str::from_utf8(bytes).ok()?;
    if !head.contains("\r\ncontent-length: 0\r\n") || head.find("\r\n\r\n")? + 4 != head.len() {
        return None;
    }
    match status {
        b"00" => Some(problem::new(
            ErrorCode::InvalidRequest,
            "the request is not well-formed HTTP/1.1",
        )),
        b"14" | b"31" => Some(problem::head_too_large()),
        _ => None,
    }
}
