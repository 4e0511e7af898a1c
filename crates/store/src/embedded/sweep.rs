//! Takes removed rows out of the derived tables: the counterpart of a merge, in sorted slices for the same reason.
//!
//! Rows before the oldest one that is kept stay in the index until their whole group has gone: no reader looks there. A
//! crash leaves names of other rows that are gone. Readers pass over them, since a position is never used again.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::block::Block;
use super::list::{List, bucket};
use super::meta::signed;
use super::recent::URGENT_MIN;
use super::removal::Gone;
use super::rows::spent_at;

/// A sweep that has begun.
#[derive(Debug)]
pub(super) struct Sweep {
    gone: Vec<Gone>,
    /// In the order of the index.
    listed: Vec<(i64, List, u64)>,
    /// Groups before it have no row.
    first_bucket: i64,
    buckets_done: bool,
    window_ms: u64,
}

impl Sweep {
    /// `oldest` is the position of the oldest row that is kept, or behind all that ever were.
    pub(super) fn begin(gone: Vec<Gone>, oldest: u64, window_ms: u64) -> Self {
        let behind = gone.iter().filter(|row| row.position > oldest);
        let mut listed: Vec<(i64, List, u64)> = behind.flat_map(lists).collect();
        listed.sort_unstable_by_key(|(bucket, list, position)| (*bucket, list.key(), *position));
        Self {
            gone,
            listed,
            first_bucket: bucket(oldest),
            buckets_done: false,
            window_ms,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.gone.is_empty() && self.listed.is_empty() && self.buckets_done
    }

    /// Takes out up to `count`, from the end of the order, inside the caller's transaction.
    pub(super) fn slice(&mut self, connection: &Connection, count: usize) -> rusqlite::Result<()> {
        if !self.listed.is_empty() {
            let from = self.listed.len().saturating_sub(count);
            let listed: Vec<_> = self.listed.drain(from..).collect();
            remove_listed(connection, &listed)
        } else if !self.gone.is_empty() {
            let from = self.gone.len().saturating_sub(count);
            remove_rows(connection, self.gone.drain(from..), self.window_ms)
        } else {
            let removed = remove_buckets(connection, self.first_bucket, count)?;
            self.buckets_done = removed < count;
            Ok(())
        }
    }
}

fn lists(row: &Gone) -> impl Iterator<Item = (i64, List, u64)> {
    let (position, bucket) = (row.position, bucket(row.position));
    let (identity, _) = List::of_identity(row.identity);
    let lists = List::of_row(row.subject, row.source, row.kind, row.priority);
    lists
        .chain([identity])
        .map(move |list| (bucket, list, position))
}

fn remove_listed(connection: &Connection, listed: &[(i64, List, u64)]) -> rusqlite::Result<()> {
    for group in listed.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        let (bucket, list, oldest) = group[0];
        let gone: BTreeSet<u64> = group.iter().map(|(_, _, position)| *position).collect();
        let mut upto = group[group.len() - 1].2;
        while upto >= oldest
            && let Some(mut block) = Block::upto(connection, bucket, list, upto)?
        {
            let before = block.postings.len();
            block
                .postings
                .retain(|posting| !gone.contains(&posting.position));
            if block.postings.len() < before {
                block.replace(connection, bucket, list)?;
            }
            upto = block.first - 1;
        }
    }
    Ok(())
}

fn remove_rows(
    connection: &Connection,
    rows: impl Iterator<Item = Gone>,
    window_ms: u64,
) -> rusqlite::Result<()> {
    let mut from_urgent = connection.prepare_cached("DELETE FROM urgent WHERE pos = ?")?;
    let mut from_spent = connection.prepare_cached("DELETE FROM spent WHERE at = ? AND pos = ?")?;
    for row in rows {
        if row.priority >= URGENT_MIN {
            from_urgent.execute([signed(row.position)])?;
        }
        if let Some(at) = spent_at(row.stored_at, row.expires_at, window_ms) {
            from_spent.execute(params![signed(at), signed(row.position)])?;
        }
    }
    Ok(())
}

/// How many blocks of groups that have no row are gone now; fewer than `count` when these were all.
fn remove_buckets(connection: &Connection, first: i64, count: usize) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM posting WHERE (bucket, kind, key, first) IN
                (SELECT bucket, kind, key, first FROM posting WHERE bucket < ? LIMIT ?)",
        )?
        .execute(params![first, super::meta::rows(count)])
}

#[cfg(test)]
mod tests {
    use super::super::list::base;
    use super::super::merge::Merge;
    use super::super::meta::Meta;
    use super::super::recent::{Recent, RecentRow};
    use super::super::schema::open_writer;
    use super::super::subjects::SubjectId;
    use super::*;
    use crate::options::Durability;

    const SUBJECTS: [SubjectId; 2] = [SubjectId(4), SubjectId(9)];

    /// Urgent rows of two subjects in turn; each is spent at its position.
    fn gone(position: u64) -> Gone {
        Gone {
            position,
            subject: SUBJECTS[(position % 2) as usize],
            stored_at: 0,
            weight: 1,
            expires_at: Some(position),
            kind: 1,
            priority: URGENT_MIN,
            source: 7,
            identity: position.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        }
    }

    /// With the rows of those positions in its index.
    fn database(positions: impl Iterator<Item = u64>) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("a folder");
        let connection =
            open_writer(&dir.path().join("db"), Durability::Os).expect("a new database opens");
        let rows: Vec<RecentRow> = positions
            .map(gone)
            .map(|row| RecentRow {
                position: row.position,
                subject: row.subject,
                source: row.source,
                identity: row.identity,
                spent_at: spent_at(row.stored_at, row.expires_at, 0),
                kind: row.kind,
                priority: row.priority,
            })
            .collect();
        let recent = Recent::default();
        recent.push(&rows, 0);
        let mut meta = Meta::load(&connection).expect("the database has its numbers");
        Merge::begin(recent.freeze())
            .slice(&connection, &mut meta, usize::MAX)
            .expect("a merge");
        (dir, connection)
    }

    fn sweep(connection: &Connection, gone: Vec<Gone>, oldest: u64, count: usize) {
        let mut sweep = Sweep::begin(gone, oldest, 0);
        while !sweep.is_finished() {
            sweep.slice(connection, count).expect("a slice");
        }
    }

    fn listed(connection: &Connection, bucket: i64, list: List) -> Vec<u64> {
        let (mut from, mut positions) = (0, Vec::new());
        while let Some(block) = Block::from(connection, bucket, list, from).expect("a block") {
            from = block.first + 1;
            positions.extend(block.postings.iter().map(|posting| posting.position));
        }
        positions
    }

    fn count(connection: &Connection, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .expect("the table can be counted")
    }

    #[test]
    fn what_is_gone_leaves_every_list_and_the_rest_stays() {
        for slice in [1, 7, 1000] {
            let (_dir, connection) = database(1..=600);
            // All of one subject but the oldest rows, and some of the other one.
            let is_gone =
                |position: u64| position > 100 && (position.is_multiple_of(2) || position < 120);
            let rows = (1..=600).filter(|position| is_gone(*position)).map(gone);
            sweep(&connection, rows.collect(), 1, slice);
            let kept = |subject: Option<u64>| -> Vec<u64> {
                let of = |position: &u64| subject.is_none_or(|subject| position % 2 == subject);
                let kept = (1..=600).filter(|position| !is_gone(*position));
                kept.filter(of).collect()
            };
            for number in [0, 1] {
                let subject = SUBJECTS[number as usize];
                for list in [List::Subject(subject), List::Urgent(subject)] {
                    assert_eq!(listed(&connection, 0, list), kept(Some(number)), "{list:?}");
                }
            }
            for list in [List::Source(7), List::Kind(1)] {
                assert_eq!(listed(&connection, 0, list), kept(None), "{list:?}");
            }
            for position in 1..=600 {
                let (list, tag) = List::of_identity(gone(position).identity);
                let block = Block::upto(&connection, 0, list, position).expect("a block");
                let named = block.is_some_and(|block| {
                    let mut postings = block.postings.iter();
                    postings.any(|posting| (posting.position, posting.tag) == (position, tag))
                });
                assert_eq!(named, !is_gone(position), "{position}");
            }
            let rows_kept = kept(None).len() as i64;
            assert_eq!(
                ["urgent", "spent"].map(|table| count(&connection, table)),
                [rows_kept; 2]
            );
        }
    }

    #[test]
    fn a_group_goes_as_a_whole_once_none_of_its_rows_is_kept() {
        for slice in [1, 1000] {
            let first = base(1) - 50;
            let (_dir, connection) = database(first..first + 100);
            let rows = |n: u64| (first..first + n).map(gone).collect();
            // The names of the oldest rows stay: nobody looks for them.
            sweep(&connection, rows(30), first + 30, slice);
            assert_eq!(listed(&connection, 0, List::Kind(1)).len(), 50);
            sweep(&connection, rows(50), base(1), slice);
            assert_eq!(listed(&connection, 0, List::Kind(1)), []);
            assert_eq!(listed(&connection, 1, List::Kind(1)).len(), 50);
            let of_first: i64 = connection
                .query_row("SELECT count(*) FROM posting WHERE bucket = 0", [], |row| {
                    row.get(0)
                })
                .expect("the table can be counted");
            assert_eq!(of_first, 0);
        }
    }
}
