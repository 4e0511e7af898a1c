//! Answers questions on a thread that reads.
//!
//! Each question takes the bound of the recent rows first, then resolves subjects, then copies what it needs from memory,
//! and only then begins its transaction: whatever lies up to the bound is in the copy or in the snapshot.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::meta::{signed, unsigned};
use super::rows::{self, RowError};
use super::schema::open_reader;
use super::selection::{LogScan, Order, Selected, SubjectMerge};
use super::shared::Shared;
use super::subjects::{SubjectId, Subjects};
use super::{cells, identities, losses, subjects, times, urgent};
use crate::cells::Cell;
use crate::entry::{Entry, Position};
use crate::error::ReadError;
use crate::history::{History, Lost, Page, Selector, Slice, Urgent};
use crate::trim::is_expired;

/// Recent positions copied for one page, of each subject.
const RECENT_ROWS: usize = 1024;

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

    fn page(&mut self, selector: &Selector, slice: Slice) -> Result<Page, RowError> {
        let now = self.shared.timeline.now();
        let bound = self.shared.recent.bound();
        let (after, mut upto) = (slice.after.0, slice.upto.0.min(bound));
        let exact = self.resolve(selector)?;
        let mut memory = Vec::new();
        if selector.filter.is_none() && after < upto {
            for positions in self
                .shared
                .recent
                .positions(&exact, after, upto, RECENT_ROWS)
            {
                if positions.len() == RECENT_ROWS {
                    // There may be more: the page ends here.
                    upto = upto.min(positions[RECENT_ROWS - 1]);
                }
                memory.extend(positions);
            }
            memory.retain(|position| *position <= upto);
        }
        let snapshot = Snapshot::begin(&self.connection)?;
        let lost = losses::after(
            snapshot.connection,
            &mut self.subjects,
            selector,
            &exact,
            after,
            bound,
        )?;
        let mut rows = match &selector.filter {
            Some(_) => Rows::Log(LogScan::new(after, upto), Selected::new(selector, &exact)),
            None => Rows::Subjects(SubjectMerge::new(
                snapshot.connection,
                &exact,
                memory,
                (after, upto),
                Order::Ascending,
            )?),
        };
        let mut page = Page {
            entries: Vec::new(),
            scanned_to: Position(upto),
            lost,
        };
        let (mut visited, mut bytes, mut scanned_to) = (0, 0, after);
        while let Some((position, selected)) = rows.next(snapshot.connection, &mut self.subjects)? {
            let found = if selected {
                rows::fetch(snapshot.connection, &mut self.subjects, position)?
            } else {
                None
            };
            if let Some((entry, _)) = found.filter(|(entry, _)| !is_expired(entry.expires_at, now))
            {
                bytes += entry.body.len();
                if bytes > slice.bytes_max && !page.entries.is_empty() {
                    page.scanned_to = Position(scanned_to);
                    break;
                }
                page.entries.push(Arc::new(entry));
            }
            scanned_to = position;
            visited += 1;
            if visited >= slice.rows_max {
                page.scanned_to = Position(scanned_to);
                break;
            }
        }
        Ok(page)
    }

    fn newest_positions(
        &mut self,
        selector: &Selector,
        limit: usize,
    ) -> Result<Vec<Position>, RowError> {
        let now = self.shared.timeline.now();
        let bound = self.shared.recent.bound();
        let exact = match &selector.filter {
            Some(_) => subjects::matching(&self.connection, selector)?,
            None => self.resolve(selector)?,
        };
        let memory = self
            .shared
            .recent
            .newest(&exact, bound, usize::MAX)
            .concat();
        let snapshot = Snapshot::begin(&self.connection)?;
        let mut merge = SubjectMerge::new(
            snapshot.connection,
            &exact,
            memory,
            (0, bound),
            Order::Descending,
        )?;
        let mut newest = Vec::new();
        while newest.len() < limit
            && let Some(position) = merge.next(snapshot.connection)?
        {
            if let Some(expires_at) = expires_at(snapshot.connection, position)?
                && !is_expired(expires_at, now)
            {
                newest.push(Position(position));
            }
        }
        newest.reverse();
        Ok(newest)
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

enum Rows<'s> {
    Log(LogScan, Selected<'s>),
    Subjects(SubjectMerge),
}

impl Rows<'_> {
    fn next(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<Option<(u64, bool)>> {
        Ok(match self {
            Self::Log(scan, selected) => scan
                .next(connection, subjects, selected)?
                .map(|visited| (visited.position, visited.selected)),
            Self::Subjects(merge) => merge.next(connection)?.map(|position| (position, true)),
        })
    }
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
        Ok(self.page(selector, slice)?)
    }

    fn newest(&mut self, selector: &Selector, limit: usize) -> Result<Vec<Position>, ReadError> {
        Ok(self.newest_positions(selector, limit)?)
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
        let mut entries = Vec::with_capacity(positions.len());
        for position in positions {
            let found = rows::fetch(snapshot.connection, &mut self.subjects, position.0)?;
            entries.extend(
                found
                    .filter(|(entry, _)| !is_expired(entry.expires_at, now))
                    .map(|(entry, _)| Arc::new(entry)),
            );
        }
        Ok(entries)
    }

    fn lost_after(
        &mut self,
        selector: &Selector,
        after: Position,
    ) -> Result<Option<Lost>, ReadError> {
        let bound = self.shared.recent.bound();
        let exact = self.resolve(selector)?;
        let snapshot = Snapshot::begin(&self.connection)?;
        Ok(losses::after(
            snapshot.connection,
            &mut self.subjects,
            selector,
            &exact,
            after.0,
            bound,
        )?)
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
