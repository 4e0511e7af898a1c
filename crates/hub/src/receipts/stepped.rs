//! The keeper of pending acks without a task of its own: it acts when it is told to, at the time that it is told.

use std::sync::{Arc, Mutex};

use tidings_protocol::MessageId;
use tidings_protocol::api::MessageRef;
use tidings_store::{Position, ReadError, Store};

use super::actor::{Actor, Round};
use super::decision::Rules;
use super::{Inbox, Receipts, SettleError};
use crate::config;
use crate::fanout::{Clock, Now, Place, Repeat};

pub(crate) struct Stepped {
    actor: Actor,
    receipts: Receipts,
}

impl Stepped {
    pub(crate) async fn open(
        settings: &config::Receipts,
        at_once: usize,
        store: Store,
        inbox: Arc<Inbox>,
        connected: impl Fn(&str) -> bool + Send + Sync + 'static,
        now: Now,
    ) -> Result<Self, ReadError> {
        let rules = Rules::new(settings, at_once);
        let receipts = Receipts {
            inbox: Arc::clone(&inbox),
            actor: Mutex::default(),
        };
        let connected = Box::new(connected);
        let actor = Actor::open(rules, store, inbox, connected, Clock::start(), now).await?;
        Ok(Self { actor, receipts })
    }

    /// One round; whether there is more to do now.
    pub(crate) async fn round(&mut self, now: Now) -> bool {
        self.actor.round(now).await == Round::More
    }

    pub(crate) async fn settle(
        &mut self,
        client: &str,
        messages: Vec<MessageRef>,
        ids: Vec<MessageId>,
        now: Now,
    ) -> Result<(), SettleError> {
        let settled = self.receipts.settle(client, messages, ids);
        tokio::join!(settled, self.actor.round(now)).0
    }

    pub(crate) async fn repeats(
        &mut self,
        store: &Store,
        client: &str,
        place: &Place,
        now: Now,
    ) -> Vec<Repeat> {
        let repeats = self.receipts.repeats(store, client, place);
        tokio::join!(repeats, self.actor.round(now)).0
    }

    pub(crate) async fn write_down(&mut self, now: Now) -> Result<(), SettleError> {
        tokio::join!(self.receipts.write_down(), self.actor.round(now)).0
    }

    pub(crate) fn trimmed(&self, to: Position) {
        self.receipts.trimmed(to);
    }

    pub(crate) fn pending(&self) -> usize {
        self.actor.book().len()
    }
}
