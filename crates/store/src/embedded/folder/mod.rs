//! The folder of a store, looked at and cared for from outside: no writer, no readers, no new epoch.
//!
//! What only reads goes on beside a process that has the store open: it sees one moment of it, and holds up no append.
//! What changes the folder takes its lock first.

mod check;
mod copy;
mod indexes;
mod replace;
mod survey;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use self::check::Checkup;
pub use self::copy::CopyError;
pub use self::survey::{Survey, SurveyOfClass};
use super::lock::Lock;
use super::open::{DATABASE_FILE, create, schema_error};
use super::schema::open_visitor;
use crate::error::OpenError;

/// The folder of a store that this process does not open.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

/// Sizes of the database before and after a vacuum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuumed {
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl Folder {
    /// Looks at nothing yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// What is kept, counted at one moment.
    pub fn survey(&self) -> Result<Survey, OpenError> {
        let (path, connection) = self.visit()?;
        survey::of(&path, &connection)
    }

    /// Reads everything and compares it with what was written, at one moment.
    pub fn check(&self) -> Result<Checkup, OpenError> {
        let (path, connection) = self.visit()?;
        check::of(&path, &connection)
    }

    /// Writes the store as it is at one moment into a new file, which needs nothing beside it. The file has its name only
    /// once it is complete, checked and synced; an existing one is left alone.
    pub fn backup(&self, file: &Path) -> Result<Survey, CopyError> {
        let (_, connection) = self.visit()?;
        let draft = copy::Draft::beside(file)?;
        copy::copy(&connection, draft.path())?;
        let survey = copy::verify(draft.path())?;
        draft.publish(file)?;
        Ok(survey)
    }

    /// Makes the folder what a backup says. A folder that holds anything is refused, unless `replace` is given: then its
    /// store is lost. Before the new one is complete and checked, nothing is changed.
    pub fn restore(&self, backup: &Path, replace: bool) -> Result<Survey, CopyError> {
        let source = visit(backup)?;
        create(&self.dir).map_err(|cause| CopyError::io(&self.dir, cause))?;
        let _lock = self.lock()?;
        if !replace && !replace::is_vacant(&self.dir)? {
            return Err(CopyError::NotEmpty {
                dir: self.dir.clone(),
            });
        }
        let draft = copy::Draft::again(replace::draft_of(&self.dir))?;
        copy::copy(&source, draft.path())?;
        let survey = copy::verify(draft.path())?;
        replace::give_up(&self.database())?;
        draft.replace(&self.database())?;
        Ok(survey)
    }

    /// Writes the database anew without the pages that are free, which takes room for both meanwhile.
    pub fn vacuum(&self) -> Result<Vacuumed, CopyError> {
        // Refuses what is not a store before the lock makes a file.
        drop(self.visit()?);
        let _lock = self.lock()?;
        let path = self.database();
        let size = || path.metadata().map(|metadata| metadata.len());
        let connection = replace::settle(&path)?;
        let bytes_before = size().map_err(|cause| CopyError::io(&path, cause))?;
        let draft = copy::Draft::again(replace::draft_of(&self.dir))?;
        copy::vacuum(&connection, draft.path())?;
        drop(connection);
        copy::verify(draft.path())?;
        draft.replace(&path)?;
        let bytes_after = size().map_err(|cause| CopyError::io(&path, cause))?;
        Ok(Vacuumed {
            bytes_before,
            bytes_after,
        })
    }

    fn database(&self) -> PathBuf {
        self.dir.join(DATABASE_FILE)
    }

    fn visit(&self) -> Result<(PathBuf, Connection), OpenError> {
        let path = self.database();
        if !path.exists() {
            return Err(OpenError::Missing {
                dir: self.dir.clone(),
            });
        }
        let connection = visit(&path)?;
        Ok((path, connection))
    }

    fn lock(&self) -> Result<Lock, CopyError> {
        let lock = Lock::take(&self.dir).map_err(|cause| CopyError::io(&self.dir, cause))?;
        lock.ok_or_else(|| {
            CopyError::Open(OpenError::Locked {
                dir: self.dir.clone(),
            })
        })
    }
}

/// To read a database of ours, whoever else has it open.
fn visit(path: &Path) -> Result<Connection, OpenError> {
    open_visitor(path).map_err(|error| schema_error(path, error))
}
