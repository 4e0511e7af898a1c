//! Which rows a selector names, in order, a few at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use rusqlite::{CachedStatement, Connection, params};

use super::meta::{rows, signed, unsigned};
use super::subjects::{SubjectId, Subjects};
use crate::history::Selector;

/// Rows fetched at once from each place.
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

/// The direction of a scan or a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// The rows of some subjects in `(after, upto]`, from the subject index and from memory, merged; each position once.
pub(super) struct SubjectMerge {
    order: Order,
    places: Vec<Place>,
    /// The next position of each place that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    previous: Option<u64>,
}

/// One subject of the index, or what memory gave.
struct Place {
    subject: Option<SubjectId>,
    chunk: VecDeque<u64>,
    after: u64,
    upto: u64,
    ended: bool,
}

impl SubjectMerge {
    /// `memory` holds the positions that the index may not have yet, of all subjects, unsorted.
    pub(super) fn new(
        connection: &Connection,
        exact: &[SubjectId],
        mut memory: Vec<u64>,
        (after, upto): (u64, u64),
        order: Order,
    ) -> rusqlite::Result<Self> {
        memory.sort_unstable_by_key(|position| key(order, *position));
        let mut places = vec![Place {
            subject: None,
            chunk: VecDeque::from(memory),
            after,
            upto,
            ended: true,
        }];
        for subject in exact {
            places.push(Place {
                subject: Some(*subject),
                chunk: VecDeque::new(),
                after,
                upto,
                ended: after >= upto,
            });
        }
        let mut merge = Self {
            order,
            places,
            heads: BinaryHeap::new(),
            previous: None,
        };
        for number in 0..merge.places.len() {
            merge.advance(connection, number)?;
        }
        Ok(merge)
    }

    pub(super) fn next(&mut self, connection: &Connection) -> rusqlite::Result<Option<u64>> {
        while let Some(Reverse((key_of_position, number))) = self.heads.pop() {
            self.advance(connection, number)?;
            let position = key(self.order, key_of_position);
            // A row that was merged in between is in memory's copy and in the index.
            if self.previous.replace(position) != Some(position) {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn advance(&mut self, connection: &Connection, number: usize) -> rusqlite::Result<()> {
        let place = &mut self.places[number];
        if place.chunk.is_empty() && !place.ended {
            place.fill(connection, self.order)?;
        }
        if let Some(position) = place.chunk.pop_front() {
            self.heads
                .push(Reverse((key(self.order, position), number)));
        }
        Ok(())
    }
}

impl Place {
    fn fill(&mut self, connection: &Connection, order: Order) -> rusqlite::Result<()> {
        let Some(subject) = self.subject else {
            return Ok(());
        };
        let mut statement: CachedStatement<'_> = connection.prepare_cached(match order {
            Order::Ascending => "SELECT pos FROM idx WHERE subject = ? AND pos > ? AND pos <= ? ORDER BY pos LIMIT ?",
            Order::Descending => {
                "SELECT pos FROM idx WHERE subject = ? AND pos > ? AND pos <= ? ORDER BY pos DESC LIMIT ?"
            }
        })?;
        let mut found = statement.query(params![
            subject.0,
            signed(self.after),
            signed(self.upto),
            rows(CHUNK_ROWS)
        ])?;
        while let Some(row) = found.next()? {
            self.chunk.push_back(unsigned(row.get(0)?));
        }
        self.ended = self.chunk.len() < CHUNK_ROWS;
        if let Some(last) = self.chunk.back() {
            match order {
                Order::Ascending => self.after = *last,
                Order::Descending => self.upto = last.saturating_sub(1),
            }
        }
        Ok(())
    }
}

/// Turns an order into the ascending one; its own inverse.
fn key(order: Order, position: u64) -> u64 {
    match order {
        Order::Ascending => position,
        Order::Descending => u64::MAX - position,
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::open_writer;
    use super::*;
    use crate::options::Durability;

    const SUBJECTS: [SubjectId; 2] = [SubjectId(4), SubjectId(9)];

    fn merged(order: Order, range: (u64, u64), memory: Vec<u64>) -> Vec<u64> {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        for position in 1..=600_u64 {
            let subject = [SUBJECTS[0], SUBJECTS[1], SubjectId(13)][(position % 3) as usize];
            connection
                .execute(
                    "INSERT INTO idx VALUES (?, ?)",
                    params![subject.0, signed(position)],
                )
                .expect("a row can be written");
        }
        let mut merge =
            SubjectMerge::new(&connection, &SUBJECTS, memory, range, order).expect("a merge");
        std::iter::from_fn(|| merge.next(&connection).expect("a row")).collect()
    }

    /// What the two subjects have: two of three positions in the table, and what came later in memory.
    fn expected(after: u64, upto: u64) -> Vec<u64> {
        let of_table = (1..=600).filter(|position| position % 3 != 2);
        of_table
            .chain(601..=700)
            .filter(|position| *position > after && *position <= upto)
            .collect()
    }

    #[test]
    fn table_and_memory_are_one_sequence_and_what_is_in_both_comes_once() {
        let memory: Vec<u64> = expected(500, 700);
        assert_eq!(merged(Order::Ascending, (0, 700), memory), expected(0, 700));
    }

    #[test]
    fn the_sequence_also_runs_backwards() {
        let memory: Vec<u64> = expected(500, 700);
        let backwards: Vec<u64> = expected(0, 700).into_iter().rev().collect();
        assert_eq!(merged(Order::Descending, (0, 700), memory), backwards);
    }

    #[test]
    fn a_range_begins_after_and_ends_with_its_bounds() {
        assert_eq!(
            merged(Order::Ascending, (100, 402), Vec::new()),
            expected(100, 402)
        );
        assert_eq!(
            merged(Order::Ascending, (402, 402), Vec::new()),
            Vec::<u64>::new()
        );
    }
}
