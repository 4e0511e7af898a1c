//! Which connections read which subjects.
//!
//! Each shard has one index. The shard alone changes it; publishers read it to count an audience and to learn whether
//! the shard must wake at all. It knows connections by their slot number only, reads no clock and does no I/O.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tidings_protocol::{ClientId, MessageType, TopicPattern};
use tidings_store::Subject;

use crate::kind::Kind;

/// Number of a connection in its shard.
pub(crate) type Slot = u32;

/// A set of message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const ALL: Self = Self(u8::MAX);

    pub(crate) fn of(kinds: &[MessageType]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | 1 << (*kind as u8)))
    }

    pub(crate) fn contains(self, kind: Kind) -> bool {
        kind.message_type()
            .map_or(self == Self::ALL, |kind| self.0 & 1 << kind as u8 != 0)
    }
}

/// The connections of a subject. Nearly every client has one, which is not worth a piece of memory of its own.
#[derive(Debug)]
enum Slots {
    One(Slot),
    Many(Vec<Slot>),
}

#[derive(Debug, Default)]
pub(crate) struct SubjectIndex {
    clients: HashMap<Arc<str>, Slots>,
    topics: HashMap<Arc<str>, Slots>,
    patterns: PatternTree,
    /// Every connection reads broadcast.
    all: Vec<Slot>,
    /// Types filter by slot; holds only those that have one.
    filters: HashMap<Slot, Kinds>,
}

impl SubjectIndex {
    pub(crate) fn insert(
        &mut self,
        slot: Slot,
        client: &ClientId,
        topics: &[TopicPattern],
        kinds: Kinds,
    ) {
        push(&mut self.clients, client.clone().into(), slot);
        for pattern in topics {
            match pattern.exact() {
                Some(_) => push(&mut self.topics, pattern.clone().into(), slot),
                None => self.patterns.insert(pattern, slot),
            }
        }
        self.all.push(slot);
        if kinds != Kinds::ALL {
            self.filters.insert(slot, kinds);
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot, client: &ClientId, topics: &[TopicPattern]) {
        take(&mut self.clients, client.as_str(), slot);
        for pattern in topics {
            match pattern.exact() {
                Some(topic) => take(&mut self.topics, topic, slot),
                None => self.patterns.remove(pattern, slot),
            }
        }
        remove_slot(&mut self.all, slot);
        self.filters.remove(&slot);
    }

    /// Calls `each` for every connection that reads the message; twice for one that reads it in two ways.
    pub(crate) fn each_reader(
        &self,
        subject: &Subject,
        kind: Kind,
        exclude: Option<&str>,
        mut each: impl FnMut(Slot),
    ) {
        let excluded = exclude
            .and_then(|client| self.clients.get(client))
            .map_or(&[][..], Slots::as_slice);
        let mut each = |slot: Slot, shared: bool| {
            // Neither applies to a mailbox, which is always sent whole.
            let filtered = || {
                excluded.contains(&slot)
                    || !self.filters.is_empty()
                        && self
                            .filters
                            .get(&slot)
                            .is_some_and(|kinds| !kinds.contains(kind))
            };
            if !shared || !filtered() {
                each(slot);
            }
        };
        match subject {
            Subject::Client(client) => slots(&self.clients, client)
                .iter()
                .for_each(|slot| each(*slot, false)),
            Subject::All => self.all.iter().for_each(|slot| each(*slot, true)),
            Subject::Topic(topic) => {
                slots(&self.topics, topic)
                    .iter()
                    .for_each(|slot| each(*slot, true));
                self.patterns
                    .each_match(topic, &mut |slot| each(slot, true));
            }
        }
    }

    /// Whether any connection may read the message.
    pub(crate) fn has_reader(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Client(client) => self.clients.contains_key(client),
            Subject::All => !self.all.is_empty(),
            Subject::Topic(topic) => {
                self.topics.contains_key(topic) || {
                    let mut found = false;
                    self.patterns.each_match(topic, &mut |_| found = true);
                    found
                }
            }
        }
    }

    /// How many connections read the message.
    pub(crate) fn count(&self, subject: &Subject, kind: Kind, exclude: Option<&str>) -> usize {
        if let Subject::Client(client) = subject {
            return slots(&self.clients, client).len();
        }
        if exclude.is_none() && self.filters.is_empty() {
            match subject {
                Subject::All => return self.all.len(),
                Subject::Topic(topic) if self.patterns.is_empty() => {
                    return slots(&self.topics, topic).len();
                }
                Subject::Client(_) | Subject::Topic(_) => {}
            }
        }
        let mut readers = Vec::new();
        self.each_reader(subject, kind, exclude, |slot| readers.push(slot));
        readers.sort_unstable();
        readers.dedup();
        readers.len()
    }
}

/// Patterns with wildcards, as a tree of topic levels.
#[derive(Debug, Default)]
struct PatternTree {
    levels: HashMap<Box<str>, PatternTree>,
    /// `+`: one level, whatever it is.
    one: Option<Box<PatternTree>>,
    /// `#`: the rest, also nothing.
    rest: Vec<Slot>,
    /// Patterns that end here.
    here: Vec<Slot>,
}

impl PatternTree {
    fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.one.is_none() && self.rest.is_empty() && self.here.is_empty()
    }

    fn insert(&mut self, pattern: &TopicPattern, slot: Slot) {
        let mut node = self;
        for level in pattern.as_str().split('/') {
            match level {
                "#" | "**" => return node.rest.push(slot),
                "+" | "*" => node = node.one.get_or_insert_default(),
                _ => node = node.levels.entry(level.into()).or_default(),
            }
        }
        node.here.push(slot);
    }

    fn remove(&mut self, pattern: &TopicPattern, slot: Slot) {
        self.remove_levels(Some(pattern.as_str()), slot);
    }

    fn remove_levels(&mut self, rest: Option<&str>, slot: Slot) {
        let Some(rest) = rest else {
            return remove_slot(&mut self.here, slot);
        };
        let (level, rest) = rest
            .split_once('/')
            .map_or((rest, None), |(level, rest)| (level, Some(rest)));
        match level {
            "#" | "**" => remove_slot(&mut self.rest, slot),
            "+" | "*" => {
                if let Some(node) = &mut self.one {
                    node.remove_levels(rest, slot);
                    self.one.take_if(|node| node.is_empty());
                }
            }
            _ => {
                if let Some(node) = self.levels.get_mut(level) {
                    node.remove_levels(rest, slot);
                    if node.is_empty() {
                        self.levels.remove(level);
                    }
                }
            }
        }
    }

    fn each_match(&self, topic: &str, each: &mut impl FnMut(Slot)) {
        if !self.is_empty() {
            self.each_match_levels(Some(topic), each);
        }
    }

    fn each_match_levels(&self, rest: Option<&str>, each: &mut impl FnMut(Slot)) {
        self.rest.iter().for_each(|slot| each(*slot));
        let Some(rest) = rest else {
            return self.here.iter().for_each(|slot| each(*slot));
        };
        let (level, rest) = rest
            .split_once('/')
            .map_or((rest, None), |(level, rest)| (level, Some(rest)));
        if let Some(node) = self.levels.get(level) {
            node.each_match_levels(rest, each);
        }
        if let Some(node) = &self.one {
            node.each_match_levels(rest, each);
        }
    }
}

impl Slots {
    fn as_slice(&self) -> &[Slot] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    fn push(&mut self, slot: Slot) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, slot]),
            Self::Many(slots) => slots.push(slot),
        }
    }

    /// Removes one occurrence; whether none is left.
    fn remove(&mut self, slot: Slot) -> bool {
        match self {
            Self::One(only) => *only == slot,
            Self::Many(slots) => {
                remove_slot(slots, slot);
                slots.is_empty()
            }
        }
    }
}

fn slots<'a>(map: &'a HashMap<Arc<str>, Slots>, key: &str) -> &'a [Slot] {
    map.get(key).map_or(&[], Slots::as_slice)
}

/// The map shares the text of a key with whoever had it first.
fn push(map: &mut HashMap<Arc<str>, Slots>, key: Arc<str>, slot: Slot) {
    match map.entry(key) {
        Entry::Occupied(mut slots) => slots.get_mut().push(slot),
        Entry::Vacant(vacant) => _ = vacant.insert(Slots::One(slot)),
    }
}

fn take(map: &mut HashMap<Arc<str>, Slots>, key: &str, slot: Slot) {
    if map.get_mut(key).is_some_and(|slots| slots.remove(slot)) {
        map.remove(key);
    }
}

/// Removes one occurrence; order does not matter, so nothing is moved but the last.
fn remove_slot(slots: &mut Vec<Slot>, slot: Slot) {
    if let Some(index) = slots.iter().position(|found| *found == slot) {
        slots.swap_remove(index);
        if slots.len() * 4 < slots.capacity() {
            slots.shrink_to(slots.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> ClientId {
        ClientId::parse(name, "clientId").expect("valid")
    }

    fn patterns(patterns: &[&str]) -> Vec<TopicPattern> {
        patterns
            .iter()
            .map(|pattern| TopicPattern::parse(pattern, "topics").expect("valid"))
            .collect()
    }

    fn topic(name: &str) -> Subject {
        Subject::Topic(name.into())
    }

    fn readers(index: &SubjectIndex, subject: &Subject, exclude: Option<&str>) -> Vec<Slot> {
        let mut readers = Vec::new();
        index.each_reader(subject, MessageType::Json.into(), exclude, |slot| {
            readers.push(slot);
        });
        readers.sort_unstable();
        readers.dedup();
        assert_eq!(
            readers.len(),
            index.count(subject, MessageType::Json.into(), exclude)
        );
        if exclude.is_none() && !readers.is_empty() {
            assert!(index.has_reader(subject));
        }
        readers
    }

    #[test]
    fn exact_and_pattern_subscriptions_find_their_topics_and_no_others() {
        let mut index = SubjectIndex::default();
        let subscriptions: [(&str, &[&str]); 4] = [
            ("a", &["news"]),
            ("b", &["news/#"]),
            ("c", &["news/+", "news"]),
            ("d", &["#"]),
        ];
        for (slot, (name, topics)) in subscriptions.iter().enumerate() {
            index.insert(slot as Slot, &client(name), &patterns(topics), Kinds::ALL);
        }
        assert_eq!(readers(&index, &topic("news"), None), [0, 1, 2, 3]);
        assert_eq!(readers(&index, &topic("news/eu"), None), [1, 2, 3]);
        assert_eq!(readers(&index, &topic("news/eu/de"), None), [1, 3]);
        assert_eq!(readers(&index, &topic("newsx"), None), [3]);
        assert_eq!(readers(&index, &Subject::All, Some("b")), [0, 2, 3]);
        assert_eq!(readers(&index, &Subject::Client("c".into()), None), [2]);
        for (slot, (name, topics)) in subscriptions.iter().enumerate() {
            index.remove(slot as Slot, &client(name), &patterns(topics));
        }
        assert!(index.patterns.is_empty() && index.topics.is_empty() && index.clients.is_empty());
        assert!(!index.has_reader(&topic("news")));
    }

    #[test]
    fn two_connections_of_one_client_are_two_readers_and_one_stays_when_the_other_goes() {
        let mut index = SubjectIndex::default();
        index.insert(1, &client("alice"), &[], Kinds::ALL);
        index.insert(2, &client("alice"), &[], Kinds::ALL);
        index.remove(1, &client("alice"), &[]);
        assert_eq!(readers(&index, &Subject::Client("alice".into()), None), [2]);
    }

    #[test]
    fn the_types_filter_holds_for_shared_subjects_and_never_for_the_mailbox() {
        let mut index = SubjectIndex::default();
        index.insert(
            1,
            &client("alice"),
            &patterns(&["news"]),
            Kinds::of(&[MessageType::Text]),
        );
        assert!(readers(&index, &topic("news"), None).is_empty());
        assert!(readers(&index, &Subject::All, None).is_empty());
        assert_eq!(readers(&index, &Subject::Client("alice".into()), None), [1]);
        assert_eq!(
            index.count(&topic("news"), MessageType::Text.into(), None),
            1
        );
    }
}
