//! Entries of a high priority, from an index of their own.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use super::list::List;
use super::meta::{self, signed, unsigned};
use super::postings::Postings;
use super::reader::{Reader, Snapshot, expires_at};
use super::recent::URGENT_MIN;
use super::rows::RowError;
use super::selection::Selected;
use super::subjects::{SubjectId, Subjects};
use crate::entry::Position;
use crate::history::{Selector, Urgent};
use crate::query::Order;
use crate::trim::is_expired;

/// Rows of the index looked at for a filter.
const ROWS_MAX: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    position: u64,
    priority: u8,
}

/// What the index, or a part of it, has. Where a limit ended the search, it is complete up to there.
struct Candidates {
    found: Vec<Found>,
    complete_to: u64,
}

pub(super) fn find(
    reader: &mut Reader,
    selector: &Selector,
    (after, upto): (u64, u64),
    priority_min: u8,
    limit: usize,
) -> Result<Urgent, RowError> {
    let now = reader.shared.timeline.now();
    let upto = upto.min(reader.shared.recent.bound());
    let exact = reader.resolve(selector)?;
    let recent = reader.shared.recent.urgent(after, upto);
    let snapshot = Snapshot::begin(&reader.connection)?;
    let (connection, subjects) = (snapshot.connection, &mut reader.subjects);
    let mut selected = Selected::new(selector, &exact);
    let mut candidates = if priority_min < URGENT_MIN || selector.filter.is_some() {
        let table = if priority_min < URGENT_MIN {
            "log"
        } else {
            "urgent"
        };
        of_any(connection, subjects, &mut selected, table, (after, upto))?
    } else {
        of_exact(connection, &exact, (after, upto), limit)?
    };
    for row in recent {
        if selected.has(row.subject, connection, subjects)? {
            candidates.found.push(Found {
                position: row.position,
                priority: row.priority,
            });
        }
    }
    let Candidates {
        mut found,
        mut complete_to,
    } = candidates;
    found.sort_unstable();
    found.dedup();
    found.retain(|found| found.position <= complete_to && found.priority >= priority_min);
    let mut urgent = Vec::new();
    for Found { position, priority } in found {
        if expires_at(connection, position)?.is_none_or(|expires_at| is_expired(expires_at, now)) {
            continue;
        }
        if urgent.len() == limit {
            complete_to = urgent
                .last()
                .map_or(after, |(position, _): &(Position, u8)| position.0);
            break;
        }
        urgent.push((Position(position), priority));
    }
    Ok(Urgent {
        found: urgent,
        complete_to: Position(complete_to),
    })
}

fn of_exact(
    connection: &Connection,
    exact: &[SubjectId],
    (after, upto): (u64, u64),
    limit: usize,
) -> rusqlite::Result<Candidates> {
    let mut priority = connection.prepare_cached("SELECT priority FROM urgent WHERE pos = ?")?;
    let lists = exact.iter().copied().map(List::Urgent);
    let (memory, order) = (Vec::new(), Order::Ascending);
    let mut postings = Postings::new(connection, lists, memory, (after, upto), order)?;
    let mut candidates = Candidates {
        found: Vec::new(),
        complete_to: upto,
    };
    while let Some(position) = postings.next(connection)? {
        if candidates.found.len() > limit {
            candidates.complete_to = position - 1;
            break;
        }
        let priority = priority.query_row([signed(position)], |row| row.get(0));
        candidates.found.extend(
            priority
                .optional()?
                .map(|priority| Found { position, priority }),
        );
    }
    Ok(candidates)
}

/// Scans `table`, which may be the log.
fn of_any(
    connection: &Connection,
    subjects: &mut Subjects,
    selected: &mut Selected<'_>,
    table: &str,
    (after, upto): (u64, u64),
) -> rusqlite::Result<Candidates> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT pos, subject, priority FROM {table} WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?"
    ))?;
    let rows = rows(
        &mut statement,
        params![signed(after), signed(upto), meta::rows(ROWS_MAX)],
    )?;
    let complete_to = match rows.last() {
        Some((_, last)) if rows.len() == ROWS_MAX => last.position,
        _ => upto,
    };
    let mut found = Vec::new();
    for (subject, row) in rows {
        if selected.has(subject, connection, subjects)? {
            found.push(row);
        }
    }
    Ok(Candidates { found, complete_to })
}

fn rows(
    statement: &mut CachedStatement<'_>,
    params: impl Params,
) -> rusqlite::Result<Vec<(SubjectId, Found)>> {
    statement
        .query_map(params, |row| {
            let found = Found {
                position: unsigned(row.get(0)?),
                priority: row.get(2)?,
            };
            Ok((SubjectId(row.get(1)?), found))
        })?
        .collect()
}
