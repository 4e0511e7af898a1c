//! Brings the derived tables up to the log, in sorted slices between commits.
//!
//! Sorted, because neighbours in a tree then share its pages; in slices, because a merge at once would hold up appends
//! for a tenth of a second. A slice may be repeated after a crash or a rollback: where a block begins does not depend on
//! where the segment ends, so a block takes the place of what is there of it.

use std::ops::Range;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::block::{self, BLOCK_ROWS_MAX, Posting};
use super::list::{List, bucket};
use super::meta::{Meta, signed};
use super::recent::{RecentRow, Segment};

/// A merge that has begun.
#[derive(Debug)]
pub(super) struct Merge {
    segment: Arc<Segment>,
    /// By list, then by position.
    identities: Vec<(List, Posting)>,
    /// In the order of their table.
    blocks: Vec<Planned>,
    /// Numbers of rows in the order of their table.
    by_spent: Vec<u32>,
    /// Insertions that are committed.
    done: usize,
}

/// A block to store: a part of the segment's list, or of `identities`.
#[derive(Debug)]
struct Planned {
    bucket: i64,
    list: List,
    first: u64,
    part: Range<usize>,
}

impl Merge {
    pub(super) fn begin(segment: Arc<Segment>) -> Self {
        let rows = segment.rows();
        let mut identities: Vec<(List, Posting)> = rows.iter().map(identified).collect();
        identities.sort_unstable();
        let mut blocks = Vec::new();
        for (list, positions) in segment.lists() {
            plan(&mut blocks, list, 0, positions.len(), |n| positions[n]);
        }
        let mut from = 0;
        for group in identities.chunk_by(|(one, _), (other, _)| one == other) {
            let position = |n: usize| group[n - from].1.position;
            plan(&mut blocks, group[0].0, from, from + group.len(), position);
            from += group.len();
        }
        blocks.sort_unstable_by_key(|block| (block.bucket, block.list.key(), block.first));
        let numbers =
            0..u32::try_from(rows.len()).expect("a segment holds far fewer rows than u32 counts");
        let row = |number: &u32| &rows[*number as usize];
        let mut by_spent: Vec<u32> = numbers
            .filter(|number| row(number).spent_at.is_some())
            .collect();
        by_spent.sort_unstable_by_key(|number| (row(number).spent_at, row(number).position));
        Self {
            segment,
            identities,
            blocks,
            by_spent,
            done: 0,
        }
    }

    /// Insertions to go with a commit of `rows`: the merge is then finished when half as many rows have come as it
    /// brings in, long before the next one begins.
    pub(super) fn insertions_for(&self, rows: usize) -> usize {
        (2 * rows * self.total()).div_ceil(self.segment.rows().len().max(1))
    }

    fn total(&self) -> usize {
        self.blocks.len() + self.segment.urgent().len() + self.by_spent.len()
    }

    /// Inserts up to `count` more, inside the caller's transaction. The result goes to `advance` after the commit.
    pub(super) fn slice(
        &self,
        connection: &Connection,
        meta: &mut Meta,
        count: usize,
    ) -> rusqlite::Result<Slice> {
        let end = self.total().min(self.done.saturating_add(count));
        let urgent = self.segment.urgent();
        let urgent_from = self.blocks.len();
        let spent_from = urgent_from + urgent.len();
        self.insert_blocks(connection, part(&self.blocks, 0, self.done, end))?;
        insert_urgent(connection, part(urgent, urgent_from, self.done, end))?;
        self.insert_spent(connection, part(&self.by_spent, spent_from, self.done, end))?;
        let finished = end == self.total();
        if finished && let Some(last) = self.segment.rows().last() {
            meta.indexed_to = last.position;
        }
        Ok(Slice { end, finished })
    }

    pub(super) fn advance(&mut self, slice: &Slice) {
        self.done = slice.end;
    }

    fn insert_blocks(&self, connection: &Connection, blocks: &[Planned]) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(block::PUT)?;
        for block in blocks {
            let part = block.part.clone();
            let packed = if block.list.is_tagged() {
                let identities = self.identities[part].iter();
                block::pack(block.first, identities.map(|(_, posting)| *posting), true)
            } else {
                let positions = self.segment.list(block.list)[part].iter();
                let untagged = |&position| Posting { position, tag: 0 };
                block::pack(block.first, positions.map(untagged), false)
            };
            let (kind, key) = block.list.key();
            statement.execute(params![
                block.bucket,
                kind,
                key,
                signed(block.first),
                packed
            ])?;
        }
        Ok(())
    }

    fn insert_spent(&self, connection: &Connection, numbers: &[u32]) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached("INSERT OR IGNORE INTO spent VALUES (?, ?)")?;
        for number in numbers {
            let row = &self.segment.rows()[*number as usize];
            statement.execute(params![row.spent_at.map(signed), signed(row.position)])?;
        }
        Ok(())
    }
}

fn identified(row: &RecentRow) -> (List, Posting) {
    let (list, tag) = List::of_identity(row.identity);
    let position = row.position;
    (list, Posting { position, tag })
}

/// Cuts a list between groups, and where a block is full.
fn plan(
    blocks: &mut Vec<Planned>,
    list: List,
    from: usize,
    to: usize,
    position: impl Fn(usize) -> u64,
) {
    let mut start = from;
    for n in from..to {
        let next_bucket = (n + 1 < to).then(|| bucket(position(n + 1)));
        let bucket = bucket(position(n));
        if next_bucket != Some(bucket) || n + 1 - start == BLOCK_ROWS_MAX {
            blocks.push(Planned {
                bucket,
                list,
                first: position(start),
                part: start..n + 1,
            });
            start = n + 1;
        }
    }
}

fn insert_urgent(connection: &Connection, rows: &[RecentRow]) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO urgent VALUES (?, ?, ?)")?;
    for row in rows {
        statement.execute(params![signed(row.position), row.subject.0, row.priority])?;
    }
    Ok(())
}

/// What a slice reached.
#[derive(Debug)]
pub(super) struct Slice {
    end: usize,
    pub(super) finished: bool,
}

/// The part of `whole`, which begins at `offset` of all insertions, that lies in `from..to`.
fn part<T>(whole: &[T], offset: usize, from: usize, to: usize) -> &[T] {
    let within = |place: usize| place.saturating_sub(offset).min(whole.len());
    &whole[within(from)..within(to)]
}

#[cfg(test)]
mod tests {
    use super::super::block::unpack;
    use super::super::list::BUCKET_BITS;
    use super::super::recent::{Recent, URGENT_MIN};
    use super::super::schema::open_writer;
    use super::super::subjects::SubjectId;
    use super::*;
    use crate::options::Durability;

    /// The rows 1 to `count`, in turn of three subjects; every second one is urgent and will be spent.
    fn segment(count: u64) -> Arc<Segment> {
        let row = |position| RecentRow {
            position,
            subject: SubjectId(signed(position % 3) << 2),
            source: position % 7,
            identity: position.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            spent_at: (position % 2 == 0).then_some(1000 - position),
            kind: 1,
            priority: if position % 2 == 0 { URGENT_MIN } else { 0 },
        };
        let recent = Recent::default();
        recent.push(&(1..=count).map(row).collect::<Vec<_>>(), count);
        recent.freeze()
    }

    fn count(connection: &Connection, table: &str) -> i64 {
        connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .expect("the table can be counted")
    }

    /// Every block of the index, as it is stored.
    fn blocks(connection: &Connection) -> Vec<(i64, i64, i64, i64, Vec<u8>)> {
        let mut statement = connection
            .prepare("SELECT * FROM posting ORDER BY bucket, kind, key, first")
            .expect("the table is there");
        let blocks = statement.query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        });
        blocks
            .and_then(Iterator::collect)
            .expect("the table can be read")
    }

    fn database() -> (tempfile::TempDir, Connection, Meta) {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let meta = Meta::load(&connection).expect("a new database has its numbers");
        (dir, connection, meta)
    }

    /// In slices of `count`; how many.
    fn finish(merge: &mut Merge, connection: &Connection, meta: &mut Meta, count: usize) -> usize {
        let mut slices = 0;
        loop {
            let slice = merge.slice(connection, meta, count).expect("a slice");
            merge.advance(&slice);
            slices += 1;
            if slice.finished {
                return slices;
            }
        }
    }

    #[test]
    fn a_merge_that_a_crash_cut_short_is_repeated_with_more_rows_and_leaves_no_trace() {
        let (_dir, connection, mut meta) = database();
        let cut = Merge::begin(segment(700));
        let slice = cut.slice(&connection, &mut meta, 12).expect("a slice");
        assert!(!slice.finished);
        assert_eq!(meta.indexed_to, 0);
        assert_eq!(count(&connection, "posting"), 12);

        let mut again = Merge::begin(segment(1000));
        let total = again.total();
        let slices = finish(&mut again, &connection, &mut meta, 17);
        assert_eq!(slices, total.div_ceil(17));
        assert_eq!(meta.indexed_to, 1000);
        assert_eq!(
            ["urgent", "spent"].map(|table| count(&connection, table)),
            [500, 500]
        );

        let (_dir, other, mut meta) = database();
        finish(
            &mut Merge::begin(segment(1000)),
            &other,
            &mut meta,
            usize::MAX,
        );
        assert_eq!(blocks(&connection), blocks(&other));
    }

    #[test]
    fn no_block_is_longer_than_the_limit_or_spans_two_groups() {
        let (_dir, connection, mut meta) = database();
        let recent = Recent::default();
        let base = 1 << BUCKET_BITS;
        let rows: Vec<RecentRow> = segment(600)
            .rows()
            .iter()
            .map(|row| RecentRow {
                position: base - 300 + row.position,
                ..*row
            })
            .collect();
        recent.push(&rows, base + 300);
        finish(
            &mut Merge::begin(recent.freeze()),
            &connection,
            &mut meta,
            usize::MAX,
        );
        let (kind, key) = List::Kind(1).key();
        let of_kind = blocks(&connection);
        let of_kind = of_kind
            .iter()
            .filter(|block| (block.1, block.2) == (kind, key));
        let lengths: Vec<(i64, usize)> = of_kind
            .map(|block| {
                let postings = unpack(block.3.cast_unsigned(), &block.4, false);
                (block.0, postings.expect("a block").len())
            })
            .collect();
        assert_eq!(lengths, [(0, 256), (0, 43), (1, 256), (1, 45)]);
    }
}
