//! The actor over a store in memory, at made-up times.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_protocol::api::{MessageRef, ReceiptStatus};
use tidings_protocol::{MessageId, MessageType};
use tidings_store::{
    Appended, Class, CommitError, Entry, Keep, Options, Position, Record, Retention, Selector,
    Slice, Store, Subject,
};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::actor::{Actor, Round};
use super::decision::Rules;
use super::inbox::{Command, Follower, Inbox};
use super::{Metrics, SettleError, find, repeat};
use crate::fanout::{Awaited, Clock, Note, Now, Observer};
use crate::kind::Kind;

const START: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const RULES: Rules = Rules {
    first_delay_ms: 10_000,
    delay_max_ms: 300_000,
    attempts_max: 10,
    at_once: 8,
};

/// A repeat that passed the journal: to whom, the message, and its number.
type Passed = (String, String, u32);

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Passed>>>);

impl tidings_store::Follower for Recorder {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries.iter().filter(|entry| !entry.durable) {
            let Subject::Client(client) = &entry.subject else {
                panic!("a repeat has a target");
            };
            assert!(Kind::stored(entry.kind).require_ack());
            let number = repeat::number(&entry.body).expect("a repeat has its number");
            let passed = (client.to_string(), entry.id.to_string(), number);
            self.0.lock().expect("one thread").push(passed);
        }
    }
}

struct World {
    runtime: Runtime,
    store: Store,
    inbox: Arc<Inbox>,
    passed: Recorder,
    here: Arc<Mutex<HashSet<String>>>,
    wall: Arc<AtomicU64>,
    actor: Actor,
}

impl World {
    fn new() -> Self {
        Self::with(Options::default())
    }

    /// Retention keeps so many mailbox messages.
    fn keeping(count: u64) -> Self {
        let mailbox = Keep {
            count,
            ..Keep::default()
        };
        let retention = Retention {
            mailbox,
            ..Retention::default()
        };
        Self::with(Options {
            retention,
            ..Options::default()
        })
    }

    fn with(options: Options) -> Self {
        let inbox = Arc::new(Inbox::new(Metrics::default()));
        let passed = Recorder::default();
        let wall = Arc::new(AtomicU64::new(START));
        let reads = Arc::clone(&wall);
        let options = Options {
            clock: tidings_store::Clock::single(move || reads.load(Ordering::Relaxed)),
            ..options
        };
        let store = Store::open(
            options,
            vec![
                Box::new(Follower(Arc::clone(&inbox))),
                Box::new(passed.clone()),
            ],
        )
        .expect("memory opens");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let here = Arc::default();
        let actor = open(&runtime, &store, &inbox, &here);
        Self {
            runtime,
            store,
            inbox,
            passed,
            here,
            wall,
            actor,
        }
    }

    /// As after a crash: everything in memory is gone.
    fn restart(&mut self) {
        drop(self.inbox.take());
        self.here.lock().expect("one thread").clear();
        self.actor = open(&self.runtime, &self.store, &self.inbox, &self.here);
    }

    fn publish(&self, source: &str, id: &str, target: &str) -> Position {
        self.append(record(source, id, target))
    }

    fn append(&self, record: Record) -> Position {
        let appended = self.runtime.block_on(self.store.append(vec![record]));
        match appended.expect("appended")[..] {
            [Appended::Stored(position)] => position,
            ref other => panic!("stored: {other:?}"),
        }
    }

    fn now(&self) -> Now {
        let wall_ms = self.wall.load(Ordering::Relaxed);
        Now {
            // Nothing about the steady clock's beginning is known.
            mono_ms: wall_ms - START + 77,
            wall_ms,
        }
    }

    fn round(&mut self) -> Round {
        let now = self.now();
        self.runtime.block_on(self.actor.round(now))
    }

    /// Lets time pass, and the actor act at its end.
    fn pass(&mut self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::Relaxed);
        while self.round() == Round::More {}
    }

    fn attach(&mut self, client: &str) {
        self.here.lock().expect("one thread").insert(client.into());
        let client = tidings_protocol::ClientId::parse(client, "clientId").expect("valid");
        self.inbox.note(&mut vec![Note::Attached(client)]);
        self.round();
    }

    fn leave(&self, client: &str) {
        self.here.lock().expect("one thread").remove(client);
    }

    /// A socket of the client took the message (0) or a repeat of it.
    fn sent(&mut self, source: &str, id: &str, target: &str, number: u32) {
        let awaited = Awaited {
            client: target.into(),
            source: source.into(),
            id: id.into(),
            number,
        };
        self.inbox.note(&mut vec![Note::Sent(Arc::new(awaited))]);
        self.round();
    }

    fn ack(&mut self, client: &str, messages: &[(&str, &str)]) -> Result<(), SettleError> {
        let messages = messages.iter().map(|(source, id)| MessageRef {
            source: (*source).to_owned(),
            id: message_id(id),
        });
        self.settle(client, messages.collect(), Vec::new())
    }

    fn settle(
        &mut self,
        client: &str,
        messages: Vec<MessageRef>,
        ids: Vec<MessageId>,
    ) -> Result<(), SettleError> {
        let (answer, mut answered) = oneshot::channel();
        let taken = self.inbox.command(Command::Settle {
            client: client.into(),
            messages,
            ids,
            answer,
        });
        assert!(taken);
        self.round();
        answered.try_recv().expect("answered in the round")
    }

    fn pending(&self) -> usize {
        self.actor.book().len()
    }

    /// What would be repeated to a client that connects now.
    fn owed(&mut self, client: &str) -> Vec<(String, u32)> {
        let (answer, mut answered) = oneshot::channel();
        let client = client.into();
        assert!(self.inbox.command(Command::Pending { client, answer }));
        self.round();
        let owed = answered.try_recv().expect("answered in the round");
        owed.iter()
            .map(|(_, awaited)| (awaited.id.to_string(), awaited.number))
            .collect()
    }

    fn repeats(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.passed.0.lock().expect("one thread"))
    }

    /// The receipts in a mailbox: message, client and status.
    fn receipts(&self, source: &str) -> Vec<(String, String, String)> {
        let messages = self.mailbox(source);
        let receipts = messages.iter().filter(|message| message["type"] == "ack");
        receipts
            .map(|message| {
                let text = |name: &str| message["payload"][name].as_str().expect("text").to_owned();
                (text("messageId"), text("clientId"), text("status"))
            })
            .collect()
    }

    fn mailbox(&self, client: &str) -> Vec<Value> {
        let selector = Selector {
            exact: vec![Subject::Client(client.into())],
            ..Selector::default()
        };
        let slice = Slice {
            after: Position::ZERO,
            upto: Position(u64::MAX),
            bytes_max: usize::MAX,
            rows_max: usize::MAX,
        };
        let page = self
            .runtime
            .block_on(
                self.store
                    .reading(move |reader| reader.read(&selector, slice)),
            )
            .expect("readable")
            .expect("readable");
        let parse = |entry: &Arc<Entry>| serde_json::from_slice(&entry.body).expect("JSON");
        page.entries.iter().map(parse).collect()
    }

    /// What can be asked of a message: statuses with their times since the start.
    fn found(&self, source: &str, id: &str) -> Option<Vec<(ReceiptStatus, u64)>> {
        let (source, id) = (source.to_owned(), id.to_owned());
        let found = self
            .runtime
            .block_on(self.store.reading(move |reader| find(reader, &source, &id)))
            .expect("readable")
            .expect("readable")?;
        let receipts = found.receipts.iter();
        Some(
            receipts
                .map(|receipt| (receipt.status, receipt.at - START))
                .collect(),
        )
    }

    fn trim(&mut self) {
        self.runtime.block_on(self.store.trim()).expect("trims");
        self.inbox.trimmed(self.store.trimmed_to(Class::Mailbox).0);
        self.round();
    }
}

fn open(
    runtime: &Runtime,
    store: &Store,
    inbox: &Arc<Inbox>,
    here: &Arc<Mutex<HashSet<String>>>,
) -> Actor {
    let here = Arc::clone(here);
    let connected = Box::new(move |client: &str| here.lock().expect("one thread").contains(client));
    runtime
        .block_on(Actor::open(
            RULES,
            store.clone(),
            Arc::clone(inbox),
            connected,
            Clock::start(),
            Clock::start().now(),
        ))
        .expect("readable")
}

fn record(source: &str, id: &str, target: &str) -> Record {
    let body = json!({
        "id": id, "type": "json", "priority": 1, "timestamp": 5, "source": source, "target": target,
        "payload": {"n": 1}, "requireAck": true,
    });
    Record {
        subject: Subject::Client(target.into()),
        source: source.into(),
        id: id.into(),
        fingerprint: 0,
        kind: Kind::new(MessageType::Json, true).number(),
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: body.to_string().into_bytes().into(),
    }
}

fn message_id(id: &str) -> MessageId {
    MessageId::parse(id, "id").expect("valid")
}

fn passed(client: &str, id: &str, number: u32) -> Passed {
    (client.to_owned(), id.to_owned(), number)
}

fn receipt(id: &str, client: &str, status: &str) -> (String, String, String) {
    (id.to_owned(), client.to_owned(), status.to_owned())
}

#[test]
fn a_message_that_is_not_acknowledged_passes_the_journal_again_live_only_and_numbered() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    world.pass(9_999);
    assert_eq!(world.repeats(), []);
    world.pass(1);
    assert_eq!(world.repeats(), [passed("alice", "m", 1)]);
    world.sent("bob", "m", "alice", 1);
    world.pass(20_000);
    assert_eq!(world.repeats(), [passed("alice", "m", 2)]);
    assert_eq!(world.mailbox("alice").len(), 1, "repeats are not stored");
}

#[test]
fn nothing_is_repeated_to_a_client_that_is_away() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    world.leave("alice");
    world.pass(1_000_000);
    assert_eq!(world.repeats(), []);
    world.attach("alice");
    world.pass(10_000);
    assert_eq!(world.repeats(), [passed("alice", "m", 1)]);
}

#[test]
fn a_repeat_that_no_socket_took_costs_no_attempt() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    for _ in 0..50 {
        world.pass(10_000);
        assert_eq!(world.repeats(), [passed("alice", "m", 1)]);
    }
    assert_eq!(world.pending(), 1);
}

#[test]
fn delivered_is_told_once_however_many_connections_and_repeats_there_are() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    assert_eq!(world.receipts("bob"), []);
    for number in [0, 0, 0, 1, 1] {
        world.sent("bob", "m", "alice", number);
    }
    assert_eq!(world.receipts("bob"), [receipt("m", "alice", "delivered")]);
}

#[test]
fn an_ack_ends_the_repeats_and_the_source_is_told() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    world.ack("alice", &[("bob", "m")]).expect("stored");
    let told = [
        receipt("m", "alice", "delivered"),
        receipt("m", "alice", "acknowledged"),
    ];
    assert_eq!(world.receipts("bob"), told);
    world.pass(1_000_000);
    assert_eq!((world.repeats(), world.pending()), (vec![], 0));
    assert_eq!(world.owed("alice"), []);
}

#[test]
fn an_ack_that_comes_before_the_note_of_the_sending_says_that_it_was_delivered() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.ack("alice", &[("bob", "m")]).expect("stored");
    world.sent("bob", "m", "alice", 0);
    let told = [
        receipt("m", "alice", "delivered"),
        receipt("m", "alice", "acknowledged"),
    ];
    assert_eq!(world.receipts("bob"), told);
}

#[test]
fn acks_are_idempotent_and_those_of_others_change_nothing() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.ack("carol", &[("bob", "m")]).expect("no error");
    world.ack("alice", &[("carol", "m")]).expect("no error");
    assert_eq!((world.pending(), world.receipts("bob")), (1, vec![]));
    for _ in 0..3 {
        world.ack("alice", &[("bob", "m")]).expect("stored");
    }
    assert_eq!((world.pending(), world.receipts("bob").len()), (0, 2));
}

#[test]
fn two_sources_with_the_same_message_id_are_two_messages() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.publish("carol", "m", "alice");
    world.ack("alice", &[("bob", "m")]).expect("stored");
    assert_eq!((world.pending(), world.receipts("carol")), (1, vec![]));
    assert_eq!(world.receipts("bob").len(), 2);
    assert_eq!(world.found("carol", "m"), Some(vec![]));
}

#[test]
fn an_ack_by_id_alone_settles_all_pending_messages_of_that_id() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.publish("carol", "m", "alice");
    world.publish("carol", "n", "alice");
    world.publish("erin", "m", "dora");
    world
        .settle("alice", Vec::new(), vec![message_id("m")])
        .expect("stored");
    assert_eq!(world.owed("alice"), [("n".to_owned(), 1)]);
    assert_eq!(world.pending(), 2);
}

#[test]
fn receipts_never_cause_receipts() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.ack("alice", &[("bob", "m")]).expect("stored");
    let receipts = world.mailbox("bob");
    for receipt in &receipts {
        let id = receipt["id"].as_str().expect("text");
        world.sent("$hub", id, "bob", 0);
        world.ack("bob", &[("$hub", id)]).expect("no error");
    }
    assert_eq!((world.pending(), world.mailbox("bob")), (0, receipts));
    assert_eq!(world.mailbox("$hub"), Vec::<Value>::new());
}

#[test]
fn receipts_are_durable_messages_of_type_ack_from_the_hub_with_a_day_to_live() {
    let mut world = World::new();
    let command = json!({
        "id": "m", "type": "command", "priority": 1, "timestamp": 5, "source": "bob", "target": "alice",
        "payload": {"commandId": "c1", "action": "execute"}, "requireAck": true,
    });
    world.append(Record {
        kind: Kind::new(MessageType::Command, true).number(),
        body: command.to_string().into_bytes().into(),
        ..record("bob", "m", "alice")
    });
    world.sent("bob", "m", "alice", 0);
    let [receipt] = &world.mailbox("bob")[..] else {
        panic!("one receipt");
    };
    assert_eq!(receipt["type"], "ack");
    assert_eq!(receipt["source"], "$hub");
    assert_eq!(receipt["target"], "bob");
    assert_eq!(receipt["ttl"], DAY_MS);
    assert_eq!(
        receipt["payload"],
        json!({
            "messageId": "m", "commandId": "c1", "clientId": "alice", "status": "delivered", "success": true,
        })
    );
}

#[test]
fn there_are_no_receipts_for_anonymous_and_none_for_the_hub() {
    let mut world = World::new();
    for source in ["anonymous", "$hub"] {
        world.publish(source, "m", "alice");
        world.sent(source, "m", "alice", 0);
        world.ack("alice", &[(source, "m")]).expect("stored");
        assert_eq!(world.mailbox(source), Vec::<Value>::new());
        // It can be asked all the same.
        let statuses = world.found(source, "m").expect("found");
        assert_eq!(statuses.len(), 2, "{source}");
    }
}

#[test]
fn a_crash_between_the_append_and_its_pending_record_loses_nothing() {
    let mut world = World::new();
    world.publish("bob", "before", "alice");
    world.round();
    world.publish("bob", "m", "alice");
    world.restart();
    assert_eq!(world.pending(), 2);
    world.sent("bob", "m", "alice", 0);
    assert_eq!(world.receipts("bob"), [receipt("m", "alice", "delivered")]);
}

#[test]
fn what_expired_between_a_crash_and_the_next_start_is_told_as_expired() {
    let mut world = World::new();
    world.append(Record {
        ttl_ms: Some(1_000),
        ..record("bob", "m", "alice")
    });
    world.wall.fetch_add(5_000, Ordering::Relaxed);
    world.restart();
    world.round();
    assert_eq!(world.receipts("bob"), [receipt("m", "alice", "expired")]);
}

#[test]
fn what_was_settled_before_a_crash_is_not_derived_again() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.ack("alice", &[("bob", "m")]).expect("stored");
    world.restart();
    assert_eq!((world.pending(), world.receipts("bob").len()), (0, 2));
}

#[test]
fn attempts_are_counted_on_after_a_restart() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    for number in 0..3 {
        world.sent("bob", "m", "alice", number);
    }
    world.restart();
    assert_eq!(world.owed("alice"), [("m".to_owned(), 3)]);
    world.sent("bob", "m", "alice", 3);
    assert_eq!(world.receipts("bob"), [receipt("m", "alice", "delivered")]);
}

#[test]
fn a_message_expires_when_its_attempts_are_used_up() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    for number in 1..10 {
        world.pass(300_000);
        assert_eq!(world.repeats(), [passed("alice", "m", number)]);
        world.sent("bob", "m", "alice", number);
    }
    world.pass(299_999);
    assert_eq!(world.pending(), 1);
    world.pass(1);
    assert_eq!((world.pending(), world.repeats()), (0, vec![]));
    let told = [
        receipt("m", "alice", "delivered"),
        receipt("m", "alice", "expired"),
    ];
    assert_eq!(world.receipts("bob"), told);
    let expired = &world.mailbox("bob")[1];
    assert_eq!(expired["payload"]["success"], false);
}

#[test]
fn a_message_expires_with_its_time_to_live_sent_or_not() {
    let mut world = World::new();
    let short_lived = |id| Record {
        ttl_ms: Some(1_000),
        ..record("bob", id, "alice")
    };
    world.append(short_lived("waits"));
    world.append(short_lived("sent"));
    world.sent("bob", "sent", "alice", 0);
    world.pass(999);
    assert_eq!(world.pending(), 2);
    world.pass(1);
    let told = [
        receipt("sent", "alice", "delivered"),
        receipt("sent", "alice", "expired"),
        receipt("waits", "alice", "expired"),
    ];
    assert_eq!(world.receipts("bob"), told);
    assert_eq!(world.owed("alice"), []);
}

#[test]
fn a_pending_message_that_retention_removes_is_expired() {
    let mut world = World::keeping(2);
    world.publish("anonymous", "gone", "alice");
    world.publish("anonymous", "kept", "alice");
    world.publish("anonymous", "newest", "alice");
    world.trim();
    assert_eq!(world.pending(), 2);
    let expired = Some(vec![(ReceiptStatus::Expired, 0)]);
    assert_eq!(world.found("anonymous", "gone"), expired);
    assert_eq!(world.found("anonymous", "kept"), Some(vec![]));
}

#[test]
fn what_became_of_a_message_can_be_asked_for_a_day() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.pass(5);
    world.sent("bob", "m", "alice", 0);
    assert_eq!(
        world.found("bob", "m"),
        Some(vec![(ReceiptStatus::Delivered, 5)])
    );
    world.pass(5);
    world.ack("alice", &[("bob", "m")]).expect("stored");
    let known = Some(vec![
        (ReceiptStatus::Delivered, 5),
        (ReceiptStatus::Acknowledged, 10),
    ]);
    assert_eq!(world.found("bob", "m"), known);
    world.pass(DAY_MS - 1);
    world.trim();
    assert_eq!(world.found("bob", "m"), known);
    world.pass(1);
    world.trim();
    assert_eq!(world.found("bob", "m"), Some(vec![]));
    assert_eq!(world.found("bob", "other"), None);
}

#[test]
fn entries_that_the_inbox_could_not_hold_are_read_from_history() {
    let mut world = World::new();
    world.publish("bob", "m", "alice");
    world.inbox.lose_entries();
    world.publish("bob", "n", "alice");
    world.publish("bob", "o", "alice");
    world.ack("alice", &[("bob", "n")]).expect("stored");
    assert_eq!(
        world.owed("alice"),
        [("m".to_owned(), 1), ("o".to_owned(), 1)]
    );
}

#[test]
fn a_message_whose_sending_was_noted_nowhere_is_repeated() {
    let mut world = World::new();
    world.attach("alice");
    world.publish("bob", "m", "alice");
    world.round();
    world.inbox.lose_notes();
    world.round();
    world.pass(10_000);
    assert_eq!(world.repeats(), [passed("alice", "m", 1)]);
}

#[test]
fn a_client_that_connects_owes_acks_in_the_order_of_the_journal() {
    let mut world = World::new();
    for id in ["c", "a", "b"] {
        world.publish("bob", id, "alice");
    }
    world.sent("bob", "a", "alice", 0);
    world.sent("bob", "a", "alice", 1);
    let owed = [("c", 1), ("a", 2), ("b", 1)].map(|(id, n)| (id.to_owned(), n));
    assert_eq!(world.owed("alice"), owed);
}

#[test]
fn an_ack_that_cannot_be_stored_is_refused_and_is_stored_once_there_is_room() {
    let retention = Retention {
        topic: Keep {
            count: 1,
            ..Keep::default()
        },
        ..Retention::default()
    };
    let mut world = World::with(Options {
        bytes_max: 3_000,
        retention,
        ..Options::default()
    });
    world.publish("bob", "m", "alice");
    world.round();
    for id in ["1", "2"] {
        world.append(Record {
            subject: Subject::Topic("news".into()),
            kind: MessageType::Json as u8,
            body: vec![b' '; 1_300].into(),
            ..record("bob", id, "alice")
        });
    }
    let refused = world.ack("alice", &[("bob", "m")]);
    let full = matches!(refused, Err(SettleError::Commit(error @ CommitError::Append(_))) if error.retryable());
    assert!(full, "{refused:?}");
    assert_eq!(world.round(), Round::Retry);
    world.trim();
    world.ack("alice", &[("bob", "m")]).expect("stored");
    let told = [
        receipt("m", "alice", "delivered"),
        receipt("m", "alice", "acknowledged"),
    ];
    assert_eq!(world.receipts("bob"), told);
    world.restart();
    assert_eq!(world.pending(), 0);
}

#[test]
fn a_copy_that_comes_again_takes_the_place_of_the_first_and_keeps_its_attempts() {
    let mut world = World::with(Options {
        idempotency_window: tidings_store::IdempotencyWindow { ms: 10, ids: 10 },
        ..Options::default()
    });
    let first = world.publish("bob", "m", "alice");
    world.sent("bob", "m", "alice", 0);
    world.sent("bob", "m", "alice", 1);
    world.pass(1_000);
    let second = world.publish("bob", "m", "alice");
    assert!(second > first);
    assert_eq!(world.owed("alice"), [("m".to_owned(), 2)]);
    assert_eq!(world.pending(), 1);
}

#[test]
fn a_client_that_owes_many_acks_is_sent_repeats_in_turns_and_all_of_them() {
    let mut world = World::new();
    world.attach("alice");
    world.attach("carol");
    let ids: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    for id in &ids {
        world.publish("bob", id, "alice");
        world.sent("bob", id, "alice", 0);
    }
    world.publish("bob", "x", "carol");
    world.sent("bob", "x", "carol", 0);
    let mut turns = Vec::new();
    world.pass(9_750);
    for _ in 0..4 {
        world.pass(250);
        let repeats = world.repeats();
        turns.push(repeats.len());
        for (client, id, number) in repeats {
            world.sent("bob", &id, &client, number);
        }
    }
    assert_eq!(turns, [9, 8, 4, 0]);
}

#[test]
fn what_is_written_down_before_retention_takes_it_is_told_as_expired_after_a_crash() {
    let mut world = World::keeping(1);
    world.publish("bob", "m", "alice");
    // As the hub asks for it before each run of retention.
    world.settle("alice", vec![], vec![]).expect("stored");
    world.publish("bob", "n", "alice");
    world
        .runtime
        .block_on(world.store.trim())
        .expect("memory trims");
    world.restart();
    world.round();
    assert_eq!(world.receipts("bob"), [receipt("m", "alice", "expired")]);
}
