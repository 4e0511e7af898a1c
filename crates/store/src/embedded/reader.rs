//! Answers questions on a thread that reads.
//!
//! Each question takes the bound of the recent rows first, then resolves subjects, then copies what it needs from memory,
//! and only then begins its transaction: whatever lies up to the bound is in the copy or in the snapshot.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::meta::{signed, unsigned};
use super::rows::{Fetcher, RowError};
use super::schema::open_reader;
use super::shared::Shared;
use super::subjects::{SubjectId, Subjects};
use super::{cells, find, identities, newest, page, times, urgent};
use crate::cells::Cell;
use crate::entry::{Entry, Position};
use crate::error::ReadError;
use crate::history::{History, Lost, Page, Selector, Slice, Urgent};
use crate::query::{Found, Query};
use crate::trim::is_expired;

/// Reads a store on disk.
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) subjects: Subjects,
}

impl Reader {
    pub(super) fn open(path: &Path, shared: Arc<Shared>) -> rusqlite::Result<Self> {
        Ok(Self {
            connection: open_reader(path)?,
            shared,
            subjects: Subjects::default(),
        })
    }

    /// The numbers of the subjects that were ever stored.
    pub(super) fn resolve(&mut self, selector: &Selector) -> rusqlite::Result<Vec<SubjectId>> {
        let mut exact = Vec::with_capacity(selector.exact.len());
        for subject in &selector.exact {
            exact.extend(self.subjects.find(&self.connection, subject)?);
        }
        exact.sort_unstable();
        exact.dedup();
        Ok(exact)
    }
}

/// `None`: not kept any more.
pub(super) fn expires_at(
    connection: &Connection,
    position: u64,
) -> rusqlite::Result<Option<Option<u64>>> {
    connection
        .prepare_cached("SELECT expires_at FROM log WHERE pos = ?")?
        .query_row([signed(position)], |row| {
            Ok(row.get::<_, Option<i64>>(0)?.map(unsigned))
        })
        .optional()
}

/// A read transaction; ends when dropped.
pub(super) struct Snapshot<'c> {
    pub(super) connection: &'c Connection,
}

impl<'c> Snapshot<'c> {
    pub(super) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self { connection })
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Err(error) = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut end| end.execute([]))
        {
            tracing::warn!(%error, "ending a read of the store failed");
        }
    }
}

impl From<RowError> for ReadError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Damaged(position) => Self::Damaged {
                position: Position(position),
            },
            RowError::Sqlite(error) => Self::Failed(Box::new(error)),
        }
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        RowError::from(error).into()
    }
}

impl History for Reader {
    fn read(&mut self, selector: &Selector, slice: Slice) -> Result<Page, ReadError> {
        Ok(page::read(self, selector, slice)?)
    }

    fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        Ok(find::find(self, query)?)
    }

    fn newest(&mut self, selector: &Selector, limit: usize) -> Result<Vec<Position>, ReadError> {
        Ok(newest::find(self, selector, limit)?)
    }

    fn urgent(
        &mut self,
        selector: &Selector,
        after: Position,
        upto: Position,
        priority_min: u8,
        limit: usize,
    ) -> Result<Urgent, ReadError> {
        Ok(urgent::find(
            self,
            selector,
            (after.0, upto.0),
            priority_min,
            limit,
        )?)
    }

    fn at(&mut self, positions: &[Position]) -> Result<Vec<Arc<Entry>>, ReadError> {
        let now = self.shared.timeline.now();
        let snapshot = Snapshot::begin(&self.connection)?;
        let mut fetcher = Fetcher::new(snapshot.connection)?;
        let mut entries = Vec::with_capacity(positions.len());
        for position in positions {
            let found = fetcher.fetch(&mut self.subjects, position.0)?;
            let of_use = found.filter(|entry| !is_expired(entry.expires_at, now));
            entries.extend(of_use.map(Arc::new));
        }
        Ok(entries)
    }

    fn lost_after(
        &mut self,
        selector: &Selector,
        after: Position,
    ) -> Result<Option<Lost>, ReadError> {
        Ok(page::lost_after(self, selector, after)?)
    }

    fn position_before(&mut self, time_ms: u64) -> Result<Position, ReadError> {
        let snapshot = Snapshot::begin(&self.connection)?;
        Ok(Position(times::position_before(
            snapshot.connection,
            time_ms,
        )?))
    }

    fn locate(&mut self, source: &str, id: &str) -> Result<Option<Arc<Entry>>, ReadError> {
        Ok(identities::locate(self, source, id)?.map(Arc::new))
    }

    fn cell(&mut self, key: &str) -> Result<Option<Cell>, ReadError> {
        Ok(cells::get(&self.connection, key)?)
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Cell)>, ReadError> {
        Ok(cells::scan(&self.connection, prefix, after, limit)?)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
