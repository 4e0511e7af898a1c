//! One connection, from the accepted socket to its end or to the hand-over to a shard.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tidings_protocol::{ErrorCode, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::defaults::{BUFFER_BYTES, KEEP_ALIVE, LINGER};
use super::exchange::{Exchange, Moment, Phase};
use super::plain;
use super::problem;
use super::seats::Seat;
use super::service::{Requests, Site};
use super::wire::Wire;
use crate::fanout::Opening;

/// On which terms a connection is served.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) seat: Seat,
    pub(super) head_timeout: Duration,
    /// It came above the limit: whatever it asks for is refused.
    pub(super) full: bool,
}

type Connection = http1::Connection<TokioIo<Wire>, Requests>;

/// Waits for the first byte before anything of size is made: a connection that says nothing costs little more than its
/// socket.
pub(super) fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    terms: Terms,
    site: Arc<Site>,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> {
    let deadline = Instant::now() + terms.head_timeout;
    // A block, because an async function would hold its arguments twice.
    async move {
        if begins(&stream, deadline, &stop).await {
            Box::pin(speak(stream, peer, terms, deadline, site, stop)).await;
        }
    }
}

/// Whether something comes before the deadline and before the server stops.
async fn begins(stream: &TcpStream, deadline: Instant, stop: &watch::Receiver<bool>) -> bool {
    let mut stop = stop.clone();
    tokio::select! {
        biased;
        readable = stream.readable() => readable.is_ok(),
        () = sleep_until(deadline) => false,
        () = stopped(&mut stop) => false,
    }
}

/// Speaks HTTP until the connection ends or becomes a stream. `deadline` is that of the first head.
async fn speak(
    mut stream: TcpStream,
    peer: SocketAddr,
    terms: Terms,
    deadline: Instant,
    site: Arc<Site>,
    stop: watch::Receiver<bool>,
) {
    let exchange = Arc::new(Exchange::new());
    let requests = Requests::new(Arc::clone(&site), peer, terms.full, Arc::clone(&exchange));
    let head_timeout = terms.head_timeout;
    match plain::serve(&mut stream, &requests, deadline, head_timeout, &stop).await {
        plain::End::Stream(opening) => hand_over(stream, *opening, terms.seat, &site),
        plain::End::Done => Box::pin(close(stream, stop)).await,
        plain::End::Unusual { read, deadline } => {
            let wire = Wire::new(stream, exchange, read);
            Box::pin(with_hyper(wire, requests, terms, deadline, &site, stop)).await;
        }
    }
}

async fn with_hyper(
    wire: Wire,
    requests: Requests,
    terms: Terms,
    deadline: Instant,
    site: &Site,
    stop: watch::Receiver<bool>,
) {
    let exchange = Arc::clone(wire.exchange());
    let mut connection = http1::Builder::new()
        .half_close(true)
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(limits::HEAD_BYTES_MAX)
        // Ours, in `Clock`, tells a slow head from a quiet connection; hyper's does not.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(wire), requests);
    let clock = Clock::new(exchange.now(), deadline, terms.head_timeout);
    let end = drive(&mut connection, &exchange, clock, stop.clone()).await;
    let mut stream = connection.into_parts().io.into_inner().into_stream();
    match end {
        // What the client sent behind the request for the stream is dropped with hyper's buffer.
        End::Stream(opening) => hand_over(stream, *opening, terms.seat, site),
        End::SlowHead => {
            let answer = problem::to_bytes(&slow_head(terms.head_timeout));
            let _ = stream.write_all(&answer).await;
            close(stream, stop).await;
        }
        End::Done => close(stream, stop).await,
    }
}

/// How the HTTP part of a connection ended.
enum End {
    Stream(Box<Opening>),
    SlowHead,
    /// Everything was answered, or nothing was asked for too long, or the socket broke.
    Done,
}

async fn drive(
    connection: &mut Connection,
    exchange: &Exchange,
    mut clock: Clock,
    mut stop: watch::Receiver<bool>,
) -> End {
    let mut stopping = pin!(stopped(&mut stop));
    let mut told = false;
    poll_fn(|cx| {
        if !told && stopping.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
        if connection.poll_without_shutdown(cx).is_ready() {
            return Poll::Ready(End::Done);
        }
        if let Some(opening) = exchange.take_opening() {
            return Poll::Ready(End::Stream(Box::new(opening)));
        }
        clock.poll(cx, exchange.now())
    })
    .await
}

/// Returns once the server stops, or was dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The deadline of the present phase: a head must come in time, and nothing may be quiet for ever. Requests bound
/// themselves.
struct Clock {
    sleep: Pin<Box<Sleep>>,
    armed_at: Moment,
    head_timeout: Duration,
}

impl Clock {
    fn new(armed_at: Moment, deadline: Instant, head_timeout: Duration) -> Self {
        Self {
            sleep: Box::pin(sleep_until(deadline)),
            armed_at,
            head_timeout,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<End> {
        let phase = now.phase();
        if phase == Phase::Request {
            return Poll::Pending;
        }
        if self.armed_at != now {
            self.armed_at = now;
            let time = if phase == Phase::Idle {
                KEEP_ALIVE
            } else {
                self.head_timeout
            };
            self.sleep.as_mut().reset(Instant::now() + time);
        }
        self.sleep.as_mut().poll(cx).map(|()| match phase {
            Phase::Head => End::SlowHead,
            _ => End::Done,
        })
    }
}

fn hand_over(stream: TcpStream, opening: Opening, seat: Seat, site: &Site) {
    match stream.into_std() {
        Ok(socket) => site.hub.fanout.attach(socket, opening, seat),
        Err(error) => tracing::warn!(%error, "cannot hand a stream to its shard"),
    }
}

/// Closes so that the last answer arrives: see [`LINGER`]. A stopping server does not wait for it.
async fn close(mut stream: TcpStream, mut stop: watch::Receiver<bool>) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let rest = async {
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        () = rest => {}
        () = sleep(LINGER) => {}
        () = stopped(&mut stop) => {}
    }
}

fn slow_head(allowed: Duration) -> tidings_protocol::Problem {
    let detail = format!(
        "the request head did not come within {} ms",
        allowed.as_millis()
    );
    problem::new(ErrorCode::HeadTimeout, detail)
}
