//! What is known of a connection outside its shard.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// Who a connection is and what it reads. The shard writes the counters, anyone reads them.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) connection_id: Uuid,
    pub(crate) client: ClientId,
    pub(crate) topics: Vec<TopicPattern>,
    pub(crate) kinds: Kinds,
    pub(crate) peer: SocketAddr,
    pub(crate) created_ms: u64,
    pub(crate) heartbeat_ms: u64,
    /// The process that wants to be its client's only connection.
    pub(crate) exclusive: Option<Instance>,
    /// Topics that were added to the live connection count only after these positions.
    added: Vec<(TopicPattern, u64)>,
    /// When bytes last went to the socket.
    pub(crate) last_active_ms: AtomicU64,
    pub(crate) queued: AtomicUsize,
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
            topics,
            kinds,
            peer,
            created_ms,
            heartbeat_ms,
            exclusive,
            added: Vec::new(),
            last_active_ms: AtomicU64::new(created_ms),
            queued: AtomicUsize::new(0),
        }
    }

    /// The card with another topic, which counts after `released`; `None` when it has the topic already.
    pub(crate) fn with_topic(&self, topic: &TopicPattern, released: u64) -> Option<Self> {
        if self.topics.contains(topic) {
            return None;
        }
        let mut card = self.copy();
        card.added.push((topic.clone(), released));
        card.topics.push(topic.clone());
        Some(card)
    }

    /// The card without the topic; `None` when it does not have it.
    pub(crate) fn without_topic(&self, topic: &TopicPattern) -> Option<Self> {
        if !self.topics.contains(topic) {
            return None;
        }
        let mut card = self.copy();
        card.topics.retain(|kept| kept != topic);
        card.added.retain(|(added, _)| added != topic);
        Some(card)
    }

    fn copy(&self) -> Self {
        Self {
            connection_id: self.connection_id,
            client: self.client.clone(),
            topics: self.topics.clone(),
            kinds: self.kinds,
            peer: self.peer,
            created_ms: self.created_ms,
            heartbeat_ms: self.heartbeat_ms,
            exclusive: self.exclusive.clone(),
            added: self.added.clone(),
            last_active_ms: AtomicU64::new(self.last_active_ms.load(Ordering::Relaxed)),
            queued: AtomicUsize::new(self.queued.load(Ordering::Relaxed)),
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
                let counts = |pattern: &TopicPattern| {
                    let added = self.added.iter().find(|(added, _)| added == pattern);
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
            queued: self.queued.load(Ordering::Relaxed),
            remote_addr: self.peer.to_string(),
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
