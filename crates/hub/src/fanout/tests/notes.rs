//! What is told of messages that wait for an ack of their own.

use std::sync::Arc;

use tidings_protocol::MessageType;
use tidings_store::Record;

use super::super::note::{Awaited, Note};
use super::super::opening::Repeat;
use super::world::{Client, World, mailbox, record, settings};
use crate::kind::Kind;
use crate::receipts::repeat;

fn asking(id: &str, size: usize) -> Record {
    Record {
        kind: Kind::new(MessageType::Json, true).number(),
        ..record(mailbox("alice"), "bob", id, 1, size)
    }
}

/// The same again, as it passes the journal when no ack came.
fn again(id: &str, number: u32) -> Record {
    let record = asking(id, 10);
    Record {
        durable: false,
        body: repeat::body(&record.body, number).into(),
        ..record
    }
}

fn noted(ids: &[(&str, u32)]) -> Vec<(String, u32)> {
    ids.iter()
        .map(|(id, number)| ((*id).to_owned(), *number))
        .collect()
}

#[test]
fn a_message_is_noted_as_written_with_its_last_byte_and_once() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.settle();
    world.publish(vec![asking("m", 200)]);
    let mut length = 0;
    while world.written().is_empty() {
        assert!(alice.ids().is_empty(), "it cannot have arrived before");
        world.make_room(&alice, 1);
        world.settle();
        length += 1;
        assert!(length < 1_000, "never noted");
    }
    assert!(alice.read());
    assert_eq!(alice.ids(), ["m"]);
    world.read_all(&mut alice);
    assert_eq!(world.written(), []);
}

#[test]
fn a_message_that_a_connection_took_in_part_is_not_noted() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.settle();
    world.publish(vec![asking("m", 200)]);
    world.make_room(&alice, 150);
    world.settle();
    world.cut(&mut alice);
    assert_eq!(world.written(), []);
}

#[test]
fn only_what_asks_for_an_ack_is_noted() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.settle();
    world.publish(vec![
        record(mailbox("alice"), "bob", "a", 1, 10),
        asking("b", 10),
        record(mailbox("alice"), "bob", "c", 1, 10),
    ]);
    world.read_all(&mut alice);
    assert_eq!(alice.ids(), ["a", "b", "c"]);
    assert_eq!(world.written(), noted(&[("b", 0)]));
}

#[test]
fn what_comes_from_history_is_noted_too() {
    let mut world = World::new(settings());
    let ids: Vec<_> = (0..100).map(|n| format!("{n:03}")).collect();
    for id in &ids {
        world.publish(vec![asking(id, 100)]);
    }
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.read_all(&mut alice);
    let expected: Vec<_> = ids.into_iter().map(|id| (id, 0)).collect();
    assert_eq!(world.written(), expected);
}

#[test]
fn each_connection_of_a_client_is_noted() {
    let mut world = World::new(settings());
    let mut connections: Vec<_> = (0..3).map(|_| Client::new("alice", &[])).collect();
    for alice in &mut connections {
        world.connect(alice, None);
    }
    world.publish(vec![asking("m", 10)]);
    for alice in &mut connections {
        world.read_all(alice);
    }
    assert_eq!(world.written(), noted(&[("m", 0); 3]));
}

#[test]
fn a_repeat_comes_without_an_id_line_and_is_noted_by_its_number() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.settle();
    world.publish(vec![asking("m", 10)]);
    world.publish(vec![record(mailbox("alice"), "bob", "n", 1, 10)]);
    world.read_all(&mut alice);
    let cursor = alice.last_id.clone();
    world.publish(vec![again("m", 7)]);
    world.read_all(&mut alice);
    assert_eq!(alice.ids(), ["m", "n", "m"]);
    assert_eq!(alice.last_id, cursor);
    assert_eq!(world.written(), noted(&[("m", 0), ("m", 7)]));
}

#[test]
fn a_repeat_that_a_connection_behind_does_not_get_is_not_noted() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    // Its greeting was not written yet: it is behind.
    world.publish(vec![again("m", 1)]);
    world.read_all(&mut alice);
    assert_eq!((alice.ids(), world.written()), (vec![], vec![]));
}

#[test]
fn what_expired_before_it_was_written_is_not_noted() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.settle();
    world.publish(vec![Record {
        ttl_ms: Some(5),
        ..asking("m", 10)
    }]);
    world.now.wall_ms += 1_000_000_000_000;
    world.read_all(&mut alice);
    assert_eq!((alice.ids(), world.written()), (vec![], vec![]));
}

#[test]
fn the_repeats_of_a_connect_come_before_everything_else_and_are_noted_when_they_are_written() {
    let mut world = World::new(settings());
    world.publish(vec![asking("m", 10)]);
    let body = repeat::body(&asking("m", 10).body, 3);
    let mut event = Vec::new();
    tidings_protocol::sse::event(&mut event, None, "json", &body);
    world.owed = vec![Repeat {
        event,
        awaited: Arc::new(Awaited {
            client: "alice".into(),
            source: "bob".into(),
            id: "m".into(),
            number: 3,
        }),
    }];
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    world.make_room(&alice, 20);
    world.settle();
    assert_eq!(world.written(), []);
    world.read_all(&mut alice);
    assert_eq!(alice.ids(), ["m", "m"]);
    assert_eq!(world.written(), noted(&[("m", 3), ("m", 0)]));
}

#[test]
fn a_new_connection_is_noted_for_its_client() {
    let mut world = World::new(settings());
    let mut alice = Client::new("alice", &[]);
    world.connect(&mut alice, None);
    let notes = std::mem::take(world.shard.notes());
    assert_eq!(notes, [Note::Attached(alice.id)]);
}
