//! Entries by (source, id).

use rusqlite::Connection;

use super::block::Block;
use super::list::{List, bucket};
use super::meta::unsigned;
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

/// Newest first; some may be of other identities.
fn merged(connection: &Connection, bucket: i64, identity: u64) -> rusqlite::Result<Vec<u64>> {
    let (list, tag) = List::of_identity(identity);
    let mut positions = Vec::new();
    let mut upto = u64::MAX >> 1;
    while let Some(block) = Block::upto(connection, bucket, list, upto)? {
        let postings = block.postings.iter().rev();
        let tagged = postings.filter(|posting| posting.tag == tag);
        positions.extend(tagged.map(|posting| posting.position));
        upto = block.first - 1;
    }
    Ok(positions)
}
