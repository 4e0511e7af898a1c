//! Finds rows to remove, and removes them from the log.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::meta::{self, Meta, signed, unsigned};
use super::rows::{identity_hash, source_hash};
use super::subjects::SubjectId;
use crate::entry::Class;
use crate::trim::is_expired;

const COLUMNS: &str = "l.pos, l.subject, l.stored_at, l.expires_at, l.kind, l.priority, l.source, l.id, octet_length(l.body)";

/// What must be known of a row to remove it everywhere.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) position: u64,
    pub(super) subject: SubjectId,
    pub(super) stored_at: u64,
    pub(super) weight: u64,
    pub(super) expires_at: Option<u64>,
    pub(super) kind: u8,
    pub(super) priority: u8,
    pub(super) source: u64,
    pub(super) identity: u64,
}

/// The oldest rows of a class.
#[derive(Debug)]
pub(super) struct Oldest {
    pub(super) rows: Vec<Gone>,
    /// No other row of the class lies at or before this position.
    pub(super) upto: u64,
    /// Nothing lies behind.
    pub(super) finished: bool,
}

pub(super) fn oldest_position(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(pos) FROM log")?
        .query_row([], |row| row.get(0))?;
    Ok(oldest.map(unsigned))
}

/// Rows of the class in `(after, upto]`; `limit` bounds the rows of any class that are looked at.
pub(super) fn oldest(
    connection: &Connection,
    class: Class,
    after: u64,
    upto: u64,
    limit: usize,
) -> rusqlite::Result<Oldest> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM log l WHERE l.pos > ? AND l.pos <= ? ORDER BY l.pos LIMIT ?"
    ))?;
    let mut found = statement.query(params![signed(after), signed(upto), meta::rows(limit)])?;
    let mut oldest = Oldest {
        rows: Vec::new(),
        upto: after,
        finished: false,
    };
    let mut visited = 0;
    let mut scratch = Vec::new();
    while let Some(row) = found.next()? {
        visited += 1;
        oldest.upto = unsigned(row.get(0)?);
        if SubjectId(row.get(1)?).class() == class {
            oldest.rows.push(gone(row, &mut scratch)?);
        }
    }
    oldest.finished = visited < limit;
    Ok(oldest)
}

/// Takes up to `limit` rows out of the list of those that nobody needs any more; true if these were all.
pub(super) fn take_spent(
    connection: &Connection,
    now: u64,
    limit: usize,
) -> rusqlite::Result<(Vec<Gone>, bool)> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.at, s.pos FROM spent s LEFT JOIN log l ON l.pos = s.pos WHERE s.at <= ? LIMIT ?"
    ))?;
    let mut delete = connection.prepare_cached("DELETE FROM spent WHERE at = ? AND pos = ?")?;
    let mut listed = Vec::new();
    let mut rows = Vec::new();
    let mut found = statement.query(params![signed(now), meta::rows(limit)])?;
    let mut scratch = Vec::new();
    while let Some(row) = found.next()? {
        listed.push((row.get::<_, i64>(9)?, row.get::<_, i64>(10)?));
        // A row that went for another reason under another window may still be listed.
        if row.get::<_, Option<i64>>(0)?.is_some() {
            rows.push(gone(row, &mut scratch)?);
        }
    }
    for (at, position) in &listed {
        delete.execute(params![at, position])?;
    }
    Ok((rows, listed.len() < limit))
}

fn gone(row: &Row<'_>, scratch: &mut Vec<u8>) -> rusqlite::Result<Gone> {
    let (source, id) = (row.get_ref(6)?.as_str()?, row.get_ref(7)?.as_str()?);
    Ok(Gone {
        position: unsigned(row.get(0)?),
        subject: SubjectId(row.get(1)?),
        stored_at: unsigned(row.get(2)?),
        weight: (source.len() + id.len()) as u64 + unsigned(row.get(8)?),
        expires_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
        kind: row.get(4)?,
        priority: row.get(5)?,
        source: source_hash(source),
        identity: identity_hash(scratch, source, id),
    })
}

/// Removes the rows from the log, inside the caller's transaction, and notes which of them are a loss to somebody. The
/// derived tables are left to a sweep.
pub(super) fn remove(
    connection: &Connection,
    meta: &mut Meta,
    rows: &[Gone],
    now: u64,
) -> rusqlite::Result<()> {
    let mut from_log = connection.prepare_cached("DELETE FROM log WHERE pos = ?")?;
    let mut lost: BTreeMap<SubjectId, u64> = BTreeMap::new();
    for row in rows {
        from_log.execute([signed(row.position)])?;
        let class = &mut meta.classes[row.subject.class()];
        class.count = class.count.saturating_sub(1);
        class.bytes = class.bytes.saturating_sub(row.weight);
        if !is_expired(row.expires_at, now) {
            class.trimmed_to = class.trimmed_to.max(row.position);
            let newest = lost.entry(row.subject).or_default();
            *newest = row.position.max(*newest);
        }
        if row.position > meta.removed {
            (meta.removed, meta.removed_at) = (row.position, row.stored_at);
        }
    }
    let mut trimmed = connection.prepare_cached(
        "INSERT INTO trimmed VALUES (?, ?) ON CONFLICT(subject) DO UPDATE SET pos = max(pos, excluded.pos)",
    )?;
    for (subject, position) in lost {
        trimmed.execute(params![subject.0, signed(position)])?;
    }
    Ok(())
}
