//! The hub from one start to its crash: store, shards, and the keeper of pending acks, each acting only when it is told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tidings_protocol::api::{ConnectDetail, DisconnectReason, IdempotencyWindow, MessageRef};
use tidings_protocol::{ClientId, Cursor, MessageId, TopicPattern};
use tidings_store::{
    AppendError, Appended, Class, Entry, Follower, Options, Position, ReadError, Reader, Record,
    Store, Subject,
};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::pipe::{Pipe, Written};
use super::plan::{Plan, Time};
use crate::acks;
use crate::fanout::parts::{
    Asked, Card, Control, Handle, Inbox, Item, Key, Kinds, Registry, Request, Setup, Shard, Start,
    Target, TopicChange, answer, connect, decide, gap,
};
use crate::fanout::{self, Dispatcher, Instance, Metrics, Now, Observer, Opening, Place};
use crate::receipts::stepped::Stepped;
use crate::receipts::{self, Found};

pub(super) struct Machine {
    pub(super) store: Store,
    /// Answers of the readers wait here until they are let through.
    pub(super) hold_answers: bool,
    receipts: Stepped,
    inbox: Arc<receipts::Inbox>,
    shards: Vec<Shard<Pipe>>,
    handles: Arc<[Handle]>,
    _polls: Vec<mio::Poll>,
    asked: VecDeque<(usize, Key, Request)>,
    told: Told,
    written: Rc<RefCell<Vec<Written>>>,
    runtime: Rc<Runtime>,
    time: Time,
    started_ms: u64,
    next_shard: usize,
}

/// Keeps the receipts that the journal releases.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Arc<Entry>>>>);

impl Follower for Told {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        let receipts = entries.iter().filter(|entry| &*entry.source == "$hub");
        let mut told = self.0.lock().expect("no panic under the lock");
        told.extend(receipts.cloned());
    }
}

/// Where a connection is.
#[derive(Clone)]
pub(super) struct Line {
    shard: usize,
    key: Key,
    pub(super) pipe: Pipe,
}

/// A request for a stream.
pub(super) struct Wish {
    pub(super) client: ClientId,
    pub(super) topics: Vec<TopicPattern>,
    pub(super) kinds: Kinds,
    pub(super) cursor: Option<String>,
    pub(super) since: Option<fanout::Since>,
    pub(super) device: Option<ClientId>,
    pub(super) exclusive: Option<Instance>,
    pub(super) heartbeat_ms: u64,
}

impl Machine {
    /// Opens a store with `open` and everything on top of it.
    pub(super) fn start(
        plan: &Plan,
        time: &Time,
        runtime: &Rc<Runtime>,
        written: &Rc<RefCell<Vec<Written>>>,
        seed: u64,
        open: impl FnOnce(Options, Vec<Box<dyn Follower>>) -> Store,
    ) -> Self {
        let inbox = Arc::new(receipts::Inbox::new(receipts::Metrics::default()));
        let told = Told::default();
        let dispatcher = Dispatcher::default();
        let target = dispatcher.target();
        let followers: Vec<Box<dyn Follower>> = vec![
            Box::new(receipts::Follower(Arc::clone(&inbox))),
            Box::new(dispatcher),
            Box::new(told.clone()),
        ];
        let store = open(plan.options(time), followers);
        let started_ms = time.now_ms();
        let now = Now {
            mono_ms: 1_000,
            wall_ms: started_ms,
        };
        let setup = Setup {
            settings: plan.settings.clone(),
            epoch: store.epoch().into(),
            released: store.bounds().last.0,
            registry: Arc::<Registry>::default(),
            metrics: Metrics::default(),
        };
        let (mut shards, mut handles, mut polls) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..plan.settings.shards {
            let poll = mio::Poll::new().expect("a poll");
            let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
            let inbox = Inbox::new(waker, plan.settings.inbox_bytes_max, Metrics::default());
            let handle = Handle::new(number, Arc::new(inbox));
            let seed = seed ^ number as u64;
            shards.push(Shard::new(setup.clone(), &handle, now, seed));
            handles.push(handle);
            polls.push(poll);
        }
        let handles: Arc<[Handle]> = handles.into();
        let aimed = target.set(Target {
            epoch: setup.epoch,
            shards: Arc::clone(&handles),
        });
        assert!(aimed.is_ok(), "one fan-out for one store");
        let present = Arc::clone(&handles);
        let connected = move |client: &str| {
            let (subject, kind) = (
                Subject::Client(client.into()),
                tidings_protocol::MessageType::Json,
            );
            present
                .iter()
                .any(|shard| shard.audience(&subject, kind, None) > 0)
        };
        let receipts = runtime
            .block_on(Stepped::open(
                &plan.receipts,
                plan.settings.repeats_at_once(),
                store.clone(),
                Arc::clone(&inbox),
                connected,
                now,
            ))
            .expect("readable");
        Self {
            store,
            hold_answers: false,
            receipts,
            inbox,
            shards,
            handles,
            _polls: polls,
            asked: VecDeque::new(),
            told,
            written: Rc::clone(written),
            runtime: Rc::clone(runtime),
            time: time.clone(),
            started_ms,
            next_shard: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        let wall_ms = self.time.now_ms();
        // Nothing about the steady clock's beginning is known.
        Now {
            mono_ms: wall_ms - self.started_ms + 1_000,
            wall_ms,
        }
    }

    pub(super) fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>, AppendError> {
        self.runtime.block_on(self.store.append(records))
    }

    /// Retention, as the hub runs it.
    pub(super) fn trim(&mut self) {
        let now = self.now();
        let written = self.receipts.write_down(now);
        self.runtime.block_on(written).expect("stored");
        self.runtime.block_on(self.store.trim()).expect("trims");
        let to = self.store.trimmed_to(Class::Mailbox);
        self.receipts.trimmed(to);
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

    pub(super) fn find(&self, source: &str, id: &str) -> Option<Found> {
        let (source, id) = (source.to_owned(), id.to_owned());
        self.ask(move |reader| receipts::find(reader, &source, &id))
    }

    /// Receipts that were stored since the last call.
    pub(super) fn take_told(&self) -> Vec<Arc<Entry>> {
        std::mem::take(&mut *self.told.0.lock().expect("no panic under the lock"))
    }

    /// Everything of `GET /sse` but the head of its answer.
    pub(super) fn open(&mut self, wish: Wish) -> Opening {
        let now = self.now();
        let asked = Asked {
            client: wish.client.clone(),
            topics: wish.topics.clone(),
            cursor: wish.cursor,
            since: wish.since,
            device: wish.device,
        };
        let (store, newest) = (self.store.clone(), self.store.bounds().last);
        let Start {
            place,
            gaps,
            losses_known,
            resumed,
        } = self.ask(move |reader| decide(&store, reader, &asked, newest));
        let card = Arc::new(Card::new(
            wish.client,
            wish.topics,
            wish.kinds,
            SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            now.wall_ms,
            wish.heartbeat_ms,
            wish.exclusive,
        ));
        let repeats = self.repeats(card.client.as_str(), &place);
        let detail = ConnectDetail {
            client_id: card.client.clone(),
            connection_id: card.connection_id.to_string(),
            cursor: place.text(self.store.epoch()),
            resumed,
            topics: Vec::new(),
            heartbeat_interval: card.heartbeat_ms,
            max_event_bytes: 0,
            idempotency_window: IdempotencyWindow { ms: 1, ids: 1 },
        };
        let greeting = connect(&card, detail, !gaps.is_empty(), now);
        let gaps = gaps.into_iter().flat_map(|gap| self::gap(&card, gap, now));
        let gaps = gaps.collect();
        Opening {
            card,
            place,
            losses_known,
            greeting,
            repeats,
            gaps,
            expires_at: None,
        }
    }

    fn repeats(&mut self, client: &str, place: &Place) -> Vec<fanout::Repeat> {
        let now = self.now();
        let Self {
            runtime,
            receipts,
            store,
            ..
        } = self;
        runtime.block_on(receipts.repeats(store, client, place, now))
    }

    /// Hands an opening to the next shard, behind what waits there.
    pub(super) fn attach(&mut self, opening: Opening) -> Line {
        let shard = self.next_shard % self.shards.len();
        self.next_shard += 1;
        self.take_items(shard);
        let pipe = Pipe::new(&self.written);
        let now = self.now();
        let key = self.shards[shard].attach(opening, now, |_| pipe.clone());
        self.replace(shard);
        Line { shard, key, pipe }
    }

    pub(super) fn close(&mut self, line: &Line) {
        self.take_items(line.shard);
        self.shards[line.shard].close(line.key, "client");
    }

    pub(super) fn is_open(&mut self, line: &Line) -> bool {
        self.shards[line.shard].socket(line.key).is_some()
    }

    pub(super) fn make_room(&mut self, line: &Line, bytes: usize) {
        if line.pipe.make_room(bytes) {
            self.shards[line.shard].writable(line.key);
        }
    }

    pub(super) fn kick(&mut self, line: &Line) {
        self.control(line, Control::Disconnect(DisconnectReason::Kicked));
    }

    /// `None` when the connection has gone.
    pub(super) fn change_topics(&mut self, line: &Line, change: TopicChange) -> Option<Cursor> {
        let (reply, mut answer) = oneshot::channel();
        self.control(line, Control::Topic(change, reply));
        let cursor = answer.try_recv().ok()?.expect("few topics");
        Some(cursor.parse().expect("a cursor"))
    }

    fn control(&mut self, line: &Line, control: Control) {
        self.handles[line.shard]
            .inbox
            .push(Item::Control(line.key, control));
        self.take_items(line.shard);
    }

    /// One round of a shard, as its driver makes them; whether there may be more to do.
    pub(super) fn drive(&mut self, shard: usize, visits: usize) -> bool {
        let shard = shard % self.shards.len();
        self.take_items(shard);
        let now = self.now();
        self.shards[shard].advance(now);
        let more = self.shards[shard].sweep(visits, now);
        let asked = self.shards[shard].take_requests();
        self.asked
            .extend(asked.map(|(key, request)| (shard, key, request)));
        self.replace(shard);
        self.inbox.note(self.shards[shard].notes());
        let answered = !self.hold_answers && self.answer();
        more || answered
    }

    /// Lets one answer of the readers through; whether there was one.
    pub(super) fn answer(&mut self) -> bool {
        let Some((shard, key, request)) = self.asked.pop_front() else {
            return false;
        };
        let bounds = self.shards[shard].settings().history;
        let found = self.ask(move |reader| answer(reader, request, bounds));
        let now = self.now();
        self.take_items(shard);
        self.shards[shard].answer(key, Ok(found), now);
        true
    }

    /// Drives all shards until nothing is left to do.
    pub(super) fn settle(&mut self) {
        loop {
            let mut more = false;
            for shard in 0..self.shards.len() {
                more |= self.drive(shard, 8);
            }
            if !more {
                return;
            }
        }
    }

    fn take_items(&mut self, shard: usize) {
        let mut items = VecDeque::new();
        self.handles[shard].inbox.take(&mut items);
        let now = self.now();
        let state = &mut self.shards[shard];
        for item in items {
            match item {
                Item::Batch(batch) => state.release(&batch, now),
                Item::Missed { upto } => state.miss(upto, now),
                Item::Control(key, control) => state.control(key, control, now),
                other => unreachable!("nothing else is sent here: {other:?}"),
            }
        }
    }

    fn replace(&mut self, shard: usize) {
        let mut replaced: Vec<_> = self.shards[shard].take_replaced().collect();
        replaced.sort_by_key(|member| (member.shard, member.key.slot));
        for member in replaced {
            let control = Control::Disconnect(DisconnectReason::Replaced);
            let item = Item::Control(member.key, control);
            self.handles[member.shard].inbox.push(item);
        }
    }

    /// One round of the keeper of pending acks; whether there is more to do.
    pub(super) fn keep_acks(&mut self) -> bool {
        let now = self.now();
        self.runtime.block_on(self.receipts.round(now))
    }

    /// Messages that wait for an ack.
    pub(super) fn pending(&self) -> usize {
        self.receipts.pending()
    }

    pub(super) fn settle_acks(
        &mut self,
        client: &str,
        messages: Vec<MessageRef>,
        ids: Vec<MessageId>,
    ) {
        let now = self.now();
        self.runtime
            .block_on(self.receipts.settle(client, messages, ids, now))
            .expect("stored");
    }

    pub(super) fn ack_cursor(
        &self,
        client: &ClientId,
        device: Option<&ClientId>,
        cursor: &Cursor,
        from: Option<&Cursor>,
    ) -> bool {
        let acked = acks::acknowledge(&self.store, client, device, cursor, from);
        self.runtime.block_on(acked).expect("stored").applied
    }

    /// Where a connection without a cursor starts in its mailbox.
    pub(super) fn acked(&self, client: &ClientId, device: Option<&ClientId>) -> acks::Read {
        let (client, device) = (client.clone(), device.cloned());
        self.ask(move |reader| acks::stored(reader, &client, device.as_ref()))
            .unwrap_or_default()
    }

    pub(super) fn last(&self) -> Position {
        self.store.bounds().last
    }
}
