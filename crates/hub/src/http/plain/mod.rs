//! The requests that are nearly all of them, answered without hyper: whole in a few reads, with a length, on HTTP/1.1,
//! for a route that takes messages or opens a stream.
//!
//! Ten thousand clients that connect at once are ten thousand requests under way, and a connection of hyper's takes
//! 16 KiB and more; here one takes what its request is long. A connection goes over to hyper, with what was read of it, at the
//! first request that is anything else, and stays there: everything unusual has one implementation, and it is not this.

mod answer;
mod head;
mod reader;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::body;
use super::connection::stopped;
use super::defaults::{KEEP_ALIVE, TOGETHER_MAX};
use super::problem::Refused;
use super::service::{Reply, Requests};
use crate::fanout::Opening;
use reader::{Next, Reader, Whole};

/// How the plain part of a connection ended.
pub(super) enum End {
    /// The socket is to be handed over.
    Stream(Box<Opening>),
    /// Hyper goes on, first with what was read; the head is to be whole by the deadline.
    Unusual { read: Vec<u8>, deadline: Instant },
    /// Everything was answered, or nothing was asked for too long, or the socket broke.
    Done,
}

/// Answers until the connection ends, becomes a stream, or asks for something unusual. `first` is the deadline of the first
/// head, `head_timeout` the time of each later one.
pub(super) async fn serve(
    stream: &mut TcpStream,
    requests: &Requests,
    first: Instant,
    head_timeout: Duration,
    stop: &watch::Receiver<bool>,
) -> End {
    let mut deadline = Some(first);
    let mut stop = stop.clone();
    let mut reader = Reader::new(first);
    loop {
        let mut broken = false;
        let replies = match next(&mut reader, stream, &mut stop).await {
            Next::Ended => return End::Done,
            Next::Unusual(read) => {
                let deadline = deadline.unwrap_or_else(|| Instant::now() + head_timeout);
                return End::Unusual { read, deadline };
            }
            Next::Whole(first) => answer_with_followers(requests, first, &mut reader).await,
            Next::Begun {
                head,
                begun,
                length,
            } => {
                let body = match finish(stream, begun, length, requests.body_timeout()).await {
                    Ok(body) => Ok(body),
                    Err(Some(refused)) => Err(refused),
                    Err(None) => return End::Done,
                };
                broken = body.is_err();
                vec![requests.plain(&head, body).await]
            }
        };
        deadline = None;
        let closing = broken || *stop.borrow();
        let mut answers = Vec::new();
        for reply in replies {
            match reply {
                Reply::Stream(opening) => return End::Stream(opening),
                Reply::Json(json, headers) => answer::json(&mut answers, &json, &headers, closing),
                Reply::Response(response) => answer::any(&mut answers, response, closing).await,
            }
        }
        if write(stream, &answers).await.is_err() || closing {
            return End::Done;
        }
        reader.rest_for(KEEP_ALIVE);
    }
}

/// What comes next; nothing does once the server stops.
async fn next(reader: &mut Reader, stream: &TcpStream, stop: &mut watch::Receiver<bool>) -> Next {
    let mut stopping = pin!(stopped(stop));
    poll_fn(|cx| match stopping.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Next::Ended),
        Poll::Pending => reader.poll(stream, cx),
    })
    .await
}

/// Answers a request, and with it those that came behind it in one piece: together they wait for one commit, instead of each
/// for its own. They enter the journal's queue in their order.
async fn answer_with_followers(
    requests: &Requests,
    first: Whole,
    reader: &mut Reader,
) -> Vec<Reply> {
    let alone = first.head.method == Method::GET;
    let mut followers = std::iter::from_fn(|| reader.next_post()).take(TOGETHER_MAX - 1);
    let Some(second) = (!alone).then(|| followers.next()).flatten() else {
        return vec![reply(requests, first).await];
    };
    let mut under_way: Vec<_> = [first, second]
        .into_iter()
        .chain(followers)
        .map(|whole| UnderWay::Waits(Box::pin(reply(requests, whole))))
        .collect();
    poll_fn(|cx| {
        let mut waits = false;
        for one in &mut under_way {
            waits |= one.poll(cx);
        }
        if waits {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let replies = under_way.into_iter().filter_map(|one| match one {
        UnderWay::Answered(reply) => Some(reply),
        UnderWay::Waits(_) => None,
    });
    replies.collect()
}

async fn reply(requests: &Requests, Whole { head, body }: Whole) -> Reply {
    requests.plain(&head, Ok(body)).await
}

enum UnderWay<F> {
    Waits(Pin<Box<F>>),
    Answered(Reply),
}

impl<F: Future<Output = Reply>> UnderWay<F> {
    /// Whether its answer still waits.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Waits(reply) = self
            && let Poll::Ready(reply) = reply.as_mut().poll(cx)
        {
            *self = Self::Answered(reply);
        }
        matches!(self, Self::Waits(_))
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
