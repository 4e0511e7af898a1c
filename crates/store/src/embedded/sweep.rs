//! Takes removed rows out of the derived tables: the counterpart of a merge, in sorted slices for the same reason.
//!
//! A crash in between leaves names of rows that are gone. Readers pass over them, since a position is never used again.

use rusqlite::{Connection, params};

use super::merge::bucket;
use super::meta::signed;
use super::recent::URGENT_MIN;
use super::removal::Gone;
use super::rows::spent_at;

/// A sweep that has begun.
#[derive(Debug)]
pub(super) struct Sweep {
    by_subject: Vec<Gone>,
    by_source: Vec<Gone>,
    by_identity: Vec<Gone>,
    window_ms: u64,
}

impl Sweep {
    pub(super) fn begin(mut gone: Vec<Gone>, window_ms: u64) -> Self {
        let mut by_identity = gone.clone();
        by_identity.sort_unstable_by_key(|row| (bucket(row.position), signed(row.identity)));
        let mut by_source = gone.clone();
        by_source
            .sort_unstable_by_key(|row| (bucket(row.position), signed(row.source), row.position));
        gone.sort_unstable_by_key(|row| (row.subject, row.position));
        Self {
            by_subject: gone,
            by_source,
            by_identity,
            window_ms,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.by_subject.is_empty() && self.by_source.is_empty() && self.by_identity.is_empty()
    }

    /// Takes out up to `count`, from the end of the order, inside the caller's transaction.
    pub(super) fn slice(&mut self, connection: &Connection, count: usize) -> rusqlite::Result<()> {
        if !self.by_subject.is_empty() {
            remove_subjects(connection, last(&mut self.by_subject, count))
        } else if !self.by_source.is_empty() {
            remove_sources(connection, last(&mut self.by_source, count))
        } else {
            let rows = last(&mut self.by_identity, count);
            remove_identities(connection, rows, self.window_ms)
        }
    }
}

fn last(rows: &mut Vec<Gone>, count: usize) -> impl Iterator<Item = Gone> {
    rows.drain(rows.len().saturating_sub(count)..)
}

fn remove_subjects(
    connection: &Connection,
    rows: impl Iterator<Item = Gone>,
) -> rusqlite::Result<()> {
    let mut from_index =
        connection.prepare_cached("DELETE FROM idx WHERE subject = ? AND pos = ?")?;
    let mut from_urgent =
        connection.prepare_cached("DELETE FROM urgent WHERE subject = ? AND pos = ?")?;
    for row in rows {
        from_index.execute(params![row.subject.0, signed(row.position)])?;
        if row.priority >= URGENT_MIN {
            from_urgent.execute(params![row.subject.0, signed(row.position)])?;
        }
    }
    Ok(())
}

fn remove_sources(
    connection: &Connection,
    rows: impl Iterator<Item = Gone>,
) -> rusqlite::Result<()> {
    let mut from_sources = connection
        .prepare_cached("DELETE FROM sources WHERE bucket = ? AND hash = ? AND pos = ?")?;
    for row in rows {
        from_sources.execute(params![
            bucket(row.position),
            signed(row.source),
            signed(row.position)
        ])?;
    }
    Ok(())
}

fn remove_identities(
    connection: &Connection,
    rows: impl Iterator<Item = Gone>,
    window_ms: u64,
) -> rusqlite::Result<()> {
    let mut from_ids =
        connection.prepare_cached("DELETE FROM ids WHERE bucket = ? AND hash = ? AND pos = ?")?;
    let mut from_spent = connection.prepare_cached("DELETE FROM spent WHERE at = ? AND pos = ?")?;
    for row in rows {
        from_ids.execute(params![
            bucket(row.position),
            signed(row.identity),
            signed(row.position)
        ])?;
        if let Some(at) = spent_at(row.stored_at, row.expires_at, window_ms) {
            from_spent.execute(params![signed(at), signed(row.position)])?;
        }
    }
    Ok(())
}
