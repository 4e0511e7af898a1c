//! The entries and their indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::entry::{Class, Entry, Position, Subject};
use crate::history::Selector;
use crate::options::PerClass;
use crate::query::{Order, Query, Scope};
use crate::trim::{self, Kept};

type Identity = (Arc<str>, Arc<str>);

#[derive(Default)]
pub(super) struct Log {
    rows: BTreeMap<Position, Row>,
    by_subject: HashMap<Subject, BTreeSet<Position>>,
    by_source: HashMap<Arc<str>, BTreeSet<Position>>,
    /// The newest entry of each identity.
    by_identity: HashMap<Identity, Position>,
    kept: PerClass<Kept>,
    /// The newest position that was lost, of each subject and each class.
    lost_of_subject: HashMap<Subject, Position>,
    lost_of_class: PerClass<Position>,
    /// The newest removed entry: position and time.
    removed: (Position, u64),
}

pub(super) struct Row {
    pub(super) entry: Arc<Entry>,
    pub(super) fingerprint: u128,
}

impl Log {
    pub(super) fn insert(&mut self, row: Row) {
        let entry = &row.entry;
        let kept = &mut self.kept[entry.subject.class()];
        kept.count += 1;
        kept.bytes += weight(entry);
        self.by_subject
            .entry(entry.subject.clone())
            .or_default()
            .insert(entry.position);
        self.by_source
            .entry(entry.source.clone())
            .or_default()
            .insert(entry.position);
        self.by_identity.insert(identity(entry), entry.position);
        self.rows.insert(entry.position, row);
    }

    /// Removes an entry; `lost` if somebody could still have wanted it.
    pub(super) fn remove(&mut self, position: Position, lost: bool) {
        let Some(Row { entry, .. }) = self.rows.remove(&position) else {
            return;
        };
        let class = entry.subject.class();
        let kept = &mut self.kept[class];
        kept.count -= 1;
        kept.bytes -= weight(&entry);
        if let Some(positions) = self.by_subject.get_mut(&entry.subject) {
            positions.remove(&position);
        }
        if let Some(positions) = self.by_source.get_mut(&entry.source) {
            positions.remove(&position);
            if positions.is_empty() {
                self.by_source.remove(&entry.source);
            }
        }
        let identity = identity(&entry);
        if self.by_identity.get(&identity) == Some(&position) {
            self.by_identity.remove(&identity);
        }
        self.removed = self.removed.max((position, entry.stored_at));
        if lost {
            self.lost_of_class[class] = self.lost_of_class[class].max(position);
            let of_subject = self
                .lost_of_subject
                .entry(entry.subject.clone())
                .or_default();
            *of_subject = position.max(*of_subject);
        }
    }

    pub(super) fn row(&self, position: Position) -> Option<&Row> {
        self.rows.get(&position)
    }

    /// Everything after a position, ascending.
    pub(super) fn after(&self, position: Position) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.rows
            .range((Bound::Excluded(position), Bound::Unbounded))
            .map(|(_, row)| &row.entry)
    }

    /// What of a selector lies after one position and up to another, ascending. `rows_max` bounds what is looked at; the
    /// position it got to comes with the entries.
    pub(super) fn select(
        &self,
        selector: &Selector,
        after: Position,
        upto: Position,
        rows_max: usize,
    ) -> (Vec<Arc<Entry>>, Position) {
        if after >= upto {
            return (Vec::new(), upto);
        }
        let range = (Bound::Excluded(after), Bound::Included(upto));
        let mut positions: Vec<Position> = if selector.filter.is_some() {
            self.rows
                .range(range)
                .map(|(&position, _)| position)
                .take(rows_max)
                .collect()
        } else {
            let indexes = selector
                .exact
                .iter()
                .filter_map(|subject| self.by_subject.get(subject));
            indexes
                .flat_map(|positions| positions.range(range).take(rows_max).copied())
                .collect()
        };
        positions.sort_unstable();
        positions.dedup();
        positions.truncate(rows_max);
        let scanned_to = if positions.len() == rows_max {
            positions[rows_max - 1]
        } else {
            upto
        };
        let entries = positions
            .iter()
            .filter_map(|position| self.rows.get(position))
            .map(|row| &row.entry);
        (
            entries
                .filter(|entry| selects(selector, &entry.subject))
                .cloned()
                .collect(),
            scanned_to,
        )
    }

    /// The positions after one and up to another that a query has to look at, in its order, `limit` of them.
    pub(super) fn candidates(
        &self,
        query: &Query,
        (after, upto): (Position, Position),
        limit: usize,
    ) -> Vec<Position> {
        if after >= upto {
            return Vec::new();
        }
        let range = (Bound::Excluded(after), Bound::Included(upto));
        let some = |positions: &mut dyn DoubleEndedIterator<Item = Position>| -> Vec<Position> {
            match query.order {
                Order::Ascending => positions.take(limit).collect(),
                Order::Descending => positions.rev().take(limit).collect(),
            }
        };
        let of = |positions: &BTreeSet<Position>| some(&mut positions.range(range).copied());
        let mut candidates = match (&query.source, &query.scope) {
            (Some(source), _) => self.by_source.get(source).map(of).unwrap_or_default(),
            (None, Scope::Of { .. }) => {
                let selected = |(subject, _): &(&Subject, _)| query.scope.has(subject);
                let indexes = self.by_subject.iter().filter(selected);
                indexes.flat_map(|(_, positions)| of(positions)).collect()
            }
            (None, Scope::Everything) => some(&mut self.rows.range(range).map(|(p, _)| *p)),
        };
        candidates.sort_unstable();
        if query.order == Order::Descending {
            candidates.reverse();
        }
        candidates.truncate(limit);
        candidates
    }

    /// The newest position stored before a time, also if it was removed since.
    pub(super) fn position_before(&self, time_ms: u64) -> Position {
        let kept = self
            .after(Position::ZERO)
            .rev()
            .find(|entry| entry.stored_at < time_ms);
        let (removed, removed_at) = self.removed;
        let removed = if removed_at < time_ms {
            removed
        } else {
            Position::ZERO
        };
        kept.map_or(Position::ZERO, |entry| entry.position)
            .max(removed)
    }

    /// When the newest removed entry was stored.
    pub(super) fn removed_at(&self) -> u64 {
        self.removed.1
    }

    pub(super) fn locate(&self, source: &str, id: &str) -> Option<Arc<Entry>> {
        let position = self.by_identity.get(&(source.into(), id.into()))?;
        self.rows.get(position).map(|row| row.entry.clone())
    }

    pub(super) fn kept(&self) -> PerClass<Kept> {
        self.kept
    }

    pub(super) fn first(&self) -> Option<Position> {
        self.rows.keys().next().copied()
    }

    pub(super) fn lost_of_class(&self, class: Class) -> Position {
        self.lost_of_class[class]
    }

    /// The newest position of the selected subjects of a class that was lost.
    pub(super) fn lost_of(&self, selector: &Selector, class: Class) -> Option<Position> {
        let selected = self
            .lost_of_subject
            .iter()
            .filter(|(subject, _)| subject.class() == class && selects(selector, subject));
        selected.map(|(_, &position)| position).max()
    }
}

fn selects(selector: &Selector, subject: &Subject) -> bool {
    selector.exact.contains(subject)
        || selector
            .filter
            .as_ref()
            .is_some_and(|filter| filter(subject))
}

fn identity(entry: &Entry) -> Identity {
    (entry.source.clone(), entry.id.clone())
}

pub(super) fn weight(entry: &Entry) -> u64 {
    trim::weight(&entry.source, &entry.id, &entry.body)
}
