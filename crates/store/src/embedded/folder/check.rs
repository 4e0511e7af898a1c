//! Reads everything, and compares it with what was written.

use std::path::Path;

use rusqlite::Connection;

use super::super::meta::{Meta, signed, unsigned};
use super::super::open::sqlite_error;
use super::super::reader::Snapshot;
use super::super::rows::{self, Scanned};
use super::indexes::Indexes;
use crate::entry::Class;
use crate::error::OpenError;
use crate::options::PerClass;
use crate::trim::weight;

/// More of them tell nobody anything new.
const FAULTS_LISTED_MAX: usize = 20;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// Entries that were read and compared with their checksums.
    pub entries: u64,
    /// The first faults, in words.
    pub faults: Vec<String>,
    /// All of them.
    pub faults_count: u64,
}

impl Checkup {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults_count == 0
    }

    fn fault(&mut self, fault: String) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_LISTED_MAX {
            self.faults.push(fault);
        }
    }
}

pub(super) fn of(path: &Path, connection: &Connection) -> Result<Checkup, OpenError> {
    let mut checkup = Checkup::default();
    match read(connection, &mut checkup) {
        Ok(()) => Ok(checkup),
        // Where the structure is broken, reading ends where the break is: that is a finding.
        Err(error) => match sqlite_error(path, error) {
            OpenError::Corrupt { cause, .. } => {
                checkup.fault(format!("it cannot be read to its end: {cause}"));
                Ok(checkup)
            }
            other => Err(other),
        },
    }
}

fn read(connection: &Connection, checkup: &mut Checkup) -> rusqlite::Result<()> {
    let snapshot = Snapshot::begin(connection)?;
    structure(snapshot.connection, checkup)?;
    let meta = Meta::load(snapshot.connection)?;
    let counted = entries(snapshot.connection, &meta, checkup)?;
    // A damaged entry does not say for sure what it counted for.
    let classes = Class::ALL.into_iter().filter(|_| counted.is_some());
    let counted = counted.unwrap_or_default();
    for class in classes {
        let (noted, counted) = (&meta.classes[class], counted[class]);
        if (noted.count, noted.bytes) != (counted.entries, counted.bytes) {
            checkup.fault(format!(
                "{class:?} has {} entries of {} bytes, and {} of {} are noted",
                counted.entries, counted.bytes, noted.count, noted.bytes
            ));
        }
    }
    references(snapshot.connection, &meta, checkup)
}

/// What SQLite itself knows: pages, order within trees, indexes against tables.
fn structure(connection: &Connection, checkup: &mut Checkup) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare(&format!("PRAGMA integrity_check({FAULTS_LISTED_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            checkup.fault(text);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Counted {
    entries: u64,
    bytes: u64,
}

/// What the entries count up to; `None` when some of them are damaged.
fn entries(
    connection: &Connection,
    meta: &Meta,
    checkup: &mut Checkup,
) -> rusqlite::Result<Option<PerClass<Counted>>> {
    let mut indexes = Indexes::new(connection)?;
    let mut counted = PerClass::<Counted>::default();
    let (mut stored_at, mut all_intact) = (0, true);
    rows::scan(connection, |position, scanned| {
        checkup.entries += 1;
        let Some(Scanned { entry, subject }) = scanned else {
            all_intact = false;
            checkup.fault(format!("the entry at position {position} is damaged"));
            return Ok(());
        };
        let class = &mut counted[subject.class()];
        class.entries += 1;
        class.bytes += weight(&entry.source, &entry.id, &entry.body);
        if position >= meta.next {
            checkup.fault(format!(
                "position {position} is taken, and {} would be given out next",
                meta.next
            ));
        }
        if entry.stored_at < stored_at {
            checkup.fault(format!(
                "the entry at position {position} is older than the one before it"
            ));
        }
        stored_at = entry.stored_at;
        if position <= meta.indexed_to
            && let Some(index) = indexes.lacks(connection, &entry, subject)?
        {
            checkup.fault(format!(
                "the entry at position {position} is not in the index {index}"
            ));
        }
        Ok(())
    })?;
    Ok(all_intact.then_some(counted))
}

fn references(connection: &Connection, meta: &Meta, checkup: &mut Checkup) -> rusqlite::Result<()> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0).map(unsigned));
    let unnamed = number(
        "SELECT count(*) FROM log WHERE NOT EXISTS (SELECT 1 FROM subject WHERE subject.id = log.subject)",
    )?;
    if unnamed > 0 {
        checkup.fault(format!("{unnamed} entries have a subject without a name"));
    }
    let revision = number("SELECT coalesce(max(revision), 0) FROM cell")?;
    if revision > meta.revision {
        checkup.fault(format!(
            "a cell has revision {revision}, and {} is noted as the newest",
            meta.revision
        ));
    }
    let open = number("SELECT count(*) FROM lineage WHERE last IS NULL")?;
    if open > 1 {
        checkup.fault(format!("{open} epochs have no end"));
    }
    let beyond: u64 = connection.query_row(
        "SELECT count(*) FROM lineage WHERE last > ?",
        [signed(meta.last())],
        |row| row.get(0).map(unsigned),
    )?;
    if beyond > 0 {
        checkup.fault(format!(
            "{beyond} epochs end beyond the newest position, {}",
            meta.last()
        ));
    }
    Ok(())
}
