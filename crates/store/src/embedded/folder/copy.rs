//! Whole copies of a database, and how they get their names.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{Survey, check, survey, visit};
use crate::error::{Cause, OpenError};

/// The copy was not made, and what was there is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} is left from a copy that was cut short, or one is being made now; remove it if not", path.display())]
    Unfinished { path: PathBuf },
    #[error("the folder {} is not empty", dir.display())]
    NotEmpty { dir: PathBuf },
    /// What was copied is not as it was written.
    #[error("what was copied is damaged: {fault}")]
    Damaged { fault: String },
    #[error("writing {} failed", path.display())]
    Io {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
}

impl CopyError {
    pub(super) fn io(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::Io {
            path: path.to_owned(),
            cause: cause.into(),
        }
    }
}

/// A file that has not got its name yet; removed when dropped.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// For a new file, which is refused early if it exists. Only the owner may read it.
    pub(super) fn beside(file: &Path) -> Result<Self, CopyError> {
        if file.symlink_metadata().is_ok() {
            return Err(CopyError::Exists {
                path: file.to_owned(),
            });
        }
        let mut path = file.as_os_str().to_owned();
        path.push(".part");
        Self::create(path.into())
    }

    /// In a folder whose lock is held: what is left of an earlier one is removed.
    pub(super) fn again(path: PathBuf) -> Result<Self, CopyError> {
        remove(&path)?;
        Self::create(path)
    }

    fn create(path: PathBuf) -> Result<Self, CopyError> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match created {
            Ok(_) => Ok(Self { path, kept: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CopyError::Unfinished { path })
            }
            Err(error) => Err(CopyError::io(&path, error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it a name that nothing has.
    pub(super) fn publish(self, file: &Path) -> Result<(), CopyError> {
        self.rename(file, |from, to| {
            match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
                // Some file systems cannot; then a file that came since the start is the one that goes.
                Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
                renamed => Ok(renamed?),
            }
        })
    }

    /// Takes the place of another file at one moment.
    pub(super) fn replace(self, file: &Path) -> Result<(), CopyError> {
        self.rename(file, |from, to| fs::rename(from, to))
    }

    fn rename(
        mut self,
        file: &Path,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), CopyError> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&self.path).map_err(|error| CopyError::io(&self.path, error))?;
        rename(&self.path, file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CopyError::Exists {
                path: file.to_owned(),
            },
            _ => CopyError::io(file, error),
        })?;
        self.kept = true;
        let parent = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        sync(parent).map_err(|error| CopyError::io(parent, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "an unfinished copy could not be removed");
        }
    }
}

/// Copies a database page by page into an empty file, as it is at one moment. The source may be written meanwhile: one
/// step is one read, and only the source's write-ahead log grows as long as it takes.
pub(super) fn copy(source: &Connection, to: &Path) -> Result<(), CopyError> {
    let copied = (|| {
        let mut target = open(to)?;
        // A copy that is cut short is thrown away, and a finished one is synced before it gets its name.
        target.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
        target.pragma_update(None, "synchronous", "OFF")?;
        let step = Backup::new(source, &mut target)?.step(-1)?;
        Ok((target, step))
    })();
    let (target, step) = copied.map_err(|error: rusqlite::Error| CopyError::io(to, error))?;
    if step != StepResult::Done {
        return Err(CopyError::io(to, "another process holds the source"));
    }
    alone(target).map_err(|error| CopyError::io(to, error))
}

/// Copies a database row by row, without pages that are free.
pub(super) fn vacuum(source: &Connection, to: &Path) -> Result<(), CopyError> {
    let target = to
        .to_str()
        .ok_or_else(|| CopyError::io(to, "the name of the folder must be UTF-8 for this"))?;
    source
        .execute("VACUUM INTO ?", [target])
        .map_err(|error| CopyError::io(to, error))?;
    Ok(())
}

/// Reads the copy from end to end.
pub(super) fn verify(copy: &Path) -> Result<Survey, CopyError> {
    let connection = visit(copy)?;
    let checkup = check::of(copy, &connection)?;
    match checkup.faults.into_iter().next() {
        Some(fault) => Err(CopyError::Damaged { fault }),
        None => Ok(survey::of(copy, &connection)?),
    }
}

pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Without a write-ahead log: everything is in the one file, and reading it needs no other.
pub(super) fn alone(connection: Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// Whether or not it is there.
pub(super) fn remove(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CopyError::io(path, error)),
        _ => Ok(()),
    }
}
