//! Reads a slice of the selected entries.

use std::sync::Arc;

use rusqlite::Connection;

use super::list::List;
use super::losses;
use super::postings::Postings;
use super::reader::{Reader, Snapshot};
use super::rows::{self, Fetcher, RowError};
use super::selection::{LogScan, Selected};
use super::subjects::{SubjectId, Subjects};
use crate::entry::{Class, Position};
use crate::history::{Lost, Page, Selector, Slice};
use crate::query::Order;
use crate::trim::is_expired;

/// Recent positions copied for one page, of each subject.
const RECENT_ROWS: usize = 1024;
/// Rows looked at for the first one that is kept. Where it lies further on, what was looked at is still true.
const FIRST_KEPT_ROWS_MAX: usize = 10_000;

pub(super) fn read(
    reader: &mut Reader,
    selector: &Selector,
    slice: Slice,
) -> Result<Page, RowError> {
    let now = reader.shared.timeline.now();
    let range = Range::copy(reader, selector, slice.after.0)?;
    let upto = range.upto.min(slice.upto.0);
    let snapshot = Snapshot::begin(&reader.connection)?;
    let (connection, subjects) = (snapshot.connection, &mut reader.subjects);
    let lost = range.lost(connection, subjects)?;
    let mut rows = range.rows(connection, upto)?;
    let mut fetcher = Fetcher::new(connection)?;
    let mut page = Page {
        entries: Vec::new(),
        scanned_to: Position(upto),
        lost,
    };
    let (mut visited, mut bytes, mut scanned_to) = (0, 0, range.after);
    while let Some((position, selected)) = rows.next(connection, subjects)? {
        let found = match selected.then(|| fetcher.fetch(subjects, position)) {
            // What lies before it is not lost with it.
            Some(Err(RowError::Damaged(_))) if !page.entries.is_empty() => {
                page.scanned_to = Position(scanned_to);
                break;
            }
            fetched => fetched.transpose()?.flatten(),
        };
        if let Some(entry) =
            found.filter(|entry| selector.expired || !is_expired(entry.expires_at, now))
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

pub(super) fn lost_after(
    reader: &mut Reader,
    selector: &Selector,
    after: Position,
) -> Result<Option<Lost>, RowError> {
    // Nearly always, and every new stream asks; what retention takes at this moment, the next slice sees.
    if Class::ALL
        .into_iter()
        .all(|class| reader.shared.trimmed_to(class) <= after)
    {
        return Ok(None);
    }
    let range = Range::copy(reader, selector, after.0)?;
    let snapshot = Snapshot::begin(&reader.connection)?;
    Ok(range.lost(snapshot.connection, &mut reader.subjects)?)
}

/// What may be read, with what had to be copied from memory before the snapshot began.
struct Range<'s> {
    selector: &'s Selector,
    exact: Vec<SubjectId>,
    /// Also some beyond `upto`.
    memory: Vec<u64>,
    after: u64,
    upto: u64,
}

impl<'s> Range<'s> {
    fn copy(reader: &mut Reader, selector: &'s Selector, after: u64) -> rusqlite::Result<Self> {
        let mut upto = reader.shared.recent.bound();
        let exact = reader.resolve(selector)?;
        let mut memory = Vec::new();
        if selector.filter.is_none() && after < upto {
            let lists = exact.iter().copied().map(List::Subject);
            let (range, order) = ((after, upto), Order::Ascending);
            let recent = &reader.shared.recent;
            for positions in recent.positions(lists, range, order, RECENT_ROWS) {
                if positions.len() == RECENT_ROWS {
                    // There may be more: the range ends here.
                    upto = upto.min(positions[RECENT_ROWS - 1]);
                }
                memory.extend(positions);
            }
        }
        Ok(Self {
            selector,
            exact,
            memory,
            after,
            upto,
        })
    }

    fn rows(&self, connection: &Connection, upto: u64) -> rusqlite::Result<Rows<'s>> {
        let memory = self
            .memory
            .iter()
            .copied()
            .filter(|position| *position <= upto);
        Ok(match &self.selector.filter {
            Some(_) => Rows::Log(
                LogScan::new((self.after, upto), Order::Ascending),
                Selected::new(self.selector, &self.exact),
            ),
            None => Rows::Subjects(Postings::new(
                connection,
                self.exact.iter().copied().map(List::Subject),
                memory.collect(),
                (self.after, upto),
                Order::Ascending,
            )?),
        })
    }

    fn lost(
        &self,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<Option<Lost>> {
        let newest =
            losses::newest_after(connection, subjects, self.selector, &self.exact, self.after)?;
        let Some(by_class) = newest else {
            return Ok(None);
        };
        let resume_after = self.before_first_kept(connection, subjects)?;
        Ok(Some(Lost {
            upto: Class::ALL
                .map(|class| by_class[class])
                .into_iter()
                .max()
                .unwrap_or_default(),
            by_class,
            resume_after: Position(resume_after),
        }))
    }

    fn before_first_kept(
        &self,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<u64> {
        let mut rows = self.rows(connection, self.upto)?;
        let mut passed = self.after;
        for _ in 0..FIRST_KEPT_ROWS_MAX {
            match rows.next(connection, subjects)? {
                None => return Ok(self.upto.max(self.after)),
                // An index may still name a row that is gone.
                Some((position, true)) if rows::exists(connection, position)? => {
                    return Ok(position - 1);
                }
                Some((position, _)) => passed = position,
            }
        }
        Ok(passed)
    }
}

enum Rows<'s> {
    Log(LogScan, Selected<'s>),
    Subjects(Postings),
}

impl Rows<'_> {
    /// The next row looked at, and whether it is selected.
    fn next(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<Option<(u64, bool)>> {
        match self {
            Self::Log(scan, selected) => scan.next(connection, subjects, selected),
            Self::Subjects(postings) => {
                Ok(postings.next(connection)?.map(|position| (position, true)))
            }
        }
    }
}
