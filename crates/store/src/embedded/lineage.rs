//! The epochs of a journal: one for each time it was opened.
//!
//! An epoch is random, so that a restored copy never meets one of the timeline that it lost. Its last position is
//! written by the next open, from the next position of the file as it then is: what a lost timeline stored beyond is
//! beyond the end of that epoch.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::meta::{Meta, signed, unsigned};
use crate::journal::new_epoch;

/// Cursors of epochs that were forgotten are answered as unknown; so many opens lie beyond any retention.
const EPOCHS_MAX: i64 = 10_000;

#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) epoch: String,
    /// The last positions of all earlier epochs.
    pub(super) ends: HashMap<String, u64>,
}

/// Ends the epoch before and begins a new one, inside the caller's transaction.
pub(super) fn begin(connection: &Connection, meta: &Meta) -> rusqlite::Result<Lineage> {
    let epoch = new_epoch();
    connection.execute(
        "UPDATE lineage SET last = ? WHERE last IS NULL",
        [signed(meta.last())],
    )?;
    let ends = connection
        .prepare("SELECT epoch, last FROM lineage")?
        .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect::<rusqlite::Result<_>>()?;
    connection.execute(
        "INSERT INTO lineage(epoch, last) VALUES (?, NULL)",
        [&epoch],
    )?;
    connection.execute(
        "DELETE FROM lineage WHERE n <= ?",
        params![connection.last_insert_rowid() - EPOCHS_MAX],
    )?;
    Ok(Lineage { epoch, ends })
}
