//! One transaction of the writer, and what its failure means.

use rusqlite::{Connection, ErrorCode};

use super::meta::Meta;

/// Why a transaction did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No room. It was rolled back; a later one may succeed.
    Full,
    /// What the disk holds is unknown from here on: a sync that failed once may succeed when repeated, without the pages
    /// that it lost.
    Failed,
    /// Another process, say an operator's tool, held the file for too long. Nothing was begun.
    Busy,
}

/// Runs `work` and commits it together with what it changed in `meta`: all of it or nothing.
pub(super) fn transact<T>(
    connection: &Connection,
    meta: &mut Meta,
    work: impl FnOnce(&Connection, &mut Meta) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    let before = *meta;
    let done = (|| {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = work(connection, meta)?;
        meta.save(&before, connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    })();
    done.map_err(|error| {
        *meta = before;
        let undone = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        let failure = if undone { classify(&error) } else { Failure::Failed };
        match failure {
            Failure::Full => tracing::warn!(%error, "no room for a transaction of the store"),
            Failure::Busy => tracing::warn!(%error, "another process holds the file of the store"),
            Failure::Failed => tracing::error!(%error, "a transaction of the store failed; no more writes are taken"),
        }
        failure
    })
}

pub(super) fn classify(error: &rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Failure::Full,
        Some(ErrorCode::DatabaseBusy) => Failure::Busy,
        _ => Failure::Failed,
    }
}
