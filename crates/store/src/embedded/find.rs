//! Finds a page of what a query asks for.
//!
//! Subjects, a source and types are read through their lists in the index. Only a query without any of them looks at the
//! rows of the log one after another, and one for too many topics at the rows that the rest of it leaves.

use std::sync::Arc;

use rusqlite::Connection;

use super::candidates::{Candidates, Conditions};
use super::list::List;
use super::postings::Postings;
use super::reader::{Reader, Snapshot};
use super::removal::oldest_position;
use super::rows::{Fetcher, RowError, source_hash};
use super::subjects::{SubjectId, named};
use super::times::position_before;
use crate::entry::Position;
use crate::query::{Found, Order, Query, Scope};

/// Lists followed at once; each costs a look into the index. Where more topics are asked for than that, some of them
/// are likely to be near in the log.
const LISTS_MAX: usize = 1000;

pub(super) fn find(reader: &mut Reader, query: &Query) -> Result<Found, RowError> {
    let now = reader.shared.timeline.now();
    let plan = Plan::make(reader, query)?;
    let snapshot = Snapshot::begin(&reader.connection)?;
    let (connection, subjects) = (snapshot.connection, &mut reader.subjects);
    let mut conditions = Conditions::new(query, now, plan.subjects_are_listed);
    let mut candidates = plan.candidates(connection, query)?;
    let mut fetcher = Fetcher::new(connection)?;
    let mut found = Found::default();
    let (mut visited, mut bytes, mut passed) = (0, 0, None);
    found.next = loop {
        let candidate = candidates.next(connection, subjects, &mut conditions)?;
        let Some((position, meets)) = candidate else {
            break plan.end(query.order);
        };
        if visited == query.rows_max.max(1) {
            break passed;
        }
        visited += 1;
        if meets {
            if found.entries.len() >= query.limit.max(1) {
                break passed;
            }
            let entry = match fetcher.fetch(subjects, position) {
                // What lies before it is not lost with it.
                Err(RowError::Damaged(_)) if !found.entries.is_empty() => break passed,
                fetched => fetched?,
            };
            bytes += entry.as_ref().map_or(0, |entry| entry.body.len());
            if bytes > query.bytes_max && !found.entries.is_empty() {
                break passed;
            }
            found.entries.extend(entry.map(Arc::new));
        }
        passed = Some(Position(position));
    };
    Ok(found)
}

/// What to look at, with what had to be copied from memory before the snapshot began.
struct Plan {
    after: u64,
    upto: u64,
    /// Memory had more than was copied, and the range ends there.
    cut: bool,
    /// What is looked for is in a list of each set. Without a set, it is any row.
    sets: Vec<Set>,
    subjects_are_listed: bool,
}

struct Set {
    lists: Vec<List>,
    memory: Vec<u64>,
}

impl Plan {
    fn make(reader: &mut Reader, query: &Query) -> rusqlite::Result<Self> {
        let bound = reader.shared.recent.bound();
        let (after, upto) = range(&reader.connection, query, bound)?;
        let subjects = resolve(reader, &query.scope)?;
        let mut plan = Self {
            after,
            upto,
            cut: false,
            sets: Vec::new(),
            subjects_are_listed: subjects.is_some(),
        };
        let sets = [
            subjects.map(|ids| ids.into_iter().map(List::Subject).collect()),
            query
                .source
                .as_deref()
                .map(|source| vec![List::Source(source_hash(source))]),
        ];
        for lists in sets.into_iter().flatten() {
            plan.copy(reader, query, lists);
        }
        plan.add_kinds(reader, query);
        Ok(plan)
    }

    /// A type can have most of all rows, and a copy of so many would end the range early. What another set has copied
    /// already is as good: it takes both.
    fn add_kinds(&mut self, reader: &Reader, query: &Query) {
        if query.kinds.is_empty() {
            return;
        }
        let mut lists: Vec<List> = query.kinds.iter().copied().map(List::Kind).collect();
        lists.sort_unstable();
        lists.dedup();
        match self.sets.first() {
            Some(set) => {
                let memory = reader.shared.recent.of_kinds(&set.memory, &query.kinds);
                self.sets.push(Set { lists, memory });
            }
            None => self.copy(reader, query, lists),
        }
    }

    /// A page looks at no more rows than it may, so more of one list is not needed.
    fn copy(&mut self, reader: &Reader, query: &Query, lists: Vec<List>) {
        let (range, limit) = ((self.after, self.upto), query.rows_max.max(1));
        let recent = &reader.shared.recent;
        let mut memory = Vec::new();
        for positions in recent.positions(lists.iter().copied(), range, query.order, limit) {
            if let Some(last) = positions.get(limit - 1) {
                self.cut = true;
                match query.order {
                    Order::Ascending => self.upto = self.upto.min(*last),
                    Order::Descending => self.after = self.after.max(last - 1),
                }
            }
            memory.extend(positions);
        }
        self.sets.push(Set { lists, memory });
    }

    fn candidates(&self, connection: &Connection, query: &Query) -> rusqlite::Result<Candidates> {
        let (after, upto) = (self.after, self.upto);
        let within = |position: &u64| *position > after && *position <= upto;
        let postings = self.sets.iter().map(|Set { lists, memory }| {
            let memory = memory.iter().copied().filter(within).collect();
            let lists = lists.iter().copied();
            Postings::new(connection, lists, memory, (after, upto), query.order)
        });
        let postings = postings.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(if postings.is_empty() {
            Candidates::of_log((after, upto), query.order)
        } else {
            Candidates::Listed(postings)
        })
    }

    /// Where the next page begins once all candidates are looked at.
    fn end(&self, order: Order) -> Option<Position> {
        let end = match order {
            Order::Ascending => self.upto,
            Order::Descending => self.after + 1,
        };
        self.cut.then_some(Position(end))
    }
}

/// Excludes its beginning, includes its end.
fn range(connection: &Connection, query: &Query, bound: u64) -> rusqlite::Result<(u64, u64)> {
    let stored_before = |time_ms| position_before(connection, time_ms);
    let mut after = query.since.map(stored_before).transpose()?.unwrap_or(0);
    let mut upto = query.until.map(stored_before).transpose()?.unwrap_or(bound);
    match (query.order, query.after) {
        (Order::Ascending, Some(position)) => after = after.max(position.0),
        (Order::Descending, Some(position)) => upto = upto.min(position.0.saturating_sub(1)),
        (_, None) => {}
    }
    let upto = upto.min(bound);
    // Else the groups of removed rows would be looked into, one after another.
    let oldest = oldest_position(connection)?;
    let after = oldest.map_or(upto, |oldest| after.max(oldest - 1));
    Ok((after, upto))
}

/// The subjects asked for, as far as any of their entries was ever stored. `None` when it is any subject, or too many.
fn resolve(reader: &mut Reader, scope: &Scope) -> rusqlite::Result<Option<Vec<SubjectId>>> {
    let Scope::Of { subjects, topics } = scope else {
        return Ok(None);
    };
    let mut ids = Vec::with_capacity(subjects.len());
    for subject in subjects {
        ids.extend(reader.subjects.find(&reader.connection, subject)?);
    }
    for topics in topics {
        match named(&reader.connection, topics, LISTS_MAX)? {
            Some(named) => ids.extend(named),
            None => return Ok(None),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok((ids.len() <= LISTS_MAX).then_some(ids))
}
