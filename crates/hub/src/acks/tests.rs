//! Stored cursors: how they move, and when they are forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidings_store::{Clock, Options, Record};

use super::*;

const AGE_MS: u64 = 1000;

/// A store whose mailboxes keep a second, with its clock.
struct World {
    store: Store,
    clock: Arc<AtomicU64>,
    client: ClientId,
}

impl World {
    fn new(age_ms: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let time = Arc::clone(&clock);
        let mut options = Options {
            clock: Clock::single(move || time.load(Ordering::Relaxed)),
            ..Options::default()
        };
        options.retention.mailbox.age_ms = age_ms;
        Self {
            store: Store::open(options, Vec::new()).expect("a store in memory opens"),
            clock,
            client: ClientId::parse("alice", "clientId").expect("an id"),
        }
    }

    /// Where a message to the client, or to somebody else, is stored.
    async fn put(&self, to: &str, id: &str) -> u64 {
        let record = Record {
            subject: Subject::Client(to.into()),
            source: "bob".into(),
            id: id.into(),
            fingerprint: 0,
            kind: 0,
            priority: 1,
            exclude: None,
            ttl_ms: None,
            durable: true,
            body: Bytes::new(),
        };
        self.store.append(vec![record]).await.expect("stored");
        self.store.bounds().last.0
    }

    fn cursor(&self, position: u64) -> Cursor {
        Cursor::at(self.store.epoch().parse().expect("an epoch"), position)
    }

    async fn ack(&self, position: u64, from: u64) -> bool {
        let (cursor, from) = (self.cursor(position), self.cursor(from));
        let done = acknowledge(&self.store, &self.client, None, &cursor, Some(&from));
        done.await.expect("stored").applied
    }

    async fn standing(&self) -> Option<u64> {
        let standing = standing(&self.store, &self.client, None).await;
        standing.expect("read").read.map(|read| read.position)
    }

    /// Lets time pass and retention run.
    async fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
        self.store.trim().await.expect("trimmed");
    }
}

#[tokio::test]
async fn a_cursor_that_does_not_move_is_forgotten_after_twice_the_age_of_mailboxes() {
    let world = World::new(AGE_MS);
    let first = world.put("alice", "1").await;
    assert!(world.ack(first, 0).await);
    world.pass(2 * AGE_MS - 1).await;
    assert_eq!(world.standing().await, Some(first));
    let second = world.put("alice", "2").await;
    assert!(world.ack(second, first).await, "it moves, and is kept anew");
    world.pass(2 * AGE_MS - 1).await;
    assert_eq!(world.standing().await, Some(second));
    world.pass(1).await;
    assert_eq!(world.standing().await, None);
}

#[tokio::test]
async fn where_mailboxes_are_kept_for_ever_so_are_cursors() {
    let world = World::new(0);
    let first = world.put("alice", "1").await;
    assert!(world.ack(first, 0).await);
    world.pass(u64::from(u32::MAX)).await;
    assert_eq!(world.standing().await, Some(first));
}

#[tokio::test]
async fn a_client_whose_cursor_was_forgotten_acks_on_from_where_it_is() {
    let world = World::new(AGE_MS);
    let first = world.put("alice", "1").await;
    let shared = world.put("other", "0").await;
    assert!(world.ack(shared, 0).await);
    world.pass(2 * AGE_MS).await;
    assert_eq!(world.standing().await, None);
    assert!(
        first < shared,
        "retention took less than what was acknowledged"
    );
    let second = world.put("alice", "2").await;
    assert!(world.ack(second, shared).await);
    assert_eq!(world.standing().await, Some(second));
}

#[tokio::test]
async fn an_ack_applies_from_behind_the_stored_cursor_unless_something_is_kept_in_between() {
    let world = World::new(AGE_MS);
    let quiet = world.put("other", "0").await;
    let first = world.put("alice", "1").await;
    assert!(world.ack(first, quiet).await, "nothing lies before `quiet`");
    let second = world.put("alice", "2").await;
    let third = world.put("alice", "3").await;
    assert!(!world.ack(third, second).await, "the second may be unread");
    assert_eq!(world.standing().await, Some(first));
    let beyond = world.cursor(third + 1);
    let cursor = world.cursor(third);
    let done = acknowledge(&world.store, &world.client, None, &cursor, Some(&beyond));
    assert!(!done.await.expect("read").applied, "no place of this hub");
}

#[test]
fn a_stored_cursor_is_read_back_as_it_was_written() {
    for ahead in [vec![], vec![7], vec![7, u64::MAX]] {
        let read = Read { position: 5, ahead };
        assert_eq!(decode(&encode(&read)), Some(read));
    }
    assert_eq!(decode(b"x"), None);
}
