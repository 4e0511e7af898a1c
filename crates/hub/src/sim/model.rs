//! What was accepted, and what has become of it since: what every client can be held against.

use std::collections::HashMap;

use tidings_protocol::TopicPattern;
use tidings_store::{Entry, Record, Subject};

use crate::kind::Kind;

/// A sentence that does not hold; the text says which.
pub(super) type Checked<T = ()> = Result<T, String>;

macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(super) use ensure;

/// Messages in the order in which they were accepted, receipts included.
#[derive(Default)]
pub(super) struct Model {
    pub(super) messages: Vec<Message>,
    by_identity: HashMap<String, usize>,
    /// How often retention has run.
    pub(super) trims: usize,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) record: Record,
    /// `None`: live only.
    pub(super) position: Option<u64>,
    pub(super) stored_at: u64,
    /// The run of retention that took it before its time.
    pub(super) lost_in: Option<usize>,
}

impl Model {
    pub(super) fn add(&mut self, record: Record, position: Option<u64>, stored_at: u64) -> usize {
        let index = self.messages.len();
        self.by_identity
            .insert(identity(&record.source, &record.id), index);
        self.messages.push(Message {
            record,
            position,
            stored_at,
            lost_in: None,
        });
        index
    }

    /// Adds what the hub stored by itself.
    pub(super) fn add_entry(&mut self, entry: &Entry) -> usize {
        let record = Record {
            subject: entry.subject.clone(),
            source: entry.source.clone(),
            id: entry.id.clone(),
            fingerprint: 0,
            kind: entry.kind,
            priority: entry.priority,
            exclude: entry.exclude.clone(),
            ttl_ms: entry.expires_at.map(|at| at - entry.stored_at),
            durable: entry.durable,
            body: entry.body.clone(),
        };
        self.add(record, Some(entry.position.0), entry.stored_at)
    }

    pub(super) fn find(&self, source: &str, id: &str) -> Option<usize> {
        self.by_identity.get(&identity(source, id)).copied()
    }

    /// Positions at which something must be, unless retention took it just now.
    pub(super) fn kept(&self) -> Vec<u64> {
        let kept = self.messages.iter().filter(|one| one.lost_in.is_none());
        kept.filter_map(|one| one.position).collect()
    }

    /// Retention has run and left these of what was there, ascending.
    pub(super) fn trimmed(&mut self, left: &[u64], now: u64) {
        self.trims += 1;
        for one in &mut self.messages {
            let gone = one
                .position
                .is_some_and(|position| left.binary_search(&position).is_err());
            if gone && one.lost_in.is_none() && !one.expired(now) {
                one.lost_in = Some(self.trims);
            }
        }
    }

    pub(super) fn last(&self) -> u64 {
        let positions = self.messages.iter().rev().find_map(|one| one.position);
        positions.unwrap_or(0)
    }
}

fn identity(source: &str, id: &str) -> String {
    format!("{source} {id}")
}

impl Message {
    pub(super) fn expired(&self, now: u64) -> bool {
        let ttl_ms = self.record.ttl_ms;
        ttl_ms.is_some_and(|ttl_ms| self.stored_at + ttl_ms <= now)
    }

    /// Whose mailbox it is in.
    pub(super) fn target(&self) -> Option<&str> {
        match &self.record.subject {
            Subject::Client(client) => Some(client),
            Subject::Topic(_) | Subject::All => None,
        }
    }

    /// Whether one of the patterns names its topic.
    pub(super) fn is_of(&self, patterns: &[TopicPattern]) -> bool {
        match &self.record.subject {
            Subject::Topic(topic) => patterns.iter().any(|pattern| pattern.matches(topic)),
            Subject::Client(_) | Subject::All => false,
        }
    }

    pub(super) fn asks(&self) -> bool {
        Kind::stored(self.record.kind).require_ack()
    }
}
