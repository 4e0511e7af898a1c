//! Finds rows to remove, and removes them from all tables.

use rusqlite::{Connection, Row, params};

use super::merge::bucket;
use super::meta::{self, Meta, signed, unsigned};
use super::recent::URGENT_MIN;
use super::rows::{identity_hash, spent_at};
use super::subjects::SubjectId;
use crate::entry::Class;
use crate::options::PerClass;
use crate::trim::is_expired;

const COLUMNS: &str =
    "l.pos, l.subject, l.stored_at, l.expires_at, l.priority, l.source, l.id, octet_length(l.body)";

/// What must be known of a row to remove it everywhere.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) position: u64,
    pub(super) subject: SubjectId,
    pub(super) stored_at: u64,
    pub(super) weight: u64,
    expires_at: Option<u64>,
    priority: u8,
    identity: u64,
}

/// The oldest rows of a class.
#[derive(Debug)]
pub(super) struct Oldest {
    pub(super) rows: Vec<Doomed>,
    /// No other row of the class lies at or before this position.
    pub(super) upto: u64,
    /// Nothing lies behind.
    pub(super) finished: bool,
}

/// What was removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) entries: PerClass<u64>,
    pub(super) bytes: u64,
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
            oldest.rows.push(doomed(row, &mut scratch)?);
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
) -> rusqlite::Result<(Vec<Doomed>, bool)> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.at, s.pos FROM spent s LEFT JOIN log l ON l.pos = s.pos WHERE s.at <= ? LIMIT ?"
    ))?;
    let mut delete = connection.prepare_cached("DELETE FROM spent WHERE at = ? AND pos = ?")?;
    let mut listed = Vec::new();
    let mut rows = Vec::new();
    let mut found = statement.query(params![signed(now), meta::rows(limit)])?;
    let mut scratch = Vec::new();
    while let Some(row) = found.next()? {
        listed.push((row.get::<_, i64>(8)?, row.get::<_, i64>(9)?));
        // A row that went for another reason under another window may still be listed.
        if row.get::<_, Option<i64>>(0)?.is_some() {
            rows.push(doomed(row, &mut scratch)?);
        }
    }
    for (at, position) in &listed {
        delete.execute(params![at, position])?;
    }
    Ok((rows, listed.len() < limit))
}

fn doomed(row: &Row<'_>, scratch: &mut Vec<u8>) -> rusqlite::Result<Doomed> {
    let (source, id) = (row.get_ref(5)?.as_str()?, row.get_ref(6)?.as_str()?);
    Ok(Doomed {
        position: unsigned(row.get(0)?),
        subject: SubjectId(row.get(1)?),
        stored_at: unsigned(row.get(2)?),
        weight: (source.len() + id.len()) as u64 + unsigned(row.get(7)?),
        expires_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
        priority: row.get(4)?,
        identity: identity_hash(scratch, source, id),
    })
}

/// Removes the rows, inside the caller's transaction, and notes which of them are a loss to somebody.
pub(super) fn remove(
    connection: &Connection,
    meta: &mut Meta,
    mut rows: Vec<Doomed>,
    now: u64,
    window_ms: u64,
) -> rusqlite::Result<Removed> {
    let mut removed = Removed::default();
    let mut from_log = connection.prepare_cached("DELETE FROM log WHERE pos = ?")?;
    for row in &rows {
        from_log.execute([signed(row.position)])?;
        let class = row.subject.class();
        removed.entries[class] += 1;
        removed.bytes += row.weight;
        let counts = &mut meta.classes[class];
        counts.count = counts.count.saturating_sub(1);
        counts.bytes = counts.bytes.saturating_sub(row.weight);
        if !is_expired(row.expires_at, now) {
            counts.trimmed_to = counts.trimmed_to.max(row.position);
        }
        if row.position > meta.removed {
            (meta.removed, meta.removed_at) = (row.position, row.stored_at);
        }
    }
    // In the order of each table: neighbours share its pages.
    rows.sort_unstable_by_key(|row| (row.subject, row.position));
    remove_subjects(connection, &rows, now)?;
    rows.sort_unstable_by_key(|row| (bucket(row.position), signed(row.identity)));
    let mut from_ids =
        connection.prepare_cached("DELETE FROM ids WHERE bucket = ? AND hash = ? AND pos = ?")?;
    let mut from_spent = connection.prepare_cached("DELETE FROM spent WHERE at = ? AND pos = ?")?;
    for row in &rows {
        from_ids.execute(params![
            bucket(row.position),
            signed(row.identity),
            signed(row.position)
        ])?;
        if let Some(at) = spent_at(row.stored_at, row.expires_at, window_ms) {
            from_spent.execute(params![signed(at), signed(row.position)])?;
        }
    }
    Ok(removed)
}

fn remove_subjects(connection: &Connection, rows: &[Doomed], now: u64) -> rusqlite::Result<()> {
    let mut from_index =
        connection.prepare_cached("DELETE FROM idx WHERE subject = ? AND pos = ?")?;
    let mut from_urgent =
        connection.prepare_cached("DELETE FROM urgent WHERE subject = ? AND pos = ?")?;
    let mut trimmed = connection.prepare_cached(
        "INSERT INTO trimmed VALUES (?, ?) ON CONFLICT(subject) DO UPDATE SET pos = max(pos, excluded.pos)",
    )?;
    for of_subject in rows.chunk_by(|a, b| a.subject == b.subject) {
        for row in of_subject {
            from_index.execute(params![row.subject.0, signed(row.position)])?;
            if row.priority >= URGENT_MIN {
                from_urgent.execute(params![row.subject.0, signed(row.position)])?;
            }
        }
        // The last one that was still of use.
        if let Some(lost) = of_subject
            .iter()
            .rev()
            .find(|row| !is_expired(row.expires_at, now))
        {
            trimmed.execute(params![lost.subject.0, signed(lost.position)])?;
        }
    }
    Ok(())
}
