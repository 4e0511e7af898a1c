//! What retention took from the subjects of a selector.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::meta::{signed, unsigned};
use super::selection::Selected;
use super::subjects::{SubjectId, Subjects};
use crate::entry::{Class, Position};
use crate::history::Selector;
use crate::options::PerClass;

/// The newest positions that are lost after `after`, in the snapshot that the connection holds; `None` when there are none.
pub(super) fn newest_after(
    connection: &Connection,
    subjects: &mut Subjects,
    selector: &Selector,
    exact: &[SubjectId],
    after: u64,
) -> rusqlite::Result<Option<PerClass<Position>>> {
    let of_all: i64 = connection
        .prepare_cached("SELECT max(trimmed_to) FROM class")?
        .query_row([], |row| row.get(0))?;
    if unsigned(of_all) <= after {
        return Ok(None);
    }
    let mut newest = PerClass::<Position>::default();
    let mut note = |class: Class, position: u64| {
        if position > after {
            newest[class] = newest[class].max(Position(position));
        }
    };
    let mut statement = connection.prepare_cached("SELECT pos FROM trimmed WHERE subject = ?")?;
    for id in exact {
        let position: Option<i64> = statement.query_row([id.0], |row| row.get(0)).optional()?;
        if let Some(position) = position {
            note(
                subjects.subject(connection, *id)?.class(),
                unsigned(position),
            );
        }
    }
    if let Some(filter) = &selector.filter {
        let of_filter = Selector {
            exact: Vec::new(),
            filter: Some(Arc::clone(filter)),
            ..Selector::default()
        };
        if let Some((position, id)) = newest_of_any(
            connection,
            subjects,
            &mut Selected::new(&of_filter, &[]),
            after,
        )? {
            note(subjects.subject(connection, id)?.class(), position);
        }
    }
    Ok((newest != PerClass::default()).then_some(newest))
}

/// From the newest down: the first that is selected is the answer. A filter is for subjects of one class.
fn newest_of_any(
    connection: &Connection,
    subjects: &mut Subjects,
    selected: &mut Selected<'_>,
    after: u64,
) -> rusqlite::Result<Option<(u64, SubjectId)>> {
    let mut statement = connection
        .prepare_cached("SELECT pos, subject FROM trimmed WHERE pos > ? ORDER BY pos DESC")?;
    let mut rows = statement.query([signed(after)])?;
    while let Some(row) = rows.next()? {
        let id = SubjectId(row.get(1)?);
        if selected.has(id, connection, subjects)? {
            return Ok(Some((unsigned(row.get(0)?), id)));
        }
    }
    Ok(None)
}
