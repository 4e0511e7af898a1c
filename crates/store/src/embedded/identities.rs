//! Entries by (source, id).

use rusqlite::{Connection, params};

use super::merge::bucket;
use super::meta::{signed, unsigned};
use super::reader::{Reader, Snapshot};
use super::rows::{Fetcher, RowError, identity_hash};
use crate::entry::Entry;

/// The newest kept entry of the identity.
pub(super) fn locate(
    reader: &mut Reader,
    source: &str,
    id: &str,
) -> Result<Option<Entry>, RowError> {
    let identity = identity_hash(&mut Vec::new(), source, id);
    let bound = reader.shared.recent.bound();
    let mut recent = reader.shared.recent.identified(identity, bound);
    recent.reverse();
    let snapshot = Snapshot::begin(&reader.connection)?;
    let mut fetcher = Fetcher::new(snapshot.connection)?;
    let mut fetch = |position| {
        let found = fetcher.fetch(&mut reader.subjects, position)?;
        Ok::<_, RowError>(found.filter(|entry| *entry.source == *source && *entry.id == *id))
    };
    for position in recent {
        if let Some(entry) = fetch(position)? {
            return Ok(Some(entry));
        }
    }
    let Some((oldest, newest)) = bounds(snapshot.connection)? else {
        return Ok(None);
    };
    for bucket in (bucket(oldest)..=bucket(newest)).rev() {
        for position in merged(snapshot.connection, bucket, identity)? {
            if let Some(entry) = fetch(position)? {
                return Ok(Some(entry));
            }
        }
    }
    Ok(None)
}

fn bounds(connection: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    connection
        .prepare_cached("SELECT (SELECT min(pos) FROM log), (SELECT max(pos) FROM log)")?
        .query_row([], |row| {
            let (oldest, newest): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(oldest.map(unsigned).zip(newest.map(unsigned)))
        })
}

fn merged(connection: &Connection, bucket: i64, identity: u64) -> rusqlite::Result<Vec<u64>> {
    connection
        .prepare_cached("SELECT pos FROM ids WHERE bucket = ? AND hash = ? ORDER BY pos DESC")?
        .query_map(params![bucket, signed(identity)], |row| {
            row.get(0).map(unsigned)
        })?
        .collect()
}
