//! The positions that the index lists, in order, of several lists at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rusqlite::Connection;

use super::block::Block;
use super::list::{List, base, bucket};
use super::removal::oldest_position;
use crate::query::Order;

/// The positions of some lists in `(after, upto]`, from the index and from memory, merged; each position once.
pub(super) struct Postings {
    order: Order,
    lists: Vec<List>,
    after: u64,
    upto: u64,
    /// The group that is read. The next one is looked into when this one has nothing left.
    bucket: Option<i64>,
    /// What memory gave, and then the lists in this group.
    places: Vec<Place>,
    /// The next position of each place that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    previous: Option<u64>,
}

/// One list in one group, or what memory gave.
struct Place {
    list: Option<List>,
    chunk: VecDeque<u64>,
    next: Next,
}

/// Which block comes next.
#[derive(Clone, Copy)]
enum Next {
    /// The one that a position lies in, or would.
    Around(u64),
    From(u64),
    UpTo(u64),
    None,
}

impl Postings {
    /// `memory` holds the positions that the index may not have yet, of all lists, unsorted.
    pub(super) fn new(
        connection: &Connection,
        lists: impl Iterator<Item = List>,
        mut memory: Vec<u64>,
        (after, upto): (u64, u64),
        order: Order,
    ) -> rusqlite::Result<Self> {
        // The index still names rows before the oldest one.
        let oldest = oldest_position(connection)?;
        let after = oldest.map_or(upto, |oldest| after.max(oldest - 1));
        memory.retain(|position| *position > after);
        memory.sort_unstable_by_key(|position| key(order, *position));
        let mut postings = Self {
            order,
            lists: lists.collect(),
            after,
            upto,
            bucket: None,
            places: vec![Place {
                list: None,
                chunk: VecDeque::from(memory),
                next: Next::None,
            }],
            heads: BinaryHeap::new(),
            previous: None,
        };
        postings.advance(connection, 0)?;
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
        loop {
            let head = self.heads.peek().map(|Reverse(head)| *head);
            let head = head.map(|(head, number)| (key(self.order, head), number));
            // Memory may be ahead of the group.
            let Some((position, number)) =
                head.filter(|(position, _)| self.bucket == Some(bucket(*position)))
            else {
                if !self.open_next(connection)? {
                    return Ok(None);
                }
                continue;
            };
            // Also a row that was merged in between: it is in memory's copy and in the index.
            if self.previous != Some(position) {
                return Ok(Some(position));
            }
            self.heads.pop();
            self.advance(connection, number)?;
        }
    }

    /// Passes over everything before a position, in the order of this merge.
    pub(super) fn seek(&mut self, connection: &Connection, to: u64) -> rusqlite::Result<()> {
        let target = key(self.order, to);
        match self.order {
            Order::Ascending => self.after = self.after.max(to.saturating_sub(1)),
            Order::Descending => self.upto = self.upto.min(to),
        }
        if self.bucket.is_some_and(|open| open != bucket(to)) {
            self.close_bucket();
        }
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

    /// Nothing of the lists in the group is wanted any more; `after` or `upto` says where to go on.
    fn close_bucket(&mut self) {
        self.bucket = None;
        self.places.truncate(1);
        self.heads.retain(|Reverse((_, number))| *number == 0);
    }

    /// False when there is no group left.
    fn open_next(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if self.after >= self.upto {
            return Ok(false);
        }
        let (first, last) = (bucket(self.after + 1), bucket(self.upto));
        let next = match (self.bucket, self.order) {
            (None, Order::Ascending) => first,
            (None, Order::Descending) => last,
            (Some(open), Order::Ascending) => open + 1,
            (Some(open), Order::Descending) => open - 1,
        };
        if !(first..=last).contains(&next) {
            return Ok(false);
        }
        self.close_bucket();
        self.bucket = Some(next);
        let next = match self.order {
            Order::Ascending if next == first => Next::Around(self.after + 1),
            Order::Ascending => Next::From(base(next)),
            Order::Descending => Next::UpTo(self.upto),
        };
        self.places.extend(self.lists.iter().map(|list| Place {
            list: Some(*list),
            chunk: VecDeque::new(),
            next,
        }));
        for number in 1..self.places.len() {
            self.advance(connection, number)?;
        }
        Ok(true)
    }

    fn advance(&mut self, connection: &Connection, number: usize) -> rusqlite::Result<()> {
        let place = &mut self.places[number];
        if let (Some(list), Some(bucket)) = (place.list, self.bucket) {
            let range = (self.after, self.upto);
            place.fill(connection, (bucket, list), range, self.order)?;
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
        if self.chunk.is_empty() && !matches!(self.next, Next::None) {
            self.next = match order {
                Order::Ascending => Next::Around(to),
                Order::Descending => Next::UpTo(to),
            };
        }
    }

    /// Block by block, until there is one with a position in the range.
    fn fill(
        &mut self,
        connection: &Connection,
        (bucket, list): (i64, List),
        (after, upto): (u64, u64),
        order: Order,
    ) -> rusqlite::Result<()> {
        while self.chunk.is_empty() {
            let block = match self.next {
                Next::Around(position) => {
                    let around = Block::upto(connection, bucket, list, position)?;
                    if around.is_none() {
                        self.next = Next::From(position);
                        continue;
                    }
                    around
                }
                Next::From(position) => Block::from(connection, bucket, list, position)?,
                Next::UpTo(position) => Block::upto(connection, bucket, list, position)?,
                Next::None => return Ok(()),
            };
            let Some(block) = block else {
                self.next = Next::None;
                return Ok(());
            };
            let positions = block.postings.iter().map(|posting| posting.position);
            let positions = positions.filter(|position| *position > after && *position <= upto);
            match order {
                Order::Ascending => self.chunk.extend(positions),
                Order::Descending => self.chunk.extend(positions.rev()),
            }
            self.next = match order {
                Order::Ascending if block.first < upto => Next::From(block.first + 1),
                Order::Descending if block.first > after + 1 => Next::UpTo(block.first - 1),
                _ => Next::None,
            };
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
    use rusqlite::params;

    use super::super::list::BUCKET_BITS;
    use super::super::merge::Merge;
    use super::super::meta::{Meta, signed};
    use super::super::recent::{Recent, RecentRow};
    use super::super::schema::open_writer;
    use super::super::subjects::SubjectId;
    use super::*;
    use crate::options::Durability;

    const SUBJECTS: [SubjectId; 2] = [SubjectId(4), SubjectId(9)];
    const SOURCE: u64 = 7;

    fn database() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let subject =
            |position: u64| [SUBJECTS[0], SUBJECTS[1], SubjectId(13)][(position % 3) as usize];
        index(
            &connection,
            (1..=600).map(|position| (position, subject(position), 1)),
        );
        (dir, connection)
    }

    /// Positions that the log has, with their subject and source, as a merge brings them in.
    fn index(connection: &Connection, rows: impl Iterator<Item = (u64, SubjectId, u64)>) {
        let rows: Vec<RecentRow> = rows
            .map(|(position, subject, source)| RecentRow {
                position,
                subject,
                source,
                identity: position,
                spent_at: None,
                kind: 1,
                priority: 0,
            })
            .collect();
        for row in &rows {
            connection
                .execute(
                    "INSERT INTO log VALUES (?, ?, 0, NULL, 0, 0, '', '', NULL, x'', 0, x'')",
                    params![signed(row.position), row.subject.0],
                )
                .expect("a row can be written");
        }
        // In two merges, so that lists have more blocks than one.
        for rows in rows.chunks(rows.len().div_ceil(2)) {
            let recent = Recent::default();
            recent.push(rows, 0);
            let mut meta = Meta::load(connection).expect("the database has its numbers");
            Merge::begin(recent.freeze())
                .slice(connection, &mut meta, usize::MAX)
                .expect("a merge");
        }
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
    fn the_positions_of_a_list_are_in_order_over_all_groups() {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let far = |n: u64| n * ((1 << BUCKET_BITS) / 50);
        let rows = (1..=300).flat_map(|n| {
            let other = (far(n) + 1, SUBJECTS[1], SOURCE + 1);
            [(far(n), SUBJECTS[0], SOURCE), other]
        });
        index(&connection, rows);
        for list in [List::Source(SOURCE), List::Subject(SUBJECTS[0])] {
            for order in [Order::Ascending, Order::Descending] {
                for (after, upto) in [(0, 300), (0, 310), (49, 50), (10, 260), (120, 120)] {
                    let range = (far(after), far(upto));
                    let memory = Vec::new();
                    let mut postings =
                        Postings::new(&connection, [list].into_iter(), memory, range, order)
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

    #[test]
    fn a_seek_over_groups_arrives_and_memory_beyond_the_index_is_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let far = |n: u64| n * ((1 << BUCKET_BITS) / 7);
        index(&connection, (1..=70).map(|n| (far(n), SUBJECTS[0], SOURCE)));
        for order in [Order::Ascending, Order::Descending] {
            for to in [1, 2, 7, 8, 35, 70, 71, 75, 80] {
                let memory = (65..=80).map(far).collect();
                let lists = [List::Subject(SUBJECTS[0])].into_iter();
                let mut postings = Postings::new(&connection, lists, memory, (0, far(80)), order)
                    .expect("a merge");
                postings.peek(&connection).expect("a row");
                postings.seek(&connection, far(to)).expect("a seek");
                let found: Vec<u64> =
                    std::iter::from_fn(|| postings.next(&connection).expect("a row")).collect();
                let expected: Vec<u64> = match order {
                    Order::Ascending => (to..=80).map(far).collect(),
                    Order::Descending => (1..=to).rev().map(far).collect(),
                };
                assert_eq!(found, expected, "{order:?} to {to}");
            }
        }
    }
}
