//! The connections of all shards, for those who list, change and replace them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_protocol::ClientId;
use tokio::sync::Notify;
use uuid::Uuid;

use super::card::{Card, Instance};
use super::shard::Key;

/// How long a replaced process is told not to come back.
const REPLACED_MS: u64 = 600_000;
/// As many are remembered; beyond it the oldest may come back earlier.
const REPLACED_MAX: usize = 10_000;

/// Connections by id. Shards add, change and remove; anyone reads.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    members: Mutex<Members>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Members {
    by_id: HashSet<ById>,
    /// Processes that gave way to a newer one, and when.
    replaced: HashMap<(ClientId, Instance), u64>,
}

/// A connection and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) card: Arc<Card>,
    pub(crate) shard: usize,
    pub(crate) key: Key,
}

/// A member that is found by the id in its card.
#[derive(Debug)]
struct ById(Member);

/// What a shard lists; nothing of it is left when the shard goes, however that happens.
#[derive(Debug)]
pub(crate) struct Listings {
    registry: Arc<Registry>,
    shard: usize,
}

impl Listings {
    pub(crate) fn new(registry: Arc<Registry>, shard: usize) -> Self {
        Self { registry, shard }
    }

    /// Lists a connection. Returns those of the same client that give way, if the new one is exclusive: all that are listed
    /// now are older.
    pub(crate) fn add(&self, card: &Arc<Card>, key: Key, now_ms: u64) -> Vec<Member> {
        let mut members = self.registry.lock();
        let older = members.give_way(card, now_ms);
        members.by_id.insert(ById(self.member(card, key)));
        older
    }

    /// Lists a connection with what it reads now.
    pub(crate) fn update(&self, card: &Arc<Card>, key: Key) {
        let mut members = self.registry.lock();
        members.by_id.replace(ById(self.member(card, key)));
    }

    pub(crate) fn remove(&self, card: &Card) {
        self.registry
            .remove_where(|members| _ = members.remove(&card.connection_id));
    }

    fn member(&self, card: &Arc<Card>, key: Key) -> Member {
        Member {
            card: Arc::clone(card),
            shard: self.shard,
            key,
        }
    }
}

impl Drop for Listings {
    fn drop(&mut self) {
        self.registry
            .remove_where(|members| members.retain(|ById(member)| member.shard != self.shard));
    }
}

impl Registry {
    pub(crate) fn find(&self, connection_id: Uuid) -> Option<Member> {
        let members = self.lock();
        members
            .by_id
            .get(&connection_id)
            .map(|ById(member)| member.clone())
    }

    pub(crate) fn cards(&self) -> Vec<Arc<Card>> {
        let members = self.lock();
        let cards = members.by_id.iter();
        cards.map(|ById(member)| Arc::clone(&member.card)).collect()
    }

    /// Whether this process gave way to a newer one and is not to come back yet.
    pub(crate) fn was_replaced(&self, client: &ClientId, instance: &Instance, now_ms: u64) -> bool {
        let key = (client.clone(), Arc::clone(instance));
        let at = self.lock().replaced.get(&key).copied();
        at.is_some_and(|at| now_ms < at + REPLACED_MS)
    }

    /// Completes when no connection is listed.
    pub(crate) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.lock().by_id.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn remove_where(&self, remove: impl FnOnce(&mut HashSet<ById>)) {
        let mut members = self.lock();
        remove(&mut members.by_id);
        if members.by_id.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// The older connections of a client whose new one is exclusive; their processes are remembered as replaced.
    fn give_way(&mut self, newest: &Card, now_ms: u64) -> Vec<Member> {
        let Some(instance) = newest.exclusive() else {
            return Vec::new();
        };
        let of_client = |member: &&Member| member.card.client == newest.client;
        let members = self.by_id.iter().map(|ById(member)| member);
        let older: Vec<_> = members.filter(of_client).cloned().collect();
        for member in &older {
            let replaced = member.card.exclusive();
            if let Some(replaced) = replaced.filter(|replaced| *replaced != instance) {
                let key = (newest.client.clone(), Arc::clone(replaced));
                self.replaced.insert(key, now_ms);
            }
        }
        self.forget(now_ms);
        older
    }

    fn forget(&mut self, now_ms: u64) {
        if self.replaced.len() > REPLACED_MAX {
            self.replaced.retain(|_, at| now_ms < *at + REPLACED_MS);
        }
        if self.replaced.len() > REPLACED_MAX {
            let mut times: Vec<_> = self.replaced.values().copied().collect();
            times.sort_unstable();
            let kept_from = times[times.len() / 2];
            self.replaced.retain(|_, at| *at > kept_from);
        }
    }
}

impl Borrow<Uuid> for ById {
    fn borrow(&self) -> &Uuid {
        &self.0.card.connection_id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.card.connection_id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.card.connection_id == other.0.card.connection_id
    }
}

impl Eq for ById {}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::fanout::index::Kinds;

    /// A shard with a connection of that client.
    fn list(
        registry: &Arc<Registry>,
        client: &str,
        instance: Option<&str>,
        now_ms: u64,
    ) -> (Listings, Vec<Member>) {
        let card = Card::new(
            ClientId::parse(client, "clientId").expect("valid"),
            Vec::new(),
            Kinds::ALL,
            SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            0,
            25_000,
            instance.map(Into::into),
        );
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let shard = registry.lock().by_id.len();
        let listings = Listings::new(Arc::clone(registry), shard);
        let older = listings.add(&Arc::new(card), key, now_ms);
        (listings, older)
    }

    #[test]
    fn the_newest_exclusive_process_replaces_all_others_of_its_client_for_ten_minutes() {
        let registry = Arc::new(Registry::default());
        let (_first, older) = list(&registry, "alice", Some("one"), 0);
        assert!(older.is_empty());
        let (_shared, older) = list(&registry, "alice", None, 0);
        assert!(
            older.is_empty(),
            "one that is not exclusive replaces nobody"
        );
        let (_other, _) = list(&registry, "bob", Some("one"), 0);
        let (_second, older) = list(&registry, "alice", Some("two"), 1_000);
        assert_eq!(older.len(), 2);
        let alice = ClientId::parse("alice", "clientId").expect("valid");
        let replaced = |instance: &str, at| registry.was_replaced(&alice, &instance.into(), at);
        assert!(replaced("one", 1_000) && replaced("one", 600_999));
        assert!(!replaced("one", 601_000) && !replaced("two", 1_000));
    }

    #[test]
    fn a_process_that_comes_again_replaces_its_own_older_connection_and_may_stay() {
        let registry = Arc::new(Registry::default());
        let (_first, _) = list(&registry, "alice", Some("one"), 0);
        let (_again, older) = list(&registry, "alice", Some("one"), 0);
        assert_eq!(older.len(), 1);
        let alice = ClientId::parse("alice", "clientId").expect("valid");
        assert!(!registry.was_replaced(&alice, &"one".into(), 1));
    }

    #[test]
    fn what_is_remembered_of_replaced_processes_is_bounded() {
        let registry = Arc::new(Registry::default());
        let mut older = list(&registry, "alice", Some("0"), 0).0;
        for n in 1..REPLACED_MAX as u64 + 10 {
            older = list(&registry, "alice", Some(&n.to_string()), n).0;
        }
        drop(older);
        assert!(registry.lock().replaced.len() <= REPLACED_MAX);
    }
}
