//! What a journal holds.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A place in the journal: opaque, increasing, with holes. Nobody computes the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before everything.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom an entry is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The mailbox of one client.
    Client(Arc<str>),
    /// Everyone who reads the topic.
    Topic(Arc<str>),
    /// Everyone.
    All,
}

impl Subject {
    /// The class whose retention applies.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Client(_) => Class::Mailbox,
            Self::Topic(_) => Class::Topic,
            Self::All => Class::Broadcast,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client.{id}"),
            Self::Topic(name) => write!(f, "topic.{name}"),
            Self::All => f.write_str("all"),
        }
    }
}

/// Subjects that are kept under one retention, so that a noisy topic cannot push mailboxes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Mailbox,
    Topic,
    Broadcast,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Mailbox, Self::Topic, Self::Broadcast];
}

/// An entry on its way into the journal.
#[derive(Clone, Debug)]
pub struct Record {
    pub subject: Subject,
    /// With `id` the identity: the same pair again is a duplicate.
    pub source: Arc<str>,
    pub id: Arc<str>,
    /// Of everything that two copies of one entry must share; another one under the same identity is a conflict.
    pub fingerprint: u128,
    /// The caller's number for the type of the entry.
    pub kind: u8,
    pub priority: u8,
    /// The client that does not read it, though it reads the subject.
    pub exclude: Option<Arc<str>>,
    /// Milliseconds that it is of use, from acceptance.
    pub ttl_ms: Option<u64>,
    /// False: passes the queue in order and reaches the followers, but is neither stored nor deduplicated.
    pub durable: bool,
    pub body: Bytes,
}

/// An entry of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of an entry that is not durable: the position that it follows.
    pub position: Position,
    pub durable: bool,
    /// Milliseconds since 1970; never less than that of an earlier entry.
    pub stored_at: u64,
    pub expires_at: Option<u64>,
    pub subject: Subject,
    pub source: Arc<str>,
    pub id: Arc<str>,
    pub kind: u8,
    pub priority: u8,
    pub exclude: Option<Arc<str>>,
    pub body: Bytes,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored(Position),
    /// The first copy, which is durable, lies here.
    Duplicate(Position),
    /// Live only: it went to the followers.
    Passed,
}

/// Receives what the journal releases.
pub trait Follower: Send + 'static {
    /// Called on the journal's thread, in order, once per commit: after the entries are durable and visible to reads,
    /// and before their appends are answered. Must not block.
    fn released(&mut self, entries: &[Arc<Entry>]);
}
