//! Opens the folder: takes the lock, checks the file, ends the epoch before, and fills the memory from the newest rows.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, params};

use super::checkpoint::Checkpoints;
use super::lineage::{self, Lineage};
use super::lock::Lock;
use super::meta::{Meta, signed, unsigned};
use super::queue::Queue;
use super::reader::Reader;
use super::recent::{Recent, RecentRow};
use super::removal::oldest_position;
use super::reserve::Reserve;
use super::rows::{identity_hash, source_hash, spent_at};
use super::schema::{FORMAT, SQLITE_VERSION_NEEDED, SchemaError, open_writer};
use super::shared::Shared;
use super::subjects::{SubjectId, Subjects};
use super::transaction::{Failure, classify};
use super::writer::Writer;
use crate::clock::Timeline;
use crate::entry::{Follower, Position};
use crate::error::OpenError;
use crate::idempotency::Window;
use crate::options::Options;
use crate::stats::Health;

pub(super) const DATABASE_FILE: &str = "tidings.db";

/// A writer and readers that are ready to run.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) readers: Vec<Reader>,
    pub(super) path: PathBuf,
}

pub(super) fn open(
    dir: &Path,
    options: Options,
    followers: Vec<Box<dyn Follower>>,
) -> Result<Opened, OpenError> {
    let io = |cause: std::io::Error| OpenError::Io {
        path: dir.to_owned(),
        cause: Box::new(cause),
    };
    create(dir).map_err(io)?;
    let lock = Lock::take(dir)
        .map_err(io)?
        .ok_or_else(|| OpenError::Locked {
            dir: dir.to_owned(),
        })?;
    let path = dir.join(DATABASE_FILE);
    let mut connection =
        open_writer(&path, options.durability).map_err(|error| schema_error(&path, error))?;
    let sqlite = |error| sqlite_error(&path, error);
    let ready = ready(&mut connection, dir, &options).map_err(sqlite)?;
    let shared = Arc::new(ready.shared);
    let readers = (0..options.readers.max(1))
        .map(|_| Reader::open(&path, shared.clone()))
        .collect::<rusqlite::Result<_>>()
        .map_err(sqlite)?;
    let writer = Writer {
        connection,
        shared,
        options,
        followers,
        meta: ready.meta,
        window: ready.window,
        subjects: Subjects::default(),
        merge: None,
        trim: None,
        checkpoints: ready.checkpoints,
        reserve: ready.reserve,
        health: ready.health,
        _lock: lock,
    };
    Ok(Opened {
        writer,
        readers,
        path,
    })
}

/// Only the owner may look inside. The name of a new folder must survive a loss of power, too: SQLite takes care of what
/// lies in it.
pub(super) fn create(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

struct Ready {
    shared: Shared,
    meta: Meta,
    window: Window,
    checkpoints: Checkpoints,
    reserve: Reserve,
    health: Health,
}

fn ready(connection: &mut Connection, dir: &Path, options: &Options) -> rusqlite::Result<Ready> {
    let checkpoints = Checkpoints::watch(connection, options.tuning.checkpoint_pages.max(1))?;
    let mut reserve = Reserve::open(dir, connection, options.bytes_max)?;
    let meta = Meta::load(connection)?;
    let (lineage, health) = match begin_epoch(connection, &meta) {
        // A hub on a full disk must still come up: it serves reads, and its retention makes room.
        Err(error) if classify(&error) == Failure::Full => {
            reserve.release(connection)?;
            (begin_epoch(connection, &meta)?, Health::Full)
        }
        begun => (begun?, Health::Ok),
    };
    let recent = Recent::default();
    recent.push(
        &unmerged(connection, &meta, options.idempotency_window.ms)?,
        meta.last(),
    );
    let timeline = Timeline::resume(options.clock.clone(), meta.stored_at);
    let window = remembered(connection, options, timeline.now())?;
    let shared = Shared::new(
        Queue::new(options.queue),
        recent,
        timeline,
        lineage,
        options.retention,
    );
    shared.set_oldest(oldest_position(connection)?);
    shared.set_trimmed_to(&meta);
    shared.publish(&meta);
    shared.set_health(health);
    meta.count_kept(&mut shared.stats());
    shared.stats().idempotency_ids = window.len() as u64;
    Ok(Ready {
        shared,
        meta,
        window,
        checkpoints,
        reserve,
        health,
    })
}

fn begin_epoch(connection: &mut Connection, meta: &Meta) -> rusqlite::Result<Lineage> {
    let transaction = connection.transaction()?;
    let lineage = lineage::begin(&transaction, meta)?;
    transaction.commit()?;
    Ok(lineage)
}

/// The rows that the derived tables may not have.
fn unmerged(
    connection: &Connection,
    meta: &Meta,
    window_ms: u64,
) -> rusqlite::Result<Vec<RecentRow>> {
    let mut statement = connection.prepare(
        "SELECT pos, subject, source, id, stored_at, expires_at, kind, priority FROM log WHERE pos > ? ORDER BY pos",
    )?;
    let mut scratch = Vec::new();
    let rows = statement.query_map([signed(meta.indexed_to)], |row| {
        let expires_at = row.get::<_, Option<i64>>(5)?.map(unsigned);
        Ok(RecentRow {
            position: unsigned(row.get(0)?),
            subject: SubjectId(row.get(1)?),
            source: source_hash(row.get_ref(2)?.as_str()?),
            identity: identity_hash(
                &mut scratch,
                row.get_ref(2)?.as_str()?,
                row.get_ref(3)?.as_str()?,
            ),
            spent_at: spent_at(unsigned(row.get(4)?), expires_at, window_ms),
            kind: row.get(6)?,
            priority: row.get(7)?,
        })
    })?;
    rows.collect()
}

/// The idempotency window, from the newest rows.
fn remembered(connection: &Connection, options: &Options, now: u64) -> rusqlite::Result<Window> {
    let bounds = options.idempotency_window;
    let mut window = Window::new(bounds);
    let mut statement = connection
        .prepare("SELECT pos, stored_at, source, id FROM log ORDER BY pos DESC LIMIT ?")?;
    let mut rows = statement.query(params![i64::try_from(bounds.ids).unwrap_or(i64::MAX)])?;
    let mut newest = Vec::new();
    while let Some(row) = rows.next()? {
        let stored_at = unsigned(row.get(1)?);
        if now.saturating_sub(stored_at) >= bounds.ms {
            break;
        }
        let key = window.key(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
        newest.push((key, Position(unsigned(row.get(0)?)), stored_at));
    }
    for (key, position, stored_at) in newest.into_iter().rev() {
        window.remember(key, position, stored_at);
    }
    Ok(window)
}

pub(super) fn schema_error(path: &Path, error: SchemaError) -> OpenError {
    let path = path.to_owned();
    match error {
        SchemaError::Newer { found } => OpenError::NewerFormat {
            path,
            found,
            known: FORMAT,
        },
        SchemaError::NotOurs => OpenError::Foreign { path },
        SchemaError::OldSqlite => OpenError::Engine {
            found: rusqlite::version().to_owned(),
            needed: SQLITE_VERSION_NEEDED.to_owned(),
        },
        SchemaError::Sqlite(error) => sqlite_error(&path, error),
    }
}

pub(super) fn sqlite_error(path: &Path, error: rusqlite::Error) -> OpenError {
    let (path, code) = (path.to_owned(), error.sqlite_error_code());
    let cause = Box::new(error);
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Corrupt { path, cause }
        }
        _ => OpenError::Io { path, cause },
    }
}
