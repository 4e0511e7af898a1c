//! The table of cells.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::meta::{rows, signed, unsigned};
use crate::cells::{Cell, Expect, Put, Revision};

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Cell>> {
    connection
        .prepare_cached("SELECT value, revision FROM cell WHERE key = ?")?
        .query_row([key], |row| {
            let value = Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?);
            Ok(Cell {
                value,
                revision: Revision(unsigned(row.get(1)?)),
            })
        })
        .optional()
}

/// Cells whose key begins with `prefix` and lies after `after`, ascending.
pub(super) fn scan(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<(String, Cell)>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, value, revision FROM cell WHERE key >= ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key",
    )?;
    let from = after.map_or(prefix, |after| after.max(prefix));
    let mut found = statement.query(params![from, after])?;
    let mut cells = Vec::new();
    while cells.len() < limit
        && let Some(row) = found.next()?
    {
        let key = row.get_ref(0)?.as_str()?;
        if !key.starts_with(prefix) {
            break;
        }
        let value = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
        cells.push((
            key.to_owned(),
            Cell {
                value,
                revision: Revision(unsigned(row.get(2)?)),
            },
        ));
    }
    Ok(cells)
}

pub(super) fn revision(connection: &Connection, key: &str) -> rusqlite::Result<Option<Revision>> {
    connection
        .prepare_cached("SELECT revision FROM cell WHERE key = ?")?
        .query_row([key], |row| Ok(Revision(unsigned(row.get(0)?))))
        .optional()
}

pub(super) fn meets(expect: Expect, present: Option<Revision>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => present.is_none(),
        Expect::Revision(revision) => present == Some(revision),
    }
}

pub(super) fn write(
    connection: &Connection,
    put: &Put,
    revision: Revision,
) -> rusqlite::Result<()> {
    match &put.value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?)")?
            .execute(params![
                put.key,
                &**value,
                signed(revision.0),
                put.expires_at.map(signed)
            ])?,
        None => connection
            .prepare_cached("DELETE FROM cell WHERE key = ?")?
            .execute([&put.key])?,
    };
    Ok(())
}

/// Removes up to `limit` cells whose time has passed.
pub(super) fn sweep(connection: &Connection, now: u64, limit: usize) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM cell WHERE key IN
                (SELECT key FROM cell WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        )?
        .execute(params![signed(now), rows(limit)])
}
