//! The rows that a query looks at, and whether they meet its conditions.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::meta::{rows, signed, unsigned};
use super::postings::Postings;
use super::subjects::{SubjectId, Subjects};
use crate::query::{Order, Query};
use crate::trim::is_expired;

/// Rows of the log fetched at once.
const CHUNK_ROWS: usize = 128;

/// What [`Conditions::are_met`] reads.
const PROBE: &str = "SELECT pos, subject, kind, expires_at, source, exclude FROM log WHERE pos = ?";
const PROBE_UPWARDS: &str = "SELECT pos, subject, kind, expires_at, source, exclude FROM log
    WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?";
const PROBE_DOWNWARDS: &str = "SELECT pos, subject, kind, expires_at, source, exclude FROM log
    WHERE pos > ? AND pos <= ? ORDER BY pos DESC LIMIT ?";

pub(super) enum Candidates {
    /// What all of them have.
    Listed(Vec<Postings>),
    Log(LogRows),
}

impl Candidates {
    /// Every row in `(after, upto]`.
    pub(super) fn of_log(range: (u64, u64), order: Order) -> Self {
        Self::Log(LogRows {
            order,
            after: range.0,
            upto: range.1,
            chunk: VecDeque::new(),
            ended: range.0 >= range.1,
        })
    }

    /// The next place, and whether there is a row that meets the conditions. All that lies before the place has been
    /// given.
    pub(super) fn next(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
        conditions: &mut Conditions<'_>,
    ) -> rusqlite::Result<Option<(u64, bool)>> {
        match self {
            Self::Log(log) => log.next(connection, subjects, conditions),
            Self::Listed(postings) => match next_of_all(connection, postings)? {
                Some((position, true)) => {
                    let met = conditions.probe(connection, subjects, position)?;
                    Ok(Some((position, met)))
                }
                place => Ok(place),
            },
        }
    }
}

/// The next position that one of the merges has, and whether all of them have it. Those that are behind the furthest
/// one jump to it.
fn next_of_all(
    connection: &Connection,
    postings: &mut [Postings],
) -> rusqlite::Result<Option<(u64, bool)>> {
    let mut nearest = None;
    let mut furthest = None;
    for one in postings.iter_mut() {
        let Some(position) = one.peek(connection)? else {
            return Ok(None);
        };
        if nearest.is_none_or(|nearest| one.precedes(position, nearest)) {
            nearest = Some(position);
        }
        if furthest.is_none_or(|furthest| one.precedes(furthest, position)) {
            furthest = Some(position);
        }
    }
    let Some((nearest, furthest)) = nearest.zip(furthest) else {
        return Ok(None);
    };
    for one in postings {
        if nearest == furthest {
            one.next(connection)?;
        } else {
            one.seek(connection, furthest)?;
        }
    }
    Ok(Some((nearest, nearest == furthest)))
}

pub(super) struct LogRows {
    order: Order,
    after: u64,
    upto: u64,
    chunk: VecDeque<(u64, bool)>,
    ended: bool,
}

impl LogRows {
    fn next(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
        conditions: &mut Conditions<'_>,
    ) -> rusqlite::Result<Option<(u64, bool)>> {
        if self.chunk.is_empty() && !self.ended {
            self.fill(connection, subjects, conditions)?;
        }
        Ok(self.chunk.pop_front())
    }

    fn fill(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
        conditions: &mut Conditions<'_>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(match self.order {
            Order::Ascending => PROBE_UPWARDS,
            Order::Descending => PROBE_DOWNWARDS,
        })?;
        let mut found = statement.query(params![
            signed(self.after),
            signed(self.upto),
            rows(CHUNK_ROWS)
        ])?;
        while let Some(row) = found.next()? {
            let met = conditions.are_met(row, connection, subjects)?;
            self.chunk.push_back((unsigned(row.get(0)?), met));
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

/// What a row must be.
pub(super) struct Conditions<'q> {
    query: &'q Query,
    now: u64,
    /// Decided once for each subject; `None` where candidates are of the right ones anyway.
    subjects: Option<HashMap<SubjectId, bool>>,
}

impl<'q> Conditions<'q> {
    pub(super) fn new(query: &'q Query, now: u64, subjects_are_listed: bool) -> Self {
        Self {
            query,
            now,
            subjects: (!subjects_are_listed).then(HashMap::new),
        }
    }

    /// False also for a row that is gone, which an index may still name.
    fn probe(
        &mut self,
        connection: &Connection,
        subjects: &mut Subjects,
        position: u64,
    ) -> rusqlite::Result<bool> {
        let met = connection
            .prepare_cached(PROBE)?
            .query_row([signed(position)], |row| {
                self.are_met(row, connection, subjects)
            })
            .optional()?;
        Ok(met.unwrap_or(false))
    }

    fn are_met(
        &mut self,
        row: &Row<'_>,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<bool> {
        let query = self.query;
        let expires_at = row.get::<_, Option<i64>>(3)?.map(unsigned);
        if is_expired(expires_at, self.now) {
            return Ok(false);
        }
        if !query.kinds.is_empty() && !query.kinds.contains(&row.get(2)?) {
            return Ok(false);
        }
        if let Some(source) = &query.source
            && row.get_ref(4)?.as_str()? != &**source
        {
            return Ok(false);
        }
        if let Some(reader) = &query.reader
            && row.get_ref(5)?.as_str_or_null()? == Some(&**reader)
        {
            return Ok(false);
        }
        self.is_of_scope(SubjectId(row.get(1)?), connection, subjects)
    }

    fn is_of_scope(
        &mut self,
        id: SubjectId,
        connection: &Connection,
        subjects: &mut Subjects,
    ) -> rusqlite::Result<bool> {
        let Some(decided) = &mut self.subjects else {
            return Ok(true);
        };
        if let Some(decided) = decided.get(&id) {
            return Ok(*decided);
        }
        let has = self.query.scope.has(&subjects.subject(connection, id)?);
        decided.insert(id, has);
        Ok(has)
    }
}
