//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::{self, Terms};
use super::defaults::{ACCEPT_PAUSE, BACKLOG, REFUSAL_HEAD_TIMEOUT, REFUSALS_MAX};
use super::seats::Seats;
use super::service::Site;

/// A bound socket. Clients can already connect; they are answered once it is given to [`Server::start`].
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

/// The running accept loop and the connections that speak HTTP. Streams are no longer among them.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<JoinSet<()>>,
}

impl Listener {
    /// Must be called inside a tokio runtime.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart finds connections of the last run in TIME_WAIT; they must not keep it from its port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG).map(Self)
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Server {
    pub(super) fn start(listener: Listener, site: Arc<Site>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener.0, site, stopped));
        Self { stop, accepting }
    }

    /// Stops accepting, lets the requests in flight finish within `grace`, then cuts what is left.
    pub(crate) async fn stop(self, grace: Duration) {
        self.stop.send_replace(true);
        let finish = async {
            if let Ok(mut connections) = self.accepting.await {
                while connections.join_next().await.is_some() {}
            }
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::info!("requests still running at the end of the grace period were cut");
        }
    }
}

async fn accept(
    listener: TcpListener,
    site: Arc<Site>,
    stop: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let refusals = Seats::new(REFUSALS_MAX);
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = connection::stopped(&mut stopping) => return connections,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(terms) = terms(&site, &refusals) {
                        greet(&mut connections, stream, peer, terms, &site, &stop);
                    }
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
}

/// On which terms the next connection is served; `None` when it is not even told why.
fn terms(site: &Site, refusals: &Seats) -> Option<Terms> {
    if let Some(seat) = site.seats.take() {
        return Some(Terms {
            seat,
            head_timeout: site.head_timeout,
            full: false,
        });
    }
    let Some(seat) = refusals.take() else {
        site.hub.metrics.http.turned_away();
        return None;
    };
    Some(Terms {
        seat,
        head_timeout: REFUSAL_HEAD_TIMEOUT.min(site.head_timeout),
        full: true,
    })
}

fn greet(
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    terms: Terms,
    site: &Arc<Site>,
    stop: &watch::Receiver<bool>,
) {
    // Answers are small and written at once; waiting for more bytes would only delay them.
    if stream.set_nodelay(true).is_ok() {
        connections.spawn(connection::serve(
            stream,
            peer,
            terms,
            Arc::clone(site),
            stop.clone(),
        ));
    }
}

async fn pause_after(error: &io::Error) {
    // The client was gone before it was accepted; nothing is wrong here.
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
