//! The entries and their indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::entry::{Class, Entry, Position, Subject};
use crate::history::Selector;
use crate::options::PerClass;
use crate::trim::{self, Kept};

type Identity = (Arc<str>, Arc<str>);

#[derive(Default)]
pub(super) struct Log {
    rows: BTreeMap<Position, Row>,
    by_subject: HashMap<Subject, BTreeSet<Position>>,
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

    /// The newest removed entry: position and time.
    pub(super) fn removed(&self) -> (Position, u64) {
        self.removed
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
