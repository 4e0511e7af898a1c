//! From times to positions. Stored times ascend with positions, so the log is its own index.

use rusqlite::{Connection, OptionalExtension, params};

use super::meta::{signed, unsigned};

/// The newest position stored before a time, zero without one. Of what retention removed, only the newest is known.
pub(super) fn position_before(connection: &Connection, time_ms: u64) -> rusqlite::Result<u64> {
    Ok(newest_kept(connection, time_ms)?.max(newest_removed(connection, time_ms)?))
}

fn newest_kept(connection: &Connection, time_ms: u64) -> rusqlite::Result<u64> {
    let mut from = connection
        .prepare_cached("SELECT pos, stored_at FROM log WHERE pos >= ? ORDER BY pos LIMIT 1")?;
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(pos) FROM log")?
        .query_row([], |row| row.get(0))?;
    // All rows at or before `early` are early, all at or behind `late` are late.
    let (mut early, mut late) = (0, last.map_or(0, unsigned) + 1);
    while early + 1 < late {
        let middle = early + (late - early) / 2;
        let row = from
            .query_row(params![signed(middle)], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
            })
            .optional()?;
        match row {
            Some((position, stored_at)) if stored_at < time_ms => early = position,
            _ => late = middle,
        }
    }
    Ok(early)
}

fn newest_removed(connection: &Connection, time_ms: u64) -> rusqlite::Result<u64> {
    let number = |key: &str| -> rusqlite::Result<u64> {
        connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?")?
            .query_row([key], |row| row.get(0))
            .map(unsigned)
    };
    Ok(if number("removed_at")? < time_ms {
        number("removed")?
    } else {
        0
    })
}
