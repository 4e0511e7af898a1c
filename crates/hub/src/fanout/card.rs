//! What is known of a connection outside its shard.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tidings_protocol::api::ConnectionInfo;
use tidings_protocol::{ClientId, TopicPattern};
use tidings_store::{Selector, Subject};
use uuid::Uuid;

use super::frame::Frame;
use super::index::Kinds;
use super::place::Reads;
use crate::kind::Kind;

/// The name of a client's process, random for each.
pub(crate) type Instance = Arc<str>;

/// Who a connection is and what it reads. The shard writes the counters, anyone reads them. There is one for each of very
/// many connections, so what is rare lies elsewhere.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) connection_id: Uuid,
    pub(crate) client: ClientId,
    pub(crate) topics: Box<[TopicPattern]>,
    pub(crate) kinds: Kinds,
    /// Not as one `SocketAddr`, which takes a third more.
    peer: (IpAddr, u16),
    pub(crate) created_ms: u64,
    pub(crate) heartbeat_ms: u64,
    /// When bytes last went to the socket.
    last_active_ms: AtomicU64,
    queued: AtomicU32,
    special: Option<Box<Special>>,
}

/// What few connections have.
#[derive(Clone, Debug, Default)]
struct Special {
    exclusive: Option<Instance>,
    /// Topics that were added to the live connection count only after these positions.
    added: Vec<(TopicPattern, u64)>,
}

impl Card {
    pub(crate) fn new(
        client: ClientId,
        topics: Vec<TopicPattern>,
        kinds: Kinds,
        peer: SocketAddr,
        created_ms: u64,
        heartbeat_ms: u64,
        exclusive: Option<Instance>,
    ) -> Self {
        Self {
            connection_id: Uuid::now_v7(),
            client,
            topics: topics.into(),
            kinds,
            peer: (peer.ip(), peer.port()),
            created_ms,
            heartbeat_ms,
            last_active_ms: AtomicU64::new(created_ms),
            queued: AtomicU32::new(0),
            special: exclusive.map(|instance| {
                Box::new(Special {
                    exclusive: Some(instance),
                    added: Vec::new(),
                })
            }),
        }
    }

    /// The process that wants to be its client's only connection.
    pub(crate) fn exclusive(&self) -> Option<&Instance> {
        self.special.as_ref()?.exclusive.as_ref()
    }

    /// Messages that wait for it in memory.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed) as usize
    }

    /// Says how many messages wait for it; returns how many did before.
    pub(crate) fn set_queued(&self, queued: usize) -> usize {
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        self.queued.swap(queued, Ordering::Relaxed) as usize
    }

    /// The card with another topic, which counts after `released`; `None` when it has the topic already.
    pub(crate) fn with_topic(&self, topic: &TopicPattern, released: u64) -> Option<Self> {
        if self.topics.contains(topic) {
            return None;
        }
        let topics = self.topics.iter().chain([topic]);
        let mut card = self.with_topics(topics.cloned().collect());
        let special = card.special.get_or_insert_default();
        special.added.push((topic.clone(), released));
        Some(card)
    }

    /// The card without the topic; `None` when it does not have it.
    pub(crate) fn without_topic(&self, topic: &TopicPattern) -> Option<Self> {
        if !self.topics.contains(topic) {
            return None;
        }
        let topics = self.topics.iter().filter(|kept| *kept != topic);
        let mut card = self.with_topics(topics.cloned().collect());
        if let Some(special) = &mut card.special {
            special.added.retain(|(added, _)| added != topic);
        }
        Some(card)
    }

    fn with_topics(&self, topics: Box<[TopicPattern]>) -> Self {
        Self {
            connection_id: self.connection_id,
            client: self.client.clone(),
            topics,
            kinds: self.kinds,
            peer: self.peer,
            created_ms: self.created_ms,
            heartbeat_ms: self.heartbeat_ms,
            last_active_ms: AtomicU64::new(self.last_active_ms.load(Ordering::Relaxed)),
            queued: AtomicU32::new(self.queued.load(Ordering::Relaxed)),
            special: self.special.clone(),
        }
    }

    /// Whether it reads such a message at `position`.
    pub(crate) fn wants(
        &self,
        subject: &Subject,
        kind: Kind,
        exclude: Option<&str>,
        position: u64,
    ) -> bool {
        let shared = || self.kinds.contains(kind) && exclude != Some(self.client.as_str());
        match subject {
            Subject::Client(client) => **client == *self.client.as_str(),
            Subject::All => shared(),
            Subject::Topic(topic) => {
                let added = self.special.as_ref().map_or(&[][..], |rare| &rare.added);
                let counts = |pattern: &TopicPattern| {
                    let added = added.iter().find(|(added, _)| added == pattern);
                    added.is_none_or(|(_, after)| position > *after)
                };
                let reads = |pattern: &TopicPattern| pattern.matches(topic) && counts(pattern);
                shared() && self.topics.iter().any(reads)
            }
        }
    }

    pub(crate) fn wants_frame(&self, frame: &Frame) -> bool {
        self.wants(
            &frame.subject,
            frame.kind,
            frame.exclude.as_deref(),
            frame.position,
        )
    }

    /// What the store is asked for.
    pub(crate) fn selector(&self, reads: Reads) -> Arc<Selector> {
        let mailbox = matches!(reads, Reads::All | Reads::MailboxUpTo(_));
        let shared = matches!(reads, Reads::All | Reads::SharedUpTo(_));
        Arc::new(selector(&self.client, &self.topics, mailbox, shared))
    }

    pub(crate) fn touch(&self, wall_ms: u64) {
        self.last_active_ms.store(wall_ms, Ordering::Relaxed);
    }

    pub(crate) fn info(&self, wall_ms: u64) -> ConnectionInfo {
        ConnectionInfo {
            client_id: self.client.clone(),
            connection_id: self.connection_id.to_string(),
            created_at: self.created_ms,
            last_active_at: self.last_active_ms.load(Ordering::Relaxed),
            uptime: wall_ms.saturating_sub(self.created_ms),
            topics: self.topics.iter().map(ToString::to_string).collect(),
            queued: self.queued(),
            remote_addr: SocketAddr::from(self.peer).to_string(),
        }
    }
}

/// The subjects of a client that reads `topics`: its mailbox, and topics and broadcast.
pub(crate) fn selector(
    client: &ClientId,
    topics: &[TopicPattern],
    mailbox: bool,
    shared: bool,
) -> Selector {
    let mut exact = Vec::new();
    if mailbox {
        exact.push(Subject::Client(client.as_str().into()));
    }
    let mut patterns = Vec::new();
    if shared {
        exact.push(Subject::All);
        for pattern in topics {
            match pattern.exact() {
                Some(topic) => exact.push(Subject::Topic(topic.into())),
                None => patterns.push(pattern.clone()),
            }
        }
    }
    if patterns.is_empty() {
        return Selector {
            exact,
            ..Selector::default()
        };
    }
    let filter = move |subject: &Subject| match subject {
        Subject::Topic(topic) => patterns.iter().any(|pattern| pattern.matches(topic)),
        Subject::Client(_) | Subject::All => false,
    };
    Selector {
        exact,
        filter: Some(Arc::new(filter)),
        ..Selector::default()
    }
}
