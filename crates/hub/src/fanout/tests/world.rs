//! A shard with everything around it in one thread: the memory store, sockets with a capacity, clients that read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tidings_protocol::{ClientId, MessageType, TopicPattern, sse};
use tidings_store::{
    Appended, Entry, Follower, Options, Position, ReadError, Reader, Record, Store, Subject,
};
use tokio::runtime::Runtime;

use crate::acks;

use super::super::card::Card;
use super::super::clock::Now;
use super::super::frame::Batch;
use super::super::history::{self, Bounds, Request};
use super::super::inbox::Inbox;
use super::super::index::Kinds;
use super::super::metrics::Metrics;
use super::super::note::Note;
use super::super::opening::{Opening, Repeat, Since};
use super::super::settings::{Settings, Timing};
use super::super::shard::{Handle, Key, Setup, Shard};
use super::super::start::{Asked, decide};

/// One end of a connection: what the shard wrote, up to a capacity.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Rc<RefCell<Flow>>);

#[derive(Debug, Default)]
struct Flow {
    bytes: VecDeque<u8>,
    room: usize,
    blocked: bool,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut flow = self.0.borrow_mut();
        if flow.room == 0 {
            flow.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = bytes.len().min(flow.room);
        flow.room -= taken;
        flow.bytes.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        for slice in slices {
            match self.write(slice) {
                Ok(bytes) => taken += bytes,
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Released(Arc<Mutex<Vec<Vec<Arc<Entry>>>>>);

impl Follower for Released {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        self.0.lock().expect("one thread").push(entries.to_vec());
    }
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) shard: Shard<Pipe>,
    pub(super) now: Now,
    /// Answers of the readers wait here until they are let through.
    pub(super) hold_answers: bool,
    /// What the next client that connects has not acknowledged.
    pub(super) owed: Vec<Repeat>,
    asked: Vec<(Key, Request)>,
    released: Released,
    runtime: Runtime,
    epoch: String,
    _handle: Handle,
    _poll: mio::Poll,
}

/// A client that reads, remembers its last id, and comes back with it.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) topics: Vec<TopicPattern>,
    pub(super) last_id: String,
    /// Messages in the order of arrival.
    pub(super) received: Vec<Seen>,
    pub(super) gaps: usize,
    /// The cursor before each gap that was told.
    pub(super) gaps_from: Vec<String>,
    pub(super) heartbeat_ms: u64,
    pub(super) kinds: Kinds,
    line: Option<Line>,
}

struct Line {
    key: Key,
    pipe: Pipe,
    decoder: sse::Decoder,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) source: String,
    pub(super) id: String,
    pub(super) priority: u64,
    pub(super) cursor: String,
}

pub(super) fn settings() -> Settings {
    Settings {
        shards: 1,
        pending_max: 32,
        write_bytes: 2_048,
        writes_per_visit: 4,
        ring_bytes_max: 16 * 1_024,
        ring_frames_max: 64,
        inbox_bytes_max: 1 << 20,
        history: Bounds {
            bytes_max: 2_048,
            rows_max: 40,
        },
        timing: Timing {
            write_timeout_ms: 10_000,
            lifetime_ms: 0,
            retry_ms: 1_000,
        },
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self::with_store(settings, Options::default())
    }

    pub(super) fn with_store(settings: Settings, options: Options) -> Self {
        let released = Released::default();
        let store = Store::open(options, vec![Box::new(released.clone())]).expect("memory opens");
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let handle = Handle::new(0, Arc::new(Inbox::new(waker, 1 << 20, Metrics::default())));
        let now = Now {
            mono_ms: 1_000,
            wall_ms: 1_700_000_000_000,
        };
        let epoch = store.epoch().to_owned();
        let setup = Setup {
            settings,
            epoch: epoch.as_str().into(),
            released: 0,
            registry: Arc::default(),
            metrics: Metrics::default(),
        };
        let shard = Shard::new(setup, &handle, now, 7);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        Self {
            store,
            shard,
            now,
            hold_answers: false,
            owed: Vec::new(),
            asked: Vec::new(),
            released,
            runtime,
            epoch,
            _handle: handle,
            _poll: poll,
        }
    }

    /// Publishes in one commit; the shard hears of it at once.
    pub(super) fn publish(&mut self, records: Vec<Record>) -> Vec<Appended> {
        let appended = self.append(records);
        self.release();
        appended
    }

    pub(super) fn append(&mut self, records: Vec<Record>) -> Vec<Appended> {
        self.runtime
            .block_on(self.store.append(records))
            .expect("appended")
    }

    /// Hands on what the journal has released.
    pub(super) fn release(&mut self) {
        for batch in self.take_released() {
            self.shard.release(&batch, self.now);
        }
    }

    /// Loses what the journal has released, as a full inbox does.
    pub(super) fn miss(&mut self) {
        if let Some(batch) = self.take_released().last() {
            self.shard.miss(batch.last.0, self.now);
        }
    }

    fn take_released(&mut self) -> Vec<Arc<Batch>> {
        let released = std::mem::take(&mut *self.released.0.lock().expect("one thread"));
        let encode = |entries: Vec<Arc<Entry>>| {
            let last = entries
                .last()
                .map_or(Position::ZERO, |entry| entry.position);
            Arc::new(Batch::encode(&self.epoch, last, &entries))
        };
        released.into_iter().map(encode).collect()
    }

    /// Removes what retention does not keep.
    pub(super) fn trim(&mut self) {
        self.runtime
            .block_on(self.store.trim())
            .expect("memory trims");
    }

    /// Lets time pass for the shard; a store has a clock of its own.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.shard.advance(self.now);
    }

    /// What the store says, at once.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> T {
        let reading = self.store.reading(job);
        self.runtime
            .block_on(reading)
            .and_then(|answer| answer)
            .expect("readable")
    }

    /// Whether the hub has the client's stream open.
    pub(super) fn is_open(&mut self, client: &Client) -> bool {
        let key = client.line.as_ref().map(|line| line.key);
        key.is_some_and(|key| self.shard.socket(key).is_some())
    }

    /// Opens a stream from the client's last id, or from `since`.
    pub(super) fn connect(&mut self, client: &mut Client, since: Option<Since>) {
        let asked = Asked {
            client: client.id.clone(),
            topics: client.topics.clone(),
            cursor: Some(client.last_id.clone()).filter(|id| !id.is_empty()),
            since,
            device: None,
        };
        let store = self.store.clone();
        let newest = store.bounds().last;
        let reading = self
            .store
            .reading(move |reader| decide(&store, reader, &asked, newest));
        let start = self
            .runtime
            .block_on(reading)
            .expect("readable")
            .expect("decided");
        client.gaps += start.gaps.len();
        client
            .gaps_from
            .extend(start.gaps.into_iter().map(|gap| gap.from));
        client.last_id = start.place.text(&self.epoch);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let card = Card::new(
            client.id.clone(),
            client.topics.clone(),
            client.kinds,
            peer,
            0,
            client.heartbeat_ms,
            None,
        );
        let opening = Opening {
            card: Arc::new(card),
            place: start.place,
            losses_known: start.losses_known,
            greeting: Vec::new(),
            repeats: std::mem::take(&mut self.owed),
            gaps: Vec::new(),
            expires_at: None,
        };
        let pipe = Pipe::default();
        let key = self.shard.attach(opening, self.now, |_| pipe.clone());
        client.line = Some(Line {
            key,
            pipe,
            decoder: sse::Decoder::new(1 << 20),
        });
    }

    /// Acknowledges what the client has read, as read from the beginning.
    pub(super) fn ack(&mut self, client: &Client) -> bool {
        let cursor = client.last_id.parse().expect("a cursor");
        let acked = acks::acknowledge(&self.store, &client.id, None, &cursor, None);
        self.runtime.block_on(acked).expect("stored").applied
    }

    /// Which messages that wait for an ack were written, as they were noted: id and number of the repeat.
    pub(super) fn written(&mut self) -> Vec<(String, u32)> {
        let notes = self.shard.notes().drain(..);
        let written = notes.filter_map(|note| match note {
            Note::Sent(awaited) => Some((awaited.id.to_string(), awaited.number)),
            Note::Attached(_) => None,
        });
        written.collect()
    }

    pub(super) fn cut(&mut self, client: &mut Client) {
        if let Some(line) = client.line.take() {
            self.shard.close(line.key, "client");
        }
    }

    /// Lets the client take up to `bytes` more.
    pub(super) fn make_room(&mut self, client: &Client, bytes: usize) {
        if let Some(line) = &client.line {
            let mut flow = line.pipe.0.borrow_mut();
            flow.room += bytes;
            if std::mem::take(&mut flow.blocked) {
                self.shard.writable(line.key);
            }
        }
    }

    /// One round of writes and, unless they are held, of answers; whether there may be more to do.
    pub(super) fn step(&mut self) -> bool {
        let more = self.shard.sweep(1, self.now);
        self.asked.extend(self.shard.take_requests());
        if self.hold_answers {
            return more;
        }
        let asked = std::mem::take(&mut self.asked);
        let answered = !asked.is_empty();
        for (key, request) in asked {
            let bounds = self.shard.settings().history;
            let reading = self
                .store
                .reading(move |reader| history::answer(reader, request, bounds));
            let answer = self.runtime.block_on(reading).expect("readable");
            self.shard.answer(key, answer, self.now);
        }
        more || answered
    }

    pub(super) fn settle(&mut self) {
        while self.step() {}
    }

    /// Reads until nothing more comes.
    pub(super) fn read_all(&mut self, client: &mut Client) {
        loop {
            self.make_room(client, 1 << 16);
            self.settle();
            if !client.read() {
                return;
            }
        }
    }
}

impl Client {
    pub(super) fn new(id: &str, topics: &[&str]) -> Self {
        Self {
            id: ClientId::parse(id, "clientId").expect("valid"),
            topics: topics
                .iter()
                .map(|topic| TopicPattern::parse(topic, "topics").expect("valid"))
                .collect(),
            last_id: String::new(),
            received: Vec::new(),
            gaps: 0,
            gaps_from: Vec::new(),
            heartbeat_ms: 25_000,
            kinds: Kinds::ALL,
            line: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Reads what has arrived; whether there was anything.
    pub(super) fn read(&mut self) -> bool {
        let Some(line) = &mut self.line else {
            return false;
        };
        let bytes: Vec<u8> = line.pipe.0.borrow_mut().bytes.drain(..).collect();
        line.decoder.feed(&bytes);
        for event in line.decoder.by_ref() {
            let event = event.expect("within the limit");
            self.last_id.clone_from(&event.last_event_id);
            let message: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
            if message["payload"]["event"] == "gap" {
                self.gaps += 1;
                let from = &message["payload"]["detail"]["from"];
                self.gaps_from.push(from.as_str().expect("text").to_owned());
            } else if message["source"] != "$hub" {
                self.received.push(Seen {
                    source: message["source"].as_str().expect("text").to_owned(),
                    id: message["id"].as_str().expect("text").to_owned(),
                    priority: message["priority"].as_u64().expect("a number"),
                    cursor: event.last_event_id,
                });
            }
        }
        !bytes.is_empty()
    }

    /// The bytes that have arrived, as they are.
    pub(super) fn raw(&mut self) -> Vec<u8> {
        let line = self.line.as_ref().expect("connected");
        line.pipe.0.borrow_mut().bytes.drain(..).collect()
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        self.received.iter().map(|seen| seen.id.as_str()).collect()
    }
}

/// A record as the publish routes make it; `size` bytes of padding.
pub(super) fn record(
    subject: Subject,
    source: &str,
    id: &str,
    priority: u8,
    size: usize,
) -> Record {
    let body = serde_json::json!({
        "id": id, "type": "json", "priority": priority, "source": source, "payload": "x".repeat(size),
    });
    Record {
        subject,
        source: source.into(),
        id: id.into(),
        fingerprint: 0,
        kind: MessageType::Json as u8,
        priority,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: body.to_string().into_bytes().into(),
    }
}

pub(super) fn topic(name: &str) -> Subject {
    Subject::Topic(name.into())
}

pub(super) fn mailbox(client: &str) -> Subject {
    Subject::Client(client.into())
}
