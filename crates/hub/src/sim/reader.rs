//! A client that reads, remembers its last id, and comes back with it; what it is sent is checked as it comes.

use std::collections::{HashMap, HashSet};

use tidings_protocol::{ClientId, Cursor, TopicPattern};
use tidings_store::Subject;

use super::machine::{Line, Wish};
use super::model::{Checked, Message, Model, ensure};
use super::pipe::{Event, Own};
use crate::acks;
use crate::fanout::parts::Kinds;
use crate::fanout::{Instance, Opening, Since};
use crate::kind::Kind;

pub(super) struct Reader {
    pub(super) client: ClientId,
    pub(super) device: Option<ClientId>,
    pub(super) kinds: Kinds,
    pub(super) exclusive: Option<Instance>,
    pub(super) heartbeat_ms: u64,
    /// What its next request names.
    pub(super) topics: Vec<TopicPattern>,
    pub(super) last_id: String,
    /// Decided by the hub, but not handed to a shard yet.
    pub(super) opening: Option<Opening>,
    pub(super) line: Option<Line>,
    pub(super) chain: Chain,
    /// Messages that it has ever got.
    pub(super) got: HashSet<usize>,
    /// The mailbox place before each loss that it was ever told of.
    pub(super) told: Vec<u64>,
    /// Got, asked for an ack, and not acked yet.
    pub(super) owes: Vec<usize>,
}

/// Everything since the client came without a cursor that the hub gave: from then on it went on from its last id.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) mailbox: acks::Read,
    pub(super) shared: u64,
    pub(super) begun_at_trim: usize,
    pub(super) messages_before: usize,
    /// What the client brought that the hub had never given.
    pub(super) foreign: Option<String>,
    pub(super) reconnected: bool,
    pub(super) messages_before_reconnect: usize,
    /// Where its unbroken reading began.
    pub(super) from: Option<Cursor>,
    /// What it reads, and since when.
    pub(super) subscriptions: Vec<(TopicPattern, u64)>,
    /// All that it ever read.
    pub(super) patterns: Vec<TopicPattern>,
    /// What was added while it was connected. A loss before that is told, or not.
    pub(super) added: Vec<TopicPattern>,
    pub(super) received: HashSet<usize>,
    pub(super) newest: HashMap<(String, u8), usize>,
    /// The cursor before each gap, and how often retention had run when it was read.
    pub(super) gaps: Vec<(Place, usize)>,
}

/// Of a cursor, what gaps are judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    mailbox: u64,
    shared: u64,
}

impl Chain {
    pub(super) fn subscribe(&mut self, pattern: TopicPattern, after: u64) {
        self.patterns.push(pattern.clone());
        self.subscriptions.push((pattern, after));
    }
}

impl Reader {
    pub(super) fn wish(&self, cursor: Option<String>, since: Option<Since>) -> Wish {
        Wish {
            client: self.client.clone(),
            topics: self.topics.clone(),
            kinds: self.kinds,
            cursor,
            since,
            device: self.device.clone(),
            exclusive: self.exclusive.clone(),
            heartbeat_ms: self.heartbeat_ms,
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.line.is_none() && self.opening.is_none()
    }

    /// The last id as a cursor; `None` before the first.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.last_id.parse().ok()
    }

    /// Takes an event; returns what is to be remembered of it.
    pub(super) fn take(&mut self, event: &Event, model: &Model) -> Checked {
        if !event.last_id.is_empty() {
            self.last_id.clone_from(&event.last_id);
            if self.chain.from.is_none() {
                self.chain.from = self.cursor();
            }
        }
        match &event.own {
            Some(Own::Gap { from, reason, .. }) => self.take_gap(from, reason, model),
            Some(_) => Ok(()),
            None => self.take_message(event, model),
        }
    }

    fn take_message(&mut self, event: &Event, model: &Model) -> Checked {
        let name = &self.client;
        let found = model.find(&event.source, &event.id);
        let Some(index) = found else {
            return Err(format!("{name} got {event:?}, which nobody sent"));
        };
        let one = &model.messages[index];
        let mine = one.target() == Some(name.as_str());
        self.got.insert(index);
        if one.asks() && !self.owes.contains(&index) {
            self.owes.push(index);
        }
        if event.redelivery.is_some() {
            ensure!(
                one.asks() && mine,
                "{name} got a repeat of {index} that it is not to get: {event:?}"
            );
            return Ok(());
        }
        ensure!(
            self.allows(index, one),
            "{name} got {index}, which was not to come: {event:?}, chain from {} and {}",
            self.chain.mailbox.position,
            self.chain.shared
        );
        ensure!(
            self.chain.received.insert(index),
            "{name} got {index} twice: {event:?}"
        );
        // Of a topic that it took up on the way it gets, when it comes again, what lies beside later messages of the others.
        if one.is_of(&self.chain.added) && index < self.chain.messages_before_reconnect {
            return Ok(());
        }
        let order = (event.source.clone(), event.priority);
        let before = self.chain.newest.insert(order, index);
        ensure!(
            before.is_none_or(|before| before < index),
            "{name} got {index} after {before:?}, which came later: {event:?}"
        );
        Ok(())
    }

    fn take_gap(&mut self, from: &str, reason: &str, model: &Model) -> Checked {
        let name = &self.client;
        if reason == "unknown_epoch" {
            ensure!(
                self.chain.foreign.as_deref() == Some(from),
                "{name} was told that {from} is unknown, but the hub gave it"
            );
            // What it skips so is said to be lost, too.
            self.told.push(0);
            return Ok(());
        }
        let place = match from.parse::<Cursor>() {
            Ok(cursor) if self.chain.foreign.as_deref() != Some(from) => Place {
                mailbox: cursor.mailbox,
                shared: cursor.shared,
            },
            _ => Place {
                mailbox: self.chain.mailbox.position,
                shared: self.chain.shared,
            },
        };
        let lost = model.messages.iter().any(|one| {
            let (Some(lost_in), Some(position)) = (one.lost_in, one.position) else {
                return false;
            };
            if one.target() == Some(name.as_str()) {
                return position > place.mailbox;
            }
            let counts = self.chain.reconnected
                || lost_in > self.chain.begun_at_trim
                || one.is_of(&self.chain.added);
            position > place.shared && counts && self.reads(one)
        });
        ensure!(lost, "{name} was told of a loss after {from}: nothing is");
        self.chain.gaps.push((place, model.trims));
        self.told.push(place.mailbox);
        Ok(())
    }

    /// What did not arrive in the chain is of no use any more, or is lost and was told so.
    pub(super) fn check_complete(&self, model: &Model, now: u64) -> Checked {
        for (index, one) in model.messages.iter().enumerate() {
            let Some(position) = one.position.filter(|_| self.requires(one)) else {
                continue;
            };
            if self.chain.received.contains(&index) || one.expired(now) {
                continue;
            }
            let is_mail = one.target().is_some();
            let told = one.lost_in.is_some_and(|lost_in| {
                !is_mail && lost_in <= self.chain.begun_at_trim
                    || self.chain.gaps.iter().any(|(place, trims)| {
                        let at = if is_mail { place.mailbox } else { place.shared };
                        at < position && *trims >= lost_in
                    })
            });
            ensure!(
                told,
                "{} lacks {index} at {position}, lost: {:?}, told: {:?}, last id {}",
                self.client,
                one.lost_in,
                self.chain.gaps,
                self.last_id
            );
        }
        Ok(())
    }

    /// Whether it was told of a loss after which this message of its mailbox lay.
    pub(super) fn was_told(&self, position: u64) -> bool {
        self.told.iter().any(|place| *place < position)
    }

    /// Whether such a message may come on this chain.
    fn allows(&self, index: usize, one: &Message) -> bool {
        let Some(position) = one.position else {
            let mine = one.target().map(|target| target == self.client.as_str());
            return index >= self.chain.messages_before && mine.unwrap_or_else(|| self.wants(one));
        };
        match one.target() {
            Some(target) => target == self.client.as_str() && self.awaits_mail(position),
            None => self.wants(one) && position > self.chain.shared,
        }
    }

    /// Whether it must come.
    fn requires(&self, one: &Message) -> bool {
        let Some(position) = one.position else {
            return false;
        };
        match (&one.record.subject, one.target()) {
            (_, Some(target)) => target == self.client.as_str() && self.awaits_mail(position),
            (Subject::Topic(topic), None) => {
                let reads = |(pattern, after): &(TopicPattern, u64)| {
                    position > *after && pattern.matches(topic)
                };
                self.wants(one)
                    && position > self.chain.shared
                    && self.chain.subscriptions.iter().any(reads)
            }
            _ => self.wants(one) && position > self.chain.shared,
        }
    }

    fn awaits_mail(&self, position: u64) -> bool {
        let acked = &self.chain.mailbox;
        position > acked.position && !acked.ahead.contains(&position)
    }

    /// Whether it is one of topics and broadcast that this chain ever read.
    pub(super) fn reads(&self, one: &Message) -> bool {
        match &one.record.subject {
            Subject::Client(_) => false,
            Subject::Topic(_) => one.is_of(&self.chain.patterns),
            Subject::All => true,
        }
    }

    fn wants(&self, one: &Message) -> bool {
        self.reads(one)
            && self.kinds.contains(Kind::stored(one.record.kind))
            && one.record.exclude.as_deref() != Some(self.client.as_str())
    }
}
