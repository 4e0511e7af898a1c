//! Every message that waits for its ack, and what has changed since it was last written. No clock, no I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use tidings_protocol::api::{MessageRef, ReceiptStatus};
use tidings_protocol::{MessageId, MessageType};
use tidings_store::{Entry, Put, Record, Subject};

use super::cell::{self, Settled};
use super::decision::{Due, Pending, Rules, Sent};
use super::receipt;
use crate::fanout::{Awaited, Note, Now};
use crate::kind::Kind;

/// To whom, and the identity. Ordered so that what one client owes lies together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) client: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) id: Arc<str>,
}

/// A pending message in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) pending: Pending,
    /// Of a command, for its receipts.
    pub(super) command_id: Option<Arc<str>>,
    /// For when it is in the timetable.
    armed: Option<u64>,
}

/// A repeat that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) position: u64,
    pub(super) number: u32,
}

/// What is to be written, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) puts: Vec<Put>,
    pub(super) receipts: Vec<Record>,
}

/// What was counted since the last time somebody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) acknowledged: u64,
    pub(super) expired: u64,
    pub(super) receipts: u64,
}

#[derive(Debug)]
pub(super) struct Book {
    rules: Rules,
    /// Up to here retention has removed every mailbox message.
    trimmed_to: u64,
    kept: BTreeMap<Key, Kept>,
    /// By the steady clock.
    timetable: BTreeSet<(u64, Key)>,
    /// Records that are not as their cells are.
    dirty: BTreeSet<Key>,
    settled: Vec<(Key, Settled)>,
    receipts: Vec<Record>,
    pub(super) counts: Counts,
}

impl Kept {
    pub(super) fn new(pending: Pending, command_id: Option<Arc<str>>) -> Self {
        Self {
            pending,
            command_id,
            armed: None,
        }
    }
}

impl Book {
    pub(super) fn new(rules: Rules, trimmed_to: u64) -> Self {
        Self {
            rules,
            trimmed_to,
            kept: BTreeMap::new(),
            timetable: BTreeSet::new(),
            dirty: BTreeSet::new(),
            settled: Vec::new(),
            receipts: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Takes in what a cell holds.
    pub(super) fn load(&mut self, key: &Key, mut kept: Kept, now: Now) {
        kept.pending.resume(now, &self.rules);
        self.kept.insert(key.clone(), kept);
        self.arm(key, now);
    }

    /// Takes in an entry of the journal, if it waits for an ack. A copy of one that waits already takes its place in the
    /// journal, for it is kept longer.
    pub(super) fn accept(&mut self, entry: &Entry, now: Now) {
        let Subject::Client(client) = &entry.subject else {
            return;
        };
        if !entry.durable || !Kind::stored(entry.kind).require_ack() {
            return;
        }
        let key = Key {
            client: Arc::clone(client),
            source: Arc::clone(&entry.source),
            id: Arc::clone(&entry.id),
        };
        let fresh = Pending::new(entry.position.0, entry.expires_at);
        match self.kept.get_mut(&key) {
            Some(kept) => {
                kept.pending.position = fresh.position;
                kept.pending.expires_at = fresh.expires_at;
            }
            None => {
                let kept = Kept::new(fresh, command_id(entry));
                self.kept.insert(key.clone(), kept);
            }
        }
        self.arm(&key, now);
        self.dirty.insert(key);
    }

    /// Takes in what the fan-out tells.
    pub(super) fn note(&mut self, note: &Note, now: Now) {
        match note {
            Note::Sent(awaited) => self.sent(awaited, now),
            Note::Attached(client) => {
                self.each_of(client.as_str(), now, |pending, rules| {
                    pending.attached(now, rules);
                });
            }
        }
    }

    /// Notes were lost: anything may have been sent, and anyone may have come.
    pub(super) fn doubt(&mut self, now: Now) {
        let keys: Vec<_> = self.kept.keys().cloned().collect();
        for key in keys {
            if let Some(kept) = self.kept.get_mut(&key) {
                kept.pending.unsure(now, &self.rules);
            }
            self.arm(&key, now);
        }
    }

    /// Takes the client's acks: of messages, and of all that have one of the ids.
    pub(super) fn settle(
        &mut self,
        client: &str,
        messages: &[MessageRef],
        ids: &[MessageId],
        now: Now,
    ) {
        let ids: HashSet<&str> = ids.iter().map(MessageId::as_str).collect();
        let mut keys: Vec<Key> = messages
            .iter()
            .map(|message| Key {
                client: client.into(),
                source: message.source.as_str().into(),
                id: message.id.as_str().into(),
            })
            .collect();
        if !ids.is_empty() {
            let named = self.of(client).filter(|(key, _)| ids.contains(&*key.id));
            keys.extend(named.map(|(key, _)| key.clone()));
        }
        for key in keys {
            self.finish(&key, ReceiptStatus::Acknowledged, now);
        }
    }

    /// Retention has removed every mailbox message up to here.
    pub(super) fn trimmed(&mut self, to: u64, now: Now) {
        if to <= self.trimmed_to {
            return;
        }
        self.trimmed_to = to;
        let lost = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.pending.is_lost(now, to));
        let lost: Vec<_> = lost.map(|(key, _)| key.clone()).collect();
        for key in lost {
            self.finish(&key, ReceiptStatus::Expired, now);
        }
    }

    /// Does what is due, and returns what is to be sent again, at most `limit`.
    pub(super) fn advance(
        &mut self,
        now: Now,
        connected: impl Fn(&str) -> bool,
        limit: usize,
    ) -> Vec<Repeat> {
        let mut repeats = Vec::new();
        let mut of_client: HashMap<Arc<str>, usize> = HashMap::new();
        while repeats.len() < limit {
            let Some((due, _)) = self.timetable.first() else {
                break;
            };
            if *due > now.mono_ms {
                break;
            }
            let Some((_, key)) = self.timetable.pop_first() else {
                break;
            };
            let Some(kept) = self.kept.get_mut(&key) else {
                continue;
            };
            kept.armed = None;
            let here = connected(&key.client);
            match kept.pending.act(now, here, self.trimmed_to, &self.rules) {
                Due::Expire => self.finish(&key, ReceiptStatus::Expired, now),
                Due::Repeat(number) => {
                    let made = of_client.entry(Arc::clone(&key.client)).or_default();
                    *made += 1;
                    if *made > self.rules.at_once {
                        kept.pending.postpone(now);
                        self.arm(&key, now);
                        continue;
                    }
                    let position = kept.pending.position;
                    repeats.push(Repeat { position, number });
                    self.arm(&key, now);
                }
                Due::Nothing => self.arm(&key, now),
            }
        }
        repeats
    }

    /// What the client owes an ack for, in the order of the journal, each as the repeat that it would be now.
    pub(super) fn pending_of(&self, client: &str, now: Now) -> Vec<(u64, Arc<Awaited>)> {
        let owed = self.of(client).filter_map(|(key, kept)| {
            let lost = kept.pending.is_lost(now, self.trimmed_to);
            let number = kept.pending.next_repeat(&self.rules).filter(|_| !lost)?;
            let awaited = Awaited {
                client: Arc::clone(&key.client),
                source: Arc::clone(&key.source),
                id: Arc::clone(&key.id),
                number,
            };
            Some((kept.pending.position, Arc::new(awaited)))
        });
        let mut owed: Vec<_> = owed.collect();
        owed.sort_unstable_by_key(|(position, _)| *position);
        owed
    }

    /// When something is due, by the steady clock.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.timetable.first().map(|(due, _)| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What has changed; from now on it counts as written.
    pub(super) fn take_changes(&mut self) -> Changes {
        let dirty = std::mem::take(&mut self.dirty);
        #[cfg(test)]
        let dirty = crate::sim::planted::without_last(dirty);
        let pending = dirty.iter().map(|key| match self.kept.get(key) {
            Some(kept) => cell::put_pending(key, kept),
            None => cell::delete_pending(key),
        });
        let settled = std::mem::take(&mut self.settled);
        let settled = settled
            .iter()
            .map(|(key, settled)| cell::put_settled(key, settled));
        Changes {
            puts: pending.chain(settled).collect(),
            receipts: std::mem::take(&mut self.receipts),
        }
    }

    fn sent(&mut self, awaited: &Awaited, now: Now) {
        let key = Key {
            client: Arc::clone(&awaited.client),
            source: Arc::clone(&awaited.source),
            id: Arc::clone(&awaited.id),
        };
        // It may have been settled in the meantime.
        let Some(kept) = self.kept.get_mut(&key) else {
            return;
        };
        match kept.pending.sent(awaited.number, now, &self.rules) {
            Sent::Known => return,
            Sent::Repeated => {}
            Sent::Delivered => self.tell(&key, ReceiptStatus::Delivered, now),
        }
        self.arm(&key, now);
        self.dirty.insert(key);
    }

    /// It waits no more. An ack without a note that it was sent says that it was.
    fn finish(&mut self, key: &Key, status: ReceiptStatus, now: Now) {
        let Some(kept) = self.kept.get_mut(key) else {
            return;
        };
        let acknowledged = status == ReceiptStatus::Acknowledged;
        if acknowledged && kept.pending.delivered_at.is_none() {
            kept.pending.delivered_at = Some(now.wall_ms);
            self.tell(key, ReceiptStatus::Delivered, now);
        }
        self.tell(key, status, now);
        let Some(kept) = self.kept.remove(key) else {
            return;
        };
        if let Some(armed) = kept.armed {
            self.timetable.remove(&(armed, key.clone()));
        }
        let settled = Settled {
            status,
            at: now.wall_ms,
            delivered_at: kept.pending.delivered_at,
        };
        self.settled.push((key.clone(), settled));
        self.dirty.insert(key.clone());
        if acknowledged {
            self.counts.acknowledged += 1;
        } else {
            self.counts.expired += 1;
        }
    }

    fn tell(&mut self, key: &Key, status: ReceiptStatus, now: Now) {
        let command_id = self
            .kept
            .get(key)
            .and_then(|kept| kept.command_id.as_deref());
        if let Some(receipt) = receipt::record(key, command_id, status, now.wall_ms) {
            self.receipts.push(receipt);
            self.counts.receipts += 1;
        }
    }

    fn of(&self, client: &str) -> impl Iterator<Item = (&Key, &Kept)> {
        let first = Key {
            client: client.into(),
            source: "".into(),
            id: "".into(),
        };
        self.kept
            .range(first.clone()..)
            .take_while(move |(key, _)| key.client == first.client)
    }

    fn each_of(&mut self, client: &str, now: Now, act: impl Fn(&mut Pending, &Rules)) {
        let keys: Vec<_> = self.of(client).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(kept) = self.kept.get_mut(&key) {
                act(&mut kept.pending, &self.rules);
            }
            self.arm(&key, now);
        }
    }

    /// Brings the timetable in line with the record.
    fn arm(&mut self, key: &Key, now: Now) {
        let Some(kept) = self.kept.get_mut(key) else {
            return;
        };
        // The time to live is told by the wall clock.
        let expiry = kept
            .pending
            .expires_at
            .map(|at| now.mono_ms.saturating_add(at.saturating_sub(now.wall_ms)));
        let due = [kept.pending.due, expiry].into_iter().flatten().min();
        if due == kept.armed {
            return;
        }
        if let Some(armed) = std::mem::replace(&mut kept.armed, due) {
            self.timetable.remove(&(armed, key.clone()));
        }
        if let Some(due) = due {
            self.timetable.insert((due, key.clone()));
        }
    }
}

/// The id that a command has in its payload.
fn command_id(entry: &Entry) -> Option<Arc<str>> {
    #[derive(Deserialize)]
    struct Body {
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        command_id: Arc<str>,
    }
    if Kind::stored(entry.kind).message_type() != Some(MessageType::Command) {
        return None;
    }
    let body = serde_json::from_slice::<Body>(&entry.body).ok()?;
    Some(body.payload.command_id)
}
