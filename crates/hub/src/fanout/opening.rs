//! Opening a stream: everything that is decided before its socket is handed over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tidings_protocol::{ClientId, ErrorCode, MessageType, Problem, TopicPattern};

use super::card::{Card, Instance};
use super::clock::{Clock, Now};
use super::events;
use super::greeting::greeting;
use super::index::Kinds;
use super::losses::KnownLosses;
use super::note::Awaited;
use super::place::Place;
use super::start::{Asked, Start, decide};
use crate::hub::Hub;

/// A request for a stream, checked and permitted.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) client: ClientId,
    pub(crate) topics: Vec<TopicPattern>,
    /// `None`: all types.
    pub(crate) types: Option<Vec<MessageType>>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) since: Option<Since>,
    pub(crate) heartbeat: Option<Duration>,
    /// Which of the client's stored cursors counts.
    pub(crate) device: Option<ClientId>,
    /// Set where it is to be the client's only connection.
    pub(crate) exclusive: Option<Instance>,
    /// When the token expires, in milliseconds since 1970.
    pub(crate) expires_at: Option<u64>,
    pub(crate) peer: SocketAddr,
    /// Further headers of the answer, for CORS.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Where topics and broadcast start for a client without a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Now,
    Earliest,
    /// The newest so many, over all topics and broadcast together.
    Last(u16),
    /// Milliseconds since 1970.
    Time(u64),
}

/// A stream that only lacks its socket.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) card: Arc<Card>,
    pub(crate) place: Place,
    /// Losses up to here are not reported (again).
    pub(crate) losses_known: KnownLosses,
    /// The head of the answer and the first events.
    pub(crate) greeting: Vec<u8>,
    /// What still waits for an ack though it counts as sent where the stream starts; right after `connect`.
    pub(crate) repeats: Vec<Repeat>,
    /// The gaps that lie before the start.
    pub(crate) gaps: Vec<u8>,
    pub(crate) expires_at: Option<u64>,
}

/// A message that is sent again.
#[derive(Debug)]
pub(crate) struct Repeat {
    pub(crate) event: Vec<u8>,
    pub(crate) awaited: Arc<Awaited>,
}

/// Decides where the stream starts and what it says first.
pub(crate) async fn open(hub: &Hub, request: Subscribe) -> Result<Opening, Problem> {
    if hub.is_draining() {
        return Err(Problem::new(
            ErrorCode::ShuttingDown,
            "the hub is shutting down",
        ));
    }
    // Read before anything else: what is accepted once the client has the head lies after it.
    let newest = hub.store.bounds().last;
    let asked = Asked {
        client: request.client.clone(),
        topics: request.topics.clone(),
        cursor: request.last_event_id.filter(|id| !id.is_empty()),
        since: request.since,
        device: request.device,
    };
    let store = hub.store.clone();
    let start = hub
        .store
        .reading(move |reader| decide(&store, reader, &asked, newest))
        .await
        .and_then(|start| start)
        .map_err(|error| {
            tracing::error!(%error, "find the start of a stream");
            Problem::new(ErrorCode::StoreFailed, "the store cannot be read")
        })?;
    let Start {
        place,
        gaps,
        losses_known,
        resumed,
    } = start;
    let now = Now {
        mono_ms: 0,
        wall_ms: Clock::wall_ms(),
    };
    let card = Arc::new(Card::new(
        request.client,
        request.topics,
        request.types.as_deref().map_or(Kinds::ALL, Kinds::of),
        request.peer,
        now.wall_ms,
        request
            .heartbeat
            .map_or(hub.config().sse.heartbeat_ms, |wished| {
                wished.as_millis() as u64
            }),
        request.exclusive,
    ));
    let repeats = hub
        .receipts
        .repeats(&hub.store, card.client.as_str(), &place)
        .await;
    let gap_follows = !gaps.is_empty();
    let headers = &request.headers;
    let greeting = greeting(hub, &card, &place, resumed, gap_follows, headers, now);
    let gaps = gaps
        .into_iter()
        .flat_map(|gap| events::gap(&card, gap, now));
    let gaps = gaps.collect();
    Ok(Opening {
        card,
        place,
        losses_known,
        greeting,
        repeats,
        gaps,
        expires_at: request.expires_at,
    })
}
