//! Fan-out: from the journal to the sockets.
//!
//! ```text
//! journal --released--> Dispatcher --Batch--> Inbox of each shard --> Shard --> Connection --> socket
//!                       encodes once          bounded              one thread  pending or history
//! ```
//!
//! Each shard is one thread and the only owner of its connections; others reach it through its inbox. What it shares, for
//! reading only, is its subject index and the cards of its connections.

mod behind;
mod card;
mod chunk;
mod clock;
mod connection;
mod dispatch;
mod driver;
mod events;
mod frame;
mod greeting;
mod history;
mod inbox;
mod index;
mod jitter;
mod lane;
mod losses;
mod metrics;
mod note;
mod opening;
mod pending;
mod place;
mod registry;
mod ring;
mod settings;
mod shard;
mod start;
#[cfg(test)]
mod tests;
mod unsent;
mod wheel;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tidings_protocol::api::{ConnectionInfo, DisconnectReason};
use tidings_protocol::{ClientId, MessageType, Problem};
use tidings_store::{Store, Subject};
use tokio::sync::oneshot;

pub(crate) use self::card::Instance;
pub(crate) use self::clock::{Clock, Now};
pub(crate) use self::dispatch::Dispatcher;
pub(crate) use self::inbox::TopicChange;
pub(crate) use self::metrics::Metrics;
pub(crate) use self::note::{Awaited, Note, Observer};
pub(crate) use self::opening::{Opening, Repeat, Since, Subscribe, open};
pub(crate) use self::place::Place;
pub(crate) use self::registry::Member;
pub(crate) use self::settings::{Settings, Timing};

/// What a hub without threads and sockets is built of.
#[cfg(test)]
pub(crate) mod parts {
    pub(crate) use super::card::Card;
    pub(crate) use super::dispatch::Target;
    pub(crate) use super::events::{connect, gap};
    pub(crate) use super::history::{Bounds, Request, answer};
    pub(crate) use super::inbox::{Control, Inbox, Item, TopicChange};
    pub(crate) use super::index::Kinds;
    pub(crate) use super::jitter::Jitter;
    pub(crate) use super::registry::Registry;
    pub(crate) use super::settings::Timing;
    pub(crate) use super::shard::{Handle, Key, Setup, Shard};
    pub(crate) use super::start::{Asked, Start, decide};
}

use self::dispatch::Target;
use self::driver::Driver;
use self::inbox::{Control, Inbox, Item};
use self::registry::Registry;
use self::shard::{Handle, Setup, Shard};
use crate::http::Seat;

/// All shards. Dropping it closes every stream.
#[derive(Debug)]
pub(crate) struct Fanout {
    shards: Arc<[Handle]>,
    registry: Arc<Registry>,
    next: AtomicUsize,
    failed: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Fanout {
    /// Starts the shards and aims `target` at them. The store must not have taken anything since it was opened.
    pub(crate) fn start(
        settings: &Settings,
        store: &Store,
        target: &Arc<OnceLock<Target>>,
        metrics: &Metrics,
        observer: &Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let clock = Clock::start();
        let setup = Setup {
            settings: settings.clone(),
            epoch: store.epoch().into(),
            released: store.bounds().last.0,
            registry: Arc::default(),
            metrics: metrics.clone(),
        };
        let mut shards = Vec::new();
        let mut threads = Vec::new();
        let failed = Arc::new(AtomicBool::new(false));
        for number in 0..settings.shards {
            let poll = mio::Poll::new()?;
            let waker = mio::Waker::new(poll.registry(), driver::WAKE)?;
            let inbox = Arc::new(Inbox::new(waker, settings.inbox_bytes_max, metrics.clone()));
            let handle = Handle::new(number, Arc::clone(&inbox));
            // Random for each: shards that draw the same numbers would send their clients back in pairs.
            let seed = RandomState::new().hash_one(number);
            let shard = Shard::new(setup.clone(), &handle, clock.now(), seed);
            let driver = Driver {
                poll,
                inbox,
                store: store.clone(),
                clock,
                target: Arc::clone(target),
                observer: Arc::clone(observer),
            };
            let name = format!("shard-{number}");
            let alive = Alive(Arc::clone(&failed));
            let run = move || alive.until_stopped(driver.run(shard));
            threads.push(std::thread::Builder::new().name(name).spawn(run)?);
            shards.push(handle);
        }
        let shards: Arc<[Handle]> = shards.into();
        assert!(
            target
                .set(Target {
                    epoch: setup.epoch,
                    shards: Arc::clone(&shards)
                })
                .is_ok(),
            "one fan-out for one store"
        );
        Ok(Self {
            shards,
            registry: setup.registry,
            next: AtomicUsize::new(0),
            failed,
            threads: Mutex::new(threads),
        })
    }

    /// Whether a shard has ended by itself. Its streams are cut, and new ones would hang: the process must end.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Gives the socket to a shard, which writes the head and everything after it.
    pub(crate) fn attach(&self, socket: TcpStream, opening: Opening, seat: Seat) {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        self.shards[shard]
            .inbox
            .push(Item::Attach(socket, Box::new(opening), seat));
    }

    /// How many connections such a message goes to now.
    pub(crate) fn audience(
        &self,
        subject: &Subject,
        kind: MessageType,
        exclude: Option<&str>,
    ) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.audience(subject, kind, exclude))
            .sum()
    }

    /// Tells of any client whether it has a connection.
    pub(crate) fn presence(&self) -> Presence {
        Presence(Arc::clone(&self.shards))
    }

    /// Whether the client has a connection.
    pub(crate) fn connected(&self, client: &str) -> bool {
        self.audience(&Subject::Client(client.into()), MessageType::Json, None) > 0
    }

    /// All connections, oldest first.
    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        let mut cards = self.registry.cards();
        cards.sort_unstable_by_key(|card| (card.created_ms, card.connection_id));
        let now = Clock::wall_ms();
        cards.iter().map(|card| card.info(now)).collect()
    }

    /// The connection of that id.
    pub(crate) fn find(&self, connection_id: &str) -> Option<Member> {
        self.registry.find(connection_id.parse().ok()?)
    }

    /// Changes what a connection reads; the cursor from which on that holds. `None` when it has gone.
    pub(crate) async fn change_topics(
        &self,
        member: &Member,
        change: TopicChange,
    ) -> Option<Result<String, Problem>> {
        let (reply, answer) = oneshot::channel();
        self.control(member, Control::Topic(change, reply));
        answer.await.ok()
    }

    /// Closes a connection and says why.
    pub(crate) fn disconnect(&self, member: &Member, reason: DisconnectReason) {
        self.control(member, Control::Disconnect(reason));
    }

    /// Whether this process gave way to a newer one of its client and is not to come back yet.
    pub(crate) fn was_replaced(&self, client: &ClientId, instance: &Instance) -> bool {
        self.registry
            .was_replaced(client, instance, Clock::wall_ms())
    }

    fn control(&self, member: &Member, control: Control) {
        let inbox = &self.shards[member.shard].inbox;
        inbox.push(Item::Control(member.key, control));
    }

    /// Tells every stream to come back later and closes it, spread over `over_ms`.
    pub(crate) fn drain(&self, over_ms: u64) {
        for shard in self.shards.iter() {
            shard.inbox.push(Item::Drain { over_ms });
        }
    }

    /// What holds for connections that come from now on.
    pub(crate) fn retime(&self, timing: Timing) {
        for shard in self.shards.iter() {
            shard.inbox.push(Item::Retime(timing));
        }
    }

    /// Has each shard give back the memory that its thread holds unused.
    pub(crate) fn purge(&self) {
        for shard in self.shards.iter() {
            shard.inbox.push(Item::Purge);
        }
    }

    /// Completes when no stream is left.
    pub(crate) async fn emptied(&self) {
        self.registry.emptied().await;
    }

    /// Closes what is left and waits for the shards. Blocks.
    pub(crate) fn stop(&self) {
        for shard in self.shards.iter() {
            shard.inbox.push(Item::Stop);
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a shard panicked");
            }
        }
    }
}

/// Who is connected, for those who must not hold the shards.
#[derive(Clone, Debug)]
pub(crate) struct Presence(Arc<[Handle]>);

impl Presence {
    /// Whether the client has a connection.
    pub(crate) fn connected(&self, client: &str) -> bool {
        let subject = Subject::Client(client.into());
        let kind = MessageType::Json;
        let mut shards = self.0.iter();
        shards.any(|shard| shard.audience(&subject, kind, None) > 0)
    }
}

/// Says that a shard has failed when its thread ends for any reason but being told to, a panic included.
struct Alive(Arc<AtomicBool>);

impl Alive {
    fn until_stopped(self, ended: io::Result<()>) {
        match ended {
            Ok(()) => std::mem::forget(self),
            Err(error) => {
                tracing::error!(%error, "a shard cannot poll its sockets; its streams are cut");
            }
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.stop();
    }
}
