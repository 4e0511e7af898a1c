//! The numbers that every commit carries: they are written with the rows and never derived from them.

use rusqlite::{Connection, params};

use crate::entry::Class;
use crate::options::PerClass;
use crate::stats::Stats;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// The position that the next entry gets. Never given back, not even when the rows before it are gone.
    pub(super) next: u64,
    /// Of the newest entry; the next one is not older.
    pub(super) stored_at: u64,
    /// Rows up to here are in the derived indexes.
    pub(super) indexed_to: u64,
    /// Of the newest write to a cell.
    pub(super) revision: u64,
    /// The newest entry that retention removed: its position and its stored time.
    pub(super) removed: u64,
    pub(super) removed_at: u64,
    pub(super) classes: PerClass<ClassMeta>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassMeta {
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// No kept row of the class lies at or before it: where retention goes on.
    pub(super) swept_to: u64,
    /// The newest position whose removal is a loss.
    pub(super) trimmed_to: u64,
}

impl Meta {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |key: &str| {
            connection
                .query_row("SELECT value FROM meta WHERE key = ?", [key], |row| {
                    row.get::<_, i64>(0)
                })
                .map(unsigned)
        };
        let mut meta = Self {
            next: number("next")?,
            stored_at: number("stored_at")?,
            indexed_to: number("indexed_to")?,
            revision: number("revision")?,
            removed: number("removed")?,
            removed_at: number("removed_at")?,
            classes: PerClass::default(),
        };
        for class in Class::ALL {
            meta.classes[class] = connection.query_row(
                "SELECT count, bytes, swept_to, trimmed_to FROM class WHERE class = ?",
                [class as i64],
                |row| {
                    Ok(ClassMeta {
                        count: unsigned(row.get(0)?),
                        bytes: unsigned(row.get(1)?),
                        swept_to: unsigned(row.get(2)?),
                        trimmed_to: unsigned(row.get(3)?),
                    })
                },
            )?;
        }
        Ok(meta)
    }

    /// Writes what differs from `before`, inside the caller's transaction.
    pub(super) fn save(&self, before: &Self, connection: &Connection) -> rusqlite::Result<()> {
        let numbers = [
            ("next", self.next, before.next),
            ("stored_at", self.stored_at, before.stored_at),
            ("indexed_to", self.indexed_to, before.indexed_to),
            ("revision", self.revision, before.revision),
            ("removed", self.removed, before.removed),
            ("removed_at", self.removed_at, before.removed_at),
        ];
        for (key, value, _) in numbers
            .into_iter()
            .filter(|(_, value, before)| value != before)
        {
            connection
                .prepare_cached("UPDATE meta SET value = ? WHERE key = ?")?
                .execute(params![signed(value), key])?;
        }
        for class in Class::ALL
            .into_iter()
            .filter(|class| self.classes[*class] != before.classes[*class])
        {
            let meta = &self.classes[class];
            connection
                .prepare_cached("UPDATE class SET count = ?, bytes = ?, swept_to = ?, trimmed_to = ? WHERE class = ?")?
                .execute(params![
                    signed(meta.count),
                    signed(meta.bytes),
                    signed(meta.swept_to),
                    signed(meta.trimmed_to),
                    class as i64
                ])?;
        }
        Ok(())
    }

    pub(super) fn count_kept(&self, stats: &mut Stats) {
        stats.entries = PerClass::from_fn(|class| self.classes[class].count);
        stats.bytes = PerClass::from_fn(|class| self.classes[class].bytes);
    }

    /// The newest position that was ever given out.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }
}

/// SQLite's integers are signed. Hashes use all 64 bits; positions and times never reach the upper half.
pub(super) fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// A limit of rows; more than SQLite can count is all.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}
