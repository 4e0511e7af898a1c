//! The composition root: builds every part in order and stops them in the reverse one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tidings_protocol::Epoch;
use tidings_store::{Class, Follower, Health, OpenError, ReadError, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::auth::{Auth, WeakSecret};
use crate::config::{Changes, Config};
use crate::fanout::{self, Dispatcher, Fanout, Settings, Timing};
use crate::http::{self, Listener, Origins, Server};
use crate::live::Live;
use crate::memory;
use crate::metrics::Metrics;
use crate::receipts::{self, Inbox, Receipts};

/// What every request handler gets.
#[derive(Debug)]
pub struct Hub {
    live: Live,
    pub(crate) store: Store,
    pub(crate) fanout: Fanout,
    pub(crate) receipts: Receipts,
    pub(crate) auth: Auth,
    pub(crate) metrics: Metrics,
    /// The epoch of every cursor that is given out now.
    pub(crate) epoch: Epoch,
    draining: AtomicBool,
}

/// A hub that answers. Dropping it without [`Running::drain`] cuts its streams.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    hub: Arc<Hub>,
    server: Server,
    caretaker: JoinHandle<()>,
    failed: watch::Receiver<bool>,
}

/// Why a hub did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot open the store in {}", .dir.display())]
    Store { dir: PathBuf, source: OpenError },
    #[error("auth.jwt_secret cannot be used")]
    Secret(#[from] WeakSecret),
    #[error("cannot read or raise the limit of open files")]
    FileLimit(#[source] std::io::Error),
    #[error("cannot read which messages wait for an ack")]
    Receipts(#[source] ReadError),
    #[error("cannot start the threads of the fan-out")]
    Threads(#[source] std::io::Error),
}

/// After the last stream is told to go, so long may the answers to requests still take.
const GRACE: Duration = Duration::from_secs(2);
/// How often the store's health is looked at, and memory given back; a failed store refuses writes at once, this only ends
/// the process.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

impl Hub {
    /// Binds, opens, starts; returns once the hub answers.
    ///
    /// # Errors
    /// Names what could not be had: the address, the data folder, the file limit, the secret.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let listen = config.server.listen;
        let refused = |source| StartError::Listen {
            address: listen,
            source,
        };
        let listener = Listener::bind(listen).map_err(refused)?;
        let address = listener.address().map_err(refused)?;
        let seats = http::seats(config.server.connections_max).map_err(StartError::FileLimit)?;
        let auth = match &config.auth.jwt_secret {
            Some(secret) => Auth::with_secret(secret.expose().as_bytes())?,
            None => Auth::open(),
        };
        let dispatcher = Dispatcher::default();
        let target = dispatcher.target();
        let (counts, waiting) = (fanout::Metrics::default(), receipts::Metrics::default());
        let inbox = Arc::new(Inbox::new(waiting.clone()));
        // The fan-out comes second: what it tells of a message then comes after the message.
        let followers: Vec<Box<dyn Follower>> = vec![
            Box::new(receipts::Follower(Arc::clone(&inbox))),
            Box::new(dispatcher),
        ];
        let store = open_store(&config, followers).await?;
        let metrics = Metrics::new(&store, &seats, |registry| {
            counts.register(registry);
            waiting.register(registry);
        });
        let settings = Settings::new(&config.sse);
        let fanout = Fanout::start(
            &settings,
            &store,
            &target,
            &counts,
            &Receipts::observer(&inbox),
        )
        .map_err(StartError::Threads)?;
        let presence = fanout.presence();
        let at_once = settings.repeats_at_once();
        let receipts = Receipts::start(&config.receipts, at_once, store.clone(), inbox, presence)
            .await
            .map_err(StartError::Receipts)?;
        let epoch = store
            .epoch()
            .parse()
            .expect("the store makes epochs of the form that cursors have");
        let draining = AtomicBool::new(false);
        let hub = Arc::new(Self {
            live: Live::new(config),
            store,
            fanout,
            receipts,
            auth,
            metrics,
            epoch,
            draining,
        });
        let (fail, failed) = watch::channel(false);
        let caretaker = tokio::spawn(take_care(Arc::clone(&hub), fail));
        let server = http::start(listener, Arc::clone(&hub), seats);
        Ok(Running {
            address,
            hub,
            server,
            caretaker,
            failed,
        })
    }

    /// What the hub runs with at this moment.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.live.config()
    }

    /// From where the hub may be called at this moment.
    pub(crate) fn origins(&self) -> Arc<Origins> {
        self.live.origins()
    }

    /// Whether the hub is shutting down: no new streams.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes over what can change while the hub runs; the answer names it, and what waits for the next start.
    pub fn reload(&self, new: &Config) -> Changes {
        let (config, changes) = self.hub.config().reloaded(new);
        self.hub.fanout.retime(Timing::new(&config.sse));
        self.hub.store.set_retention(config.store.retention());
        // Last, because a trim follows from it.
        self.hub.live.set(config);
        changes
    }

    /// What it runs with at this moment.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.hub.config()
    }

    /// Completes when the store has failed: nothing more is accepted, and the process should end and start again.
    pub async fn failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            // The caretaker ends only with the hub.
            std::future::pending::<()>().await;
        }
    }

    /// Tells every stream to come back later, spread over the drain time, lets requests finish, and stops.
    pub async fn drain(self) {
        let Self {
            hub,
            server,
            caretaker,
            ..
        } = self;
        hub.draining.store(true, Ordering::Relaxed);
        let drain_ms = hub.config().server.drain_ms;
        let drain = Duration::from_millis(drain_ms);
        tracing::info!(streams = hub.fanout.connections().len(), ?drain, "draining");
        hub.fanout.drain(drain_ms);
        if timeout(drain + GRACE, hub.fanout.emptied()).await.is_err() {
            tracing::info!("streams that took nothing were cut");
        }
        server.stop(GRACE).await;
        caretaker.abort();
        hub.receipts.stop().await;
        let stopped = tokio::task::spawn_blocking(move || hub.fanout.stop()).await;
        if stopped.is_err() {
            tracing::error!("the fan-out did not stop cleanly");
        }
    }
}

/// Opening may have to rebuild indexes, so it has a thread of its own.
async fn open_store(
    config: &Config,
    followers: Vec<Box<dyn Follower>>,
) -> Result<Store, StartError> {
    let dir = config.server.data.clone();
    let options = config.store.options(dir.clone());
    let opened = tokio::task::spawn_blocking(move || Store::open(options, followers)).await;
    opened
        .expect("opening a store does not panic")
        .map_err(|source| StartError::Store { dir, source })
}

/// When to run retention: now, and then as often as is configured.
fn trims(hub: &Hub) -> Interval {
    let mut trim = interval(Duration::from_millis(hub.config().store.trim_every_ms));
    trim.set_missed_tick_behavior(MissedTickBehavior::Delay);
    trim
}

async fn trim_once(hub: &Hub) {
    // On a full disk only retention makes room.
    if let Err(error) = hub.receipts.write_down().await {
        tracing::warn!(%error, "retention runs though pending acks are not written down");
    }
    match hub.store.trim().await {
        Ok(trimmed) => {
            tracing::debug!(?trimmed, "retention");
            hub.receipts.trimmed(hub.store.trimmed_to(Class::Mailbox));
        }
        Err(error) => tracing::warn!(%error, "retention did not run; it is tried again"),
    }
}

/// Runs retention, watches the store, and gives memory back.
async fn take_care(hub: Arc<Hub>, fail: watch::Sender<bool>) {
    let mut reloads = hub.live.reloads();
    let mut trim = trims(&hub);
    let mut look = interval(HEALTH_EVERY);
    loop {
        tokio::select! {
            _ = trim.tick() => trim_once(&hub).await,
            () = reloads.next() => trim = trims(&hub),
            _ = look.tick() => {
                if hub.store.health() == Health::Failed || hub.fanout.has_failed() {
                    fail.send_replace(true);
                }
                memory::purge();
                hub.fanout.purge();
            }
        }
    }
}
