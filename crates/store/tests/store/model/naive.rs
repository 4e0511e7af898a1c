//! The model: a list that is searched from end to end.

use proptest::prelude::*;
use tidings_store::{
    AppendError, Appended, Bounds, Class, Keep, Order, PerClass, Position, Query, Record,
    Retention, Scope, Selector, Subject,
};

pub(super) const WINDOW_MS: u64 = 500;

pub(super) const RETENTION: Retention = PerClass {
    mailbox: Keep {
        age_ms: 0,
        bytes: 300,
        count: 0,
    },
    topic: Keep {
        age_ms: 1000,
        bytes: 0,
        count: 12,
    },
    broadcast: Keep {
        age_ms: 0,
        bytes: 0,
        count: 5,
    },
};

#[derive(Default)]
pub(super) struct Naive {
    /// Everything that was ever stored.
    stored: Vec<Stored>,
    /// Of those, the ones that a reader can have lost.
    lost: Vec<(Subject, Position)>,
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) position: Position,
    pub(super) priority: u8,
    source: String,
    kind: u8,
    exclude: Option<String>,
    subject: Subject,
    id: String,
    fingerprint: u128,
    stored_at: u64,
    expires_at: Option<u64>,
    weight: u64,
    removed: bool,
    /// Removed, and the store was opened since: the window is filled from what is kept.
    forgotten: bool,
}

impl Naive {
    /// Takes over an append if the answer is the right one. Which positions the store chooses is its own affair.
    pub(super) fn append(
        &mut self,
        records: &[Record],
        answer: Result<Vec<Appended>, AppendError>,
        now: u64,
    ) -> Result<(), TestCaseError> {
        let before = self.stored.len();
        let mut next = answer.iter().flatten();
        for (index, record) in records.iter().enumerate() {
            let first = self.remembered(record, now);
            let expected = match first {
                _ if !record.durable => Appended::Passed,
                Some(first) if first.removed || first.fingerprint == record.fingerprint => {
                    Appended::Duplicate(first.position)
                }
                Some(_) => {
                    self.stored.truncate(before);
                    prop_assert_eq!(answer, Err(AppendError::Conflict { index }));
                    return Ok(());
                }
                None => {
                    let last = self.bounds().last;
                    // After a refusal positions are not known; any that ascend do until the conflict is found.
                    let position = match next.clone().next() {
                        Some(Appended::Stored(position)) => *position,
                        _ if answer.is_err() => Position(last.0 + 1),
                        other => {
                            return Err(TestCaseError::fail(format!(
                                "record {index} is new, not {other:?}"
                            )));
                        }
                    };
                    prop_assert!(position > last);
                    self.stored.push(Stored::new(record, position, now));
                    Appended::Stored(position)
                }
            };
            if answer.is_ok() {
                prop_assert_eq!(next.next(), Some(&expected), "record {}", index);
            }
        }
        prop_assert!(
            answer.is_ok(),
            "no record conflicts, and still {:?}",
            answer
        );
        Ok(())
    }

    /// The newest entry of the identity of a record, while the window remembers it.
    fn remembered(&self, record: &Record, now: u64) -> Option<&Stored> {
        let newest = self
            .stored
            .iter()
            .rfind(|stored| stored.id == *record.id && !stored.forgotten)?;
        (now - newest.stored_at < WINDOW_MS).then_some(newest)
    }

    pub(super) fn trim(&mut self, now: u64) -> PerClass<u64> {
        let mut removed = PerClass::default();
        for class in Class::ALL {
            let keep = RETENTION[class];
            let mut bytes: u64 = self
                .kept()
                .filter(|entry| entry.subject.class() == class)
                .map(|e| e.weight)
                .sum();
            let mut count = self.count(class);
            for entry in self
                .stored
                .iter_mut()
                .filter(|entry| entry.subject.class() == class && !entry.removed)
            {
                let goes = (keep.bytes > 0 && bytes > keep.bytes)
                    || (keep.count > 0 && count > keep.count)
                    || (keep.age_ms > 0 && entry.stored_at + keep.age_ms < now);
                let spent = entry.is_expired(now) && entry.stored_at + WINDOW_MS <= now;
                if goes {
                    bytes -= entry.weight;
                    count -= 1;
                }
                if goes || spent {
                    entry.removed = true;
                    removed[class] += 1;
                    if !entry.is_expired(now) {
                        self.lost.push((entry.subject.clone(), entry.position));
                    }
                }
            }
        }
        removed
    }

    pub(super) fn forget_removed(&mut self) {
        for entry in &mut self.stored {
            entry.forgotten = entry.removed;
        }
    }

    /// The newest lost position after another one, or zero.
    pub(super) fn lost(&self, selects: impl Fn(&Subject) -> bool, after: Position) -> Position {
        let lost = self
            .lost
            .iter()
            .filter(|(subject, position)| selects(subject) && *position > after);
        lost.map(|(_, position)| *position)
            .max()
            .unwrap_or(Position::ZERO)
    }

    pub(super) fn select(
        &self,
        selector: &Selector,
        after: Position,
        upto: Position,
        now: u64,
    ) -> Vec<&Stored> {
        self.kept()
            .filter(|entry| entry.position > after && entry.position <= upto)
            .filter(|entry| selects(selector, &entry.subject) && !entry.is_expired(now))
            .collect()
    }

    pub(super) fn find(&self, query: &Query, now: u64) -> Vec<&Stored> {
        let selects = |entry: &&Stored| match &query.scope {
            Scope::Everything => true,
            Scope::Of { subjects, topics } => {
                let named = |name: &str| {
                    let has = |t: &tidings_store::Topics| {
                        name.starts_with(&t.prefix) && (t.accepts)(name)
                    };
                    topics.iter().any(has)
                };
                subjects.contains(&entry.subject)
                    || matches!(&entry.subject, Subject::Topic(name) if named(name))
            }
        };
        let mut found: Vec<&Stored> = self
            .kept()
            .filter(|entry| !entry.is_expired(now))
            .filter(selects)
            .filter(|entry| query.source.as_deref().is_none_or(|s| s == entry.source))
            .filter(|entry| query.kinds.is_empty() || query.kinds.contains(&entry.kind))
            .filter(|entry| {
                query.reader.is_none() || query.reader.as_deref() != entry.exclude.as_deref()
            })
            .filter(|entry| query.since.is_none_or(|since| entry.stored_at >= since))
            .filter(|entry| query.until.is_none_or(|until| entry.stored_at < until))
            .collect();
        if query.order == Order::Descending {
            found.reverse();
        }
        found
    }

    /// How many of the positions come no later than another one.
    pub(super) fn count_until(positions: &[Position], end: Position, order: Order) -> usize {
        let passed = |position: &&Position| match order {
            Order::Ascending => **position <= end,
            Order::Descending => **position >= end,
        };
        positions.iter().filter(passed).count()
    }

    /// The time at some sixteenths of everything ever stored.
    pub(super) fn stored_at(&self, sixteenths: usize) -> u64 {
        let index = self.stored.len() * sixteenths / 16;
        self.stored.get(index).map_or(0, |entry| entry.stored_at)
    }

    pub(super) fn count(&self, class: Class) -> u64 {
        self.kept()
            .filter(|entry| entry.subject.class() == class)
            .count() as u64
    }

    pub(super) fn bounds(&self) -> Bounds {
        let last = self
            .stored
            .last()
            .map_or(Position::ZERO, |entry| entry.position);
        Bounds {
            first: self.kept().next().map_or(last, |entry| entry.position),
            last,
        }
    }

    /// The position at some sixteenths of everything ever stored.
    pub(super) fn position(&self, sixteenths: usize) -> Position {
        match self.stored.len() * sixteenths / 16 {
            0 => Position::ZERO,
            n => self.stored[n - 1].position,
        }
    }

    fn kept(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter().filter(|entry| !entry.removed)
    }
}

impl Stored {
    fn new(record: &Record, position: Position, now: u64) -> Self {
        Self {
            position,
            priority: record.priority,
            source: record.source.to_string(),
            kind: record.kind,
            exclude: record.exclude.as_deref().map(str::to_owned),
            subject: record.subject.clone(),
            id: record.id.to_string(),
            fingerprint: record.fingerprint,
            stored_at: now,
            expires_at: record.ttl_ms.map(|ttl| now + ttl),
            weight: (record.source.len() + record.id.len() + record.body.len()) as u64,
            removed: false,
            forgotten: false,
        }
    }

    fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

pub(super) fn selects(selector: &Selector, subject: &Subject) -> bool {
    selector.exact.contains(subject)
        || selector
            .filter
            .as_ref()
            .is_some_and(|filter| filter(subject))
}
