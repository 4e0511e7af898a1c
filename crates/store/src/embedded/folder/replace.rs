//! How another database takes the place of a folder's own: at every moment the folder holds one whole, the old or the new.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::super::lock::LOCK_FILE;
use super::super::reserve::RESERVE_FILE;
use super::copy::{CopyError, alone, open, remove};

const DRAFT_FILE: &str = "tidings.db.new";
/// What SQLite keeps beside a database, by the end of its name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Where the new database is made: in the folder, so that a rename is enough.
pub(super) fn draft_of(dir: &Path) -> PathBuf {
    dir.join(DRAFT_FILE)
}

/// Whether the folder holds nothing, but for what a start that came to nothing leaves.
pub(super) fn is_vacant(dir: &Path) -> Result<bool, CopyError> {
    let ours = [LOCK_FILE, RESERVE_FILE, DRAFT_FILE].map(OsStr::new);
    let io = |error| CopyError::io(dir, error);
    for entry in fs::read_dir(dir).map_err(io)? {
        if !ours.contains(&&*entry.map_err(io)?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings everything of a database into its one file, so that another can take its place by a rename. Nobody else may have
/// it open.
pub(super) fn settle(path: &Path) -> Result<Connection, CopyError> {
    let settled = (|| {
        let connection = open(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        Ok(connection)
    })();
    settled.map_err(|error: rusqlite::Error| CopyError::io(path, error))
}

/// Settles a database that is to go, or, if it is too damaged for that, takes from it what a new one would take for its
/// own.
pub(super) fn give_up(path: &Path) -> Result<(), CopyError> {
    if path.exists() {
        match open(path).and_then(alone) {
            Ok(()) => return Ok(()),
            // Somebody reads it, say a backup: what they read from must not go.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                return Err(CopyError::io(path, error));
            }
            Err(error) => {
                tracing::warn!(%error, "the store that is replaced cannot be read");
            }
        }
    }
    for companion in COMPANIONS {
        let mut name = path.as_os_str().to_owned();
        name.push(companion);
        remove(Path::new(&name))?;
    }
    Ok(())
}
