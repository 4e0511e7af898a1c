//! Questions to the state; each holds its lock once, so it sees one snapshot.

use std::fmt;
use std::sync::{Arc, MutexGuard};

use super::Shared;
use super::state::State;
use crate::cells::Cell;
use crate::entry::{Class, Entry, Position};
use crate::error::ReadError;
use crate::history::{History, Lost, Page, Selector, Slice, Urgent};
use crate::options::PerClass;
use crate::query::{Found, Order, Query};
use crate::trim::is_expired;

/// Reads a store in memory.
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The time comes first: the lock is not held while a clock is asked.
    fn snapshot(&self) -> (u64, MutexGuard<'_, State>) {
        let now = self.shared.timeline.now();
        (now, self.shared.state())
    }
}

impl History for Reader {
    fn read(&mut self, selector: &Selector, slice: Slice) -> Result<Page, ReadError> {
        let (now, state) = self.snapshot();
        let upto = slice.upto.min(state.last());
        let (selected, scanned_to) =
            state
                .log
                .select(selector, slice.after, upto, slice.rows_max.max(1));
        let mut page = Page {
            entries: Vec::new(),
            scanned_to,
            lost: lost_after(&state, selector, slice.after),
        };
        let mut bytes = 0;
        let mut visited = slice.after;
        for entry in selected {
            if !selector.expired && is_expired(entry.expires_at, now) {
                visited = entry.position;
                continue;
            }
            bytes += entry.body.len();
            if bytes > slice.bytes_max && !page.entries.is_empty() {
                page.scanned_to = visited;
                break;
            }
            visited = entry.position;
            page.entries.push(entry);
        }
        Ok(page)
    }

    fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        let (now, state) = self.snapshot();
        Ok(find(&state, query, now))
    }

    fn newest(&mut self, selector: &Selector, limit: usize) -> Result<Vec<Position>, ReadError> {
        let (now, state) = self.snapshot();
        let (selected, _) = state
            .log
            .select(selector, Position::ZERO, state.last(), usize::MAX);
        let kept = selected
            .iter()
            .rev()
            .filter(|entry| !is_expired(entry.expires_at, now));
        let mut positions: Vec<Position> = kept.take(limit).map(|entry| entry.position).collect();
        positions.reverse();
        Ok(positions)
    }

    fn urgent(
        &mut self,
        selector: &Selector,
        after: Position,
        upto: Position,
        priority_min: u8,
        limit: usize,
    ) -> Result<Urgent, ReadError> {
        let (now, state) = self.snapshot();
        let upto = upto.min(state.last());
        let (selected, _) = state.log.select(selector, after, upto, usize::MAX);
        let wanted = |entry: &&Arc<Entry>| {
            entry.priority >= priority_min && !is_expired(entry.expires_at, now)
        };
        let mut found: Vec<(Position, u8)> = selected
            .iter()
            .filter(wanted)
            .take(limit.saturating_add(1))
            .map(|e| (e.position, e.priority))
            .collect();
        let complete_to = if found.len() > limit {
            found.truncate(limit);
            found.last().map_or(after, |&(position, _)| position)
        } else {
            upto
        };
        Ok(Urgent { found, complete_to })
    }

    fn at(&mut self, positions: &[Position]) -> Result<Vec<Arc<Entry>>, ReadError> {
        let (now, state) = self.snapshot();
        let kept = positions
            .iter()
            .filter_map(|&position| state.log.row(position));
        Ok(kept
            .filter(|row| !is_expired(row.entry.expires_at, now))
            .map(|row| row.entry.clone())
            .collect())
    }

    fn lost_after(
        &mut self,
        selector: &Selector,
        after: Position,
    ) -> Result<Option<Lost>, ReadError> {
        Ok(lost_after(&self.shared.state(), selector, after))
    }

    fn position_before(&mut self, time_ms: u64) -> Result<Position, ReadError> {
        Ok(self.shared.state().log.position_before(time_ms))
    }

    fn locate(&mut self, source: &str, id: &str) -> Result<Option<Arc<Entry>>, ReadError> {
        Ok(self.shared.state().log.locate(source, id))
    }

    fn cell(&mut self, key: &str) -> Result<Option<Cell>, ReadError> {
        Ok(self.shared.state().cells.get(key))
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Cell)>, ReadError> {
        Ok(self.shared.state().cells.scan(prefix, after, limit))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

fn find(state: &State, query: &Query, now: u64) -> Found {
    let stored_before = |time_ms| state.log.position_before(time_ms);
    let mut after = query.since.map_or(Position::ZERO, stored_before);
    let mut upto = query.until.map_or(state.last(), stored_before);
    match (query.order, query.after) {
        (Order::Ascending, Some(position)) => after = after.max(position),
        (Order::Descending, Some(position)) => {
            upto = upto.min(Position(position.0.saturating_sub(1)));
        }
        (_, None) => {}
    }
    let rows_max = query.rows_max.max(1);
    let candidates = state.log.candidates(query, (after, upto), rows_max);
    let more = candidates.len() == rows_max;
    let mut found = Found {
        entries: Vec::new(),
        next: candidates.last().copied().filter(|_| more),
    };
    let (mut bytes, mut passed) = (0, None);
    for position in candidates {
        let row = state.log.row(position);
        if let Some(entry) = row.map(|row| &row.entry).filter(|e| meets(e, query, now)) {
            bytes += entry.body.len();
            let full = found.entries.len() == query.limit.max(1) || bytes > query.bytes_max;
            if full && !found.entries.is_empty() {
                found.next = passed;
                break;
            }
            found.entries.push(entry.clone());
        }
        passed = Some(position);
    }
    found
}

fn meets(entry: &Entry, query: &Query, now: u64) -> bool {
    query.scope.has(&entry.subject)
        && query.source.as_ref().is_none_or(|s| *s == entry.source)
        && (query.kinds.is_empty() || query.kinds.contains(&entry.kind))
        && (query.reader.is_none() || query.reader != entry.exclude)
        && !is_expired(entry.expires_at, now)
}

fn lost_after(state: &State, selector: &Selector, after: Position) -> Option<Lost> {
    let by_class = PerClass::from_fn(|class| {
        let lost = state
            .log
            .lost_of(selector, class)
            .filter(|&lost| lost > after);
        lost.unwrap_or_default()
    });
    let upto = Class::ALL.map(|class| by_class[class]).into_iter().max()?;
    if upto == Position::ZERO {
        return None;
    }
    let (kept, _) = state.log.select(selector, after, state.last(), usize::MAX);
    let resume_after = kept
        .first()
        .map_or(state.last(), |first| Position(first.position.0 - 1));
    Some(Lost {
        upto,
        by_class,
        resume_after,
    })
}
