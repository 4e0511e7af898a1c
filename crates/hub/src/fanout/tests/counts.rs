//! The paths of a delivery whose instructions `cargo xtask counts` counts.
//!
//! Each is a function that is called once, with all that it needs made before, and depends on neither time nor chance but
//! for the seeds of hash maps. The tests see that the paths do their work.

use std::io::{self, IoSlice, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidings_protocol::{ClientId, Incoming, Message, MessageId, MessageType, TopicPattern};
use tidings_store::{Entry, Position, Subject};

use super::super::card::Card;
use super::super::clock::Now;
use super::super::frame::{Batch, Frame};
use super::super::inbox::Inbox;
use super::super::index::{Kinds, Slot, SubjectIndex};
use super::super::losses::KnownLosses;
use super::super::metrics::Metrics;
use super::super::opening::Opening;
use super::super::place::Place;
use super::super::settings::Settings;
use super::super::shard::{Handle, Key, Setup, Shard};
use super::world;
use crate::kind::Kind;

const EPOCH: &str = "k3v9q2";
const CONNECTIONS: usize = 1_000;
const NOW: Now = Now {
    mono_ms: 1_000,
    wall_ms: 1_700_000_000_000,
};

/// A message becomes a line of JSON, and a few of them a batch of frames.
#[inline(never)]
fn encode(messages: &[Message]) -> Vec<Arc<Batch>> {
    batches(messages)
}

/// The connections that read each subject.
#[inline(never)]
fn find(index: &SubjectIndex, subjects: &[Subject], readers: &mut Vec<Slot>) {
    for subject in subjects {
        let kind = MessageType::Json.into();
        index.each_reader(subject, kind, None, |slot| readers.push(slot));
    }
}

/// Each connection is offered each message, chooses and writes it.
#[inline(never)]
fn pending(shard: &mut Shard<Socket>, batches: &[Arc<Batch>]) {
    for batch in batches {
        shard.release(batch, NOW);
        while shard.sweep(CONNECTIONS, NOW) {}
    }
}

#[test]
fn every_message_is_encoded_into_a_frame_with_its_id() {
    let messages = messages(1_000);
    let batches = encode(&messages);
    let frames = batches.iter().flat_map(|batch| {
        let text = |frame: &Frame| batch.bytes(frame.with_id()).to_vec();
        batch.frames.iter().map(text)
    });
    let frames: Vec<Vec<u8>> = frames.collect();
    assert_eq!(frames.len(), messages.len());
    for (frame, message) in frames.iter().zip(&messages) {
        let frame = std::str::from_utf8(frame).expect("UTF-8");
        assert!(frame.starts_with("id: k3v9q2-"), "{frame}");
        assert!(frame.contains(message.id.as_str()), "{frame}");
    }
}

#[test]
fn every_exact_topic_finds_its_one_reader() {
    let index = index(|slot| format!("rooms/{slot}/state"));
    let mut readers = Vec::with_capacity(CONNECTIONS);
    find(&index, &subjects(), &mut readers);
    assert_eq!(readers, (0..CONNECTIONS as Slot).collect::<Vec<_>>());
}

#[test]
fn every_topic_finds_its_one_reader_by_a_pattern() {
    let index = index(|slot| format!("rooms/{slot}/+"));
    let mut readers = Vec::with_capacity(CONNECTIONS);
    find(&index, &subjects(), &mut readers);
    assert_eq!(readers, (0..CONNECTIONS as Slot).collect::<Vec<_>>());
}

#[test]
fn every_connection_is_written_every_message_at_once() {
    let batches = batches(&messages(40));
    let (mut shard, keys) = shard();
    pending(&mut shard, &batches);
    let frames = batches.iter().flat_map(|batch| &batch.frames);
    let bytes = frames.map(|frame| frame.with_id().len()).sum();
    for key in keys {
        let socket = shard.socket(key).expect("open");
        assert_eq!((socket.writes, socket.bytes), (batches.len(), bytes));
    }
}

/// Takes all bytes, at no cost.
#[derive(Debug, Default)]
struct Socket {
    writes: usize,
    bytes: usize,
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.writes += 1;
        self.bytes += bytes;
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// With payloads of 200 bytes.
fn messages(count: u128) -> Vec<Message> {
    let payload = serde_json::json!({ "text": "x".repeat(189) });
    let message = |number| {
        let body = serde_json::json!({ "payload": payload });
        let incoming = Incoming::parse(body.to_string().as_bytes()).expect("valid");
        incoming.into_message("alice", NOW.wall_ms, || MessageId::from_uuid(number))
    };
    (0..count).map(message).collect()
}

fn batches(messages: &[Message]) -> Vec<Arc<Batch>> {
    const BATCH: usize = 4;
    let batches = messages.chunks(BATCH).zip(0..).map(|(messages, number)| {
        let before = number * BATCH as u64;
        let entries = messages.iter().zip(before + 1..);
        let entries: Vec<Arc<Entry>> = entries.map(|(message, at)| entry(message, at)).collect();
        let last = Position(before + entries.len() as u64);
        Arc::new(Batch::encode(EPOCH, last, &entries))
    });
    batches.collect()
}

fn entry(message: &Message, position: u64) -> Arc<Entry> {
    Arc::new(Entry {
        position: Position(position),
        durable: message.durable,
        stored_at: message.timestamp,
        expires_at: None,
        subject: Subject::All,
        source: Arc::clone(&message.source),
        id: message.id.as_str().into(),
        kind: Kind::new(message.kind, message.require_ack).number(),
        priority: message.priority as u8,
        exclude: None,
        body: message.encode().into(),
    })
}

fn subjects() -> Vec<Subject> {
    let subject = |slot| Subject::Topic(format!("rooms/{slot}/state").into());
    (0..CONNECTIONS).map(subject).collect()
}

fn client(slot: usize) -> ClientId {
    ClientId::parse(&format!("client-{slot}"), "clientId").expect("valid")
}

fn index(topic: impl Fn(usize) -> String) -> SubjectIndex {
    let mut index = SubjectIndex::default();
    for slot in 0..CONNECTIONS {
        let pattern = TopicPattern::parse(&topic(slot), "topics").expect("valid");
        index.insert(slot as Slot, &client(slot), &[pattern], Kinds::ALL);
    }
    index
}

/// With connections that have gone live.
fn shard() -> (Shard<Socket>, Vec<Key>) {
    let settings = Settings {
        pending_max: 1_024,
        write_bytes: 64 * 1_024,
        ring_bytes_max: 8 << 20,
        ring_frames_max: 65_536,
        ..world::settings()
    };
    let poll = mio::Poll::new().expect("a poll");
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
    let handle = Handle::new(0, Arc::new(Inbox::new(waker, 1 << 20, Metrics::default())));
    let setup = Setup {
        settings,
        epoch: EPOCH.into(),
        released: 0,
        registry: Arc::default(),
        metrics: Metrics::default(),
    };
    let mut shard = Shard::new(setup, &handle, NOW, 7);
    let attach = |slot| {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let heartbeat_ms = 25_000;
        let card = Card::new(
            client(slot),
            Vec::new(),
            Kinds::ALL,
            peer,
            NOW.wall_ms,
            heartbeat_ms,
            None,
        );
        let opening = Opening {
            card: Arc::new(card),
            place: Place::default(),
            losses_known: KnownLosses::default(),
            greeting: Vec::new(),
            repeats: Vec::new(),
            gaps: Vec::new(),
            expires_at: None,
        };
        shard.attach(opening, NOW, |_| Socket::default())
    };
    let keys = (0..CONNECTIONS).map(attach).collect();
    while shard.sweep(CONNECTIONS, NOW) {}
    (shard, keys)
}
