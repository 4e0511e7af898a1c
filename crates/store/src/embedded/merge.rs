//! Brings the derived tables up to the log, in sorted slices between commits.
//!
//! Sorted, because neighbours in a tree then share its pages; in slices, because a merge at once would hold up appends
//! for a tenth of a second. A slice may be repeated after a crash or a rollback: it inserts what is missing.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::meta::{Meta, signed};
use super::recent::{RecentRow, Segment, URGENT_MIN};

/// Identities and sources are grouped by position before they are sorted: a merge then touches the newest group alone,
/// and a look-up searches one place in each group.
pub(super) const BUCKET_BITS: u32 = 18;

pub(super) fn bucket(position: u64) -> i64 {
    signed(position >> BUCKET_BITS)
}

/// Group, hash, position.
pub(super) const INSERT_SOURCE: &str = "INSERT OR IGNORE INTO sources VALUES (?, ?, ?)";

/// A merge that has begun.
#[derive(Debug)]
pub(super) struct Merge {
    segment: Arc<Segment>,
    /// Numbers of rows in the order of each table.
    by_subject: Vec<u32>,
    by_source: Vec<u32>,
    by_identity: Vec<u32>,
    by_spent: Vec<u32>,
    /// Insertions that are committed.
    done: usize,
}

impl Merge {
    pub(super) fn begin(segment: Arc<Segment>) -> Self {
        let rows = segment.rows();
        let numbers =
            0..u32::try_from(rows.len()).expect("a segment holds far fewer rows than u32 counts");
        let row = |number: &u32| &rows[*number as usize];
        let mut by_subject: Vec<u32> = numbers.clone().collect();
        by_subject.sort_unstable_by_key(|number| (row(number).subject, row(number).position));
        let mut by_source: Vec<u32> = numbers.clone().collect();
        by_source.sort_unstable_by_key(|number| {
            let row = row(number);
            (bucket(row.position), signed(row.source), row.position)
        });
        let mut by_identity: Vec<u32> = numbers.clone().collect();
        by_identity.sort_unstable_by_key(|number| {
            (bucket(row(number).position), signed(row(number).identity))
        });
        let mut by_spent: Vec<u32> = numbers
            .filter(|number| row(number).spent_at.is_some())
            .collect();
        by_spent.sort_unstable_by_key(|number| (row(number).spent_at, row(number).position));
        Self {
            segment,
            by_subject,
            by_source,
            by_identity,
            by_spent,
            done: 0,
        }
    }

    fn total(&self) -> usize {
        self.by_subject.len() + self.by_source.len() + self.by_identity.len() + self.by_spent.len()
    }

    /// Inserts up to `count` more, inside the caller's transaction. The result goes to `advance` after the commit.
    pub(super) fn slice(
        &self,
        connection: &Connection,
        meta: &mut Meta,
        count: usize,
    ) -> rusqlite::Result<Slice> {
        let end = self.total().min(self.done.saturating_add(count));
        let sources_from = self.by_subject.len();
        let identities_from = sources_from + self.by_source.len();
        let spent_from = identities_from + self.by_identity.len();
        self.insert_subjects(connection, part(&self.by_subject, 0, self.done, end))?;
        self.insert_sources(
            connection,
            part(&self.by_source, sources_from, self.done, end),
        )?;
        self.insert_identities(
            connection,
            part(&self.by_identity, identities_from, self.done, end),
        )?;
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

    fn insert_subjects(&self, connection: &Connection, numbers: &[u32]) -> rusqlite::Result<()> {
        let mut index = connection.prepare_cached("INSERT OR IGNORE INTO idx VALUES (?, ?)")?;
        let mut urgent =
            connection.prepare_cached("INSERT OR IGNORE INTO urgent VALUES (?, ?, ?)")?;
        for row in self.rows(numbers) {
            index.execute(params![row.subject.0, signed(row.position)])?;
            if row.priority >= URGENT_MIN {
                urgent.execute(params![row.subject.0, signed(row.position), row.priority])?;
            }
        }
        Ok(())
    }

    fn insert_sources(&self, connection: &Connection, numbers: &[u32]) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(INSERT_SOURCE)?;
        for row in self.rows(numbers) {
            statement.execute(params![
                bucket(row.position),
                signed(row.source),
                signed(row.position)
            ])?;
        }
        Ok(())
    }

    fn insert_identities(&self, connection: &Connection, numbers: &[u32]) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)")?;
        for row in self.rows(numbers) {
            statement.execute(params![
                bucket(row.position),
                signed(row.identity),
                signed(row.position)
            ])?;
        }
        Ok(())
    }

    fn insert_spent(&self, connection: &Connection, numbers: &[u32]) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached("INSERT OR IGNORE INTO spent VALUES (?, ?)")?;
        for row in self.rows(numbers) {
            statement.execute(params![row.spent_at.map(signed), signed(row.position)])?;
        }
        Ok(())
    }

    fn rows(&self, numbers: &[u32]) -> impl Iterator<Item = &RecentRow> {
        numbers
            .iter()
            .map(|number| &self.segment.rows()[*number as usize])
    }
}

/// What a slice reached.
#[derive(Debug)]
pub(super) struct Slice {
    end: usize,
    pub(super) finished: bool,
}

/// The part of `numbers`, which begin at `offset` of the whole, that lies in `from..to`.
fn part(numbers: &[u32], offset: usize, from: usize, to: usize) -> &[u32] {
    let within = |place: usize| place.saturating_sub(offset).min(numbers.len());
    &numbers[within(from)..within(to)]
}

#[cfg(test)]
mod tests {
    use super::super::recent::Recent;
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

    #[test]
    fn a_merge_that_a_crash_cut_short_is_repeated_without_harm() {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let mut meta = Meta::load(&connection).expect("a new database has its numbers");

        let cut = Merge::begin(segment(100));
        let slice = cut.slice(&connection, &mut meta, 230).expect("a slice");
        assert!(!slice.finished);
        assert_eq!(meta.indexed_to, 0);
        assert_eq!(
            ["idx", "sources", "ids"].map(|table| count(&connection, table)),
            [100, 100, 30]
        );

        let mut again = Merge::begin(segment(100));
        let mut slices = 0;
        while meta.indexed_to == 0 {
            let slice = again.slice(&connection, &mut meta, 17).expect("a slice");
            again.advance(&slice);
            slices += 1;
        }
        assert_eq!(meta.indexed_to, 100);
        assert_eq!(slices, 350_usize.div_ceil(17));
        let tables = ["idx", "sources", "ids", "urgent", "spent"];
        let counts = tables.map(|table| count(&connection, table));
        assert_eq!(counts, [100, 100, 100, 50, 50]);
    }
}
