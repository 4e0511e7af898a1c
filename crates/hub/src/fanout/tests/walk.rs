//! A random walk over everything that can happen to a shard and its clients, checked against what each should have got.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidings_protocol::{Cursor, MessageType};
use tidings_store::{
    Appended, Clock, IdempotencyWindow, Keep, Options, Position, Record, Retention, Subject,
};

use crate::acks;
use crate::kind::Kind;

use super::super::index::Kinds;
use super::super::jitter::Jitter;
use super::super::opening::Since;
use super::super::settings::Settings;
use super::world::{Client, World, mailbox, record, settings, topic};

const SEEDS: u64 = 200;
/// Rare ones, each the first that showed some defect.
const FOUND_DEFECTS: [u64; 1] = [713];
const STEPS: usize = 400;
/// Two streams belong to the same client.
const CLIENTS: [(&str, &[&str], &[MessageType]); 4] = [
    ("alice", &["a", "b"], &MessageType::ALL),
    ("bob", &["#", "a"], &MessageType::ALL),
    ("carol", &["a/+"], &[MessageType::Text]),
    ("alice", &["+", "a/#"], &[MessageType::Json]),
];
const TOPICS: [&str; 4] = ["a", "b", "a/x", "c"];
const SOURCES: [&str; 2] = ["s", "t"];
const START_MS: u64 = 1_700_000_000_000;

#[test]
fn every_message_arrives_once_and_in_order_or_a_gap_says_that_it_is_gone() {
    for seed in (0..SEEDS).chain(FOUND_DEFECTS) {
        let mut walk = Walk::new(seed);
        for _ in 0..STEPS {
            walk.step();
        }
        walk.finish();
    }
}

struct Walk {
    seed: u64,
    dice: Jitter,
    world: World,
    clock: Arc<AtomicU64>,
    published: Vec<Published>,
    streams: Vec<Stream>,
    /// How often retention has run.
    trims: usize,
}

struct Published {
    record: Record,
    /// `None`: live only.
    position: Option<u64>,
    stored_at: u64,
    /// The run of retention that removed it before its time to live had passed.
    lost_in: Option<usize>,
}

/// One client program, which reads, loses its connection, and comes back.
struct Stream {
    client: Client,
    chain: Chain,
}

/// What is read from one start on, over all connections that go on from the last id.
#[derive(Default)]
struct Chain {
    mailbox: acks::Read,
    shared: u64,
    begun_at_trim: usize,
    published_before: usize,
    received_before: usize,
    reconnected: bool,
    /// The cursor before each gap, and how often retention had run when it was read.
    gaps: Vec<(Cursor, usize)>,
    gaps_before: usize,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut dice = Jitter::new(seed);
        let settings = Settings {
            pending_max: 1 + dice.below(40) as usize,
            ring_frames_max: 1 + dice.below(60) as usize,
            writes_per_visit: 1 + dice.below(4) as usize,
            ..settings()
        };
        let clock = Arc::new(AtomicU64::new(START_MS));
        let time = Arc::clone(&clock);
        // Every other walk has a retention that takes much.
        let keep = |count: u64| Keep {
            age_ms: 0,
            bytes: 0,
            count: count * (seed % 2),
        };
        let options = Options {
            retention: Retention {
                mailbox: keep(5 + dice.below(60)),
                topic: keep(5 + dice.below(60)),
                broadcast: keep(1 + dice.below(20)),
            },
            // What has expired goes at the next run.
            idempotency_window: IdempotencyWindow { ms: 1, ids: 1 },
            clock: Clock::single(move || time.load(Ordering::Relaxed)),
            ..Options::default()
        };
        let mut world = World::with_store(settings, options);
        world.now.wall_ms = START_MS;
        let streams = CLIENTS.iter().map(|(id, topics, kinds)| {
            let mut client = Client::new(id, topics);
            client.kinds = Kinds::of(kinds);
            let chain = Chain::default();
            Stream { client, chain }
        });
        let mut walk = Self {
            seed,
            dice,
            world,
            clock,
            published: Vec::new(),
            streams: streams.collect(),
            trims: 0,
        };
        for number in 0..walk.streams.len() {
            walk.start(number);
        }
        walk
    }

    fn step(&mut self) {
        let number = self.dice.below(self.streams.len() as u64) as usize;
        match self.dice.below(40) {
            0..=15 => self.publish(),
            16 | 17 => self.world.cut(&mut self.streams[number].client),
            18..=21 => self.go_on(number),
            22 => self.start(number),
            23..=26 => {
                let room = self.dice.below(3_000) as usize;
                self.world.make_room(&self.streams[number].client, room);
            }
            27 | 28 => {
                self.streams[number].client.read();
                self.note_gaps(number);
            }
            29 | 30 => self.world.hold_answers = !self.world.hold_answers,
            31 => self.trim(),
            32 => {
                self.ack(number);
            }
            33 => self.pass(),
            _ => {
                for _ in 0..self.dice.below(8) {
                    self.world.step();
                }
            }
        }
    }

    fn finish(mut self) {
        self.world.hold_answers = false;
        for number in 0..self.streams.len() {
            self.go_on(number);
            self.world.read_all(&mut self.streams[number].client);
            self.note_gaps(number);
            self.check(number);
            self.check_complete(number);
        }
    }

    fn publish(&mut self) {
        let count = 1 + self.dice.below(4) * self.dice.below(6);
        let records: Vec<_> = (0..count).map(|n| self.record(n as usize)).collect();
        let appended = self.world.append(records.clone());
        let stored_at = self.clock.load(Ordering::Relaxed);
        let published = records.into_iter().zip(appended);
        self.published.extend(published.map(|(record, appended)| {
            let position = match appended {
                Appended::Stored(Position(position)) => Some(position),
                Appended::Passed => None,
                Appended::Duplicate(_) => unreachable!("each has an id of its own"),
            };
            Published {
                record,
                position,
                stored_at,
                lost_in: None,
            }
        }));
        match self.dice.below(20) {
            0 => self.world.miss(),
            _ => self.world.release(),
        }
    }

    fn record(&mut self, n: usize) -> Record {
        let Self {
            dice, published, ..
        } = self;
        let subject = match dice.below(8) {
            0 => Subject::All,
            1 | 2 => mailbox(CLIENTS[dice.below(3) as usize].0),
            _ => topic(TOPICS[dice.below(4) as usize]),
        };
        let source = SOURCES[dice.below(2) as usize];
        let id = format!("{:05}", published.len() + n);
        // Mostly normal, so that what overtakes is rare enough to overtake.
        let priority = [0, 1, 1, 1, 1, 1, 2, 3][dice.below(8) as usize];
        let mut record = record(subject, source, &id, priority, dice.below(400) as usize);
        if dice.below(10) == 0 {
            record.exclude = Some(CLIENTS[dice.below(3) as usize].0.into());
        }
        if dice.below(3) == 0 {
            record.kind = MessageType::Text as u8;
        }
        match dice.below(20) {
            0 | 1 => record.ttl_ms = Some(dice.below(30_000)),
            2 => record.durable = false,
            _ => {}
        }
        record
    }

    /// Comes back with the last id.
    fn go_on(&mut self, number: usize) {
        let Stream { client, chain } = &mut self.streams[number];
        if !client.is_connected() {
            chain.reconnected = true;
            self.world.connect(client, None);
            self.note_gaps(number);
        }
    }

    /// Comes without a last id: what was acknowledged of the mailbox does not come again.
    fn start(&mut self, number: usize) {
        self.world.cut(&mut self.streams[number].client);
        self.check(number);
        let Stream { client, .. } = &mut self.streams[number];
        let since = match self.dice.below(8) {
            0 | 1 => Some(Since::Earliest),
            2 => Some(Since::Last(self.dice.below(12) as u16)),
            3 => {
                let back = self.dice.below(20_000);
                Some(Since::Time(self.clock.load(Ordering::Relaxed) - back))
            }
            4 => Some(Since::Now),
            _ => None,
        };
        client.last_id.clear();
        let id = client.id.clone();
        let acked = self
            .world
            .ask(move |reader| acks::stored(reader, &id, None));
        let (received_before, gaps_before) = (client.received.len(), client.gaps_from.len());
        let shared = self.shared_start(number, since);
        let Stream { client, chain } = &mut self.streams[number];
        *chain = Chain {
            mailbox: acked.unwrap_or_default(),
            shared,
            begun_at_trim: self.trims,
            published_before: self.published.len(),
            received_before,
            gaps_before,
            ..Chain::default()
        };
        self.world.connect(client, since);
        self.note_gaps(number);
    }

    fn shared_start(&self, number: usize, since: Option<Since>) -> u64 {
        let client = &self.streams[number].client;
        let stored = || {
            self.published
                .iter()
                .filter_map(|published| published.position)
        };
        match since {
            None | Some(Since::Now | Since::Last(0)) => stored().max().unwrap_or(0),
            Some(Since::Earliest) => 0,
            Some(Since::Time(at_ms)) => {
                let before = self.published.iter().filter(|one| one.stored_at < at_ms);
                before.filter_map(|one| one.position).max().unwrap_or(0)
            }
            Some(Since::Last(count)) => {
                let now = self.clock.load(Ordering::Relaxed);
                let shared = self.published.iter().filter(|one| {
                    one.lost_in.is_none() && !one.expired(now) && one.is_shared_with(client)
                });
                let newest: Vec<_> = shared.rev().filter_map(|one| one.position).collect();
                let first = newest.get(usize::from(count) - 1).or(newest.last());
                first.map_or_else(|| stored().max().unwrap_or(0), |first| first - 1)
            }
        }
    }

    fn ack(&mut self, number: usize) {
        let client = &self.streams[number].client;
        if !client.last_id.is_empty() {
            self.world.ack(client);
        }
    }

    /// A little time, or so much that sockets that take nothing are closed.
    fn pass(&mut self) {
        let ms = match self.dice.below(3) {
            0 => 11_000,
            _ => self.dice.below(500),
        };
        self.clock.fetch_add(ms, Ordering::Relaxed);
        self.world.pass(ms);
        for stream in &mut self.streams {
            if stream.client.is_connected() && !self.world.is_open(&stream.client) {
                self.world.cut(&mut stream.client);
            }
        }
    }

    fn trim(&mut self) {
        self.world.trim();
        self.trims += 1;
        let now = self.clock.load(Ordering::Relaxed);
        let kept: Vec<_> = self
            .published
            .iter()
            .filter_map(|published| published.position.map(Position))
            .collect();
        let kept = self.world.ask(move |reader| reader.at(&kept));
        let mut kept = kept.iter().map(|entry| entry.position.0).peekable();
        for published in &mut self.published {
            let Some(position) = published.position else {
                continue;
            };
            if kept.next_if_eq(&position).is_none()
                && published.lost_in.is_none()
                && !published.expired(now)
            {
                published.lost_in = Some(self.trims);
            }
        }
    }

    fn note_gaps(&mut self, number: usize) {
        let Stream { client, chain } = &mut self.streams[number];
        for from in &client.gaps_from[chain.gaps_before..] {
            let from = from.parse().expect("a cursor");
            chain.gaps.push((from, self.trims));
        }
        chain.gaps_before = client.gaps_from.len();
    }

    /// What arrived was to arrive, once, in order; what was told of losses is true.
    fn check(&self, number: usize) {
        let Stream { client, chain } = &self.streams[number];
        let (seed, name) = (self.seed, client.id.as_str());
        let mut newest: HashMap<_, &str> = HashMap::new();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for seen in &client.received[chain.received_before..] {
            *times.entry(&seen.id).or_default() += 1;
            let before = newest.insert((&seen.source, seen.priority), &seen.id);
            assert!(
                before.is_none_or(|before| before < seen.id.as_str()),
                "seed {seed}, {name}: {before:?} before {seen:?}"
            );
            let index: usize = seen.id.parse().expect("a number");
            assert!(
                self.is_expected(number, index),
                "seed {seed}, {name}: {seen:?} was not to come"
            );
        }
        assert!(
            times.values().all(|times| *times == 1),
            "seed {seed}, {name}: not once each: {times:?}"
        );
        for (from, _) in &chain.gaps {
            let told = |one: &Published| {
                one.lost_in.is_some_and(|lost_in| match one.position {
                    Some(position) if one.is_for(client) => position > from.mailbox,
                    Some(position) if one.is_shared_with(client) => {
                        position > from.shared
                            && (chain.reconnected || lost_in > chain.begun_at_trim)
                    }
                    _ => false,
                })
            };
            assert!(
                self.published.iter().any(told),
                "seed {seed}, {name}: nothing is lost after {from}"
            );
        }
    }

    /// What did not arrive is of no use any more, or lost and told so.
    fn check_complete(&self, number: usize) {
        let Stream { client, chain } = &self.streams[number];
        let now = self.clock.load(Ordering::Relaxed);
        let seen = &client.received[chain.received_before..];
        let mut arrived: Vec<usize> = seen
            .iter()
            .map(|seen| seen.id.parse().expect("a number"))
            .collect();
        arrived.sort_unstable();
        for (index, one) in self.published.iter().enumerate() {
            let Some(position) = one.position.filter(|_| self.is_expected(number, index)) else {
                continue;
            };
            if arrived.binary_search(&index).is_ok() || one.expired(now) {
                continue;
            }
            let is_mail = one.is_for(client);
            let told = one.lost_in.is_some_and(|lost_in| {
                !is_mail && lost_in <= chain.begun_at_trim
                    || chain.gaps.iter().any(|(from, trims)| {
                        let at = if is_mail { from.mailbox } else { from.shared };
                        at < position && *trims >= lost_in
                    })
            });
            assert!(
                told,
                "seed {}, {}: {index} at {position} is missing; lost: {:?}, told: {:?}",
                self.seed, client.id, one.lost_in, chain.gaps
            );
        }
    }

    /// Whether the message belongs to what the chain reads.
    fn is_expected(&self, number: usize, index: usize) -> bool {
        let Stream { client, chain } = &self.streams[number];
        let one = &self.published[index];
        let Some(position) = one.position else {
            return index >= chain.published_before
                && (one.is_for(client) || one.is_wanted_by(client));
        };
        if one.is_for(client) {
            position > chain.mailbox.position && !chain.mailbox.ahead.contains(&position)
        } else {
            one.is_wanted_by(client) && position > chain.shared
        }
    }
}

impl Published {
    fn expired(&self, now: u64) -> bool {
        let ttl_ms = self.record.ttl_ms;
        ttl_ms.is_some_and(|ttl_ms| self.stored_at + ttl_ms <= now)
    }

    fn is_for(&self, client: &Client) -> bool {
        matches!(&self.record.subject, Subject::Client(id) if **id == *client.id.as_str())
    }

    fn is_shared_with(&self, client: &Client) -> bool {
        match &self.record.subject {
            Subject::Client(_) => false,
            Subject::Topic(name) => client.topics.iter().any(|pattern| pattern.matches(name)),
            Subject::All => true,
        }
    }

    fn is_wanted_by(&self, client: &Client) -> bool {
        self.is_shared_with(client)
            && client.kinds.contains(Kind::stored(self.record.kind))
            && self.record.exclude.as_deref() != Some(client.id.as_str())
    }
}
