//! The positions that an index lists under a subject or a source, in order, a few at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rusqlite::{Connection, params};

use super::merge::bucket;
use super::meta::{rows, signed, unsigned};
use super::subjects::SubjectId;
use crate::query::Order;

/// Rows fetched at once from each list, at the beginning and at most: with many lists few rows of each are needed.
const CHUNK_ROWS_MIN: usize = 4;
const CHUNK_ROWS_MAX: usize = 128;

/// What an index lists positions under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    Subject(SubjectId),
    /// By the hash of its name: entries of another source may be among them.
    Source(u64),
}

/// The positions of some lists in `(after, upto]`, from their index and from memory, merged; each position once.
pub(super) struct Postings {
    order: Order,
    places: Vec<Place>,
    /// The next position of each place that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    previous: Option<u64>,
}

/// One list of an index, or what memory gave.
struct Place {
    list: Option<List>,
    chunk: VecDeque<u64>,
    chunk_rows: usize,
    after: u64,
    upto: u64,
    ended: bool,
}

impl Postings {
    /// `memory` holds the positions that the index may not have yet, of all lists, unsorted.
    pub(super) fn new(
        connection: &Connection,
        lists: impl ExactSizeIterator<Item = List>,
        mut memory: Vec<u64>,
        (after, upto): (u64, u64),
        order: Order,
    ) -> rusqlite::Result<Self> {
        memory.sort_unstable_by_key(|position| key(order, *position));
        let mut places = vec![Place {
            list: None,
            chunk: VecDeque::from(memory),
            chunk_rows: 0,
            after,
            upto,
            ended: true,
        }];
        let chunk_rows = CHUNK_ROWS_MAX / lists.len().max(1);
        places.extend(lists.map(|list| Place {
            list: Some(list),
            chunk: VecDeque::new(),
            chunk_rows: chunk_rows.max(CHUNK_ROWS_MIN),
            after,
            upto,
            ended: after >= upto,
        }));
        let mut postings = Self {
            order,
            places,
            heads: BinaryHeap::new(),
            previous: None,
        };
        for number in 0..postings.places.len() {
            postings.advance(connection, number)?;
        }
        Ok(postings)
    }

    pub(super) fn next(&mut self, connection: &Connection) -> rusqlite::Result<Option<u64>> {
        let position = self.peek(connection)?;
        if position.is_some() {
            self.previous = position;
        }
        Ok(position)
    }

    /// What `next` will give.
    pub(super) fn peek(&mut self, connection: &Connection) -> rusqlite::Result<Option<u64>> {
        while let Some(&Reverse((head, number))) = self.heads.peek() {
            let position = key(self.order, head);
            // Also a row that was merged in between: it is in memory's copy and in the index.
            if self.previous != Some(position) {
                return Ok(Some(position));
            }
            self.heads.pop();
            self.advance(connection, number)?;
        }
        Ok(None)
    }

    /// Passes over everything before a position, in the order of this merge.
    pub(super) fn seek(&mut self, connection: &Connection, to: u64) -> rusqlite::Result<()> {
        let target = key(self.order, to);
        while let Some(&Reverse((head, number))) = self.heads.peek() {
            if head >= target {
                break;
            }
            self.heads.pop();
            self.places[number].seek(self.order, to);
            self.advance(connection, number)?;
        }
        Ok(())
    }

    /// Whether one position comes before another, in the order of this merge.
    pub(super) fn precedes(&self, one: u64, other: u64) -> bool {
        key(self.order, one) < key(self.order, other)
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
    fn seek(&mut self, order: Order, to: u64) {
        let passed = |position: &u64| key(order, *position) < key(order, to);
        let passed = self.chunk.partition_point(passed);
        self.chunk.drain(..passed);
        if self.chunk.is_empty() {
            match order {
                Order::Ascending => self.after = self.after.max(to.saturating_sub(1)),
                Order::Descending => self.upto = self.upto.min(to),
            }
        }
    }

    fn fill(&mut self, connection: &Connection, order: Order) -> rusqlite::Result<()> {
        match self.list {
            Some(List::Subject(subject)) => self.fill_of_subject(connection, subject, order)?,
            Some(List::Source(hash)) => self.fill_of_source(connection, hash, order)?,
            None => {}
        }
        self.ended = self.chunk.len() < self.chunk_rows;
        self.chunk_rows = (2 * self.chunk_rows).min(CHUNK_ROWS_MAX);
        if let Some(last) = self.chunk.back() {
            match order {
                Order::Ascending => self.after = *last,
                Order::Descending => self.upto = last.saturating_sub(1),
            }
        }
        Ok(())
    }

    fn fill_of_subject(
        &mut self,
        connection: &Connection,
        subject: SubjectId,
        order: Order,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(match order {
            Order::Ascending => {
                "SELECT pos FROM idx WHERE subject = ? AND pos > ? AND pos <= ? ORDER BY pos LIMIT ?"
            }
            Order::Descending => {
                "SELECT pos FROM idx WHERE subject = ? AND pos > ? AND pos <= ? ORDER BY pos DESC LIMIT ?"
            }
        })?;
        let mut found = statement.query(params![
            subject.0,
            signed(self.after),
            signed(self.upto),
            rows(self.chunk_rows)
        ])?;
        while let Some(row) = found.next()? {
            self.chunk.push_back(unsigned(row.get(0)?));
        }
        Ok(())
    }

    /// Group by group, until the chunk is full.
    fn fill_of_source(
        &mut self,
        connection: &Connection,
        hash: u64,
        order: Order,
    ) -> rusqlite::Result<()> {
        if self.after >= self.upto {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(match order {
            Order::Ascending => {
                "SELECT pos FROM sources WHERE bucket = ? AND hash = ? AND pos > ? AND pos <= ?
                ORDER BY pos LIMIT ?"
            }
            Order::Descending => {
                "SELECT pos FROM sources WHERE bucket = ? AND hash = ? AND pos > ? AND pos <= ?
                ORDER BY pos DESC LIMIT ?"
            }
        })?;
        let (first, last) = (bucket(self.after + 1), bucket(self.upto));
        for step in 0..=last - first {
            let bucket = match order {
                Order::Ascending => first + step,
                Order::Descending => last - step,
            };
            let mut found = statement.query(params![
                bucket,
                signed(hash),
                signed(self.after),
                signed(self.upto),
                rows(self.chunk_rows - self.chunk.len())
            ])?;
            while let Some(row) = found.next()? {
                self.chunk.push_back(unsigned(row.get(0)?));
            }
            if self.chunk.len() == self.chunk_rows {
                break;
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
    use super::super::merge::BUCKET_BITS;
    use super::super::schema::open_writer;
    use super::*;
    use crate::options::Durability;

    const SUBJECTS: [SubjectId; 2] = [SubjectId(4), SubjectId(9)];
    const SOURCE: u64 = 7;

    fn database() -> (tempfile::TempDir, Connection) {
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
        (dir, connection)
    }

    fn merged(order: Order, range: (u64, u64), memory: Vec<u64>) -> Vec<u64> {
        let (_dir, connection) = database();
        let lists = SUBJECTS.map(List::Subject).into_iter();
        let mut postings =
            Postings::new(&connection, lists, memory, range, order).expect("a merge");
        std::iter::from_fn(|| postings.next(&connection).expect("a row")).collect()
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

    #[test]
    fn a_seek_passes_what_lies_before_and_nothing_else() {
        let (_dir, connection) = database();
        for order in [Order::Ascending, Order::Descending] {
            for (first, to) in [(0, 1), (0, 300), (3, 7), (130, 131), (5, 650), (20, 701)] {
                let lists = SUBJECTS.map(List::Subject).into_iter();
                let memory = expected(500, 700);
                let mut postings =
                    Postings::new(&connection, lists, memory, (0, 700), order).expect("a merge");
                let mut whole = expected(0, 700);
                if order == Order::Descending {
                    whole.reverse();
                }
                for expected in &whole[..first] {
                    assert_eq!(postings.next(&connection).expect("a row"), Some(*expected));
                }
                let mut rest = whole.split_off(first);
                rest.retain(|position| key(order, *position) >= key(order, to));
                postings.seek(&connection, to).expect("a seek");
                let found: Vec<u64> =
                    std::iter::from_fn(|| postings.next(&connection).expect("a row")).collect();
                assert_eq!(found, rest, "{order:?} to {to} after {first}");
            }
        }
    }

    #[test]
    fn the_positions_of_a_source_are_in_order_over_all_groups() {
        let (_dir, connection) = database();
        let far = |n: u64| n * ((1 << BUCKET_BITS) / 50);
        for n in 1..=300_u64 {
            let position = far(n);
            for hash in [SOURCE, SOURCE + 1] {
                connection
                    .execute(
                        "INSERT INTO sources VALUES (?, ?, ?)",
                        params![bucket(position), signed(hash), signed(position)],
                    )
                    .expect("a row can be written");
            }
        }
        for order in [Order::Ascending, Order::Descending] {
            for (after, upto) in [(0, 300), (0, 310), (49, 50), (10, 260), (120, 120)] {
                let lists = [List::Source(SOURCE)].into_iter();
                let mut postings = Postings::new(
                    &connection,
                    lists,
                    Vec::new(),
                    (far(after), far(upto)),
                    order,
                )
                .expect("a merge");
                let found: Vec<u64> =
                    std::iter::from_fn(|| postings.next(&connection).expect("a row")).collect();
                let mut expected: Vec<u64> = (after + 1..=upto.min(300)).map(far).collect();
                if order == Order::Descending {
                    expected.reverse();
                }
                assert_eq!(found, expected, "{order:?} in {after}..={upto}");
            }
        }
    }
}
