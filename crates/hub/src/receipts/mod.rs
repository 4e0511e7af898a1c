//! Messages that wait for an ack of their own: pending records, redelivery, receipts.
//!
//! ```text
//! journal --released--> Follower --+
//! shards ---notes (Observer)-------+--> Inbox --> Actor --> Book (every pending record, decides with `decision`)
//! http ----settle, pending---------+    bounded    |  |
//!                                                  |  '--> Store::append: repeats, live only, back through the journal
//!                                                  '-----> Store::commit: records and receipts together
//! ```
//!
//! Cells are the truth: a pending record is derived from the journal, and the position up to which that was done is
//! written with the records it covers. The actor alone changes them; in memory it keeps the same again, to be quick.

mod actor;
mod book;
mod cell;
mod decision;
mod inbox;
mod lookup;
mod metrics;
mod receipt;
pub(crate) mod repeat;
#[cfg(test)]
pub(crate) mod stepped;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use tidings_protocol::MessageId;
use tidings_protocol::api::MessageRef;
use tidings_store::{CommitError, Position, ReadError, Store};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config;
use crate::fanout::{Clock, Observer, Place, Presence, Repeat};
use actor::Actor;
use decision::Rules;
use inbox::Command;

pub(crate) use inbox::{Follower, Inbox};
pub(crate) use lookup::{Found, find};
pub(crate) use metrics::Metrics;

/// Everything that waits for acks.
#[derive(Debug)]
pub(crate) struct Receipts {
    inbox: Arc<Inbox>,
    actor: Mutex<Option<JoinHandle<()>>>,
}

/// Why acks were not stored; they may be sent again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error("too many acks wait to be stored")]
    Busy,
    #[error("cannot read the journal")]
    Read,
    #[error("cannot store what was acknowledged")]
    Commit(#[from] CommitError),
    #[error("the hub is stopping")]
    Stopped,
}

impl Receipts {
    /// Loads what is pending, derives what the journal has beyond that, and goes on from there. `at_once`: how many repeats
    /// a connection can hold together.
    pub(crate) async fn start(
        settings: &config::Receipts,
        at_once: usize,
        store: Store,
        inbox: Arc<Inbox>,
        presence: Presence,
    ) -> Result<Self, ReadError> {
        let connected = Box::new(move |client: &str| presence.connected(client));
        let rules = Rules::new(settings, at_once);
        let clock = Clock::start();
        let inbox_of_actor = Arc::clone(&inbox);
        let actor =
            Actor::open(rules, store, inbox_of_actor, connected, clock, clock.now()).await?;
        Ok(Self {
            inbox,
            actor: Mutex::new(Some(tokio::spawn(actor.run()))),
        })
    }

    /// What is told of messages that were written.
    pub(crate) fn observer(inbox: &Arc<Inbox>) -> Arc<dyn Observer> {
        Arc::clone(inbox) as Arc<dyn Observer>
    }

    /// Takes the client's acks: of messages, and of all that have one of the ids. What is not pending is no error. Durable
    /// when it returns.
    pub(crate) async fn settle(
        &self,
        client: &str,
        messages: Vec<MessageRef>,
        ids: Vec<MessageId>,
    ) -> Result<(), SettleError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Settle {
            client: client.into(),
            messages,
            ids,
            answer,
        };
        if !self.inbox.command(command) {
            return Err(SettleError::Busy);
        }
        answered.await.unwrap_or(Err(SettleError::Stopped))
    }

    /// What the client has not acked although `place` counts it as sent, as events without an `id:` line.
    pub(crate) async fn repeats(&self, store: &Store, client: &str, place: &Place) -> Vec<Repeat> {
        let (answer, answered) = oneshot::channel();
        let client = client.into();
        // Without an answer they come again when they are due.
        if !self.inbox.command(Command::Pending { client, answer }) {
            return Vec::new();
        }
        let mut pending = answered.await.unwrap_or_default();
        pending.retain(|(position, _)| place.counts_as_sent(*position));
        if pending.is_empty() {
            return Vec::new();
        }
        let read = store
            .reading(move |reader| repeat::events(reader, &pending))
            .await;
        read.and_then(|events| events).unwrap_or_else(|error| {
            tracing::error!(%error, "read what a client has not acknowledged; it comes when it is due");
            Vec::new()
        })
    }

    /// Writes down what waits for acks of all that was accepted until now. To be called before retention runs: what it takes
    /// could not be derived from the journal again, and nobody would be told that it expired.
    pub(crate) async fn write_down(&self) -> Result<(), SettleError> {
        self.settle("", Vec::new(), Vec::new()).await
    }

    /// Retention has run.
    pub(crate) fn trimmed(&self, to: Position) {
        self.inbox.trimmed(to.0);
    }

    /// Writes what was noted until now, and stops.
    pub(crate) async fn stop(&self) {
        self.inbox.stop();
        let actor = self
            .actor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(actor) = actor
            && actor.await.is_err()
        {
            tracing::error!("the keeper of pending acks did not stop cleanly");
        }
    }
}
