//! What a database says of itself.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::super::meta::{Meta, signed, unsigned};
use super::super::open::sqlite_error;
use super::super::reader::Snapshot;
use crate::entry::{Class, Position};
use crate::error::OpenError;
use crate::options::PerClass;

/// What a store keeps, counted at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Of the tables; see the note on the data format.
    pub format: u64,
    /// Of the process that has the store open, or of the last one that had.
    pub epoch: Option<String>,
    /// How many epochs are known, and so of how many cursors can be resumed.
    pub epochs: u64,
    /// The newest position that was ever given out.
    pub last: Position,
    /// Stored times of the oldest and the newest entry that are kept.
    pub stored_at: Option<(u64, u64)>,
    pub classes: PerClass<SurveyOfClass>,
    pub subjects: u64,
    pub cells: u64,
    /// Entries whose index the next open, or the process that has the store open, holds in memory.
    pub unmerged: u64,
    /// Of the database, and how much of it is free.
    pub bytes: u64,
    pub bytes_free: u64,
    /// Of the write-ahead log beside it.
    pub log_bytes: u64,
}

/// What a store keeps of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SurveyOfClass {
    pub entries: u64,
    /// Of sources, ids and bodies.
    pub bytes: u64,
    /// The newest position whose removal is a loss.
    pub trimmed_to: Position,
}

pub(super) fn of(path: &Path, connection: &Connection) -> Result<Survey, OpenError> {
    read(connection, log_bytes(path)).map_err(|error| sqlite_error(path, error))
}

fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).metadata().map_or(0, |log| log.len())
}

fn read(connection: &Connection, log_bytes: u64) -> rusqlite::Result<Survey> {
    let snapshot = Snapshot::begin(connection)?;
    let number = |sql: &str| {
        snapshot
            .connection
            .query_row(sql, [], |row| row.get(0).map(unsigned))
    };
    let meta = Meta::load(snapshot.connection)?;
    let page_bytes = number("PRAGMA page_size")?;
    Ok(Survey {
        format: number("PRAGMA user_version")?,
        epoch: epoch(snapshot.connection)?,
        epochs: number("SELECT count(*) FROM lineage")?,
        last: Position(meta.last()),
        stored_at: stored_at(snapshot.connection)?,
        classes: PerClass::from_fn(|class: Class| SurveyOfClass {
            entries: meta.classes[class].count,
            bytes: meta.classes[class].bytes,
            trimmed_to: Position(meta.classes[class].trimmed_to),
        }),
        subjects: number("SELECT count(*) FROM subject")?,
        cells: number("SELECT count(*) FROM cell")?,
        unmerged: snapshot.connection.query_row(
            "SELECT count(*) FROM log WHERE pos > ?",
            [signed(meta.indexed_to)],
            |row| row.get(0).map(unsigned),
        )?,
        bytes: page_bytes * number("PRAGMA page_count")?,
        bytes_free: page_bytes * number("PRAGMA freelist_count")?,
        log_bytes,
    })
}

fn epoch(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT epoch FROM lineage ORDER BY n DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
}

fn stored_at(connection: &Connection) -> rusqlite::Result<Option<(u64, u64)>> {
    let at = |order: &str| {
        connection
            .query_row(
                &format!("SELECT stored_at FROM log ORDER BY pos {order} LIMIT 1"),
                [],
                |row| row.get(0).map(unsigned),
            )
            .optional()
    };
    Ok(at("ASC")?.zip(at("DESC")?))
}
