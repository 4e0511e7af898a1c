//! Brings files of earlier formats up to the present one.

use rusqlite::{Connection, params};

use super::merge::{INSERT_SOURCE, bucket};
use super::meta::{signed, unsigned};
use super::rows::source_hash;

/// Format 2 has the table `sources`, of all rows that are in the other derived tables.
pub(super) fn to_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE sources(bucket INTEGER, hash INTEGER, pos INTEGER, PRIMARY KEY(bucket, hash, pos)) WITHOUT ROWID",
    )?;
    let mut statement = connection.prepare(
        "SELECT pos, source FROM log WHERE pos <= (SELECT value FROM meta WHERE key = 'indexed_to') ORDER BY pos",
    )?;
    let mut rows = statement.query([])?;
    let mut group: Vec<(u64, u64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let position = unsigned(row.get(0)?);
        if group
            .first()
            .is_some_and(|(_, first)| bucket(*first) != bucket(position))
        {
            insert(connection, &mut group)?;
        }
        group.push((source_hash(row.get_ref(1)?.as_str()?), position));
    }
    insert(connection, &mut group)
}

/// One group, sorted: neighbours in the tree then share its pages.
fn insert(connection: &Connection, group: &mut Vec<(u64, u64)>) -> rusqlite::Result<()> {
    group.sort_unstable_by_key(|(hash, position)| (signed(*hash), *position));
    let mut statement = connection.prepare_cached(INSERT_SOURCE)?;
    for (hash, position) in group.drain(..) {
        statement.execute(params![bucket(position), signed(hash), signed(position)])?;
    }
    Ok(())
}
