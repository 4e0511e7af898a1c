//! What retention took from the subjects of a selector.

use rusqlite::{Connection, OptionalExtension};

use super::meta::{signed, unsigned};
use super::selection::Selected;
use super::subjects::{SubjectId, Subjects};
use crate::history::Selector;

/// The newest position that is lost after `after`, in the snapshot that the connection holds.
pub(super) fn newest_after(
    connection: &Connection,
    subjects: &mut Subjects,
    selector: &Selector,
    exact: &[SubjectId],
    after: u64,
) -> rusqlite::Result<Option<u64>> {
    let of_all: i64 = connection
        .prepare_cached("SELECT max(trimmed_to) FROM class")?
        .query_row([], |row| row.get(0))?;
    if unsigned(of_all) <= after {
        return Ok(None);
    }
    let newest = match &selector.filter {
        Some(_) => newest_of_any(
            connection,
            subjects,
            &mut Selected::new(selector, exact),
            after,
        )?,
        None => newest_of(connection, exact)?,
    };
    Ok(newest.filter(|newest| *newest > after))
}

fn newest_of(connection: &Connection, exact: &[SubjectId]) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached("SELECT pos FROM trimmed WHERE subject = ?")?;
    let mut newest = None;
    for subject in exact {
        let position: Option<i64> = statement
            .query_row([subject.0], |row| row.get(0))
            .optional()?;
        newest = newest.max(position.map(unsigned));
    }
    Ok(newest)
}

/// From the newest down: the first that is selected is the answer.
fn newest_of_any(
    connection: &Connection,
    subjects: &mut Subjects,
    selected: &mut Selected<'_>,
    after: u64,
) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection
        .prepare_cached("SELECT pos, subject FROM trimmed WHERE pos > ? ORDER BY pos DESC")?;
    let mut rows = statement.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        if selected.has(SubjectId(row.get(1)?), connection, subjects)? {
            return Ok(Some(unsigned(row.get(0)?)));
        }
    }
    Ok(None)
}
