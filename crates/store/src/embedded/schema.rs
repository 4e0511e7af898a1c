//! The file on disk: what marks it as ours, its tables, and how connections to it are set up.
//!
//! A commit writes `log` (at the right edge of one tree), `meta` and `class`. `posting`, `urgent` and `spent` are derived
//! from `log` and follow later, in sorted slices; all rows of `log` up to `indexed_to` are in them.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::upgrade;
use crate::options::Durability;

/// "Tidi".
const APPLICATION_ID: i64 = 0x5469_6469;
/// 1: as first made. 2: with `sources`. 3: `posting` in the place of `idx`, `sources` and `ids`.
pub(super) const FORMAT: i64 = 3;
/// The first version without the WAL-reset defect, which can corrupt a database.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
pub(super) const SQLITE_VERSION_NEEDED: &str = "3.51.3";

/// For an operator's tool that holds the file for a moment.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const WRITER_CACHE_KIB: i64 = 64 * 1024;
const READER_CACHE_KIB: i64 = 8 * 1024;
/// What the write-ahead log may keep on disk once it has been carried over.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;

const TABLES: &str = "
    CREATE TABLE log(
        pos INTEGER PRIMARY KEY, subject INTEGER NOT NULL, stored_at INTEGER NOT NULL, expires_at INTEGER,
        kind INTEGER NOT NULL, priority INTEGER NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, exclude TEXT,
        fingerprint BLOB NOT NULL, sum INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE subject(id INTEGER PRIMARY KEY, class INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE(class, name));
    CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE class(
        class INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
        swept_to INTEGER NOT NULL, trimmed_to INTEGER NOT NULL);
    CREATE TABLE lineage(n INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE, last INTEGER);
    CREATE TABLE cell(key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, expires_at INTEGER)
        WITHOUT ROWID;
    CREATE INDEX cell_expiry ON cell(expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE trimmed(subject INTEGER PRIMARY KEY, pos INTEGER NOT NULL);
    CREATE INDEX trimmed_pos ON trimmed(pos);
    CREATE TABLE posting(
        bucket INTEGER, kind INTEGER, key INTEGER, first INTEGER, positions BLOB NOT NULL,
        PRIMARY KEY(bucket, kind, key, first)) WITHOUT ROWID;
    CREATE TABLE urgent(pos INTEGER PRIMARY KEY, subject INTEGER NOT NULL, priority INTEGER NOT NULL);
    CREATE TABLE spent(at INTEGER, pos INTEGER, PRIMARY KEY(at, pos)) WITHOUT ROWID;
    INSERT INTO meta VALUES ('next', 1), ('stored_at', 0), ('indexed_to', 0), ('revision', 0), ('removed', 0),
        ('removed_at', 0);
    INSERT INTO class VALUES (0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (2, 0, 0, 0, 0);
";

#[derive(Debug)]
pub(super) enum SchemaError {
    Newer { found: i64 },
    NotOurs,
    OldSqlite,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The one connection that writes and checkpoints. Makes the tables in an empty file.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, SchemaError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(SchemaError::OldSqlite);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let format = check_ours(&connection)?;
    // Only takes effect before the first page is written.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = match durability {
        Durability::Disk => "FULL",
        Durability::Os => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    common(&connection)?;
    match format {
        None => create(&mut connection)?,
        Some(format) if format < FORMAT => upgrade(&mut connection, format)?,
        Some(_) => {}
    }
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    common(&connection)?;
    // That is the writer's business.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// A connection that reads a file of ours from outside of the store that may have it open.
pub(super) fn open_visitor(path: &Path) -> Result<Connection, SchemaError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(SchemaError::OldSqlite);
    }
    let connection = open_reader(path)?;
    if check_ours(&connection)?.is_none() {
        return Err(SchemaError::NotOurs);
    }
    Ok(connection)
}

fn common(connection: &Connection) -> rusqlite::Result<()> {
    // A fault in a mapped page would arrive as a signal and not as an error.
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Else SQLite plans statements anew when other values are bound, for each `LIMIT` and many comparisons: for the plan
    // that it had before, at ten times the cost of a look-up.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The format; `None` for a file without content. Anything else must carry our mark and a format that we know.
fn check_ours(connection: &Connection) -> Result<Option<i64>, SchemaError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let (application, format) = (number("application_id")?, number("user_version")?);
    if objects == 0 && application == 0 && format == 0 {
        return Ok(None);
    }
    if application != APPLICATION_ID {
        return Err(SchemaError::NotOurs);
    }
    if format > FORMAT {
        return Err(SchemaError::Newer { found: format });
    }
    Ok(Some(format))
}

/// In one transaction: a crash leaves an empty file or a whole one.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// In one transaction: a crash leaves the file as it was.
fn upgrade(connection: &mut Connection, format: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if format < 3 {
        upgrade::to_3(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    tracing::info!(
        from = format,
        to = FORMAT,
        "the store's file has a new format now"
    );
    Ok(())
}
