//! One seed from the first message to the last check.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::Hasher;
use std::rc::Rc;

use tidings_protocol::api::MessageRef;
use tidings_protocol::{ClientId, MessageType, TopicPattern};
use tidings_store::{AppendError, Appended, Position, Record, Subject};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::Xxh3;

use super::disk::Disk;
use super::ledger::{Ledger, message_id};
use super::machine::Machine;
use super::model::{Checked, Model, ensure};
use super::pipe::{Own, Written};
use super::plan::{Plan, START_MS, Time};
use super::planted::{self, Planted};
use super::reader::{Chain, Reader};
use crate::fanout::Since;
use crate::fanout::parts::{Jitter, Kinds, TopicChange};
use crate::kind::Kind;

const TOPICS: [&str; 4] = ["a", "b", "a/x", "c"];
const PATTERNS: [&str; 6] = ["a", "b", "c", "a/+", "a/#", "#"];
/// Some of them read their receipts.
const SOURCES: [&str; 4] = ["alice", "bob", "sensor", "anonymous"];
const TARGETS: [&str; 3] = ["alice", "bob", "carol"];

pub(super) struct Run {
    plan: Plan,
    dice: Jitter,
    time: Time,
    runtime: Rc<Runtime>,
    machine: Machine,
    disk: Option<Disk>,
    written: Rc<RefCell<Vec<Written>>>,
    model: Model,
    ledger: Ledger,
    readers: Vec<Reader>,
    seed: u64,
    serial: usize,
    crashes: usize,
    trace: Xxh3,
    /// Says everything that happens, for whoever looks into a seed.
    aloud: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Of all decisions and of all that clients saw.
    pub(super) trace: u64,
    pub(super) messages: usize,
    pub(super) crashes: usize,
}

/// Runs one seed; an error names the sentence that did not hold.
pub(super) fn run(seed: u64) -> Checked<Outcome> {
    let mut run = Run::new(seed);
    for step in 0..run.plan.steps {
        run.step()
            .map_err(|error| format!("step {step}: {error}"))?;
    }
    run.finish()
        .map_err(|error| format!("at the end: {error}"))?;
    Ok(Outcome {
        trace: run.trace.finish(),
        messages: run.model.messages.len(),
        crashes: run.crashes,
    })
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id, "clientId").expect("valid")
}

fn pattern(text: &str) -> TopicPattern {
    TopicPattern::parse(text, "topics").expect("valid")
}

fn readers(plan: &Plan) -> Vec<Reader> {
    let reader = |id: &str, topics: &[&str], kinds: &[MessageType]| Reader {
        client: client(id),
        device: None,
        kinds: Kinds::of(kinds),
        exclusive: None,
        heartbeat_ms: plan.heartbeat_ms,
        topics: topics.iter().map(|topic| pattern(topic)).collect(),
        last_id: String::new(),
        opening: None,
        line: None,
        chain: Chain::default(),
        got: HashSet::new(),
        told: Vec::new(),
        owes: Vec::new(),
    };
    let mut readers = vec![
        reader("alice", &["a", "b"], &MessageType::ALL),
        reader("bob", &["#", "a"], &MessageType::ALL),
        reader("carol", &["a/+"], &[MessageType::Text]),
        reader("alice", &["+", "a/#"], &[MessageType::Json]),
        Reader {
            device: Some(client("phone")),
            ..reader("bob", &["b"], &MessageType::ALL)
        },
    ];
    if plan.exclusive {
        readers.push(Reader {
            exclusive: Some("one".into()),
            ..reader("carol", &["a/x"], &MessageType::ALL)
        });
    }
    readers
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Jitter::new(seed);
        let plan = Plan::of(seed, &mut dice);
        let time = Time::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let runtime = Rc::new(runtime);
        let written = Rc::default();
        let disk = plan.on_disk.then(Disk::new);
        let machine = Machine::start(
            &plan,
            &time,
            &runtime,
            &written,
            seed,
            |options, followers| match &disk {
                Some(disk) => disk.open(options, followers),
                None => tidings_store::Store::open(options, followers).expect("memory opens"),
            },
        );
        Self {
            ledger: Ledger::new(plan.receipts.attempts_max),
            readers: readers(&plan),
            plan,
            dice,
            time,
            runtime,
            machine,
            disk,
            written,
            model: Model::default(),
            seed,
            serial: 0,
            crashes: 0,
            trace: Xxh3::new(),
            aloud: std::env::var_os("TIDINGS_SIM_TRACE").is_some(),
        }
    }

    fn step(&mut self) -> Checked {
        let number = self.dice.below(self.readers.len() as u64) as usize;
        let choice = self.dice.below(64);
        self.note(&format!("{choice} {number}"));
        match choice {
            0..=18 => self.publish()?,
            19 | 20 => self.publish_again()?,
            21 | 22 => self.cut(number)?,
            23..=28 => self.go_on(number),
            29 => self.start(number)?,
            30 => self.start_with_a_foreign_cursor(number)?,
            31..=35 => {
                let room = self.dice.below(3_000) as usize;
                self.make_room(number, room);
            }
            36..=38 => self.read(number)?,
            39 => self.machine.hold_answers = !self.machine.hold_answers,
            40 => _ = self.machine.answer(),
            41 => self.trim()?,
            42 => self.ack_cursor(number),
            43 | 44 => self.ack_messages(number)?,
            45 | 46 => self.pass()?,
            47 => self.change_topics(number),
            48 => self.kick(number),
            49..=51 => self.keep_acks()?,
            52 => self.maybe_crash()?,
            _ => {
                for _ in 0..self.dice.below(8) {
                    let shard = self.dice.below(4) as usize;
                    let visits = 1 + self.dice.below(3) as usize;
                    self.machine.drive(shard, visits);
                }
            }
        }
        self.look()
    }

    fn note(&mut self, line: &str) {
        self.trace.write(line.as_bytes());
        if self.aloud {
            eprintln!("{line}");
        }
    }

    /// Takes note of what happened inside the hub.
    fn look(&mut self) -> Checked {
        self.learn()?;
        for line in self.readers.iter().filter_map(|reader| reader.line.clone()) {
            self.trace.write_u64(line.pipe.taken());
        }
        Ok(())
    }

    /// Writings come before the receipts that they cause.
    fn learn(&mut self) -> Checked {
        let written = std::mem::take(&mut *self.written.borrow_mut());
        self.ledger.written(written, &self.model)?;
        let now = self.time.now_ms();
        for receipt in self.machine.take_told() {
            self.ledger.told(&receipt, &self.model, now)?;
            self.model.add_entry(&receipt);
        }
        Ok(())
    }

    fn publish(&mut self) -> Checked {
        let count = 1 + self.dice.below(4) * self.dice.below(6);
        let records: Vec<_> = (0..count).map(|_| self.record()).collect();
        let appended = self.machine.append(records.clone());
        self.accept(records, &appended.expect("stored"))
    }

    fn accept(&mut self, records: Vec<Record>, appended: &[Appended]) -> Checked {
        let now = self.time.now_ms();
        for (record, appended) in records.into_iter().zip(appended) {
            let position = match appended {
                Appended::Stored(Position(position)) => Some(*position),
                Appended::Passed => None,
                Appended::Duplicate(_) => {
                    return Err(format!("{} is taken for a copy", record.id));
                }
            };
            self.add(record, position, now);
        }
        self.learn()
    }

    fn add(&mut self, record: Record, position: Option<u64>, now: u64) {
        let index = self.model.add(record, position, now);
        if self.model.messages[index].asks() {
            self.ledger.accepted(index);
        }
    }

    fn record(&mut self) -> Record {
        let dice = &mut self.dice;
        let subject = match dice.below(10) {
            0 => Subject::All,
            1..=4 => Subject::Client(TARGETS[dice.below(3) as usize].into()),
            _ => Subject::Topic(TOPICS[dice.below(4) as usize].into()),
        };
        let source = SOURCES[dice.below(4) as usize];
        self.serial += 1;
        let id = format!("{:05}", self.serial);
        // Mostly normal, so that what overtakes is rare enough to overtake.
        let priority = [0, 1, 1, 1, 1, 1, 2, 3][dice.below(8) as usize];
        let is_mail = matches!(subject, Subject::Client(_));
        let asks = is_mail && dice.below(16) < self.plan.asking;
        let kind = if dice.below(3) == 0 {
            MessageType::Text
        } else {
            MessageType::Json
        };
        let (mut ttl_ms, mut durable, mut exclude) = (None, true, None);
        match dice.below(20) {
            0 | 1 => ttl_ms = Some(dice.below(30_000)),
            2 if !asks => durable = false,
            3 | 4 if !is_mail => exclude = Some(TARGETS[dice.below(3) as usize].into()),
            _ => {}
        }
        let body = format!(
            r#"{{"id":"{id}","type":"{}","priority":{priority},"source":"{source}","payload":"{}"{}}}"#,
            kind.as_str(),
            "x".repeat(dice.below(300) as usize),
            if asks { r#","requireAck":true"# } else { "" }
        );
        Record {
            subject,
            source: source.into(),
            id: id.as_str().into(),
            fingerprint: 1,
            kind: Kind::new(kind, asks).number(),
            priority,
            exclude,
            ttl_ms,
            durable,
            body: body.into_bytes().into(),
        }
    }

    /// A sender that heard no answer repeats: nothing comes of it. One that takes an id for something else is refused.
    fn publish_again(&mut self) -> Checked {
        let now = self.time.now_ms();
        let known: Vec<_> = (self.model.messages.iter().rev().take(100))
            .filter(|one| one.lost_in.is_none() && !one.expired(now))
            .filter(|one| &*one.record.source != "$hub")
            .filter_map(|one| Some((one.record.clone(), one.position?)))
            .collect();
        if !self.plan.long_window || known.is_empty() {
            return Ok(());
        }
        let (record, position) = known[self.dice.below(known.len() as u64) as usize].clone();
        let (id, other) = (record.id.clone(), self.dice.below(3) == 0);
        let fresh = self.record();
        let copy = Record {
            fingerprint: if other { 2 } else { 1 },
            ..record
        };
        match self.machine.append(vec![fresh.clone(), copy]) {
            Err(AppendError::Conflict { index: 1 }) if other => self.learn(),
            Ok(appended) if !other && appended[1] == Appended::Duplicate(Position(position)) => {
                self.accept(vec![fresh], &appended[..1])
            }
            answer => Err(format!("{id} again at {position}: {answer:?}")),
        }
    }

    fn cut(&mut self, number: usize) -> Checked {
        // What has arrived may be read, or be lost with the socket.
        if self.dice.below(2) == 0 {
            self.read(number)?;
        }
        if let Some(line) = self.readers[number].line.take() {
            self.machine.close(&line);
        }
        Ok(())
    }

    /// Comes back with the last id.
    fn go_on(&mut self, number: usize) {
        if self.readers[number].is_away() && self.readers[number].cursor().is_some() {
            let reader = &mut self.readers[number];
            let cursor = reader.cursor().expect("just seen");
            reader.chain.reconnected = true;
            reader.chain.messages_before_reconnect = self.model.messages.len();
            // A client names all its topics: they too are complete from the cursor.
            let topics = reader.topics.clone();
            let before = std::mem::take(&mut reader.chain.subscriptions);
            for topic in topics {
                let known = before.iter().find(|(pattern, _)| *pattern == topic);
                let after = known.map_or(cursor.shared, |(_, after)| cursor.shared.min(*after));
                reader.chain.subscribe(topic, after);
            }
            let wish = reader.wish(Some(reader.last_id.clone()), None);
            reader.opening = Some(self.machine.open(wish));
        }
        if self.dice.below(3) > 0 {
            self.attach(number);
        }
    }

    fn attach(&mut self, number: usize) {
        if let Some(opening) = self.readers[number].opening.take() {
            self.readers[number].line = Some(self.machine.attach(opening));
        }
    }

    /// Comes without a last id: what was acknowledged of the mailbox does not come again.
    fn start(&mut self, number: usize) -> Checked {
        let since = match self.dice.below(8) {
            0 | 1 => Some(Since::Earliest),
            2 => Some(Since::Last(self.dice.below(12) as u16)),
            3 => Some(Since::Time(
                self.time.now_ms() - self.dice.below(20_000).min(self.time.now_ms() - START_MS),
            )),
            4 => Some(Since::Now),
            _ => None,
        };
        self.begin(number, since, None)
    }

    /// Comes with something that this hub never gave.
    fn start_with_a_foreign_cursor(&mut self, number: usize) -> Checked {
        let beyond = self.machine.last().0 + 1_000;
        let text = match self.dice.below(3) {
            0 => "?".to_owned(),
            1 => "0123456789abcdef-5".to_owned(),
            _ => format!("{}-{beyond}", self.machine.store.epoch()),
        };
        self.begin(number, None, Some(text))
    }

    fn begin(&mut self, number: usize, since: Option<Since>, foreign: Option<String>) -> Checked {
        self.cut(number)?;
        self.readers[number].opening = None;
        let mut shared = self.shared_start(number, since);
        let reader = &mut self.readers[number];
        let mut mailbox = self.machine.acked(&reader.client, reader.device.as_ref());
        match foreign.as_deref() {
            Some(text) if text.ends_with("000") || text.starts_with(self.machine.store.epoch()) => {
                shared = self.machine.last().0;
                mailbox = crate::acks::Read {
                    position: shared,
                    ahead: Vec::new(),
                };
            }
            Some(_) => shared = 0,
            None => {}
        }
        reader.last_id.clear();
        reader.chain = Chain {
            mailbox,
            shared,
            begun_at_trim: self.model.trims,
            messages_before: self.model.messages.len(),
            foreign: foreign.clone(),
            ..Chain::default()
        };
        for topic in reader.topics.clone() {
            reader.chain.subscribe(topic, shared);
        }
        let wish = reader.wish(foreign, since);
        reader.opening = Some(self.machine.open(wish));
        if self.dice.below(3) > 0 {
            self.attach(number);
        }
        self.learn()
    }

    fn shared_start(&self, number: usize, since: Option<Since>) -> u64 {
        let messages = &self.model.messages;
        match since {
            None | Some(Since::Now | Since::Last(0)) => self.model.last(),
            Some(Since::Earliest) => 0,
            Some(Since::Time(at_ms)) => {
                let before = messages.iter().filter(|one| one.stored_at < at_ms);
                before.filter_map(|one| one.position).max().unwrap_or(0)
            }
            Some(Since::Last(count)) => {
                let (now, reader) = (self.time.now_ms(), &self.readers[number]);
                let reads = |topic: &str| reader.topics.iter().any(|one| one.matches(topic));
                let shared = messages.iter().filter(|one| {
                    let named = match &one.record.subject {
                        Subject::Client(_) => false,
                        Subject::Topic(topic) => reads(topic),
                        Subject::All => true,
                    };
                    named && one.lost_in.is_none() && !one.expired(now)
                });
                let newest: Vec<_> = shared.rev().filter_map(|one| one.position).collect();
                let first = newest.get(usize::from(count) - 1).or(newest.last());
                first.map_or_else(|| self.model.last(), |first| first - 1)
            }
        }
    }

    fn make_room(&mut self, number: usize, bytes: usize) {
        if let Some(line) = self.readers[number].line.clone() {
            self.machine.make_room(&line, bytes);
        }
    }

    /// Reads what has arrived; at the end of a stream that the hub closed there is no stream any more.
    fn read(&mut self, number: usize) -> Checked {
        let Some(line) = self.readers[number].line.clone() else {
            return Ok(());
        };
        let open = self.machine.is_open(&line);
        for event in line.pipe.read() {
            self.learn()?;
            self.note(&trace_of(&event, number));
            self.readers[number].take(&event, &self.model)?;
        }
        if !open {
            self.readers[number].line = None;
        }
        Ok(())
    }

    fn trim(&mut self) -> Checked {
        self.machine.trim();
        self.learn()?;
        let kept = self
            .model
            .kept()
            .into_iter()
            .map(Position)
            .collect::<Vec<_>>();
        let left = self.machine.ask(move |reader| reader.at(&kept));
        let left: Vec<_> = left.iter().map(|entry| entry.position.0).collect();
        self.model.trimmed(&left, self.time.now_ms());
        Ok(())
    }

    fn ack_cursor(&mut self, number: usize) {
        let plain = self.dice.below(2) == 0;
        let reader = &self.readers[number];
        let (Some(cursor), Some(from)) = (reader.cursor(), &reader.chain.from) else {
            return;
        };
        // Without a `from` it says that it began where the stored cursor was.
        let plain = plain && reader.chain.foreign.is_none();
        let from = Some(from).filter(|_| !plain);
        let device = reader.device.as_ref();
        let applied = (self.machine).ack_cursor(&reader.client, device, &cursor, from);
        self.note(&format!("acked {applied}"));
    }

    fn ack_messages(&mut self, number: usize) -> Checked {
        let reader = &mut self.readers[number];
        let mut acked = Vec::new();
        for index in std::mem::take(&mut reader.owes) {
            if self.dice.below(16) < self.plan.diligence {
                acked.push(index);
            } else {
                reader.owes.push(index);
            }
        }
        if self.dice.below(8) == 0 && !self.model.messages.is_empty() {
            // Of anything, of others too.
            acked.push(self.dice.below(self.model.messages.len() as u64) as usize);
        }
        let client = self.readers[number].client.as_str().to_owned();
        let (mut messages, mut ids) = (Vec::new(), Vec::new());
        for index in &acked {
            let record = &self.model.messages[*index].record;
            let id = message_id(&record.id);
            if self.dice.below(4) == 0 {
                ids.push(id);
            } else {
                let source = record.source.to_string();
                messages.push(MessageRef { source, id });
            }
            self.ledger.ack_is_sent(&client, *index, &self.model);
        }
        self.learn()?;
        self.machine.settle_acks(&client, messages, ids);
        self.learn()?;
        for index in acked {
            self.ledger.ack_is_answered(&client, index, &self.model);
        }
        Ok(())
    }

    /// A little time, or so much that sockets that take nothing are closed.
    fn pass(&mut self) -> Checked {
        let ms = match self.dice.below(3) {
            0 => 11_000,
            _ => self.dice.below(1_500),
        };
        self.time.pass(ms);
        if self.dice.below(2) == 0 {
            self.keep_acks()?;
        }
        Ok(())
    }

    fn change_topics(&mut self, number: usize) {
        let topic = pattern(PATTERNS[self.dice.below(PATTERNS.len() as u64) as usize]);
        let reader = &mut self.readers[number];
        let remove = reader.topics.contains(&topic);
        let change = if remove {
            TopicChange::Remove(topic.clone())
        } else {
            TopicChange::Add(topic.clone())
        };
        // Away, it names others when it comes again.
        let from = match &reader.line {
            Some(line) => match self.machine.change_topics(line, change) {
                Some(from) => from,
                None => return,
            },
            None if reader.opening.is_some() => return,
            None => match reader.cursor() {
                Some(cursor) => cursor,
                None => return,
            },
        };
        if remove {
            reader.topics.retain(|kept| *kept != topic);
            let subscriptions = &mut reader.chain.subscriptions;
            subscriptions.retain(|(pattern, _)| *pattern != topic);
        } else {
            reader.topics.push(topic.clone());
            reader.chain.added.push(topic.clone());
            reader.chain.subscribe(topic, from.shared);
        }
    }

    fn kick(&mut self, number: usize) {
        if let Some(line) = self.readers[number].line.clone() {
            self.machine.kick(&line);
        }
    }

    fn keep_acks(&mut self) -> Checked {
        self.learn()?;
        while self.machine.keep_acks() {}
        self.learn()?;
        self.ledger.noted(&self.model)
    }

    fn maybe_crash(&mut self) -> Checked {
        if self.dice.below(2) > 0 {
            return Ok(());
        }
        self.crashes += 1;
        for number in 0..self.readers.len() {
            self.cut_off(number)?;
        }
        self.learn()?;
        let in_flight: Vec<_> = (0..self.dice.below(5)).map(|_| self.record()).collect();
        let in_flight: Vec<_> = in_flight.into_iter().filter(|one| one.durable).collect();
        let survives = self.dice.below(2) == 0;
        let at_ms = self.time.now_ms();
        self.restart(in_flight.clone(), survives);
        self.ledger.crashed();
        self.learn()?;
        self.repeat_in_flight(in_flight, survives, at_ms)?;
        self.time.pass(self.dice.below(3) * 4_000);
        Ok(())
    }

    /// The hub has gone: what arrived before may be read, or not.
    fn cut_off(&mut self, number: usize) -> Checked {
        if self.dice.below(2) == 0 {
            self.read(number)?;
        }
        let reader = &mut self.readers[number];
        (reader.line, reader.opening) = (None, None);
        Ok(())
    }

    /// Drops everything in memory. The last append was not answered; it may have been stored or not.
    fn restart(&mut self, in_flight: Vec<Record>, survives: bool) {
        let Self {
            plan,
            time,
            runtime,
            written,
            seed,
            ..
        } = self;
        let seed = *seed ^ self.crashes as u64;
        self.machine = match &self.disk {
            Some(disk) => {
                let acknowledged = disk.log_bytes();
                self.machine.append(in_flight).expect("stored");
                let log_bytes_max = if survives { u64::MAX } else { acknowledged };
                let crashed = disk.crashed(log_bytes_max);
                let open = |options, followers| crashed.open(options, followers);
                let machine = Machine::start(plan, time, runtime, written, seed, open);
                self.disk = Some(crashed);
                machine
            }
            None => {
                if survives {
                    self.machine.append(in_flight).expect("stored");
                }
                let before = self.machine.store.clone();
                let reused = planted::is(Planted::PositionsAreReused)
                    .then(|| Position(self.model.last().saturating_sub(3)));
                let open = |options, followers| before.restarted(options, followers, reused);
                Machine::start(plan, time, runtime, written, seed, open)
            }
        };
        // What the dead hub wrote in its last moments went nowhere.
        self.written.borrow_mut().clear();
    }

    /// All of the last append is there, or nothing of it; its sender repeats it where that does not make it twice.
    fn repeat_in_flight(&mut self, records: Vec<Record>, survives: bool, at_ms: u64) -> Checked {
        let mut positions = Vec::new();
        for record in &records {
            let (source, id) = (record.source.clone(), record.id.clone());
            let found = self.machine.ask(move |reader| reader.locate(&source, &id));
            positions.push(found.map(|entry| entry.position.0));
        }
        ensure!(
            positions
                .iter()
                .all(|position| position.is_some() == survives),
            "of an append that was under way {positions:?} are there"
        );
        if survives {
            for (record, position) in records.iter().zip(&positions) {
                self.add(record.clone(), *position, at_ms);
            }
        }
        if !self.plan.long_window {
            return Ok(());
        }
        let appended = self.machine.append(records.clone()).expect("stored");
        if !survives {
            return self.accept(records, &appended);
        }
        let copies = positions.into_iter().flatten().map(Position);
        let copies: Vec<_> = copies.map(Appended::Duplicate).collect();
        ensure!(appended == copies, "{appended:?} instead of {copies:?}");
        Ok(())
    }

    /// Lets everything come to its end, and looks at what each client has.
    fn finish(&mut self) -> Checked {
        self.machine.hold_answers = false;
        self.drain()?;
        for _ in 0..400 {
            if self.machine.pending() == 0 {
                break;
            }
            self.time.pass(4_000);
            self.drain()?;
        }
        self.ledger.check_end(&self.machine, &self.model)?;
        let now = self.time.now_ms();
        for reader in self.staying() {
            reader.check_complete(&self.model, now)?;
        }
        // Once more without a cursor: what nobody acked.
        for number in 0..self.readers.len() {
            if self.readers[number].exclusive.is_none() {
                self.begin(number, None, None)?;
            }
        }
        self.drain()?;
        for reader in self.staying() {
            reader.check_complete(&self.model, now)?;
        }
        self.check_mailboxes()
    }

    /// All but the one that would push others out.
    fn staying(&self) -> impl Iterator<Item = &Reader> {
        let mut readers = self.readers.iter();
        std::iter::from_fn(move || readers.find(|reader| reader.exclusive.is_none()))
    }

    /// Everyone is connected and reads until nothing more comes.
    fn drain(&mut self) -> Checked {
        for number in 0..self.readers.len() {
            if self.readers[number].exclusive.is_some() {
                self.cut(number)?;
                self.readers[number].opening = None;
            }
        }
        loop {
            let before = (self.model.messages.len(), self.got());
            for number in 0..self.readers.len() {
                if self.readers[number].exclusive.is_none() {
                    self.come_and_read(number)?;
                }
            }
            self.keep_acks()?;
            let all_here = self.staying().all(|reader| reader.line.is_some());
            if all_here && before == (self.model.messages.len(), self.got()) {
                return Ok(());
            }
        }
    }

    fn got(&self) -> usize {
        self.readers.iter().map(|reader| reader.got.len()).sum()
    }

    fn come_and_read(&mut self, number: usize) -> Checked {
        if self.readers[number].is_away() {
            if self.readers[number].cursor().is_some() {
                self.go_on(number);
            } else {
                self.begin(number, None, None)?;
            }
        }
        self.attach(number);
        loop {
            self.make_room(number, 1 << 16);
            self.machine.settle();
            let Some(line) = self.readers[number].line.clone() else {
                return Ok(());
            };
            let taken = line.pipe.taken();
            self.read(number)?;
            self.machine.settle();
            if taken == line.pipe.taken() {
                return Ok(());
            }
        }
    }

    /// Every message to a client reached each of its devices, or nobody could have got it any more.
    fn check_mailboxes(&self) -> Checked {
        let now = self.time.now_ms();
        for reader in self.staying() {
            let same = |other: &&Reader| {
                (&other.client, &other.device) == (&reader.client, &reader.device)
            };
            let group: Vec<_> = self.readers.iter().filter(same).collect();
            for (index, one) in self.model.messages.iter().enumerate() {
                let Some(position) = one.position else {
                    continue;
                };
                let mine = one.target() == Some(reader.client.as_str());
                let told = || {
                    let mut group = group.iter();
                    one.lost_in.is_some() && group.any(|reader| reader.was_told(position))
                };
                ensure!(
                    !mine
                        || one.expired(now)
                        || group.iter().any(|reader| reader.got.contains(&index))
                        || told(),
                    "{} never got {index} at {position}, lost: {:?}",
                    reader.client,
                    one.lost_in
                );
            }
        }
        Ok(())
    }
}

/// What is the same in every run of a seed: ids that the hub makes and its epochs are not.
fn trace_of(event: &super::pipe::Event, number: usize) -> String {
    let cursor = event.last_id.split_once('-').map_or("", |(_, place)| place);
    let own = match &event.own {
        Some(Own::Gap { reason, .. }) => reason,
        Some(Own::Disconnect { reconnect: true }) => "come back",
        Some(Own::Disconnect { reconnect: false }) => "stay away",
        Some(Own::Connect { .. }) => "connect",
        Some(Own::Other) => "other",
        None if event.source == "$hub" => "receipt",
        None => &event.id,
    };
    format!(
        "{number} {cursor} {} {own} {:?}",
        event.source, event.redelivery
    )
}
