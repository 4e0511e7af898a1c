//! Which rows a selector names, in order, a few at a time.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, params};

use super::meta::{rows, signed, unsigned};
use super::subjects::{SubjectId, Subjects};
use crate::history::Selector;
use crate::query::Order;

/// Rows fetched at once.
const CHUNK_ROWS: usize = 128;

/// Decides by subject, once for each.
pub(super) struct Selected<'s> {
    selector: &'s Selector,
    decided: HashMap<SubjectId, bool>,
}

impl<'s> Selected<'s> {
    /// `exact` are the numbers of the selector's subjects.
    pub(super) fn new(selector: &'s Selector, exact: &[SubjectId]) -> Self {
        Self {
            selector,
            decided: exact.iter().map(|id| (*id, true)).collect(),
        }
    }

    pub(super) fn has(
        &mut self,
        id: SubjectId,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<bool> {
        if let Some(decided) = self.decided.get(&id) {
            return Ok(*decided);
        }
        let decided = match &self.selector.filter {
            Some(filter) => filter(&subjects.subject(connection, id)?),
            None => false,
        };
        self.decided.insert(id, decided);
        Ok(decided)
    }
}

/// The rows of the log in `(after, upto]`, one after another.
pub(super) struct LogScan {
    order: Order,
    chunk: VecDeque<(u64, SubjectId)>,
    after: u64,
    upto: u64,
    ended: bool,
}

impl LogScan {
    pub(super) fn new((after, upto): (u64, u64), order: Order) -> Self {
        Self {
            order,
            chunk: VecDeque::new(),
            after,
            upto,
            ended: after >= upto,
        }
    }

    /// The next row, and whether it is selected.
    pub(super) fn next(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
        selected: &mut Selected<'_>,
    ) -> rusqlite::Result<Option<(u64, bool)>> {
        if self.chunk.is_empty() && !self.ended {
            self.fill(connection)?;
        }
        let Some((position, subject)) = self.chunk.pop_front() else {
            return Ok(None);
        };
        Ok(Some((
            position,
            selected.has(subject, connection, subjects)?,
        )))
    }

    fn fill(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(match self.order {
            Order::Ascending => {
                "SELECT pos, subject FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?"
            }
            Order::Descending => {
                "SELECT pos, subject FROM log WHERE pos > ? AND pos <= ? ORDER BY pos DESC LIMIT ?"
            }
        })?;
        let mut found = statement.query(params![
            signed(self.after),
            signed(self.upto),
            rows(CHUNK_ROWS)
        ])?;
        while let Some(row) = found.next()? {
            self.chunk
                .push_back((unsigned(row.get(0)?), SubjectId(row.get(1)?)));
        }
        self.ended = self.chunk.len() < CHUNK_ROWS;
        if let Some((last, _)) = self.chunk.back() {
            match self.order {
                Order::Ascending => self.after = *last,
                Order::Descending => self.upto = last - 1,
            }
        }
        Ok(())
    }
}
