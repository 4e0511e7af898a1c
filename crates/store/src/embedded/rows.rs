//! Rows of the log, each with a checksum over all that it says.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, Row, params};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::meta::{signed, unsigned};
use super::subjects::{SubjectId, Subjects};
use crate::entry::{Entry, Position};

const COLUMNS: &str = "SELECT pos, subject, stored_at, expires_at, kind, priority, source, id, exclude, fingerprint, sum, body
    FROM log";

#[derive(Debug)]
pub(super) enum RowError {
    Damaged(u64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Inserts the rows of one commit.
pub(super) struct Inserter<'c> {
    statement: CachedStatement<'c>,
    scratch: Vec<u8>,
}

impl<'c> Inserter<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let statement = connection
            .prepare_cached("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        Ok(Self {
            statement,
            scratch: Vec::new(),
        })
    }

    pub(super) fn insert(
        &mut self,
        entry: &Entry,
        subject: SubjectId,
        fingerprint: u128,
    ) -> rusqlite::Result<()> {
        let sum = checksum(&mut self.scratch, entry, subject, fingerprint);
        self.statement.execute(params![
            signed(entry.position.0),
            subject.0,
            signed(entry.stored_at),
            entry.expires_at.map(signed),
            entry.kind,
            entry.priority,
            &*entry.source,
            &*entry.id,
            entry.exclude.as_deref(),
            fingerprint.to_le_bytes(),
            sum,
            &*entry.body,
        ])?;
        Ok(())
    }
}

/// Fetches the rows of one read.
pub(super) struct Fetcher<'c> {
    connection: &'c Connection,
    statement: CachedStatement<'c>,
    scratch: Vec<u8>,
}

impl<'c> Fetcher<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let statement = connection.prepare_cached(&format!("{COLUMNS} WHERE pos = ?"))?;
        Ok(Self {
            connection,
            statement,
            scratch: Vec::new(),
        })
    }

    /// `None`: not kept any more.
    pub(super) fn fetch(
        &mut self,
        subjects: &mut Subjects,
        position: u64,
    ) -> Result<Option<Entry>, RowError> {
        let mut rows = self.statement.query([signed(position)])?;
        let Some(stored) = rows.next()?.map(stored).transpose()? else {
            return Ok(None);
        };
        let subject = subjects.subject(self.connection, stored.subject)?;
        let entry = Entry {
            subject,
            ..stored.entry
        };
        if checksum(
            &mut self.scratch,
            &entry,
            stored.subject,
            stored.fingerprint,
        ) != stored.sum
        {
            return Err(RowError::Damaged(position));
        }
        Ok(Some(entry))
    }
}

/// A row that is as it was written. Its entry has the number of its subject beside it, and not the name.
pub(super) struct Scanned {
    pub(super) entry: Entry,
    pub(super) subject: SubjectId,
}

/// Visits every row, in order; one that is damaged comes as its position alone.
pub(super) fn scan(
    connection: &Connection,
    mut visit: impl FnMut(u64, Option<Scanned>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("{COLUMNS} ORDER BY pos"))?;
    let mut rows = statement.query([])?;
    let mut scratch = Vec::new();
    while let Some(row) = rows.next()? {
        let position = unsigned(row.get(0)?);
        let scanned = match stored(row) {
            Ok(stored) => Some(stored).filter(|stored| {
                let Stored {
                    entry,
                    subject,
                    fingerprint,
                    sum,
                } = stored;
                checksum(&mut scratch, entry, *subject, *fingerprint) == *sum
            }),
            // A value that is not of its column's type.
            Err(error) if error.sqlite_error_code().is_none() => None,
            Err(error) => return Err(error),
        };
        let scanned = scanned.map(|Stored { entry, subject, .. }| Scanned { entry, subject });
        visit(position, scanned)?;
    }
    Ok(())
}

pub(super) fn exists(connection: &Connection, position: u64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM log WHERE pos = ?")?
        .exists([signed(position)])
}

struct Stored {
    entry: Entry,
    subject: SubjectId,
    fingerprint: u128,
    sum: i64,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let text = |index| {
        row.get_ref(index)
            .and_then(|value| Ok(Arc::from(value.as_str()?)))
    };
    Ok(Stored {
        entry: Entry {
            position: Position(unsigned(row.get(0)?)),
            durable: true,
            stored_at: unsigned(row.get(2)?),
            expires_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
            subject: crate::entry::Subject::All,
            source: text(6)?,
            id: text(7)?,
            kind: row.get(4)?,
            priority: row.get(5)?,
            exclude: row.get_ref(8)?.as_str_or_null()?.map(Arc::from),
            body: Bytes::copy_from_slice(row.get_ref(11)?.as_blob()?),
        },
        subject: SubjectId(row.get(1)?),
        fingerprint: u128::from_le_bytes(row.get(9)?),
        sum: row.get(10)?,
    })
}

/// Texts carry their length, so that no two rows have the same bytes to hash.
fn checksum(scratch: &mut Vec<u8>, entry: &Entry, subject: SubjectId, fingerprint: u128) -> i64 {
    scratch.clear();
    for number in [
        entry.position.0,
        unsigned(subject.0),
        entry.stored_at,
        entry.expires_at.unwrap_or(u64::MAX),
    ] {
        scratch.extend_from_slice(&number.to_le_bytes());
    }
    scratch.extend_from_slice(&fingerprint.to_le_bytes());
    scratch.extend_from_slice(&[
        entry.kind,
        entry.priority,
        u8::from(entry.exclude.is_some()),
    ]);
    for text in [
        &*entry.source,
        &*entry.id,
        entry.exclude.as_deref().unwrap_or_default(),
    ] {
        scratch.extend_from_slice(&(text.len() as u64).to_le_bytes());
        scratch.extend_from_slice(text.as_bytes());
    }
    signed(xxh3_64_with_seed(&entry.body, xxh3_64(scratch)))
}

/// The identity as one number. Two identities can share it: who finds a row by it compares source and id.
pub(super) fn identity_hash(scratch: &mut Vec<u8>, source: &str, id: &str) -> u64 {
    scratch.clear();
    scratch.extend_from_slice(&(source.len() as u64).to_le_bytes());
    scratch.extend_from_slice(source.as_bytes());
    scratch.extend_from_slice(id.as_bytes());
    xxh3_64(scratch)
}

/// A source as one number. Two sources can share it: who finds a row by it compares the source.
pub(super) fn source_hash(source: &str) -> u64 {
    xxh3_64(source.as_bytes())
}

/// The latest time that a column holds.
pub(super) const TIME_MAX: u64 = i64::MAX as u64;

/// When nobody needs an entry any more: its time to live has passed, and its identity may be forgotten.
pub(super) fn spent_at(stored_at: u64, expires_at: Option<u64>, window_ms: u64) -> Option<u64> {
    expires_at.map(|expires_at| {
        expires_at
            .max(stored_at.saturating_add(window_ms))
            .min(TIME_MAX)
    })
}
