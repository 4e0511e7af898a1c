//! The connections of all shards, for those who want to list them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use super::card::Card;

/// Cards by connection id. Shards add and remove, the connection list reads.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    cards: Mutex<HashMap<Uuid, Arc<Card>>>,
    emptied: Notify,
}

impl Registry {
    /// Lists the card until the guard goes, however that happens.
    pub(crate) fn list(self: &Arc<Self>, card: &Arc<Card>) -> Listed {
        self.lock().insert(card.connection_id, Arc::clone(card));
        Listed {
            registry: Arc::clone(self),
            connection_id: card.connection_id,
        }
    }

    pub(crate) fn cards(&self) -> Vec<Arc<Card>> {
        self.lock().values().cloned().collect()
    }

    /// Completes when no card is listed.
    pub(crate) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Card>>> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a card in the registry.
#[derive(Debug)]
pub(crate) struct Listed {
    registry: Arc<Registry>,
    connection_id: Uuid,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut cards = self.registry.lock();
        cards.remove(&self.connection_id);
        if cards.is_empty() {
            self.registry.emptied.notify_waiters();
        }
    }
}
