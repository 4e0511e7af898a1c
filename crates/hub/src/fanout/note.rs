//! What the fan-out tells of messages that wait for an ack of their own.

use std::sync::Arc;

use tidings_protocol::ClientId;
use tidings_store::Entry;

use crate::kind::Kind;
use crate::receipts::repeat;

/// A message that waits for its ack, or a repeat of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) client: Arc<str>,
    pub(crate) source: Arc<str>,
    pub(crate) id: Arc<str>,
    /// 0 for the message itself, n for its nth repeat.
    pub(crate) number: u32,
}

/// Something that whoever waits for acks wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A socket has taken the last byte of it.
    Sent(Arc<Awaited>),
    /// The client has one more connection, which gets what is released from now on.
    Attached(ClientId),
}

/// Whoever waits for acks.
pub(crate) trait Observer: Send + Sync {
    /// Takes the notes; called on the threads of the shards, and must not block.
    fn note(&self, notes: &mut Vec<Note>);
}

impl Awaited {
    /// `None` for an entry that waits for no ack.
    pub(super) fn of(entry: &Entry) -> Option<Arc<Self>> {
        let tidings_store::Subject::Client(client) = &entry.subject else {
            return None;
        };
        Kind::stored(entry.kind).require_ack().then(|| {
            Arc::new(Self {
                client: Arc::clone(client),
                source: Arc::clone(&entry.source),
                id: Arc::clone(&entry.id),
                number: if entry.durable {
                    0
                } else {
                    repeat::number(&entry.body).unwrap_or(0)
                },
            })
        })
    }
}
