//! Carries the write-ahead log over into the database, when the writer chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::schema::BUSY_TIMEOUT;

/// When the next checkpoint is due.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Pages in the log after the newest commit, told by SQLite.
    pages: Arc<AtomicU32>,
    seen: u32,
    due_at: u32,
    step: u32,
}

impl Checkpoints {
    pub(super) fn watch(connection: &mut Connection, step: u32) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU32::new(0));
        let told = pages.clone();
        connection.wal_hook(Some(
            move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
                told.store(count.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            },
        ))?;
        Ok(Self {
            pages,
            seen: 0,
            due_at: step,
            step,
        })
    }

    /// Carries over what readers allow, if enough has come since the last time. A reader that stays holds up the rest;
    /// then the log grows by another step before the next attempt.
    pub(super) fn run_when_due(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.seen {
            // The log began anew.
            self.due_at = self.step;
        }
        self.seen = pages;
        if pages < self.due_at {
            return Ok(false);
        }
        run(connection, "PASSIVE")?;
        self.due_at = pages.saturating_add(self.step);
        Ok(true)
    }

    /// Empties the log, unless a reader holds it up.
    pub(super) fn truncate(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        // Appends must not wait for that reader.
        connection.busy_timeout(Duration::ZERO)?;
        let emptied = run(connection, "TRUNCATE")?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if emptied {
            self.pages.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn is_log_empty(&self) -> bool {
        self.pages.load(Ordering::Relaxed) == 0
    }
}

/// True if nothing held it up.
fn run(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
        .query_row([], |row| Ok(row.get::<_, i64>(0)? == 0))
}

#[cfg(test)]
mod tests {
    use super::super::schema::{open_reader, open_writer};
    use super::*;
    use crate::options::Durability;

    const STEP: u32 = 8;

    fn write(connection: &Connection) {
        connection
            .execute(
                "INSERT INTO cell VALUES (hex(randomblob(8)), zeroblob(9000), 1, NULL)",
                [],
            )
            .expect("a cell can be written");
    }

    #[test]
    fn a_checkpoint_waits_for_its_pages_and_for_readers_by_another_step() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("db");
        let mut connection = open_writer(&path, Durability::Os).expect("a new database opens");
        let mut checkpoints = Checkpoints::watch(&mut connection, STEP).expect("a hook");
        let mut run = |connection: &Connection| {
            write(connection);
            checkpoints.run_when_due(connection).expect("a checkpoint")
        };
        let until_next =
            |run: &mut dyn FnMut(&Connection) -> bool| (1..).find(|_| run(&connection));

        // The tables have filled the log already.
        assert_eq!(until_next(&mut run), Some(1));
        assert!(until_next(&mut run) > Some(1));

        let reader = open_reader(&path).expect("the database opens");
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM cell")
            .expect("a snapshot");
        for _ in 0..3 {
            assert!(until_next(&mut run) > Some(1), "not after every commit");
        }

        checkpoints
            .truncate(&connection)
            .expect("a reader is no error");
        assert!(!checkpoints.is_log_empty());
        reader
            .execute_batch("COMMIT")
            .expect("the end of the snapshot");
        checkpoints.truncate(&connection).expect("a checkpoint");
        assert!(checkpoints.is_log_empty());
        assert_eq!(
            std::fs::metadata(dir.path().join("db-wal"))
                .expect("the log")
                .len(),
            0
        );
    }
}
