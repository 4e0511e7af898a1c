//! The index of the newest rows, which the tables do not have yet.
//!
//! Rows come in after their commit and leave after the commit of their merge, so each row is at every moment here or in
//! the tables, or in both. A reader therefore takes the bound first, then copies what it needs from here, and only then
//! begins its transaction: the union is complete up to the bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::list::List;
use super::subjects::SubjectId;
use crate::query::Order;

/// What the derived tables say of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecentRow {
    pub(super) position: u64,
    pub(super) subject: SubjectId,
    /// The hash of its name.
    pub(super) source: u64,
    pub(super) identity: u64,
    /// When nobody needs it any more: its time to live has passed, and its identity may be forgotten.
    pub(super) spent_at: Option<u64>,
    pub(super) kind: u8,
    pub(super) priority: u8,
}

/// Written by the writer alone, read by the reader threads; no call holds the lock for longer than a copy.
#[derive(Debug, Default)]
pub(super) struct Recent {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bound: u64,
    /// Being merged; older than all of `active`.
    frozen: Option<Arc<Segment>>,
    active: Segment,
}

#[derive(Debug, Default)]
pub(super) struct Segment {
    rows: Vec<RecentRow>,
    urgent: Vec<RecentRow>,
    lists: HashMap<List, Vec<u64>>,
}

/// Priorities from here on have an index of their own.
pub(super) const URGENT_MIN: u8 = 2;

impl Recent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Everything up to here is committed.
    pub(super) fn bound(&self) -> u64 {
        self.state().bound
    }

    pub(super) fn push(&self, rows: &[RecentRow], bound: u64) {
        let mut state = self.state();
        for row in rows {
            for list in List::of_row(row.subject, row.source, row.kind, row.priority) {
                let positions = state.active.lists.entry(list).or_default();
                positions.push(row.position);
            }
        }
        state
            .active
            .urgent
            .extend(rows.iter().filter(|row| row.priority >= URGENT_MIN));
        state.active.rows.extend_from_slice(rows);
        state.bound = bound;
    }

    /// Rows that no merge has begun with.
    pub(super) fn active_len(&self) -> usize {
        self.state().active.rows.len()
    }

    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state.active.rows.len()
            + state
                .frozen
                .as_ref()
                .map_or(0, |segment| segment.rows.len())
    }

    /// Sets the rows apart for a merge; they stay visible. None may be set apart already.
    pub(super) fn freeze(&self) -> Arc<Segment> {
        let mut state = self.state();
        debug_assert!(state.frozen.is_none());
        let segment = Arc::new(std::mem::take(&mut state.active));
        state.frozen = Some(segment.clone());
        segment
    }

    /// The merge is committed.
    pub(super) fn release_frozen(&self) {
        let frozen = self.state().frozen.take();
        // Freed outside the lock.
        drop(frozen);
    }

    /// Of each list the positions in `(after, upto]`, in an order, the first `limit` of them.
    pub(super) fn positions(
        &self,
        lists: impl Iterator<Item = List>,
        (after, upto): (u64, u64),
        order: Order,
        limit: usize,
    ) -> Vec<Vec<u64>> {
        let state = self.state();
        let of = |list: List| {
            let positions = state
                .segments()
                .flat_map(|segment| segment.range(list, after, upto))
                .copied();
            match order {
                Order::Ascending => positions.take(limit).collect(),
                Order::Descending => positions.rev().take(limit).collect(),
            }
        };
        lists.map(of).collect()
    }

    /// Rows in `(after, upto]` of priority `URGENT_MIN` and above, ascending.
    pub(super) fn urgent(&self, after: u64, upto: u64) -> Vec<RecentRow> {
        let state = self.state();
        let in_range = |row: &&RecentRow| row.position > after && row.position <= upto;
        state
            .segments()
            .flat_map(|segment| &segment.urgent)
            .filter(in_range)
            .copied()
            .collect()
    }

    /// Those of the positions whose rows are of one of the kinds, as far as the rows are here.
    pub(super) fn of_kinds(&self, positions: &[u64], kinds: &[u8]) -> Vec<u64> {
        let state = self.state();
        let is_of_kinds = |position: &&u64| {
            let mut segments = state.segments();
            segments.any(|segment| {
                let row = segment.row(**position);
                row.is_some_and(|row| kinds.contains(&row.kind))
            })
        };
        positions.iter().filter(is_of_kinds).copied().collect()
    }

    /// Positions up to `upto` of rows with this identity, or with another one of the same hash.
    pub(super) fn identified(&self, identity: u64, upto: u64) -> Vec<u64> {
        let state = self.state();
        let found = |row: &&RecentRow| row.identity == identity && row.position <= upto;
        state
            .segments()
            .flat_map(|segment| &segment.rows)
            .filter(found)
            .map(|row| row.position)
            .collect()
    }
}

impl State {
    /// The older one first.
    fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.frozen.as_deref().into_iter().chain([&self.active])
    }
}

impl Segment {
    pub(super) fn rows(&self) -> &[RecentRow] {
        &self.rows
    }

    /// Of priority `URGENT_MIN` and above.
    pub(super) fn urgent(&self) -> &[RecentRow] {
        &self.urgent
    }

    /// Every list without tags, in no order, with its positions.
    pub(super) fn lists(&self) -> impl Iterator<Item = (List, &[u64])> {
        let lists = self.lists.iter();
        lists.map(|(list, positions)| (*list, &positions[..]))
    }

    pub(super) fn list(&self, list: List) -> &[u64] {
        self.lists.get(&list).map_or(&[], Vec::as_slice)
    }

    fn row(&self, position: u64) -> Option<&RecentRow> {
        let place = self
            .rows
            .binary_search_by_key(&position, |row| row.position);
        place.ok().map(|place| &self.rows[place])
    }

    fn range(&self, list: List, after: u64, upto: u64) -> &[u64] {
        let positions = self.list(list);
        let from = positions.partition_point(|position| *position <= after);
        let to = positions.partition_point(|position| *position <= upto);
        &positions[from..to.max(from)]
    }
}
