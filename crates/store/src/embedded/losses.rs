//! What retention took from the subjects of a selector.

use rusqlite::{Connection, OptionalExtension};

use super::meta::{signed, unsigned};
use super::selection::{LogScan, Selected};
use super::subjects::{SubjectId, Subjects};
use crate::entry::Position;
use crate::history::{Lost, Selector};

/// Rows looked at for the first one that is kept. Where it lies further on, what was looked at is still true.
const ROWS_MAX: usize = 10_000;

/// In the snapshot that the connection holds. `bound` is where the reader's knowledge ends.
pub(super) fn after(
    connection: &Connection,
    subjects: &mut Subjects,
    selector: &Selector,
    exact: &[SubjectId],
    after: u64,
    bound: u64,
) -> rusqlite::Result<Option<Lost>> {
    let newest: i64 = connection
        .prepare_cached("SELECT max(trimmed_to) FROM class")?
        .query_row([], |row| row.get(0))?;
    if unsigned(newest) <= after {
        return Ok(None);
    }
    let mut selected = Selected::new(selector, exact);
    let upto = match &selector.filter {
        Some(_) => newest_of_any(connection, subjects, &mut selected, after)?,
        None => newest_of(connection, exact)?,
    };
    if upto <= after {
        return Ok(None);
    }
    let resume_after = before_first_kept(connection, subjects, &mut selected, after, bound)?;
    Ok(Some(Lost {
        upto: Position(upto),
        resume_after: Position(resume_after),
    }))
}

fn newest_of(connection: &Connection, exact: &[SubjectId]) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT pos FROM trimmed WHERE subject = ?")?;
    let mut newest = 0;
    for subject in exact {
        let position: Option<i64> = statement
            .query_row([subject.0], |row| row.get(0))
            .optional()?;
        newest = newest.max(position.map_or(0, unsigned));
    }
    Ok(newest)
}

/// From the newest down: the first that is selected is the answer.
fn newest_of_any(
    connection: &Connection,
    subjects: &mut Subjects,
    selected: &mut Selected<'_>,
    after: u64,
) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("SELECT pos, subject FROM trimmed WHERE pos > ? ORDER BY pos DESC")?;
    let mut rows = statement.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        if selected.has(SubjectId(row.get(1)?), connection, subjects)? {
            return Ok(unsigned(row.get(0)?));
        }
    }
    Ok(0)
}

fn before_first_kept(
    connection: &Connection,
    subjects: &mut Subjects,
    selected: &mut Selected<'_>,
    after: u64,
    bound: u64,
) -> rusqlite::Result<u64> {
    let mut scan = LogScan::new(after, bound);
    let mut passed = after;
    for _ in 0..ROWS_MAX {
        match scan.next(connection, subjects, selected)? {
            None => return Ok(bound),
            Some(visited) if visited.selected => return Ok(visited.position - 1),
            Some(visited) => passed = visited.position,
        }
    }
    Ok(passed)
}
