//! What waits for the actor: entries of the journal, notes of the fan-out, and calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_protocol::MessageId;
use tidings_protocol::api::MessageRef;
use tidings_store::Entry;
use tokio::sync::{Notify, oneshot};

use super::{Metrics, SettleError};
use crate::fanout::{Awaited, Note, Observer};
use crate::kind::Kind;

/// Beyond either, entries are left to be read from history.
const ENTRIES_MAX: usize = 65_536;
const ENTRIES_BYTES_MAX: usize = 16 << 20;
/// Beyond it notes are lost, which costs repeats that were not needed.
const NOTES_MAX: usize = 65_536;
/// Beyond it calls are refused.
const COMMANDS_MAX: usize = 65_536;

/// A call to the actor.
#[derive(Debug)]
pub(super) enum Command {
    Settle {
        client: Arc<str>,
        messages: Vec<MessageRef>,
        ids: Vec<MessageId>,
        answer: oneshot::Sender<Result<(), SettleError>>,
    },
    Pending {
        client: Arc<str>,
        answer: oneshot::Sender<Vec<(u64, Arc<Awaited>)>>,
    },
}

/// Everything that waited, in one piece.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Those that wait for an ack, in order; incomplete when `missed`.
    pub(super) entries: Vec<Arc<Entry>>,
    entries_bytes: usize,
    pub(super) missed: bool,
    /// All entries up to here are in `entries`, now or before.
    pub(super) released_to: u64,
    pub(super) notes: Vec<Note>,
    pub(super) notes_lost: bool,
    pub(super) commands: Vec<Command>,
    /// Up to here retention removed every mailbox message.
    pub(super) trimmed_to: u64,
    pub(super) stop: bool,
}

/// Many senders, one receiver. What is told of a message always comes after its entry: the journal calls the follower before
/// it calls the fan-out.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<Taken>,
    arrived: Notify,
    metrics: Metrics,
}

/// Passes on the entries that wait for an ack. It must be called before any other follower.
#[derive(Debug)]
pub(crate) struct Follower(pub(crate) Arc<Inbox>);

impl Inbox {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            metrics,
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Taken {
        let mut waiting = self.lock();
        let rest = Taken {
            released_to: waiting.released_to,
            trimmed_to: waiting.trimmed_to,
            stop: waiting.stop,
            ..Taken::default()
        };
        std::mem::replace(&mut *waiting, rest)
    }

    /// Completes once there may be something to take.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Whether the call was taken.
    pub(super) fn command(&self, command: Command) -> bool {
        let mut waiting = self.lock();
        if waiting.stop || waiting.commands.len() >= COMMANDS_MAX {
            return false;
        }
        waiting.commands.push(command);
        drop(waiting);
        self.arrived.notify_one();
        true
    }

    pub(super) fn trimmed(&self, to: u64) {
        self.lock().trimmed_to = to;
        self.arrived.notify_one();
    }

    /// Takes no more calls; those that wait are carried out.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn lose_notes(&self) {
        self.lock().notes_lost = true;
    }

    #[cfg(test)]
    pub(super) fn lose_entries(&self) {
        self.lock().miss();
    }
}

impl Taken {
    fn miss(&mut self) {
        self.missed = true;
        self.entries = Vec::new();
        self.entries_bytes = 0;
    }
}

impl tidings_store::Follower for Follower {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        let Some(newest) = entries.last() else { return };
        let awaits = |entry: &&Arc<Entry>| entry.durable && Kind::stored(entry.kind).require_ack();
        let mut awaited = entries.iter().filter(awaits).peekable();
        let any = awaited.peek().is_some();
        let mut waiting = self.0.lock();
        waiting.released_to = waiting.released_to.max(newest.position.0);
        if !waiting.missed {
            for entry in awaited {
                waiting.entries_bytes += entry.body.len();
                waiting.entries.push(Arc::clone(entry));
            }
            if waiting.entries.len() > ENTRIES_MAX || waiting.entries_bytes > ENTRIES_BYTES_MAX {
                self.0.metrics.missed.inc();
                waiting.miss();
            }
        }
        drop(waiting);
        if any {
            self.0.arrived.notify_one();
        }
    }
}

impl Observer for Inbox {
    fn note(&self, notes: &mut Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        let room = NOTES_MAX - waiting.notes.len();
        if notes.len() > room {
            self.metrics.notes_lost.inc_by((notes.len() - room) as u64);
            waiting.notes_lost = true;
            notes.truncate(room);
        }
        waiting.notes.append(notes);
        drop(waiting);
        self.arrived.notify_one();
    }
}
