//! Brings files of earlier formats up to the present one.

use rusqlite::{Connection, params};

use super::merge::Merge;
use super::meta::{Meta, signed, unsigned};
use super::recent::{Recent, RecentRow};
use super::rows::{identity_hash, source_hash};
use super::subjects::SubjectId;

/// Rows indexed at once: as many as a merge usually has.
const ROWS_AT_ONCE: i64 = 65_536;

/// Format 3 keeps its lists of positions in blocks. They are made anew from the log, as far as the earlier index reached.
pub(super) fn to_3(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP TABLE idx;
        DROP TABLE IF EXISTS sources;
        DROP TABLE ids;
        DROP TABLE urgent;
        CREATE TABLE posting(
            bucket INTEGER, kind INTEGER, key INTEGER, first INTEGER, positions BLOB NOT NULL,
            PRIMARY KEY(bucket, kind, key, first)) WITHOUT ROWID;
        CREATE TABLE urgent(pos INTEGER PRIMARY KEY, subject INTEGER NOT NULL, priority INTEGER NOT NULL);",
    )?;
    let mut meta = Meta::load(connection)?;
    let upto = meta.indexed_to;
    let mut after = 0;
    loop {
        let rows = rows(connection, after, upto)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.position;
        let recent = Recent::default();
        recent.push(&rows, after);
        Merge::begin(recent.freeze()).slice(connection, &mut meta, usize::MAX)?;
    }
}

/// `spent` has stayed as it is, so nothing is spent here.
fn rows(connection: &Connection, after: u64, upto: u64) -> rusqlite::Result<Vec<RecentRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT pos, subject, source, id, kind, priority FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?",
    )?;
    let mut scratch = Vec::new();
    let rows = statement.query_map(params![signed(after), signed(upto), ROWS_AT_ONCE], |row| {
        let (source, id) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
        Ok(RecentRow {
            position: unsigned(row.get(0)?),
            subject: SubjectId(row.get(1)?),
            source: source_hash(source),
            identity: identity_hash(&mut scratch, source, id),
            spent_at: None,
            kind: row.get(4)?,
            priority: row.get(5)?,
        })
    })?;
    rows.collect()
}
